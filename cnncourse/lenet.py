"""LeNet as d2l draws it, its modern twin, two baselines, and a look at the scale of every layer.

The 1998 network differs from all of them (32x32 input, scaled tanh, trainable subsampling, a sparse
second convolution, a radial-basis output); its chapter names the differences.

Every weight is drawn on the CPU, so one seed gives the same model on every machine.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cnncourse._arguments import IMAGES, check_integer, check_tensor


class LeNet(nn.Sequential):
    """Two convolutions with pooling, then three dense layers: 28x28 pixels to ten logits.

    ======  ================  ============  ==========
    layer   output (c h w)    weights       parameters
    ======  ================  ============  ==========
    conv1   6 28 28           6 1 5 5       156
    pool1   6 14 14                         0
    conv2   16 10 10          16 6 5 5      2,416
    pool2   16 5 5                          0
    fc1     120               120 400       48,120
    fc2     84                84 120        10,164
    fc3     10                10 84         850
    ======  ================  ============  ==========

    ``activation()`` makes the layer after conv1, conv2, fc1 and fc2, and
    ``pool(kernel_size=2, stride=2)`` the one that follows. The weights are torch's defaults; d2l
    draws them again with ``init_xavier``. A slice such as ``model[:3]`` is a plain
    ``nn.Sequential`` that shares the layers.

    Examples
    --------
    >>> model = LeNet()
    >>> sum(p.numel() for p in model.parameters())
    61706
    >>> model(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        activation: Callable[[], nn.Module] = nn.Sigmoid,
        pool: Callable[..., nn.Module] = nn.AvgPool2d,
        num_classes: int = 10,
    ) -> None:
        check_integer("num_classes", num_classes, 1)
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(1, 6, kernel_size=5, padding=2),
                act1=activation(),
                pool1=pool(kernel_size=2, stride=2),
                conv2=nn.Conv2d(6, 16, kernel_size=5),
                act2=activation(),
                pool2=pool(kernel_size=2, stride=2),
                flatten=nn.Flatten(),
                fc1=nn.Linear(16 * 5 * 5, 120),
                act3=activation(),
                fc2=nn.Linear(120, 84),
                act4=activation(),
                fc3=nn.Linear(84, num_classes),
            )
        )

    def __getitem__(self, idx: int | slice) -> nn.Module:
        # nn.Sequential would build the slice as type(self)(layers), and LeNet takes no layers.
        return nn.Sequential(OrderedDict(self.named_children()))[idx]


class ModernLeNet(LeNet):
    """LeNet with ReLU, max-pooling and He initialization; the same 61,706 parameters.

    Examples
    --------
    >>> ModernLeNet().act1, ModernLeNet().pool1.kernel_size
    (ReLU(), 2)
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(nn.ReLU, nn.MaxPool2d, num_classes)
        init_he(self)


def softmax_regression(num_classes: int = 10) -> nn.Sequential:
    """Build the linear classifier of 28x28 images, with torch's default weights as in d2l.

    Examples
    --------
    >>> sum(p.numel() for p in softmax_regression().parameters())
    7850
    """
    check_integer("num_classes", num_classes, 1)
    return nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, num_classes))


def mlp(hidden: int = 256, num_classes: int = 10) -> nn.Sequential:
    """Build a perceptron with one hidden ReLU layer, with torch's default weights as in d2l.

    Examples
    --------
    >>> sum(p.numel() for p in mlp().parameters())
    203530
    """
    check_integer("hidden", hidden, 1)
    check_integer("num_classes", num_classes, 1)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(28 * 28, hidden), nn.ReLU(), nn.Linear(hidden, num_classes)
    )


def init_xavier(model: nn.Module) -> nn.Module:
    """Redraw every convolution's and dense layer's weight so that variance holds both ways.

    Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010, equation 16). Biases stay as
    they are, as in d2l: torch drew them uniform in +-1/sqrt(fan_in). The model is changed in place.

    Examples
    --------
    >>> weight = init_xavier(LeNet()).fc1.weight
    >>> bool(weight.abs().max() <= (6 / (400 + 120)) ** 0.5)
    True
    """
    for layer in _weighted_layers(model):
        _draw_on_cpu(layer.weight, nn.init.xavier_uniform_)
    return model


def init_he(model: nn.Module) -> nn.Module:
    """Redraw every convolution's and dense layer's weight for ReLU, and set the biases to zero.

    Normal with standard deviation sqrt(2 / fan_in): a ReLU silences half of its inputs, and the 2
    makes up for it (He et al. 2015, equation 10; they start the biases at zero too). The model is
    changed in place.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> weight = init_he(LeNet()).fc1.weight
    >>> round(weight.std().item() / (2 / 400) ** 0.5, 1)
    1.0
    """
    for layer in _weighted_layers(model):
        _draw_on_cpu(layer.weight, partial(nn.init.kaiming_normal_, nonlinearity="relu"))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return model


def _weighted_layers(model: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    return [layer for layer in model.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]


def _draw_on_cpu(weight: Tensor, init: Callable[[Tensor], Tensor]) -> None:
    """Fill a weight of any device with numbers from the CPU's generator: one seed, one model."""
    with torch.no_grad():
        weight.copy_(init(torch.empty(weight.shape, dtype=weight.dtype, device="cpu")))


