"""The benchmark of the loops: equal work, every loop in its turn, and a table that says so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.data import Subset

from benchmarks import training
from benchmarks.training import Epoch
from cnncourse.datasets import Split
from experiments import textbook

d2l = pytest.importorskip("cnncourse.reference").import_d2l()
TRAINED, VALIDATED = 200, 130


@pytest.fixture(scope="module")
def ways() -> dict:
    generator = torch.Generator().manual_seed(0)
    train, validation = (
        Split(torch.rand(n, 1, 28, 28, generator=generator), torch.arange(n) % 10)
        for n in (TRAINED, VALIDATED)
    )
    data = textbook.fashion_mnist(d2l, training.BATCH)
    data.train = Subset(data.train, range(TRAINED))
    data.val = Subset(data.val, range(VALIDATED))
    return {
        "fit": lambda: training.by_fit(train, validation),
        "loader": lambda: training.by_loader(train, validation),
        "d2l": lambda: training.by_d2l(d2l, data),
    }


def test_every_loop_does_the_same_work(ways) -> None:
    counts = {name: training.measure(way)[1:] for name, way in ways.items()}
    assert counts == {
        "fit": (TRAINED, VALIDATED + 2),  # one picture of each split is looked at before
        "loader": (TRAINED, VALIDATED),
        "d2l": (TRAINED, VALIDATED),
    }


def test_every_loop_changes_the_weights_of_lenet(ways) -> None:
    for way in ways.values():
        torch.manual_seed(0)
        model, epoch = way()
        before = [p.detach().clone() for p in model.parameters()]
        epoch()
        assert sum(p.numel() for p in model.parameters()) == 61706
        assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_pictures_are_those_of_the_two_files() -> None:
    train, test = training.pictures()
    assert (len(train.labels), len(test.labels)) == (60_000, 10_000)
    assert train.labels.bincount().tolist() == [6000] * 10


def test_line_gives_median_spread_and_ratio() -> None:
    epochs = [Epoch(seconds, 600, 100) for seconds in (3.0, 2.0, 7.0)]
    assert training.line("a", epochs, 1.5) == [
        "a", "3.0", "2.0 to 7.0", "2.00", "200", "600", "100",
    ]  # fmt: skip


def test_report_gives_each_loop_its_turn(monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(training, "measure", lambda way: asked.append(way) or Epoch(1.0, 6, 1))
    text = training.report({"fit": "a", training.D2L: "b"}, repeats=3)
    assert asked == ["a", "b"] * 3
    assert "median over 3 repeats" in text
    assert f"torch {torch.__version__}" in text
    assert len([line for line in text.splitlines() if line.startswith("|")]) == 4


def test_target_is_said_to_be_missed_where_it_is() -> None:
    medians = {"fit": 3.0, "fit, both": 2.0, "a loop over torch's DataLoader": 1.0}
    assert training.verdict({**medians, training.D2L: 8.0}).endswith("met: 4.00 (fit, both).")
    assert "MISSED: 3.95" in training.verdict({**medians, training.D2L: 7.9})


def test_main_writes_what_it_prints(monkeypatch, tmp_path: Path, capsys) -> None:
    threads = torch.get_num_threads()
    monkeypatch.setattr(training, "measure", lambda way: Epoch(1.0, 6, 1))
    monkeypatch.setattr(training, "pictures", lambda: None)
    monkeypatch.setattr(textbook, "fashion_mnist", lambda *_: None)
    out = tmp_path / "new" / "training.md"
    assert training.main(["--repeats", "1", "--out", str(out)]) == 0
    torch.set_num_threads(threads)
    text = capsys.readouterr().out
    assert out.read_text() == text
    assert all(f"| {name} " in text for name in ("fit", "d2l.Trainer"))


def test_main_refuses_a_number_below_1(capsys) -> None:
    with pytest.raises(SystemExit):
        training.main(["--repeats", "0"])
    assert "--repeats must be at least 1, got 0" in capsys.readouterr().err
