"""Names the likely mistake behind a wrong answer.

Each function below looks for one kind of mistake and returns a sentence, or "" when it does not
see that kind. They are asked in the order of ``DIAGNOSES``, and the first sentence counts: what is
certain comes first, then the mistakes that the exercise itself knows, then what merely describes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from cnncourse.checks.exercise import is_strided
from cnncourse.checks.trial import Trial, agree, kind, numbers, same_kind

# Numbers that agree to this much are right in all but their dtype.
COARSE = 1e-3


class Findings(NamedTuple):
    """What a run showed: the trials that came out right, and the wrong ones, the smallest first."""

    right: list[Trial]
    wrong: list[Trial]

    @property
    def first(self) -> Trial:
        """The smallest failing trial."""
        return self.wrong[0]

    @property
    def pair(self) -> tuple[Tensor, Tensor] | None:
        """Value and expected value of the smallest failing trial, where both are tensors."""
        pair = self.first.value, self.first.wanted
        return pair if all(isinstance(one, Tensor) for one in pair) else None


def diagnose(found: Findings) -> str:
    """Name the likely mistake in one or two sentences.

    Parameters
    ----------
    found
        At least one failing trial.

    Returns
    -------
    str
        Never empty.
    """
    return _name_item(found.first) + next(filter(None, (look(found) for look in DIAGNOSES)))


def _name_item(trial: Trial) -> str:
    if trial.item is None:
        return ""
    names = trial.exercise.returns
    name = f"`{names[trial.item]}`" if names else f"item {trial.item + 1}"
    return f"In {name}: "


def forbidden_call(found: Findings) -> str:
    """Say which forbidden operator was called."""
    called = [name for trial in found.wrong for name in trial.outcome.forbidden]
    return yours("calls", called[0]) if called else ""


def yours(verb: str, name: str) -> str:
    """Say that the answer leaves its work to another function."""
    return f"The answer {verb} `{name}`. Here that work is yours to do."


def missing_return(found: Findings) -> str:
    """Recognize a function that ends without a value."""
    first = found.first
    is_none = first.has_value and first.outcome.value is None and first.expected is not None
    return "The answer returned None. Is `return` missing?" if is_none else ""


def foreign_type(found: Findings) -> str:
    """Say that an object of no known type came back."""
    returned, expected = found.first.outcome.returned, found.first.expected
    if not returned:
        return ""
    wanted = "data" if expected is None else kind(expected)
    return f"The answer returned a value of type {returned} where {wanted} is expected."


def changed_input(found: Findings) -> str:
    """Say which argument was changed in place."""
    changed = [place for trial in found.wrong for place in trial.outcome.changed]
    if not changed:
        return ""
    name = found.first.exercise.parameters[changed[0]]
    return f"The input `{name}` was changed in place. Work on a copy: `{name}.clone()`."


def crash(found: Findings) -> str:
    """Say where the answer stopped."""
    outcome = found.first.outcome
    if not outcome.error:
        return ""
    error = outcome.error.partition(":")[0]
    place = outcome.traceback[-1].partition(":")[0] if outcome.traceback else ""
    stopped = f"The answer stopped with {error}{f' at {place}' if place else ''}."
    return stopped + _advice(found.first) + only_where(found)


def _advice(trial: Trial) -> str:
    """Add what certain errors mean."""
    if "positional argument" in trial.outcome.error and not trial.outcome.traceback:
        return f" It must take the arguments of `{trial.exercise.signature}`, in that order."
    if "view size is not compatible" in trial.outcome.error:
        return " `view` needs numbers that lie in order in memory; `reshape` does not."
    return ""


def wrong_type(found: Findings) -> str:
    """Say that a number came where a tensor is expected, and the like."""
    first = found.first
    if first.wanted is None or same_kind(first.value, first.wanted):
        return ""
    return f"The answer returned {kind(first.value)} where {kind(first.wanted)} is expected."


def wrong_length(found: Findings) -> str:
    """Say that a tuple has too few or too many items."""
    value, wanted = found.first.value, found.first.wanted
    if not isinstance(wanted, (tuple, list)) or len(value) == len(wanted):
        return ""
    return f"The answer returned {len(value)} items where {len(wanted)} are expected."


def not_a_number(found: Findings) -> str:
    """Recognize NaN."""
    if not any(map(math.isnan, numbers(found.first.value))):
        return ""
    return "The answer holds NaN: is something divided by zero, or read before it is filled?"


def all_zeros(found: Findings) -> str:
    """Recognize a result that was made and never filled."""
    if not all(_is_all_zero(one.value) and any(numbers(one.wanted)) for one in found.wrong):
        return ""
    return "Every number is zero: is the result ever filled in?"


def _is_all_zero(value: object) -> bool:
    found = numbers(value)
    return bool(found) and not any(found)


def wrong_dtype(found: Findings) -> str:
    """Recognize right numbers in the wrong dtype."""
    first = found.first
    if not first.has_wrong_dtype() or not agree(first.value, first.wanted, COARSE):
        return ""
    got, wanted = (str(one.dtype).removeprefix("torch.") for one in (first.value, first.wanted))
    return f"The numbers are right, but in {got} where the input has {wanted}: keep its dtype."


def swapped_axes(found: Findings) -> str:
    """Recognize height where width belongs."""
    value, wanted = found.pair or (torch.zeros(()),) * 2
    if value.ndim < 2 or value.mT.shape != wanted.shape:
        return ""
    if agree(value.mT, wanted, found.first.tolerance):
        return "Height and width are swapped: the result is transposed."
    is_square = value.shape == wanted.shape
    return "" if is_square else f"Height and width are swapped: {_shapes(value, wanted)}."


def refused(found: Findings) -> str:
    """Hand on what an exercise with many right answers says."""
    return found.first.refusal() if found.first.exercise.accepts else ""


def known_mistake(found: Findings) -> str:
    """Find the mistake of the exercise that gives every wrong value of the answer."""
    wrong = [trial for trial in found.wrong if trial.has_value]
    for mistake in found.first.exercise.mistakes:
        if all(_reproduces(mistake.wrong, trial) for trial in wrong):
            return mistake.diagnosis
    return ""


def _reproduces(wrong: Callable, trial: Trial) -> bool:
    try:
        value = trial.pick(wrong(*trial.arguments()))
    except Exception:  # a mistake need not be defined for every input
        return False
    return agree(trial.value, value, trial.tolerance)


def constant(found: Findings) -> str:
    """Recognize the same number everywhere."""
    value, wanted = map(numbers, (found.first.value, found.first.wanted))
    if len(set(value)) == 1 < min(len(value), len(set(wanted))):
        return "Every number of the answer is the same."
    return ""


def wrong_shape(found: Findings) -> str:
    """Compare shapes."""
    value, wanted = found.pair or (torch.zeros(()),) * 2
    if value.shape == wanted.shape:
        return ""
    hidden = ", and broadcasting would hide that" if _broadcasts(value, wanted) else ""
    return f"The shape is wrong: {_shapes(value, wanted)}{hidden}.{only_where(found)}"


def _broadcasts(value: Tensor, wanted: Tensor) -> bool:
    try:
        return torch.broadcast_shapes(value.shape, wanted.shape) == wanted.shape
    except RuntimeError:
        return False


def wrong_places(found: Findings) -> str:
    """Recognize the right numbers in another order."""
    if not found.pair:
        return ""
    value, wanted = (one.double().flatten().sort().values for one in found.pair)
    same_numbers = agree(value, wanted, found.first.tolerance)
    return "These are the right numbers in the wrong places." if same_numbers else ""


def scaled(found: Findings) -> str:
    """Recognize a factor or a sign."""
    ratios = {_ratio(trial) for trial in found.wrong}
    ratio = ratios.pop()
    # One number is always a multiple of another.
    if ratios or ratio is None or sum(len(numbers(trial.wanted)) for trial in found.wrong) < 2:
        return ""
    if ratio == -1:
        return "The sign is reversed."
    return f"Every number is {ratio:g} times what it should be."


def _ratio(trial: Trial) -> float | None:
    """Return c where value = c * wanted, to three digits; None where there is no such c."""
    pair = trial.value, trial.wanted
    value, wanted = (torch.tensor(numbers(one), dtype=torch.float64) for one in pair)
    if value.shape != wanted.shape or not wanted.any():
        return None
    ratio = float(f"{value @ wanted / (wanted @ wanted):.3g}")
    return ratio if ratio not in (0, 1) and agree(value, ratio * wanted, COARSE) else None


def wrong_values(found: Findings) -> str:
    """Count the numbers that are right: the last word when nothing else is known."""
    value, wanted = map(numbers, (found.first.value, found.first.wanted))
    allowed = found.first.tolerance * max(1.0, *map(abs, wanted))
    good = sum(abs(a - b) <= allowed for a, b in zip(value, wanted, strict=False))
    counted = f" {good} of {len(wanted)} numbers are right." if len(wanted) > 1 else ""
    return f"The value is not the expected one.{counted}{only_where(found)}"


DIAGNOSES = (
    forbidden_call,
    missing_return,
    foreign_type,
    crash,
    changed_input,
    not_a_number,
    wrong_type,
    wrong_length,
    all_zeros,
    refused,
    wrong_dtype,
    swapped_axes,
    known_mistake,
    constant,
    wrong_shape,
    wrong_places,
    scaled,
    wrong_values,
)


def only_where(found: Findings) -> str:
    """Say what all failing cases share and no right one has: dtype, form, memory.

    Parameters
    ----------
    found
        The trials.

    Returns
    -------
    str
        A sentence with a space before it, or "".
    """
    for sentence, has in PATTERNS.items():
        if found.right and all(map(has, found.wrong)) and not any(map(has, found.right)):
            return f" {sentence}"
    return ""


def _not_square(trial: Trial) -> bool:
    return any(one.ndim > 1 and one.shape[-1] != one.shape[-2] for one in trial.tensors)


def _not_contiguous(trial: Trial) -> bool:
    return is_strided(trial.index) and any(one.ndim > 1 for one in trial.tensors)


def _has_dtype(dtype: torch.dtype) -> Callable[[Trial], bool]:
    return lambda trial: any(tensor.dtype == dtype for tensor in trial.tensors)


PATTERNS = {
    "It is right when height and width are equal, and wrong when they differ.": _not_square,
    "It is right for float32 and wrong for float64.": _has_dtype(torch.float64),
    "It is right for float64 and wrong for float32.": _has_dtype(torch.float32),
    "It is wrong where a tensor does not lie in order in memory, as after `x.T`.": _not_contiguous,
}


def _shapes(value: Tensor, wanted: Tensor) -> str:
    return f"it is {tuple(value.shape)} where {tuple(wanted.shape)} is expected"
