"""Read what a sandbox returned, and believe nothing that is not exactly data.

The bytes may have been written by the submission itself. Whatever is missing, malformed or too
large earns nothing; what is well formed is still only compared with the reference. Nothing may
stand behind the runner's last message, and that has to be there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from torch import Tensor

from cnncourse.checks.exercise import Case
from cnncourse.checks.run import Outcome
from cnncourse_grader import wire
from cnncourse_grader.words import (
    BEHIND_THE_END,
    MALFORMED,
    NO_END,
    PROBLEMS,
    TAMPERED,
    TOO_MANY_NUMBERS,
)

MOST_NUMBERS = 1 << 18  # in one value; the largest right answer has a few thousand
LONGEST_TEXT = 2_000
MOST_LINES = 20
MOST_TRIES = (
    3  # of one answer: where it is checked, and at the end what was checked and what is named
)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
FIELDS = {field.name for field in fields(Outcome)}


@dataclass(frozen=True)
class Answer:
    """What one exercise's answer gave: an outcome for each case, or why there are none."""

    outcomes: tuple[Outcome, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Answers:
    """What a notebook gave.

    Attributes
    ----------
    started : bool
        Whether the notebook was reached at all; if not, the machine is at fault.
    failures : tuple of (int, str)
        Number of a cell, and what stopped it.
    answers : mapping
        Name of an exercise -> the last tries of its answer.
    fault : str
        What is wrong with the results as a whole; empty if nothing is.
    """

    started: bool
    failures: tuple[tuple[int, str], ...]
    answers: Mapping[str, list[Answer]]
    fault: str = ""


def read_answers(data: bytes, cases: Mapping[str, list[Case]]) -> Answers:
    """Read the results of one notebook.

    Parameters
    ----------
    data : bytes
        Whatever came out of the sandbox.
    cases : mapping
        Name of an exercise -> the cases it was called with.

    Returns
    -------
    Answers
        Without those exercises of which nothing usable came.
    """
    started, failures, answers = False, (), {}
    found, fault = _well_formed(data)
    for message in found:
        match message:
            case {"started": True}:
                started = True
            case {"cells": list(cells)}:
                failures = tuple(_failures(cells))
            case {"exercise": str(name)} if name in cases:
                tries = [*answers.get(name, ()), _answer(message, cases[name])]
                answers[name] = tries[-MOST_TRIES:]
    return Answers(started, failures, answers, fault)


def _well_formed(data: bytes) -> tuple[list[object], str]:
    """Return the messages up to the last one, and what speaks against the whole."""
    found, ended = [], False
    try:
        for message in wire.messages(data):
            if ended:
                return found, BEHIND_THE_END
            found.append(message)
            ended = _is_end(message)
    except wire.MalformedError:
        return found, BEHIND_THE_END if ended else MALFORMED
    return found, "" if ended else NO_END


def _is_end(message: object) -> bool:
    match message:
        case {"end": True}:
            return True
    return False


def _failures(cells: list) -> list[tuple[int, str]]:
    return [
        (number, clean(text))
        for one in cells[:MOST_LINES]
        if type(one) is list and len(one) == 2
        for number, text in [one]
        if type(number) is int and type(text) is str
    ]


def _answer(message: dict, cases: list[Case]) -> Answer:
    problem, outcomes = message.get("problem"), message.get("outcomes")
    if type(problem) is not str:
        return Answer(problem=TAMPERED)
    if problem in PROBLEMS:
        return Answer(problem=PROBLEMS[problem])
    if problem != "" or type(outcomes) is not list or len(outcomes) != len(cases):
        return Answer(problem=TAMPERED)
    try:
        return Answer(tuple(map(_outcome, outcomes, cases)))
    except (ValueError, RecursionError):
        return Answer(problem=TAMPERED)


def _outcome(fields: object, case: Case) -> Outcome:
    _require(type(fields) is dict and fields.keys() == FIELDS)
    _require(_is_data(fields["value"]))
    _require(type(fields["returned"]) is str and type(fields["error"]) is str)
    _require(_is_tuple(fields["traceback"], str) and _is_tuple(fields["forbidden"], str))
    _require(_is_tuple(fields["changed"], int))
    _require(all(0 <= place < len(case.arguments) for place in fields["changed"]))
    if _count(fields["value"]) > MOST_NUMBERS:
        return Outcome(returned=TOO_MANY_NUMBERS)
    texts = {name: clean(fields[name]) for name in ("returned", "error")}
    lines = {name: tuple(map(clean, fields[name])) for name in ("traceback", "forbidden")}
    return Outcome(value=fields["value"], changed=fields["changed"], **texts, **lines)


def _require(condition: bool) -> None:
    if not condition:
        raise ValueError("not an outcome")


def _is_tuple(value: object, kind: type) -> bool:
    return (
        type(value) is tuple
        and len(value) <= MOST_LINES
        and all(type(item) is kind for item in value)
    )


def _is_data(value: object) -> bool:
    if type(value) in (list, tuple):
        return all(map(_is_data, value))
    if type(value) is str:
        return len(value) <= LONGEST_TEXT
    return value is None or type(value) in (bool, int, float, Tensor)


def _count(value: object) -> int:
    if type(value) in (list, tuple):
        return sum(map(_count, value)) + 1
    return value.numel() if type(value) is Tensor else 1


def clean(text: str) -> str:
    """Shorten a text from a submission and take out what a terminal or a page could obey."""
    text = CONTROL.sub("?", text)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} ..."
