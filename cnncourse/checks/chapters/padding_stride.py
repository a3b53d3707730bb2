"""What size comes out, how to keep it, and what to put around a picture."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Generator, Tensor

from cnncourse.checks.exercise import Case, Exercise, Mistake, decimals, whole_numbers
from cnncourse.padding_stride import conv_output_size, same_padding

# n, k, stride, padding, dilation: first one thing at a time, then together. The last two pairs are
# the height and the width of two layers; in each the two axes have settings of their own.
AXES = [
    (5, 2, 1, 0, 1),
    (7, 3, 2, 0, 1),
    (8, 3, 2, 0, 1),
    (6, 3, 1, 2, 1),
    (9, 3, 1, 0, 3),
    (4, 4, 3, 0, 1),
    # Steps longer than the kernel, which leave pixels between the windows unseen.
    (9, 2, 5, 0, 1),
    (14, 3, 8, 0, 2),
    (10, 4, 4, 1, 1),
    (12, 2, 3, 1, 4),
    (28, 5, 1, 2, 1),
    *((8, 3, 3, 0, 1), (8, 5, 4, 1, 1)),
    *((224, 7, 2, 3, 1), (225, 3, 2, 0, 2)),
]


def axes(random: Generator) -> list[Case]:
    """List axes to work out by hand, then draw four on which the kernel fits."""
    drawn = torch.randint(1, 6, (4, 5), generator=random) + torch.tensor([25, 1, 1, 0, 0])
    return [Case(*numbers) for numbers in AXES + drawn.tolist()]


def _span(k: int, dilation: int) -> int:
    return dilation * (k - 1) + 1


OUTPUT_SIZE = Exercise(
    name="output_size",
    signature="output_size(n, k, stride, padding, dilation)",
    title="What size comes out?",
    minutes=15,
    difficulty="easy",
    points=2,
    prerequisites=("padding, stride and dilation",),
    graded="one integer, also where the division by the stride leaves a remainder",
    reference=conv_output_size,
    cases=axes,
    mistakes=(
        Mistake(
            "The padding is counted once. It is given per side, so it adds 2 * padding pixels.",
            lambda n, k, s, p, d: (n + p - _span(k, d)) // s + 1,
        ),
        Mistake(
            "It is rounded to the nearest integer. A window that only partly fits does not "
            "count: round down.",
            lambda n, k, s, p, d: round((n + 2 * p - _span(k, d)) / s) + 1,
        ),
        # Python rounds a half to the even neighbour, so it matters where the 1 is added.
        Mistake(
            "It is rounded to the nearest integer. A window that only partly fits does not "
            "count: round down.",
            lambda n, k, s, p, d: round((n + 2 * p - _span(k, d)) / s + 1),
        ),
        Mistake(
            "It is rounded up. A last window that only partly fits does not count: round down.",
            lambda n, k, s, p, d: -((_span(k, d) - n - 2 * p) // s) + 1,
        ),
        Mistake(
            "The 1 is added before the division. Divide the number of steps by the stride first, "
            "and then add 1 for the first window.",
            lambda n, k, s, p, d: (n + 2 * p - _span(k, d) + 1) // s,
        ),
        Mistake(
            "The first window is not counted: add 1 to the number of steps.",
            lambda n, k, s, p, d: (n + 2 * p - _span(k, d)) // s,
        ),
        Mistake(
            "The dilation is not used: a kernel with holes spans more pixels.",
            lambda n, k, s, p, d: (n + 2 * p - k) // s + 1,
        ),
        Mistake(
            "The kernel is counted as dilation * k pixels wide. Behind its last weight there is no "
            "gap: it spans dilation * (k - 1) + 1.",
            lambda n, k, s, p, d: (n + 2 * p - d * k) // s + 1,
        ),
        Mistake(
            "The dilation is counted as the number of pixels left out. Dilation 1 leaves out none.",
            lambda n, k, s, p, d: (n + 2 * p - _span(k, d + 1)) // s + 1,
        ),
        Mistake(
            "The kernel spans dilation * (k - 1) + 1 pixels; the + 1 is missing.",
            lambda n, k, s, p, d: (n + 2 * p - d * (k - 1)) // s + 1,
        ),
        Mistake(
            "The stride is not used.",
            lambda n, k, s, p, d: n + 2 * p - _span(k, d) + 1,
        ),
        Mistake(
            "The padding is not used.",
            lambda n, k, s, p, d: (n - _span(k, d)) // s + 1,
        ),
        Mistake(
            "The padding is subtracted; it makes the input larger.",
            lambda n, k, s, p, d: (n - 2 * p - _span(k, d)) // s + 1,
        ),
        Mistake(
            "The kernel is not used: this is the size for a kernel of 1.",
            lambda n, k, s, p, d: (n + 2 * p - 1) // s + 1,
        ),
        Mistake(
            "The size is divided by the stride, whatever the kernel and the padding are.",
            lambda n, k, s, p, d: math.ceil(n / s),
        ),
    ),
    hints=(
        "Draw the padded input as a row of boxes, and the kernel on the first of them. How many "
        "boxes are free to its right?",
        "The padded input has n + 2 * padding pixels. The kernel spans dilation * (k - 1) + 1. "
        "How many whole strides fit into what is left?",
        "(n + 2 * padding - dilation * (k - 1) - 1) // stride + 1.",
    ),
)

SAME_PADDING = Exercise(
    name="same_padding",
    signature="same_padding(k, dilation)",
    title="Keep the size",
    minutes=10,
    difficulty="easy",
    points=1,
    prerequisites=("your `output_size`",),
    graded="two integers, also for even kernels",
    returns=("before", "after"),
    reference=same_padding,
    cases=lambda random: [
        Case(k, dilation)
        for k, dilation in (
            *((3, 1), (1, 1), (5, 1), (2, 1), (4, 1), (3, 2), (2, 2), (2, 3), (4, 3), (1, 4)),
            *(torch.randint(2, 12, (3, 2), generator=random).tolist()),
        )
    ],
    mistakes=(
        Mistake(
            "All dilation * (k - 1) pixels stand before. Half of them go before and half after.",
            lambda k, d: (d * (k - 1),) * 2,
        ),
        Mistake(
            "Both sides get the same, so the output is one pixel too short where the number of "
            "pixels is odd. The extra one goes after.",
            lambda k, d: (d * (k - 1) // 2,) * 2,
        ),
        Mistake(
            "An odd number of pixels does not split evenly. The extra one goes after, not before.",
            lambda k, d: (d * (k - 1) - d * (k - 1) // 2, d * (k - 1) // 2),
        ),
        Mistake(
            "The dilation is not used: a kernel with holes reaches further.",
            lambda k, d: ((k - 1) // 2, k // 2),
        ),
        Mistake(
            "The dilation is not used, and both sides get k // 2.",
            lambda k, d: (k // 2, k // 2),
        ),
        Mistake(
            "The dilation multiplies k; it should multiply k - 1, the steps between the weights.",
            lambda k, d: (d * k // 2, d * k - d * k // 2),
        ),
        Mistake(
            "The dilation multiplies k; it should multiply k - 1, because behind the last weight "
            "there is no gap.",
            lambda k, d: ((d * k - 1) // 2, d * k // 2),
        ),
        Mistake(
            "The half is multiplied by the dilation. Multiply first: dilation * (k - 1) pixels are "
            "split in two.",
            lambda k, d: (d * ((k - 1) // 2), d * (k // 2)),
        ),
    ),
    hints=(
        "How many pixels does a convolution without padding take away from an axis, at stride 1? "
        "So many must be put there before.",
        "dilation * (k - 1) pixels in all. Half of them go before, rounded down where the number "
        "is odd. What is left goes after.",
        "total = dilation * (k - 1); return total // 2, total - total // 2.",
    ),
)

# Shape of the pictures, and pixels per side. A side of h pixels has h - 1 to reflect.
BORDERS = [
    ((1, 1, 2, 3), 1),
    ((1, 1, 3, 2), 1),
    ((1, 1, 3, 3), 2),
    ((1, 1, 3, 4), 2),
    ((1, 2, 2, 4), 1),
    ((2, 1, 3, 2), 0),
    ((2, 3, 5, 4), 3),
]


def borders(random: Generator) -> list[Case]:
    """Draw pictures of whole numbers in float32, then two of decimals in float64."""
    small = [Case(whole_numbers(random, *shape), p) for shape, p in BORDERS]
    fine = [
        Case(decimals(random, *shape), p) for shape, p in (((1, 1, 4, 4), 3), ((2, 2, 4, 6), 2))
    ]
    return small + fine


def reflected(x: Tensor, p: int) -> Tensor:
    """Reflect with numpy: the check would refuse torch's own function in the reference too."""
    border = ((0, 0), (0, 0), (p, p), (p, p))
    return torch.from_numpy(np.pad(x.numpy(), border, mode="reflect"))


