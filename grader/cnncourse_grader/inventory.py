"""Compare what a class answered to the questions with a key before and after.

The tables say nothing but student, question and option; the key says what an option means. Only who
answered both times counts: a class of other people has other beliefs.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import NamedTuple

from cnncourse_grader import pages, words

ANSWER = ("student", "question", "option")
KEY = ("question", "option", "tolerance", "right", "misconception", "see")


class Option(NamedTuple):
    """What one option of a question means: it is right, or it has the name of a misconception."""

    text: str
    tolerance: str
    right: bool
    misconception: str
    see: str


Key = Mapping[str, list[Option]]
# (student, question) -> the option that was chosen, None for one that the key does not have
Answers = dict[tuple[str, str], Option | None]


class Pair(NamedTuple):
    """What one student answered to one question, before and after."""

    question: str
    before: Option | None
    after: Option | None


def read_key(path: Path) -> Key:
    """Read ``key.csv``: for each question its options."""
    key: dict[str, list[Option]] = {}
    for row in _rows(path, KEY):
        option = Option(
            row["option"], row["tolerance"], row["right"] == "1", row["misconception"], row["see"]
        )
        key.setdefault(row["question"], []).append(option)
    return key


def read_answers(path: Path, key: Key) -> Answers:
    """Read a table of answers; a row without an option is no answer.

    Raises
    ------
    ValueError
        If a question is not in the key, or a student answers one twice.
    """
    answers: Answers = {}
    for number, row in enumerate(_rows(path, ANSWER), start=2):
        place = row["student"].strip(), row["question"].strip()
        if place[1] not in key:
            raise ValueError(f"{path}, row {number}: the key has no question {place[1]!r}")
        if place in answers:
            raise ValueError(f"{path}, row {number}: {place[0]} answers {place[1]} twice")
        if row["option"].strip():
            answers[place] = _chosen(row["option"].strip(), key[place[1]])
    return answers


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, restval="")
        if lost := [one for one in columns if one not in (reader.fieldnames or ())]:
            raise ValueError(f"{path} needs the columns {', '.join(columns)}; not there: {lost}")
        return list(reader)


def _chosen(text: str, options: Iterable[Option]) -> Option | None:
    return next((one for one in options if _is(text, one)), None)


def _is(text: str, option: Option) -> bool:
    """Tell whether a text is an option: the same letter, or a number near enough."""
    if not option.tolerance:
        return text.lower() == option.text.lower()
    try:
        number = float(text.replace("\u2212", "-"))
    except ValueError:
        return False
    return abs(number - float(option.text)) <= float(option.tolerance)


def compare(before: Answers, after: Answers) -> list[Pair]:
    """Pair the answers of those who answered a question both times."""
    return [Pair(one[1], before[one], after[one]) for one in before if one in after]


def page(key: Key, before: Answers, after: Answers) -> str:
    """Write what has changed; no name stands in it.

    Parameters
    ----------
    key : mapping
        As `read_key` returns it.
    before, after : dict
        As `read_answers` returns them.

    Returns
    -------
    str
        HTML; no script, no other host but links to the book.

    Raises
    ------
    ValueError
        If nobody answered a question both times.
    """
    pairs = compare(before, after)
    if not pairs:
        raise ValueError("no student answered a question both times: are the names the same?")
    both = len({student for student, question in before if (student, question) in after})
    only = [len({student for student, _ in one}) - both for one in (before, after)]
    return pages.document(
        words.COMPARED,
        f"<p>{words.compared(both, *only)}</p>",
        f"<p>{words.gain(*_totals(pairs))}</p>",
        pages.table(words.QUESTIONS, words.QUESTION_COLUMNS, _questions(key, pairs)),
        pages.table(words.BELIEFS, words.BELIEF_COLUMNS, _beliefs(key, pairs)),
        f"<p>{words.CHANCE}</p>",
    )


def _is_right(option: Option | None) -> bool:
    return option is not None and option.right


def _totals(pairs: Iterable[Pair]) -> tuple[int, int, int]:
    """Count the right answers before and after, and all."""
    right = [(_is_right(one.before), _is_right(one.after)) for one in pairs]
    return sum(first for first, _ in right), sum(second for _, second in right), len(right)


def _questions(key: Key, pairs: Iterable[Pair]) -> list[tuple[str, ...]]:
    rows = []
    for question in key:
        mine = [one for one in pairs if one.question == question]
        if mine:
            before, after, count = _totals(mine)
            gained = sum(_is_right(one.after) > _is_right(one.before) for one in mine)
            lost = gained - (after - before)
            numbers = (f"{before} of {count}", f"{after} of {count}", str(gained), str(lost))
            rows.append((escape(question), *numbers))
    return rows


def _beliefs(key: Key, pairs: Iterable[Pair]) -> list[tuple[str, ...]]:
    """List the misconceptions that somebody chose: those that most still hold come first."""
    counted = []
    for question, options in key.items():
        mine = [one for one in pairs if one.question == question]
        for option in options:
            before = sum(one.before == option for one in mine)
            after = sum(one.after == option for one in mine)
            if not option.right and before + after:
                kept = sum(one.before == one.after == option for one in mine)
                counted.append(((-after, -before), _belief(question, option, before, after, kept)))
    return [row for _, row in sorted(counted)]


def _belief(question: str, option: Option, *counts: int) -> tuple[str, ...]:
    read = f'<a class="book" href="{escape(option.see)}">{escape(question)}</a>'
    return escape(option.misconception), *map(str, counts), read
