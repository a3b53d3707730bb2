"""How fast a layer can be on a machine, and how to compare two ways of doing the same.

The model is the roofline of Williams, Waterman and Patterson (2009): a machine has a largest speed
of multiplying and a largest speed of fetching, and a layer waits for the slower one. Not handled:
caches, numbers that a layer fetches more than once, and work other than multiply-adds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import torch

from cnncourse._arguments import IntOrPair, check_integer, pair
from cnncourse.padding_stride import conv_output_size

FLOAT32 = 4  # bytes


class Work(NamedTuple):
    """What a layer has to do: multiply-adds, and bytes to fetch or to store."""

    multiply_adds: int
    bytes: int

    @property
    def intensity(self) -> float:
        """Multiply-adds for each byte, the arithmetic intensity."""
        return self.multiply_adds / self.bytes


class Machine(NamedTuple):
    """What a machine can do in a second: multiply-adds, and bytes to fetch or to store."""

    multiply_adds: float
    bytes: float


def conv2d_work(
    n: int,
    c: int,
    o: int,
    size: IntOrPair,
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
) -> Work:
    """Count the work of a convolution in float32, without bias.

    Each of the ``n o out_h out_w`` outputs takes ``c kh kw`` multiply-adds. At the least, every
    number of input, weight and output goes through the memory once. ``size`` is (h, w).

    Examples
    --------
    >>> conv2d_work(1, 1, 6, size=28, kernel_size=5, padding=2)
    Work(multiply_adds=117600, bytes=22552)
    """
    for name, value in {"n": n, "c": c, "o": o}.items():
        check_integer(name, value, 1)
    (h, w), (kh, kw) = pair("size", size, 1), pair("kernel_size", kernel_size, 1)
    (sh, sw), (ph, pw) = pair("stride", stride, 1), pair("padding", padding, 0)
    out_h, out_w = conv_output_size(h, kh, sh, ph), conv_output_size(w, kw, sw, pw)
    outputs = n * o * out_h * out_w
    moved = n * c * h * w + o * c * kh * kw + outputs
    return Work(outputs * c * kh * kw, FLOAT32 * moved)


def least_seconds(work: Work, machine: Machine) -> float:
    """Return the seconds that a layer needs at least: it multiplies and fetches at the same time.

    Examples
    --------
    >>> least_seconds(Work(multiply_adds=600, bytes=100), Machine(multiply_adds=200, bytes=20))
    5.0
    """
    return max(work.multiply_adds / machine.multiply_adds, work.bytes / machine.bytes)


def attainable(intensity: float, machine: Machine) -> float:
    """Return the most multiply-adds a second at an arithmetic intensity: the roofline.

    Examples
    --------
    >>> [attainable(i, Machine(multiply_adds=200.0, bytes=20.0)) for i in (1.0, 10.0, 50.0)]
    [20.0, 200.0, 200.0]
    """
    return min(machine.multiply_adds, intensity * machine.bytes)


def interleaved(
    ways: Mapping[str, Callable[[], object]],
    rounds: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time several ways round by round, so that a slow moment of the machine meets all of them.

    Each way is called once before, uncounted: a first call allocates, loads and compiles. On a GPU
    a way must end in ``torch.cuda.synchronize()``, or its clock stops before its work is done.

    Examples
    --------
    >>> seconds = interleaved({"add": lambda: 1 + 1, "power": lambda: 3**9}, rounds=4)
    >>> [len(of_one) for of_one in seconds.values()]
    [4, 4]
    """
    check_integer("rounds", rounds, 1)
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = clock()
            way()
            seconds[name].append(clock() - start)
    return seconds


def speedup(before: Sequence[float], after: Sequence[float]) -> float:
    """Return how many times faster ``after`` is: the median of the ratios of each round.

    Examples
    --------
    >>> speedup(before=[2.0, 8.0, 2.0], after=[1.0, 4.0, 4.0])
    2.0
    """
    if not len(before) == len(after) > 0:
        raise ValueError(
            f"`before` and `after` must have the same rounds, got {len(before)} and {len(after)}"
        )
    return median(old / new for old, new in zip(before, after, strict=True))


def measure_machine(side: int = 512, megabytes: int = 32, rounds: int = 50) -> Machine:
    """Measure this machine: the product of two square matrices, and the copy of a large array.

    The best of the rounds counts, since whatever disturbs a round makes it slower.

    Examples
    --------
    >>> machine = measure_machine(side=64, megabytes=1, rounds=2)
    >>> machine.multiply_adds > 0 and machine.bytes > 0
    True
    """
    a, b = torch.rand(2, side, side)
    source = torch.rand(check_integer("megabytes", megabytes, 1) * 250_000)
    target = torch.empty_like(source)
    ways = {"multiply": lambda: a @ b, "copy": lambda: target.copy_(source)}
    best = {name: min(seconds) for name, seconds in interleaved(ways, rounds).items()}
    copied = 2 * FLOAT32 * len(source)  # each byte is read and written
    return Machine(side**3 / best["multiply"], copied / best["copy"])