class LayerScale(NamedTuple):
    """How large the numbers of one layer are, forward and backward.

    ``activation`` and ``gradient`` are standard deviations over all numbers of the layer's output
    and of the loss's gradient with respect to it. ``signal`` is the part of the activation that
    tells images apart: the standard deviation over the images at each unit, root-mean-squared over
    the units. ``weight_gradient`` is the standard deviation of the gradient with respect to the
    weight, or None where the layer has no weight.
    """

    name: str
    activation: float
    signal: float
    gradient: float
    weight_gradient: float | None


def layer_scales(
    model: nn.Module, images: Float[Tensor, "n c h w"], labels: Int64[Tensor, " n"]
) -> list[LayerScale]:
    """Measure the scale of every layer's output and gradients on one batch.

    One entry for each layer without sub-layers, in the order of the forward pass. The gradient is
    that of the mean cross-entropy. The work is done on a copy in the mode, training or evaluation,
    that ``model`` is in. It takes two images or more: a spread over images needs two.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> scales = layer_scales(LeNet(), torch.rand(8, 1, 28, 28), torch.arange(8))
    >>> [scale.name for scale in scales][:3]
    ['conv1', 'act1', 'pool1']
    >>> scales[0].activation > scales[1].activation  # the sigmoid's slope is at most 1/4
    True
    """
    _check_batch(images, labels)
    model = copy.deepcopy(model).requires_grad_(True)
    records = _record_outputs(model)
    device = next(model.parameters()).device
    # Asking for the gradient of the images too keeps a first layer without weights in the graph.
    logits = model(images.detach().to(device).requires_grad_())
    cross_entropy(logits, labels.to(device)).backward()
    return [_scale(*record) for record in records]


def _record_outputs(model: nn.Module) -> list[tuple[str, nn.Module, Tensor]]:
    """Return a list to which every innermost layer will add its name, itself and its output."""
    names = {layer: name for name, layer in model.named_modules() if not list(layer.children())}
    records = []

    def record(layer: nn.Module, _: tuple, output: Tensor) -> None:
        output.retain_grad()
        records.append((names[layer], layer, output))

    for layer in names:
        layer.inplace = False  # an in-place ReLU would overwrite the output of the layer before it
        layer.register_forward_hook(record)
    return records


def _scale(name: str, layer: nn.Module, output: Tensor) -> LayerScale:
    """Read the scales of a layer off its output, after the backward pass."""
    signal = output.std(dim=0, correction=0).square().mean().sqrt().item()
    weight = getattr(layer, "weight", None)
    weight_gradient = None if weight is None else _spread(weight.grad)
    return LayerScale(name, _spread(output), signal, _spread(output.grad), weight_gradient)


def _spread(values: Tensor) -> float:
    return values.std(correction=0).item()


def _check_batch(images: Tensor, labels: Tensor) -> None:
    """Require two images or more, and a label for each."""
    check_tensor("images", images, IMAGES)
    if len(images) < 2 or labels.shape != images.shape[:1]:
        raise ValueError(
            "`images` and `labels` must hold at least 2 images and one label for each, "
            f"got shapes {tuple(images.shape)} and {tuple(labels.shape)}"
        )
