"""The record of chapter 8: nothing measured twice, nothing lost, one change at a time."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import pytest
import torch

from benchmarks import record_lenet
from benchmarks.record_lenet import RECIPES, build, main, record, run_ours
from cnncourse.datasets import Dataset, Split


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Put a stand-in for the training, and list the runs that were asked for."""
    asked = []

    def run(recipe: record_lenet.Recipe, seed: int) -> dict[str, object]:
        asked.append((recipe.activation, seed))
        return {"validation_accuracy": [0.5, 0.6], "seconds": [1.0, 1.0], "test_accuracy": 0.55}

    monkeypatch.setattr(record_lenet, "run_ours", run)
    return asked


def test_record_holds_the_definition_and_reads_like_a_table(trained, tmp_path: Path) -> None:
    out = tmp_path / "new" / "record.json"
    record(["relu"], 2, out)
    held = json.loads(out.read_text())
    assert [(run["recipe"], run["seed"]) for run in held["runs"]] == [("relu", 0), ("relu", 1)]
    assert held["runs"][0]["definition"] == dataclasses.asdict(RECIPES["relu"])
    assert held["environments"][held["runs"][0]["environment"]]["torch"] == torch.__version__
    assert '"validation_accuracy": [0.5, 0.6],\n' in out.read_text()
    assert [path.name for path in out.parent.iterdir()] == ["record.json"]


def test_record_does_only_what_is_missing(trained, tmp_path: Path) -> None:
    out = tmp_path / "record.json"
    record(["relu"], 1, out)
    record(["lenet_sigmoid", "relu"], 2, out)
    assert trained == [("ReLU", 0), ("Sigmoid", 0), ("Sigmoid", 1), ("ReLU", 1)]


def test_record_replaces_a_run_whose_definition_changed(trained, tmp_path: Path) -> None:
    out = tmp_path / "record.json"
    record(["relu"], 1, out)
    changed = RECIPES | {"relu": dataclasses.replace(RECIPES["relu"], epochs=3)}
    record(["relu"], 1, out, changed)
    (run,) = json.loads(out.read_text())["runs"]
    assert run["definition"]["epochs"] == 3
    assert len(trained) == 2


def test_record_keeps_apart_what_two_machines_measured(trained, tmp_path, monkeypatch) -> None:
    out = tmp_path / "record.json"
    for cpu, seeds in [("one", 1), ("two", 3)]:
        monkeypatch.setattr(record_lenet, "_cpu_model", lambda cpu=cpu: cpu)
        record(["relu"], seeds, out)
    held = json.loads(out.read_text())
    assert [environment["cpu"] for environment in held["environments"]] == ["one", "two"]
    assert [run["environment"] for run in held["runs"]] == [0, 1, 1]


def test_main_keeps_the_finished_runs_on_ctrl_c(trained, tmp_path, monkeypatch, capsys) -> None:
    out = tmp_path / "record.json"
    finished = record_lenet.run_ours

    def run(recipe: record_lenet.Recipe, seed: int) -> dict[str, object]:
        if seed == 1:
            raise KeyboardInterrupt
        return finished(recipe, seed)

    monkeypatch.setattr(record_lenet, "run_ours", run)
    assert main(["--only", "relu", "--seeds", "3", "--out", str(out)]) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert len(json.loads(out.read_text())["runs"]) == 1
    monkeypatch.setattr(record_lenet, "run_ours", finished)
    assert main(["--only", "relu", "--seeds", "3", "--out", str(out)]) == 0
    assert [seed for _, seed in trained] == [0, 1, 2]


def test_record_runs_a_trial_with_its_own_seed_once(trained, tmp_path: Path) -> None:
    record(["trial_momentum_0.03"], 5, tmp_path / "record.json")
    assert trained == [("ReLU", record_lenet.TRIAL_SEED)]


@pytest.mark.parametrize("arguments", [["--seeds", "0"], ["--only", "resnet"]])
def test_main_refuses_a_bad_command_line(arguments: list[str], capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert arguments[0] in capsys.readouterr().err


def test_help_names_every_recipe(capsys) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in RECIPES)


def test_ladder_changes_one_thing_at_a_time() -> None:
    ladder = ["lenet_sigmoid", "relu", "max_pool", "he", "momentum", "one_cycle"]
    changes = []
    for before, after in itertools.pairwise(ladder):
        old, new = (dataclasses.asdict(RECIPES[name]) for name in (before, after))
        changes.append({key for key in old if old[key] != new[key]} - {"change"})
    # A new optimizer or schedule needs a rate of its own; the trials choose it.
    assert changes[:3] == [{"activation"}, {"pool"}, {"init"}]
    assert changes[3] == {"momentum", "nesterov", "lr"}
    assert changes[4] - {"lr"} == {"one_cycle"}


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_builds_a_network_for_ten_classes(name: str) -> None:
    torch.manual_seed(0)
    model = build(RECIPES[name])
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    sizes = {"softmax_regression": 7850, "mlp": 203530, "LeNet": 61706}
    assert sum(p.numel() for p in model.parameters()) == sizes[RECIPES[name].model]


@pytest.mark.parametrize("name", ["softmax", "one_cycle", "trial_one_cycle_0.1"])
def test_run_ours_measures_the_test_split_once_and_never_in_a_trial(name, monkeypatch) -> None:
    generator = torch.Generator().manual_seed(0)

    def split(n: int) -> Split:
        return Split(torch.rand(n, 1, 28, 28, generator=generator), torch.arange(n) % 10)

    data = Dataset(split(40), split(20), split(30), tuple("0123456789"))
    monkeypatch.setattr(record_lenet.datasets, "load_fashion_mnist", lambda: data)
    seen = []
    measure = record_lenet.evaluate
    monkeypatch.setattr(
        record_lenet, "evaluate", lambda model, part: seen.append(part) or measure(model, part)
    )
    recipe = dataclasses.replace(RECIPES[name], epochs=2, batch_size=16)
    result, again = run_ours(recipe, 0), run_ours(recipe, 0)
    assert len(result["validation_accuracy"]) == len(result["seconds"]) == 2
    assert seen == ([] if recipe.trial else [data.test] * 2)
    assert ("test_accuracy" in result) is not recipe.trial
    assert all(result[key] == again[key] for key in result if key != "seconds")
