"""Several processes on one model: the weights of one process, and what happens when one dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cnncourse import cli
from cnncourse.training import shared
from cnncourse.training.checkpoint import epochs_in
from tests.package import runs
from tests.package.test_training import CLOSE


def trained_by(
    size: int, folder: Path, checkpoint: str | None = None, stop: int | None = None, **changes
) -> list[dict[str, Tensor]]:
    """Train in so many processes; return what each ends with. Only the first has the file."""
    folder.mkdir()
    children = []
    for rank in range(size):
        path = checkpoint and folder.parent / (checkpoint if rank == 0 else f"none-{rank}")
        children.append(runs.started(runs.share, folder, rank, size, path, changes, stop))
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0] * size
    return [load_file(folder / f"end-{rank}.safetensors") for rank in range(size)]


def alone(checkpoint: Path | None = None, **changes) -> dict[str, Tensor]:
    model = runs.plain_net()
    history = runs.run(checkpoint, model, **changes)
    numbers = {name: torch.tensor(getattr(history, name)).double() for name in runs.NUMBERS}
    return {**model.state_dict(), **numbers}


def assert_alike(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, **CLOSE)


# 600 pictures in batches of 35: parts of 18 and 17, and a last batch of 5; of 599, a part is empty.
@pytest.mark.parametrize(("size", "batch_size"), [(2, 35), (3, 599)])
def test_processes_that_share_batches_train_as_one_does(
    size: int, batch_size: int, tmp_path: Path
) -> None:
    changes = {"epochs": 2, "batch_size": batch_size}
    ends = trained_by(size, tmp_path / "shared", **changes)
    assert_alike(ends[0], alone(**changes))
    for end in ends[1:]:
        assert [name for name, x in ends[0].items() if not torch.equal(end[name], x)] == []


def test_a_run_goes_on_with_another_number_of_processes(tmp_path: Path) -> None:
    whole = alone(epochs=4)
    trained_by(2, tmp_path / "two", checkpoint="run", stop=1, epochs=4)
    assert len(epochs_in(tmp_path / "run")) == 1
    with_three = trained_by(3, tmp_path / "three", checkpoint="run", stop=1, epochs=4)
    assert len(epochs_in(tmp_path / "run")) == 2
    assert len(with_three[2]["train_loss"]) == 2  # of which it has trained one
    assert_alike(alone(tmp_path / "run", epochs=4), whole)
    assert not (tmp_path / "none-1").exists()


def test_each_process_has_dropout_of_its_own() -> None:
    draws = []
    for rank in (0, 1, 2):
        torch.manual_seed(5)
        shared.draw_apart(shared.Place(rank, 3))
        draws.append(torch.rand(3))
    torch.manual_seed(5)
    assert torch.equal(draws[0], torch.rand(3))
    assert not torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[1], draws[2])


# The command


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a small Fashion-MNIST: the brightness of a picture is its class."""
    folder = tmp_path / "data" / "fashion_mnist"
    folder.mkdir(parents=True)
    for stem, n in [("train", 600), ("t10k", 50)]:
        labels = np.arange(n) % 10
        noise = np.random.default_rng(n).integers(0, 25, (n, 28, 28))
        images = (noise + 22 * labels[:, None, None]).astype(np.uint8)
        head = np.array([2051, n, 28, 28], ">u4").tobytes()
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        head = np.array([2049, n], ">u4").tobytes()
        data = head + labels.astype(np.uint8).tobytes()
        (folder / f"{stem}-labels-idx1-ubyte").write_bytes(data)
    monkeypatch.setenv("CNNCOURSE_DATA", str(tmp_path / "data"))


WORDS = ["train", "--model", "softmax", "--lr", "0.001", "--batch-size", "16", "--device", "cpu"]


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return str(one.getsockname()[1])


def as_torchrun_starts(words: list[str], folder: Path, size: int) -> list:
    meeting = {"MASTER_ADDR": "localhost", "MASTER_PORT": free_port(), "WORLD_SIZE": str(size)}
    return [
        runs.started(
            runs.command,
            words,
            folder / f"said-{rank}",
            {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "TORCHELASTIC_RUN_ID": "x",
                "CNNCOURSE_DATA": os.environ["CNNCOURSE_DATA"],
                **meeting,
            },
        )
        for rank in range(size)
    ]


def wait_for_epoch(file: Path, epochs: int) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if file.exists() and len(epochs_in(file)) >= epochs:
            return
        time.sleep(0.005)
    raise TimeoutError(f"{file} holds no {epochs} epochs")


@pytest.mark.usefixtures("few")
def test_a_process_that_dies_ends_the_run_and_another_number_goes_on(tmp_path: Path) -> None:
    out, words = tmp_path / "run", [*WORDS, "--epochs", "40", "--out"]
    children = as_torchrun_starts([*words, str(out)], tmp_path, 2)
    wait_for_epoch(out / "checkpoint.safetensors", 2)
    os.kill(children[1].pid, signal.SIGKILL)
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [1, -signal.SIGKILL]
    said = (tmp_path / "said-0").read_text()
    assert "cnncourse train: another process of this training has died" in said
    assert "Traceback" not in said
    assert cli.main([*words, str(out), "--resume"]) == 0
    assert cli.main([*words, str(tmp_path / "whole")]) == 0
    ends = [load_file(folder / "weights.safetensors") for folder in (out, tmp_path / "whole")]
    assert_alike(*ends)


@pytest.mark.usefixtures("few")
@pytest.mark.training
def test_torchrun_trains_in_two_processes(tmp_path: Path) -> None:
    words = [*WORDS, "--epochs", "3", "--out"]
    start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    program = [*start, "-m", "cnncourse.train", *words[1:], str(tmp_path / "two")]
    done = subprocess.run(program, capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.count("train loss") == 1
    assert cli.main([*words, str(tmp_path / "one")]) == 0
    ends = [load_file(tmp_path / name / "weights.safetensors") for name in ("two", "one")]
    assert_alike(*ends)
