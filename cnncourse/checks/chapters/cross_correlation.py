"""Cross-correlation, convolution, kernels by design and from data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product

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
from cnncourse.checks.given import cross_correlation as given
from cnncourse.cross_correlation import convolve2d, corr2d, corr2d_windows
from cnncourse.datasets import load_part

# Height and width of picture and kernel: two square pairs, the others tell the axes apart. Some
# kernels are as large as the picture, or as its height: one number comes out, or one row.
SIZES = [
    ((2, 4), (1, 2)),
    ((4, 2), (2, 1)),
    ((3, 3), (2, 2)),
    ((2, 3), (2, 3)),
    ((3, 4), (3, 2)),
    ((3, 5), (2, 3)),
    ((6, 4), (3, 2)),
    ((5, 5), (3, 3)),
    ((6, 8), (4, 5)),
]


def pictures(random: Generator) -> list[Case]:
    """Draw pictures and kernels of whole numbers in float32, then three of decimals."""
    small = [Case(whole_numbers(random, *x), distinct_numbers(random, *k)) for x, k in SIZES]
    fine = [
        Case(*(decimals(random, *size, dtype=dtype) for size in sizes))
        for *sizes, dtype in (
            ((4, 4), (2, 2), torch.float64),
            ((4, 7), (3, 2), torch.float64),
            ((5, 3), (2, 2), torch.float32),
        )
    ]
    return small + fine


def _around(x: Tensor, kernel: Tensor) -> Tensor:
    """Let windows that leave the picture come in again on the other side."""
    kh, kw = kernel.shape
    return corr2d(F.pad(x[None, None], (0, kw - 1, 0, kh - 1), mode="circular")[0, 0], kernel)


CORR2D_MISTAKES = (
    Mistake(
        "This is what convolution gives: the kernel looks flipped. Cross-correlation takes it as "
        "it is.",
        lambda x, kernel: corr2d(x, kernel.flip(0, 1)),
    ),
    Mistake(
        "The kernel is turned by a negative index, `kernel[-a, -b]`: -0 is 0, so the first row "
        "stays. And cross-correlation does not turn it.",
        lambda x, kernel: corr2d(x, kernel.flip(0, 1).roll((1, 1), (0, 1))),
    ),
    Mistake(
        "The kernel looks flipped from left to right.",
        lambda x, kernel: corr2d(x, kernel.flip(1)),
    ),
    Mistake(
        "The kernel looks flipped from top to bottom.",
        lambda x, kernel: corr2d(x, kernel.flip(0)),
    ),
    Mistake(
        "The last row and the last column are missing: a picture of height h holds "
        "h - kh + 1 windows, not h - kh.",
        lambda x, kernel: corr2d(x, kernel)[:-1, :-1],
    ),
    Mistake(
        "The last row and the last column were never filled: the loops stop one step early.",
        lambda x, kernel: F.pad(corr2d(x, kernel)[:-1, :-1], (0, 1, 0, 1)),
    ),
    Mistake(
        "The products are averaged; they should be added.",
        lambda x, kernel: corr2d(x, kernel) / kernel.numel(),
    ),
    Mistake(
        "The pixels of a window are added without the kernel's weights.",
        lambda x, kernel: corr2d(x, torch.ones_like(kernel)),
    ),
    Mistake(
        "Only one product of each window is kept: add them with `+=` or `.sum()`.",
        lambda x, kernel: corr2d(x, kernel * _last(kernel)),
    ),
    Mistake(
        "The kernel jumps by its own size: the windows should overlap, one step apart.",
        lambda x, kernel: corr2d(x, kernel)[:: kernel.shape[0], :: kernel.shape[1]],
    ),
    Mistake(
        "The result is as large as the picture: keep only the places where the kernel fits.",
        lambda x, kernel: _as_large(x, kernel, before=[k // 2 for k in kernel.shape]),
    ),
    Mistake(
        "The result is as large as the picture: keep only the places where the kernel fits.",
        lambda x, kernel: _as_large(x, kernel, before=[(k - 1) // 2 for k in kernel.shape]),
    ),
    Mistake(
        "The windows leave the picture and come in again on the other side. Keep only the "
        "places where the kernel fits.",
        _around,
    ),
)

CORR2D = Exercise(
    name="corr2d",
    signature="corr2d(x, kernel)",
    title="Cross-correlation with two loops",
    minutes=10,
    difficulty="easy",
    points=1,
    prerequisites=("slicing a tensor",),
    graded="values, shape and dtype for any size, without torch's convolution",
    reference=corr2d,
    cases=pictures,
    forbidden=("conv",),
    mistakes=CORR2D_MISTAKES,
    hints=(
        "How many places along a side of 3 does a kernel of 2 fit in? That is the result's shape.",
        "The window that belongs to y[i, j] starts at x[i, j] and has the kernel's shape: slice "
        "it with x[i : i + kh, j : j + kw].",
        "y = x.new_zeros(h - kh + 1, w - kw + 1), two loops over its rows and columns, and in "
        "them y[i, j] = (window * kernel).sum().",
    ),
)


def _last(kernel: Tensor) -> Tensor:
    """Mark the weight that a loop without `+=` uses last."""
    mark = torch.zeros_like(kernel)
    mark[-1, -1] = 1
    return mark


def _as_large(x: Tensor, kernel: Tensor, before: list[int]) -> Tensor:
    """Put zeros around the picture so that the result is as large; kernels of even size choose."""
    (top, left), (kh, kw) = before, kernel.shape
    return corr2d(F.pad(x, (left, kw - 1 - left, top, kh - 1 - top)), kernel)


def sum_of_shifts(x: Tensor, kernel: Tensor) -> Tensor:
    """Add up one shifted picture for each weight."""
    h, w = (a - b + 1 for a, b in zip(x.shape, kernel.shape, strict=True))
    places = product(*map(range, kernel.shape))
    return sum(kernel[a, b] * x[a : a + h, b : b + w] for a, b in places)


def _shifted_back(x: Tensor, kernel: Tensor) -> Tensor:
    """Move the picture down and to the right, by zeros, where it should move up and to the left."""
    h, w = (a - b + 1 for a, b in zip(x.shape, kernel.shape, strict=True))
    places = product(*map(range, kernel.shape))
    return sum(kernel[a, b] * F.pad(x, (b, 0, a, 0))[:h, :w] for a, b in places)


def wide_pictures(random: Generator) -> list[Case]:
    """Add a picture of so many pixels that a step for each of them shows."""
    return [*pictures(random), Case(whole_numbers(random, 20, 24), distinct_numbers(random, 2, 3))]


CORR2D_SHIFTS = Exercise(
    name="corr2d_shifts",
    signature="corr2d_shifts(x, kernel)",
    returns=("y", "work"),
    title="A loop over the weights",
    minutes=20,
    difficulty="medium",
    points=2,
    prerequisites=("your `corr2d`",),
    graded="values, shape and dtype, and that a larger picture takes no more steps",
    reference=sum_of_shifts,
    cases=wide_pictures,
    probe=given.counted,
    forbidden=("conv", "unfold", "im2col", "as_strided", "fft"),
    mistakes=(
        Mistake(
            "The loop runs over the windows. There are many of them: let it run over the weights, "
            "and let each turn work on the whole picture.",
            corr2d,
        ),
        Mistake(
            "The picture is shifted the wrong way: weight (a, b) meets the pixels that lie a rows "
            "further down and b columns further right.",
            _shifted_back,
        ),
        *CORR2D_MISTAKES,
    ),
    hints=(
        "Take a kernel of a single row, (2, 5). The first weight multiplies every pixel but the "
        "last of its row. Which pixels does the second one multiply?",
        "All pixels that weight (a, b) meets are one slice of the picture, as large as the result: "
        "x[a : a + h - kh + 1, and the same with b].",
        "Start from zeros of the result's shape. For each a and b: y += kernel[a, b] * that slice.",
    ),
)


CONVOLVE2D = Exercise(
    name="convolve2d",
    signature="convolve2d(x, kernel)",
    title="Convolution in full",
    minutes=15,
    difficulty="medium",
    points=1,
    prerequisites=("your `corr2d`", "padding with zeros"),
    graded="values, shape and dtype for any size, without torch's convolution",
    reference=convolve2d,
    cases=pictures,
    forbidden=("conv",),
    mistakes=(
        Mistake(
            "The kernel is not flipped: this is cross-correlation with a border of zeros.",
            lambda x, kernel: convolve2d(x, kernel.flip(0, 1)),
        ),
        Mistake(
            "The kernel is flipped from top to bottom only; flip both axes.",
            lambda x, kernel: convolve2d(x, kernel.flip(1)),
        ),
        Mistake(
            "The kernel is flipped from left to right only; flip both axes.",
            lambda x, kernel: convolve2d(x, kernel.flip(0)),
        ),
        Mistake(
            "The border of zeros is missing: count every place where the two overlap at all.",
            lambda x, kernel: corr2d(x, kernel.flip(0, 1)),
        ),
        Mistake(
            "The border is missing and the kernel is not flipped: this is corr2d.",
            corr2d,
        ),
        Mistake(
            "The result has the size of the picture; in full it has h + kh - 1 rows and "
            "w + kw - 1 columns.",
            lambda x, kernel: convolve2d(x, kernel, mode="same"),
        ),
        Mistake(
            "The border is too wide: kh - 1 rows and kw - 1 columns on each side are enough.",
            lambda x, kernel: _bordered(x, kernel, kernel.shape),
        ),
        Mistake(
            "The border is too wide: kh - 1 rows on each side, not split and not doubled.",
            lambda x, kernel: _bordered(x, kernel, [2 * (k - 1) for k in kernel.shape]),
        ),
        Mistake(
            "Height and width of the border are swapped: kh - 1 rows above and below, "
            "kw - 1 columns left and right.",
            lambda x, kernel: _bordered(x, kernel, [k - 1 for k in kernel.shape[::-1]]),
        ),
        Mistake(
            "The border is on one side only: put kh - 1 rows above and below, and kw - 1 columns "
            "left and right.",
            lambda x, kernel: convolve2d(x, kernel)[: x.shape[0], : x.shape[1]],
        ),
    ),
    hints=(
        "In full, the result counts every place where kernel and picture share a pixel. How many "
        "zeros must lie around the picture for that?",
        "Two steps, and you have a function for the second: a border of kh - 1 rows and kw - 1 "
        "columns of zeros on each side, then corr2d with another kernel. Which one?",
        "padded = x.new_zeros(h + 2 * (kh - 1), w + 2 * (kw - 1)), put x in its middle, and return "
        "corr2d(padded, kernel.flip(0, 1)).",
    ),
)


def _bordered(x: Tensor, kernel: Tensor, border: Sequence[int]) -> Tensor:
    """Correlate with the flipped kernel, with this many rows and columns of zeros a side."""
    rows, columns = border
    return corr2d(F.pad(x, (columns, columns, rows, rows)), kernel.flip(0, 1))


def diagonal_difference(direction: tuple[float, float]) -> Tensor:
    """Return the slope along ``direction`` as a kernel of three weights: one right answer."""
    dy, dx = direction
    return torch.tensor([[-dy - dx, dx], [dy, 0.0]])


def judge_edge_kernel(kernel: Tensor, direction: tuple[float, float]) -> str:
    """Compare what a kernel makes of a flat picture and of two ramps with the direction."""
    if kernel.ndim != 2:
        return f"A kernel has two axes; this one has shape {tuple(kernel.shape)}."
    weights = kernel.double()
    rows, columns = (torch.arange(size).double() for size in weights.shape)
    down, across = weights.sum(1) @ rows, weights.sum(0) @ columns
    answers = tuple(round(slope.item(), 4) + 0.0 for slope in (down, across))
    if abs(weights.sum()) > SLACK:
        return f"A flat picture of ones gives {weights.sum():.4g}, not 0: it has no edge."
    return _compare_slopes(answers, direction) or _judge_noise(weights, direction)


def _judge_noise(weights: Tensor, direction: tuple[float, float]) -> str:
    """Ask that noise stays small beside a slope: other weights may hide behind a ramp."""
    louder = weights.norm().item() / math.hypot(*direction)
    if louder <= NOISE:
        return ""
    return (
        f"Slopes come out right, but noise comes out {louder:.3g} times as large as a slope of the "
        f"same size; {NOISE} times is the most. Which weights cancel on every ramp?"
    )


# The usual kernel of three weights makes at most the root of 3 of it.
NOISE = 3
SLACK = 1e-3  # rounding of a handful of float32 weights that a learner may have typed


def _compare_slopes(answers: tuple[float, float], direction: tuple[float, float]) -> str:
    if _near(answers, direction):
        return ""
    if _near(answers, [-slope for slope in direction]):
        return "The sign is reversed: brightness that grows along the direction counts as positive."
    if _near(answers, direction[::-1]):
        return "Height and width are swapped: direction is (dy, dx), down first, then right."
    if _is_multiple(answers, direction):
        return (
            f"The orientation is right, the size is not: a slope of 1 along rows and columns gives "
            f"{answers}, not {direction}."
        )
    return (
        f"A picture that grows by 1 a row gives {answers[0]:g}, not {direction[0]:g}; one that "
        f"grows by 1 a column gives {answers[1]:g}, not {direction[1]:g}."
    )


def _near(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(abs(one - other) <= SLACK for one, other in zip(a, b, strict=True))


def _is_multiple(answers: tuple[float, float], direction: tuple[float, float]) -> bool:
    """Tell whether two slopes point the same way."""
    across = answers[0] * direction[1] - answers[1] * direction[0]
    along = answers[0] * direction[0] + answers[1] * direction[1]
    return abs(across) <= SLACK and along > SLACK


EDGE_KERNEL = Exercise(
    name="edge_kernel",
    signature="edge_kernel(direction)",
    title="An edge detector for any direction",
    minutes=20,
    difficulty="medium",
    points=2,
    prerequisites=("edge kernels",),
    graded="what the kernel makes of a flat picture, of ramps and of noise, for any direction",
    reference=diagonal_difference,
    cases=lambda random: [
        Case((2.0, 1.0)),
        Case((0.0, 1.0)),
        Case((1.0, 0.0)),
        Case((0.6, 0.8)),
        Case((-2.0, 1.0)),
        Case(tuple(whole_numbers(random, 2).tolist())),
        Case(tuple((0.1 + torch.rand(2, generator=random)).tolist())),
    ],
    accepts=judge_edge_kernel,
    hints=(
        "Begin with two directions you know: (0, 1) asks for the change from left to right, "
        "(1, 0) for the change from top to bottom. Write both kernels down.",
        "Make the two kernels the same size, padding with zeros where needed. What is the slope "
        "along (dy, dx), when the slopes along rows and along columns are known?",
        "Down: [[-1, 0], [1, 0]]. Across: [[-1, 1], [0, 0]]. Return dy * down + dx * across.",
    ),
)


def judge_second_derivative(kernel: Tensor) -> str:
    """Compare what a kernel makes of the signals 1, j and j * j with 0, 0 and 2."""
    if kernel.ndim != 1 or len(kernel) != 3:
        return (
            f"A tensor of shape (3,) is expected, not {tuple(kernel.shape)}: three numbers are "
            f"needed for a second difference, and enough."
        )
    left, middle, right = kernel.double().tolist()
    flat, ramp, bowl = left + middle + right, right - left, right + left
    if abs(flat) > SLACK:
        return f"A constant signal of ones gives {flat:.4g}, not 0."
    if abs(ramp) > SLACK:
        return f"A straight ramp 0, 1, 2, ... gives {ramp:.4g}: that is a first derivative."
    if abs(bowl + 2) <= SLACK:
        return "The sign is reversed: the signal 0, 1, 4, 9, ... bends upwards and gives 2."
    return f"The signal 0, 1, 4, 9, ... gives {bowl:.4g}, not 2." if abs(bowl - 2) > SLACK else ""


SECOND_DERIVATIVE_KERNEL = Exercise(
    name="second_derivative_kernel",
    signature="second_derivative_kernel()",
    title="The second derivative",
    minutes=10,
    difficulty="easy",
    points=1,
    prerequisites=("the difference kernel (-1, 1)",),
    graded="what the kernel makes of a constant, of a ramp and of the square numbers",
    reference=lambda: torch.tensor([1.0, -2.0, 1.0]),
    cases=lambda random: [Case()],
    accepts=judge_second_derivative,
    hints=(
        "A second derivative is the derivative of the derivative. What does (-1, 1) do to a "
        "signal, and what does it do to the result?",
        "Take three values a, b, c. Their differences are b - a and c - b. What is the difference "
        "of these?",
        "(c - b) - (b - a): read off how often a, b and c are counted.",
    ),
)


def least_squares(x: Tensor, y: Tensor, kernel_size: tuple[int, int]) -> Tensor:
    """Return the kernel for which ``corr2d(x, kernel)`` is nearest to ``y``, without any steps."""
    kh, kw = kernel_size
    windows = x.unfold(0, kh, 1).unfold(1, kw, 1).reshape(-1, kh * kw)
    return (torch.linalg.pinv(windows) @ y.flatten()).reshape(kh, kw)


CONVERGED = 0.02  # of the size of y: a hundred small steps too few miss more


def nearest_kernel(x: Tensor, y: Tensor) -> Tensor:
    """Return the kernel whose map of ``x`` is nearest to ``y``; the map's shape tells its size."""
    return least_squares(x, y, tuple(a - b + 1 for a, b in zip(x.shape, y.shape, strict=True)))


