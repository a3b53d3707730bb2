"""Count how many wrong answers the check of each exercise rejects, and how many it names rightly.

    python -m tests.exercises.mutants      (or: make mutants)
    python -m tests.exercises.mutants --seeds 1 corr2d corr3d      (two exercises, once)

The wrong answers are those of ``tests/exercises/answers``, the mistakes that the exercises
themselves know, and the automatic ones below, which are wrong for any function.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from importlib import import_module
from typing import NamedTuple

import torch
from torch import Tensor

from cnncourse.checks import check, exercises, find
from cnncourse.checks.exercise import Exercise
from tests.exercises.answers import collect


class Mutant(NamedTuple):
    """A wrong answer, and a part of the diagnosis it should get ("" where any will do)."""

    exercise: str
    label: str
    answer: object
    diagnosis: str


def each_number(value: object, change: Callable[[Tensor], Tensor]) -> object:
    """Change every tensor and number of a value; a number is changed as a tensor of one."""
    if isinstance(value, (tuple, list)):
        return type(value)(each_number(item, change) for item in value)
    if isinstance(value, Tensor):
        return change(value.double()).to(value.dtype) if value.is_floating_point() else value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return change(torch.tensor([value], dtype=torch.float64)).item()
    return value


def is_square(value: object) -> bool:
    return not isinstance(value, Tensor) or value.ndim < 2 or value.shape[-1] == value.shape[-2]


def first_tensor(values: tuple) -> Tensor | None:
    return next((v for v in values if isinstance(v, Tensor) and v.is_floating_point()), None)


# Each takes the right value and the arguments, and returns a wrong value.


def zeros(value, arguments):
    return each_number(value, torch.zeros_like)


def nan(value, arguments):
    return each_number(value, lambda x: torch.full_like(x, torch.nan))


def constant(value, arguments):
    return each_number(value, lambda x: torch.full_like(x, 42.0))


def right_sum_in_wrong_places(value, arguments):
    return each_number(value, lambda x: x.flatten().roll(1).reshape(x.shape))


def shape_that_broadcasts(value, arguments):
    if isinstance(value, tuple):
        return tuple(shape_that_broadcasts(item, arguments) for item in value)
    return value[..., :1] if isinstance(value, Tensor) and value.ndim else value


def right_only_when_square(value, arguments):
    return value if all(map(is_square, arguments)) else each_number(value, lambda x: x + 1)


def input_changed_in_place(value, arguments):
    if (given := first_tensor(arguments)) is not None:
        given.add_(1)
    return value


# The diagnosis is fixed where the check can be certain.
AUTOMATIC = {
    zeros: "",
    nan: "NaN",
    constant: "",
    right_sum_in_wrong_places: "",
    shape_that_broadcasts: "",
    right_only_when_square: "",
    input_changed_in_place: "changed in place",
}


def spoil(exercise: Exercise, how: Callable) -> Callable:
    """Make a wrong answer out of the reference."""
    return lambda *arguments: how(exercise.reference(*arguments), arguments)


# Where many answers are right, these make another right one: a picture as telling as the first, and
# a kernel of one column, which responds to a sole as well.
STILL_RIGHT = {
    ("break_this_test", right_sum_in_wrong_places),
    ("sole_kernel", shape_that_broadcasts),
}


def applies(exercise: Exercise, how: Callable) -> bool:
    """Tell whether a way to spoil the reference spoils it for this exercise."""
    if (exercise.name, how) in STILL_RIGHT:
        return False
    cases = exercise.cases(torch.Generator().manual_seed(0))
    if how is input_changed_in_place:
        return any(first_tensor(case.arguments) is not None for case in cases)
    if how is right_only_when_square:
        return not all(is_square(argument) for case in cases for argument in case.arguments)
    values = [exercise.reference(*case.arguments) for case in cases if not has_calls(case)]
    return any(differs(how(value, ()), value) for value in values)


def has_calls(case) -> bool:
    return any(type(argument).__name__ == "Call" for argument in case.arguments)


def differs(a: object, b: object) -> bool:
    if isinstance(b, (tuple, list)):
        return any(map(differs, a, b))
    if isinstance(b, Tensor):
        return a.shape != b.shape or not torch.allclose(a.double(), b.double())
    return a != b


def automatic_mutants(exercise: Exercise) -> Iterator[Mutant]:
    """Spoil the reference, where the exercise does not train a model."""
    for how, diagnosis in AUTOMATIC.items():
        if not (exercise.probe and exercise.accepts) and applies(exercise, how):
            yield Mutant(exercise.name, how.__name__, spoil(exercise, how), diagnosis)


def known_mutants(exercise: Exercise) -> Iterator[Mutant]:
    """List the mistakes that the exercise knows."""
    for number, mistake in enumerate(exercise.mistakes, 1):
        yield Mutant(exercise.name, f"mistake-{number}", mistake.wrong, mistake.diagnosis)


def written_mutants(exercise: Exercise) -> Iterator[Mutant]:
    """List the answers that were written as learners write them."""
    for name, (answer, diagnosis) in collect("WRONG"):
        if name == exercise.name:
            yield Mutant(name, getattr(answer, "__name__", "value"), answer, diagnosis)


def mutants_of(exercise: Exercise) -> list[Mutant]:
    makers = (written_mutants, known_mutants, automatic_mutants)
    return [mutant for make in makers for mutant in make(exercise)]


def try_mutants(mutants: Collection[Mutant], seeds: int) -> tuple[list[int], list[str]]:
    """Check mutants; return how many trials, killed, to name, named, and what went wrong."""
    results = [(m, check(m.exercise, m.answer, seed=s)) for s in range(seeds) for m in mutants]
    to_name = [(m, report) for m, report in results if m.diagnosis]
    killed = sum(not report.passed for _, report in results)
    named = sum(m.diagnosis in report.diagnosis for m, report in to_name)
    lost = [
        f"{m.exercise}: {m.label}: {r.headline} {r.diagnosis}"
        for m, r in results
        if r.passed or m.diagnosis not in r.diagnosis
    ]
    return [len(results), killed, len(to_name), named], lost


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 1 if a wrong answer passes or is named otherwise than it should."""
    parser = argparse.ArgumentParser(prog="python -m tests.exercises.mutants")
    parser.add_argument("names", nargs="*", help="exercises (default: all)")
    parser.add_argument("--seeds", type=int, default=3, help="how often each is tried (default: 3)")
    options = parser.parse_args(arguments)
    print(f"Every wrong answer is tried with {options.seeds} seeds; counted are the trials.")
    print(f"{'exercise':<28}{'trials':>8}{'killed':>8}{'to name':>9}{'named':>7}")
    # Many are made of the course's own functions, which no learner's answer may call.
    import_module("cnncourse.checks.run")._is_helper = lambda module: True
    all_lost = []
    for name in options.names or exercises():
        counts, lost = try_mutants(mutants_of(find(name)), options.seeds)
        print("{:<28}{:>8}{:>8}{:>9}{:>7}".format(name, *counts), flush=True)
        all_lost += lost
    for text in dict.fromkeys(all_lost):
        print(f"not killed or misnamed: {text}")
    return 1 if all_lost else 0


if __name__ == "__main__":
    sys.exit(main())
