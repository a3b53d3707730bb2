"""What defines a run, and the training that most runs are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from cnncourse.datasets import Dataset, load_fashion_mnist, load_mnist
from cnncourse.training import evaluate, fit, seed_everything

LOADERS = {"fashion_mnist": load_fashion_mnist, "mnist": load_mnist}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that defines a run but its seed, as numbers, words and truth values.

    ``change`` tells a reader what is new in it and defines nothing. A topic adds fields of its own
    in a subclass; a field that comes later needs a default, which is what the runs before it had.
    """

    change: str = field(compare=False)
    dataset: str = "fashion_mnist"
    lr: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    one_cycle: bool = False
    batch_size: int = 128
    epochs: int = 10
    trial: bool = False  # to choose a number: one seed of its own, and no look at the test split


def load(recipe: Recipe) -> Dataset:
    """Load the pictures that the recipe names."""
    return LOADERS[recipe.dataset]()


def train(
    recipe: Recipe,
    build: Callable[[], nn.Module],
    data: Dataset,
    seed: int,
    watch: Callable[[nn.Module], object] = lambda model: None,
) -> tuple[nn.Module, dict[str, object]]:
    """Train by `cnncourse.training.fit` on the CPU; measure the test split once, at the end.

    ``watch`` is called with the network before the first epoch and after each one.
    """
    sgd = partial(torch.optim.SGD, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.nesterov)
    cycle = partial(OneCycleLR, max_lr=recipe.lr, cycle_momentum=False)
    seed_everything(seed)
    model = build()
    watch(model)
    history = fit(
        model,
        data.train,
        data.validation,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        optimizer=sgd,
        schedule=cycle if recipe.one_cycle else None,
        device="cpu",
        seed=seed,
        progress=False,
        after_epoch=lambda epoch: watch(model),
    )
    if history.interrupted:
        raise KeyboardInterrupt
    result: dict[str, object] = {
        "train_loss": rounded(history.train_loss),
        "validation_loss": rounded(history.validation_loss),
        "validation_accuracy": rounded(history.validation_accuracy),
        "seconds": rounded(history.seconds, 2),
    }
    if not recipe.trial:
        result["test_accuracy"] = round(evaluate(model, data.test).accuracy, 4)
    return model, result


def rounded(numbers: Sequence[float], digits: int = 4) -> list[float]:
    """Round as the record writes numbers: more digits differ from machine to machine."""
    return [round(number, digits) for number in numbers]
