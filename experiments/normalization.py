"""Chapter 9: what a normalization changes, over learning rates, under noise, with small batches.

Three comparisons, all on the same short training: one epoch of 6,400 pictures that the seed draws.

1. LeNet and a deep plain network, with and without normalization, at eight rates each.
2. The deep network without normalization, with it, and with noise behind it, watched every ten
   steps, as Santurkar et al. (2018) did.
3. Batch normalization whose statistics come from a part of the batch, beside two that use no batch.

A training whose loss is no longer a number counts as a guess: its accuracy is written as 0.1.
"""

from __future__ import annotations

import copy
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cnncourse import deep, lenet
from cnncourse.datasets import Dataset, Split
from cnncourse.training import DivergenceError, evaluate, seed_everything
from experiments.recipe import Recipe, load, rounded, train
from experiments.runner import Experiment
from experiments.shift import draw

RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
PICTURES = 2000  # of the validation and of the test split
NOISES = (0.25, 0.5, 1.0)
EVERY = 10  # steps from one look to the next
MIDDLE = 6  # the convolution whose gradient and input are watched

INITS = {"torch": lambda net: net, "xavier": lenet.init_xavier, "he": lenet.init_he}
NORMS = {
    "batch": deep.batch,
    "layer": deep.group,
    "group": partial(deep.group, groups=4),
}


@dataclass(frozen=True, kw_only=True)
class Network(Recipe):
    """A recipe with the network that it trains."""

    model: str = "deep"
    activation: str = ""
    init: str = "torch"
    norm: str = ""
    part: int = 0  # pictures that share statistics; 0 is the whole batch
    noise: float = 0.0  # behind each normalization
    watched: bool = False
    pictures: int = 6400
    batch_size: int = 64
    epochs: int = 1


LENET = Network(change="LeNet, sigmoid", model="lenet", activation="Sigmoid", init="xavier")
RELU = replace(LENET, change="LeNet, ReLU", activation="ReLU")
DEEP = Network(change="ten convolutions, torch's own weights")
HE = replace(DEEP, change="ten convolutions, He's weights", init="he")


def with_norm(recipe: Network, norm: str) -> Network:
    """Put a normalization behind the layers."""
    return replace(recipe, change=f"{recipe.change}, {norm} norm", norm=norm)


PLAIN = {"lenet": LENET, "relu": RELU, "deep": DEEP, "he": HE}
NORMED = {f"{name}_batch": with_norm(recipe, "batch") for name, recipe in PLAIN.items()}
MAP = {**PLAIN, **NORMED, "deep_layer": with_norm(DEEP, "layer")}
AT_RATES = {
    f"{name}_{lr:g}": replace(recipe, change=f"{recipe.change}, rate {lr:g}", lr=lr)
    for name, recipe in MAP.items()
    for lr in RATES
}
WATCHED = {
    name: replace(
        HE, change=f"watched: {name}", norm=norm, noise=noise, lr=0.03, epochs=3, watched=True
    )
    for name, norm, noise in (
        ("watched_plain", "", 0.0),
        ("watched_batch", "batch", 0.0),
        *((f"watched_noise_{noise:g}", "batch", noise) for noise in NOISES),
    )
}
PARTS = {
    f"part_{size}": replace(
        MAP["deep_batch"], change=f"statistics of {size} pictures", part=size, lr=0.03
    )
    for size in (1, 2, 4, 8, 16, 64)
}
ALONE = {
    f"alone_{norm}": replace(with_norm(DEEP, norm), change=f"{norm} norm", lr=0.03)
    for norm in ("layer", "group")
}
RECIPES: Mapping[str, Network] = {**WATCHED, **PARTS, **ALONE, **AT_RATES}


def build(recipe: Network) -> nn.Module:
    """Build the recipe's network; seed torch first."""
    deep_one = recipe.model == "deep"
    net = deep.deep_net() if deep_one else lenet.LeNet(getattr(nn, recipe.activation))
    net = INITS[recipe.init](net)
    return deep.with_norm(net, norm_of(recipe)) if recipe.norm else net


def norm_of(recipe: Network) -> Callable[[nn.Module], nn.Module]:
    """Return what builds the normalization behind a layer."""
    norm = NORMS[recipe.norm]
    if recipe.noise:
        return lambda layer: nn.Sequential(norm(layer), deep.Shaken(recipe.noise))
    if recipe.part:
        return lambda layer: deep.InParts(norm(layer), recipe.part)
    return norm


