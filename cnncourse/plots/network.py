"""A network as it is drawn on a board: one block a layer, as large as its output."""

from __future__ import annotations

from math import log2

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from cnncourse.layer_table import LayerTable
from cnncourse.plots.style import COLOURS, SMALL, WIDTH, Figure

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