def kernel_if_any(x: Tensor, y: Tensor) -> Tensor | None:
    """Return a kernel that makes ``y``, or None where the nearest one misses it."""
    kernel = nearest_kernel(x, y)
    return kernel if _missed(kernel, x, y) <= CONVERGED else None


def judge_kernel_between(kernel: Tensor | None, x: Tensor, y: Tensor) -> str:
    """Say how well a kernel explains ``y``, and which turned kernel would do better."""
    if kernel is None:
        return ""
    shape, wanted = tuple(kernel.shape), tuple(nearest_kernel(x, y).shape)
    if shape != wanted:
        swapped = "Height and width are swapped: " if shape[::-1] == wanted else ""
        return f"{swapped}the kernel has shape {shape}; a map of the shape of y asks for {wanted}."
    if kernel.dtype != x.dtype:
        got, wanted = (str(one.dtype).removeprefix("torch.") for one in (kernel, x))
        return f"The kernel is in {got} where x has {wanted}: keep its dtype."
    return _judge_map(*(one.double() for one in (kernel, x, y)))


def _judge_map(kernel: Tensor, x: Tensor, y: Tensor) -> str:
    missed = _missed(kernel, x, y)
    if missed <= CONVERGED:
        return ""
    turned = {"rotated by 180°": kernel.flip(0, 1), "of the opposite sign": -kernel}
    better = [how for how, other in turned.items() if _missed(other, x, y) <= CONVERGED]
    return f"The kernel is {better[0]}." if better else _explain_missed(missed)


