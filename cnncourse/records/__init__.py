"""Results of training runs that take too long for a notebook, with what is needed to repeat them.

A record is a JSON file of this folder. It names the command that writes it, the hardware and the
versions, and holds one entry for each run: the recipe with its definition, the seed, every epoch's
numbers. The same machine gives the same digits again; another one may differ in the last of them.
The seconds of a run are wall time on a machine that had other work to do: they say nothing about
speed. What does is the grid of `load_speed`, and ``ladder``, whose runs took turns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from statistics import mean, stdev

from cnncourse._arguments import check_choice
from cnncourse.records.comparison import (
    Step,
    Steps,
    paired_t,
    standard_error,
    two_sided_p,
)
from cnncourse.records.speed import FILE as SPEED
from cnncourse.records.speed import Speed, StepTime, load_speed
from cnncourse.records.trained import load_trained, trained_networks
from cnncourse.tables import Table

__all__ = [
    "Record",
    "Speed",
    "Step",
    "StepTime",
    "Steps",
    "load_record",
    "load_speed",
    "load_trained",
    "paired_t",
    "standard_error",
    "trained_networks",
    "two_sided_p",
]

Recipes = Sequence[str] | Mapping[str, str]  # names, or names with what a reader calls them


@dataclass(frozen=True)
class Record:
    """The runs of one record file.

    Attributes
    ----------
    environments : list of dict
        Hardware and versions; a run names its own by its place in this list.
    runs : list of dict
        One entry for each recipe and seed.
    command : str
        What does these runs again.
    """

    environments: list[dict]
    runs: list[dict]
    command: str = ""

    def __repr__(self) -> str:
        recipes = {run["recipe"] for run in self.runs}
        return f"Record of {len(self.runs)} runs of {len(recipes)} recipes by `{self.command}`"

    def final(self, recipe: str, measure: str = "validation_accuracy") -> list[float]:
        """Return the number that each seed of a recipe ended with.

        Parameters
        ----------
        recipe : str
            Such as ``lenet_sigmoid``.
        measure : str
            ``validation_accuracy``, ``validation_loss``, ``train_loss`` (after the last epoch) or
            ``test_accuracy``.

        Returns
        -------
        list of float
            One number a seed, in the order of the seeds.

        Examples
        --------
        >>> len(load_record("lenet").final("lenet_sigmoid"))
        5
        """
        values = self._values(recipe, measure)
        return [value[-1] if isinstance(value, list) else value for value in values]

    def curve(
        self, recipe: str, measure: str = "validation_accuracy", seed: int = 0
    ) -> list[float]:
        """Return a number of every epoch of one run, first epoch first.

        Parameters
        ----------
        recipe : str
            As in `final`.
        measure : str
            ``validation_accuracy``, ``validation_loss`` or ``train_loss``.
        seed : int
            Of the run.

        Returns
        -------
        list of float
            One number an epoch.

        Examples
        --------
        >>> len(load_record("lenet").curve("lenet_sigmoid"))
        10
        """
        runs = {run["seed"]: run for run in self._runs(recipe)}
        if seed not in runs:
            raise ValueError(f"`seed` must be one of {sorted(runs)}, got {seed}")
        curve = runs[seed].get(measure)
        if not isinstance(curve, list):
            raise ValueError(f"`measure` must be one of every epoch, got {measure!r}")
        return curve

    def summary(self, recipe: str, measure: str = "validation_accuracy") -> str:
        """Return mean and sample standard deviation (n - 1) over the seeds, as text.

        Parameters
        ----------
        recipe, measure : str
            As in `final`.

        Returns
        -------
        str
            Mean ± standard deviation, three decimals; the mean alone for a single seed.

        Examples
        --------
        >>> runs = [{"recipe": "a", "seed": s, "test_accuracy": 0.5 + s / 10} for s in (0, 1)]
        >>> Record([], runs).summary("a", "test_accuracy")
        '0.550 ± 0.071'
        """
        values = self.final(recipe, measure)
        spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
        return f"{mean(values):.3f}{spread}"

    def table(
        self, recipes: Recipes, measures: Mapping[str, str] | None = None, heading: str = "recipe"
    ) -> Table:
        """Put the summaries of several recipes below each other.

        Parameters
        ----------
        recipes : sequence of str, or mapping from recipe to label
            The rows.
        measures : mapping from measure to heading, optional
            The columns; validation and test accuracy where not given.
        heading : str
            Of the column of labels.

        Returns
        -------
        Table
            Mean ± standard deviation over the seeds.

        Examples
        --------
        >>> runs = [{"recipe": "a", "seed": s, "test_accuracy": 0.5 + s / 10} for s in (0, 1)]
        >>> Record([], runs).table({"a": "softmax"}, {"test_accuracy": "test"})
        recipe            test
        softmax  0.550 ± 0.071
        """
        measures = measures or {"validation_accuracy": "validation", "test_accuracy": "test"}
        rows = [
            (label, *(self.summary(recipe, measure) for measure in measures))
            for recipe, label in _labelled(recipes).items()
        ]
        return Table((heading, *measures.values()), tuple(rows))

    def steps(self, recipes: Recipes, measure: str = "validation_accuracy") -> Steps:
        """Compare each recipe of a ladder with the one before it, seed by seed.

        Parameters
        ----------
        recipes : sequence of str, or mapping from recipe to label
            At least two, with the same seeds.
        measure : str
            As in `final`.

        Returns
        -------
        Steps
            Mean gain, seeds won, paired t and its p for each step.

        Examples
        --------
        >>> steps = load_record("lenet").steps(["lenet_sigmoid", "relu", "max_pool"])
        >>> steps["max_pool"].won, round(steps["max_pool"].t, 1)
        (4, 3.0)
        """
        labels = _labelled(recipes)
        seeds = {recipe: [run["seed"] for run in self._runs(recipe)] for recipe in labels}
        if len(labels) < 2 or len({tuple(of_one) for of_one in seeds.values()}) > 1:
            raise ValueError(f"`recipes` must be two or more with the same seeds, got {seeds}")
        rows = (
            Step(before, after, self._gains(before, after, measure))
            for before, after in pairwise(labels)
        )
        return Steps(tuple(rows), labels)

    def confusion(self, recipe: str) -> list[list[int]]:
        """Count which class was taken for which on the validation split, over all seeds.

        Parameters
        ----------
        recipe : str
            As in `final`; its runs hold a confusion matrix.

        Returns
        -------
        list of list of int
            ``counts[label][answer]``.

        Examples
        --------
        >>> runs = [{"recipe": "a", "seed": s, "confusion": [[8, s], [0, 9]]} for s in (1, 2)]
        >>> Record([], runs).confusion("a")
        [[16, 3], [0, 18]]
        """
        matrices = self._values(recipe, "confusion")
        return [
            [sum(cells) for cells in zip(*rows, strict=True)]
            for rows in zip(*matrices, strict=True)
        ]

    def _gains(self, before: str, after: str, measure: str) -> tuple[float, ...]:
        pairs = zip(self.final(before, measure), self.final(after, measure), strict=True)
        return tuple(new - old for old, new in pairs)

    def _values(self, recipe: str, measure: str) -> list:
        runs = self._runs(recipe)
        if any(measure not in run for run in runs):
            raise ValueError(f"`measure` must be one the runs have, got {measure!r}")
        return [run[measure] for run in runs]

    def _runs(self, recipe: str) -> list[dict]:
        """Return the runs of a recipe in the order of their seeds."""
        chosen = [run for run in self.runs if run["recipe"] == recipe]
        if not chosen:
            names = sorted({run["recipe"] for run in self.runs})
            raise ValueError(f"`recipe` must be one of {', '.join(names)}, got {recipe!r}")
        return sorted(chosen, key=lambda run: run["seed"])


def load_record(name: str) -> Record:
    """Read a record that ships with the package.

    Parameters
    ----------
    name : str
        File name without ``.json``, such as ``lenet``.

    Returns
    -------
    Record
        Its environments and runs.

    Examples
    --------
    >>> sorted(load_record("lenet").environments[0])[:3]
    ['cnncourse', 'cores', 'cpu']
    """
    folder = files(__name__)
    found = {file.name for file in folder.iterdir() if file.name.endswith(".json")}
    names = sorted(name[:-5] for name in found - {SPEED})  # which holds no runs
    check_choice("name", name, names)
    return Record(**json.loads((folder / f"{name}.json").read_text("utf-8")))


def _labelled(recipes: Recipes) -> dict[str, str]:
    return dict(recipes) if isinstance(recipes, Mapping) else {name: name for name in recipes}
