"""How much work an answer does."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from cnncourse.checks.run import Operators

# What a counted answer may be called; a loop over the weights takes about six steps for each.
FEW, MANY = "a few steps a weight", "steps for every window"
STEPS_A_WEIGHT = 20


def counted(answer: Callable, x: Tensor, kernel: Tensor) -> tuple[object, str]:
    """Call an answer and count the operators of torch that it calls.

    Parameters
    ----------
    answer : callable
        Takes ``x`` and ``kernel``.
    x, kernel : Tensor
        Picture and kernel.

    Returns
    -------
    tuple
        What it returned, and ``FEW`` or ``MANY``.
    """
    steps: list[str] = []
    with Operators(steps.append):
        value = answer(x, kernel)
    return value, FEW if len(steps) <= STEPS_A_WEIGHT * (1 + kernel.numel()) else MANY
