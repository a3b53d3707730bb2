"""What became of many trainings: a row a network, a column a learning rate, a strip a seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cnncourse.plots.style import SMALL, WIDTH, Figure, check_filled


def rate_map(
    values: Mapping[str, Mapping[float, Sequence[float]]], label: str = "accuracy"
) -> Figure:
    """Draw each training as an upright strip: dark for a low number, light for a high one.

    Parameters
    ----------
    values : mapping from network to mapping from rate to numbers
        One number a seed; every network has the same rates and every rate as many seeds.
    label : str
        What the numbers are; the scale runs from 0 to 1.

    Returns
    -------
    Figure
        With one axes and a colour bar.

    Raises
    ------
    ValueError
        If there is no network, or the rates or the numbers of seeds differ.

    Examples
    --------
    >>> axes = rate_map({"plain": {0.1: [0.7, 0.8], 1.0: [0.1, 0.1]}}).axes[0]
    >>> [tick.get_text() for tick in axes.get_xticklabels()]
    ['0.1', '1']
    """
    check_filled("values", values)
    rates = list(next(iter(values.values())))
    shapes = {(tuple(row), len(seeds)) for row in values.values() for seeds in row.values()}
    if len(shapes) > 1:
        raise ValueError(f"`values` must hold the same rates and seeds for all, got {shapes}")
    strips = np.array([list(row.values()) for row in values.values()])  # (networks, rates, seeds)
    figure = Figure(figsize=(WIDTH, 0.9 + 0.36 * len(values)), layout="constrained")
    axes = figure.add_subplot(xlabel="learning rate")
    extent = (-0.5, len(rates) - 0.5, len(values) - 0.5, -0.5)
    style = {"cmap": "cividis", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
    image = axes.imshow(strips.reshape(len(values), -1), aspect="auto", extent=extent, **style)
    axes.hlines(np.arange(1, len(values)) - 0.5, *axes.get_xlim(), color="white", lw=3)
    axes.vlines(np.arange(1, len(rates)) - 0.5, *axes.get_ylim(), color="white", lw=3)
    axes.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates], size=SMALL)
    axes.set_yticks(range(len(values)), list(values), size=SMALL)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, label=label, aspect=30)
    return figure
