"""What a machine can do, and what each rung of a ladder costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from cnncourse.fast import Machine, attainable
from cnncourse.plots.style import (
    COLOURS,
    SMALL,
    WIDTH,
    Figure,
    check_curves,
    check_filled,
    curve,
    name_curves,
    one_axes,
)

GIGA = 1e9


def roofline(machine: Machine, layers: Mapping[str, tuple[float, float]]) -> Figure:
    """Draw the roofline of a machine, and layers below it, both axes logarithmic.

    Parameters
    ----------
    machine : Machine
        Its speeds, in a second.
    layers : mapping from name to two numbers
        Multiply-adds a byte, and the multiply-adds a second that were measured.

    Returns
    -------
    Figure
        With one axes; a line goes from each layer up to the roof.

    Examples
    --------
    >>> figure = roofline(Machine(2e11, 2e10), {"conv1": (5.0, 2e10)})
    >>> figure.axes[0].lines[0].get_xydata().tolist()
    [[5.0, 20.0]]
    """
    check_curves("layers", {name: list(numbers) for name, numbers in layers.items()})
    figure, axes = one_axes()
    axes.set(xscale="log", yscale="log")
    axes.set(xlabel="multiply-adds a byte", ylabel="billion multiply-adds a second")
    for i, (name, (intensity, speed)) in enumerate(layers.items()):
        curve(axes, i, [intensity], [speed / GIGA], name)
    intensities = [intensity for intensity, _ in layers.values()]
    ridge = machine.multiply_adds / machine.bytes
    ends = min(*intensities, ridge) / 2, ridge, max(*intensities, ridge) * 2
    roof = [attainable(intensity, machine) / GIGA for intensity in ends]
    speeds = [speed / GIGA for _, speed in layers.values()]
    axes.set_ylim(min(*speeds, roof[0]) / 2, 2 * max(*speeds, *roof))
    axes.set_xlim(ends[0], ends[-1])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())
    name_curves(axes)
    axes.plot(ends, roof, color="black", linewidth=2)
    for i, (intensity, speed) in enumerate(layers.values()):
        top = attainable(intensity, machine) / GIGA
        axes.plot([intensity] * 2, [speed / GIGA, top], ":", color=COLOURS[i])
    return figure


def ladder(
    rungs: Mapping[str, tuple[Sequence[float], Sequence[float]]], goal: float | int | None = None
) -> Figure:
    """Draw rungs below each other: seconds to the left, errors in per cent to the right.

    Parameters
    ----------
    rungs : mapping from name to two sequences of numbers
        Seconds and errors, one of each a seed.
    goal : float, optional
        An error to mark.

    Returns
    -------
    Figure
        With two axes; a dot for each seed, a line for their mean.

    Examples
    --------
    >>> figure = ladder({"slow": ([9.0, 7.0], [1.0, 1.2]), "fast": ([1.0, 2.0], [0.9, 1.0])})
    >>> [axes.get_xlabel() for axes in figure.axes]
    ['seconds', 'misread, %']
    """
    check_filled("rungs", {name: numbers[0] for name, numbers in rungs.items()})
    figure = Figure(figsize=(WIDTH, 0.6 + 0.27 * len(rungs)), layout="constrained")
    seconds, errors = figure.subplots(1, 2, sharey=True)
    _rows(seconds, [of_one[0] for of_one in rungs.values()], COLOURS[0], "o")
    _rows(errors, [of_one[1] for of_one in rungs.values()], COLOURS[1], "s")
    seconds.set(xlabel="seconds", xlim=(0, None))
    errors.set(xlabel="misread, %", xscale="log")
    errors.set_xticks(ticks := (0.7, 1, 2, 4), [f"{tick:g}" for tick in ticks])
    errors.minorticks_off()
    seconds.set_yticks(range(len(rungs)), rungs, size=SMALL)
    seconds.invert_yaxis()
    if goal is not None:
        errors.axvline(goal, color="grey", linestyle="--")
    return figure


def _rows(axes: Axes, values: Sequence[Sequence[float]], colour: str, marker: str) -> None:
    """Draw the numbers of each row as dots, and a short line at their mean."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    for row, numbers in enumerate(values):
        axes.plot(numbers, [row] * len(numbers), marker, color=colour, ms=4, mfc="none")
        axes.vlines(np.mean(numbers), row - 0.35, row + 0.35, color=colour, linewidth=2)