@functools.cache
def pictures() -> Dataset:
    """Take the first pictures of the two splits that measure."""
    data = load(DEEP)
    few = {
        name: Split(*(tensor[:PICTURES] for tensor in getattr(data, name)))
        for name in ("validation", "test")
    }
    return data._replace(**few)


def run(recipe: Network, seed: int) -> dict[str, object]:
    """Train, and watch the training where the recipe says so."""
    data = pictures()
    data = data._replace(train=draw(data.train, recipe.pictures, seed))
    if recipe.watched:
        return watch(recipe, data, seed)
    try:
        return train(recipe, lambda: build(recipe), data, seed)[1] | {"diverged": 0}
    except DivergenceError:
        return {"validation_accuracy": [0.1], "test_accuracy": 0.1, "diverged": 1}


def watch(recipe: Network, data: Dataset, seed: int) -> dict[str, object]:
    """Train by plain descent, and look at every tenth step."""
    seed_everything(seed)
    net = build(recipe)
    looks: dict[str, list[float]] = {"loss": [], "moved": [], "asked": [], "turned": []}
    before = None
    for step, (x, y) in enumerate(batches(recipe, data.train, seed)):
        seen, loss, gradients = look(net, x, y)
        if step % EVERY == 0 and step:
            looks["loss"].append(loss)
            looks["moved"].append(moved(before, seen))
            looks["asked"].append(asked(net, x, y, gradients, recipe.lr))
            looks["turned"].append(turned(net, x, y, recipe.lr))
        descend(net, gradients, recipe.lr)
        before = seen
    accuracy = round(evaluate(net, data.validation).accuracy, 4)
    return {name: rounded(values) for name, values in looks.items()} | {
        "validation_accuracy": [accuracy]
    }


def batches(recipe: Network, train: Split, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Shuffle the pictures anew in each epoch."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(recipe.epochs):
        order = torch.randperm(len(train.labels), generator=generator)
        for places in order.split(recipe.batch_size):
            yield train.images[places], train.labels[places]


def look(net: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, float, dict[str, Tensor]]:
    """Return what comes into the middle convolution, the loss, and the gradient of each weight."""
    seen = []
    middle = net.get_submodule(f"conv{MIDDLE}")
    handle = middle.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    loss = cross_entropy(net(x), y)
    handle.remove()
    names, weights = zip(*net.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, weights)
    return seen[0].detach(), loss.item(), dict(zip(names, gradients, strict=True))


def descend(net: nn.Module, gradients: Mapping[str, Tensor], lr: float) -> None:
    """Make one step of plain descent with the weights that have a gradient here."""
    with torch.no_grad():
        for name, gradient in gradients.items():
            net.get_parameter(name).sub_(lr * gradient)


def moved(before: Tensor, after: Tensor) -> float:
    """By how much the channels' means differ from the step before, in standard deviations."""
    dims = (0, 2, 3)
    spread = torch.cat([before, after]).std(dims)
    change = (after.mean(dims) - before.mean(dims)).abs()
    return (change / (spread + 1e-5)).mean().item()


def asked(
    net: nn.Module, x: Tensor, y: Tensor, gradients: Mapping[str, Tensor], lr: float
) -> float:
    """By how much the middle layer's gradient changes when the layers before it take their step."""
    copied = copy.deepcopy(net)
    middle = f"conv{MIDDLE}.weight"
    earlier = dict(itertools.takewhile(lambda item: item[0] != middle, gradients.items()))
    descend(copied, earlier, lr)
    return apart(gradients[middle], look(copied, x, y)[2][middle])


def turned(net: nn.Module, x: Tensor, y: Tensor, lr: float) -> float:
    """By how much the whole gradient changes along one step, the noise held still."""
    copied = copy.deepcopy(net)
    state = torch.get_rng_state()
    before = look(copied, x, y)[2]
    descend(copied, before, lr)
    torch.set_rng_state(state)
    after = look(copied, x, y)[2]
    torch.set_rng_state(state)
    return apart(*(torch.cat([g.flatten() for g in grads.values()]) for grads in (before, after)))


def apart(before: Tensor, after: Tensor) -> float:
    """Return the distance of two gradients as a share of the first."""
    return ((after - before).norm() / before.norm().clamp(min=math.ulp(1.0))).item()


EXPERIMENT = Experiment("chapter 9: normalization over rates, under noise, in parts", RECIPES, run)
