"""Chapter 8: LeNet from the textbook's recipe to a modern one, and two baselines beside it.

Each rung of a ladder differs from the one before it in one thing; a new optimizer or schedule gets
a rate of its own. Choices are made on the validation split; the test split is measured once, after
the last epoch. The exception is ``d2l_trainer``: that library trains on all 60,000 images and
validates on the test split.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from cnncourse import lenet
from cnncourse.datasets import Dataset, Split
from cnncourse.training import evaluate, predict, seed_everything
from experiments import textbook
from experiments.recipe import Recipe, load, rounded, train
from experiments.runner import Experiment

INITS = {"torch": lambda model: model, "xavier": lenet.init_xavier, "he": lenet.init_he}
RATES = (0.01, 0.03, 0.1)
WIDER = (*RATES, 0.3)  # where 0.1 won one of the trials: the best must not be the largest


@dataclass(frozen=True, kw_only=True)
class Network(Recipe):
    """A recipe with the network that it trains."""

    model: str = "LeNet"
    activation: str = "Sigmoid"
    pool: str = "AvgPool2d"
    init: str = "xavier"
    loop: str = "cnncourse.training.fit"


def with_momentum(recipe: Network, lr: float) -> Network:
    """Add Nesterov's momentum, with the rate that the trials chose."""
    change = "Nesterov momentum 0.9, rate chosen by trials"
    return replace(recipe, change=change, lr=lr, momentum=0.9, nesterov=True)


def with_one_cycle(recipe: Network, lr: float) -> Network:
    """Add the one-cycle schedule, with the peak that the trials chose."""
    return replace(
        recipe, change="one-cycle schedule, peak chosen by trials", lr=lr, one_cycle=True
    )


def trials(name: str, recipe: Network, rates: Sequence[float] = RATES) -> dict[str, Network]:
    """Name the trials of a rung's rate."""
    change = "trial of a rate, one seed, no test"
    return {
        f"trial_{name}_{lr:g}": replace(recipe, change=change, lr=lr, trial=True) for lr in rates
    }


def baseline(name: str, recipe: Network, momentum: float, one_cycle: float) -> dict[str, Network]:
    """Lead a baseline up the rungs of LeNet's ladder that apply to it, with rates of its own."""
    batch = replace(recipe, change="batches of 128, as LeNet has them", batch_size=128)
    he = replace(batch, change="He, biases start at zero", init="he")
    nesterov = with_momentum(he, momentum)
    cycle = with_one_cycle(nesterov, one_cycle)
    return {
        name: recipe,
        f"{name}_batch": batch,
        f"{name}_he": he,
        **trials(f"{name}_momentum", nesterov, WIDER),
        f"{name}_momentum": nesterov,
        **trials(f"{name}_one_cycle", cycle, WIDER),
        f"{name}_one_cycle": cycle,
    }


BASELINE = Network(change="", activation="ReLU", pool="", init="torch", batch_size=256)
SOFTMAX = replace(
    BASELINE, change="d2l's recipe: linear", model="softmax_regression", activation=""
)
MLP = replace(BASELINE, change="d2l's recipe: 256 hidden units", model="mlp")

LENET = Network(change="d2l's recipe for LeNet: sigmoid, average pooling, Xavier, plain SGD")
RELU = replace(LENET, change="sigmoid becomes ReLU", activation="ReLU")
MAX_POOL = replace(RELU, change="average becomes max-pooling", pool="MaxPool2d")
HE = replace(MAX_POOL, change="Xavier becomes He, biases start at zero", init="he")
MOMENTUM = with_momentum(HE, 0.03)
ONE_CYCLE = with_one_cycle(MOMENTUM, 0.03)
MNIST = replace(ONE_CYCLE, change="on MNIST, peak chosen by trials there", dataset="mnist", lr=0.1)

RECIPES: Mapping[str, Network] = {
    **baseline("softmax", SOFTMAX, momentum=0.03, one_cycle=0.1),
    **baseline("mlp", MLP, momentum=0.03, one_cycle=0.1),
    "lenet_sigmoid": LENET,
    "relu": RELU,
    "max_pool": MAX_POOL,
    "he": HE,
    **trials("momentum", MOMENTUM),
    "momentum": MOMENTUM,
    **trials("one_cycle", ONE_CYCLE),
    "one_cycle": ONE_CYCLE,
    **trials("mnist", MNIST),
    "lenet_modern_mnist": MNIST,
    "d2l_trainer": replace(
        LENET,
        change="the same by d2l's own Trainer: trains on 60,000, validates on the test split",
        loop=textbook.LOOP,
    ),
}


def build(recipe: Network) -> nn.Module:
    """Build the recipe's network; seed torch first."""
    make = getattr(lenet, recipe.model)
    layers = [getattr(nn, name) for name in (recipe.activation, recipe.pool) if name]
    return INITS[recipe.init](make(*layers) if recipe.model == "LeNet" else make())


def drawn(recipe: Network, seed: int) -> Dataset:
    """Return the pictures of a run: all of them, whatever the seed."""
    return load(recipe)


def run(recipe: Network, seed: int) -> dict[str, object]:
    """Train, and count on the validation split which class was taken for which."""
    if recipe.loop == textbook.LOOP:
        return run_d2l(recipe, seed)
    data = drawn(recipe, seed)
    model, result = train(recipe, lambda: build(recipe), data, seed)
    if not recipe.trial:
        result["confusion"] = confusion(model, data.validation)
    return result


def confusion(model: nn.Module, split: Split) -> list[list[int]]:
    """Count the images of each class (row) by the answer they get (column)."""
    answers = predict(model, split.images).argmax(1)
    counts = torch.zeros(10, 10, dtype=torch.int64)
    ones = torch.ones_like(answers)
    return counts.index_put((split.labels, answers), ones, accumulate=True).tolist()


def run_d2l(recipe: Network, seed: int) -> dict[str, object]:
    """Train by d2l's Trainer, LeNet and FashionMNIST."""
    from cnncourse.reference import d2l

    seed_everything(seed)
    data = textbook.fashion_mnist(d2l, recipe.batch_size)
    model = textbook.lenet(d2l, data, recipe.lr)
    start = time.perf_counter()
    d2l.Trainer(max_epochs=recipe.epochs).fit(model, data)
    seconds = time.perf_counter() - start
    # Per epoch d2l draws the mean over the batches, of which the last is short; so does the record.
    drawn = {key: [float(point.y) for point in line] for key, line in model.board.data.items()}
    return {
        "validation_loss": rounded(drawn["val_loss"]),
        "validation_accuracy": rounded(drawn["val_acc"]),
        "seconds": [round(seconds / recipe.epochs, 2)] * recipe.epochs,
        "test_accuracy": round(evaluate(model, load(recipe).test).accuracy, 4),
    }


EXPERIMENT = Experiment("chapter 8: LeNet, the repair of its recipe, two baselines", RECIPES, run)
