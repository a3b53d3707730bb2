"""Chapter 11: from the book's loop to a second, one change a rung; and the end without each part.

The digits are those of MNIST. All rungs but the last two make one pass over them. How long the last
one trains was chosen by trials, before any run had measured the test split: the fewest passes that
read `GOAL` of the validation split, on average over seeds of their own.

``seconds`` is wall time, ``cpu_seconds`` leaves out the waiting for a busy core. Both are
comparable within one record only, so every seed runs through all rungs before the next seed begins.
What only the first run of a process pays is left out: a short one comes first, and does not count.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cnncourse.datasets import Dataset, load_mnist
from cnncourse.sprint import Plan, sprint
from cnncourse.training import evaluate
from experiments.recipe import rounded
from experiments.runner import Experiment


@dataclass(frozen=True, kw_only=True)
class Rung(Plan):
    """A plan, and what is new in it."""

    change: str = field(compare=False)
    trial: bool = False


# The digits of the validation split are harder than those of the test split: chapter 8's LeNet
# reads 98.77 % of the one and 99.13 % of the other.
GOAL = 0.9885

BOOK = Rung(
    change="the book's loop: LeNet with ReLU, plain descent",
    network="lenet",
    channels_last=False,
    precision="float32",
    rule="plain",
    falling=False,
    smoothing=0.0,
    passes=1.0,
    hard=0.0,
)
MOMENTUM = replace(BOOK, change="Nesterov's momentum", rule="momentum", lr=0.03)
FALLING = replace(MOMENTUM, change="the rate rises and falls", lr=0.1, falling=True)
LAID_OUT = replace(FALLING, change="channels last", channels_last=True)
HALF = replace(LAID_OUT, change="bfloat16", precision="bfloat16")
SMALL = replace(HALF, change="another network", network="small", side=28)
CROP = replace(SMALL, change="24 x 24 pixels", side=24)
SMOOTH = replace(CROP, change="smoothed labels", smoothing=0.1)
ORTHOGONAL = replace(SMOOTH, change="orthogonal steps for filters", rule="orthogonal")
SHORT = replace(ORTHOGONAL, change="fewer passes", passes=0.6)
END = replace(SHORT, change="a quarter of them over hard digits", passes=0.45, hard=0.15)

TRIALS = {
    f"trial_{passes:g}_{hard:g}": replace(
        END, change="trial, no test", passes=passes, hard=hard, trial=True
    )
    for passes, hard in ((0.4, 0.0), (0.3, 0.1), (0.6, 0.0), (0.45, 0.15))
}
WITHOUT = {
    "without_channels_last": replace(END, change="the end, as torch lays out", channels_last=False),
    "without_bfloat16": replace(END, change="the end, in float32", precision="float32"),
    "without_crop": replace(END, change="the end, on 28 x 28 pixels", side=28),
    "without_smoothing": replace(END, change="the end, labels as they are", smoothing=0.0),
    "without_orthogonal": replace(END, change="the end, momentum alone", rule="momentum"),
}
RUNGS = {
    "book": BOOK,
    "momentum": MOMENTUM,
    "falling": FALLING,
    "channels_last": LAID_OUT,
    "bfloat16": HALF,
    "small": SMALL,
    "crop": CROP,
    "smooth": SMOOTH,
    "orthogonal": ORTHOGONAL,
    "short": SHORT,
    "end": END,
}
RECIPES: Mapping[str, Rung] = {**TRIALS, **RUNGS, **WITHOUT}


@functools.cache
def pictures() -> Dataset:
    """Load the digits once."""
    return load_mnist()


@functools.cache
def warm_up(rung: Rung) -> None:
    """Let a short run pay for what only the first one in a process needs."""
    sprint(pictures().train, replace(rung, passes=0.01))


def run(rung: Rung, seed: int) -> dict[str, object]:
    """Train by the clock, and measure what came out."""
    data = pictures()
    warm_up(rung)
    start, cpu_start = time.perf_counter(), time.process_time()
    net = sprint(data.train, rung, seed)
    seconds = time.perf_counter() - start, time.process_time() - cpu_start
    result = dict(zip(("seconds", "cpu_seconds"), rounded(seconds, 3), strict=True))
    for split in ("validation",) if rung.trial else ("validation", "test"):
        result[f"{split}_accuracy"] = round(evaluate(net, getattr(data, split)).accuracy, 4)
    return result


EXPERIMENT = Experiment(
    "chapter 11: from minutes to a second, one change a rung",
    RECIPES,
    run,
    by_seed=True,
    trial_seeds=3,
)
