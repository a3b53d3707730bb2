"""One function a figure, drawn with matplotlib's objects and returned, never shown.

The colours are those of Okabe and Ito (2008), which people with any kind of colour vision tell
apart. No curve is known by its colour alone: it has its own line, its own marker and its name at
its end, so the figures read in grey as well. Importing this module changes no setting of
matplotlib, and nothing here touches the list of open figures.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence, Sized

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure as BaseFigure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from cnncourse._arguments import check_integer
from cnncourse.lenet import LayerScale
from cnncourse.training import History

# Blue, vermilion, green, purple, orange, sky, black.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
NAME_HEIGHT = 0.07  # of the axes, for one line of small text
# What the y axis of a training curve says.
MEASURES = {
    "train_loss": "training loss (nats)",
    "train_accuracy": "training accuracy",
    "validation_loss": "validation loss (nats)",
    "validation_accuracy": "validation accuracy",
}
SCALES = {
    "activation": "standard deviation of the output",
    "signal": "spread of the output over images",
    "gradient": "standard deviation of the gradient",
    "weight_gradient": "standard deviation of the weight gradient",
}


class Figure(BaseFigure):
    """A matplotlib figure that a notebook shows without pyplot and its list of open figures."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=120)
        return buffer.getvalue()


def training_curves(
    histories: Mapping[str, History | Sequence[float]], measure: str = "validation_accuracy"
) -> Figure:
    """Draw one curve a run against the epoch, each named at its end.

    Parameters
    ----------
    histories : mapping from name to History or numbers
        A `History` gives its ``measure``; a list is drawn as it is, first epoch first.
    measure : str
        ``train_loss``, ``train_accuracy``, ``validation_loss`` or ``validation_accuracy``.

    Returns
    -------
    Figure
        With one axes.

    Raises
    ------
    ValueError
        If ``measure`` is none of the four, there is no run, more than seven, or an empty one.

    Examples
    --------
    >>> figure = training_curves({"a": [0.5, 0.7], "b": [0.4, 0.8]})
    >>> figure.axes[0].get_ylabel()
    'validation accuracy'
    """
    _check_choice("measure", measure, MEASURES)
    curves = {
        name: getattr(run, measure) if isinstance(run, History) else list(run)
        for name, run in histories.items()
    }
    _check_curves("histories", curves)
    figure, axes = _one_axes()
    for i, (name, values) in enumerate(curves.items()):
        _curve(axes, i, range(1, len(values) + 1), values, name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set(xlabel="epoch", ylabel=MEASURES[measure])
    _name_curves(axes)
    return figure


def layer_scale_curves(
    scales: Mapping[str, Sequence[LayerScale]], measure: str = "signal"
) -> Figure:
    """Draw a quantity of every layer on a log axis, one curve a network.

    Layers without the quantity, such as a pooling layer's weight gradient, are left out.

    Parameters
    ----------
    scales : mapping from name to list of LayerScale
        What `layer_scales` returned; the networks must have the same layers.
    measure : str
        ``activation``, ``signal``, ``gradient`` or ``weight_gradient``.

    Returns
    -------
    Figure
        With one axes; layers from input to output along x.

    Raises
    ------
    ValueError
        If ``measure`` is none of the four, the layers differ, or there is no network, more than
        seven, or one without the quantity.

    Examples
    --------
    >>> scales = [LayerScale("conv1", 1.0, 0.5, 1e-3, 0.1), LayerScale("a", 0.2, 0.1, 1e-3, None)]
    >>> layer_scale_curves({"sigmoid": scales}).axes[0].get_yscale()
    'log'
    """
    _check_choice("measure", measure, SCALES)
    kept = {
        name: [layer for layer in layers if getattr(layer, measure) is not None]
        for name, layers in scales.items()
    }
    _check_curves("scales", kept)
    names = [[layer.name for layer in layers] for layers in kept.values()]
    if any(other != names[0] for other in names):
        raise ValueError(f"`scales` must hold networks with the same layers, got {names}")
    figure, axes = _one_axes()
    for i, (name, layers) in enumerate(kept.items()):
        values = [getattr(layer, measure) for layer in layers]
        _curve(axes, i, range(len(values)), values, name)
    axes.set_xticks(range(len(names[0])), names[0], rotation=45, ha="right")
    axes.set(xlabel="layer, from input to output", ylabel=SCALES[measure], yscale="log")
    _name_curves(axes)
    return figure


def seed_strip(values: Mapping[str, Sequence[float]], label: str = "test accuracy") -> Figure:
    """Draw each seed's result as a dot, and each variant's mean with its spread.

    The bar reaches one sample standard deviation (n - 1) to either side of the mean; a variant with
    one seed has none. Variants stand from top to bottom in the order given.

    Parameters
    ----------
    values : mapping from variant to numbers
        One number a seed.
    label : str
        What the numbers are.

    Returns
    -------
    Figure
        With one axes.

    Raises
    ------
    ValueError
        If there is no variant or one without numbers.

    Examples
    --------
    >>> axes = seed_strip({"sigmoid": [0.7, 0.72], "ReLU": [0.88, 0.89]}).axes[0]
    >>> [tick.get_text() for tick in axes.get_yticklabels()]
    ['sigmoid', 'ReLU']
    """
    _check_filled("values", values)
    figure = Figure(figsize=(6.4, 0.8 + 0.45 * len(values)), layout="constrained")
    axes = figure.add_subplot()
    for row, numbers in enumerate(values.values()):
        mean, spread = np.mean(numbers), np.std(numbers, ddof=1) if len(numbers) > 1 else 0
        axes.plot(numbers, [row] * len(numbers), "o", color=COLOURS[0], mfc="none", alpha=0.8)
        axes.errorbar(mean, row, xerr=spread or None, fmt="|", color="black", ms=14, capsize=4)
        note = f"{mean:.3f} ± {spread:.3f}" if len(numbers) > 1 else f"{mean:.3f}"
        axes.annotate(note, (mean, row), (0, 9), textcoords="offset points", ha="center", size=8)
    axes.set_yticks(range(len(values)), list(values))
    axes.set(xlabel=f"{label} (dot: one seed; bar: mean ± standard deviation)")
    axes.set_ylim(len(values) - 0.5, -0.7)
    axes.margins(x=0.12)  # the notes are wider than the dots
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def signals(
    curves: Mapping[str, tuple[int, Float[Tensor, " w"]]], dots: str = "", label: str = "value"
) -> Figure:
    """Draw signals against time, each named at its end, one of them as dots.

    Parameters
    ----------
    curves : mapping from name to (int, Tensor of shape (w,))
        Time of the first number, and the numbers, one a time step.
    dots : str, default ""
        Name of a signal that is drawn as dots without a line, such as noisy readings.
    label : str
        What the numbers are.

    Returns
    -------
    Figure
        With one axes.

    Raises
    ------
    ValueError
        If there is no signal, more than seven or an empty one, or ``dots`` names none of them.

    Examples
    --------
    >>> import torch
    >>> figure = signals({"readings": (0, torch.rand(9)), "mean": (2, torch.rand(7))}, "readings")
    >>> [len(line.get_xdata()) for line in figure.axes[0].lines]
    [9, 7]
    """
    _check_curves("curves", {name: values for name, (_, values) in curves.items()})
    if dots:
        _check_choice("dots", dots, curves)
    figure, axes = _one_axes()
    for i, (name, (start, values)) in enumerate(curves.items()):
        times = range(start, start + len(values))
        style = {"ls": "", "marker": ".", "alpha": 0.6} if name == dots else {"ls": LINES[i]}
        axes.plot(times, values.detach().cpu().numpy(), color=COLOURS[i], label=name, **style)
    axes.set(xlabel="time step", ylabel=label)
    _name_curves(axes)
    return figure


def image_grid(
    images: Float[Tensor, "n 1 h w"], titles: Sequence[str] | None = None, columns: int = 8
) -> Figure:
    """Draw grey images in rows, black for 0 and white for 1.

    Parameters
    ----------
    images : Tensor, float, (n, 1, h, w)
        Values in [0, 1]; what lies outside is drawn as 0 or 1.
    titles : sequence of str, optional
        One for each image.
    columns : int
        Images a row, at least 1.

    Returns
    -------
    Figure
        With n axes.

    Raises
    ------
    ValueError
        If ``images`` has another shape or holds none, the titles are not n, or ``columns`` is not
        positive.

    Examples
    --------
    >>> import torch
    >>> len(image_grid(torch.rand(5, 1, 28, 28), titles="abcde", columns=3).axes)
    5
    """
    if images.ndim != 4 or images.shape[1] != 1:
        raise ValueError(f"`images` must have shape (n, 1, h, w), got {tuple(images.shape)}")
    return _tiles("images", images[:, 0], titles, columns, cmap="gray", vmin=0, vmax=1)


def kernels(weight: Float[Tensor, "c_out c_in kh kw"], columns: int = 8) -> Figure:
    """Draw every kernel of a convolution on one grey scale: zero is mid-grey, negative is darker.

    Parameters
    ----------
    weight : Tensor, float, (c_out, c_in, kh, kw)
        Such as ``model.conv1.weight``.
    columns : int
        Kernels a row, at least 1.

    Returns
    -------
    Figure
        With c_out * c_in axes, each named "o,i" by output and input channel, and a colour bar.

    Raises
    ------
    ValueError
        If ``weight`` has not four dimensions or holds no kernel, or ``columns`` is not positive.

    Examples
    --------
    >>> import torch
    >>> len(kernels(torch.randn(6, 1, 5, 5)).axes)
    7
    """
    if weight.ndim != 4:
        raise ValueError(
            f"`weight` must have shape (c_out, c_in, kh, kw), got {tuple(weight.shape)}"
        )
    c_out, c_in = weight.shape[:2]
    names = [f"{o},{i}" for o in range(c_out) for i in range(c_in)]
    limit = weight.detach().abs().max().item() if weight.numel() else 0
    norm = CenteredNorm(halfrange=limit or 1)
    # A map of two hues loses the sign in print; in grey, darker than the middle is negative.
    figure = _tiles("weight", weight.flatten(0, 1), names, columns, cmap="gray", norm=norm)
    figure.colorbar(figure.axes[0].images[0], ax=figure.axes, label="weight")
    return figure


def feature_maps(
    maps: Float[Tensor, "c h w"], titles: Sequence[str] | None = None, columns: int = 8
) -> Figure:
    """Draw the channels that one image leaves in a layer, on one common scale.

    Parameters
    ----------
    maps : Tensor, float, (c, h, w)
        Such as ``model[:3](images)[0]``.
    titles : sequence of str, optional
        One for each map, in place of the number of its channel.
    columns : int
        Channels a row, at least 1.

    Returns
    -------
    Figure
        With c axes, each with its title, and a colour bar.

    Raises
    ------
    ValueError
        If ``maps`` has not three dimensions or holds no channel, ``titles`` are not as many, or
        ``columns`` is not positive.

    Examples
    --------
    >>> import torch
    >>> len(feature_maps(torch.rand(6, 14, 14)).axes)
    7
    """
    if maps.ndim != 3:
        raise ValueError(f"`maps` must have shape (c, h, w), got {tuple(maps.shape)}")
    low, high = (maps.min().item(), maps.max().item()) if maps.numel() else (0, 1)
    names = titles if titles is not None else [f"channel {c}" for c in range(len(maps))]
    # Viridis grows in lightness from end to end, so it is the same picture in grey.
    figure = _tiles("maps", maps, names, columns, cmap="viridis", vmin=low, vmax=high)
    figure.colorbar(figure.axes[0].images[0], ax=figure.axes, label="activation")
    return figure


def picture_and_maps(
    picture: Float[Tensor, "h w"], maps: Mapping[str, Float[Tensor, "_ _"]]
) -> Figure:
    """Draw a picture and what kernels make of it: zero is mid-grey, negative is darker.

    Parameters
    ----------
    picture : Tensor, float, (h, w)
        Values in [0, 1], black for 0 and white for 1.
    maps : mapping from name to Tensor, float, of two dimensions
        Feature maps, drawn on one common scale; their sizes may differ.

    Returns
    -------
    Figure
        With an axes for the picture, one for each map, and a colour bar.

    Raises
    ------
    ValueError
        If there is no map, or the picture or a map has not two dimensions or is empty.

    Examples
    --------
    >>> import torch
    >>> figure = picture_and_maps(torch.rand(9, 8), {"left": torch.randn(9, 7)})
    >>> [axes.get_title() for axes in figure.axes]
    ['picture', 'left', '']
    """
    _check_filled("maps", maps)
    for name, value in [("picture", picture), *maps.items()]:
        if value.ndim != 2 or value.numel() == 0:
            raise ValueError(f"`{name}` must have shape (h, w), got {tuple(value.shape)}")
    limit = max(value.detach().abs().max().item() for value in maps.values())
    figure = Figure(figsize=(2.1 * (len(maps) + 1) + 0.6, 2.3), layout="constrained")
    first, *others = figure.subplots(1, len(maps) + 1)
    first.imshow(picture.detach().cpu().numpy(), cmap="gray", vmin=0, vmax=1)
    norm = CenteredNorm(halfrange=limit or 1)
    for axes, value in zip(others, maps.values(), strict=True):
        axes.imshow(value.detach().cpu().numpy(), cmap="gray", norm=norm)
    for axes, name in zip([first, *others], ["picture", *maps], strict=True):
        axes.set_axis_off()
        axes.set_title(name, size=9)
    figure.colorbar(others[-1].images[0], ax=others, label="output")
    return figure


def _one_axes() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    return figure, axes


def _curve(axes: Axes, i: int, x: Sequence[int], y: Sequence[float], name: str) -> None:
    style = {"color": COLOURS[i], "linestyle": LINES[i], "marker": MARKERS[i]}
    axes.plot(x, y, label=name, ms=5, **style)


def _name_curves(axes: Axes) -> None:
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
            size=9,
            arrowprops=leader,
        )


