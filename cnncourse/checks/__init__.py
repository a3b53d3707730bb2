"""Checks for the exercises: hand in an answer, read what is wrong with it, ask for a hint.

>>> import torch
>>> from cnncourse import check
>>> check("second_derivative_kernel", torch.tensor([1.0, -2.0, 1.0]))  # doctest: +ELLIPSIS
✓ second_derivative_kernel: passed (1 of 1 cases right)
Next: ...

The engine is the modules beside this one; the exercises are those of ``chapters``.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module

from cnncourse.checks.chapters import ORDER
from cnncourse.checks.exercise import Exercise, generator
from cnncourse.checks.judge import judge
from cnncourse.checks.report import Report, html_words
from cnncourse.checks.run import as_function, run

__all__ = ["check", "hint", "names"]


@cache
def exercises() -> dict[str, Exercise]:
    """Return every exercise by its name, in the order of the chapters."""
    found = {}
    for number, name in enumerate(ORDER, 1):
        for exercise in import_module(f"cnncourse.checks.chapters.{name}").EXERCISES:
            found[exercise.name] = replace(exercise, chapter=number)
    return found


def names() -> list[str]:
    """Return the names of all exercises, in the order of the chapters.

    Returns
    -------
    list of str

    Examples
    --------
    >>> "corr2d" in names()
    True
    """
    return list(exercises())


def find(name: str) -> Exercise:
    """Return an exercise by its name.

    Parameters
    ----------
    name
        One of :func:`names`.

    Returns
    -------
    Exercise

    Raises
    ------
    ValueError
        If there is none of that name; the message lists the nearest ones.
    """
    known = exercises()
    if name in known:
        return known[name]
    near = get_close_matches(str(name), known, n=3, cutoff=0.4)
    suggestion = f"Did you mean {' or '.join(map(repr, near))}?" if near else "See names()."
    raise ValueError(f"`name` must be the name of an exercise, got {name!r}. {suggestion}")


def check(name: str, answer: object, *, seed: int | str = 0) -> Report:
    """Try an answer on many inputs and say what is wrong with it.

    Parameters
    ----------
    name
        Name of the exercise: one of :func:`names`.
    answer
        Your function. Where the exercise takes no arguments, the value itself will do.
    seed
        Integer or text that decides the inputs: the same seed gives the same report.

    Returns
    -------
    Report
        It shows as text and in a notebook; ``.passed``, ``.score`` and ``.feedback`` hold the
        result. An answer that is still the exercise's empty stub gives a report too, so that all
        cells of a notebook can run.

    Raises
    ------
    ValueError
        If there is no exercise of that name.
    TypeError
        If ``answer`` is no function and the exercise takes arguments.
    AssertionError
        Under nbgrader's *Validate*, which knows no other way to fail, if the answer is not right.

    Examples
    --------
    >>> check("corr2d", lambda x, kernel: x)  # doctest: +ELLIPSIS
    ✗ corr2d: not yet (0 of ... cases right)
    Smallest failing case:
    ...
    """
    report = _report(find(name), answer, seed)
    if "NBGRADER_VALIDATING" not in os.environ:
        return report
    if not report.passed:
        raise AssertionError(report.feedback)
    return _Silent(**vars(report))


def _report(exercise: Exercise, answer: object, seed: int | str) -> Report:
    draw = exercise.practice or exercise.cases
    cases = draw(generator(seed, exercise.name))
    try:
        # nbgrader gives no point to a cell that writes a warning.
        with redirect_stderr(sys.stdout):
            outcomes = run(exercise, _callable(exercise, answer), cases)
    except NotImplementedError:
        return Report(exercise.name, cases=0, right=0)
    return replace(judge(exercise, cases, outcomes), then=_next(exercise))


class _Silent(Report):
    """A report that shows nothing: nbgrader takes what a checked cell shows for its points."""

    def _ipython_display_(self) -> None:
        pass


def _next(exercise: Exercise) -> str:
    """Say what comes after an exercise on its page."""
    page = [one for one in exercises().values() if one.chapter == exercise.chapter]
    after = page[page.index(exercise) + 1 :]
    if not after:
        return "Next: the questions in words on this page."
    return f"Next: `{after[0].name}`, {after[0].title}."


def _callable(exercise: Exercise, answer: object) -> Callable:
    """Return the answer as a function; where it takes no arguments, a value will do."""
    if not exercise.parameters:
        return as_function(answer)
    if callable(answer):
        return answer
    kind = type(answer).__name__
    raise TypeError(f"`answer` must be a function {exercise.signature}, got a {kind}")


@dataclass(frozen=True, repr=False)
class Hint:
    """A hint; it shows as its text."""

    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<p>{html_words(self.text)}</p>"  # plain output breaks a line within a word


_given: Counter[str] = Counter()


def hint(name: str) -> Hint:
    """Give the next hint for an exercise: the first call a gentle one, each further call more.

    Parameters
    ----------
    name
        Name of the exercise.

    Returns
    -------
    Hint
        Its text, which says when it is the last.

    Raises
    ------
    ValueError
        If there is no exercise of that name.

    Examples
    --------
    >>> hint("corr2d")  # doctest: +ELLIPSIS
    Hint 1 of 3: ...
    """
    hints = find(name).hints
    place = _given[name]
    _given[name] += 1
    if place >= len(hints):
        return Hint(f"There are no more hints for {name}. The last was: {hints[-1]}")
    return Hint(f"Hint {place + 1} of {len(hints)}: {hints[place]}")
