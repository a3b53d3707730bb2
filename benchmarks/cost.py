"""Measure how the cost of a training step grows, where its time goes, and how far the floor is.

The step is that of `fit` on LeNet; benchmarks/step.py tells how it is taken apart. A repeat gives
every setting its turn, so that a slow moment of the machine meets all; the tables give medians.
For one thread it is CPU time, which is the time on the wall of a quiet machine and leaves out the
waiting on a busy one. More threads and GPUs are timed by the wall: those rows need a quiet machine.

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
from pathlib import Path

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
from experiments.environment import environment

DESCRIPTION = "Measure how the cost of LeNet's training step grows, its parts, and the floor."
COMMAND = "python -m benchmarks.cost --record cnncourse/records/speed.json"


def ms(seconds: float) -> str:
    """Write milliseconds with three digits."""
    return f"{float(f'{seconds * 1e3:.3g}'):g}"


def spread(samples: Sequence[Sample]) -> str:
    """Write the smallest and the largest of the seconds, in milliseconds."""
    return " to ".join(map(ms, ends(samples)))


def grid_lines(found: Found) -> list[list[str]]:
    """Write the rows of the grid: seconds, and where they go."""
    return [_grid_line(found, setting) for setting in grid(found.device, found.threads)]


def _grid_line(found: Found, setting: Setting) -> list[str]:
    samples = found.samples[setting]
    own = parts(samples)
    whole, share = sum(own.values()), rate(found, setting) / speed(found, setting.precision)
    kinds = [
        sum(seconds for part, seconds in own.items() if part.startswith(kind)) / whole
        for kind in ("convolution", "pooling", "other", "update")
    ]
    return [
        *(found.device, str(setting.batch), str(setting.channels), setting.precision),
        "channels last" if setting.channels_last else "plain",
        *(ms(middle(samples)), spread(samples)),
        f"{setting.batch / middle(samples):,.0f}",
        *(f"{100 * kind:.0f}" for kind in kinds),
        f"{100 * share:.1f}",
        f"{100 * (whole / middle(samples) - 1):+.1f}",
    ]


def growth_lines(found: Found) -> list[list[str]]:
    """Write how time and operations grow, each beside those of the plain step."""
    plain = Setting(device=found.device, threads=found.threads)
    lines = []
    for (name, value), setting in growth(found.device, found.threads).items():
        samples = found.samples[setting]
        times = middle(samples) / middle(found.samples[plain])
        work = step_flop(setting) / step_flop(plain)
        lines.append([
            *(found.device, name, str(value), ms(middle(samples)), spread(samples)),
            *(f"{times:.2f}", f"{work:.2f}", f"{rate(found, setting) / 1e9:.0f}"),
        ])  # fmt: skip
    return lines


def floor_lines(found: Found) -> list[list[str]]:
    """Write the floor, and what part of it steps and a large convolution reach."""
    lines = []
    for name in precisions(found.device):
        top = speed(found, name)
        lines.append(
            [found.device, name, f"a matrix product, {MATRIX} x {MATRIX}", _giga(top), "100"]
        )
        reached = {
            _in_words(form): large_flop() / middle(found.samples[form])
            for form in LARGE_FORMS
            if form[0] == name
        } | {
            f"LeNet, batches of {setting.batch}, {_format(setting.channels_last)}": rate(
                found, setting
            )
            for setting in grid(found.device, found.threads)
            if setting.precision == name and setting.channels == 1
        }
        lines += [
            [found.device, name, what, _giga(own), f"{100 * own / top:.1f}"]
            for what, own in reached.items()
        ]
    return lines


def copy_lines(found: Found) -> list[list[str]]:
    """Write how fast bytes are copied."""
    return [
        [found.device, f"{size:,}", f"{speed(found, name) / 1e9:.1f}", spread(found.samples[name])]
        for name, size in COPIES.items()
    ]


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


def _in_words(form: tuple[str, bool]) -> str:
    n, c, h, w = LARGE
    return f"a convolution, ({n}, {c}, {h}, {w}) * ({c}, {c}, 3, 3), {_format(form[1])}"


def report(every: Sequence[Found], repeats: int) -> str:
    """Write all tables as markdown."""

    def rows(lines: Callable[[Found], list[list[str]]]) -> list[list[str]]:
        return [line for found in every for line in lines(found)]

    step = ("ms a step", "spread", "pictures a s")
    shares = (
        "convolution, %",
        "pooling, %",
        "other, %",
        "update, %",
        "of the floor, %",
        "watched, %",
    )
    settings = ("device", "batch", "channels", "precision", "format")
    grown = ("device", "changed", "to", "ms a step", "spread", "time", "operations", "GFLOP/s")
    reached = ("device", "precision", "what", "GFLOP/s", "of the floor, %")
    asked = ("device", "pictures at once", "pictures a s", "ms", "spread")
    missing = "" if len(every) > 1 else " No GPU here, so its rows are missing."
    return f"""# The cost of a training step, {datetime.datetime.now(datetime.UTC).date()}

The median over {repeats} repeats, in each of which everything had its turn, with the smallest and
the largest. {every[0].threads} thread(s); CPU time where it is one, else time on the wall.{missing}
{machine()}
How it is measured stands at the top of benchmarks/cost.py and benchmarks/step.py.

## Where a step of LeNet spends its time

Channels: times those of LeNet. "Watched": how much longer the step takes with the stopwatch that
takes it apart. The floor is a matrix product in the same precision.

{table((*settings, *step, *shares), rows(grid_lines))}

## How it grows

One thing changed in a plain step with batches of 128 pictures of 28 x 28, kernels of 5 x 5 and
float32. Time and operations: through those of the plain step.

{table(grown, rows(growth_lines))}

## The floor

Useful operations: two for each multiply-add, forward and backward.

{table(reached, rows(floor_lines))}

{table(("device", "bytes copied", "GB/s, read and written", "ms"), rows(copy_lines))}

## A trained LeNet answers

`predict`, float32.

{table(asked, rows(predict_lines))}
"""


def kept(found: Found) -> dict[str, object]:
    """Return what the record says of a device: its floor and the grid."""
    names = (*precisions(found.device), *COPIES)
    return {
        "name": devices()[found.device],
        "threads": found.threads,
        "floor": {name: rounded(speed(found, name)) for name in names},
        "steps": [_kept_step(found, setting) for setting in grid(found.device, found.threads)],
    }


def _kept_step(found: Found, setting: Setting) -> dict[str, object]:
    samples = found.samples[setting]
    low, high = map(rounded, ends(samples))
    return {
        **{axis: getattr(setting, axis) for axis in GRID},
        "seconds": rounded(middle(samples)),
        "low": low,
        "high": high,
        "operations": step_flop(setting),
        "parts": {part: rounded(seconds) for part, seconds in parts(samples).items()},
    }


def rounded(value: float) -> float:
    """Keep four digits: no more are repeatable."""
    return float(f"{value:.4g}")


def record(every: Sequence[Found], repeats: int) -> dict[str, object]:
    """Return all that the record file holds."""
    return {
        "command": COMMAND,
        "date": str(datetime.datetime.now(datetime.UTC).date()),
        "repeats": repeats,
        "load": round(os.getloadavg()[0], 1),
        "environment": environment(),
        "devices": {found.device: kept(found) for found in every},
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
