"""Measure how the cost of a training step grows, where its time goes, and how far the floor is.

The step is that of `fit` on LeNet; benchmarks/step.py tells how it is taken apart. A repeat gives
every setting its turn, so that a slow moment of the machine meets all; the tables give medians.
For one thread it is CPU time, which is the time on the wall of a quiet machine and leaves out the
waiting on a busy one. It does not leave out that other processes empty the caches, which makes
short steps longer: what is kept should come from a quiet machine. More threads and GPUs are timed
by the wall, and mean nothing on a busy one.

The floor is what this machine does with nothing else to do: a matrix product whose matrices stay in
the cache, and a copy, between places in memory and within the cache. Operations are counted from
the table of layers, two for each multiply-add of convolutions and dense layers; those of pooling,
activations and the update are not counted, so a share of the floor is what useful work gets.

With ``--record`` the grid of batch, channels, precision and memory format is kept for the explorer
and for the chapter about speed.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.measured import (
    ASKED,
    COPIES,
    GRID,
    LARGE,
    LARGE_FORMS,
    MATRIX,
    Found,
    devices,
    ends,
    grid,
    growth,
    in_turn,
    large_flop,
    measures,
    middle,
    parts,
    precisions,
    rate,
    speed,
)
from benchmarks.report import machine, table
from benchmarks.step import Sample, Setting, step_flop
from cnncourse.records import Speed, StepTime
from experiments.environment import environment

DESCRIPTION = "Measure how the cost of LeNet's training step grows, its parts, and the floor."
COMMAND = "python -m benchmarks.cost --record cnncourse/records/speed.json"


def ms(seconds: float) -> str:
    """Write milliseconds with three digits."""
    return f"{float(f'{seconds * 1e3:.3g}'):g}"


def spread(samples: Sequence[Sample]) -> str:
    """Write the smallest and the largest of the seconds, in milliseconds."""
    return " to ".join(map(ms, ends(samples)))


def speed_of(found: Found) -> Speed:
    """Return what the record keeps of a device: its floor and the grid."""
    names = (*precisions(found.device), *COPIES)
    floor = {name: rounded(speed(found, name)) for name in names}
    steps = [step_time(found, setting) for setting in grid(found.device, found.threads)]
    return Speed(devices()[found.device], found.threads, floor, tuple(steps))


def step_time(found: Found, setting: Setting) -> StepTime:
    """Return what the record keeps of a step."""
    samples = found.samples[setting]
    low, high = ends(samples)
    return StepTime(
        *(getattr(setting, axis) for axis in GRID),
        *map(rounded, (middle(samples), low, high)),
        step_flop(setting),
        {part: rounded(seconds) for part, seconds in parts(samples).items()},
    )


def rounded(value: float) -> float:
    """Keep four digits: no more are repeatable."""
    return float(f"{value:.4g}")


GRID_HEAD = (
    *("device", "batch", "channels", "precision", "format", "ms a step", "spread", "pictures a s"),
    *("convolution, %", "pooling, %", "other, %", "update, %", "of the floor, %", "watched, %"),
)


def grid_lines(found: Found) -> list[list[str]]:
    """Write the rows of the grid: seconds, and where they go."""
    kept = speed_of(found)
    return [[found.device, *_grid_line(kept, step)] for step in kept.steps]


def _grid_line(speed: Speed, step: StepTime) -> list[str]:
    whole = sum(step.parts.values())
    return [
        *(str(step.batch), str(step.channels), step.precision, _format(step.channels_last)),
        *(ms(step.seconds), f"{ms(step.low)} to {ms(step.high)}"),
        f"{step.pictures_per_second:,.0f}",
        *(f"{100 * kind / whole:.0f}" for kind in step.kinds.values()),
        f"{100 * speed.share(step):.1f}",
        f"{100 * (whole / step.seconds - 1):+.1f}",
    ]


GROWTH_HEAD = ("device", "changed", "to", "ms a step", "spread", "time", "operations", "GFLOP/s")


def growth_lines(found: Found) -> list[list[str]]:
    """Write how time and operations grow, each beside those of the plain step."""
    plain = Setting(device=found.device, threads=found.threads)
    return [
        [found.device, name, str(value), *_growth_line(found, setting, plain)]
        for (name, value), setting in growth(found.device, found.threads).items()
    ]


def _growth_line(found: Found, setting: Setting, plain: Setting) -> list[str]:
    samples = found.samples[setting]
    times = middle(samples) / middle(found.samples[plain])
    work = step_flop(setting) / step_flop(plain)
    numbers = f"{times:.2f}", f"{work:.2f}", _giga(rate(found, setting))
    return [ms(middle(samples)), spread(samples), *numbers]


FLOOR_HEAD = ("device", "precision", "what", "GFLOP/s", "of the floor, %")


def floor_lines(found: Found) -> list[list[str]]:
    """Write the floor, and what part of it steps and a large convolution reach."""
    return [
        [found.device, name, what, _giga(own), f"{100 * own / speed(found, name):.1f}"]
        for name in precisions(found.device)
        for what, own in reached(found, name).items()
    ]


def reached(found: Found, precision: str) -> dict[str, float]:
    """Return operations a second: of a matrix product, a large convolution, steps of LeNet."""
    n, c, h, w = LARGE
    rates = {f"a matrix product, {MATRIX} x {MATRIX}": speed(found, precision)}
    for form in LARGE_FORMS:
        if form[0] == precision:
            name = f"a convolution, ({n}, {c}, {h}, {w}) * ({c}, {c}, 3, 3), {_format(form[1])}"
            rates[name] = large_flop() / middle(found.samples[form])
    for setting in grid(found.device, found.threads):
        if (setting.precision, setting.channels) == (precision, 1):
            name = f"LeNet, batches of {setting.batch}, {_format(setting.channels_last)}"
            rates[name] = rate(found, setting)
    return rates


COPY_HEAD = ("device", "bytes copied", "GB/s, read and written", "ms")


def copy_lines(found: Found) -> list[list[str]]:
    """Write how fast bytes are copied."""
    return [
        [found.device, f"{size:,}", f"{speed(found, name) / 1e9:.1f}", spread(found.samples[name])]
        for name, size in COPIES.items()
    ]


PREDICT_HEAD = ("device", "pictures at once", "pictures a s", "ms", "spread")


def predict_lines(found: Found) -> list[list[str]]:
    """Write how many pictures a second a trained network answers."""
    return [
        [
            *(found.device, f"{n:,}", f"{n / middle(found.samples[n]):,.0f}"),
            *(ms(middle(found.samples[n])), spread(found.samples[n])),
        ]
        for n in ASKED
    ]


def _giga(operations: float) -> str:
    return f"{operations / 1e9:.0f}"


def _format(channels_last: bool) -> str:
    return "channels last" if channels_last else "plain"


def report(every: Sequence[Found], repeats: int) -> str:
    """Write all tables as markdown."""

    def whole(head: Sequence[str], lines: Callable[[Found], list[list[str]]]) -> str:
        return table(head, [line for found in every for line in lines(found)])

    missing = "" if len(every) > 1 else " No GPU here, so its rows are missing."
    return f"""# The cost of a training step, {datetime.datetime.now(datetime.UTC).date()}

