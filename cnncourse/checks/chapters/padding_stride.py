"""What size comes out, how to keep it, and what to put around a picture."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Generator, Tensor

from cnncourse.checks.exercise import (
    Case,
    Exercise,
    Mistake,
    decimals,
    distinct_numbers,
    whole_numbers,
)
from cnncourse.padding_stride import conv_output_size, same_padding, usage_count
from cnncourse.windows import Axis

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


def uses(n: int, k: int, stride: int, padding: int, dilation: int) -> Tensor:
    """Count the windows of each pixel of one axis: a picture of one row has the same columns."""
    return usage_count((1, n), (1, k), (1, stride), (0, padding), (1, dilation))[0]


def _padded_uses(n: int, k: int, stride: int, padding: int, dilation: int) -> Tensor:
    """Count for each pixel of the padded axis."""
    return uses(n + 2 * padding, k, stride, 0, dilation)


def _folded_uses(n: int, k: int, stride: int, padding: int, dilation: int) -> Tensor:
    """Count with negative indices, which in Python begin at the end."""
    seen = Axis(k, stride, padding, padding, dilation).seen(n)
    return torch.bincount(seen[seen < n] % n, minlength=n)


def _without_last_window(n: int, k: int, stride: int, padding: int, dilation: int) -> Tensor:
    axis = Axis(k, stride, padding, padding, dilation)
    seen = axis.seen(n)[:-1]
    return torch.bincount(seen[(seen >= 0) & (seen < n)], minlength=n)


PIXEL_USES = Exercise(
    name="pixel_uses",
    signature="pixel_uses(n, k, stride, padding, dilation)",
    title="Who looks at this pixel?",
    minutes=20,
    difficulty="medium",
    points=2,
    prerequisites=("your `output_size`",),
    graded="one whole number for each pixel, also where a window lies in the padding or has holes",
    reference=uses,
    cases=axes,
    mistakes=(
        Mistake(
            "The padding has numbers of its own: count for the n pixels of the picture only.",
            _padded_uses,
        ),
        Mistake(
            "The pixels are shifted: the first window begins at pixel -padding, not at pixel 0.",
            lambda n, k, s, p, d: _padded_uses(n, k, s, p, d)[:n],
        ),
        Mistake(
            "A window that begins at pixel -1 counts for the last pixel: in Python, a negative "
            "index begins at the end. Leave out what is smaller than 0.",
            _folded_uses,
        ),
        Mistake(
            "The last window is not counted.",
            _without_last_window,
        ),
        Mistake(
            "The padding is not used.",
            lambda n, k, s, p, d: uses(n, k, s, 0, d) if d * (k - 1) < n else torch.zeros(0),
        ),
        Mistake(
            "The holes of a dilated kernel are counted. A window sees only the pixels under its "
            "weights.",
            lambda n, k, s, p, d: uses(n, _span(k, d), s, p, 1),
        ),
        Mistake(
            "The dilation is not used: a kernel with holes reaches further.",
            lambda n, k, s, p, d: uses(n, k, s, p, 1),
        ),
        Mistake(
            "The stride is not used.",
            lambda n, k, s, p, d: uses(n, k, 1, p, d),
        ),
        Mistake(
            "This says whether a pixel is seen. How often is it?",
            lambda n, k, s, p, d: uses(n, k, s, p, d).clamp(max=1),
        ),
        Mistake(
            "This counts the pixels that no window sees. Return a number for each pixel.",
            lambda n, k, s, p, d: (uses(n, k, s, p, d) == 0).sum(),
        ),
    ),
    hints=(
        "Draw the windows below the row of pixels, as the chapter does, and count downwards.",
        "Two loops: over the windows t and over the weights b. Window t sees, with weight b, the "
        "pixel t * stride + b * dilation - padding, if there is such a pixel.",
        "counts = torch.zeros(n, dtype=torch.long). For each t below output_size(...) and each b "
        "below k: pixel = t * stride + b * dilation - padding; if 0 <= pixel < n, add 1 there.",
    ),
)

SAME_PADDING = Exercise(
    name="same_padding",
    signature="same_padding(k, dilation)",
    title="Keep the size",
    minutes=10,
    difficulty="easy",
    points=1,
    prerequisites=("padding per side", "dilation"),
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


# Shape of the picture, shape of the kernel, stride. With (1, 1) one copy is painted; a stride
# beyond the kernel leaves zeros between the copies.
PAINTINGS = [
    ((1, 2), (1, 2), 2),
    ((2, 1), (2, 1), 1),
    ((1, 1), (2, 3), 2),
    ((1, 3), (2, 3), 2),
    ((2, 2), (1, 2), 3),
    ((2, 3), (3, 2), 1),
    ((3, 2), (3, 3), 2),
    ((2, 4), (2, 2), 2),
    ((3, 4), (4, 3), 3),
]


def paintings(random: Generator) -> list[Case]:
    """Draw pictures and kernels of whole numbers in float32, then two of decimals in float64."""
    small = [
        Case(whole_numbers(random, *x), distinct_numbers(random, *k), s) for x, k, s in PAINTINGS
    ]
    fine = [
        Case(decimals(random, *x), decimals(random, *k), s)
        for x, k, s in (((4, 3), (3, 2), 2), ((3, 5), (2, 4), 3))
    ]
    return small + fine


def painted(x: Tensor, kernel: Tensor, sh: int, sw: int | None = None) -> Tensor:
    """Paint copies; the check would refuse torch's own function in the reference too."""
    sw = sh if sw is None else sw
    (h, w), (kh, kw) = x.shape, kernel.shape
    y = x.new_zeros((h - 1) * sh + kh, (w - 1) * sw + kw)
    for i, j in product(range(h), range(w)):
        y[i * sh : i * sh + kh, j * sw : j * sw + kw] += x[i, j] * kernel
    return y