def _tiles(
    name: str, pictures: Tensor, titles: Sequence[str] | None, columns: int, **drawing: object
) -> Figure:
    count = len(pictures)
    check_integer("columns", columns, 1)
    if pictures.numel() == 0:
        raise ValueError(f"`{name}` must hold at least one picture, got {tuple(pictures.shape)}")
    if titles is not None and len(titles) != count:
        raise ValueError(f"`titles` must be {count}, one for each image, got {len(titles)}")
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(1.1 * columns + 0.9, 1.3 * rows), layout="constrained")
    for i, picture in enumerate(pictures.detach().cpu()):
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.imshow(picture.numpy(), interpolation="nearest", **drawing)
        axes.set_axis_off()
        axes.set_title(titles[i] if titles is not None else "", size=8, pad=3)
    return figure


def _check_choice(name: str, value: str, choices: Mapping[str, object]) -> None:
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(choices)}, got {value!r}")


def _check_filled(name: str, values: Mapping[str, Sized]) -> None:
    empty = [key for key, numbers in values.items() if len(numbers) == 0]
    if empty or not values:
        raise ValueError(f"`{name}` must hold numbers for each name, got none for {empty or 'any'}")


def _check_curves(name: str, curves: Mapping[str, Sized]) -> None:
    _check_filled(name, curves)
    if len(curves) > len(COLOURS):
        raise ValueError(f"`{name}` must hold at most {len(COLOURS)} curves, got {len(curves)}")
