"""How often a classifier gives the same answer to two shifts of one image, and networks to ask.

The networks of ``NETWORKS`` differ from ``circular`` in one thing each, and ``blur_pool`` from
``max_pool``. ``circular`` gives every circular shift of an image the same scores, bit for bit: with
stride 1 and circular padding a shift of the input shifts every feature map, and the largest number
of a map does not depend on its place.

Not handled: shifts by a fraction of a pixel, and the crops that others shift by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int64
from torch import Tensor, nn

from cnncourse._arguments import IMAGES, check_choice, check_integer, check_not_empty, check_tensor
from cnncourse.invariance import evaluation_copy, translate
from cnncourse.lenet import init_he, mlp
from cnncourse.pooling import blur_pool2d
from cnncourse.training import predict

SIDE = 28  # of the canvas, in pixels
MODES = ("circular", "zeros")


@torch.no_grad()
def shift_consistency(
    model: Callable[[Tensor], Tensor],
    images: Float[Tensor, "n c h w"],
    max_shift: int,
    mode: str = "zeros",
    batch_size: int = 256,
) -> float:
    """Measure how often a classifier gives the same class to two shifts of one image.

    Each of the two is drawn from all (2 max_shift + 1)^2 shifts by at most ``max_shift`` pixels up,
    down, left and right (Zhang 2019 estimates this from random pairs). Here it is exact: every
    image is classified once under every shift, and where a share p_k of the shifts gets class k,
    two of them agree with probability ``sum_k p_k^2``. 1 means that no shift changes any class.

    Parameters
    ----------
    model : callable
        From images to class scores (n, classes). A module is measured as a copy in evaluation mode.
    mode : {"zeros", "circular"}, default "zeros"
        What comes in at the border, as in ``translate``.
    batch_size : int, default 256
        Images classified at a time; it changes the memory used, not the result.

    Examples
    --------
    >>> image = torch.zeros(1, 1, 5, 5)
    >>> image[0, 0, 2, 2] = 1
    >>> column_of_the_dot = lambda x: x.sum(dim=(1, 2))
    >>> round(shift_consistency(column_of_the_dot, image, max_shift=1), 3)
    0.333
    """
    _check_consistency(images, max_shift, batch_size)
    model = evaluation_copy(model)
    pixels = range(-max_shift, max_shift + 1)
    shifts = [(dy, dx) for dy in pixels for dx in pixels]
    agreement = 0.0
    for batch in images.split(batch_size):
        votes = sum(_votes(model, translate(batch, dy, dx, mode)) for dy, dx in shifts)
        share = votes / len(shifts)  # p_k of every image, (n, classes)
        agreement += share.square().sum().item()
    return agreement / len(images)


class ShiftCurve(NamedTuple):
    """What becomes of a classifier's answers when the images move by 0, 1, 2 ... pixels.

    ``accuracy`` is the share of right answers, ``consistency`` the share of answers that are those
    to the image at its place, ``change`` the largest difference of any score to what it was there.
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

    The model is used in evaluation mode; ``mode`` says what comes in at the border, as in
    ``translate``. Each number is over all images and the four directions.

    Examples
    --------
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


def on_canvas(images: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 1 28 28"]:
    """Halve pictures and lay them in the middle of an empty canvas of the size they had.

    Each pixel is the mean of a square of 2 x 2. The pictures are white on black, such as MNIST's;
    then they can move by 7 pixels in each direction and lose nothing.

    Examples
    --------
    >>> on_canvas(torch.ones(1, 1, 28, 28)).sum()
    tensor(196.)
    """
    return F.pad(F.avg_pool2d(images, 2), (7, 7, 7, 7))


class RandomShift(nn.Module):
    """Move each training image by its own random shift; leave images alone in evaluation mode.

    ``dy`` and ``dx`` are uniform on -max_shift .. max_shift, from torch's generator on the CPU.
    What comes in at the border are the pixels that left on the other side, or zeros (``mode`` as in
    ``translate``).

    Examples
    --------
    >>> x = torch.eye(4)[None, None]
    >>> RandomShift(1)(x).sum(), torch.equal(RandomShift(1).eval()(x), x)
    (tensor(4.), True)
    """

    def __init__(self, max_shift: int, mode: str = "circular") -> None:
        super().__init__()
        self.max_shift = check_integer("max_shift", max_shift, 0)
        check_choice("mode", mode, MODES)
        self.border = self.max_shift if mode == "zeros" else 0

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Shift in training mode."""
        if not self.training:
            return x
        # With a border of zeros around them, it is zeros that come in on the other side.
        return F.pad(self.rolled(F.pad(x, (self.border,) * 4)), (-self.border,) * 4)

    def rolled(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Shift each image by its own random shift, circularly."""
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
    >>> BlurMaxPool2d()(torch.zeros(1, 8, 28, 28)).shape
    torch.Size([1, 8, 14, 14])
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c _ _"]:
        """Pool each channel."""
        return blur_pool2d(F.max_pool2d(x, kernel_size=2, stride=1), stride=2)


def shift_net(
    padding_mode: str = "circular",
    stride: int = 1,
    pool: Callable[[], nn.Module] = nn.Identity,
    dense: bool = False,
) -> nn.Sequential:
    """Build two convolutions and a linear layer for images of 28 x 28, with He's weights.

    Parameters
    ----------
    stride : int
        Of the first convolution.
    pool : callable
        Called without arguments, gives the layer between the first ReLU and the second convolution.
    dense : bool
        Give the linear layer every place of every feature map, not the largest number of each map.

    Examples
    --------
    >>> x, model = torch.rand(1, 1, 28, 28), shift_net()
    >>> torch.equal(model(x), model(translate(x, 3, -5, "circular")))
    True
    """
    pad = {"padding": 2, "padding_mode": padding_mode}
    features = nn.Sequential(
        nn.Conv2d(1, 8, 5, stride, **pad),
        nn.ReLU(),
        pool(),
        nn.Conv2d(8, 16, 5, **pad),
        nn.ReLU(),
    )
    maps = features(torch.zeros(1, 1, SIDE, SIDE))
    places = nn.Identity() if dense else nn.AdaptiveMaxPool2d(1)
    width = maps.numel() if dense else maps.shape[1]
    end = nn.Flatten(), nn.Linear(width, 10)
    return init_he(nn.Sequential(*features, places, *end))


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "perceptron": lambda: init_he(mlp()),
    "circular": shift_net,
    "zeros": partial(shift_net, padding_mode="zeros"),
    "stride": partial(shift_net, stride=2),
    "max_pool": partial(shift_net, pool=partial(nn.MaxPool2d, 2)),
    "blur_pool": partial(shift_net, pool=BlurMaxPool2d),
    "dense": partial(shift_net, dense=True),
}


def _votes(
    model: Callable[[Tensor], Tensor], images: Float[Tensor, "n c h w"]
) -> Float[Tensor, "n classes"]:
    """Return a one in the column of the predicted class and zeros elsewhere."""
    scores = model(images)
    if scores.ndim != 2 or len(scores) != len(images):
        raise ValueError(
            f"`model` must return scores of shape ({len(images)}, classes), "
            f"got {tuple(scores.shape)}"
        )
    return F.one_hot(scores.argmax(dim=1), scores.shape[1]).double()


def _check_consistency(images: Tensor, max_shift: int, batch_size: int) -> None:
    """Require images, and two numbers in their ranges."""
    check_tensor("images", images, IMAGES)
    check_not_empty("images", images)
    check_integer("max_shift", max_shift, 0)
    check_integer("batch_size", batch_size, 1)
