"""Where windows lie, and how often each pixel is in one."""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Int64
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from cnncourse._arguments import check_integer
from cnncourse.plots.style import COLOURS, SMALL, WIDTH, Figure, check_filled
from cnncourse.windows import Axis, Window

BOX = 0.9  # side of a pixel, of its place
UNSEEN = {"edgecolor": COLOURS[1], "hatch": "////"}
BACK = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # of a number on hatching
MIDDLE = {"ha": "center", "va": "center", "size": SMALL}


def window_rows(
    size: int, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Figure:
    """Draw an axis of pixels, each window below it, and how many windows see each pixel.

    Padding is dashed. A pixel that no window sees is hatched. The title is the output law.

    Parameters
    ----------
    size, kernel_size, stride, padding, dilation : int
        Of one axis, as in ``conv_output_size``; the padding is per side.

    Returns
    -------
    Figure
        With one axes.

    Examples
    --------
    >>> axes = window_rows(8, kernel_size=3, stride=2).axes[0]
    >>> axes.get_title()
    '⌊(8 + 2·0 − 3) / 2⌋ + 1 = ⌊5 / 2⌋ + 1 = 3'
    """
    check_integer("size", size, 1)
    window = Window.read(kernel_size, stride, padding, dilation)
    window.out((size, size))  # or no window fits
    axis = window.rows
    figure = Figure(figsize=(WIDTH, 0.36 * (axis.out(size) + 3) + 0.3), layout="constrained")
    axes = figure.add_subplot()
    _draw_windows(axes, axis, size)
    _draw_pixels(axes, axis, size)
    axes.set_title(_law(axis, size), size=SMALL + 1)
    axes.set(xlim=(-padding - 2.6, size + padding), ylim=(axis.out(size) + 2.2, -0.8))
    axes.set(aspect="equal", anchor="W")
    axes.set_axis_off()
    return figure


def _law(axis: Axis, size: int) -> str:
    """Write the output law with its numbers; d (k - 1) + 1 is k without dilation."""
    k, s, p, d = axis.kernel, axis.stride, axis.before, axis.dilation
    span = f"{k}" if d == 1 else f"{d}·({k} − 1) − 1"
    room = axis.padded(size) - axis.span
    return f"⌊({size} + 2·{p} − {span}) / {s}⌋ + 1 = ⌊{room} / {s}⌋ + 1 = {axis.out(size)}"


def _draw_pixels(axes: Axes, axis: Axis, size: int) -> None:
    """Draw the axis in the first row, and in the last one how many windows see each pixel."""
    used, last = axis.seen(size).flatten().tolist(), axis.out(size) + 1.2
    axes.text(-axis.before - 0.8, 0, "pixel", ha="right", va="center", size=SMALL)
    axes.text(-axis.before - 0.8, last, "used", ha="right", va="center", size=SMALL)
    for pixel in range(-axis.before, size + axis.after):
        if not 0 <= pixel < size:
            _box(axes, pixel, 0, facecolor="white", ls=":")
            continue
        count = used.count(pixel)
        _box(axes, pixel, 0, **({} if count else UNSEEN), facecolor="white")
        axes.text(pixel, 0, pixel, bbox=None if count else BACK, **MIDDLE)
        axes.text(pixel, last, count, weight="normal" if count else "bold", **MIDDLE)


def _draw_windows(axes: Axes, axis: Axis, size: int) -> None:
    """Draw a row for each window: what it sees is filled, a line joins it."""
    for i, seen in enumerate(axis.seen(size).tolist()):
        axes.text(-axis.before - 0.8, i + 1, f"window {i}", ha="right", va="center", size=SMALL)
        axes.plot([seen[0], seen[-1]], [i + 1, i + 1], color=COLOURS[0], lw=1.5)
        for pixel in seen:
            filled = COLOURS[0] if 0 <= pixel < size else "white"
            _box(axes, pixel, i + 1, facecolor=filled, zorder=3, edgecolor=COLOURS[0])


def _box(axes: Axes, x: int, y: int, **style: object) -> None:
    """Draw a pixel around (x, y)."""
    corner = (x - BOX / 2, y - BOX / 2)
    axes.add_patch(Rectangle(corner, BOX, BOX, **{"edgecolor": "black", **style}))


def usage_maps(maps: Mapping[str, Int64[Tensor, "h w"]]) -> Figure:
    """Draw how often each pixel of an image is used, a number in each pixel, light for many.

    Parameters
    ----------
    maps : mapping from name to Tensor, int64, (h, w)
        From ``usage_count``; on one common scale. Pixels that are never used are hatched.

    Returns
    -------
    Figure
        With one axes a map.

    Examples
    --------
    >>> from cnncourse.padding_stride import usage_count
    >>> figure = usage_maps({"none": usage_count(4, 3), "one": usage_count(4, 3, padding=1)})
    >>> [axes.get_title() for axes in figure.axes]
    ['none', 'one']
    """
    check_filled("maps", maps)
    top = max(count.max().item() for count in maps.values())
    height = max(len(count) / count.shape[1] for count in maps.values()) * WIDTH / len(maps)
    figure = Figure(figsize=(WIDTH, height + 0.3), layout="constrained")
    tiles = figure.subplots(1, len(maps), squeeze=False)[0]
    for axes, (name, count) in zip(tiles, maps.items(), strict=True):
        axes.imshow(count.numpy(), cmap="gray", vmin=-top / 2, vmax=top)  # black text stays legible
        axes.set_title(name, size=SMALL)
        axes.set_axis_off()
        _write_counts(axes, count)
    return figure


def _write_counts(axes: Axes, count: Int64[Tensor, "h w"]) -> None:
    """Write its number into each pixel, and hatch the pixels with a zero."""
    for i, row in enumerate(count.tolist()):
        for j, number in enumerate(row):
            if number == 0:
                corner = (j - 0.5, i - 0.5)
                axes.add_patch(Rectangle(corner, 1, 1, **UNSEEN, facecolor="white", lw=0))
            axes.text(j, i, number, bbox=None if number else BACK, **MIDDLE)
