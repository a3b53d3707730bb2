"""A network as it is drawn on a board: a block for each layer, or the cone below one unit."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from cnncourse.layer_table import LayerTable
from cnncourse.plots.style import COLOURS, SMALL, WIDTH, Figure
from cnncourse.windows import Axis

SHEETS = 4  # of a stack of channels, that many are drawn
ASIDE = 0.12  # of a sheet's place to that of the next, in sides of the input


def network(table: LayerTable) -> Figure:
    """Draw the input, and what each layer that changes the shape gives, from top to bottom.

    Maps are stacks of sheets as high as the map, numbers a bar whose length follows the logarithm
    of how many there are. Beside each stands the layer and the shape, channels first.

    Parameters
    ----------
    table : LayerTable
        From ``layer_table``, for pictures.

    Returns
    -------
    Figure
        With one axes, which has a row for each drawn shape.

    Examples
    --------
    >>> from torch import nn
    >>> from cnncourse.layer_table import layer_table
    >>> layers = nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.Flatten())
    >>> figure = network(layer_table(layers, (1, 28, 28)))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['input', '1 × 28 × 28', '0 Conv2d', '6 × 24 × 24', '2 Flatten', '3456']
    """
    rows = _shapes(table)
    side = max(max(shape[1:], default=1) for _, shape in rows)
    figure = Figure(figsize=(WIDTH, 0.8 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for y, (name, shape) in enumerate(rows):
        _block(axes, y, shape, side)
        axes.text(-0.25, y, name, ha="right", va="center", size=SMALL)
        axes.text(2.2, y, " × ".join(map(str, shape)), va="center", size=SMALL)
    axes.set(xlim=(-1.2, 3.2), ylim=(len(rows) - 0.4, -0.6), aspect="equal")
    axes.set_axis_off()
    return figure


def _shapes(table: LayerTable) -> list[tuple[str, tuple[int, ...]]]:
    """List the input and each layer whose output has another shape than its input."""
    found = [("input", table.input_shape)]
    for row in table.rows:
        if row.output_shape != found[-1][1]:
            found.append((f"{row.name} {row.type}", row.output_shape))
    return found


def _block(axes: Axes, y: int, shape: tuple[int, ...], side: int) -> None:
    """Draw one output around height y."""
    style = {"facecolor": "white", "edgecolor": COLOURS[0], "linewidth": 1.2}
    if len(shape) == 1:
        axes.add_patch(Rectangle((0, y - 0.08), 0.2 * log2(1 + shape[0]), 0.16, **style))
        return
    channels, height, width = shape[0], *(0.8 * n / side for n in shape[-2:])
    for sheet in range(min(channels, SHEETS)):
        axes.add_patch(Rectangle((ASIDE * sheet, y - height / 2), width, height, **style))


def cone(
    layers: Sequence[tuple[int, ...]], gradient: Float[Tensor, " w"], unit: int | None = None
) -> Figure:
    """Draw what a unit of the last layer depends on, along one axis, from the unit to the pixels.

    Below the pixels stands the gradient of that unit with respect to each of them.

    Parameters
    ----------
    layers : sequence of (int, int) or (int, int, int)
        Kernel size, stride and dilation (1 where not given) of each layer, the one nearest to the
        pixels first; no padding.
    gradient : Tensor, float, (w,)
        One number a pixel.
    unit : int, optional
        Which unit; the middle one where not given.

    Returns
    -------
    Figure
        With two axes: the units with their connections, and the gradient.

    Raises
    ------
    ValueError
        If there is no layer, a window does not fit, or there is no such unit.

    Examples
    --------
    >>> import torch
    >>> figure = cone([(3, 1), (3, 2)], torch.tensor([1.0, 2, 3, 2, 1, 0, 0]))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['layer 2', 'layer 1', '7 pixels']
    """
    numbers = [(*layer, 1)[:3] for layer in layers]
    windows = [Axis(k, s, dilation=d) for k, s, d in numbers]
    widths = _widths(windows, len(gradient))
    unit = widths[-1] // 2 if unit is None else unit
    if not 0 <= unit < widths[-1]:
        raise ValueError(f"`unit` must lie in 0 to {widths[-1] - 1}, got {unit}")
    figure = Figure(figsize=(WIDTH, 1.6 + 0.6 * len(layers)), layout="constrained")
    units, bars = figure.subplots(2, sharex=True, height_ratios=(0.6 * len(layers), 1))
    centres, seen = _centres(windows, widths), {unit}
    for level in range(len(layers), -1, -1):
        _units(units, centres[level], level, seen)
        if level:
            window = windows[level - 1]
            edges = [(u, j) for u in seen for j in range(widths[level - 1])[window.at(u)]]
            _edges(units, centres, level, edges)
            seen = {under for _, under in edges}
    units.set_axis_off()
    bars.bar(range(len(gradient)), gradient.detach().cpu().numpy(), color=COLOURS[1], width=0.7)
    bars.set(xlabel="pixel", ylabel="gradient")
    bars.xaxis.set_major_locator(MaxNLocator(integer=True))
    bars.spines[["top", "right"]].set_visible(False)
    return figure


def _widths(windows: Sequence[Axis], w: int) -> list[int]:
    """Return how many units stand on each level, pixels first."""
    if not windows:
        raise ValueError("`layers` must hold at least one layer, got none")
    widths = [w]
    for window in windows:
        if window.span > widths[-1]:
            raise ValueError(f"`layers` has a window of {window.span} over {widths[-1]} units")
        widths.append(window.out(widths[-1]))
    return widths


def _centres(windows: Sequence[Axis], widths: Sequence[int]) -> list[list[float]]:
    """Return the place of each unit above the pixels: the middle of what it sees."""
    centres = [[float(pixel) for pixel in range(widths[0])]]
    for window, width in zip(windows, widths[1:], strict=True):
        below = [centres[-1][window.at(u)] for u in range(width)]
        centres.append([(seen[0] + seen[-1]) / 2 for seen in below])
    return centres


def _units(axes: Axes, centres: Sequence[float], level: int, seen: set[int]) -> None:
    """Draw one level: squares for pixels, dots for units, filled where the unit depends on them."""
    fill = [COLOURS[0] if u in seen else "white" for u in range(len(centres))]
    marker = "o" if level else "s"
    level_line = [level] * len(centres)
    axes.scatter(centres, level_line, 34, fill, marker=marker, edgecolors="grey", zorder=2)
    name = f"layer {level}" if level else f"{len(centres)} pixels"
    axes.annotate(name, (1.02, level), xycoords=axes.get_yaxis_transform(), va="center", size=SMALL)


def _edges(
    axes: Axes, centres: Sequence[Sequence[float]], level: int, edges: Sequence[tuple[int, int]]
) -> None:
    """Draw the connections of one level with the one below."""
    lines = [
        [(centres[level][u], level), (centres[level - 1][under], level - 1)] for u, under in edges
    ]
    axes.add_collection(LineCollection(lines, color=COLOURS[0], lw=0.8, zorder=1))
