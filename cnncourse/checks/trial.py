"""One case beside its outcome, and what it means that two values agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cnncourse.checks.exercise import Case, Exercise, fresh
from cnncourse.checks.run import Outcome


@dataclass(frozen=True, eq=False)
class Trial:
    """One case beside its outcome.

    Attributes
    ----------
    exercise, case, outcome
        What was asked, with what, and what came.
    index : int
        Place of the case.
    expected
        The reference's value; None where a probe's result is judged by the exercise.
    item : int or None
        Place of the first wrong item, where a tuple was expected and came.
    """

    exercise: Exercise
    case: Case
    outcome: Outcome
    index: int
    expected: object = None
    item: int | None = None

    @property
    def has_value(self) -> bool:
        """Whether the answer came back with data."""
        return not (self.outcome.error or self.outcome.returned)

    @property
    def value(self) -> object:
        """The value, or its wrong item."""
        return self.pick(self.outcome.value)

    @property
    def wanted(self) -> object:
        """The expected value, or the item that came out wrong."""
        return self.pick(self.expected)

    @property
    def pair(self) -> tuple[Tensor, Tensor] | None:
        """Value and expected value, where both are tensors."""
        pair = self.value, self.wanted
        return pair if all(isinstance(one, Tensor) for one in pair) else None

    @property
    def tensors(self) -> list[Tensor]:
        """Every tensor among the arguments."""
        return [leaf for leaf in self.case.leaves() if isinstance(leaf, Tensor)]

    @property
    def tolerance(self) -> float:
        """Largest relative error accepted: that of the coarsest dtype among the arguments."""
        tolerances = self.exercise.tolerance
        floats = [tensor.dtype for tensor in self.tensors if tensor.is_floating_point()]
        return max((tolerances[dtype] for dtype in floats), default=tolerances[torch.float32])

    @property
    def allowed(self) -> float:
        """Largest error accepted in a number of the value."""
        finite = [abs(n) for n in numbers(self.wanted) if math.isfinite(n)]
        return self.tolerance * max([1.0, *finite])  # a text holds no number

    def pick(self, value: object) -> object:
        """Return the wrong item of a value that is like the expected one."""
        return value if self.item is None else value[self.item]

    def arguments(self) -> tuple:
        """Return the arguments of the case, as a call gets them."""
        return fresh(self.case.arguments, self.exercise.functions)

    def with_expected(self) -> Trial:
        """Ask the reference, unless a probe leaves the verdict to the exercise."""
        exercise = self.exercise
        if exercise.probe and exercise.accepts:
            return self
        return replace(self, expected=self.call(exercise.reference))

    def call(self, answer: Callable, change: Callable[[tuple], tuple] = tuple) -> object:
        """Call a function of ours as the answer is called, with its arguments or changed ones."""
        return self.exercise.call(answer, *change(self.arguments()))

    def at_wrong_item(self) -> Trial:
        """Point at the first wrong item of a tuple."""
        value, expected = self.outcome.value, self.expected
        is_tuple = isinstance(expected, tuple) and isinstance(value, (tuple, list))
        if self.exercise.accepts or not is_tuple or len(value) != len(expected):
            return self
        items = (replace(self, item=item) for item in range(len(expected)))
        return next((one for one in items if not one.agrees()), self)

    def is_right(self) -> bool:
        """Tell whether the value is right and nothing forbidden was done."""
        if not self.has_value or self.outcome.changed or self.outcome.forbidden:
            return False
        return not self.refusal() if self.exercise.accepts else self.agrees()

    def agrees(self) -> bool:
        """Tell whether the value is the expected one, in its dtype."""
        return not self.has_wrong_dtype() and agree(self.value, self.wanted, self.tolerance)

    def has_wrong_dtype(self) -> bool:
        """Tell whether a tensor of decimals has another dtype than the reference's."""
        return _has_wrong_dtype(self.value, self.wanted)

    def refusal(self) -> str:
        """Ask an exercise with many right answers what is wrong with this one."""
        value, expected = self.outcome.value, self.expected
        if not self.exercise.probe and not same_kind(value, expected):
            return f"The answer returned {kind(value)} where {kind(expected)} is expected."
        # Every comparison with NaN is false, so a judge of bounds would let it pass.
        if not all(map(math.isfinite, numbers(value))):
            return "The answer holds numbers that are not finite: infinite, or NaN."
        return self.exercise.accepts(value, *self.arguments())


