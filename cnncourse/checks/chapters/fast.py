"""What a layer costs, how long it takes at least, and how much faster something is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean, median

import torch
from torch import Generator

from cnncourse.checks.exercise import Case, Exercise, Mistake
from cnncourse.fast import FLOAT32, Machine, Work, conv2d_work, least_seconds
from cnncourse.fast import speedup as median_of_ratios

# n, c, o, h, w, k, padding: one thing at a time, then layers of networks.
LAYERS = [
    (1, 1, 1, 3, 3, 2, 0),
    (1, 1, 1, 2, 4, 1, 0),
    (1, 1, 2, 3, 4, 2, 0),
    (1, 2, 1, 3, 4, 3, 0),
    (2, 1, 1, 4, 3, 3, 0),
    (1, 1, 1, 4, 5, 3, 1),
    (1, 2, 3, 3, 5, 3, 2),
    (1, 1, 6, 28, 28, 5, 2),
    (128, 6, 16, 14, 14, 5, 0),
    (128, 400, 120, 1, 1, 1, 0),
]


def layers(random: Generator) -> list[Case]:
    """List layers to count by hand, then draw three."""
    low = torch.tensor([2, 2, 2, 6, 7, 2, 0])
    drawn = torch.randint(0, 4, (3, 7), generator=random) + low
    return [Case(*numbers) for numbers in LAYERS + drawn.tolist()]


def layer_work(n: int, c: int, o: int, h: int, w: int, k: int, padding: int) -> tuple[int, int]:
    """Count with the package's function."""
    return tuple(conv2d_work(n, c, o, (h, w), k, padding=padding))


def counted(
    products: Callable[..., int] | None = None, numbers: Callable[..., int] | None = None
) -> Callable[..., tuple[int, int]]:
    """Make an answer that counts one of the two in another way.

    ``products`` and ``numbers`` get n, c, o, k, the places of the input and those of the output.
    """

    def answer(n: int, c: int, o: int, h: int, w: int, k: int, padding: int) -> tuple[int, int]:
        work = conv2d_work(n, c, o, (h, w), k, padding=padding)
        out = (h + 2 * padding - k + 1) * (w + 2 * padding - k + 1)
        sizes = n, c, o, k, h * w, out
        return (
            products(*sizes) if products else work.multiply_adds,
            FLOAT32 * numbers(*sizes) if numbers else work.bytes,
        )

    return answer


def _without_padding(*layer: int) -> tuple[int, int]:
    *sizes, k, _ = layer
    return layer_work(*sizes, k, 0) if k <= min(sizes[3:]) else (0, 0)


