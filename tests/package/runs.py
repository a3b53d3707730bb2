"""Runs in processes of their own: one to kill, and several that share each batch.

Every random thing is in the first: shuffle, dropout, momentum, a schedule, running statistics.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import OneCycleLR

from cnncourse import cli
from cnncourse.training import Epoch, History, fit, seed_everything

# Children of a server that has imported torch start at once.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["torch", "tests.package.runs"])
SETTINGS = {
    "epochs": 12,
    "batch_size": 16,
    "seed": 1,
    "optimizer": partial(torch.optim.SGD, lr=0.01, momentum=0.9, weight_decay=1e-3),
    "schedule": partial(OneCycleLR, max_lr=0.05),
    "device": "cpu",
}


def build() -> nn.Module:
    seed_everything(3)
    maps = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    return nn.Sequential(maps, nn.Dropout(0.3), nn.Linear(144, 5))


def pictures(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(n)
    images = torch.randn(n, 1, 8, 8, generator=generator)
    return images, torch.randint(0, 5, (n,), generator=generator)


def run(checkpoint: Path | None, model: nn.Module | None = None, **changes: object) -> History:
    model = model or build()
    return fit(model, pictures(600), pictures(40), checkpoint=checkpoint, **SETTINGS | changes)


def run_to_the_end(folder: Path) -> None:
    """Write the weights that a run ends with, and its history."""
    torch.set_num_threads(1)
    model, start = build(), time.perf_counter()
    history = run(folder / "run.safetensors", model)
    numbers = {
        "train": torch.tensor(history.train_loss, dtype=torch.float64),
        "validation": torch.tensor(history.validation_loss, dtype=torch.float64),
        "seconds": torch.tensor(time.perf_counter() - start),
    }
    whole = {name: x.clone() for name, x in model.state_dict().items()}
    save_file(whole | numbers, folder / "end.safetensors")


def started(work: Callable, *arguments: object) -> multiprocessing.Process:
    child = SERVER.Process(target=work, args=arguments)
    child.start()
    return child


def plain_net() -> nn.Module:
    """Return a network in which no picture depends on the others of its batch."""
    seed_everything(3)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))


def share(
    folder: Path, rank: int, size: int, checkpoint: Path | None, changes: dict, stop: int | None
) -> None:
    """Train as one of several processes; write what this one ends with."""
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting"
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=size)
    model, seen = plain_net(), []

    def look(epoch: Epoch) -> None:
        seen.append(epoch)
        if len(seen) == stop:
            raise KeyboardInterrupt

    history = run(checkpoint, DistributedDataParallel(model), after_epoch=look, **changes)
    numbers = {name: torch.tensor(getattr(history, name)).double() for name in NUMBERS}
    whole = {name: x.clone() for name, x in model.state_dict().items()}
    save_file(whole | numbers, folder / f"end-{rank}.safetensors")
    torch.distributed.destroy_process_group()


NUMBERS = ("train_loss", "train_accuracy", "validation_loss")


def command(words: list[str], error: Path, variables: dict[str, str]) -> None:
    """Run the command line with these variables, as torchrun sets them."""
    torch.set_num_threads(1)
    os.environ.update(variables)
    with error.open("w") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
        os.dup2(file.fileno(), sys.stdout.fileno())
    sys.exit(cli.main(words))
