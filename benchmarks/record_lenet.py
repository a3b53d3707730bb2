"""Train every network that chapter 8 compares, over several seeds, and write the record it reads.

Each recipe of the ladder differs from the one before it in one thing. Choices are made on the
validation split; the test split is measured once, after the last epoch. The exception is
``d2l_trainer``: that library trains on all 60,000 images and validates on the test split.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import gzip
import importlib.metadata
import json
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import nn

import cnncourse
from cnncourse import datasets, lenet
from cnncourse.training import evaluate, fit, seed_everything

OUT = Path(cnncourse.__file__).parent / "records" / "lenet.json"
TRIAL_SEED = 1000  # no seed of the record, so the choice of a rate saw none of its runs
DESCRIPTION = """Train the networks that chapter 8 compares and write the record it reads.

A run is one recipe with one seed. The record is rewritten after every run, so ctrl-c loses the
current run only. Start the same command again and it goes on: a run is skipped when the record
holds it with the same definition. To measure a run afresh, delete it from the record."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All that defines a run but its seed."""

    change: str
    dataset: str = "fashion_mnist"
    model: str = "LeNet"
    activation: str = "Sigmoid"
    pool: str = "AvgPool2d"
    init: str = "xavier"
    lr: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    one_cycle: bool = False
    batch_size: int = 128
    epochs: int = 10
    trial: bool = False


LENET = Recipe("d2l's recipe for LeNet: sigmoid, average pooling, Xavier, plain SGD")
RELU = dataclasses.replace(LENET, change="sigmoid becomes ReLU", activation="ReLU")
MAX_POOL = dataclasses.replace(RELU, change="average becomes max-pooling", pool="MaxPool2d")
HE = dataclasses.replace(MAX_POOL, change="Xavier becomes He, biases start at zero", init="he")
MOMENTUM = dataclasses.replace(
    HE, change="Nesterov momentum 0.9, rate chosen by trials", lr=0.03, momentum=0.9, nesterov=True
)
ONE_CYCLE = dataclasses.replace(
    MOMENTUM, change="one-cycle schedule, peak chosen by trials", one_cycle=True
)
MNIST = dataclasses.replace(
    ONE_CYCLE, change="on MNIST, peak chosen by trials there", dataset="mnist", lr=0.1
)
BASELINE = Recipe("", activation="ReLU", pool="", init="torch", batch_size=256)
RATES = (0.01, 0.03, 0.1)

RECIPES = {
    "softmax": dataclasses.replace(
        BASELINE, change="d2l's recipe: linear", model="softmax_regression", activation=""
    ),
    "mlp": dataclasses.replace(BASELINE, change="d2l's recipe: 256 hidden units", model="mlp"),
    "lenet_sigmoid": LENET,
    "relu": RELU,
    "max_pool": MAX_POOL,
    "he": HE,
    "momentum": MOMENTUM,
    "one_cycle": ONE_CYCLE,
    "lenet_modern_mnist": MNIST,
    "d2l_trainer": dataclasses.replace(
        LENET, change="the same by d2l's own Trainer: trains on 60,000, validates on the test split"
    ),
    **{
        f"trial_{name}_{rate:g}": dataclasses.replace(
            recipe, change="trial of a rate, one seed, no test", lr=rate, trial=True
        )
        for name, recipe in {"momentum": MOMENTUM, "one_cycle": ONE_CYCLE, "mnist": MNIST}.items()
        for rate in RATES
    },
}


def build(recipe: Recipe) -> nn.Module:
    """Build the recipe's network; seed torch first."""
    if recipe.model != "LeNet":
        return getattr(lenet, recipe.model)()
    model = lenet.LeNet(getattr(nn, recipe.activation), getattr(nn, recipe.pool))
    return {"xavier": lenet.init_xavier, "he": lenet.init_he}[recipe.init](model)


def run_ours(recipe: Recipe, seed: int) -> dict[str, object]:
    """Train by `cnncourse.training.fit` on the CPU and measure the test split once."""
    data = {"fashion_mnist": datasets.load_fashion_mnist, "mnist": datasets.load_mnist}[
        recipe.dataset
    ]()
    sgd = partial(torch.optim.SGD, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.nesterov)
    cycle = partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=recipe.lr, cycle_momentum=False)
    seed_everything(seed)
    model = build(recipe)
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
    )
    if history.interrupted:
        raise KeyboardInterrupt
    result = {
        "train_loss": _rounded(history.train_loss),
        "validation_loss": _rounded(history.validation_loss),
        "validation_accuracy": _rounded(history.validation_accuracy),
        "seconds": _rounded(history.seconds, 2),
    }
    if not recipe.trial:
        result["test_accuracy"] = round(evaluate(model, data.test).accuracy, 4)
    return result


