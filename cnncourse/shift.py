"""How often a classifier gives the same answer to two shifts of one image, and small networks.

The networks differ in one thing each. The first, ``circular``, gives every circular shift of an
image the same scores, bit for bit: with stride 1 and circular padding a shift of the input shifts
every feature map, and the largest number of a map does not depend on its place.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int64
from torch import Tensor, nn

from cnncourse._arguments import IMAGES, check_integer, check_tensor
from cnncourse.invariance import translate
from cnncourse.lenet import init_he, mlp
from cnncourse.pooling import blur_pool2d
from cnncourse.training import predict

SIDE = 28  # of the canvas, in pixels


@torch.no_grad()
def shift_consistency(
    model: Callable[[Tensor], Tensor],
    images: Float[Tensor, "n c h w"],
    max_shift: int,
    mode: str = "zeros",
    batch_size: int = 256,
) -> float:
    """Measure how often a classifier gives the same class to two shifts of one image.

    ``E[argmax model(T_1 x) = argmax model(T_2 x)]`` over the images x and over two independent
    shifts, each uniform on the (2 max_shift + 1)^2 shifts of at most ``max_shift`` pixels up, down,
    left and right. The expectation is exact: every image is classified under every shift once, and
    where a share p_k of the shifts gets class k, two of them agree with probability sum_k p_k^2.

    Parameters
    ----------
    model : callable
        From images (n, c, h, w) to class scores (n, classes). A module is copied and used in
        evaluation mode.
    images : Tensor of shape (n, c, h, w)
        n >= 1 images on the device of ``model``.
    max_shift : int
        Largest shift in pixels, 0 or larger. The cost is (2 max_shift + 1)^2 passes.
    mode : {"zeros", "circular"}, default "zeros"
        What comes in at the border, as in :func:`translate`.
    batch_size : int, default 256
        Images classified at a time; it changes the memory used, not the result.

    Returns
    -------
    float
        Share in (0, 1]; 1 means that no shift changes the class of any image.

    Raises
    ------
    TypeError
        If ``images`` is not a floating-point tensor, or a number is not an integer.
    ValueError
        If ``images`` is empty or not 4-D, ``max_shift`` < 0, ``batch_size`` < 1, ``mode`` is
        neither of the two, or the scores are not of shape (n, classes).

    Notes
    -----
    Classification consistency of Zhang (2019), Making convolutional networks shift-invariant
    again, who estimates the expectation from random pairs of crops.

    Examples
    --------
    >>> import torch
    >>> image = torch.zeros(1, 1, 5, 5)
    >>> image[0, 0, 2, 2] = 1
    >>> column_of_the_dot = lambda x: x.sum(dim=(1, 2))
    >>> round(shift_consistency(column_of_the_dot, image, max_shift=1), 3)
    0.333
    """
    check_tensor("images", images, IMAGES)
    check_integer("max_shift", max_shift, 0)
    check_integer("batch_size", batch_size, 1)
    if len(images) == 0:
        raise ValueError(f"`images` must hold at least one image, got shape {tuple(images.shape)}")
    model = copy.deepcopy(model).eval() if isinstance(model, nn.Module) else model
    shifts = list(product(range(-max_shift, max_shift + 1), repeat=2))
    agreement = 0.0
    for batch in images.split(batch_size):
        share = sum(_votes(model, translate(batch, dy, dx, mode)) for dy, dx in shifts) / len(
            shifts
        )
        agreement += share.square().sum().item()
    return agreement / len(images)


def _votes(model: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return a one in the column of the predicted class and zeros elsewhere, (n, classes)."""
    scores = model(images)
    if scores.ndim != 2 or len(scores) != len(images):
        raise ValueError(
            f"`model` must return scores of shape ({len(images)}, classes), "
            f"got {tuple(scores.shape)}"
        )
    return F.one_hot(scores.argmax(dim=1), scores.shape[1]).double()


