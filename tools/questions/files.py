"""All that an instructor gets of the questions, by the name of the file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

import nbformat

from tools.questions import Chapter, Option, Question, address, canvas, chapters, moodle
from tools.questions.notebooks import instructor_version, student_version

HEAD = ("student", "question", "option")


def files(stems: Iterable[str] = ()) -> dict[str, bytes]:
    """Return the files for these chapters, or for all."""
    found = chapters(stems)
    texts = {"moodle.xml": moodle.write(found), "key.csv": key(found), "answers.csv": blank(found)}
    for chapter in found:
        texts[f"nbgrader/{chapter.stem}.ipynb"] = (
            nbformat.writes(instructor_version(chapter)) + "\n"
        )
        texts[f"students/{chapter.stem}.ipynb"] = nbformat.writes(student_version(chapter)) + "\n"
    return {name: text.encode() for name, text in texts.items()} | {
        "canvas-qti.zip": canvas.write(found)
    }


def key(chapters: Iterable[Chapter]) -> str:
    """Write what each option is: right, or the name of a misconception, and where it is shown."""
    head = ("chapter", "question", "option", "tolerance", "right", "misconception", "see")
    rows = [row(*one) for one in every_option(chapters)]
    return table(head, rows)


def every_option(chapters: Iterable[Chapter]) -> Iterator[tuple[Chapter, Question, Option]]:
    """Yield each option with its question and its chapter."""
    for chapter in chapters:
        for question in chapter.questions:
            for option in question.options:
                yield chapter, question, option


def row(chapter: Chapter, question: Question, option: Option) -> tuple[object, ...]:
    """Write a line of the key; only a number has a tolerance."""
    tolerance = f"{option.tolerance:g}" if question.numeric else ""
    name = (chapter.stem, question.id, option.key, tolerance)
    return (*name, int(option.right), option.name, address(chapter, option))


def blank(chapters: Iterable[Chapter]) -> str:
    """Write a sheet for the answers of one student, given on paper."""
    asked = [question.id for chapter in chapters for question in chapter.questions]
    return table(HEAD, (("NAME", question, "") for question in asked))


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Write a table as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()
