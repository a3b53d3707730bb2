"""Numbers against an epoch, a layer, a time or a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from cnncourse._arguments import check_choice, check_integer
from cnncourse.lenet import LayerScale
from cnncourse.plots.style import (
    COLOURS,
    LINES,
    SMALL,
    WIDTH,
    Figure,
    check_curves,
    check_filled,
    curve,
    name_curves,
    one_axes,
)
from cnncourse.training import History

# What the y axis of a training curve says.
MEASURES = {
    "train_loss": "training loss (nats)",
    "train_accuracy": "training accuracy",
    "validation_loss": "validation loss (nats)",
    "validation_accuracy": "validation accuracy",
}
SCALES = {
    "activation": "standard deviation\nof the output",
    "signal": "spread of the output\nover pictures",
    "gradient": "standard deviation\nof the gradient",
    "weight_gradient": "standard deviation\nof the weight gradient",
}


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
    check_choice("measure", measure, MEASURES)
    curves = {
        name: getattr(run, measure) if isinstance(run, History) else list(run)
        for name, run in histories.items()
    }
    check_curves("histories", curves)
    figure, axes = one_axes()
    for i, (name, values) in enumerate(curves.items()):
        curve(axes, i, range(1, len(values) + 1), values, name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set(xlabel="epoch", ylabel=MEASURES[measure])
    name_curves(axes)
    return figure


def layer_scale_curves(
    scales: Mapping[str, Sequence[LayerScale]], measure: str = "signal", first: int = 0
) -> Figure:
    """Draw a quantity of every layer on a log axis, one curve a network.

    Layers without the quantity, such as a pooling layer's weight gradient, are left out.

    Parameters
    ----------
    scales : mapping from name to list of LayerScale
        What `layer_scales` returned; the networks must have the same layers.
    measure : str
        ``activation``, ``signal``, ``gradient`` or ``weight_gradient``.
    first : int
        Which colour the first curve has, so that a network keeps its own through a chapter.

    Returns
    -------
    Figure
        With one axes; layers from input to output along x.

    Raises
    ------
    ValueError
        If ``measure`` is none of the four, the layers differ, or there is no network, more than
        there are colours, or one without the quantity.

    Examples
    --------
    >>> scales = [LayerScale("conv1", 1.0, 0.5, 1e-3, 0.1), LayerScale("a", 0.2, 0.1, 1e-3, None)]
    >>> layer_scale_curves({"sigmoid": scales}).axes[0].get_yscale()
    'log'
    """
    check_choice("measure", measure, SCALES)
    kept = {
        name: [layer for layer in layers if getattr(layer, measure) is not None]
        for name, layers in scales.items()
    }
    check_curves("scales", kept, first)
    names = [[layer.name for layer in layers] for layers in kept.values()]
    if any(other != names[0] for other in names):
        raise ValueError(f"`scales` must hold networks with the same layers, got {names}")
    figure, axes = one_axes()
    for i, (name, layers) in enumerate(kept.items(), first):
        values = [getattr(layer, measure) for layer in layers]
        curve(axes, i, range(len(values)), values, name)
    axes.set_xticks(range(len(names[0])), names[0], rotation=45, ha="right")
    axes.set(xlabel="layer, from input to output", ylabel=SCALES[measure], yscale="log")
    name_curves(axes)
    return figure


def seed_strip(values: Mapping[str, Sequence[float]], label: str = "test accuracy") -> Figure:
    """Draw each seed's result as a dot, and each variant's mean with its spread.

    The bar reaches one sample standard deviation (n - 1) to either side of the mean; a variant with
    one seed has none. Variants stand from top to bottom in the order given. A thin line joins the
    dots of one seed from a variant to the next, where both have as many seeds.

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
    check_filled("values", values)
    figure = Figure(figsize=(WIDTH, 0.8 + 0.45 * len(values)), layout="constrained")
    axes = figure.add_subplot()
    for row, numbers in enumerate(values.values()):
        mean, spread = np.mean(numbers), np.std(numbers, ddof=1) if len(numbers) > 1 else 0
        axes.plot(numbers, [row] * len(numbers), "o", color=COLOURS[0], mfc="none", alpha=0.8)
        axes.errorbar(mean, row, xerr=spread or None, fmt="|", color="black", ms=14, capsize=4)
        note = f"{mean:.3f} ± {spread:.3f}" if len(numbers) > 1 else f"{mean:.3f}"
        axes.annotate(
            note, (mean, row), (0, 9), textcoords="offset points", ha="center", size=SMALL
        )
    axes.add_collection(LineCollection(_joined(list(values.values())), color="grey", lw=0.6))
    axes.set_yticks(range(len(values)), list(values))
    axes.set(xlabel=label)
    axes.set_ylim(len(values) - 0.5, -0.7)
    axes.margins(x=0.12)  # the notes are wider than the dots
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _joined(rows: Sequence[Sequence[float]]) -> list[list[tuple[float, int]]]:
    """List the line of each seed from one row to the next, if the rows have the same seeds."""
    pairs = [(row, *both) for row, both in enumerate(pairwise(rows))]
    return [
        [(before, row), (after, row + 1)]
        for row, upper, lower in pairs
        if len(upper) == len(lower)
        for before, after in zip(upper, lower, strict=True)
    ]