def _missed(kernel: Tensor, x: Tensor, y: Tensor) -> float:
    return ((corr2d_windows(x, kernel) - y).norm() / y.norm()).item()


def _explain_missed(missed: float) -> str:
    if missed > 10:
        return "The kernel has grown far too large: take smaller steps."
    if missed > 0.8:
        return "The kernel explains nothing of y: is it changed by the gradient at all?"
    return (
        f"The kernel's map misses y by {100 * missed:.0f} %. There is one that makes y: if you "
        f"learn by steps, take more of them."
    )


# Four windows of 2 by 3 cannot determine six weights: many kernels make the same map. These are at
# nearly right angles, so that learning by steps is quick.
SMALL = [[1.0, 1.0, -1.0, 2.0], [-2.0, -1.0, -2.0, 2.0], [-1.0, -1.0, 1.0, -2.0]]


def pictures_and_maps(random: Generator) -> list[Case]:
    """Draw pictures with what a kernel makes of them, or with what no kernel can make."""
    noise = decimals(random, 9, 8, dtype=torch.float32)
    made = corr2d(noise, distinct_numbers(random, 2, 3))
    largest = F.max_pool2d(noise[None, None], (2, 2), stride=1)[0, 0]
    return [
        _made(random, decimals(random, 4, 6, dtype=torch.float32), 1, 2),
        _made(random, decimals(random, 8, 7, dtype=torch.float32), 3, 2),
        _made(random, torch.tensor(SMALL), 2, 3),
        _made(random, decimals(random, 9, 12), 2, 3),
        *(Case(noise, y) for y in (made + made.std() * 2, made.abs(), largest)),
    ]


