"""Do the runs that a record lacks, one after the other, and lose none that is finished.

A run is one recipe with one seed. The record is rewritten after each run, in one step, so a machine
that stops loses the current run only. A run is skipped where the record holds it with the same
definition; where a recipe changed, its own runs are done anew and no other.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from experiments.environment import environment
from experiments.recipe import Recipe

TRIAL_SEED = 1000  # and up: no seeds of a record, so a choice of a number saw none of its runs


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What a topic records.

    Attributes
    ----------
    about : str
        One line for ``--help``.
    recipes : mapping from name to Recipe
        In the order in which they are run.
    run : callable
        ``run(recipe, seed)`` trains and returns what is to be kept, by name.
    by_seed : bool
        Whether a seed does all recipes before the next seed begins, trials first, so that a slow
        hour of the machine meets every recipe: for seconds that are to be compared.
    trial_seeds : int
        Seeds of a trial.
    """

    about: str
    recipes: Mapping[str, Recipe]
    run: Callable[[Recipe, int], dict[str, object]]
    by_seed: bool = False
    trial_seeds: int = 1


def missing(
    experiment: Experiment, names: Sequence[str], seeds: int, runs: Sequence[Mapping]
) -> list[tuple[str, int]]:
    """List the runs, by recipe and seed, that a record does not hold yet."""
    tried = range(TRIAL_SEED, TRIAL_SEED + experiment.trial_seeds)
    wanted = [
        (name, seed)
        for name in names
        for seed in (tried if experiment.recipes[name].trial else range(seeds))
    ]
    if experiment.by_seed:
        wanted.sort(key=lambda run: (not experiment.recipes[run[0]].trial, run[1]))
    held = {
        (run["recipe"], run["seed"])
        for run in runs
        if run["recipe"] in names and defines(experiment.recipes[run["recipe"]], run["definition"])
    }
    return [run for run in wanted if run not in held]


def defines(recipe: Recipe, definition: Mapping[str, object]) -> bool:
    """Tell whether a run was made by this recipe; a field that is younger had its default then."""
    try:
        return type(recipe)(change="", **definition) == recipe
    except TypeError:  # a field that no recipe has any more
        return False


def definition(recipe: Recipe) -> dict[str, object]:
    """Return the fields that define a run."""
    fields = [field.name for field in dataclasses.fields(recipe) if field.compare]
    return {name: getattr(recipe, name) for name in fields}


def record(topic: str, experiment: Experiment, names: Sequence[str], seeds: int, out: Path) -> None:
    """Do the runs that the record does not hold yet, and rewrite it after each."""
    todo = missing(experiment, names, seeds, load(out)["runs"])
    started = time.perf_counter()
    say(f"{topic}: {len(todo)} runs to do, record in {out}")
    for done, (name, seed) in enumerate(todo, start=1):
        recipe = experiment.recipes[name]
        result = experiment.run(recipe, seed)
        run = {"recipe": name, "seed": seed, "date": _today(), "definition": definition(recipe)}
        held = add(load(out), run | result, recipe)
        save(out, {"command": f"make record EXPERIMENTS={topic}"} | held)
        left = (time.perf_counter() - started) / done * (len(todo) - done) / 60
        say(
            f"{topic} {done}/{len(todo)}: {name}, seed {seed}: {_last(result)}; {left:.0f} min left"
        )


def load(out: Path) -> dict[str, list]:
    """Read a record, or start one."""
    return json.loads(out.read_text()) if out.exists() else {"environments": [], "runs": []}


def add(held: Mapping[str, list], run: Mapping[str, object], recipe: Recipe) -> dict[str, list]:
    """Put a run in place of its like, and of those that an earlier form of its recipe made."""
    here = environment()
    environments = held["environments"] + [here] * (here not in held["environments"])

    def outdated(old: Mapping) -> bool:
        mine = old["recipe"] == run["recipe"]
        return mine and (old["seed"] == run["seed"] or not defines(recipe, old["definition"]))

    kept = [old for old in held["runs"] if not outdated(old)]
    kept.append({**run, "environment": environments.index(here)})
    return {"environments": environments, "runs": kept}


def save(out: Path, held: Mapping[str, object]) -> None:
    """Replace the file in one step."""
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = out.with_suffix(".json.part")
    fresh.write_text(as_text(held))
    fresh.replace(out)


def as_text(held: Mapping[str, object]) -> str:
    """Write a record with each list of numbers on a line: a run then reads like rows of a table."""
    return (
        re.sub(
            r"\[[^\[\]{}]*\]",
            lambda numbers: re.sub(r"\s+", " ", numbers[0]).replace("[ ", "[").replace(" ]", "]"),
            json.dumps(held, indent=2),
        )
        + "\n"
    )


def say(line: str) -> None:
    """Tell who waits how it goes."""
    print(line, file=sys.stderr, flush=True)


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def _last(result: Mapping[str, object]) -> str:
    """Name each measure with its last number."""
    ends = {name: value[-1] if isinstance(value, list) else value for name, value in result.items()}
    return ", ".join(
        f"{name} {value:g}" for name, value in ends.items() if isinstance(value, (int, float))
    )
