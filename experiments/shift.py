"""Chapter 7: a perceptron and six networks that differ in one thing each, asked about moved digits.

The digits are half as large as MNIST's, in the middle of an empty canvas, and they are trained
there. Two networks are trained once more with shifts of up to three pixels. Each recipe has a rate
of its own from three trials on the validation split; the test split is measured after the last epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import nn

from cnncourse.datasets import Dataset, Split
from cnncourse.shift import NETWORKS, RandomShift, on_canvas, shift_curve
from experiments.recipe import Recipe, load, rounded, train
from experiments.runner import Experiment

RATES = (0.03, 0.1, 0.3)
ASKED = 2000  # pictures of the test split that are moved
FARTHEST = 7  # pixels: further out, a digit leaves the canvas


@dataclass(frozen=True, kw_only=True)
class Network(Recipe):
    """A recipe with the network that it trains, and how far it moves its training pictures."""

    model: str
    moved: int = 0
    dataset: str = "mnist"
    momentum: float = 0.9
    nesterov: bool = True
    one_cycle: bool = True
    epochs: int = 2


# The rates that the trials chose.
CHOSEN: Mapping[str, float] = {name: 0.1 for name in NETWORKS}
PLAIN = {
    name: Network(change=f"the network {name}", model=name, lr=CHOSEN[name]) for name in NETWORKS
}
MOVED = {
    f"{name}_moved": replace(
        PLAIN[name], change=f"{name}, trained with shifts of up to 3 pixels", moved=3
    )
    for name in ("perceptron", "dense")
}


def trials(name: str, recipe: Network) -> dict[str, Network]:
    """Name the trials of a recipe's rate."""
    change = "trial of a rate, one seed, no test"
    return {
        f"trial_{name}_{lr:g}": replace(recipe, change=change, lr=lr, trial=True) for lr in RATES
    }


RECIPES: Mapping[str, Network] = {
    **{trial: r for name, recipe in PLAIN.items() for trial, r in trials(name, recipe).items()},
    **PLAIN,
    **MOVED,
}


def build(recipe: Network) -> nn.Module:
    """Build the recipe's network; seed torch first."""
    network = NETWORKS[recipe.model]()
    return nn.Sequential(RandomShift(recipe.moved), network) if recipe.moved else network


def canvases(data: Dataset) -> Dataset:
    """Lay the pictures of every split on an empty canvas."""
    splits = {
        name: Split(on_canvas(split.images), split.labels)
        for name, split in data._asdict().items()
        if isinstance(split, Split)
    }
    return data._replace(**splits)


def run(recipe: Network, seed: int) -> dict[str, object]:
    """Train, then move pictures of the test split and ask again."""
    data = canvases(load(recipe))
    model, result = train(recipe, lambda: build(recipe), data, seed)
    if recipe.trial:
        return result
    images, labels = (part[:ASKED] for part in data.test)
    curve = shift_curve(model, images, labels, FARTHEST)
    return result | {
        "shifted_accuracy": rounded(curve.accuracy),
        "consistency": rounded(curve.consistency),
        "change": [float(f"{change:.3g}") for change in curve.change],
    }


EXPERIMENT = Experiment("chapter 7: what trained networks know about moved digits", RECIPES, run)
