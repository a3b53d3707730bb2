"""Chapter 1: a dense and three convolutional networks, with the pixels in order and shuffled.

Every seed has an order of pixels of its own. All share one recipe; each network has, with either
order, the rate that its own trials chose on the validation split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from torch import nn

from cnncourse.datasets import Dataset, Split
from cnncourse.invariance import digit_reader, permute_pixels
from cnncourse.lenet import init_he, mlp
from cnncourse.shift import shift_curve
from experiments.recipe import Recipe, load, rounded, train
from experiments.runner import Experiment

MODELS = {
    "dense": lambda: init_he(mlp()),
    "conv_mean": partial(digit_reader, "mean"),
    "conv_max": partial(digit_reader, "max"),
    "conv_places": partial(digit_reader, "places"),
}
# Wide enough that neither the smallest nor the largest wins.
CONV_RATES = (0.01, 0.03, 0.1, 0.3)
RATES = dict.fromkeys(MODELS, CONV_RATES) | {"dense": (0.03, 0.1, 0.3, 1.0)}
MOVED = 2000  # pictures of the test split that are moved by up to FAR pixels
FAR = 4  # the pixels that MNIST leaves empty around a digit


@dataclass(frozen=True, kw_only=True)
class Order(Recipe):
    """A recipe with its network, the number of training pictures, and the order of their pixels."""

    model: str
    pictures: int = 10_000
    shuffled: bool = False


RECIPE = Order(
    change="pixels in order, rate chosen by trials",
    model="dense",
    dataset="mnist",
    momentum=0.9,
    nesterov=True,
    one_cycle=True,
    epochs=5,
)
# By the trials; conv_max: 0.1 won, but one of its five seeds never learns (conv_max_fast).
CHOSEN = {
    "dense": 0.3,
    "dense_shuffled": 0.3,
    "conv_mean": 0.1,
    "conv_mean_shuffled": 0.03,
    "conv_max": 0.03,
    "conv_max_shuffled": 0.1,
    "conv_places": 0.03,
    "conv_places_shuffled": 0.1,
}


def orders(model: str) -> dict[str, Order]:
    """Name a network's runs: with either order of the pixels, the trials and the chosen rate."""
    plain = replace(RECIPE, model=model)
    shuffled = replace(plain, change="pixels shuffled, rate chosen by trials", shuffled=True)
    recipes = {}
    for name, recipe in {model: plain, f"{model}_shuffled": shuffled}.items():
        for lr in RATES[model]:
            trial = replace(recipe, change="trial of a rate, one seed, no test", lr=lr, trial=True)
            recipes[f"trial_{name}_{lr:g}"] = trial
        recipes[name] = replace(recipe, lr=CHOSEN[name])
    return recipes


LADDERS = {name: recipe for model in MODELS for name, recipe in orders(model).items()}
FAST = replace(LADDERS["conv_max"], change="the rate that won the trials", lr=0.1)
LONGER = replace(LADDERS["conv_mean_shuffled"], change="four times as many epochs", epochs=20)
RECIPES: Mapping[str, Order] = {
    **LADDERS,
    "conv_max_fast": FAST,
    "conv_mean_shuffled_longer": LONGER,
}


def arrange(data: Dataset, recipe: Order, seed: int) -> Dataset:
    """Take the first training pictures, and put the pixels of all splits in the recipe's order."""
    first = Split(*(part[: recipe.pictures] for part in data.train))
    data = data._replace(train=first)
    if not recipe.shuffled:
        return data
    splits = (Split(permute_pixels(s.images, seed), s.labels) for s in data[:3])
    return Dataset(*splits, data.classes)


def build(recipe: Order) -> nn.Module:
    """Build the recipe's network; seed torch first."""
    return MODELS[recipe.model]()


def drawn(recipe: Order, seed: int) -> Dataset:
    """Lay out the pictures of a run."""
    return arrange(load(recipe), recipe, seed)


def run(recipe: Order, seed: int) -> dict[str, object]:
    """Train, and where the pixels are in order, move the test pictures."""
    data = drawn(recipe, seed)
    model, result = train(recipe, lambda: build(recipe), data, seed)
    if not (recipe.trial or recipe.shuffled):
        images, labels = (part[:MOVED] for part in data.test)
        result["moved_accuracy"] = rounded(shift_curve(model, images, labels, FAR).accuracy)
    return result


EXPERIMENT = Experiment("chapter 1: shuffled pixels and moved digits", RECIPES, run)