def _made(random: Generator, x: Tensor, kh: int, kw: int) -> Case:
    return Case(x, corr2d(x, distinct_numbers(random, kh, kw, dtype=x.dtype)))


KERNEL_BETWEEN = Exercise(
    name="kernel_between",
    signature="kernel_between(x, y)",
    title="The kernel between two pictures",
    minutes=30,
    difficulty="hard",
    points=3,
    prerequisites=("learning a kernel, or least squares", "the matrix of windows"),
    graded=f"that your kernel maps x to y within {100 * CONVERGED:.0f} %, its shape and dtype, and "
    "None where there is no such kernel",
    reference=kernel_if_any,
    cases=pictures_and_maps,
    accepts=judge_kernel_between,
    mistakes=(
        Mistake(
            "No kernel makes this y. Compare the map of your kernel with y before you return it.",
            lambda x, y: nearest_kernel(x, y) if kernel_if_any(x, y) is None else None,
        ),
        Mistake("Here is a kernel that makes y, and the answer says None.", lambda x, y: None),
    ),
    hints=(
        "How many rows has the map of a kernel of kh rows? Turn that round: x and y have told you "
        "the kernel's shape.",
        "Every window of x, laid out as a row, times the kernel's weights is one number of y: a "
        "system of linear equations. torch.linalg.pinv solves it as well as it can be solved; "
        "learning by steps finds such a kernel too.",
        "windows = x.unfold(0, kh, 1).unfold(1, kw, 1).reshape(-1, kh * kw), then "
        "torch.linalg.pinv(windows) @ y.flatten(). Is windows @ kernel - y small beside y? If not, "
        "return None.",
    ),
)