def _mirrored(x: Tensor, before: int, after: int, near: int = 0, far: int = 0) -> Tensor:
    """Reflect; ``near`` and ``far`` are 1 where the border pixel appears twice."""
    rows, columns = (_mirror(side, before, after, near, far) for side in x.shape[-2:])
    return x[..., rows, :][..., columns]


def _mirror(side: int, before: int, after: int, near: int, far: int) -> Tensor:
    """Say which pixel of an axis stands at each place of the padded axis."""
    place = torch.arange(-before, side + after)
    place = torch.where(place < 0, -place - near, place)
    return torch.where(place >= side, 2 * (side - 1) + far - place, place)


def _unturned(x: Tensor, p: int) -> Tensor:
    """Copy what lies next to the border without turning it round."""
    x = torch.cat([x[..., 1 : p + 1, :], x, x[..., -1 - p : -1, :]], dim=-2)
    return torch.cat([x[..., 1 : p + 1], x, x[..., -1 - p : -1]], dim=-1)


REFLECT_PAD = Exercise(
    name="reflect_pad",
    signature="reflect_pad(x, p)",
    title="A mirror at the border",
    minutes=25,
    difficulty="medium",
    points=2,
    prerequisites=("slicing a tensor", "`flip`"),
    graded="values, shape and dtype, without torch's reflection padding",
    reference=reflected,
    cases=borders,
    forbidden=("reflection_pad",),
    mistakes=(
        Mistake(
            "The border pixels appear twice. The mirror stands on the border pixel, so the first "
            "one outside is its neighbour.",
            lambda x, p: _mirrored(x, p, p, near=1, far=1),
        ),
        Mistake(
            "Below and at the right the border pixel appears twice: x[..., -p:] holds the last "
            "one. Stop one before it.",
            lambda x, p: _mirrored(x, p, p, far=1),
        ),
        Mistake(
            "Above and at the left the border pixel appears twice: x[..., :p] holds the first one. "
            "Begin one further in.",
            lambda x, p: _mirrored(x, p, p, near=1),
        ),
        Mistake(
            "The border pixels are repeated. A mirror shows their neighbours, in reverse order.",
            lambda x, p: F.pad(x, (p, p, p, p), mode="replicate"),
        ),
        Mistake(
            "The pixels of the other side come in. A mirror shows those of the same side.",
            lambda x, p: F.pad(x, (p, p, p, p), mode="circular"),
        ),
        Mistake(
            "The border holds zeros.",
            lambda x, p: F.pad(x, (p, p, p, p)),
        ),
        Mistake(
            "The pixels beside the border are copied in their own order; a mirror turns it round.",
            _unturned,
        ),
        Mistake(
            "The corners are empty. Pad the rows first, and then the columns of the result.",
            lambda x, p: reflected(x, p) * _cross(x, p),
        ),
        Mistake(
            "Only the columns are padded: rows are missing above and below.",
            lambda x, p: reflected(x, p)[..., p : p + x.shape[-2], :],
        ),
        Mistake(
            "Only the rows are padded: columns are missing at the left and at the right.",
            lambda x, p: reflected(x, p)[..., p : p + x.shape[-1]],
        ),
        Mistake(
            "Only the upper and the left border are padded; p counts pixels per side.",
            lambda x, p: _mirrored(x, p, 0),
        ),
        Mistake(
            "Only the lower and the right border are padded; p counts pixels per side.",
            lambda x, p: _mirrored(x, 0, p),
        ),
        Mistake(
            "p is split between the two sides; it counts pixels per side.",
            lambda x, p: _mirrored(x, p // 2, p - p // 2),
        ),
    ),
    hints=(
        "Take one row, 1 2 3 4, and two pixels per side. Stand on the 1 and look to the right: "
        "what do you see first? That goes first to its left.",
        "The row 1 2 3 4 becomes 3 2 1 2 3 4 3 2. Left of it stands x[..., 1 : p + 1], turned "
        "round with .flip(-1). Which slice stands to its right?",
        "Write it for columns with torch.cat([left, x, right], dim=-1), where right is "
        "x[..., w - 1 - p : w - 1].flip(-1). Then do the same with the rows of the result.",
    ),
)


def _cross(x: Tensor, p: int) -> Tensor:
    """Mark all pixels of the padded picture but the corners."""
    h, w = x.shape[-2:]
    rows, columns = (F.pad(torch.ones(side), (p, p)) for side in (h, w))
    return (rows[:, None] + columns > 0).to(x.dtype)


EXERCISES = (OUTPUT_SIZE, SAME_PADDING, REFLECT_PAD)