The median over {repeats} repeats, in each of which everything had its turn, with the smallest and
the largest. Threads: {every[0].threads}. CPU time of one thread; time on the wall of several, and
of a GPU.{missing}
{machine()}
How it is measured stands at the top of benchmarks/cost.py and benchmarks/step.py.

## Where a step of LeNet spends its time

Channels: times those of LeNet. "Watched": how much longer the step takes with the stopwatch that
takes it apart. The floor is a matrix product in the same precision.

{whole(GRID_HEAD, grid_lines)}

## How it grows

One thing changed in a plain step with batches of 128 pictures of 28 x 28, kernels of 5 x 5 and
float32. Time and operations: through those of the plain step.

{whole(GROWTH_HEAD, growth_lines)}

## The floor

Useful operations: two for each multiply-add, forward and backward.

{whole(FLOOR_HEAD, floor_lines)}

{whole(COPY_HEAD, copy_lines)}

## A trained LeNet answers

`predict`, float32.

{whole(PREDICT_HEAD, predict_lines)}
"""


def record(every: Sequence[Found], repeats: int) -> dict[str, object]:
    """Return all that the record file holds."""
    return {
        "command": COMMAND,
        "date": str(datetime.datetime.now(datetime.UTC).date()),
        "repeats": repeats,
        "load": round(os.getloadavg()[0], 1),
        "environment": environment(),
        "devices": {found.device: asdict(speed_of(found)) for found in every},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, measure, print, and write the files that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=DESCRIPTION)
    parser.add_argument("--repeats", type=int, default=9, help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the tables there, too")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the grid there, as JSON")
    chosen = parser.parse_args(arguments)
    for name in ("repeats", "threads"):
        if getattr(chosen, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(chosen, name)}")
    every = [
        Found(device, chosen.threads, in_turn(measures(device, chosen.threads), chosen.repeats))
        for device in devices()
    ]
    torch.set_num_threads(chosen.threads)  # which the tables name
    text = report(every, chosen.repeats)
    print(text, end="")
    whole = json.dumps(record(every, chosen.repeats), indent=1) + "\n"
    for path, content in ((chosen.out, text), (chosen.record, whole)):
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
