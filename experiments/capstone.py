"""Chapter 12: what each part of a small network and of its training is worth.

A ladder of short trainings, each rung with one thing more; side steps from its end, of which one
would have expected more; and the recipe at the end of the ladder for longer. Every run also
measures, with no further training, what the mean of the weights over the last steps gives, and what
that gives when it is asked about each picture and its mirror image. Choices are made on the
validation split; the test split is measured after the last epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cnncourse import capstone
from cnncourse.datasets import Dataset, Split
from cnncourse.shift import BlurMaxPool2d, RandomShift
from cnncourse.training import evaluate, seed_everything
from experiments.lenet import confusion
from experiments.recipe import Recipe, load, rounded
from experiments.runner import Experiment

POOLS = {"max": capstone.MAX_POOL, "blur": BlurMaxPool2d}
LAYERS = {"conv": capstone.conv, "separable": capstone.separable}
SPLITS = ("validation", "test")


@dataclass(frozen=True, kw_only=True)
class Network(Recipe):
    """A recipe with the network that it trains, and what is done to pictures and labels."""

    norm: bool = False
    residual: bool = False
    pool: str = "max"
    layer: str = "conv"
    moved: int = 0  # pixels
    flipped: bool = False
    smoothing: float = 0.0
    weight_decay: float = 5e-4
    memory: float = 0.995  # of the mean of the weights, a step
    precision: str = "bfloat16"  # of convolutions in training; all else is float32
    lr: float = 0.2
    momentum: float = 0.9
    nesterov: bool = True
    one_cycle: bool = True
    epochs: int = 4


PLAIN = Network(change="seven convolutions, max-pooling", lr=0.05)
NORM = replace(PLAIN, change="batch normalization, and four times the rate", norm=True, lr=0.2)
RESIDUAL = replace(NORM, change="each block adds its input", residual=True)
FLIPPED = replace(RESIDUAL, change="pictures mirrored at random", flipped=True)
MOVED = replace(FLIPPED, change="pictures moved by up to 2 pixels", moved=2)
SMOOTH = replace(MOVED, change="labels smoothed by a tenth", smoothing=0.1)
LONG = replace(FLIPPED, change="flipped, twenty epochs", epochs=20)


def trials(name: str, recipe: Network, rates: tuple[float, ...]) -> dict[str, Network]:
    """Name the trials of a rung's rate."""
    change = "trial of a rate, one seed, no test"
    return {
        f"trial_{name}_{lr:g}": replace(recipe, change=change, lr=lr, trial=True) for lr in rates
    }


def side(recipe: Network, change: str, **fields: object) -> Network:
    """Make a side step from a rung: one seed, no test."""
    return replace(recipe, change=f"trial: {change}", trial=True, **fields)


RECIPES: Mapping[str, Network] = {
    **trials("smooth", SMOOTH, (0.1, 0.2, 0.4)),
    "trial_decay": replace(
        SMOOTH, change="trial of a tenth of the weight decay", weight_decay=5e-5, trial=True
    ),
    **trials("plain", PLAIN, (0.02, 0.05, 0.1)),
    "trial_residual": side(RESIDUAL, "residual, to compare"),
    "trial_blur": side(RESIDUAL, "residual, with blur-pooling", pool="blur"),
    "trial_separable": side(RESIDUAL, "residual, with separable convolutions", layer="separable"),
    "trial_long_residual": side(RESIDUAL, "residual, twenty epochs", epochs=20),
    "trial_long_flipped": side(FLIPPED, "flipped, twenty epochs", epochs=20),
    "norm": NORM,
    "residual": RESIDUAL,
    "flipped": FLIPPED,
    "long": LONG,
}


def build(recipe: Network) -> nn.Sequential:
    """Build the recipe's network; seed torch first."""
    return capstone.small_net(
        recipe.norm, recipe.residual, POOLS[recipe.pool], LAYERS[recipe.layer]
    )


