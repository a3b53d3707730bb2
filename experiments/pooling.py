"""Chapter 6: does max-pooling resist over-fitting? Five networks, and few pictures to learn from.

They differ in one thing, the layer that halves height and width, so all but ``none`` have dense
layers of one size. The seed draws the training pictures, the same ones for every network. Each
network has a rate of its own, chosen on the validation split; the test split is measured once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from cnncourse.datasets import Dataset, Split, load_fashion_mnist
from cnncourse.lenet import init_he
from cnncourse.training import evaluate, fit, seed_everything
from experiments.recipe import Recipe
from experiments.runner import Experiment

RATES = (0.001, 0.003, 0.01, 0.03, 0.1)


class EverySecond(nn.Module):
    """Keep every second row and column."""

    def forward(self, x: Tensor) -> Tensor:
        """Skip pixels."""
        return x[..., ::2, ::2]


HALVES: Mapping[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: nn.Identity(),
    "second": lambda channels: EverySecond(),
    "mean": lambda channels: nn.AvgPool2d(2),
    "max": lambda channels: nn.MaxPool2d(2),
    "learned": lambda channels: nn.Sequential(nn.Conv2d(channels, channels, 2, 2), nn.ReLU()),
}
WORDS = {
    "none": "nothing is halved",
    "second": "every second pixel is kept",
    "mean": "the mean of each 2 x 2 window",
    "max": "the largest number of each 2 x 2 window",
    "learned": "a convolution of 2 x 2 with stride 2, and its ReLU",
}


@dataclass(frozen=True, kw_only=True)
class Few(Recipe):
    """A recipe with the layer that halves, and the number of pictures to learn from."""

    halve: str = "max"
    pictures: int = 200
    random_labels: bool = False  # nothing to learn but the single pictures
    lr: float = 0.01
    momentum: float = 0.9
    batch_size: int = 20
    epochs: int = 40


CHOSEN = {"none": 0.003, "second": 0.01, "mean": 0.03, "max": 0.01, "learned": 0.01}


def recipes(halve: str) -> dict[str, Few]:
    """Name a network's runs, and the trials that chose its rate."""
    few = Few(change=f"{halve}: {WORDS[halve]}", halve=halve, lr=CHOSEN[halve])
    trial = replace(few, change="trial of a rate, one seed, no test", trial=True)
    random = replace(few, change=f"{halve}, labels drawn at random", random_labels=True)
    trials = {f"trial_{halve}_{lr:g}": replace(trial, lr=lr) for lr in RATES}
    return {**trials, halve: few, f"{halve}_random": random}


RECIPES = {name: recipe for halve in HALVES for name, recipe in recipes(halve).items()}


def build(recipe: Few) -> nn.Sequential:
    """Build two convolutions, each with its ReLU and its layer that halves; seed torch first."""
    halve = HALVES[recipe.halve]
    features = nn.Sequential(
        *(nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), halve(8)),
        *(nn.Conv2d(8, 16, 5, padding=2), nn.ReLU(), halve(16)),
        nn.Flatten(),
    )
    width = features(torch.zeros(1, 1, 28, 28)).shape[1]
    return init_he(nn.Sequential(*features, nn.Linear(width, 10)))


@functools.cache
def load() -> Dataset:
    """Load the pictures once for all runs."""
    return load_fashion_mnist()


def draw(split: Split, recipe: Few, seed: int) -> Split:
    """Draw training pictures, and labels too where the recipe says so."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(split.labels), generator=generator)[: recipe.pictures]
    drawn = torch.randint(10, (len(order),), generator=generator)
    return Split(split.images[order], drawn if recipe.random_labels else split.labels[order])


def run(recipe: Few, seed: int) -> dict[str, object]:
    """Train on a few pictures; a trial then looks at the validation split, others at the test."""
    data = load()
    few = draw(data.train, recipe, seed)
    seed_everything(seed)
    model = build(recipe)
    fit(
        model,
        few,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        optimizer=partial(torch.optim.SGD, lr=recipe.lr, momentum=recipe.momentum),
        device="cpu",
        seed=seed,
        progress=False,
    )
    result = {
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "train_accuracy": round(evaluate(model, few).accuracy, 4),
    }
    if not recipe.random_labels:
        name = "validation" if recipe.trial else "test"
        accuracy = evaluate(model, getattr(data, name)).accuracy
        result[f"{name}_accuracy"] = round(accuracy, 4)
    return result


EXPERIMENT = Experiment("which layer halves, and few pictures to learn from", RECIPES, run)