def on_canvas(images: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 1 28 28"]:
    """Halve pictures of 28 x 28 pixels and lay them in the middle of an empty canvas of that size.

    So they can move by 7 pixels in each direction and lose nothing.

    Parameters
    ----------
    images : Tensor of shape (n, 1, 28, 28)
        White on black, such as MNIST's.

    Returns
    -------
    Tensor of shape (n, 1, 28, 28)
        Each pixel of the middle 14 x 14 is the mean of a square of 2 x 2; the rest is 0.

    Examples
    --------
    >>> import torch
    >>> on_canvas(torch.ones(1, 1, 28, 28)).sum()
    tensor(196.)
    """
    return F.pad(F.avg_pool2d(images, 2), (7, 7, 7, 7))


def shift_net(
    padding_mode: str = "circular",
    stride: int = 1,
    pool: Callable[[], nn.Module] = nn.Identity,
    dense: bool = False,
) -> nn.Sequential:
    """Build two convolutions and a linear layer for images of 28 x 28, with He's weights.

    Parameters
    ----------
    padding_mode : {"circular", "zeros"}
        What the convolutions see beyond the border.
    stride : int
        Of the first convolution.
    pool : callable
        Called without arguments, gives the layer between the first ReLU and the second convolution.
    dense : bool
        Give the linear layer every place of every feature map, not the largest number of each map.

    Returns
    -------
    nn.Sequential
        (n, 1, 28, 28) to (n, 10).

    Examples
    --------
    >>> import torch
    >>> x, model = torch.rand(1, 1, 28, 28), shift_net()
    >>> torch.equal(model(x), model(translate(x, 3, -5, "circular")))
    True
    """
    features = nn.Sequential(
        nn.Conv2d(1, 8, 5, stride, padding=2, padding_mode=padding_mode),
        nn.ReLU(),
        pool(),
        nn.Conv2d(8, 16, 5, padding=2, padding_mode=padding_mode),
        nn.ReLU(),
    )
    maps = features(torch.zeros(1, 1, SIDE, SIDE))
    places = nn.Identity() if dense else nn.AdaptiveMaxPool2d(1)
    width = maps.numel() if dense else maps.shape[1]
    return init_he(nn.Sequential(*features, places, nn.Flatten(), nn.Linear(width, 10)))


class RandomShift(nn.Module):
    """Move each training image by its own random shift; leave images alone in evaluation mode.

    ``dy`` and ``dx`` are uniform on -max_shift .. max_shift, from torch's generator on the CPU.
    What leaves on one side comes in on the other, as in `translate` with ``circular``.

    Parameters
    ----------
    max_shift : int
        Pixels, 0 or larger.

    Examples
    --------
    >>> import torch
    >>> x = torch.eye(4)[None, None]
    >>> shifted = RandomShift(1)(x)
    >>> shifted.shape, bool(shifted.sum() == x.sum())
    (torch.Size([1, 1, 4, 4]), True)
    """

    def __init__(self, max_shift: int) -> None:
        super().__init__()
        self.max_shift = check_integer("max_shift", max_shift, 0)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Shift in training mode."""
        if not self.training:
            return x
        n, c, h, w = x.shape
        dy, dx = torch.randint(-self.max_shift, self.max_shift + 1, (2, n, 1)).to(x.device)
        rows = (torch.arange(h, device=x.device) - dy) % h
        columns = (torch.arange(w, device=x.device) - dx) % w
        image, channel = torch.arange(n)[:, None, None, None], torch.arange(c)[:, None, None]
        return x[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


class BlurMaxPool2d(nn.Module):
    """Take the maximum of each 2 x 2 window, then blur before every second one is kept.

    ``nn.MaxPool2d(2)`` with a blur between its two steps (Zhang 2019).

    Examples
    --------
    >>> import torch
    >>> BlurMaxPool2d()(torch.zeros(1, 8, 28, 28)).shape
    torch.Size([1, 8, 14, 14])
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c _ _"]:
        """Pool each channel."""
        return blur_pool2d(F.max_pool2d(x, kernel_size=2, stride=1), stride=2)


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "perceptron": lambda: init_he(mlp()),
    "circular": shift_net,
    "zeros": partial(shift_net, padding_mode="zeros"),
    "stride": partial(shift_net, stride=2),
    "max_pool": partial(shift_net, pool=partial(nn.MaxPool2d, 2)),
    "blur_pool": partial(shift_net, pool=BlurMaxPool2d),
    "dense": partial(shift_net, dense=True),
}


class ShiftCurve(NamedTuple):
    """What becomes of a classifier's answers when the images move by 0, 1, 2 ... pixels.

    ``accuracy`` is the share of right answers, ``consistency`` the share of answers that are those
    to the image at its place, ``change`` the largest difference of any score to what it was there.
    Each is over the images and four directions.
    """

    accuracy: list[float]
    consistency: list[float]
    change: list[float]


def shift_curve(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    max_shift: int,
    mode: str = "zeros",
) -> ShiftCurve:
    """Move images up, down, left and right by 0 to ``max_shift`` pixels, and ask for their class.

    Parameters
    ----------
    model : nn.Module
        From images to scores (n, classes); used in evaluation mode.
    images : Tensor of shape (n, c, h, w)
        At their place.
    labels : Tensor of shape (n,)
        The right answers.
    max_shift : int
        Pixels, 0 or larger.
    mode : {"zeros", "circular"}
        What comes in at the border, as in `translate`.

    Returns
    -------
    ShiftCurve
        Three lists of max_shift + 1 numbers.

    Examples
    --------
    >>> import torch
    >>> model, image = nn.Flatten(), torch.tensor([[[[0.0, 5.0, 0.0]]]])
    >>> shift_curve(model, image, torch.tensor([1]), 1).accuracy
    [1.0, 0.0]
    """
    check_integer("max_shift", max_shift, 0)
    still = predict(model, images)
    rows = []
    for s in range(max_shift + 1):
        moves = [(s, 0), (-s, 0), (0, s), (0, -s)]
        scores = torch.stack([predict(model, translate(images, *move, mode)) for move in moves])
        answers = scores.argmax(2)
        right, same = answers == labels, answers == still.argmax(1)
        rows.append((right.double().mean(), same.double().mean(), (scores - still).abs().max()))
    return ShiftCurve(*([value.item() for value in column] for column in zip(*rows, strict=True)))
