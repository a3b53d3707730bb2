"""Which channels a layer joins, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from torch import nn

from cnncourse.layer_table import layer_table
from cnncourse.plots.style import COLOURS, SMALL, WIDTH, Figure, check_filled


def layer_prices(layers: Mapping[str, nn.Sequential], input_shape: tuple[int, int, int]) -> Figure:
    """Draw which channels each stack of convolutions joins, and write its price below.

    A dot is a channel, input on the left. A line joins an output channel to an input channel that
    it sees; the lines into the first output channel of each convolution are thick.

    Parameters
    ----------
    layers : mapping from name to nn.Sequential of nn.Conv2d
        One panel each, two in a row.
    input_shape : (int, int, int)
        One input: (c, h, w).

    Returns
    -------
    Figure
        With an axes for each name.

    Raises
    ------
    ValueError
        If there is no stack, an empty one, or a layer is no nn.Conv2d.

    Examples
    --------
    >>> figure = layer_prices({"full": nn.Sequential(nn.Conv2d(2, 3, 1))}, (2, 4, 4))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['9 parameters', '96 multiply-adds', '192 bytes of outputs']
    """
    check_filled("layers", layers)
    rows = -(-len(layers) // 2)
    figure = Figure(figsize=(WIDTH, 1.9 * rows), layout="constrained")
    for i, (name, stack) in enumerate(layers.items()):
        if not all(isinstance(layer, nn.Conv2d) for layer in stack):
            raise ValueError(f"`layers` must hold stacks of nn.Conv2d, got {stack} for {name!r}")
        axes = figure.add_subplot(rows, 2, i + 1)
        axes.set_title(name, size=SMALL + 1)
        _channels(axes, stack)
        table = layer_table(stack, input_shape)
        _price(axes, f"{table.parameters:,} parameters", 0)
        _price(axes, f"{table.multiply_adds:,} multiply-adds", 1)
        _price(axes, f"{table.activation_bytes:,} bytes of outputs", 2)
    return figure


def joined(layer: nn.Conv2d) -> Iterator[tuple[int, int]]:
    """Yield each pair of an input channel and an output channel that sees it.

    Examples
    --------
    >>> list(joined(nn.Conv2d(4, 2, 1, groups=2)))
    [(0, 0), (1, 0), (2, 1), (3, 1)]
    """
    c_per_group = layer.in_channels // layer.groups
    o_per_group = layer.out_channels // layer.groups
    for o in range(layer.out_channels):
        first = o // o_per_group * c_per_group
        yield from ((c, o) for c in range(first, first + c_per_group))


def _channels(axes: Axes, stack: nn.Sequential) -> None:
    """Draw a column of dots for the input and one after each layer, and the lines between."""
    columns = [stack[0].in_channels, *(layer.out_channels for layer in stack)]
    for x, layer in enumerate(stack):
        pairs = list(joined(layer))[::-1]  # the thick lines last, on top
        lines = [[(x, c), (x + 1, o)] for c, o in pairs]
        first = [o == 0 for _, o in pairs]
        colours = [COLOURS[1] if one else COLOURS[0] for one in first]
        widths = [2.2 if one else 0.7 for one in first]
        axes.add_collection(LineCollection(lines, colors=colours, linewidths=widths))
    for x, count in enumerate(columns):
        axes.plot([x] * count, range(count), "o", color="black", ms=4)
    axes.set(xlim=(-0.3, len(stack) + 0.3), ylim=(max(columns) - 0.4, -0.6))
    axes.set_axis_off()


def _price(axes: Axes, words: str, line: int) -> None:
    """Write one line below the drawing."""
    axes.annotate(
        words, (0.5, 0), (0, -12 * line), "axes fraction", "offset points",
        ha="center", va="top", size=SMALL,
    )  # fmt: skip
