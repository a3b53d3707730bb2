"""Tables of houses and their prices: encoding the columns, an error in factors, k folds.

A table is a dict from the name of a column to its values, an array of numbers (nan where a value is
missing) or of text ("" where it is missing). Not handled here: dates, text of several words, and
tables that do not fit into memory.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cnncourse._arguments import check_integer

__all__ = [
    "Encoding",
    "Houses",
    "k_folds",
    "learn_encoding",
    "load_ames",
    "log_error",
    "make_houses",
]

Columns = dict[str, np.ndarray]
AREAS = {
    "harbour": 0.25,
    "old town": 0.15,
    "park": 0.1,
    "station": 0.0,
    "mill": -0.1,
    "quarry": -0.3,
}
HEATING = ("gas", "heat pump", "wood")
MISSING = "NA"  # how the files of Ames write it


class Houses(NamedTuple):
    """The columns that describe some houses, and what was paid for them."""

    columns: Columns
    prices: Float[Tensor, " n"]


def make_houses(count: int = 400, seed: int = 0) -> Houses:
    """Make up a table: the logarithm of a price is a sum over the columns, plus noise.

    Two columns say nothing of the price: ``id`` and ``heating``. A fifth of the garages is missing.

    Examples
    --------
    >>> houses = make_houses(3)
    >>> sorted(houses.columns)
    ['area', 'garage', 'heating', 'id', 'place', 'quality', 'year']
    """
    rng = np.random.default_rng(seed)
    size = check_integer("count", count, 1)
    area, year = rng.lognormal(np.log(120), 0.35, size).round(), rng.integers(1900, 2021, size)
    quality, garage = rng.integers(1, 11, size), rng.integers(0, 61, size).astype(float)
    place, heating = rng.choice(list(AREAS), size), rng.choice(HEATING, size)
    logs = 7.8 + 0.8 * np.log(area) + 0.05 * quality + 0.002 * (year - 1960) + 0.003 * garage
    logs += np.array([AREAS[name] for name in place]) + rng.normal(0, 0.1, size)
    garage[rng.random(size) < 0.2] = np.nan
    numbers = {"id": np.arange(size), "area": area, "year": year, "quality": quality}
    columns = {name: values.astype(float) for name, values in numbers.items()}
    columns |= {"garage": garage, "place": place, "heating": heating}
    return Houses(columns, torch.from_numpy(np.exp(logs)).float())


@dataclass(frozen=True)
class Encoding:
    """How a table becomes a matrix, learned from the rows that one trains on.

    Attributes
    ----------
    numbers : dict
        The mean and the standard deviation of each column of numbers.
    categories : dict
        The values of each column of text.
    """

    numbers: dict[str, tuple[float, float]]
    categories: dict[str, tuple[str, ...]]

    def __call__(self, columns: Columns) -> Float[Tensor, "n c"]:
        """Standardize numbers, missing ones to 0; write text as zeros and a one, if known."""
        parts = [
            np.nan_to_num((columns[name] - mean) / spread)[:, None]
            for name, (mean, spread) in self.numbers.items()
        ]
        parts += [
            columns[name][:, None] == np.array(values) for name, values in self.categories.items()
        ]
        return torch.from_numpy(np.concatenate(parts, axis=1).astype(np.float32))


def learn_encoding(columns: Columns) -> Encoding:
    """Learn the means, the standard deviations and the categories of a table.

    A column that is constant is divided by 1.

    Raises
    ------
    ValueError
        If a column of numbers holds no number.

    Examples
    --------
    >>> table = {"rooms": np.array([1.0, np.nan, 3.0]), "heating": np.array(["gas", "", "gas"])}
    >>> learn_encoding(table)(table)
    tensor([[-1.,  0.,  1.],
            [ 0.,  1.,  0.],
            [ 1.,  0.,  1.]])
    """
    numbers = {name: values for name, values in columns.items() if values.dtype.kind == "f"}
    if empty := [name for name, values in numbers.items() if np.isnan(values).all()]:
        raise ValueError(f"`columns` holds no number in {', '.join(empty)}")
    scales = {n: (np.nanmean(v).item(), np.nanstd(v).item() or 1.0) for n, v in numbers.items()}
    texts = {name: values for name, values in columns.items() if name not in numbers}
    return Encoding(scales, {name: tuple(np.unique(values)) for name, values in texts.items()})


def log_error(predicted: Float[Tensor, " n"], prices: Float[Tensor, " n"]) -> float:
    """Return the root of the mean squared difference of the logarithms.

    An error of 0.1 says that a price is off by a factor of about 1.1, for a cheap house and for a
    dear one.

    Raises
    ------
    ValueError
        If the shapes differ, or a price is not positive.

    Examples
    --------
    >>> round(log_error(torch.tensor([110.0, 1100.0]), torch.tensor([100.0, 1000.0])), 3)
    0.095
    """
    if predicted.shape != prices.shape:
        shapes = f"{tuple(predicted.shape)} and {tuple(prices.shape)}"
        raise ValueError(f"`predicted` and `prices` must have one shape, got {shapes}")
    if min(predicted.min(), prices.min()) <= 0:
        raise ValueError("`predicted` and `prices` must be positive")
    return (predicted.log() - prices.log()).square().mean().sqrt().item()


def k_folds(count: int, k: int = 5, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Split ``count`` rows k times into rows to train on and rows to validate on.

    Each row validates once, and the folds differ by one row at most. The rows are int64 numbers.

    Examples
    --------
    >>> [sorted(validation.tolist()) for _, validation in k_folds(5, k=2)]
    [[0, 1, 4], [2, 3]]
    """
    check_integer("count", count, 2)
    if check_integer("k", k, 2) > count:
        raise ValueError(f"`k` must be at most `count` (={count}), got {k}")
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    folds = order.tensor_split(k)
    return [(torch.cat([*folds[:i], *folds[i + 1 :]]), fold) for i, fold in enumerate(folds)]


def load_ames(data_dir: str | os.PathLike[str] | None = None) -> Houses:
    """Load the houses of Ames, Iowa, from the file ``train.csv`` of the competition at Kaggle.

    A column is one of numbers if all its values are; ``Id`` is left out.

    Parameters
    ----------
    data_dir
        Folder with the file. Default: ``$CNNCOURSE_DATA/ames``.

    Raises
    ------
    FileNotFoundError
        If there is no file; the message says where it is to be had.
    ValueError
        If it has no column ``SalePrice``, or no rows.

    Notes
    -----
    De Cock, "Ames, Iowa: Alternative to the Boston Housing Data as an End of Semester Regression
    Project", Journal of Statistics Education 19(3), 2011.
    """
    folder = Path(data_dir or Path(os.environ.get("CNNCOURSE_DATA", ""), "ames"))
    path = folder / "train.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {path}. The houses of Ames do not come with the course: download train.csv "
            "from https://www.kaggle.com/c/house-prices-advanced-regression-techniques/data (an "
            "account is needed), and name its folder: load_ames('folder')"
        )
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or "SalePrice" not in rows[0]:
        raise ValueError(f"{path} must have rows, and a column SalePrice")
    columns = {name: _column([row[name] for row in rows]) for name in rows[0]}
    prices = torch.from_numpy(columns.pop("SalePrice")).float()
    columns.pop("Id", None)
    return Houses(columns, prices)


def _column(values: list[str]) -> np.ndarray:
    """Read a column as numbers if each value is one or is missing, else as text."""
    known = [value for value in values if value != MISSING]
    try:
        [float(value) for value in known]
    except ValueError:
        return np.array(["" if value == MISSING else value for value in values])
    return np.array([np.nan if value == MISSING else float(value) for value in values])
