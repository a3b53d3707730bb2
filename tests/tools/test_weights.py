"""What the command that keeps weights writes: networks, their accuracies, pictures for a page."""

from __future__ import annotations

import gzip
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cnncourse.datasets import SHIPPED, Dataset, Split
from cnncourse.invariance import permute_pixels
from cnncourse.records.stored import read_about, shrink
from cnncourse.training import evaluate, seed_everything
from experiments import pictures, shift, weights
from experiments.recipe import train

SHORT = replace(shift.RECIPES["dense"], batch_size=16, epochs=3)


def tiny() -> Dataset:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(90, 1, 28, 28, generator=generator)
    parts = (Split(images[k::3], torch.arange(30) % 10) for k in range(3))
    return Dataset(*parts, tuple("0123456789"))


@pytest.fixture
def kept(monkeypatch, tmp_path: Path) -> Path:
    """Keep the weights of a short training, before it and after one of its three epochs too."""
    topic = SimpleNamespace(
        RECIPES={"dense": SHORT},
        build=shift.build,
        drawn=lambda recipe, seed: tiny(),
        train=train,
    )
    monkeypatch.setitem(weights.TOPICS, "shift", topic)
    monkeypatch.setattr(weights, "EPOCHS", {"shift/dense": (0, 1)})
    weights.keep("shift/dense", tmp_path)
    return tmp_path / "shift"


def test_keep_writes_the_weights_of_each_epoch_that_is_kept(kept: Path) -> None:
    expected = {"dense_epoch_0": 0, "dense_epoch_1": 1, "dense": 3}
    assert {path.stem: read_about(path)["epoch"] for path in kept.iterdir()} == expected
    seen = []
    train(
        SHORT,
        partial(shift.build, SHORT),
        tiny(),
        0,
        watch=lambda model: seen.append(shrink(model)),
    )
    assert len(seen) == 4
    for name, epoch in expected.items():
        stored = load_file(kept / f"{name}.safetensors")
        assert all(torch.equal(stored[key], value) for key, value in seen[epoch].items())


def test_keep_says_what_a_network_reached_before_and_after(kept: Path) -> None:
    about = read_about(kept / "dense_epoch_0.safetensors")
    seed_everything(0)
    model = shift.build(SHORT)
    for split in ("validation", "test"):
        reached = evaluate(model, getattr(tiny(), split)).accuracy
        assert about[f"trained_{split}_accuracy"] == round(reached, 4)
        after = evaluate(weights.rounded(model), getattr(tiny(), split)).accuracy
        assert about[f"{split}_accuracy"] == round(after, 4)
    assert (about["record"], about["recipe"], about["seed"]) == ("shift", "dense", 0)


class Right(torch.nn.Module):
    """Knows every answer of the tiny splits."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.eye(10)[torch.arange(len(x)) % 10]


def test_accuracies_after_storage_are_those_of_the_rounded_weights(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(weights, "rounded", lambda model: Right())
    seed_everything(0)
    weights.write(shift.build(SHORT), {}, tiny(), tmp_path / "network")
    about = read_about(tmp_path / "network")
    assert about["test_accuracy"] == about["validation_accuracy"] == 1
    assert max(about["trained_test_accuracy"], about["trained_validation_accuracy"]) < 0.5


def test_main_names_a_network_that_nothing_keeps(capsys) -> None:
    assert weights.main(["lenet/he"]) == 2
    assert "lenet/he" in capsys.readouterr().err


FILES = {"digits": ("mnist", pictures.DIGITS), "garments": ("fashion_mnist", pictures.GARMENTS)}


def numbers(folder: str, kind: str, header: int) -> np.ndarray:
    """Read the test split's file as it lies on the disk."""
    packed = (SHIPPED / folder / f"t10k-{kind}-ubyte.gz").read_bytes()
    return np.frombuffer(gzip.decompress(packed), np.uint8, offset=header)


@pytest.mark.parametrize("name", FILES)
def test_pictures_are_those_of_the_test_split_one_of_each_class(name: str) -> None:
    folder, chosen = FILES[name]
    images = numbers(folder, "images-idx3", 16).reshape(-1, 28, 28)
    labels = numbers(folder, "labels-idx1", 8)
    shipped = (pictures.OUT / f"{name}.bin").read_bytes()
    assert len(shipped) == 7840
    found = np.frombuffer(shipped, np.uint8).reshape(10, 28, 28)
    assert np.array_equal(found, images[list(chosen)])
    assert labels[list(chosen)].tolist() == list(range(10))


def test_the_eight_is_the_first_of_the_test_split_which_a_chapter_moves() -> None:
    labels = numbers("mnist", "labels-idx1", 8)
    assert pictures.DIGITS[8] == labels.tolist().index(8)


def test_the_order_shuffles_as_the_package_does() -> None:
    order = np.frombuffer((pictures.OUT / "order.bin").read_bytes(), "<u2").astype(np.int64)
    picture = torch.rand(28, 28, generator=torch.Generator().manual_seed(0))
    assert torch.equal(picture.flatten()[order].view(28, 28), permute_pixels(picture, seed=0))


def test_pictures_are_written_anew_as_they_are(tmp_path: Path) -> None:
    pictures.write(tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (pictures.OUT / path.name).read_bytes()
    assert len(list(tmp_path.iterdir())) == 3
