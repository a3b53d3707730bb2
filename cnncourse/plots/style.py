"""What all figures share: colours, a figure that a notebook shows, names at the ends of curves.

The colours are those of Okabe and Ito (2008), which people with any kind of colour vision tell
apart. No curve is known by its colour alone: it has its own line, its own marker and its name at
its end, so the figures read in grey as well.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence, Sized

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as BaseFigure
from PIL import Image

from cnncourse._arguments import check_integer

# Blue, vermilion, green, purple, orange, sky, black.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
WIDTH = 5.2  # inches of a whole figure: at the width of a phone, SMALL is still read
SMALL = 9  # points; no text of a figure is smaller
DPI = 120  # of a page; drawn at twice that, so that a figure is sharp on a fine screen
NAME_HEIGHT = 0.07  # of the axes, for one line of small text


class Figure(BaseFigure):
    """A matplotlib figure that a notebook shows without pyplot and its list of open figures."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        drawn, stored = io.BytesIO(), io.BytesIO()
        self.savefig(drawn, format="png", dpi=2 * DPI)
        image = _in_few_colours(Image.open(drawn).convert("RGB"))
        image.save(stored, format="png", optimize=True)
        return stored.getvalue(), {"width": image.width // 2}


def _in_few_colours(image: Image.Image) -> Image.Image:
    """Return a picture in the 256 colours that cover it best: a third of the bytes.

    A photograph, of which more than a twentieth would look different, stays as it is.
    """
    few = image.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    change = np.asarray(image, dtype=int) - np.asarray(few.convert("RGB"), dtype=int)
    return few if (abs(change).max(axis=2) > 8).mean() < 0.05 else image


def one_axes() -> tuple[Figure, Axes]:
    """Make a figure with one axes: no frame to the right and above, a faint grid."""
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    return figure, axes


def curve(axes: Axes, i: int, x: Sequence[float | int], y: Sequence[float], name: str) -> None:
    """Draw the i-th curve of a figure with its own colour, line and marker."""
    style = {"color": COLOURS[i], "linestyle": LINES[i], "marker": MARKERS[i]}
    axes.plot(x, y, label=name, ms=5, **style)


def name_curves(axes: Axes) -> None:
    """Write each curve's name at its end, and push names apart where ends meet."""
    axes.autoscale_view()  # matplotlib postpones it, and the ends move with it
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = [(line, line.get_xydata()[-1]) for line in axes.lines]
    level, above = -np.inf, len(ends)
    for line, end in sorted(ends, key=lambda item: item[1][1]):
        above -= 1
        # At least a line's height over the name below, with room left for the names still to come.
        level = min(max(to_axes.transform(end)[1], level + NAME_HEIGHT), 1 - above * NAME_HEIGHT)
        # Grey and dotted: in the curve's own colour it looks as if a short curve went on.
        leader = {"arrowstyle": "-", "color": "grey", "ls": ":"}
        axes.annotate(
            line.get_label(),
            end,
            (1.03, level),
            textcoords="axes fraction",
            va="center",
            size=SMALL,
            arrowprops=leader,
        )


def check_filled(name: str, values: Mapping[str, Sized]) -> None:
    """Require at least one name, and numbers for each."""
    empty = [key for key, numbers in values.items() if len(numbers) == 0]
    if empty or not values:
        raise ValueError(f"`{name}` must hold numbers for each name, got none for {empty or 'any'}")


def check_curves(name: str, curves: Mapping[str, Sized], first: int = 0) -> None:
    """Require filled curves, no more than there are colours from the ``first`` on."""
    check_filled(name, curves)
    check_integer("first", first, 0)
    if len(curves) > (most := max(len(COLOURS) - first, 0)):
        raise ValueError(f"`{name}` must hold at most {most} curves, got {len(curves)}")