# Programs with one fault each: what the fault is, and what the program gives.
FAULTS = {
    "turns the kernel by 180°": lambda x, kernel: corr2d(x, kernel.flip(0, 1)),
    "mirrors the kernel from left to right": lambda x, kernel: corr2d(x, kernel.flip(1)),
    "turns the kernel upside down": lambda x, kernel: corr2d(x, kernel.flip(0)),
    "transposes the kernel": lambda x, kernel: corr2d(x, kernel.T),
    "transposes the result": lambda x, kernel: corr2d(x, kernel).T,
    "leaves the last row and column at zero": lambda x, kernel: F.pad(
        corr2d(x, kernel)[:-1, :-1], (0, 1, 0, 1)
    ),
    "forgets the signs of the weights": lambda x, kernel: corr2d(x, kernel.abs()),
    "multiplies by the first weight only": lambda x, kernel: corr2d(
        x, kernel[0, 0].expand_as(kernel)
    ),
}
LARGEST_X, LARGEST_KERNEL = (3, 4), (2, 2)


def judge_test(test: Sequence) -> str:
    """Say which faulty program a picture and a kernel do not tell from ``corr2d``."""
    if refusal := _refuse_test(test):
        return refusal
    x, kernel = (one.double() for one in test)
    unseen = [fault for fault, program in FAULTS.items() if _agrees(program, x, kernel)]
    if not unseen:
        return ""
    more = f", nor {len(unseen) - 1} other{'s' if len(unseen) > 2 else ''}" if unseen[1:] else ""
    return f"Your test does not notice the program that {unseen[0]}{more}."


