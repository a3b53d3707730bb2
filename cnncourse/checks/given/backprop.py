"""Functions whose gradient is measured. Each maps a tensor of any shape to a number."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


def weighted_sum(weights: Tensor) -> Callable[[Tensor], Tensor]:
    """Return f(x) = sum of weights * x."""
    return lambda x: (weights * x).sum()


def weighted_squares(weights: Tensor) -> Callable[[Tensor], Tensor]:
    """Return f(x) = sum of weights * x**2."""
    return lambda x: (weights * x**2).sum()


def weighted_cubes(weights: Tensor) -> Callable[[Tensor], Tensor]:
    """Return f(x) = sum of weights * x**3."""
    return lambda x: (weights * x**3).sum()


def neighbours(weight: float) -> Callable[[Tensor], Tensor]:
    """Return f(x) = weight * (x0**2 * x1 + x1**2 * x2 + ...), over x row by row."""

    def f(x: Tensor) -> Tensor:
        row = x.flatten()
        return weight * (row[:-1] ** 2 * row[1:]).sum()

    return f
