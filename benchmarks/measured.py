"""What benchmarks/cost.py measures, and how: every setting in its turn, and the floor beside it."""

from __future__ import annotations

import itertools
import os
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from benchmarks.step import (
    PARTS,
    Clock,
    Sample,
    Setting,
    calls_in_block,
    clock_of,
    sample,
    seconds,
    step_flop,
    step_of,
)
from cnncourse.datasets import load_fashion_mnist
from cnncourse.layer_table import layer_table
from cnncourse.records import load_trained
from cnncourse.training import Switches, fast, predict
from experiments.environment import cpu_model

GRID = {
    "batch": (32, 128, 512),
    "channels": (1, 2, 4),
    "precision": ("float32", "bfloat16"),
    "channels_last": (False, True),
}
GROWTH = {
    "threads": (1, os.cpu_count()),
    "batch": (8, 32, 128, 512, 2048),
    "side": (28, 56, 112),
    "kernel": (3, 5, 7),
    "channels": (1, 2, 4),
}
MATRIX = 1024  # rows and columns: 4 MB of float32, which stay in the cache
COPIES = {"copy": 2**28, "copy in cache": 2**19}  # bytes
LARGE = (32, 64, 56, 56)  # pictures of a large convolution with as many channels out, 3x3
LARGE_FORMS = (("float32", False), ("bfloat16", True))  # plain, and with both switches
ASKED = (1, 1000)  # pictures that a trained network gets at once
Measure = Callable[[], Sample]


class Found(NamedTuple):
    """The samples of one device, by what was measured."""

    device: str
    threads: int
    samples: Mapping[object, Sequence[Sample]]


def in_turn(measures: Mapping[object, Measure], repeats: int) -> dict[object, list[Sample]]:
    """Measure everything ``repeats`` times, each in its turn."""
    rounds = [{key: measure() for key, measure in measures.items()} for _ in range(repeats)]
    return {key: [one[key] for one in rounds] for key in measures}


def devices() -> dict[str, str]:
    """Name the devices of this machine."""
    gpu = {"cuda": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {"cpu": cpu_model(), **gpu}


def precisions(device: str) -> tuple[str, ...]:
    """List the precisions that a device multiplies in."""
    picture = torch.zeros(1, 1, 1, 1, device=device)
    with warnings.catch_warnings(action="ignore"):  # which would name the one that is missing
        asked = [Switches(precision=name) for name in GRID["precision"]]
        kept = [fast.usable(switches, nn.Flatten(), picture).precision for switches in asked]
    return tuple(dict.fromkeys(kept))


def grid(device: str, threads: int) -> list[Setting]:
    """List the settings of the record."""
    axes = {**GRID, "precision": precisions(device)}
    plain = Setting(device=device, threads=threads)
    return [
        replace(plain, **dict(zip(axes, values, strict=True)))
        for values in itertools.product(*axes.values())
    ]


def growth(device: str, threads: int) -> dict[tuple[str, object], Setting]:
    """List the settings that differ from a plain step in one thing."""
    plain = Setting(device=device, threads=threads)
    return {
        (name, value): replace(plain, **{name: value})
        for name, values in GROWTH.items()
        if device == "cpu" or name != "threads"
        for value in dict.fromkeys(values)
    }


def measure_step(setting: Setting) -> Measure:
    """Return what takes one sample of a step, with the threads that it is to have."""
    step, clock = step_of(setting), clock_of(setting.device, setting.threads)

    def measure() -> Sample:
        torch.set_num_threads(setting.threads)
        return sample(step, clock)

    return measure


def measure_call(call: Callable[[], object], clock: Clock, threads: int) -> Measure:
    """Return what takes the seconds of one call, as the mean over a block."""

    def measure() -> Sample:
        torch.set_num_threads(threads)
        return Sample(seconds(call, calls_in_block(call, clock), clock), {})

    return measure


def floor(device: str) -> dict[str, Callable[[], object]]:
    """List the calls that nothing is faster than: matrix products and copies."""
    calls = {}
    for name in precisions(device):
        a, b, out = (
            torch.ones(MATRIX, MATRIX, device=device).to(fast.PRECISIONS[name]) for _ in "abc"
        )
        calls[name] = partial(torch.mm, a, b, out=out)
    for name, size in COPIES.items():
        source, target = (torch.ones(size // 4, device=device) for _ in "ab")
        calls[name] = partial(target.copy_, source)
    return calls


def large_convolution(device: str, precision: str, channels_last: bool) -> Callable[[], object]:
    """Return forward and backward pass of a convolution with enough to multiply."""
    order = torch.channels_last if channels_last else torch.contiguous_format
    layer = nn.Conv2d(LARGE[1], LARGE[1], 3, padding=1).to(device, memory_format=order)
    x = torch.rand(LARGE, device=device).to(memory_format=order).requires_grad_()
    kind = fast.PRECISIONS[precision]

    def call() -> None:
        for leaf in (x, *layer.parameters()):
            leaf.grad = None  # or new gradients would be added to old ones
        with torch.autocast(device, kind, enabled=precision != "float32"):
            y = layer(x)
        y.backward(torch.ones_like(y))

    return call


def large_flop() -> int:
    """Count its operations: forward, and the gradients of weights and input."""
    layer = nn.Sequential(nn.Conv2d(LARGE[1], LARGE[1], 3, padding=1))
    return 2 * 3 * LARGE[0] * layer_table(layer, LARGE[1:]).multiply_adds


def measures(device: str, threads: int) -> dict[object, Measure]:
    """List everything that is measured on a device."""
    settings = dict.fromkeys([*grid(device, threads), *growth(device, threads).values()])
    forms = [form for form in LARGE_FORMS if form[0] in precisions(device)]
    net = load_trained("lenet", "one_cycle").to(device)
    images = load_fashion_mnist().test.images[: max(ASKED)].to(device)
    calls = {
        **floor(device),
        **{form: large_convolution(device, *form) for form in forms},
        **{n: partial(predict, net, images[:n]) for n in ASKED},
    }
    clock = clock_of(device, threads)
    timed = {key: measure_call(call, clock, threads) for key, call in calls.items()}
    return {**timed, **{setting: measure_step(setting) for setting in settings}}


def middle(samples: Sequence[Sample]) -> float:
    """Return the median of the seconds."""
    return statistics.median(one.seconds for one in samples)


def ends(samples: Sequence[Sample]) -> tuple[float, float]:
    """Return the smallest and the largest of the seconds."""
    every = [one.seconds for one in samples]
    return min(every), max(every)


def parts(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the median seconds of each part."""
    return {part: statistics.median(one.parts[part] for one in samples) for part in PARTS}


def speed(found: Found, name: str) -> float:
    """Return a floor: operations a second of a precision, or bytes a second of a copy."""
    # A copy reads each byte and writes it.
    work = 2 * COPIES[name] if name in COPIES else 2 * MATRIX**3
    return work / middle(found.samples[name])


def rate(found: Found, setting: Setting) -> float:
    """Return the operations a second that a step gets done."""
    return step_flop(setting) / middle(found.samples[setting])
