"""Train once more, with seed 0, the networks whose weights ship with the package, and keep them.

    python -m experiments.weights                    those that lack a file
    python -m experiments.weights lenet/one_cycle    these, anew

A file names the run, what the network reached when it was trained, and what it reaches with the
weights that the file holds. The pictures that explorers show are written too.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path

import torch
from torch import nn

import cnncourse
from cnncourse.datasets import Dataset
from cnncourse.records.stored import save_network, set_weights, shrink
from cnncourse.records.trained import EPOCHS, NETWORKS, WEIGHTS, path_of
from cnncourse.training import evaluate
from experiments import capstone, invariance, lenet, pictures, shift
from experiments.runner import say

OUT = Path(cnncourse.__file__).parent / "records" / WEIGHTS
TOPICS = {"capstone": capstone, "invariance": invariance, "lenet": lenet, "shift": shift}
NAMES = [f"{record}/{recipe}" for record, recipes in NETWORKS.items() for recipe in recipes]


def keep(name: str, out: Path = OUT) -> None:
    """Train a recipe of a record with seed 0, and write its weights of the epochs that are kept."""
    record, _, recipe = name.partition("/")
    topic, chosen = TOPICS[record], TOPICS[record].RECIPES[recipe]
    data = topic.drawn(chosen, seed=0)
    states: list[nn.Sequential] = []  # before training, and after each epoch
    build = partial(topic.build, chosen)
    topic.train(chosen, build, data, seed=0, watch=lambda model: states.append(deepcopy(model)))
    for epoch in (*EPOCHS.get(name, ()), None):
        last = chosen.epochs if epoch is None else epoch
        about = {"record": record, "recipe": recipe, "seed": 0, "epoch": last}
        write(states[last], about, data, out / path_of(name, epoch))


def write(model: nn.Sequential, about: dict[str, object], data: Dataset, path: Path) -> None:
    """Write a network with its accuracies: as it was trained, and as a reader will have it."""
    reached = accuracies(model, data, "trained_")
    save_network(model, about | reached | accuracies(rounded(model), data), path)
    say(f"{path.stem}: {path.stat().st_size} bytes, {about}")


def accuracies(model: nn.Sequential, data: Dataset, when: str = "") -> dict[str, float]:
    """Return the shares of right answers to the validation and the test split."""
    splits = {"validation": data.validation, "test": data.test}
    return {
        f"{when}{name}_accuracy": round(evaluate(model, split).accuracy, 4)
        for name, split in splits.items()
    }


def rounded(model: nn.Sequential) -> nn.Sequential:
    """Return a copy with the weights that a file will hold."""
    return set_weights(deepcopy(model), shrink(model))


def missing(name: str) -> bool:
    """Tell whether a network lacks the file of any epoch."""
    return not all((OUT / path_of(name, epoch)).exists() for epoch in (*EPOCHS.get(name, ()), None))


def main(names: Sequence[str]) -> int:
    """Keep the weights that are named, or those that are missing."""
    if unknown := set(names) - set(NAMES):
        say(f"no network of {', '.join(NAMES)}: {', '.join(sorted(unknown))}")
        return 2
    torch.set_num_threads(1)
    for name in names or filter(missing, NAMES):
        keep(name)
    pictures.write()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