def _painted_over(x: Tensor, kernel: Tensor, s: int) -> Tensor:
    """Let a later copy cover the earlier ones."""
    y, (kh, kw) = torch.zeros_like(painted(x, kernel, s)), kernel.shape
    for i, j in product(*map(range, x.shape)):
        y[i * s : i * s + kh, j * s : j * s + kw] = x[i, j] * kernel
    return y


PAINT_COPIES = Exercise(
    name="paint_copies",
    signature="paint_copies(x, kernel, stride)",
    title="Paint copies",
    minutes=30,
    difficulty="hard",
    points=3,
    prerequisites=("stride", "the way back up"),
    graded="values, shape and dtype for any size, without torch's convolutions",
    reference=painted,
    cases=paintings,
    forbidden=("conv",),
    mistakes=(
        Mistake(
            "Where copies overlap, the later one covers the earlier one. They must add.",
            _painted_over,
        ),
        Mistake(
            "The copies of the kernel are turned. Every pixel paints the kernel as it is.",
            lambda x, kernel, s: painted(x, kernel.flip(0, 1), s),
        ),
        Mistake(
            "The copies are one pixel too far apart: between neighbours lie stride - 1 zeros.",
            lambda x, kernel, s: painted(x, kernel, s + 1),
        ),
        Mistake(
            "The copies lie side by side at a distance of one pixel: the stride is not used.",
            lambda x, kernel, s: painted(x, kernel, 1),
        ),
        Mistake(
            "The stride is used for the rows only.",
            lambda x, kernel, s: painted(x, kernel, s, 1),
        ),
        Mistake(
            "The stride is used for the columns only.",
            lambda x, kernel, s: painted(x, kernel, 1, s),
        ),
        Mistake(
            "Picture and kernel are exchanged: the pixels paint copies of the kernel.",
            lambda x, kernel, s: painted(kernel, x, s),
        ),
        Mistake(
            "The last copies are cut off: the result has (h - 1) * stride + kh rows, and as many "
            "columns with w and kw.",
            lambda x, kernel, s: painted(x, kernel, s)[: s * x.shape[0], : s * x.shape[1]],
        ),
        Mistake(
            "The result is larger than the last copy: (h - 1) * stride + kh rows are enough, and "
            "as many columns with w and kw.",
            lambda x, kernel, s: F.pad(painted(x, kernel, s), (0, s - 1, 0, s - 1)),
        ),
        Mistake(
            "The pixels are spread out, and no copy is painted: this is the kernel (1).",
            lambda x, kernel, s: painted(x, torch.ones_like(kernel[:1, :1]), s),
        ),
        Mistake(
            "The result is transposed.",
            lambda x, kernel, s: painted(x, kernel, s).T,
        ),
    ),
    hints=(
        "The last pixel, (h - 1, w - 1), paints its copy from row (h - 1) * stride on. Where does "
        "this copy end? That is the size of the result.",
        "Start with zeros. A loop over the pixels (i, j) of x adds x[i, j] * kernel to one block "
        "of kh rows and kw columns. Where does the block begin?",
        "y[i * stride : i * stride + kh, j * stride : j * stride + kw] += x[i, j] * kernel.",
    ),
)

EXERCISES = (OUTPUT_SIZE, PIXEL_USES, SAME_PADDING, REFLECT_PAD, PAINT_COPIES)
