"""A small network for Fashion-MNIST, and the parts that it adds to those of earlier chapters.

The task: at most 100,000 parameters. Every part of ``small_net`` can be left out, so that a
training with it and one without it tell what the part is worth.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from safetensors.torch import load, save
from torch import Tensor, nn

LIMIT = 100_000  # parameters
MAX_POOL = partial(nn.MaxPool2d, 2)


class Residual(nn.Sequential):
    """Add what the layers make of x to x.

    Examples
    --------
    >>> Residual(nn.ReLU())(torch.tensor([-3.0, 3.0]))
    tensor([-3.,  6.])
    """

    def forward(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """Return ``x + layers(x)``; the layers keep the shape."""
        return x + super().forward(x)


class RandomFlip(nn.Module):
    """Mirror every second training image, left to right; leave images alone in evaluation mode.

    Each image is mirrored with probability 1/2, drawn from torch's generator on the CPU.

    Examples
    --------
    >>> x = torch.tensor([[[[1.0, 2.0]]]])
    >>> RandomFlip().eval()(x), RandomFlip()(x).sum()
    (tensor([[[[1., 2.]]]]), tensor(3.))
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Mirror in training mode."""
        if not self.training:
            return x
        mirrored = torch.rand(len(x), 1, 1, 1).to(x.device) < 0.5
        return torch.where(mirrored, x.flip(3), x)


class Mirrored(nn.Module):
    """In evaluation, ask about an image and its mirror image, and add the two answers.

    ``f(x) = net(x) + net(flip(x))``, so that f(x) = f(flip(x)): invariant by construction. The
    parameters stay as many, the multiply-adds double.

    Examples
    --------
    >>> x, model = torch.rand(1, 1, 28, 28), Mirrored(small_net()).eval()
    >>> torch.equal(model(x), model(x.flip(3)))
    True
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Give scores."""
        return self.net(x) if self.training else self.net(x) + self.net(x.flip(3))


def conv(c: int, o: int, norm: bool = True, kernel_size: int = 3) -> list[nn.Module]:
    """Build a convolution that keeps height and width, and its normalization.

    The normalization subtracts the mean and adds a shift of its own, so no bias stands before it.

    Examples
    --------
    >>> [sum(p.numel() for p in layer.parameters()) for layer in conv(3, 8)]
    [216, 16]
    """
    layer = nn.Conv2d(c, o, kernel_size, padding=kernel_size // 2, bias=not norm)
    return [layer, nn.BatchNorm2d(o)] if norm else [layer]


def separable(c: int, o: int, norm: bool = True) -> list[nn.Module]:
    """Build a 3x3 convolution in each channel alone, then one of 1x1 over all channels.

    Examples
    --------
    >>> [sum(p.numel() for p in layer.parameters()) for layer in separable(32, 32)]
    [288, 1024, 64]
    """
    alone = nn.Conv2d(c, c, 3, padding=1, groups=c, bias=False)
    return [alone, *conv(c, o, norm, kernel_size=1)]


def small_net(
    norm: bool = True,
    residual: bool = True,
    pool: Callable[[], nn.Module] = MAX_POOL,
    layer: Callable[[int, int, bool], list[nn.Module]] = conv,
) -> nn.Sequential:
    """Build a network for 28 x 28 pixels: 96,890 parameters, seven convolutions of 3x3.

    ======  ==============================  ============  ==========
    name    layers                          output        parameters
    ======  ==============================  ============  ==========
    first   conv, pool, norm, ReLU          16 14 14      176
    wider   conv, norm, ReLU                32 14 14      4,672
    block1  x + two convolutions, ReLU      32 14 14      18,560
    pool1   pool                            32 7 7
    widest  conv, norm, ReLU                56 7 7        16,240
    block2  x + two convolutions, ReLU      56 7 7        56,672
    mean    mean of each channel            56
    fc      dense                           10            570
    ======  ==============================  ============  ==========

    Parameters
    ----------
    norm : bool
        Batch normalization behind each convolution, or a bias in it.
    residual : bool
        Whether a block adds its input to what its layers make of it.
    pool : callable
        Called without arguments, gives a layer that halves height and width.
    layer : callable
        `conv` or `separable`, for all convolutions but the first.

    Examples
    --------
    >>> net = small_net()
    >>> net(torch.zeros(2, 1, 28, 28)).shape, sum(p.numel() for p in net.parameters())
    (torch.Size([2, 10]), 96890)
    """
    block = Residual if residual else nn.Sequential

    def built(c: int, o: int) -> list[nn.Module]:
        return [*layer(c, o, norm), nn.ReLU()]

    def two(c: int) -> nn.Module:
        return block(*built(c, c), *layer(c, c, norm))

    first, *normalized = conv(1, 16, norm)
    layers = OrderedDict(
        # Pooling first: a quarter of the numbers is left to normalize.
        first=nn.Sequential(first, pool(), *normalized, nn.ReLU()),
        wider=nn.Sequential(*built(16, 32)),
        block1=nn.Sequential(two(32), nn.ReLU()),
        pool1=pool(),
        widest=nn.Sequential(*built(32, 56)),
        block2=nn.Sequential(two(56), nn.ReLU()),
        mean=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        fc=nn.Linear(56, 10),
    )
    return nn.Sequential(layers)


def to_text(net: nn.Module) -> str:
    """Write the weights of a network, in half precision, as a text that a Python file can hold.

    Examples
    --------
    >>> from_text(nn.Linear(2, 1), to_text(nn.Linear(2, 1)))
    Linear(in_features=2, out_features=1, bias=True)
    """
    weights = net.state_dict().items()
    halves = {name: one.half() if one.is_floating_point() else one for name, one in weights}
    return b64encode(save({name: one.contiguous() for name, one in halves.items()})).decode()


def from_text(net: nn.Module, text: str) -> nn.Module:
    """Give a network, in place, the weights that `to_text` wrote; no code is run.

    Examples
    --------
    >>> net = from_text(nn.Linear(2, 1), to_text(nn.Linear(2, 1)))
    >>> net.weight.dtype
    torch.float32
    """
    net.load_state_dict(load(b64decode(text)))
    return net
