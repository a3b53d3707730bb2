"""A run in one file, so that it goes on after its process died, and ends as if it had not.

The file is of safetensors: tensors, and words in JSON. Reading it runs no code. It holds the
weights, the optimizer's tensors, the random states and the history. It does not hold the schedule,
which is a function of the step: a resumed run steps it again through the epochs that are done.

Not handled: the random states of Python and NumPy, and buffers that a model does not save.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from cnncourse.training import shared
from cnncourse.training.history import Epoch, Evaluation, History, Pair
from cnncourse.training.shared import Place

FORMAT = "cnncourse checkpoint 1"
BLANK = "0" * 64  # where the digest of the whole file will stand
Recipe = dict[str, object]


class CheckpointError(ValueError):
    """The file is damaged, or it belongs to another run; nothing was changed."""


@dataclass
class Run:
    """What changes while a model is trained, and so what a checkpoint holds."""

    model: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler | None
    scaler: torch.amp.GradScaler
    generator: torch.Generator
    history: History
    place: Place


def keeper(path: str | Path | None, run: Run, recipe: Recipe, steps: int) -> Callable[[], None]:
    """Go on where the file ends, and return what writes it; without a path, nothing is written.

    ``steps`` is the number of steps an epoch. The first file is written at once: it tells of a
    folder that cannot be written before an epoch is lost, and keeps the weights at the beginning.
    Of several processes, the first one reads and writes.
    """
    if path is None:
        return lambda: None
    path, first = Path(path), run.place.rank == 0
    keep = partial(_save, path, run, recipe) if first else lambda: None
    data = path.read_bytes() if first and path.exists() else None
    data = shared.from_first(run.place, data, next(run.model.parameters()).device)
    if data is not None:
        _resume(path, data, run, recipe, steps)
        return keep
    path.parent.mkdir(parents=True, exist_ok=True)
    keep()
    return keep


def epochs_in(path: Path) -> list[Epoch]:
    """Return the epochs that a checkpoint holds."""
    _, words = _read(path, path.read_bytes())
    return [_epoch(*numbers) for numbers in words["history"]]


def _save(path: Path, run: Run, recipe: Recipe) -> None:
    """Write down the run as it is after an epoch."""
    slots, numbers = _optimizer_state(run.optimizer)
    words = {
        "recipe": recipe,
        "history": run.history.epochs,
        "groups": _groups(run.optimizer),
        "optimizer": numbers,
        "scaler": run.scaler.state_dict(),
    }
    tensors = {**_named("model", _weights(run.model)), **slots, **_random(run)}
    whole = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    about = {"sha256": BLANK, "format": FORMAT, "words": json.dumps(words, sort_keys=True)}
    data = save(whole, metadata=about)
    write_whole(path, data.replace(BLANK.encode(), _digest(data).encode(), 1))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under another name, and give it its own when all of it is on the disk."""
    half = path.with_name(f".{path.name}.part")
    with half.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def _resume(path: Path, data: bytes, run: Run, recipe: Recipe, steps: int) -> None:
    tensors, words = _read(path, data)
    _check_alike(path, "recipe", words["recipe"], recipe)
    weights = _part(tensors, "model")
    _check_alike(path, "model", _shapes(weights), _shapes(_weights(run.model)))
    _step_again(run.scheduler, len(words["history"]) * steps)
    _check_alike(path, "optimizer", words["groups"], _groups(run.optimizer))
    run.model.load_state_dict(weights)
    _set_optimizer(run.optimizer, _part(tensors, "optimizer"), words["optimizer"])
    run.scaler.load_state_dict(words["scaler"])
    run.history.epochs.extend(_epoch(*numbers) for numbers in words["history"])
    _set_random(run, tensors)


