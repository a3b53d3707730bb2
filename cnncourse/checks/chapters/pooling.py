"""The largest number of a window, its mean, what ReLU can build, and what survives a shift."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Generator, Tensor

from cnncourse.checks.exercise import (
    Call,
    Case,
    Exercise,
    Mistake,
    decimals,
    distinct_numbers,
    whole_numbers,
)
from cnncourse.checks.given import pooling as given
from cnncourse.invariance import translate
from cnncourse.pooling import avg_pool2d, max_pool2d

# Shape of x, side of the window, stride: steps of the window's size, smaller and larger ones, and
# sizes at which the last row or column fills no window.
WHOLE_POOLS = [
    ((1, 1, 2, 4), 2, 2),
    ((1, 1, 4, 3), 2, 1),
    ((1, 1, 3, 3), 2, 1),
    ((1, 1, 3, 5), 2, 2),
    ((1, 2, 3, 6), 2, 3),
    ((2, 2, 5, 4), 3, 1),
    ((1, 2, 7, 6), 3, 2),
    ((1, 1, 3, 3), 3, 1),
]
# Large windows have many numbers: only one of them may be the largest.
LARGE_POOLS = [((3, 1, 5, 7), 4, 1), ((1, 1, 6, 11), 5, 4)]
FINE_POOLS = [((2, 3, 6, 5), 3, 2), ((1, 2, 5, 5), 2, 1)]


def pools(random: Generator) -> list[Case]:
    """Draw images of whole numbers, ties among them, two half below zero, then decimals."""
    whole = [Case(whole_numbers(random, *shape), *sizes) for shape, *sizes in WHOLE_POOLS]
    large = [Case(distinct_numbers(random, *shape), *sizes) for shape, *sizes in LARGE_POOLS]
    # Far from zero too: a search that starts at -1000 or -1e9 starts too high.
    below_zero = [Case(size * half_below_zero(random), 2, 2) for size in (1, 1e12)]
    fine = [Case(decimals(random, *shape), *sizes) for shape, *sizes in FINE_POOLS]
    return [*whole, *large, *below_zero, *fine]


def half_below_zero(random: Generator) -> Tensor:
    """Draw an image of two windows: all of the left one is negative, all of the right positive."""
    sign = torch.tensor([-1.0, -1.0, 1.0, 1.0])
    return sign * whole_numbers(random, 1, 1, 2, 4).abs()


def _crowded(x: Tensor, kernel_size: int, stride: int) -> Tensor:
    """Pool windows that lie one step apart, as many as the stride leaves."""
    out_h, out_w = max_pool2d(x, kernel_size, stride).shape[2:]
    return max_pool2d(x, kernel_size, 1)[..., :out_h, :out_w]


def _everywhere(pooled: Tensor, dim: int) -> Tensor:
    """Give every channel, or every image, the largest number among them."""
    return pooled.amax(dim, keepdim=True).expand_as(pooled)


MAX_POOL2D = Exercise(
    name="max_pool2d",
    signature="max_pool2d(x, kernel_size, stride)",
    title="Max-pooling",
    minutes=15,
    difficulty="easy",
    points=2,
    prerequisites=("the output size of [chapter](padding_stride)",),
    graded="values, shape and dtype for any window and any stride, without torch's pooling",
    reference=max_pool2d,
    cases=pools,
    forbidden=("pool",),
    mistakes=(
        Mistake("This is the mean of each window; the largest number is asked for.", avg_pool2d),
        Mistake(
            "This is the sum of each window; the largest number is asked for.",
            lambda x, k, s: avg_pool2d(x, k, s, divisor_override=1),
        ),
        Mistake(
            "This is the smallest number of each window; the largest is asked for.",
            lambda x, k, s: -max_pool2d(-x, k, s),
        ),
        Mistake(
            "Where a window holds only negative numbers, its largest must not become 0, or "
            "whatever the search starts with: start from the window's first number or from minus "
            "infinity.",
            lambda x, k, s: max_pool2d(x, k, s).relu(),
        ),
        Mistake(
            "The numbers are compared without their sign.",
            lambda x, k, s: max_pool2d(x.abs(), k, s),
        ),
        Mistake(
            "The stride is ignored: the windows jump by their own size.",
            lambda x, k, s: max_pool2d(x, k, k),
        ),
        Mistake(
            "The stride is ignored: the windows lie one step apart.",
            lambda x, k, s: max_pool2d(x, k, 1),
        ),
        Mistake(
            "Window and stride are exchanged.",
            lambda x, k, s: max_pool2d(x, s, k),
        ),
        Mistake(
            "The shape is right, but the windows lie one step apart: window (i, j) starts at row "
            "i * stride and column j * stride.",
            _crowded,
        ),
        Mistake(
            "A window that is not full must be left out: round the division by the stride down.",
            lambda x, k, s: _hanging(x, k, s, -torch.inf),
        ),
        Mistake(
            "The image is padded with zeros so that a last window fits; leave that window out.",
            lambda x, k, s: _hanging(x, k, s, 0.0),
        ),
        Mistake(
            "The last row and the last column of windows are missing.",
            lambda x, k, s: max_pool2d(x, k, s)[..., :-1, :-1],
        ),
        Mistake(
            "The largest number is taken over the channels too; each channel has its own.",
            lambda x, k, s: _everywhere(max_pool2d(x, k, s), 1),
        ),
        Mistake(
            "The largest number is taken over the channels, so that one channel is left; each has "
            "its own.",
            lambda x, k, s: max_pool2d(x, k, s).amax(1, keepdim=True),
        ),
        Mistake(
            "Only the first row of each window is looked at.",
            lambda x, k, s: max_pool2d(x[..., : x.shape[2] - k + 1, :], (1, k), s),
        ),
        Mistake(
            "Only the first column of each window is looked at.",
            lambda x, k, s: max_pool2d(x[..., : x.shape[3] - k + 1], (k, 1), s),
        ),
    ),
    hints=(
        "How many windows of side 3 with stride 2 fit into a side of 6? What is left over is "
        "dropped.",
        "Window (i, j) is x[:, :, i * stride : i * stride + k, j * stride : j * stride + k]. Its "
        "largest number, for every image and channel at once, is .amax((2, 3)).",
        "y = x.new_zeros(n, c, (h - k) // stride + 1, (w - k) // stride + 1), two loops over i and "
        "j, and in them y[:, :, i, j] = window.amax((2, 3)).",
    ),
)


def _hanging(x: Tensor, kernel_size: int, stride: int, fill: float) -> Tensor:
    """Keep last windows that hang over the end, where there is ``fill``."""
    longer = F.pad(x, (0, stride - 1, 0, stride - 1), value=fill)
    return max_pool2d(longer, kernel_size, stride)


MIN_POOL2D = Exercise(
    name="min_pool2d",
    signature="min_pool2d(x, kernel_size, stride)",
    title="Min-pooling for free",
    minutes=5,
    difficulty="easy",
    points=1,
    prerequisites=("your `max_pool2d`",),
    graded="values, shape and dtype, without any function that takes a minimum",
    reference=lambda x, kernel_size, stride: -max_pool2d(-x, kernel_size, stride),
    cases=pools,
    forbidden=("min", "sort", "topk", "kthvalue", "quantile"),
    mistakes=(
        Mistake("This is max-pooling: change the sign of what goes in.", max_pool2d),
        Mistake(
            "The sign is changed before pooling only: change it back after.",
            lambda x, k, s: max_pool2d(-x, k, s),
        ),
        Mistake(
            "The sign is changed after pooling only: change it before, too.",
            lambda x, k, s: -max_pool2d(x, k, s),
        ),
        Mistake(
            "This is the mean of each window.",
            avg_pool2d,
        ),
        Mistake(
            "This is the number next to zero; among negative numbers the smallest is the one "
            "farthest from it.",
            lambda x, k, s: -max_pool2d(-x.abs(), k, s),
        ),
        Mistake(
            "Where a window holds only positive numbers, its smallest must not become 0, or "
            "whatever the search starts with.",
            lambda x, k, s: -max_pool2d(-x, k, s).relu(),
        ),
        Mistake(
            "The stride is ignored: the windows jump by their own size.",
            lambda x, k, s: -max_pool2d(-x, k, k),
        ),
    ),
    hints=(
        "Among 3, 5 and 9 the smallest is 3. Among -3, -5 and -9, which is the largest?",
        "Change every sign, pool, and change the signs back.",
    ),
)


def mean_kernels(channels: int, k: int) -> tuple[Tensor, int]:
    """Return one kernel of equal weights a channel, and as many groups as channels."""
    return torch.full((channels, 1, k, k), 1 / k**2), channels


AVG_POOL_AS_CONV = Exercise(
    name="avg_pool_as_conv",
    signature="avg_pool_as_conv(channels, k)",
    returns=("weight", "groups"),
    title="Average pooling as a convolution",
    minutes=15,
    difficulty="medium",
    points=2,
    prerequisites=("groups of [chapter](channels)",),
    graded="shape and values of weight, and the number of groups",
    reference=mean_kernels,
    cases=lambda random: [
        Case(1, 2),
        Case(2, 1),
        Case(3, 2),
        Case(2, 3),
        Case(*torch.randint(4, 8, (2,), generator=random).tolist()),
    ],
    mistakes=(
        Mistake(
            "The weights add up to k * k, so this is a sum; a mean divides by k * k.",
            lambda channels, k: (torch.ones(channels, 1, k, k), channels),
        ),
        Mistake(
            "A window has k * k numbers; the weights divide by k only.",
            lambda channels, k: (torch.full((channels, 1, k, k), 1 / k), channels),
        ),
        Mistake(
            "The weights divide by the channels too; each channel is averaged by itself.",
            lambda channels, k: (torch.full((channels, 1, k, k), 1 / (channels * k**2)), channels),
        ),
        Mistake(
            "Each output averages every channel. With groups, channel i needs one kernel of its "
            "own: shape (channels, 1, k, k).",
            lambda channels, k: (torch.full((channels, channels, k, k), 1 / k**2), channels),
        ),
        Mistake(
            "Each output averages every channel. With groups, channel i needs one kernel of its "
            "own, and nothing is divided by the channels: shape (channels, 1, k, k).",
            lambda channels, k: (
                torch.full((channels, channels, k, k), 1 / (channels * k**2)),
                channels,
            ),
        ),
        Mistake(
            "The first axis of weight is the output channel, the second the input channels of one "
            "group: shape (channels, 1, k, k), not (1, channels, k, k).",
            lambda channels, k: (torch.full((1, channels, k, k), 1 / k**2), channels),
        ),
        Mistake(
            "There is one kernel for all channels; each channel needs its own copy.",
            lambda channels, k: (torch.full((1, 1, k, k), 1 / k**2), channels),
        ),
        Mistake(
            "With one group every output would see every input channel: each channel is a group.",
            lambda channels, k: (torch.full((channels, 1, k, k), 1 / k**2), 1),
        ),
        Mistake(
            "This is right with groups=1, but most of its weights are zeros: as many groups as "
            "channels need only shape (channels, 1, k, k).",
            lambda channels, k: (
                torch.eye(channels)[..., None, None].expand(-1, -1, k, k) / k**2,
                1,
            ),
        ),
        Mistake(
            "The window's side is no number of groups: each channel is a group.",
            lambda channels, k: (torch.full((channels, 1, k, k), 1 / k**2), k),
        ),
    ),
    hints=(
        "Which kernel gives the mean of a window of 2 by 2? Try it with `corr2d` on one channel.",
        "With `groups=channels` the kernel of output channel i sees input channel i and no other. "
        "How many input channels does such a kernel have?",
        "weight has the shape (channels, 1, k, k), every number of it is 1 / k**2, and groups is "
        "channels.",
    ),
)


# Ways to a maximum that are not ReLU, as parts of operators' names.
COMPARISONS = (
    *("max", "min", "where", "clamp", "abs", "sign", "sort", "topk", "heaviside", "pool"),
    *("aten.gt", "aten.ge", "aten.lt", "aten.le"),
    *("logaddexp", "logsumexp", "softplus", "hypot", "pow", "sqrt", "norm", "cdist", "svd"),
    *("kthvalue", "median", "mode", "quantile", "sgn", "floor", "ceil", "round", "trunc"),
    *("hardtanh", "tanh", "sigmoid", "threshold", "prelu", ".elu", "celu", "selu", "gelu", "silu"),
    *("_local_scalar", "tolist", "numpy", "__array__"),
)


def larger(a: Tensor, b: Tensor) -> Tensor:
    """Return the larger of two: the package has none without a comparison."""
    return a + (b - a).relu()


def pairs_of_numbers(random: Generator) -> list[Case]:
    """Draw pairs of tensors of one shape: both signs, ties, and no axes at all."""
    shapes = [(), (3,), (2, 3), (4, 4), (3, 2, 2)]
    whole = [Case(*(whole_numbers(random, *shape) for _ in "ab")) for shape in shapes]
    tied = whole_numbers(random, 3, 4)
    fine = [decimals(random, 5, 3) for _ in "ab"]
    negative = Case(torch.tensor([-1.0, -4.0, 3.0]), torch.tensor([-3.0, -2.0, 1.0]))
    return [negative, *whole, Case(tied, tied.flip(0)), Case(*fine)]


MAX_WITH_RELU = Exercise(
    name="max_with_relu",
    signature="max_with_relu(a, b)",
    title="The larger of two, with ReLU alone",
    minutes=10,
    difficulty="medium",
    points=2,
    prerequisites=("ReLU",),
    graded="values, shape and dtype for tensors of any shape, from torch.relu, + and - alone",
    reference=larger,
    cases=pairs_of_numbers,
    forbidden=COMPARISONS,
    mistakes=(
        Mistake(
            "This is relu(a - b), how far a lies above b: what must be added to it?",
            lambda a, b: (a - b).relu(),
        ),
        Mistake(
            "This is relu(b - a), how far b lies above a: what must be added to it?",
            lambda a, b: (b - a).relu(),
        ),
        Mistake("This is the smaller of the two.", lambda a, b: a - (a - b).relu()),
        Mistake(
            "Where both are negative this gives 0: only a difference may go into ReLU.",
            lambda a, b: larger(a, b).relu(),
        ),
        Mistake("This is relu(a) + relu(b), not the larger one.", lambda a, b: a.relu() + b.relu()),
        Mistake("This is relu(a + b), not the larger one.", lambda a, b: (a + b).relu()),
        Mistake(
            "This is the distance between a and b.", lambda a, b: (a - b).relu() + (b - a).relu()
        ),
        Mistake(
            "This is twice the larger one: a + b + |a - b| must be halved.",
            lambda a, b: 2 * larger(a, b),
        ),
        Mistake(
            "b was added where a belongs: relu(b - a) is what a lacks.",
            lambda a, b: b + (b - a).relu(),
        ),
        Mistake(
            "a was added where b belongs: relu(a - b) is what b lacks.",
            lambda a, b: a + (a - b).relu(),
        ),
        Mistake("ReLU is missing: b + (a - b) is a again.", lambda a, b: a.clone()),
        Mistake("ReLU is missing: a + (b - a) is b again.", lambda a, b: b.clone()),
    ),
    hints=(
        "Take a = 2 and b = 5. How much must you add to a to get the larger one? And how much if "
        "a = 5 and b = 2?",
        "relu(b - a) is 3 in the first case and 0 in the second.",
        "a + relu(b - a).",
    ),
)


# Channels and sizes, and the pooling: sizes at which a row or column fills no window as well.
WHOLE_MOVES = [
    ((1, 1, 4, 6), Call("largest", 2, 2)),
    ((1, 1, 3, 5), Call("largest", 2, 1)),
    ((1, 1, 5, 4), Call("mean", 2, 2)),
    ((2, 1, 4, 5), Call("every_second")),
    ((1, 2, 6, 7), Call("largest", 3, 2)),
    ((3, 2, 6, 4), Call("largest", 2, 2)),
]


def moves(random: Generator) -> list[Case]:
    """Draw a dot, stripes, and images of few different numbers, under several poolings."""
    dot = torch.zeros(1, 1, 4, 4)
    dot[0, 0, 0, 0] = 1
    stripes = (torch.arange(8) % 2).float().expand(1, 1, 4, 8)
    return [
        Case(Call("largest", 2, 2), dot),
        Case(Call("every_second"), stripes),
        Case(Call("largest", 2, 2), stripes),
        Case(Call("mean", 2, 2), stripes.roll(1, 3).repeat_interleave(2, dim=3)),
        *(Case(pool, whole_numbers(random, *shape)) for shape, pool in WHOLE_MOVES),
    ]


Moves = Sequence[tuple[int, int]]
AROUND = ((-1, 0), (1, 0), (0, -1), (0, 1))


def differing(pool: Callable, x: Tensor, steps: Moves = AROUND, mode: str = "circular") -> Tensor:
    """Tell which numbers of the pooled images differ under each move, (moves, n, c, ...)."""
    return torch.stack([pool(translate(x, *step, mode)) for step in steps]) != pool(x)


def share(changed: Tensor) -> float:
    """Return how many of the truth values are true."""
    return changed.double().mean().item()


def over(steps: Moves) -> Callable:
    """Make an answer that moves the images in other ways than it should."""
    return lambda pool, x: share(differing(pool, x, steps))


CHANGED_SHARE = Exercise(
    name="changed_share",
    signature="changed_share(pool, x)",
    title="What pooling does to a shift",
    minutes=15,
    difficulty="medium",
    points=2,
    prerequisites=("moving a picture in a circle, [chapter](invariance)",),
    graded="the exact share, for several poolings, strides and sizes",
    reference=lambda pool, x: share(differing(pool, x)),
    # A count divided by a count: the mean of a comparison may be taken in float32.
    tolerance={torch.float32: 5e-5, torch.float64: 5e-5},
    cases=moves,
    functions={
        "largest": given.largest,
        "mean": given.mean,
        "every_second": given.every_second,
    },
    mistakes=(
        Mistake(
            "This is the share of pixels of x that change; pool before and after, and compare the "
            "pooled numbers.",
            lambda pool, x: share(differing(lambda image: image, x)),
        ),
        Mistake(
            "The pooled map is moved, and x is not: move x, then pool.",
            lambda pool, x: share(differing(lambda image: image, pool(x))),
        ),
        Mistake(
            "The pooled map is moved along before it is compared; does it stay where it was?",
            lambda pool, x: share(
                torch.stack(
                    [pool(x.roll(step, (2, 3))) != pool(x).roll(step, (2, 3)) for step in AROUND]
                )
            ),
        ),
        Mistake(
            "Zeros come in at the border; what leaves on one side should come in on the other.",
            lambda pool, x: share(differing(pool, x, mode="zeros")),
        ),
        Mistake("Only the move to the right is tried.", over([(0, 1)])),
        Mistake("Only the move to the left is tried.", over([(0, -1)])),
        Mistake("Only the move down is tried.", over([(1, 0)])),
        Mistake("Only the move up is tried.", over([(-1, 0)])),
        Mistake("The moves up and down are missing.", over([(0, -1), (0, 1)])),
        Mistake("The moves to the left and right are missing.", over([(-1, 0), (1, 0)])),
        Mistake("Only the moves down and to the right are tried.", over([(1, 0), (0, 1)])),
        Mistake(
            "The images move along the diagonals; move them along one axis at a time.",
            over([(-1, -1), (-1, 1), (1, -1), (1, 1)]),
        ),
        Mistake(
            "Moves along the diagonals are tried too; there are four moves.",
            over([(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]),
        ),
        Mistake("Not moving at all is counted as a move.", over([*AROUND, (0, 0)])),
        Mistake(
            "The images move by two pixels, not by one.",
            over([(2 * dy, 2 * dx) for dy, dx in AROUND]),
        ),
        Mistake(
            "This is the share of numbers that stay.", lambda pool, x: share(~differing(pool, x))
        ),
        Mistake(
            "This is how many numbers change; divide by how many there are, over all four moves.",
            lambda pool, x: float(differing(pool, x).sum()),
        ),
        Mistake(
            "The shares of the four moves are added; average them.",
            lambda pool, x: 4 * share(differing(pool, x)),
        ),
        Mistake(
            "This is the share of numbers that change under at least one move; count each move by "
            "itself.",
            lambda pool, x: share(differing(pool, x).any(0)),
        ),
        Mistake(
            "This is the mean size of the change; count the numbers that change.",
            lambda pool, x: (
                torch.stack([pool(x.roll(step, (2, 3))) - pool(x) for step in AROUND])
                .abs()
                .mean()
                .item()
            ),
        ),
        Mistake(
            "This is in percent; a share between 0 and 1 is asked for.",
            lambda pool, x: 100 * share(differing(pool, x)),
        ),
    ),
    hints=(
        "Take one move first: pool(x) and pool(moved x) have the same shape. What does != give?",
        "x.roll(1, dims=3) moves to the right in a circle, x.roll(-1, dims=2) moves up.",
        "Stack pool(x.roll((dy, dx), dims=(2, 3))) for the four moves; the answer is the mean of "
        "the comparison with pool(x), as double.",
    ),
)


EXERCISES = (MAX_POOL2D, MIN_POOL2D, AVG_POOL_AS_CONV, MAX_WITH_RELU, CHANGED_SHARE)
