"""Gradients as a reader checks them: numbers in their places, and errors against a step."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

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

GAP = 1.0  # between grids, in cells
MARKED = "#BFD9EC"  # light enough for black numbers


def number_grids(
    grids: Mapping[str, Float[Tensor, "h w"]],
    marked: Mapping[str, Collection[tuple[int, int]]] | None = None,
    columns: int = 3,
) -> Figure:
    """Draw matrices of integers as grids of numbers, some of their cells marked.

    A marked cell is filled and its number is bold; a zero is grey.

    Parameters
    ----------
    grids : mapping from title to Tensor, (h, w)
        From left to right, ``columns`` of them in a row of the figure.
    marked : mapping from title to places, optional
        The cells (row, column) that belong together.

    Returns
    -------
    Figure
        With one axes, in which a cell has side 1.

    Examples
    --------
    >>> import torch
    >>> figure = number_grids({"x": torch.eye(2), "y": torch.ones(1, 2)}, {"x": [(0, 1)]})
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['x', '1', '0', '0', '1', 'y', '1', '1']
    """
    check_filled("grids", grids)
    lines = [list(grids.items())[i : i + columns] for i in range(0, len(grids), columns)]
    wide = max(sum(grid.shape[1] + GAP for _, grid in line) - GAP for line in lines)
    high = sum(max(grid.shape[0] for _, grid in line) + 2 * GAP for line in lines)
    figure = Figure(figsize=(WIDTH, WIDTH * (high - 0.6) / (wide + 0.2)), layout="constrained")
    axes = figure.add_subplot()
    top = 0.0
    for line in lines:
        left, tallest = 0.0, max(grid.shape[0] for _, grid in line)
        for title, grid in line:
            lower = top + (tallest - grid.shape[0]) / 2
            axes.text(left, lower - 0.25, title, va="bottom", size=SMALL)
            _numbers(axes, left, lower, grid, (marked or {}).get(title, ()))
            left += grid.shape[1] + GAP
        top += tallest + 2 * GAP
    axes.set(xlim=(-0.1, wide + 0.1), ylim=(high - 2 * GAP + 0.1, -1.3), aspect="equal")
    axes.set_axis_off()
    return figure


def _numbers(
    axes: Axes, left: float, top: float, grid: Tensor, marked: Collection[tuple[int, int]]
) -> None:
    """Draw one grid with its upper left corner at (left, top)."""
    for (row, column), number in _places(grid):
        here = (row, column) in marked
        style = {"facecolor": MARKED if here else "white", "edgecolor": "grey", "linewidth": 0.6}
        axes.add_patch(Rectangle((left + column, top + row), 1, 1, **style))
        axes.text(
            *(left + column + 0.5, top + row + 0.5, str(number)),
            ha="center",
            va="center_baseline",
            size=SMALL,
            weight="bold" if here else "normal",
            color="black" if number or here else "#767676",
        )


def _places(grid: Tensor) -> list[tuple[tuple[int, int], int]]:
    """List each place of a matrix with its number, row by row."""
    rows = grid.detach().round().int().tolist()
    return [((i, j), number) for i, row in enumerate(rows) for j, number in enumerate(row)]


def step_errors(steps: Sequence[float], errors: Mapping[str, Sequence[float]]) -> Figure:
    """Draw the error of measured gradients against the step, both on log axes.

    Parameters
    ----------
    steps : sequence of float
        Positive, the same for all curves.
    errors : mapping from name to numbers
        An error for each step; the smallest of each curve gets a ring.

    Returns
    -------
    Figure
        With one axes.

    Examples
    --------
    >>> figure = step_errors([0.1, 0.01, 0.001], {"central": [1e-2, 1e-4, 1e-3]})
    >>> figure.axes[0].lines[1].get_xydata().tolist()
    [[0.01, 0.0001]]
    """
    check_curves("errors", errors)
    figure, axes = one_axes()
    axes.set(xscale="log", yscale="log", xlabel="step", ylabel="error of the measured slope")
    for i, (name, values) in enumerate(errors.items()):
        curve(axes, i, steps, values, name)
    name_curves(axes)
    for i, values in enumerate(errors.values()):
        best = min(values)
        style = {"color": COLOURS[i], "mfc": "none", "ms": 13}
        axes.plot(steps[list(values).index(best)], best, "o", **style)
    return figure
