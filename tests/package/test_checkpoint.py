"""Runs that are killed and go on, and files that no run goes on from."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, MultiStepLR

from cnncourse.training import CheckpointError, Switches, checkpoint, fast, fit, seed_everything
from tests.package import runs
from tests.package.test_training import blobs, small_net

# Killed at any moment


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    folder = tmp_path_factory.mktemp("unbroken")
    child = runs.started(runs.run_to_the_end, folder)
    child.join()
    assert child.exitcode == 0
    return load_file(folder / "end.safetensors")


def kill_and_go_on(folder: Path, delays: list[float]) -> tuple[int, dict[str, Tensor]]:
    """Kill a run after each delay, counted from its first checkpoint; then let it end."""
    kills = 0
    for delay in delays:
        child = runs.started(runs.run_to_the_end, folder)
        while not (folder / "run.safetensors").exists() and child.is_alive():
            time.sleep(0.001)
        time.sleep(delay)
        child.kill()
        child.join()
        kills += child.exitcode == -signal.SIGKILL
    child = runs.started(runs.run_to_the_end, folder)
    child.join()
    assert child.exitcode == 0
    return kills, load_file(folder / "end.safetensors")


@pytest.mark.parametrize("n", [3, pytest.param(10, marks=pytest.mark.training)])
def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(
    n: int, unbroken: dict[str, Tensor], tmp_path: Path
) -> None:
    # Each of n runs is given a share of the time of a whole one, so that most die on their way.
    share = unbroken["seconds"].item() / n
    moments = random.Random(n)
    delays = [share * moments.uniform(0.05, 0.9) for _ in range(n)]
    kills, end = kill_and_go_on(tmp_path, delays)
    assert kills > n // 2  # of a machine that is suddenly fast, the last ones find a run that ended
    assert end.keys() == unbroken.keys()
    differ = {name for name, x in unbroken.items() if not torch.equal(end[name], x)}
    assert differ <= {"seconds"}


class Died(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("fatal", ["fsync", "replace"])
def test_a_run_that_dies_while_it_writes_keeps_the_checkpoint_before(
    fatal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, calls = tmp_path / "run.safetensors", []
    place = {"fsync": os, "replace": Path}[fatal]
    whole = getattr(place, fatal)

    def dies(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 4:  # the first file, then two epochs
            raise Died
        return whole(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(place, fatal, dies)
        with pytest.raises(Died):
            runs.run(path, epochs=5)
    seen, broken = [], runs.build()
    history = runs.run(path, broken, epochs=5, after_epoch=seen.append)
    assert len(seen) == 3
    plain = runs.build()
    assert history.train_loss == runs.run(None, plain, epochs=5).train_loss
    assert same(broken, plain)
    assert [file.name for file in tmp_path.iterdir()] == ["run.safetensors"]


def same(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


class EnoughError(Exception):
    """The run ends here."""


def stop_after(epochs: int) -> Callable[[object], None]:
    seen: list[object] = []

    def look(epoch: object) -> None:
        seen.append(epoch)
        if len(seen) == epochs:
            raise EnoughError

    return look


def test_a_run_that_dies_in_its_first_epoch_begins_with_the_same_weights(tmp_path: Path) -> None:
    first, other = runs.build(), runs.build()
    first.register_forward_pre_hook(dies_in_training)
    with pytest.raises(EnoughError):
        runs.run(tmp_path / "run", first, epochs=1)
    assert checkpoint.epochs_in(tmp_path / "run") == []
    seed_everything(99)
    for weight in other.parameters():
        weight.data.zero_()
    runs.run(tmp_path / "run", other, epochs=1)
    plain = runs.build()
    runs.run(None, plain, epochs=1)
    assert same(other, plain)


def dies_in_training(model: nn.Module, _: object) -> None:
    if model.training:
        raise EnoughError


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": partial(torch.optim.AdamW, lr=1e-3), "schedule": None},
        {"optimizer": partial(torch.optim.AdamW, lr=1e-3, fused=True), "schedule": None},
        {"optimizer": partial(torch.optim.AdamW, lr=torch.tensor(1e-3)), "schedule": None},
        {"optimizer": torch.optim.RMSprop, "schedule": None},
        {"schedule": lambda descent, total_steps: MultiStepLR(descent, [40, 100])},
        {"schedule": lambda descent, total_steps: LambdaLR(descent, lambda i: 1 / (1 + i))},
        {"switches": Switches(channels_last=True)},
        {"switches": Switches(precision="bfloat16")},
        {"switches": Switches(precision="float16")},
    ],
    ids=["adamw", "fused", "tensor", "rmsprop", "steps", "lambda", "channels", "bf16", "fp16"],
)
def test_every_optimizer_schedule_and_switch_goes_on(
    changes: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast, "_multiplies_in", lambda *_: True)
    path, model = tmp_path / "new" / "run", runs.build()
    changes = {"epochs": 3, **changes}
    with pytest.raises(EnoughError):
        runs.run(path, model, after_epoch=stop_after(1), **changes)
    seed_everything(99)  # of a new process, in which nothing is as it was
    for weight in model.parameters():
        weight.data.zero_()
    resumed = runs.run(path, model, **changes)
    plain = runs.build()
    whole = runs.run(None, plain, **changes)
    assert resumed.train_loss == whole.train_loss
    assert resumed.validation_accuracy == whole.validation_accuracy
    assert same(model, plain)


def test_the_scale_of_float16_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scalers: list[torch.amp.GradScaler] = []

    def growing(*_: object) -> torch.amp.GradScaler:
        scalers.append(torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=30))
        return scalers[-1]

    monkeypatch.setattr(fast, "_multiplies_in", lambda *_: True)
    monkeypatch.setattr(fast, "scaler_for", growing)
    changes = {"epochs": 2, "switches": Switches(precision="float16")}
    with pytest.raises(EnoughError):
        runs.run(tmp_path / "run", after_epoch=stop_after(1), **changes)
    runs.run(tmp_path / "run", **changes)
    # Twice 38 steps: doubled after 30 and 60 of them, and not after 30 of each epoch.
    assert [scaler.get_scale() for scaler in scalers] == [8.0, 16.0]
    assert scalers[1].state_dict()["_growth_tracker"] == 16


def test_a_run_that_has_ended_gives_its_history_and_weights(tmp_path: Path) -> None:
    model, again = runs.build(), runs.build()
    history = runs.run(tmp_path / "run", model, epochs=2)
    assert runs.run(str(tmp_path / "run"), again, epochs=2) == history
    assert same(model, again)


def test_ctrl_c_leaves_a_checkpoint_that_goes_on(tmp_path: Path) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    assert runs.run(tmp_path / "run", epochs=3, after_epoch=interrupt).interrupted
    history = runs.run(tmp_path / "run", epochs=3)
    assert not history.interrupted
    assert len(history.epochs) == 3


# Files that no run goes on from


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("written") / "run"
    runs.run(path, epochs=2)
    return path.read_bytes()


def wider() -> nn.Module:
    model = runs.build()
    model[2] = nn.Linear(144, 6)
    return model


def deeper() -> nn.Module:
    return runs.build().append(nn.Linear(5, 5))


LABELS = runs.pictures(600)[1]
FOREIGN = [
    ({"epochs": 3}, "recipe has epochs = 2, this one 3"),
    ({"batch_size": 8}, "recipe has batch_size = 16, this one 8"),
    ({"seed": 2}, "recipe has seed = 1, this one 2"),
    ({"switches": Switches(channels_last=True)}, "recipe has channels_last = False, this one True"),
    ({"optimizer": partial(torch.optim.AdamW, lr=0.01)}, "optimizer = SGD, this one AdamW"),
    ({"schedule": None}, "recipe has schedule = OneCycleLR, this one NoneType"),
    ({"schedule": partial(runs.OneCycleLR, max_lr=0.1)}, r"optimizer has lr = \[.*\], this one \["),
    (
        {"optimizer": partial(torch.optim.SGD, lr=0.01, momentum=0.9)},
        r"optimizer has weight_decay = \[0.001\], this one \[0\]",
    ),
    ({"model": wider()}, r"model has 2.weight = \(5, 144\) torch.float32, this one \(6, 144\)"),
    ({"model": deeper()}, "model has 3.weight = None, this one"),
    ({"validation": None}, r"recipe has validation = \(40, 1, 8, 8\) .*, this one None"),
    ({"train": (runs.pictures(600)[0] * 2, LABELS)}, "recipe has train = .*, this one"),
    ({"train": (runs.pictures(600)[0], LABELS.flip(0))}, "recipe has train = .*, this one"),
]


@pytest.mark.parametrize(("changes", "message"), FOREIGN, ids=lambda part: str(part)[:40])
def test_a_checkpoint_of_another_run_is_refused_and_nothing_changes(
    changes: dict, message: str, written: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "run"
    path.write_bytes(written)
    splits = {"train": runs.pictures(600), "validation": runs.pictures(40)}
    model = changes.get("model") or runs.build()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    random_state = torch.get_rng_state()
    given = {**runs.SETTINGS, "epochs": 2, **splits, **changes, "model": model}
    with pytest.raises(CheckpointError, match=f"`checkpoint` .*run is of another run: .*{message}"):
        fit(checkpoint=path, **given)
    assert path.read_bytes() == written
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:5],
        lambda data: data[:200],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: b"epoch,loss\n1,0.5\n",
        lambda data: b"\0" * len(data),
        lambda data: b"\x02\0\0\0\0\0\0\0[]",
        *(partial(flipped, place=place) for place in [0, 7, 8, 40, 100, 300, 1000, 4000, 9000, -1]),
    ],
)
def test_a_damaged_file_is_refused_and_kept(
    damage: Callable[[bytes], bytes], written: bytes, tmp_path: Path
) -> None:
    path, bad = tmp_path / "run", damage(written)
    path.write_bytes(bad)
    with pytest.raises(CheckpointError, match=r"`checkpoint` .*run is (damaged|no checkpoint)"):
        runs.run(path, epochs=2)
    assert path.read_bytes() == bad


def test_a_flip_of_any_byte_is_seen(written: bytes) -> None:
    start = 8 + int.from_bytes(written[:8], "little")
    for place in [*range(start), *random.Random(0).sample(range(start, len(written)), 300)]:
        with pytest.raises(CheckpointError):
            checkpoint._read(Path("run"), flipped(written, place))


def test_weights_alone_are_no_checkpoint(tmp_path: Path) -> None:
    save_file(dict(runs.build().state_dict()), tmp_path / "run")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        runs.run(tmp_path / "run")


def test_a_checkpoint_is_safetensors_and_words(written: bytes, tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    path.write_bytes(written)
    names = set(load_file(path))
    assert {"model/0.0.weight", "optimizer/0/momentum_buffer", "random/shuffle"} <= names
    size = int.from_bytes(written[:8], "little")
    words = json.loads(json.loads(written[8 : 8 + size])["__metadata__"]["words"])
    assert len(words["history"]) == 2
    assert words["recipe"]["epochs"] == 2


@pytest.mark.parametrize(
    ("path", "error"), [("a/b", OSError), (".", OSError)], ids=["below a file", "a folder"]
)
def test_a_place_that_cannot_be_written_is_named_before_the_first_step(
    path: str, error: type, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("a file")
    model = runs.build()
    with pytest.raises(error, match=str(tmp_path)):
        runs.run(tmp_path / path, model)
    assert same(model, runs.build())


class Odd(torch.optim.SGD):
    """Remembers what is no tensor and no number."""

    def step(self, closure: object = None) -> None:
        super().step(closure)
        self.state[self.param_groups[0]["params"][0]]["past"] = [1, 2]


def test_what_a_checkpoint_cannot_hold_is_named(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="`past` of the optimizer Odd is a list"):
        fit(
            small_net(),
            blobs(),
            epochs=1,
            optimizer=partial(Odd, lr=0.1),
            device="cpu",
            checkpoint=tmp_path / "run",
        )