def _refuse_test(test: Sequence) -> str:
    if len(test) != 2 or not all(isinstance(one, Tensor) and one.ndim == 2 for one in test):
        return "Return two tensors, the picture and the kernel, each with two axes."
    for name, one, most in zip(["x", "kernel"], test, (LARGEST_X, LARGEST_KERNEL), strict=True):
        if any(a > b or not a for a, b in zip(one.shape, most, strict=True)):
            return f"`{name}` has shape {tuple(one.shape)}; at most {most} is allowed."
    if any(a < b for a, b in zip(test[0].shape, test[1].shape, strict=True)):
        return "The kernel is larger than the picture."
    return ""


def _agrees(program: Callable, x: Tensor, kernel: Tensor) -> bool:
    """Tell whether a faulty program gets this one right."""
    try:
        value = program(x, kernel)
    except ValueError:  # it stops: the fault shows
        return False
    right = corr2d(x, kernel)
    return value.shape == right.shape and torch.allclose(value, right, rtol=1e-3, atol=1e-3)


BREAK_THIS_TEST = Exercise(
    name="break_this_test",
    signature="break_this_test()",
    returns=("x", "kernel"),
    title="A test that sees every fault",
    minutes=15,
    difficulty="medium",
    points=2,
    prerequisites=("your `corr2d`", "convolution turns the kernel"),
    graded=f"that {len(FAULTS)} faulty programs give other results than `corr2d`",
    reference=lambda: (
        torch.arange(12.0).reshape(3, 4).square(),
        torch.tensor([[1.0, -2.0], [3.0, 4.0]]),
    ),
    cases=lambda random: [Case()],
    accepts=judge_test,
    hints=(
        "Which kernels stay the same when they are turned? And which results stay the same when "
        "they are transposed?",
        "No two weights may be equal, none may be 0, and their signs must differ. The result must "
        "not be square, and no two windows of the picture should look alike.",
        "Four different weights such as 1, -2, 3, 4, and a picture of 3 rows and 4 columns that "
        "holds the squares 0, 1, 4, 9 and so on.",
    ),
)