def run_d2l(recipe: Recipe, seed: int) -> dict[str, object]:
    """Train by d2l's Trainer, LeNet and FashionMNIST, unchanged but for the folder and workers."""
    from cnncourse.reference import d2l

    seed_everything(seed)
    with tempfile.TemporaryDirectory() as folder:
        _unpack(Path(folder) / "FashionMNIST" / "raw")
        # d2l.FashionMNIST takes neither argument itself; 4 workers, its default, need 4 cores.
        d2l.DataModule.__init__.__defaults__ = (folder, 0)
        data = d2l.FashionMNIST(batch_size=recipe.batch_size)
    model = d2l.LeNet(lr=recipe.lr)
    model.apply_init([next(iter(data.get_dataloader(True)))[0]], d2l.init_cnn)
    model.board.display = False
    start = time.perf_counter()
    d2l.Trainer(max_epochs=recipe.epochs).fit(model, data)
    seconds = time.perf_counter() - start
    # Per epoch d2l draws the mean over the batches, of which the last is short; so does the record.
    drawn = {key: [float(point.y) for point in line] for key, line in model.board.data.items()}
    return {
        "validation_loss": _rounded(drawn["val_loss"]),
        "validation_accuracy": _rounded(drawn["val_acc"]),
        "seconds": [round(seconds / recipe.epochs, 2)] * recipe.epochs,
        "test_accuracy": round(evaluate(model, datasets.load_fashion_mnist().test).accuracy, 4),
    }


def environment() -> dict[str, object]:
    """Name the hardware and the software that a number depends on."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "numpy", "d2l")},
        "cnncourse": cnncourse.__version__,
    }


def record(
    names: Sequence[str], seeds: int, out: Path, recipes: Mapping[str, Recipe] = RECIPES
) -> None:
    """Do the runs that the record does not hold yet, and rewrite it after each."""
    todo = [
        (name, seed)
        for name in names
        for seed in ([TRIAL_SEED] if recipes[name].trial else range(seeds))
        if not _held(_load(out), name, seed, recipes[name])
    ]
    here, started = environment(), time.perf_counter()
    _say(f"{len(todo)} runs to do, record in {out}")
    for done, (name, seed) in enumerate(todo, start=1):
        train = run_d2l if name == "d2l_trainer" else run_ours
        run = {
            "recipe": name,
            "seed": seed,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "definition": dataclasses.asdict(recipes[name]),
            **train(recipes[name], seed),
        }
        _save(out, run, here)
        mean = (time.perf_counter() - started) / done
        _say(
            f"{done}/{len(todo)} {name}, seed {seed}: validation {run['validation_accuracy'][-1]}, "
            f"test {run.get('test_accuracy', 'not measured')}, {sum(run['seconds']):.0f} s; "
            f"about {mean * (len(todo) - done) / 60:.0f} min left"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, record, and say how to go on after ctrl-c."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.record_lenet",
        description=DESCRIPTION,
        epilog="recipes:\n"
        + "\n".join(f"  {name:22} {recipe.change}" for name, recipe in RECIPES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 .. N-1 (default: 5)")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=RECIPES, default=[*RECIPES])
    parser.add_argument("--out", type=Path, default=OUT, help="the record (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    if chosen.seeds < 1:
        parser.error(f"--seeds must be at least 1, got {chosen.seeds}")
    try:
        record(chosen.only, chosen.seeds, chosen.out)
    except KeyboardInterrupt:
        _say("stopped; the finished runs are in the record, the same command goes on from there")
        return 130
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _rounded(numbers: Sequence[float], digits: int = 4) -> list[float]:
    return [round(number, digits) for number in numbers]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else []
    return names[0] if names else platform.processor()


def _unpack(folder: Path) -> None:
    """Lay the shipped Fashion-MNIST files where torchvision looks for them."""
    folder.mkdir(parents=True)
    for packed in (Path(datasets.__file__).parent / "fashion_mnist").glob("*.gz"):
        (folder / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))


def _load(out: Path) -> dict[str, list]:
    return json.loads(out.read_text()) if out.exists() else {"environments": [], "runs": []}


def _held(held: dict[str, list], name: str, seed: int, recipe: Recipe) -> bool:
    wanted = (name, seed, dataclasses.asdict(recipe))
    return any((run["recipe"], run["seed"], run["definition"]) == wanted for run in held["runs"])


def _save(out: Path, run: dict[str, object], here: dict[str, object]) -> None:
    """Add a run, in place of an older one of its name and seed, and replace the file at once."""
    held = _load(out)
    if here not in held["environments"]:
        held["environments"].append(here)
    key = (run["recipe"], run["seed"])
    runs = [old for old in held["runs"] if (old["recipe"], old["seed"]) != key]
    runs.append(run | {"environment": held["environments"].index(here)})
    # Lists of numbers on one line each: a run then reads like a row of a table.
    text = re.sub(
        r"\[[^\[\]{}]*\]",
        lambda numbers: re.sub(r"\s+", " ", numbers[0]).replace("[ ", "[").replace(" ]", "]"),
        json.dumps(held | {"runs": runs}, indent=2),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = out.with_suffix(".json.part")
    fresh.write_text(text + "\n")
    fresh.replace(out)


if __name__ == "__main__":
    sys.exit(main())
