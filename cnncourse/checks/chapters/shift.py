"""How often a class survives a shift, and a filter that helps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Generator, Tensor

from cnncourse.checks.exercise import Call, Case, Exercise, Mistake, decimals, whole_numbers
from cnncourse.checks.given import shift as given
from cnncourse.pooling import blur_pool2d
from cnncourse.shift import shift_consistency

Shifts = Sequence[tuple[int, int]]
MOVE = Call("zeros_come_in")


def dots(random: Generator, n: int, h: int, w: int) -> Tensor:
    """Draw images of one bright pixel each, at least one pixel away from the border."""
    images = torch.zeros(n, 1, h, w)
    for image in images:
        i, j = (torch.randint(1, size - 1, (), generator=random) for size in (h, w))
        image[0, i, j] = torch.randint(1, 5, (), generator=random).float()
    return images


def classifiers(random: Generator) -> list[Case]:
    """Draw dots under the brightest column, then images under dense and convolutional scores."""
    columns = Call("brightest_column")
    return [
        Case(columns, dots(random, 1, 3, 4), 1, MOVE),
        # The dot in the first column: one step to the left, and nothing is left of it.
        Case(columns, F.pad(dots(random, 1, 4, 3), (-1, 1)), 1, MOVE),
        # An empty image beside the dot: nothing changes its class.
        Case(columns, F.pad(dots(random, 1, 3, 3), (0,) * 7 + (1,)), 1, MOVE),
        Case(columns, dots(random, 3, 3, 5), 0, MOVE),
        _drawn("linear", (3, 1 * 3 * 5), random, (2, 1, 3, 5), 1),
        _drawn("linear", (4, 2 * 4 * 3), random, (3, 2, 4, 3), 1),
        _drawn("linear", (3, 1 * 4 * 6), random, (4, 1, 4, 6), 2, torch.float64),
        _drawn("patterns", (4, 2, 3, 2), random, (5, 2, 8, 7), 2, torch.float64),
        _drawn("linear", (7, 1 * 5 * 4), random, (6, 1, 5, 4), 3),
    ]


def _drawn(
    model: str,
    weight: tuple[int, ...],
    random: Generator,
    images: tuple[int, ...],
    max_shift: int,
    dtype: torch.dtype = torch.float32,
) -> Case:
    weights = decimals(random, *weight, dtype=dtype)
    return Case(Call(model, weights), decimals(random, *images, dtype=dtype), max_shift, MOVE)


def square(first: int, last: int) -> Shifts:
    """List the shifts whose dy and dx lie between two numbers, both included."""
    return list(product(range(first, last + 1), repeat=2))


def _line(max_shift: int) -> Shifts:
    """List the shifts by the same number of pixels down and to the right."""
    return [(d, d) for d in range(-max_shift, max_shift + 1)]


def classes(model: Callable, images: Tensor, shifts: Shifts, translate: Callable) -> Tensor:
    """Return the class of each image under each shift, of shape (shifts, n)."""
    return torch.stack([model(translate(images, *shift)).argmax(1) for shift in shifts])


def shares(votes: Tensor) -> Tensor:
    """Return for each image which share of the shifts gives which class, (n, classes)."""
    return F.one_hot(votes, int(votes.max()) + 1).double().mean(0)


def agreement(votes: Tensor) -> float:
    """Return how often two of the shifts agree, averaged over the images."""
    return shares(votes).square().sum(1).mean().item()


def over(choose: Callable[[int], Shifts]) -> Callable:
    """Make an answer that tries other shifts than it should."""
    return lambda model, images, m, move: agreement(classes(model, images, choose(m), move))


def summed_up(summary: Callable[[Tensor], float]) -> Callable:
    """Make an answer that tries the right shifts and sums up the classes otherwise."""
    return lambda model, images, m, move: float(
        summary(classes(model, images, square(-m, m), move))
    )


def _distinct_pairs(votes: Tensor) -> float:
    """Leave out the pairs of one and the same shift."""
    shifts = len(votes)
    if shifts == 1:
        return 1.0
    return (agreement(votes) * shifts**2 - shifts) / (shifts**2 - shifts)


def _with_centre(votes: Tensor) -> Tensor:
    """Tell for each shift and image whether the class is that of the unshifted image."""
    return (votes == votes[len(votes) // 2]).double()


SHIFT_CONSISTENCY = Exercise(
    name="shift_consistency",
    signature="shift_consistency(model, images, max_shift, translate)",
    title="Does the class survive a shift?",
    minutes=25,
    difficulty="medium",
    points=4,
    prerequisites=("`translate` of [chapter](invariance)", "argmax of scores"),
    graded="the exact share, for several classifiers, image sizes and largest shifts",
    reference=lambda model, images, m, move: shift_consistency(model, images, m),
    # A count divided by a count: the mean of a comparison may be taken in float32. One pair of
    # shifts more in the largest case changes the share by 1 / (6 * 49**2), and pairs come in twos.
    tolerance={torch.float32: 5e-5, torch.float64: 5e-5},
    cases=classifiers,
    functions={
        "brightest_column": given.brightest_column,
        "linear": given.linear,
        "patterns": given.patterns,
        "zeros_come_in": given.zeros_come_in,
    },
    mistakes=(
        Mistake(
            "Every shift is compared with the unshifted image; compare every shift with every "
            "shift.",
            summed_up(lambda votes: _with_centre(votes).mean()),
        ),
        Mistake(
            "The pixels that leave come in again on the other side; zeros should come in.",
            lambda model, images, m, move: shift_consistency(model, images, m, "circular"),
        ),
        Mistake(
            "Only shifts down and to the right are tried: dy and dx go from -max_shift to "
            "max_shift.",
            over(lambda m: square(0, m)),
        ),
        Mistake(
            "The last shift is missing: `range(-max_shift, max_shift)` ends at max_shift - 1.",
            over(lambda m: square(-m, m - 1) or [(0, 0)]),
        ),
        Mistake(
            "Only shifts up and down are tried.", over(lambda m: [(d, 0) for d, _ in _line(m)])
        ),
        Mistake(
            "Only shifts to the left and right are tried.",
            over(lambda m: [(0, d) for d, _ in _line(m)]),
        ),
        Mistake(
            "Only shifts along the diagonal are tried: dy and dx are independent of each other.",
            over(_line),
        ),
        Mistake(
            "The unshifted image is left out: (0, 0) is one of the shifts.",
            over(lambda m: [shift for shift in square(-m, m) if shift != (0, 0)] or [(0, 0)]),
        ),
        Mistake(
            "Pairs of one and the same shift are left out; the two shifts are drawn independently, "
            "so they may be equal.",
            summed_up(_distinct_pairs),
        ),
        Mistake(
            "This is the share of images whose class no shift changes; a share of pairs is asked "
            "for.",
            summed_up(lambda votes: (votes == votes[0]).all(0).double().mean()),
        ),
        Mistake(
            "This is the share of the most frequent class; how often do two shifts agree?",
            summed_up(lambda votes: shares(votes).amax(1).mean()),
        ),
        Mistake(
            "Classes of different images are compared: count within each image, then average over "
            "the images.",
            summed_up(lambda votes: shares(votes).mean(0).square().sum()),
        ),
        Mistake(
            "The images' results are added; average them.",
            summed_up(lambda votes: agreement(votes) * votes.shape[1]),
        ),
        Mistake(
            "This is the number of pairs that agree; divide it by the number of all pairs.",
            summed_up(lambda votes: agreement(votes) * votes.shape[1] * len(votes) ** 2),
        ),
        Mistake(
            "This is the share of pairs that disagree.",
            summed_up(lambda votes: 1 - agreement(votes)),
        ),
        Mistake(
            "This is in percent; a share between 0 and 1 is asked for.",
            summed_up(lambda votes: 100 * agreement(votes)),
        ),
    ),
    hints=(
        "List all shifts (dy, dx) with both numbers from -max_shift to max_shift. For max_shift=1 "
        "there are 9. Compute the class of each image under each of them once.",
        "Stack the classes to shape (shifts, n). Comparing every row with every row is one "
        "expression: classes[:, None] == classes[None, :].",
        "classes = torch.stack([model(translate(images, dy, dx)).argmax(1) for dy, dx in shifts]); "
        "the answer is the mean of the comparison.",
    ),
)


# Shape of x, stride: non-square, several channels, sizes that the stride does not divide.
WHOLE_BLURS = [
    ((1, 1, 3, 4), 2),
    ((1, 1, 4, 3), 2),
    ((1, 1, 3, 3), 1),
    ((1, 2, 3, 5), 2),
    ((2, 1, 5, 4), 3),
    ((2, 3, 4, 6), 2),
    ((3, 1, 9, 11), 4),
    ((1, 5, 3, 8), 5),
]
FINE_BLURS = [((2, 2, 6, 5), 2), ((1, 2, 4, 4), 1)]


def blurs(random: Generator) -> list[Case]:
    """Draw images of whole numbers and strides, then two images of decimals."""
    whole = [Case(whole_numbers(random, *shape), stride) for shape, stride in WHOLE_BLURS]
    return whole + [Case(decimals(random, *shape), stride) for shape, stride in FINE_BLURS]


BINOMIAL = torch.tensor([1.0, 2.0, 1.0]) / 4


def filtered(
    x: Tensor, column: Tensor, row: Tensor, stride: int | tuple[int, int] = 1, mode: str = "reflect"
) -> Tensor:
    """Filter each channel with column times row, after a border of one pixel."""
    kernel = column.outer(row).to(x.dtype).expand(x.shape[1], 1, -1, -1)
    padded = F.pad(x, (1, 1, 1, 1), mode=mode)
    return F.conv2d(padded, kernel, stride=stride, groups=x.shape[1])


ONE = torch.tensor([0.0, 1.0, 0.0])
MEAN = torch.full((3,), 1 / 3, dtype=torch.float64)


BLUR_POOL = Exercise(
    name="blur_pool",
    signature="blur_pool(x, stride)",
    title="Blur before you skip",
    minutes=20,
    difficulty="medium",
    points=2,
    prerequisites=(
        "groups of [chapter](channels)",
        "reflection padding of [chapter](padding_stride)",
    ),
    graded="values, shape and dtype for any size and stride",
    reference=lambda x, stride: blur_pool2d(x, 3, stride),
    cases=blurs,
    mistakes=(
        Mistake(
            "This skips pixels and does not blur.",
            lambda x, stride: x[..., ::stride, ::stride],
        ),
        Mistake(
            "This skips first and blurs what is left; blur first, so that every pixel counts.",
            lambda x, stride: blur_pool2d(x[..., ::stride, ::stride], 3, 1),
        ),
        Mistake(
            "The border is filled with zeros; it should reflect the picture.",
            lambda x, stride: filtered(x, BINOMIAL, BINOMIAL, stride, "constant"),
        ),
        Mistake(
            "The border repeats the edge; it should reflect the picture without repeating the "
            "edge: c b a | a b c is wrong, c b | a b c is right.",
            lambda x, stride: filtered(x, BINOMIAL, BINOMIAL, stride, "replicate"),
        ),
        Mistake(
            "The border comes from the other side of the picture; it should reflect this one.",
            lambda x, stride: filtered(x, BINOMIAL, BINOMIAL, stride, "circular"),
        ),
        Mistake(
            "The border is missing: the result has ceil(h / stride) rows and ceil(w / stride) "
            "columns.",
            lambda x, stride: blur_pool2d(x, 3, 1)[..., 1:-1, 1:-1][..., ::stride, ::stride],
        ),
        Mistake(
            "All nine weights are equal; the middle ones weigh more: (1, 2, 1) / 4 an axis.",
            lambda x, stride: filtered(x, MEAN, MEAN, stride),
        ),
        Mistake(
            "This is the mean of each block of stride by stride pixels; the windows of a blur have "
            "side 3 and overlap.",
            lambda x, stride: F.avg_pool2d(x, stride),
        ),
        Mistake(
            "The weights add up to 16; divide by 16, so that a grey picture stays as it is.",
            lambda x, stride: 16 * blur_pool2d(x, 3, stride),
        ),
        Mistake(
            "The weights add up to 4; divide by 16, so that a grey picture stays as it is.",
            lambda x, stride: 4 * blur_pool2d(x, 3, stride),
        ),
        Mistake(
            "Only rows are blurred; blur along columns too.",
            lambda x, stride: filtered(x, ONE, BINOMIAL, stride),
        ),
        Mistake(
            "Only columns are blurred; blur along rows too.",
            lambda x, stride: filtered(x, BINOMIAL, ONE, stride),
        ),
        Mistake(
            "The channels are added up; each channel is blurred by itself.",
            lambda x, stride: blur_pool2d(x.sum(1, keepdim=True), 3, stride),
        ),
        Mistake(
            "The channels are added up; each channel is blurred by itself.",
            lambda x, stride: blur_pool2d(x.sum(1, keepdim=True).expand_as(x), 3, stride),
        ),
        Mistake(
            "The stride is missing: keep every `stride`-th row and column.",
            lambda x, stride: blur_pool2d(x, 3, 1),
        ),
        Mistake(
            "The stride counts for rows only.",
            lambda x, stride: blur_pool2d(x, 3, (stride, 1)),
        ),
        Mistake(
            "The stride counts for columns only.",
            lambda x, stride: blur_pool2d(x, 3, (1, stride)),
        ),
        Mistake(
            "The first row and the first column are skipped: the pixels kept are 0, stride, "
            "2 * stride and so on.",
            lambda x, stride: blur_pool2d(x, 3, 1)[..., stride - 1 :: stride, stride - 1 :: stride],
        ),
    ),
    hints=(
        "Blur a single row by hand: each pixel becomes a quarter of its left neighbour, half of "
        "itself and a quarter of its right neighbour. What is left of the first pixel?",
        "F.pad(x, (1, 1, 1, 1), mode='reflect') makes the border. The kernel is the outer product "
        "of (1, 2, 1) / 4 with itself, once for each channel.",
        "F.conv2d(padded, kernel.expand(c, 1, 3, 3), stride=stride, groups=c), with the kernel in "
        "the dtype of x.",
    ),
)

EXERCISES = (SHIFT_CONSISTENCY, BLUR_POOL)