LAYER_WORK = Exercise(
    name="layer_work",
    signature="layer_work(n, c, o, h, w, k, padding)",
    title="Products, and bytes on the way",
    minutes=20,
    difficulty="easy",
    points=3,
    prerequisites=("the output size of a convolution", "its weights and multiply-adds"),
    graded="two integers, for batches, channels and any padding",
    returns=("multiply_adds", "bytes"),
    reference=layer_work,
    cases=layers,
    mistakes=(
        Mistake(
            "These are numbers, not bytes: a number in float32 takes four bytes.",
            lambda *layer: (layer_work(*layer)[0], layer_work(*layer)[1] // FLOAT32),
        ),
        Mistake(
            "A number takes eight bytes here. That is float64; float32 takes four.",
            lambda *layer: (layer_work(*layer)[0], layer_work(*layer)[1] * 2),
        ),
        Mistake(
            "The multiply-adds count only one picture of the batch.",
            counted(products=lambda n, c, o, k, places, out: c * o * k * k * out),
        ),
        Mistake(
            "The multiply-adds leave out the input channels: each output adds over all of them.",
            counted(products=lambda n, c, o, k, places, out: n * o * k * k * out),
        ),
        Mistake(
            "The multiply-adds leave out the output channels: each of them has its own kernel.",
            counted(products=lambda n, c, o, k, places, out: n * c * k * k * out),
        ),
        Mistake(
            "The multiply-adds count the places of the input. Each place of the output takes them.",
            counted(products=lambda n, c, o, k, places, out: n * c * o * k * k * places),
        ),
        Mistake(
            "A multiply-add counts once here, although it is a product and a sum.",
            counted(products=lambda n, c, o, k, places, out: 2 * n * c * o * k * k * out),
        ),
        Mistake(
            "The bytes leave out the outputs, which are stored.",
            counted(
                numbers=lambda n, c, o, k, places, out: n * c * places + o * c * k * k,
            ),
        ),
        Mistake(
            "The bytes leave out the weights.",
            counted(numbers=lambda n, c, o, k, places, out: n * c * places + n * o * out),
        ),
        Mistake(
            "The bytes leave out the input.",
            counted(numbers=lambda n, c, o, k, places, out: o * c * k * k + n * o * out),
        ),
        Mistake(
            "The weights are fetched for every picture here. They are the same for all: once.",
            counted(
                numbers=lambda n, c, o, k, places, out: n * (c * places + o * c * k * k + o * out),
            ),
        ),
        Mistake(
            "The bytes leave out the batch: every picture of it is fetched, and every output "
            "stored.",
            counted(numbers=lambda n, c, o, k, places, out: c * places + o * c * k * k + o * out),
        ),
        Mistake("The padding is left out of the output's size.", _without_padding),
    ),
    hints=(
        "How high and wide is the output? Rows: h + 2 * padding - k + 1.",
        "Each number of the output takes c * k * k multiply-adds. How many numbers are there?",
        "Count three tensors for the bytes: n * c * h * w, o * c * k * k and the output. Then "
        "times four.",
    ),
)


def networks(random: Generator) -> list[Case]:
    """List layers that wait for the one, for the other, and for both; then draw."""
    even = Case([(100, 10)], 10.0, 1.0)
    known = [
        Case([(100, 20)], 10.0, 1.0),
        Case([(400, 20)], 10.0, 1.0),
        even,
        Case([(100, 20), (400, 20)], 10.0, 1.0),
        Case([(90, 3), (10, 60), (40, 4)], 5.0, 4.0),
        Case([], 5.0, 4.0),
        Case([(0, 8), (6, 0)], 3.0, 2.0),
    ]
    drawn = torch.randint(1, 1000, (3, 5, 2), generator=random).tolist()
    speeds = torch.randint(2, 40, (3, 2), generator=random).tolist()
    return known + [
        Case([tuple(layer) for layer in network], float(peak), float(bandwidth))
        for network, (peak, bandwidth) in zip(drawn, speeds, strict=True)
    ]


def least_time(layers: Sequence[tuple[int, int]], peak: float, bandwidth: float) -> float:
    """Add the roofline of each layer."""
    return float(sum(least_seconds(Work(*one), Machine(peak, bandwidth)) for one in layers))


def _seconds(layers: Sequence[tuple[int, int]], peak: float, bandwidth: float) -> list[list[float]]:
    """Return the seconds for products, and those for bytes."""
    return [[p / peak for p, _ in layers], [b / bandwidth for _, b in layers]]


LEAST_TIME = Exercise(
    name="least_time",
    signature="least_time(layers, peak, bandwidth)",
    title="What a network waits for",
    minutes=15,
    difficulty="easy",
    points=2,
    prerequisites=("the roofline",),
    graded="the seconds, for networks of none to five layers",
    reference=least_time,
    cases=networks,
    mistakes=(
        Mistake(
            "A layer multiplies and fetches at the same time: take the longer of the two, not "
            "their sum.",
            lambda *a: float(sum(map(sum, _seconds(*a)))),
        ),
        Mistake(
            "The shorter of the two times counts here. A layer waits for the slower one.",
            lambda *a: float(sum(map(min, *_seconds(*a)))),
        ),
        Mistake(
            "The sums over all layers are compared. The layers run one after the other, and each "
            "waits for its own.",
            lambda *a: float(max(map(sum, _seconds(*a)))),
        ),
        Mistake(
            "Only the slowest layer counts here. They run one after the other: add.",
            lambda *a: float(max(map(max, *_seconds(*a)), default=0)),
        ),
        Mistake(
            "Only the products count here, and some layers wait for bytes.",
            lambda *a: float(sum(_seconds(*a)[0])),
        ),
        Mistake(
            "Only the bytes count here, and some layers wait for products.",
            lambda *a: float(sum(_seconds(*a)[1])),
        ),
        Mistake(
            "`peak` and `bandwidth` have changed places.",
            lambda layers, peak, bandwidth: least_time(layers, bandwidth, peak),
        ),
        Mistake(
            "The speeds are multiplied. A time is work divided by speed.",
            lambda layers, peak, bandwidth: least_time(layers, 1 / peak, 1 / bandwidth),
        ),
    ),
    hints=(
        "How long does one layer multiply, and how long does it fetch?",
        "Both go on at the same time, so a layer needs max(multiply_adds / peak, bytes / "
        "bandwidth).",
        "The layers run one after the other: sum(max(...) for m, b in layers).",
    ),
)


def rounds(random: Generator) -> list[Case]:
    """List rounds with slow moments, an even number of them too; then draw."""
    known = [
        Case([5.0, 2.0], [5.0, 1.0]),
        Case([9.0, 4.0, 8.0, 4.0], [8.0, 2.0, 4.0, 8.0]),
        Case([3.0, 1.0, 6.0, 2.0], [1.0, 4.0, 2.0, 2.0]),
        Case([9.0, 2.0, 3.0, 8.0, 5.0], [1.0, 4.0, 1.0, 2.0, 4.0]),
    ]
    drawn = torch.randint(1, 30, (4, 2, 8), generator=random) / 4
    return known + [Case(*pair.tolist()) for pair in drawn]


def fair_speedup(before: Sequence[float], after: Sequence[float]) -> float:
    """Leave out the first round."""
    return float(median_of_ratios(before[1:], after[1:]))


SPEEDUP = Exercise(
    name="speedup",
    signature="speedup(before, after)",
    title="How many times faster?",
    minutes=15,
    difficulty="medium",
    points=2,
    prerequisites=("median", "why the two ways take turns"),
    graded="one number with decimals, for odd and even numbers of rounds",
    reference=fair_speedup,
    cases=rounds,
    mistakes=(
        Mistake(
            "The first round counts here. It is the warm-up: leave it out.",
            lambda before, after: float(median_of_ratios(before, after)),
        ),
        Mistake(
            "The ratio is turned over: it is to be above 1 where the new way is faster.",
            lambda before, after: fair_speedup(after, before),
        ),
        Mistake(
            "This is the ratio of the medians. Divide round by round first: a round's two times "
            "share its slow moment.",
            lambda before, after: median(before[1:]) / median(after[1:]),
        ),
        Mistake(
            "This is the mean of the ratios. One disturbed round moves a mean far, and a median "
            "little.",
            lambda before, after: mean(a / b for a, b in zip(before[1:], after[1:], strict=True)),
        ),
        Mistake(
            "This is the ratio of the means, or of the sums. One disturbed round moves it far.",
            lambda before, after: sum(before[1:]) / sum(after[1:]),
        ),
        Mistake(
            "This is the ratio of the smallest times. They may come from different rounds.",
            lambda before, after: min(before[1:]) / min(after[1:]),
        ),
        Mistake(
            "This is one of the two middle ratios. With an even number of them, take their mean.",
            lambda before, after: _middle(before, after, 0),
        ),
        Mistake(
            "This is one of the two middle ratios. With an even number of them, take their mean.",
            lambda before, after: _middle(before, after, 1),
        ),
        Mistake(
            "This is the middle of the ratios as they came: sort them first.",
            lambda before, after: _unsorted(before, after),
        ),
    ),
    hints=(
        "Which round is no measurement, but a warm-up?",
        "Divide round by round: before[r] / after[r] for every round r but the first.",
        "statistics.median takes the middle one, or the mean of the two in the middle.",
    ),
)


def _ratios(before: Sequence[float], after: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(before[1:], after[1:], strict=True)]


def _middle(before: Sequence[float], after: Sequence[float], upper: int) -> float:
    ratios = sorted(_ratios(before, after))
    return ratios[(len(ratios) - 1 + upper) // 2]


def _unsorted(before: Sequence[float], after: Sequence[float]) -> float:
    ratios = _ratios(before, after)
    return (ratios[(len(ratios) - 1) // 2] + ratios[len(ratios) // 2]) / 2


EXERCISES = (LAYER_WORK, LEAST_TIME, SPEEDUP)
