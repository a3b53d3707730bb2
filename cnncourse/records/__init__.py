"""Results of training runs that take too long for a notebook, with what is needed to repeat them.

A record is a JSON file of this folder. It names the hardware and the versions, and holds one entry
for each run: the recipe, the seed, every epoch's numbers. ``make record`` writes it anew. The
seconds of a run are wall time on a machine that had other work to do: they say nothing about speed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from statistics import mean, stdev

__all__ = ["Record", "load_record"]


@dataclass(frozen=True)
class Record:
    """The runs of one record file.

    Attributes
    ----------
    environments : list of dict
        Hardware and versions; a run names its own by its place in this list.
    runs : list of dict
        One entry for each recipe and seed.
    """

    environments: list[dict]
    runs: list[dict]

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

        Raises
        ------
        ValueError
            If the record has no such recipe, or its runs no such measure.

        Examples
        --------
        >>> len(load_record("lenet").final("lenet_sigmoid"))
        5
        """
        chosen = sorted(self._runs(recipe), key=lambda run: run["seed"])
        if any(measure not in run for run in chosen):
            raise ValueError(f"`measure` must be one the runs have, got {measure!r}")
        values = [run[measure] for run in chosen]
        return [value[-1] if isinstance(value, list) else value for value in values]

    def curve(
        self, recipe: str, measure: str = "validation_accuracy", seed: int = 0
    ) -> list[float]:
        """Return a number of every epoch of one run.

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
            First epoch first.

        Raises
        ------
        ValueError
            If the record has no such recipe or seed, or the run has no such measure.

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

        Raises
        ------
        ValueError
            As `final` does.

        Examples
        --------
        >>> runs = [{"recipe": "a", "seed": s, "test_accuracy": 0.5 + s / 10} for s in (0, 1)]
        >>> Record([], runs).summary("a", "test_accuracy")
        '0.550 ± 0.071'
        """
        values = self.final(recipe, measure)
        spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
        return f"{mean(values):.3f}{spread}"

    def _runs(self, recipe: str) -> list[dict]:
        chosen = [run for run in self.runs if run["recipe"] == recipe]
        if not chosen:
            names = sorted({run["recipe"] for run in self.runs})
            raise ValueError(f"`recipe` must be one of {', '.join(names)}, got {recipe!r}")
        return chosen


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

    Raises
    ------
    ValueError
        If there is no such record.

    Examples
    --------
    >>> sorted(load_record("lenet").environments[0])[:3]
    ['cnncourse', 'cores', 'cpu']
    """
    folder = files(__name__)
    names = sorted(file.name[:-5] for file in folder.iterdir() if file.name.endswith(".json"))
    if name not in names:
        raise ValueError(f"`name` must be one of {', '.join(names)}, got {name!r}")
    return Record(**json.loads((folder / f"{name}.json").read_text("utf-8")))
