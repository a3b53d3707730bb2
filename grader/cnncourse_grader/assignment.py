"""What is asked of every notebook: the exercises, and their inputs drawn from the secret seed."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import cnncourse
from cnncourse import checks
from cnncourse.checks.exercise import Case, Exercise, generator
from cnncourse.checks.notebook import Notebook
from cnncourse_grader import wire
from cnncourse_grader.collect import Submission
from cnncourse_grader.earlier import ANSWERS, called
from cnncourse_grader.sandbox import Limits

GIVEN = ("cnncourse.checks.given.", "torch.")
CHECKED = re.compile(r"""\bcheck\(\s*["'](\w+)["']""")


@dataclass(frozen=True)
class Assignment:
    """The exercises to grade.

    Attributes
    ----------
    exercises : tuple of Exercise
        In the order of the columns.
    cases : mapping
        Name of an exercise -> its cases, the same for every student.
    """

    exercises: tuple[Exercise, ...]
    cases: Mapping[str, list[Case]]

    @classmethod
    def draw(cls, exercises: Sequence[Exercise], seed: str) -> Assignment:
        """Draw the inputs of all exercises.

        Parameters
        ----------
        exercises : sequence of Exercise
            At least one.
        seed : str
            Secret.

        Returns
        -------
        Assignment
            Without the seed.
        """
        cases = {one.name: one.cases(generator(seed, one.name)) for one in exercises}
        return cls(tuple(exercises), cases)

    def packed(self) -> bytes:
        """Write the cases, for a process that judges: it needs no secret."""
        return wire.pack({name: [c.arguments for c in cases] for name, cases in self.cases.items()})

    @classmethod
    def unpacked(cls, names: Sequence[str], cases: bytes) -> Assignment:
        """Read what `packed` wrote."""
        drawn = {name: [Case(*one) for one in many] for name, many in wire.unpack(cases).items()}
        return cls(tuple(map(checks.find, names)), drawn)

    @property
    def chapters(self) -> int:
        """How many chapters they are of."""
        return len({one.chapter for one in self.exercises})

    @property
    def names(self) -> list[str]:
        """Names of the exercises."""
        return [one.name for one in self.exercises]

    def digests(self) -> dict[str, str]:
        """Return a fingerprint of each exercise: another one when it asks or judges otherwise."""
        return {one.name: _digest(one) for one in self.exercises}

    def request(
        self,
        notebook: Notebook,
        limits: Limits,
        beside: Sequence[Notebook] = (),
        later: Sequence[Exercise] = (),
    ) -> bytes:
        """Write what a sandbox needs for one notebook: its cells, the inputs, no expected value.

        Python files of the same student, in ``beside``, can be imported.
        Exercises in ``later`` are asked for alone, at the end, where the earlier answers that they
        call are replaced.
        """
        names = dict.fromkeys(map(called, later))
        asked = [_interface(one, self.cases[one.name]) for one in later or self.exercises]
        return wire.pack(
            {
                "files": {one.name: "".join(one.cells) for one in beside if one.is_python},
                "cells": [*notebook.cells, *(ANSWERS[name] for name in names)],
                "limits": vars(limits),
                "exercises": asked,
                "at_the_end": bool(later),
            }
        )


def _digest(exercise: Exercise) -> str:
    drawn = [case.arguments for case in exercise.cases(generator("digest", exercise.name))]
    judges = (exercise.reference, exercise.accepts, exercise.probe, exercise.measures)
    facts = (cnncourse.__version__, exercise.points, exercise.forbidden, exercise.tolerance)
    text = repr([*facts, *(inspect.getsource(one) for one in judges if one)])
    return hashlib.sha256(text.encode() + wire.pack(drawn)).hexdigest()[:20]


def _interface(exercise: Exercise, cases: list[Case]) -> dict:
    functions = {name: _place(function) for name, function in exercise.functions.items()}
    return {
        "name": exercise.name,
        "takes_arguments": bool(exercise.parameters),
        "forbidden": exercise.forbidden,
        "functions": functions,
        "probe": _place(exercise.probe) if exercise.probe else None,
        "cases": [case.arguments for case in cases],
    }


def _place(function: Callable) -> tuple[str, str]:
    """Say where a sandbox finds a function; only what is free of answers is there."""
    module, name = function.__module__, function.__qualname__
    if f"{module}.".startswith(GIVEN) and "<" not in name:
        found = reduce(getattr, name.split("."), importlib.import_module(module))
        if found is function:
            return module, name
    raise ValueError(f"`{module}.{name}` must be a function of cnncourse.checks.given")


def exercises_of(chapters: Sequence[int]) -> list[Exercise]:
    """Return the exercises of some chapters.

    Parameters
    ----------
    chapters : sequence of int
        Numbers; in any order.

    Returns
    -------
    list of Exercise
        In the order of the book.

    Raises
    ------
    ValueError
        If a chapter has none.
    """
    exercises = [checks.find(name) for name in checks.names()]
    known = {one.chapter for one in exercises}
    if unknown := sorted(set(chapters) - known):
        raise ValueError(
            f"`--chapters` must name chapters with exercises ({_list(known)}), got {_list(unknown)}"
        )
    return [one for one in exercises if one.chapter in chapters]


def assigned_chapters(submissions: Sequence[Submission]) -> list[int]:
    """Tell from the submissions which chapters were assigned: those that half of them check.

    Parameters
    ----------
    submissions : sequence of Submission
        All of a course.

    Returns
    -------
    list of int
        Numbers of chapters.

    Raises
    ------
    ValueError
        If no chapter is in half of the readable submissions.
    """
    readable = [one for one in submissions if one.notebooks]
    chapters = {name: checks.find(name).chapter for name in checks.names()}
    found = [chapter for one in readable for chapter in _checked(one, chapters)]
    assigned = sorted(n for n in set(found) if 2 * found.count(n) >= len(readable))
    if not assigned:
        raise ValueError(
            "The notebooks do not tell which chapters were assigned: add --chapters, such as "
            "--chapters 3"
        )
    return assigned


def _checked(submission: Submission, chapters: Mapping[str, int]) -> set[int]:
    cells = (cell for notebook in submission.notebooks for cell in notebook.cells)
    return {chapters[name] for cell in cells for name in CHECKED.findall(cell) if name in chapters}


def _list(numbers: Sequence[int] | set[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
