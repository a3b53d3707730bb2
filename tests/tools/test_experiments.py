"""The runner: nothing measured twice, nothing lost, nothing done anew but what changed."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from cnncourse.datasets import Dataset, Split
from experiments import __main__ as command
from experiments import environment as machine
from experiments import recipe as training
from experiments.recipe import Recipe, train
from experiments.runner import TRIAL_SEED, Experiment, defines, definition, load, missing, record

SLOW = Recipe(change="slow", lr=0.01)
FAST = Recipe(change="fast", lr=0.5)
TRIAL = Recipe(change="trial", lr=0.3, trial=True)
RECIPES = {"slow": SLOW, "fast": FAST, "trial": TRIAL}


@pytest.fixture
def trained() -> list[tuple[float, int]]:
    """List the runs that were asked for, as rate and seed."""
    return []


@pytest.fixture
def experiment(trained) -> Experiment:
    def run(recipe: Recipe, seed: int) -> dict[str, object]:
        trained.append((recipe.lr, seed))
        return {"validation_accuracy": [0.5, 0.6], "seconds": [1.0, 1.0], "table": [[1, 2], [3, 4]]}

    return Experiment("two rates", RECIPES, run)


def test_record_names_recipe_seed_machine_and_command(experiment, tmp_path: Path) -> None:
    out = tmp_path / "new" / "rates.json"
    record("rates", experiment, ["slow"], 2, out)
    held = json.loads(out.read_text())
    assert [(run["recipe"], run["seed"]) for run in held["runs"]] == [("slow", 0), ("slow", 1)]
    assert held["runs"][0]["definition"] == definition(SLOW)
    assert held["runs"][0]["definition"]["lr"] == 0.01
    assert held["environments"][held["runs"][0]["environment"]]["torch"] == torch.__version__
    assert held["command"] == "make record EXPERIMENTS=rates"
    assert [path.name for path in out.parent.iterdir()] == ["rates.json"]


def test_record_reads_like_a_table(experiment, tmp_path: Path) -> None:
    out = tmp_path / "rates.json"
    record("rates", experiment, ["slow"], 1, out)
    assert '"validation_accuracy": [0.5, 0.6],\n' in out.read_text()
    assert "[1, 2],\n" in out.read_text()


def test_record_does_only_what_is_missing(experiment, trained, tmp_path: Path) -> None:
    out = tmp_path / "rates.json"
    record("rates", experiment, ["fast"], 1, out)
    record("rates", experiment, ["slow", "fast"], 2, out)
    assert trained == [(0.5, 0), (0.01, 0), (0.01, 1), (0.5, 1)]


def test_a_changed_recipe_invalidates_its_own_runs_and_no_other(
    experiment, trained, tmp_path: Path
) -> None:
    out = tmp_path / "rates.json"
    record("rates", experiment, ["slow", "fast"], 2, out)
    changed = replace(experiment, recipes=RECIPES | {"slow": replace(SLOW, epochs=3)})
    assert missing(changed, ["slow", "fast"], 2, load(out)["runs"]) == [("slow", 0), ("slow", 1)]
    record("rates", changed, ["slow", "fast"], 1, out)
    held = {(run["recipe"], run["seed"]): run["definition"] for run in load(out)["runs"]}
    # The second seed of the earlier form is gone too: no mean mixes the two.
    assert list(held) == [("fast", 0), ("fast", 1), ("slow", 0)]
    assert held["slow", 0]["epochs"] == 3
    assert len(trained) == 5


def test_other_words_and_a_younger_field_invalidate_nothing() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Younger(Recipe):
        padding: int = 0

    assert defines(replace(SLOW, change="other words"), definition(SLOW))
    assert defines(Younger(change="", lr=0.01), definition(SLOW))
    assert not defines(Younger(change="", lr=0.01, padding=1), definition(SLOW))
    assert not defines(SLOW, definition(SLOW) | {"padding": 1})


def test_record_keeps_apart_what_two_machines_measured(experiment, tmp_path, monkeypatch) -> None:
    out = tmp_path / "rates.json"
    for cpu, seeds in [("one", 1), ("two", 3)]:
        monkeypatch.setattr(machine, "cpu_model", lambda cpu=cpu: cpu)
        record("rates", experiment, ["fast"], seeds, out)
    assert [environment["cpu"] for environment in load(out)["environments"]] == ["one", "two"]
    assert [run["environment"] for run in load(out)["runs"]] == [0, 1, 1]


def test_record_runs_a_trial_once_with_a_seed_of_its_own(experiment, trained, tmp_path) -> None:
    record("rates", experiment, ["trial"], 5, tmp_path / "rates.json")
    assert trained == [(0.3, TRIAL_SEED)]


def test_seconds_to_compare_are_measured_seed_by_seed(experiment, trained, tmp_path) -> None:
    interleaved = replace(experiment, by_seed=True, trial_seeds=2)
    record("rates", interleaved, ["trial", "slow", "fast"], 2, tmp_path / "rates.json")
    final = [(0.01, 0), (0.5, 0), (0.01, 1), (0.5, 1)]
    assert trained == [(0.3, TRIAL_SEED), (0.3, TRIAL_SEED + 1), *final]


def test_progress_names_the_run_its_last_numbers_and_the_time_left(
    experiment, tmp_path, capsys
) -> None:
    record("rates", experiment, ["slow"], 2, tmp_path / "rates.json")
    first, second, _ = capsys.readouterr().err.splitlines()
    assert first.startswith("rates: 2 runs to do, record in ")
    assert second.startswith("rates 1/2: slow, seed 0: validation_accuracy 0.6, ")
    assert second.endswith("min left")


# The command line, on the experiment above in place of the real ones.


@pytest.fixture
def called(experiment, tmp_path, monkeypatch):
    before = torch.get_num_threads()
    other = replace(experiment, recipes={"other": FAST})
    monkeypatch.setattr(command, "topics", lambda: {"rates": experiment, "others": other})
    yield lambda *words: command.main([*words, "--out", str(tmp_path)])
    torch.set_num_threads(before)


def test_main_does_all_or_the_experiments_and_recipes_that_are_named(
    called, trained, tmp_path
) -> None:
    assert called("rates", "--only", "fast", "--seeds", "1") == 0
    assert trained == [(0.5, 0)]
    assert called("--seeds", "1") == 0
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["others.json", "rates.json"]
    assert len(load(tmp_path / "rates.json")["runs"]) == 3
    assert torch.get_num_threads() == 1


def test_main_keeps_the_finished_runs_on_ctrl_c(called, experiment, trained, tmp_path, capsys):
    def interrupted(recipe: Recipe, seed: int) -> dict[str, object]:
        if seed == 1:
            raise KeyboardInterrupt
        return {"validation_accuracy": [0.5]}

    whole = experiment.run
    object.__setattr__(experiment, "run", interrupted)
    words = ("rates", "--only", "slow", "--seeds", "3")
    assert called(*words) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert len(load(tmp_path / "rates.json")["runs"]) == 1
    object.__setattr__(experiment, "run", whole)
    assert called(*words) == 0
    assert trained == [(0.01, 1), (0.01, 2)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "0"], "--seeds must be at least 1, got 0"),
        (["--threads", "0"], "--threads must be at least 1, got 0"),
        (["--only", "resnet"], "--only"),
        (["resnet"], "EXPERIMENT must be one of rates, others, got resnet"),
    ],
)
def test_main_refuses_a_bad_command_line(called, words, message, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        called(*words)
    assert message in capsys.readouterr().err


def test_help_names_every_experiment_and_recipe(capsys) -> None:
    with pytest.raises(SystemExit, match="0"):
        command.main(["--help"])
    shown = capsys.readouterr().out
    for topic, experiment in command.topics().items():
        assert f"{topic}: {experiment.about}" in shown
        assert all(name in shown for name in experiment.recipes)


# What most runs are.


def split(n: int) -> Split:
    generator = torch.Generator().manual_seed(n)
    return Split(torch.rand(n, 1, 3, 3, generator=generator), torch.arange(n) % 10)


DATA = Dataset(split(40), split(20), split(30), tuple("0123456789"))


def linear() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(9, 10))


@pytest.mark.parametrize("trial", [False, True])
def test_train_measures_the_test_split_once_and_never_in_a_trial(trial, monkeypatch) -> None:
    seen, measure = [], training.evaluate
    monkeypatch.setattr(
        training, "evaluate", lambda model, part: seen.append(part) or measure(model, part)
    )
    recipe = Recipe(change="", epochs=2, batch_size=16, one_cycle=True, trial=trial)
    model, result = train(recipe, linear, DATA, 0)
    assert len(result["validation_accuracy"]) == len(result["seconds"]) == 2
    assert seen == ([] if trial else [DATA.test])
    assert ("test_accuracy" in result) is not trial
    if not trial:
        assert result["test_accuracy"] == round(measure(model, DATA.test).accuracy, 4)


def test_train_repeats_digit_for_digit_and_differs_with_the_seed() -> None:
    recipe = Recipe(change="", epochs=2, batch_size=16, momentum=0.9, nesterov=True)
    runs = [train(recipe, linear, DATA, seed)[1]["train_loss"] for seed in (3, 3, 4)]
    assert runs[0] == runs[1] != runs[2]


def test_train_passes_ctrl_c_on(monkeypatch) -> None:
    history = training.fit(linear(), DATA.train, epochs=1, device="cpu")
    history.interrupted = True
    monkeypatch.setattr(training, "fit", lambda *_, **__: history)
    with pytest.raises(KeyboardInterrupt):
        train(SLOW, linear, DATA, 0)


# The records that ship.


@pytest.mark.parametrize("topic", command.topics())
def test_the_shipped_record_holds_every_recipe_and_nothing_else(topic: str) -> None:
    experiment = command.topics()[topic]
    runs = load(command.OUT / f"{topic}.json")["runs"]
    assert missing(experiment, list(experiment.recipes), 5, runs) == []
    assert {run["recipe"] for run in runs} == set(experiment.recipes)