def nonlinearities(
    functions: Mapping[str, Callable[[Float[Tensor, " w"]], Float[Tensor, " w"]]],
    limit: float = 6.0,
    first: int = 0,
) -> Figure:
    """Draw functions of one number, and their slopes below, from -limit to limit.

    Parameters
    ----------
    functions : mapping from name to function
        Such as ``torch.sigmoid``; the slopes are autograd's.
    limit : float
        Largest number.
    first : int
        Which colour the first function has, as in `layer_scale_curves`.

    Returns
    -------
    Figure
        With two axes: values and slopes.

    Raises
    ------
    ValueError
        If there is no function, or more than there are colours.

    Examples
    --------
    >>> import torch
    >>> figure = nonlinearities({"sigmoid": torch.sigmoid})
    >>> round(float(figure.axes[1].lines[0].get_ydata().max()), 2)
    0.25
    """
    x = torch.linspace(-limit, limit, 241, requires_grad=True)
    y = {name: f(x) for name, f in functions.items()}
    check_curves("functions", y, first)
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    values, slopes = figure.subplots(2, sharex=True)
    for i, (name, out) in enumerate(y.items(), first):
        (slope,) = torch.autograd.grad(out.sum(), x)
        style = {"color": COLOURS[i], "linestyle": LINES[i], "label": name}
        values.plot(x.detach(), out.detach(), **style)
        slopes.plot(x.detach(), slope, **style)
    values.set(ylabel="value")
    values.legend(frameon=False)
    slopes.set(xlabel="number that comes in", ylabel="slope")
    for axes in (values, slopes):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    return figure


def signals(
    curves: Mapping[str, tuple[int, Float[Tensor, " w"]]],
    dots: str = "",
    label: str = "value",
    along: str = "time step",
) -> Figure:
    """Draw signals against time or place, each named at its end, one of them as dots.

    Parameters
    ----------
    curves : mapping from name to (int, Tensor of shape (w,))
        Time of the first number, and the numbers, one a time step.
    dots : str, default ""
        Name of a signal that is drawn as dots without a line, such as noisy readings.
    label, along : str
        What the numbers are, and along what they follow each other.

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
    check_curves("curves", {name: values for name, (_, values) in curves.items()})
    if dots:
        check_choice("dots", dots, curves)
    figure, axes = one_axes()
    for i, (name, (start, values)) in enumerate(curves.items()):
        times = range(start, start + len(values))
        style = {"ls": "", "marker": ".", "alpha": 0.6} if name == dots else {"ls": LINES[i]}
        axes.plot(times, values.detach().cpu().numpy(), color=COLOURS[i], label=name, **style)
    axes.set(xlabel=along, ylabel=label)
    name_curves(axes)
    return figure


def sampled(
    waves: Mapping[str, Callable[[Float[Tensor, " w"]], Float[Tensor, " w"]]],
    pixels: int,
    step: int,
) -> Figure:
    """Draw waves, with the pixels of the first one as dots: filled where every step-th is kept.

    Parameters
    ----------
    waves : mapping from name to function
        From places to heights.
    pixels : int
        Places 0 to pixels are drawn.
    step : int
        From one pixel that is kept to the next.

    Returns
    -------
    Figure
        With one axes.

    Raises
    ------
    ValueError
        If there is no wave, more than there are colours, or a number is not positive.

    Examples
    --------
    >>> import torch
    >>> axes = sampled({"flat": torch.zeros_like, "steep": torch.sin}, pixels=8, step=2).axes[0]
    >>> [len(line.get_xdata()) for line in axes.lines[2:]]  # the pixels, and those kept
    [9, 5]
    """
    check_integer("pixels", pixels, 1)
    check_integer("step", step, 1)
    x, places = torch.linspace(0, pixels, 40 * pixels + 1), torch.arange(pixels + 1.0)
    check_curves("waves", {name: wave(x) for name, wave in waves.items()})
    figure, axes = one_axes()
    for i, (name, wave) in enumerate(waves.items()):
        axes.plot(x, wave(x), color=COLOURS[i], ls=LINES[i], label=name)
    seen = next(iter(waves.values()))(places)
    axes.plot(places, seen, "o", color="black", mfc="white", ms=5, label="a pixel")
    axes.plot(places[::step], seen[::step], "o", color="black", ms=6, label="a pixel that is kept")
    axes.set(xlabel="place (pixels)", ylabel="value")
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=SMALL)
    return figure


def seed_curves(
    values: Mapping[str, Sequence[Sequence[float]]],
    label: str,
    along: str,
    places: Sequence[float | int] | None = None,
) -> Figure:
    """Draw the mean of the seeds as a curve, and a band from the lowest seed to the highest.

    Parameters
    ----------
    values : mapping from name to numbers
        A row a seed.
    label, along : str
        What the numbers are, and along what they follow each other.
    places : sequence of numbers, optional
        Where along it each number stands; 0, 1, 2 ... where not given.

    Returns
    -------
    Figure
        With one axes.

    Raises
    ------
    ValueError
        If there is no name, more than there are colours, or one without rows.

    Examples
    --------
    >>> axes = seed_curves({"a": [[2.3, 1.0], [2.3, 1.2]]}, "loss", "step", [0, 10]).axes[0]
    >>> [int(x) for x in axes.lines[0].get_xdata()]
    [0, 10]
    """
    check_curves("values", values)
    figure, axes = one_axes()
    for i, (name, rows) in enumerate(values.items()):
        seeds = np.array(rows)
        x = range(seeds.shape[1]) if places is None else places
        axes.fill_between(x, seeds.min(0), seeds.max(0), color=COLOURS[i], alpha=0.2, lw=0)
        curve(axes, i, x, seeds.mean(0).tolist(), name)
    axes.set(xlabel=along, ylabel=label)
    name_curves(axes)
    return figure