def _has_wrong_dtype(value: object, wanted: object) -> bool:
    if isinstance(wanted, tuple) and isinstance(value, (tuple, list)):
        return any(map(_has_wrong_dtype, value, wanted))
    if not (isinstance(value, Tensor) and isinstance(wanted, Tensor)):
        return False
    return wanted.is_floating_point() and value.dtype != wanted.dtype


def agree(value: object, expected: object, tolerance: float) -> bool:
    """Tell whether two values are equal but for rounding.

    Parameters
    ----------
    value
        Data, from whatever source.
    expected
        Data.
    tolerance
        Largest error, relative to the largest finite number expected, or to 1 if that is smaller.

    Returns
    -------
    bool
        False for another type, shape or length, and for NaN. A list may stand for a tuple, and a
        tensor without axes for a number with decimals; dtypes are not compared.

    Examples
    --------
    >>> agree(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.00001]), 1e-4)
    True
    >>> agree(torch.tensor([[1.0, 1.0]]), torch.tensor([1.0, 1.0]), 1e-4)
    False
    """
    if not same_kind(value, expected):
        return False
    if isinstance(expected, (tuple, list)):
        pairs = zip(value, expected, strict=False)
        return len(value) == len(expected) and all(agree(*pair, tolerance) for pair in pairs)
    if not isinstance(expected, (float, Tensor)):
        return bool(value == expected)
    return _close(_as_double(value), _as_double(expected), tolerance)


def _as_double(value: object) -> Tensor:
    if isinstance(value, Tensor):
        return value.double()
    # torch alone would make a float32 of a Python number, and lose half of its digits.
    return torch.tensor(*numbers(value), dtype=torch.float64)


def _close(value: Tensor, expected: Tensor, tolerance: float) -> bool:
    return value.shape == expected.shape and not _far(value, expected, tolerance).any()


def _far(value: Tensor, expected: Tensor, tolerance: float) -> Tensor:
    """Tell for each number whether it is wrong."""
    finite = expected[expected.isfinite()].abs()
    scale = max(1.0, finite.max().item() if finite.numel() else 0.0)
    return ~torch.isclose(value, expected, rtol=0.0, atol=tolerance * scale)


def differing(value: object, expected: object, tolerance: float) -> object:
    """Mark where two values differ.

    Parameters
    ----------
    value, expected
        Data.
    tolerance
        As in :func:`agree`.

    Returns
    -------
    object
        A tensor of bools for tensors of one shape, a list of marks for the items of tuples, and
        a bool for anything else.
    """
    if isinstance(value, Tensor) and isinstance(expected, Tensor) and value.shape == expected.shape:
        return _far(value.double(), expected.double(), tolerance)
    items = isinstance(value, (tuple, list)) and isinstance(expected, (tuple, list))
    if items and len(value) == len(expected):
        return [differing(*pair, tolerance) for pair in zip(value, expected, strict=True)]
    return not agree(value, expected, tolerance)


def same_kind(value: object, expected: object) -> bool:
    """Tell whether a value has the type that is expected, or one that stands for it."""
    if isinstance(expected, (tuple, list)):
        return isinstance(value, (tuple, list))
    is_number = type(value) in (int, float) or (isinstance(value, Tensor) and value.ndim == 0)
    if isinstance(expected, float) or (isinstance(expected, Tensor) and expected.ndim == 0):
        return is_number
    return type(value) is type(expected)


KINDS = {
    "Tensor": "a tensor",
    "int": "an integer",
    "float": "a number with decimals",
    "bool": "True or False",
    "str": "a text",
    "tuple": "a tuple",
    "list": "a list",
    "NoneType": "None",
}


def kind(value: object) -> str:
    """Name the type of a value in words."""
    return KINDS[type(value).__name__]


def numbers(value: object) -> list[float]:
    """Return every number of a value, in order."""
    return list(_numbers(value))


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, Tensor):
        yield from value.double().flatten().tolist()
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, (int, float)):
        # An integer too long for a float is infinite here.
        yield float("inf") if abs(value) > 1e308 else float(value)