def drawn(recipe: Network, seed: int) -> Dataset:
    """Return the pictures of a run: all of them, whatever the seed."""
    return load(recipe)


def run(recipe: Network, seed: int) -> dict[str, object]:
    """Train, and measure the weights of the end, their mean, and their mean asked twice."""
    data = drawn(recipe, seed)
    (net, mean), course = train(recipe, lambda: build(recipe), data, seed)
    forms = {"": net, "mean_": mean, "mirrored_": capstone.Mirrored(mean)}
    ends = {
        f"{form}{split}_accuracy": round(evaluate(model, getattr(data, split)).accuracy, 4)
        for split in SPLITS[: 1 if recipe.trial else 2]
        for form, model in forms.items()
    }
    result = ends | course  # the curve over the epochs in place of its end
    if not recipe.trial:
        result["confusion"] = confusion(forms["mirrored_"], data.validation)
    return result


def train(
    recipe: Network,
    build: Callable[[], nn.Module],
    data: Dataset,
    seed: int,
    watch: Callable[[nn.Module], object] = lambda model: None,
) -> tuple[tuple[nn.Module, nn.Module], dict[str, list[float]]]:
    """Train; return the network and one with the mean of its weights, and the course of the run.

    ``watch`` is called with the mean before the first epoch and after each one.
    """
    seed_everything(seed)
    net = build().to(memory_format=torch.channels_last)
    mean = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(recipe.memory), use_buffers=True)
    optimizer, schedule = descent(recipe, net, len(data.train.labels))
    course: dict[str, list[float]] = {"train_loss": [], "validation_accuracy": [], "seconds": []}
    watch(mean.module)
    for _ in range(recipe.epochs):
        start, losses = time.perf_counter(), []
        for places in torch.randperm(len(data.train.labels)).split(recipe.batch_size):
            loss = loss_of(net, recipe, Split(*(part[places] for part in data.train)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            mean.update_parameters(net)
            losses.append(loss.detach())
        note(course, net, data.validation, torch.stack(losses).mean().item(), start)
        watch(mean.module)
    return (net, mean.module), {name: rounded(values) for name, values in course.items()}


def loss_of(net: nn.Module, recipe: Network, batch: Split) -> Tensor:
    """Change the pictures, ask the network, compare its answers with the labels."""
    x = pictures_of(recipe)(batch.images).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", getattr(torch, recipe.precision)):
        scores = net(x)
    return cross_entropy(scores.float(), batch.labels, label_smoothing=recipe.smoothing)


def pictures_of(recipe: Network) -> nn.Sequential:
    """Build what changes each training picture at random."""
    flip = [capstone.RandomFlip()] if recipe.flipped else []
    move = [RandomShift(recipe.moved, mode="zeros")] if recipe.moved else []
    return nn.Sequential(*flip, *move)


def descent(recipe: Network, net: nn.Module, pictures: int) -> tuple[torch.optim.SGD, OneCycleLR]:
    """Build the optimizer and the rise and fall of its rate."""
    optimizer = torch.optim.SGD(
        net.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
    )
    steps = recipe.epochs * -(-pictures // recipe.batch_size)
    schedule = OneCycleLR(optimizer, max_lr=recipe.lr, total_steps=steps, cycle_momentum=False)
    return optimizer, schedule


def note(
    course: dict[str, list[float]], net: nn.Module, validation: Split, loss: float, start: float
) -> None:
    """Write down an epoch; refuse to go on with a loss that is no number."""
    if not math.isfinite(loss):
        raise FloatingPointError(f"the training loss is {loss}: try a lower rate")
    course["train_loss"].append(loss)
    course["validation_accuracy"].append(evaluate(net, validation).accuracy)
    course["seconds"].append(time.perf_counter() - start)


EXPERIMENT = Experiment("chapter 12: a small network, part by part", RECIPES, run)
