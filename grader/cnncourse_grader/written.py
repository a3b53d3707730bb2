"""Written answers: a page to read them on, a table for their points, and the way back.

Answers stand in an order that tells nothing of their students: by a key that the secret seed makes
of student and question. The same seed gives the same keys, so a filled table fits a later run.
"""

from __future__ import annotations

import csv
import hmac
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

from cnncourse import checks
from cnncourse.checks.notebook import Text
from cnncourse_grader import pages, words
from cnncourse_grader.collect import Student, Submission
from cnncourse_grader.files import write
from cnncourse_grader.marks import Written

SOURCE = Path(__file__).with_name("written.json")
COLUMNS = ("answer", "question", "points", "max", "comment")
# Letters alone: a spreadsheet takes 12e45678 for a number.
LETTERS = str.maketrans("0123456789abcdef", "abcdefghijkmnpqr")
STUB = "*Your answer here.*"
MOST_FAULTS = 20


@dataclass(frozen=True)
class Question:
    """A question that is answered in words.

    Attributes
    ----------
    name, title : str
        nbgrader's name of the answer's cell, and the heading above it.
    chapter, points : int
        Where it stands, and what it is worth.
    statement, answer, rubric : str
        What is asked, a model answer, how points are given.
    cell : str
        The cell that a student gets above the answer.
    """

    name: str
    chapter: int
    title: str
    points: int
    statement: str
    answer: str
    rubric: str
    cell: str


@dataclass(frozen=True)
class Answer:
    """What one student wrote to one question; without a name."""

    key: str
    student: Student
    question: Question
    text: str


@cache
def _all() -> tuple[Question, ...]:
    return tuple(Question(**one) for one in json.loads(SOURCE.read_text(encoding="utf-8")))


def questions_of(chapters: Sequence[int]) -> list[Question]:
    """Return the questions of some chapters, in the order of the book."""
    return [one for one in _all() if one.chapter in chapters]


@cache
def _headings() -> frozenset[str]:
    """Return the headings at which an answer ends."""
    exercises = (one.title for one in checks.exercises().values())
    return frozenset(map(_plain, [*exercises, *(one.title for one in _all())]))


def _plain(line: str) -> str:
    return " ".join(line.lstrip("# ").lower().split())


def _heading(text: Text) -> str:
    """Return the heading of a cell that opens an exercise, "" for any other cell."""
    for line in text.source.splitlines():
        if line.startswith("#") and _plain(line) in _headings():
            return _plain(line)
    return ""


def written_answer(texts: Sequence[Text], question: Question) -> str:
    """Find an answer among the cells of a notebook, also where its cell was moved or replaced.

    Parameters
    ----------
    texts : sequence of Text
        Cells with text, in order.
    question : Question
        Whose answer to find: by nbgrader's name, and below the question's heading.

    Returns
    -------
    str
        Markdown; empty if nothing was written.
    """
    named = {i for i, one in enumerate(texts) if one.name == question.name}
    above = {i for i, one in enumerate(texts) if _heading(one) == _plain(question.title)}
    below = {i for start in named | above for i in _below(texts, start)}
    found = [_own(texts[i], question) for i in sorted(named | above | below)]
    return "\n\n".join(filter(None, found))


def _below(texts: Sequence[Text], start: int) -> list[int]:
    """List the student's own cells below a cell, up to the next exercise."""
    found = []
    for i in range(start + 1, len(texts)):
        if texts[i].name or _heading(texts[i]):
            break
        found.append(i)
    return found


def _own(text: Text, question: Question) -> str:
    """Take away what was there before."""
    if _heading(text) != _plain(question.title):
        return text.source.replace(STUB, "").strip()
    given = {line.strip() for line in question.cell.splitlines()}
    lines = [one for one in text.source.splitlines() if one.strip() not in given]
    return "\n".join(one for one in lines if not _heading(Text("", one))).strip()


def answers_of(
    submissions: Sequence[Submission], questions: Sequence[Question], seed: str
) -> list[Answer]:
    """Return all answers in which something is written, question by question, by their keys.

    Parameters
    ----------
    submissions : sequence of Submission
        Of the class.
    questions : sequence of Question
        Of the assignment.
    seed : str
        Secret, of which the keys are made.

    Returns
    -------
    list of Answer
    """
    found = []
    for question in questions:
        of_class = [
            Answer(_key(seed, one.student, question), one.student, question, text)
            for one in submissions
            if (text := _of_notebooks(one, question))
        ]
        found += sorted(of_class, key=lambda one: one.key)
    return found


def _of_notebooks(submission: Submission, question: Question) -> str:
    found = (written_answer(one.texts, question) for one in submission.notebooks)
    return "\n\n".join(filter(None, found))


def _key(seed: str, student: Student, question: Question) -> str:
    parts = "\0".join([*student, question.name])
    digits = hmac.digest(seed.encode(), parts.encode(), "sha256").hex()[:8]
    return digits.translate(LETTERS)


