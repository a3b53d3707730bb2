"""Cross-correlation, convolution, kernels by design and from data."""

from __future__ import annotations

from collections.abc import Sequence

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
from cnncourse.cross_correlation import convolve2d, corr2d, corr2d_windows

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


CORR2D = Exercise(
    name="corr2d",
    signature="corr2d(x, kernel)",
    title="Cross-correlation with two loops",
    minutes=15,
    difficulty="easy",
    points=2,
    prerequisites=("slicing a tensor",),
    graded="values, shape and dtype for any size, without torch's convolution",
    reference=corr2d,
    cases=pictures,
    forbidden=("conv",),
    mistakes=(
        Mistake(
            "The kernel looks flipped: that is convolution, not cross-correlation.",
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
    ),
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


CONVOLVE2D = Exercise(
    name="convolve2d",
    signature="convolve2d(x, kernel)",
    title="Convolution in full",
    minutes=15,
    difficulty="medium",
    points=2,
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
    """Compare what a kernel answers to a flat picture and to two ramps with the direction."""
    if kernel.ndim != 2:
        return f"A kernel has two axes; this one has shape {tuple(kernel.shape)}."
    weights = kernel.double()
    rows, columns = (torch.arange(size).double() for size in weights.shape)
    down, across = weights.sum(1) @ rows, weights.sum(0) @ columns
    answers = tuple(round(slope.item(), 4) + 0.0 for slope in (down, across))
    if abs(weights.sum()) > SLACK:
        return f"A flat picture of ones gives {weights.sum():.4g}, not 0: it has no edge."
    return _compare_slopes(answers, direction)


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
    graded="the kernel's answers to a flat picture and to a ramp, for any direction",
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
    """Compare what a kernel answers to the signals 1, j and j * j with 0, 0 and 2."""
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
    graded="the kernel's answers to a constant, to a ramp and to the square numbers",
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
    return torch.linalg.lstsq(windows, y.reshape(-1, 1)).solution.reshape(kh, kw)


def judge_learned_kernel(kernel: Tensor, x: Tensor, y: Tensor, kernel_size: tuple[int, int]) -> str:
    """Say how well a kernel explains ``y``, and which turned kernel would do better."""
    shape = tuple(kernel.shape)
    if shape != kernel_size:
        swapped = "Height and width are swapped: " if shape[::-1] == kernel_size else ""
        return f"{swapped}the kernel has shape {shape} where {kernel_size} is asked for."
    if kernel.dtype != x.dtype:
        got, wanted = (str(one.dtype).removeprefix("torch.") for one in (kernel, x))
        return f"The kernel is in {got} where x has {wanted}: keep its dtype."
    kernel, x, y = kernel.double(), x.double(), y.double()
    missed = _missed(kernel, x, y)
    if missed <= CONVERGED:
        return ""
    turned = {"flipped": kernel.flip(0, 1), "of the opposite sign": -kernel}
    better = [how for how, other in turned.items() if _missed(other, x, y) <= CONVERGED]
    return f"The learned kernel is {better[0]}." if better else _explain_missed(missed)


CONVERGED = 0.02  # of the size of y: a hundred small steps too few miss more


def _missed(kernel: Tensor, x: Tensor, y: Tensor) -> float:
    return ((corr2d_windows(x, kernel) - y).norm() / y.norm()).item()


def _explain_missed(missed: float) -> str:
    if missed > 10:
        return "The kernel has grown far too large: take smaller steps."
    if missed > 0.8:
        return "The kernel explains nothing of y: is it changed by the gradient at all?"
    return f"Learning has stopped too early: y is still missed by {100 * missed:.0f} %."


def hidden_kernels(random: Generator) -> list[Case]:
    """Draw pictures that determine their kernel, and what a kernel nobody sees makes of them."""
    sizes = [((8, 10), (1, 2)), ((11, 9), (3, 2)), ((10, 10), (2, 2)), ((9, 12), (2, 3))]
    dtypes = [torch.float32] * 3 + [torch.float64]
    return [_hide(random, *size, dtype) for size, dtype in zip(sizes, dtypes, strict=True)]


def _hide(
    random: Generator, size: tuple[int, int], kernel_size: tuple[int, int], dtype: torch.dtype
) -> Case:
    x = decimals(random, *size, dtype=dtype)
    return Case(x, corr2d(x, distinct_numbers(random, *kernel_size, dtype=dtype)), kernel_size)


LEARN_KERNEL = Exercise(
    name="learn_kernel",
    signature="learn_kernel(x, y, kernel_size)",
    title="A kernel learned from one picture",
    minutes=30,
    difficulty="hard",
    points=3,
    prerequisites=("gradient descent with autograd",),
    graded=f"that your kernel maps x to y within {100 * CONVERGED:.0f} %, and its shape and dtype",
    reference=least_squares,
    cases=hidden_kernels,
    accepts=judge_learned_kernel,
    hints=(
        "Start with kernel = torch.zeros(kernel_size, dtype=x.dtype, requires_grad=True) and write "
        "down the loss: the mean squared difference between y and the map that the kernel makes.",
        "After loss.backward(), the step is kernel -= 0.1 * kernel.grad inside torch.no_grad(), "
        "and then the gradient is set back: kernel.grad = None.",
        "A few hundred steps of 0.1 are enough here. Return kernel.detach().",
    ),
)

EXERCISES = (CORR2D, CONVOLVE2D, EDGE_KERNEL, SECOND_DERIVATIVE_KERNEL, LEARN_KERNEL)