def _read(path: Path, data: bytes) -> tuple[dict[str, Tensor], dict]:
    """Return the tensors and the words of a file whose every byte is as it was written."""
    try:
        size = int.from_bytes(data[:8], "little")
        about = dict(dict(json.loads(data[8 : 8 + size])).get("__metadata__", {}))
    except (ValueError, TypeError):
        raise CheckpointError(f"`checkpoint` {path} is damaged, or no checkpoint") from None
    if about.get("format") != FORMAT:
        raise CheckpointError(f"`checkpoint` {path} is no checkpoint of a training")
    digest = about.get("sha256", "")
    if _digest(data.replace(digest.encode(), BLANK.encode(), 1)) != digest:
        raise CheckpointError(f"`checkpoint` {path} is damaged: other bytes than were written")
    return load(data), json.loads(about["words"])


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_alike(path: Path, what: str, there: dict, here: dict) -> None:
    """Name the first entry in which the file and this run differ."""
    here = json.loads(json.dumps(here))
    for name in [*here, *there]:
        if there.get(name) != here.get(name):
            raise CheckpointError(
                f"`checkpoint` {path} is of another run: its {what} has "
                f"{name} = {there.get(name)}, this one {here.get(name)}"
            )


def recipe_of(run: Run, train: Pair, validation: Pair | None, settings: Recipe) -> Recipe:
    """Describe a run in words that another run can be compared with."""
    kinds = {"optimizer": type(run.optimizer).__name__, "schedule": type(run.scheduler).__name__}
    splits = {"train": train, "validation": validation}
    digests = {name: split and fingerprint(*split) for name, split in splits.items()}
    return {**settings, **kinds, **digests}


def fingerprint(images: Tensor, labels: Tensor) -> str:
    """Tell a split by its shape, all labels, and its first and last picture."""
    ends = torch.stack([images[0], images[-1]]).cpu().contiguous()
    data = ends.view(torch.uint8).numpy().tobytes() + labels.cpu().numpy().tobytes()
    return f"{tuple(images.shape)} {_digest(data)[:12]}"


def _weights(model: nn.Module) -> dict[str, Tensor]:
    state = model.state_dict()
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"`checkpoint` holds tensors; the model's {name} is {type(value)}")
    return state


def _shapes(tensors: dict[str, Tensor]) -> dict[str, str]:
    return {name: f"{tuple(one.shape)} {one.dtype}" for name, one in tensors.items()}


def _named(part: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{part}/{name}": tensor for name, tensor in tensors.items()}


def _part(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    start = f"{part}/"
    return {name.removeprefix(start): x for name, x in tensors.items() if name.startswith(start)}


def _groups(optimizer: Optimizer) -> dict[str, list]:
    """Return rates and other settings, group by group, in JSON's kinds."""
    names = {name: None for group in optimizer.param_groups for name in group if name != "params"}
    plain = {name: [group.get(name) for group in optimizer.param_groups] for name in names}
    return json.loads(json.dumps(plain, default=_plain))


def _plain(value: object) -> object:
    return value.item() if isinstance(value, Tensor) else repr(value)


def _optimizer_state(optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, dict]]:
    """Return the optimizer's tensors, named by weight and slot, and what else it remembers."""
    tensors, numbers = {}, {}
    for weight, slots in optimizer.state_dict()["state"].items():
        for name, value in slots.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{weight}/{name}"] = value
            elif value is None or isinstance(value, (bool, int, float, str)):
                numbers.setdefault(str(weight), {})[name] = value
            else:
                raise TypeError(
                    f"`checkpoint` holds tensors and numbers; `{name}` of the optimizer "
                    f"{type(optimizer).__name__} is a {type(value).__name__}"
                )
    return tensors, numbers


def _set_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor], numbers: dict) -> None:
    state: dict[int, dict] = {int(weight): dict(slots) for weight, slots in numbers.items()}
    for place, tensor in tensors.items():
        weight, _, name = place.partition("/")
        state.setdefault(int(weight), {})[name] = tensor
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})


def _step_again(scheduler: LRScheduler | None, steps: int) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
        for _ in range(steps if scheduler else 0):
            scheduler.step()


def _random(run: Run) -> dict[str, Tensor]:
    states = {"shuffle": run.generator.get_state(), "cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return _named("random", states)


def _set_random(run: Run, tensors: dict[str, Tensor]) -> None:
    states = _part(tensors, "random")
    run.generator.set_state(states["shuffle"])
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


def _epoch(train: list, validation: list | None, seconds: float) -> Epoch:
    return Epoch(Evaluation(*train), validation and Evaluation(*validation), seconds)