def page(answers: Sequence[Answer], questions: Sequence[Question], students: int) -> str:
    """Write the page to read answers on: each question, its rubric and all that was written."""
    parts = [f"<p>{words.HOW_TO_MARK}</p>"]
    for question in questions:
        of_it = [one for one in answers if one.question == question]
        parts += [_asked(question, len(of_it), students), *map(_answered, of_it)]
    return pages.document(words.WRITTEN, *parts)


def _asked(question: Question, count: int, students: int) -> str:
    return "\n".join(
        [
            f"<h2>{escape(question.title)}</h2>",
            f"<p>{words.written_by(count, students)} {words.worth_points(question.points)}</p>",
            pages.prose(question.statement),
            f"<h3>{words.RUBRIC}</h3>",
            pages.prose(question.rubric),
            f"<h3>{words.MODEL}</h3>",
            pages.prose(question.answer),
        ]
    )


def _answered(answer: Answer) -> str:
    note = f"<p>{words.WITH_PICTURE}</p>" if "![" in answer.text else ""
    return f"<h3>{words.ANSWER} {answer.key}</h3>\n{pages.text(answer.text)}{note}"


def offer(path: Path, answers: Sequence[Answer]) -> list[str]:
    """Write a table to fill, or add what is missing in the one that is there.

    Parameters
    ----------
    path : Path
        ``written.csv``; what stands in it is never changed.
    answers : sequence of Answer
        A row each.

    Returns
    -------
    list of str
        What to know.
    """
    if not path.exists():
        write(path, _csv([COLUMNS, *map(_row, answers)], ","))
        return []
    try:
        rows, delimiter = _rows(path)
    except ValueError as error:
        return [str(error)]
    known = {row["answer"] for row in rows}
    new = [one for one in answers if one.key not in known]
    if new:
        old = path.read_bytes().rstrip(b"\r\n") + b"\n"
        write(path, old + _csv(map(_row, new), delimiter).encode())
    return [words.new_rows(path.name, len(new))] if new else []


def _row(answer: Answer) -> tuple:
    return answer.key, answer.question.name, "", answer.question.points, ""


def _csv(rows: object, delimiter: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _rows(path: Path) -> tuple[list[dict[str, str]], str]:
    text = path.read_bytes().decode("utf-8-sig", "replace")
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, restval="")
    if missing := set(COLUMNS) - set(reader.fieldnames or ()):
        raise ValueError(
            f"{path} must have the columns {', '.join(COLUMNS)}; "
            f"missing: {', '.join(sorted(missing))}"
        )
    return list(reader), delimiter


def read(
    path: Path, answers: Sequence[Answer], questions: Sequence[Question]
) -> Mapping[Student, tuple[Written, ...]]:
    """Read a filled table.

    Parameters
    ----------
    path : Path
        As `offer` wrote it, with all points.
    answers : sequence of Answer
        Of this run.
    questions : sequence of Question
        All of them; who wrote nothing has 0 points.

    Returns
    -------
    mapping
        Student -> marks of those who wrote anything.

    Raises
    ------
    ValueError
        If anything is missing or wrong; every row that is, with its value and what is allowed.
    """
    rows, _ = _rows(path)
    known = {one.key: one for one in answers}
    faults = [one for number, row in enumerate(rows, 2) for one in _faults(number, row, known)]
    faults += _missing(rows, known)
    if faults:
        left = [words.and_more(len(faults) - MOST_FAULTS)] if len(faults) > MOST_FAULTS else []
        lines = "\n  ".join([*faults[:MOST_FAULTS], *left])
        raise ValueError(f"nothing was merged, {path} has faults:\n  {lines}")
    given = {row["answer"]: row for row in rows}
    marked = {(one.student, one.question.name): given[one.key] for one in answers}
    students = {one.student for one in answers}
    return {
        student: tuple(mark(one, marked.get((student, one.name))) for one in questions)
        for student in students
    }


def mark(question: Question, row: Mapping[str, str] | None = None) -> Written:
    """Return the mark of a row; without one, of an answer that is not there."""
    known = question.name, question.title
    if row is None:
        return Written(*known, 0.0, float(question.points), words.NOTHING_WRITTEN)
    return Written(*known, _number(row["points"]), float(question.points), row["comment"].strip())


def _faults(number: int, row: Mapping[str, str], known: Mapping[str, Answer]) -> list[str]:
    answer = known.get(row["answer"])
    if answer is None:
        return [words.unknown_answer(number, row["answer"])]
    name, most = answer.question.name, answer.question.points
    found = []
    if row["question"] != name:
        found.append(words.other_question(number, row["answer"], row["question"], name))
    try:
        if not 0 <= _number(row["points"]) <= most:
            raise ValueError
    except ValueError:
        found.append(words.bad_points(number, row["answer"], row["points"], most))
    return found


def _number(text: str) -> float:
    return float(text.strip().replace(",", "."))


def _missing(rows: Sequence[Mapping[str, str]], known: Mapping[str, Answer]) -> list[str]:
    there = [row["answer"] for row in rows]
    twice = sorted({key for key in there if key in known and there.count(key) > 1})
    absent = [one for key, one in known.items() if key not in there]
    return [
        *map(words.twice, twice),
        *(words.no_row(one.key, one.question.name) for one in absent),
    ]
