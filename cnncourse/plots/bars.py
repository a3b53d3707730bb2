"""Bars that are made of parts."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.container import BarContainer

from cnncourse.plots.style import COLOURS, SMALL, WIDTH, Figure, check_filled

FILLS = tuple(COLOURS[i] for i in (0, 4, 3, 2))  # blue, orange, purple, green
HATCHES = ("", "//", "..", "xx")
WIDE = 0.08  # of the longest bar: a narrower part has no room for its number


def stacked_bars(bars: Mapping[str, Mapping[str, float | int]], unit: str) -> Figure:
    """Draw a bar for each name, made of parts that lie side by side, each with its number.

    Parameters
    ----------
    bars : mapping from name to mapping from part to number
        At most four parts in all, by name; the numbers are not negative.
    unit : str
        What stands below the axis.

    Returns
    -------
    Figure
        With one axes, and a legend of the parts above it.

    Examples
    --------
    >>> figure = stacked_bars({"a": {"x": 1, "y": 3}, "b": {"x": 2}}, "ms")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1', '2', '3', '']
    """
    check_filled("bars", bars)
    parts = list(dict.fromkeys(part for bar in bars.values() for part in bar))
    if len(parts) > len(FILLS):
        raise ValueError(f"`bars` must have at most {len(FILLS)} parts, got {parts}")
    figure = Figure(figsize=(WIDTH, 0.9 + 0.5 * len(bars)), layout="constrained")
    axes, ends = figure.add_subplot(), [0.0] * len(bars)
    longest = max(sum(bar.values()) for bar in bars.values())
    for part, colour, hatch in zip(parts, FILLS, HATCHES, strict=False):
        widths = [bar.get(part, 0) for bar in bars.values()]
        style = {"color": colour, "hatch": hatch, "edgecolor": "white", "label": part}
        drawn = axes.barh(list(bars), widths, left=ends, height=0.6, **style)
        _write_numbers(axes, drawn, widths, longest)
        ends = [end + width for end, width in zip(ends, widths, strict=True)]
    axes.invert_yaxis()  # the first bar above
    axes.set_xlabel(unit)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=len(parts), fontsize=SMALL, frameon=False)
    return figure


def _write_numbers(
    axes: Axes, drawn: BarContainer, widths: list[float | int], longest: float | int
) -> None:
    """Write into each part its number, where there is room."""
    words = [f"{width:.3g}" if width > WIDE * longest else "" for width in widths]
    for text in axes.bar_label(drawn, words, label_type="center", size=SMALL):
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1})