SNEAKER, TROUSER = 7, 1  # classes of Fashion-MNIST
SOLE, LEGS = slice(14, 28), slice(9, 24)  # rows
TIMES = 3


def judge_sole_kernel(kernel: Tensor) -> str:
    """Compare what a kernel makes of the soles of sneakers and of the legs of trousers."""
    if kernel.ndim != 2 or not 1 <= max(kernel.shape) <= 5:
        return f"A kernel of at most 5 rows and 5 columns is asked for, not {tuple(kernel.shape)}."
    sole, legs = (_strength(kernel.double(), *part) for part in ((SNEAKER, SOLE), (TROUSER, LEGS)))
    times = sole / legs if legs else 0.0
    if times >= TIMES:
        return ""
    said = f"Soles come out {times:.2g} times as strong as seams; {TIMES} times is asked for."
    return said + _explain_strengths(kernel.double(), times)


def _explain_strengths(kernel: Tensor, times: float) -> str:
    if times < 0.5:
        return " It finds the seams: it responds to vertical edges. Transpose it."
    if abs(kernel.sum()) > SLACK * kernel.abs().sum():
        return " It responds to plain brightness, because its weights do not add up to 0."
    return " It responds to edges of more than one direction. Which way does a sole run?"


def _strength(kernel: Tensor, label: int, rows: slice) -> float:
    """Return the root mean square of a kernel's maps of some rows of one class's pictures."""
    images, labels = load_part("fashion_mnist", 0, 500)
    parts = images[labels == label][:, :, rows].double()
    return F.conv2d(parts, kernel[None, None]).square().mean().sqrt().item()


SOLE_KERNEL = Exercise(
    name="sole_kernel",
    signature="sole_kernel()",
    title="The sole and not the seam",
    minutes=15,
    difficulty="easy",
    points=2,
    prerequisites=("edge kernels",),
    graded=f"that the soles of sneakers come out {TIMES} times as strong as the seams of trousers",
    reference=lambda: torch.tensor([[-1.0, -1.0], [1.0, 1.0]]),
    cases=lambda random: [Case()],
    accepts=judge_sole_kernel,
    hints=(
        "Print the pixels of a sole, and of a seam. Along which direction does the brightness stay "
        "the same, and along which does it change?",
        "A sole runs from left to right. A kernel that adds along the rows and subtracts down the "
        "columns sees it. What does that kernel make of a seam, where all rows are nearly equal?",
        "Two rows: the upper one of -1, the lower one of 1.",
    ),
)

EXERCISES = (
    *(CORR2D, CORR2D_SHIFTS, CONVOLVE2D, BREAK_THIS_TEST),
    *(EDGE_KERNEL, SOLE_KERNEL, SECOND_DERIVATIVE_KERNEL, KERNEL_BETWEEN),
)
