"""The page that a student reads: what worked, what did not, what to try, where to read."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from cnncourse.checks import exercises
from cnncourse.checks.report import html_words
from cnncourse_grader import pages, words
from cnncourse_grader.marks import EMPTY, Grade, Mark, Written
from cnncourse_grader.sections import where_to_read


def page(grade: Grade, warning: str, waiting: Sequence[str] = ()) -> str:
    """Write the page of one student.

    Parameters
    ----------
    grade : Grade
        The result.
    warning : str
        Stands at the top; empty for none.
    waiting : sequence of str
        Titles of the questions that a person marks, if that is still to come.

    Returns
    -------
    str
        HTML; every word of the submission is escaped.
    """
    return pages.document(
        words.feedback_for(grade.student.name),
        f"<p><strong>{escape(words.warning(warning))}</strong></p>" if warning else "",
        _summary(grade),
        _overview(grade),
        f"<p>{words.ALL_OR_NOTHING}</p>" if grade.marks else "",
        _failures(grade.failures),
        *map(_exercise, grade.marks),
        *map(_written, grade.written),
        "" if grade.written else _waiting(waiting),
    )


def _summary(grade: Grade) -> str:
    total = f"<strong>{words.POINTS}: {words.of_points(grade.total, grade.most)}</strong>"
    status = "" if grade.status == words.GRADED else f" {escape(grade.status)}"
    right = words.right_ones(sum(one.passed for one in grade.marks), len(grade.marks))
    return f"<p>{total}{status}</p>\n<p>{right}</p>"


def _overview(grade: Grade) -> str:
    rows = [(*_named(one), words.of_points(one.points, one.most)) for one in grade.marks]
    rows += [
        (escape(one.title), words.MARKED, words.of_points(one.points, one.most))
        for one in grade.written
    ]
    columns = words.EXERCISE, words.RESULT, words.POINTS
    return pages.table(words.POINTS, columns, rows)


def _named(mark: Mark) -> tuple[str, str]:
    return pages.name(mark.exercise), result(mark)


def result(mark: Mark) -> str:
    """Say in a sign and words how an exercise went."""
    if mark.passed:
        return words.RIGHT
    return words.EMPTY if mark.diagnosis in EMPTY else words.NOT_YET


def _exercise(mark: Mark) -> str:
    advice = "" if mark.passed else _advice(mark.exercise)
    return f"<section>\n<h2>{escape(mark.title)}</h2>\n{mark.html}\n{advice}</section>"


def _advice(name: str) -> str:
    """Give the first hint, and say where to read."""
    exercise = exercises().get(name)
    if exercise is None:
        return ""
    title, address = where_to_read(exercise)
    link = f'<a class="book" href="{escape(address)}">{escape(title)}</a>'
    hint = f"<p>{words.HINT} {html_words(exercise.hints[0])}</p>\n" if exercise.hints else ""
    return f"{hint}<p>{words.READ} {link}</p>\n"


def _written(one: Written) -> str:
    points = words.of_points(one.points, one.most)
    comment = pages.text(one.comment) if one.comment else ""
    return (
        f"<section>\n<h2>{escape(one.title)}</h2>\n"
        f"<p>{words.POINTS}: {points}</p>\n{comment}\n</section>"
    )


def _waiting(titles: Sequence[str]) -> str:
    if not titles:
        return ""
    items = "".join(f"<li>{escape(title)}</li>" for title in titles)
    return f"<h2>{words.WRITTEN}</h2>\n<p>{words.NOT_MARKED}</p>\n<ul>{items}</ul>"


def _failures(failures: tuple[str, ...]) -> str:
    if not failures:
        return ""
    items = "".join(f"<li><code>{escape(text)}</code></li>" for text in failures)
    return f"<h2>{words.FAILED_CELLS}</h2>\n<ul>{items}</ul>"
