"""A run to kill, in a process of its own.

Every random thing is in it: shuffle, dropout, momentum, a schedule, running statistics.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from cnncourse.training import History, fit, seed_everything

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
