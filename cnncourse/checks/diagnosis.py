"""Names the likely mistake behind a wrong answer.

Each function below looks for one kind of mistake and returns a sentence, or "" when it does not
see that kind. They are asked in the order of ``DIAGNOSES``, and the first sentence counts: what is
certain comes first, then the mistakes that the exercise itself knows, then what merely describes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from typing import NamedTuple

import torch
from torch import Tensor

from cnncourse.checks.exercise import TOLERANCE, is_strided
from cnncourse.checks.misreadings import RESULTS, readings
from cnncourse.checks.trial import Trial, agree, kind, numbers, same_kind

# Numbers that agree to this much are right in all but their dtype.
COARSE = 1e-3
# Of a sentence so many words make a name.
MOST_WORDS = 16
# With fewer numbers than this, a guess at what was computed would often be right by chance.
FEW = 4


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
        return self.first.pair

    @property
    def valued(self) -> list[Trial]:
        """The wrong trials that came back with data."""
        return [trial for trial in self.wrong if trial.has_value]

    @property
    def compared(self) -> list[Trial]:
        """Every trial with data; of tuples the item that is wrong first."""
        right = [replace(trial, item=self.first.item) for trial in self.right]
        return [*self.valued, *right]

    def explained_by(self, make: Callable[[Trial], object]) -> bool:
        """Tell whether ``make`` gives the value of every trial, of the right ones too."""
        return all(_gives(make, trial) for trial in self.compared)

    @property
    def are_telling(self) -> bool:
        """Whether there are enough wrong numbers to guess from."""
        return sum(len(numbers(trial.wanted)) for trial in self.valued) >= FEW


def _gives(make: Callable[[Trial], object], trial: Trial) -> bool:
    try:
        value = make(trial)
    except Exception:  # a mistake need not be defined for every input
        return False
    # An answer that rounds to float32 may make a second mistake, and shall hear of it.
    dtype = getattr(trial.value, "dtype", None)
    return agree(trial.value, value, max(trial.tolerance, TOLERANCE.get(dtype, 0.0)))


def diagnose(found: Findings) -> tuple[str, str]:
    """Name the likely mistake.

    Parameters
    ----------
    found
        At least one failing trial.

    Returns
    -------
    mistake : str
        Its name, the same wherever it is made: ``"wrong-shape"``.
    words : str
        One or two sentences; never empty.
    """
    looks = ((look, look(found)) for look in DIAGNOSES)
    look, words = next(both for both in looks if both[1])
    mistake = named(words) if look in SPEAKING else look.__name__.replace("_", "-")
    return mistake, _name_item(found.first) + words


def named(words: str) -> str:
    """Make a name from the beginning of a sentence.

    >>> named("The kernel looks flipped from `top` to bottom.")
    'the-kernel-looks-flipped-from-top-to-bottom'
    """
    return "-".join(re.findall(r"\w+", words.lower())[:MOST_WORDS])


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
    is_none = found.first.has_value and found.first.outcome.value is None
    # Where None is right for some case, it is a decision.
    is_missing = is_none and all(t.expected is not None for t in [*found.wrong, *found.right])
    return "The answer returned None. Is `return` missing?" if is_missing else ""


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
    if trial.outcome.error == "NotImplementedError":
        return " That function is not written yet."
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
    if any(tensor.isinf().any() for tensor in found.first.tensors):
        return "The answer holds NaN: 0 times infinity is NaN. Put zeros there, do not multiply."
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
    if first.exercise.accepts or not first.has_wrong_dtype():
        return ""
    if not agree(first.value, first.wanted, COARSE):
        return ""
    got, wanted = (str(one.dtype).removeprefix("torch.") for one in (first.value, first.wanted))
    if not any(tensor.is_floating_point() for tensor in first.tensors):
        return f"The numbers are right, but in {got} where {wanted} is expected."
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
    """Find the mistake of the exercise that gives every value, or at least every wrong one."""
    for trials in (found.compared, found.valued) if found.valued else ():
        for mistake in found.first.exercise.mistakes:
            if all(_gives(lambda t, m=mistake: t.pick(t.call(m.wrong)), t) for t in trials):
                return mistake.diagnosis
    return ""


def misread_arguments(found: Findings) -> str:
    """Find the change of the arguments after which the reference gives the answer."""
    exercise = found.first.exercise
    if exercise.accepts or not found.are_telling:
        return ""
    for sentence, change in readings(exercise, found.first.case):
        if found.explained_by(lambda t, change=change: t.pick(t.call(exercise.reference, change))):
            return sentence
    return ""


def changed_result(found: Findings) -> str:
    """Find the change that makes the answer out of the right result."""
    if not found.are_telling:
        return ""
    for sentence, change in RESULTS.items():
        if found.explained_by(lambda t, change=change: change(t.wanted)):
            return sentence
    return ""


def wrong_order(found: Findings) -> str:
    """Recognize the items of a tuple in another order."""
    expected, names = found.first.expected, found.first.exercise.returns
    if not isinstance(expected, tuple):
        return ""
    for order in permutations(range(len(expected))):
        if found.explained_by(lambda t, order=order: t.pick([t.expected[i] for i in order])):
            return f"The items are in the wrong order: ({', '.join(names)}) is expected."
    return ""


def constant(found: Findings) -> str:
    """Recognize the same number everywhere."""
    value, wanted = map(numbers, (found.first.value, found.first.wanted))
    if len(set(value)) == 1 < min(len(value), len(set(wanted))):
        return "Every number of the answer is the same."
    return ""


def lost_axis(found: Findings) -> str:
    """Recognize right numbers with an axis of length 1 too few or too many."""
    value, wanted = found.pair or (torch.zeros(()),) * 2
    if value.ndim == wanted.ndim or value.numel() != wanted.numel():
        return ""
    if not agree(value.reshape(wanted.shape), wanted, found.first.tolerance):
        return ""
    which = "few: is there a `squeeze`, or an index?" if value.ndim < wanted.ndim else "many."
    return (
        f"The shape is wrong: {_shapes(value, wanted)}. The numbers are right, the axes too {which}"
    )


def cut_off(found: Findings) -> str:
    """Recognize a right part of the result, and a result with more around it."""
    value, wanted = found.pair or (torch.zeros(()),) * 2
    if value.shape == wanted.shape or value.ndim != wanted.ndim or not value.numel():
        return ""
    for words, (whole, part) in {"missing": (wanted, value), "too many": (value, wanted)}.items():
        if where := _place(part, whole, found.first.tolerance):
            shapes = _shapes(value, wanted)
            shown = f"The shape is wrong: {shapes}. The others are right; {where} are {words}."
            return shown + only_where(found)
    return ""


def _place(part: Tensor, whole: Tensor, tolerance: float) -> str:
    """Say what of a tensor lies outside of a part of it, "" if that is no part of it."""
    over = [a - b for a, b in zip(whole.shape, part.shape, strict=True)]
    starts = {
        "numbers at the end": [0] * len(over),
        "numbers at the beginning": over,
        "numbers on both sides": [n // 2 for n in over],
    }
    for words, start in starts.items():
        if min(over) >= 0 and agree(part, _piece(whole, start, part.shape), tolerance):
            return words
    return ""


def _piece(whole: Tensor, start: Sequence[int], shape: Sequence[int]) -> Tensor:
    return whole[tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))]


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


MOVES = {
    (-1, 1): "column too far to the right",
    (-1, -1): "column too far to the left",
    (-2, 1): "row too far down",
    (-2, -1): "row too far up",
}


def moved(found: Findings) -> str:
    """Recognize a result that stands one place off."""
    for (axis, step), words in MOVES.items():
        if found.are_telling and all(_is_moved(trial, axis, step) for trial in found.valued):
            return f"Everything stands one {words}."
    return ""


def _is_moved(trial: Trial, axis: int, step: int) -> bool:
    value, wanted = trial.pair or (torch.zeros(()),) * 2
    if value.ndim < -axis or value.shape != wanted.shape:
        return False
    rest = value.shape[axis] - 1
    pair = value.narrow(axis, max(step, 0), rest), wanted.narrow(axis, max(-step, 0), rest)
    return rest > 0 and agree(*pair, trial.tolerance)


def wrong_places(found: Findings) -> str:
    """Recognize the right numbers in another order, in every failing case."""
    if not found.pair or not all(map(_is_reordered, found.valued)):
        return ""
    return "These are the right numbers in the wrong places."


def _is_reordered(trial: Trial) -> bool:
    if not trial.pair:
        return False
    value, wanted = (one.double().flatten().sort().values for one in trial.pair)
    return agree(value, wanted, trial.tolerance)


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


def miscounted(found: Findings) -> str:
    """Recognize a mean where a sum belongs, and the other way round."""
    if not found.are_telling:
        return ""
    for words, count in _counts(found.first).items():
        if found.explained_by(lambda t, count=count: t.wanted / count(t)):
            return f"Every number is divided by {words}: is a sum asked for?"
        if found.explained_by(lambda t, count=count: t.wanted * count(t)):
            return f"Every number is multiplied by {words}."
    return ""


def _counts(trial: Trial) -> dict[str, Callable[[Trial], int]]:
    """List what a learner may have divided by: sizes of the arguments."""
    counts = {}
    for i, (name, one) in enumerate(_named_arguments(trial)):
        if isinstance(one, Tensor):
            counts[f"the count of numbers in `{name}`"] = lambda t, i=i: _argument(t, i).numel()
        for axis in range(getattr(one, "ndim", 0)):
            words = f"the length of axis {axis} of `{name}`"
            counts[words] = lambda t, i=i, axis=axis: _argument(t, i).shape[axis]
        if type(one) is int:
            counts |= {
                f"`{name}`{'²' * (p - 1)}": lambda t, i=i, p=p: _argument(t, i) ** p for p in (1, 2)
            }
    return counts


def _named_arguments(trial: Trial) -> Iterator[tuple[str, object]]:
    # What only a probe is given has no name.
    return zip(trial.exercise.parameters, trial.case.arguments, strict=False)


def _argument(trial: Trial, place: int) -> object:
    return trial.case.arguments[place]


def offset(found: Findings) -> str:
    """Recognize a number that was added everywhere."""
    pairs = [(numbers(one.value), numbers(one.wanted)) for one in found.wrong]
    gaps = {round(a - b, 4) for pair in pairs for a, b in zip(*pair, strict=False)}
    if len(gaps) != 1 or not found.are_telling:
        return ""
    gap = gaps.pop()
    return f"Every number is {abs(gap):g} too {'large' if gap > 0 else 'small'}." if gap else ""


def rough(found: Findings) -> str:
    """Recognize numbers that are right in their first digits only."""
    if not all(one.has_value and agree(one.value, one.wanted, COARSE) for one in found.wrong):
        return ""
    return (
        "The first digits are right, the others are not. Is a small number added, such as 1e-6, or "
        "is a part computed in float32?"
    )


def stuck(found: Findings) -> str:
    """Recognize one wrong number that comes again and again."""
    wrong = [number for trial in found.valued for number in _wrong_numbers(trial)]
    if len(set(wrong)) != 1 or len(wrong) < FEW:
        return ""
    return f"Wherever the answer is wrong, it is {wrong[0]:.10g}. Where does that come from?"


def _wrong_numbers(trial: Trial) -> list[float]:
    pairs = zip(numbers(trial.value), numbers(trial.wanted), strict=False)
    allowed = trial.allowed
    return [value for value, wanted in pairs if not abs(value - wanted) <= allowed]


def wrong_values(found: Findings) -> str:
    """Count the numbers that are right: the last word when nothing else is known."""
    count = len(numbers(found.first.wanted))
    good = count - len(_wrong_numbers(found.first))
    counted = f" {good} of {count} numbers are right." if count > 1 else ""
    return f"The value is not the expected one.{counted}{only_where(found)}"


DIAGNOSES = (
    forbidden_call,
    missing_return,
    foreign_type,
    changed_input,
    wrong_dtype,
    known_mistake,
    crash,
    wrong_order,
    not_a_number,
    wrong_type,
    wrong_length,
    all_zeros,
    refused,
    swapped_axes,
    misread_arguments,
    changed_result,
    constant,
    lost_axis,
    cut_off,
    wrong_shape,
    moved,
    wrong_places,
    scaled,
    miscounted,
    offset,
    rough,
    stuck,
    wrong_values,
)
# Their sentences tell mistakes apart; the others are one mistake each.
SPEAKING = (known_mistake, misread_arguments, changed_result)


def only_where(found: Findings) -> str:
    """Say what all failing cases share and no right one has: dtype, form, memory, a number.

    Parameters
    ----------
    found
        The trials.

    Returns
    -------
    str
        A sentence with a space before it, or "".
    """
    patterns = {**RARE, **PATTERNS, **_numbers_of(found.first)}
    for sentence, has in patterns.items():
        # One case on a side is no pattern, unless such cases are rare.
        is_one = sentence not in RARE and min(len(found.right), len(found.wrong)) < 2
        told_apart = all(map(has, found.wrong)) and not any(map(has, found.right))
        if told_apart and found.right and not is_one:
            return f" {sentence}"
    return ""


def _is_large(trial: Trial) -> bool:
    return any(tensor.isfinite().all() and (tensor.abs() > 500).any() for tensor in trial.tensors)


def _not_square(trial: Trial) -> bool:
    return any(one.ndim > 1 and one.shape[-1] != one.shape[-2] for one in trial.tensors)


def _not_contiguous(trial: Trial) -> bool:
    return is_strided(trial.index) and any(one.ndim > 1 for one in trial.tensors)


def _has_dtype(dtype: torch.dtype) -> Callable[[Trial], bool]:
    return lambda trial: any(tensor.dtype == dtype for tensor in trial.tensors)


RARE = {
    "It is wrong only where numbers are large. Is a difference of large numbers taken, which has "
    "lost its digits, or does a search start at a number that is not small enough?": _is_large,
}
PATTERNS = {
    "It is right when height and width are equal, and wrong when they differ.": _not_square,
    "It is right for float32 and wrong for float64.": _has_dtype(torch.float64),
    "It is right for float64 and wrong for float32.": _has_dtype(torch.float32),
    "It is wrong where a tensor does not lie in order in memory, as after `x.T`.": _not_contiguous,
}


def _numbers_of(trial: Trial) -> dict[str, Callable[[Trial], bool]]:
    """List what may set failing cases apart: an integer of another size, or a longer first axis."""
    patterns = {}
    for i, (name, one) in enumerate(_named_arguments(trial)):
        if type(one) is int:
            for usual in (0, 1):
                words = f"It is right for `{name}` = {usual} and wrong for other numbers."
                patterns[words] = lambda t, i=i, usual=usual: _argument(t, i) != usual
        for axis in range(getattr(one, "ndim", 0) - 2):
            words = f"It is right where axis {axis} of `{name}` has length 1, and wrong elsewhere."
            patterns[words] = lambda t, i=i, axis=axis: _argument(t, i).shape[axis] > 1
    return patterns


def _shapes(value: Tensor, wanted: Tensor) -> str:
    return f"it is {tuple(value.shape)} where {tuple(wanted.shape)} is expected"
