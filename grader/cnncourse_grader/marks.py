"""Turn what a notebook gave into points: compare with the reference, in the grader's process."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from html import escape

from cnncourse.checks.exercise import Exercise
from cnncourse.checks.judge import judge
from cnncourse.checks.notebook import Notebook
from cnncourse.checks.report import html_words
from cnncourse_grader import words
from cnncourse_grader.answers import Answer, Answers
from cnncourse_grader.assignment import Assignment
from cnncourse_grader.collect import Student, Submission
from cnncourse_grader.earlier import called
from cnncourse_grader.reading import worth_a_look

# References may use torch's global random numbers, which threads share.
_judging = threading.Lock()


@dataclass(frozen=True)
class Mark:
    """The result of one exercise.

    Attributes
    ----------
    exercise, title : str
        Name and heading.
    points, most : float
        Earned, and possible.
    feedback, html : str
        What the student reads, as text and as a piece of a page.
    """

    exercise: str
    title: str
    points: float
    most: float
    feedback: str
    html: str


@dataclass(frozen=True)
class Grade:
    """The result of one student.

    Attributes
    ----------
    student : Student
        Whose it is.
    digest : str
        Of the submission it belongs to.
    marks : tuple of Mark
        One an exercise.
    status : str
        "graded", or what happened.
    failures : tuple of str
        Cells that stopped with an error.
    graded : bool
        Whether the notebooks were run; False for a refused submission.
    look : tuple of str
        What the instructor may want to look at; it takes no point, and students do not read it.
    """

    student: Student
    digest: str
    marks: tuple[Mark, ...]
    status: str = words.GRADED
    failures: tuple[str, ...] = ()
    graded: bool = True
    look: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """Points of all exercises."""
        return round(sum((mark.points for mark in self.marks), 0.0), 2)

    @property
    def most(self) -> float:
        """Points that could be had."""
        return round(sum((mark.most for mark in self.marks), 0.0), 2)

    def to_dict(self) -> dict:
        """Return the grade as data that JSON can hold."""
        return asdict(self) | {
            "student": self.student.name,
            "id": self.student.id,
            "total": self.total,
            "most": self.most,
        }

    @classmethod
    def from_dict(cls, data: dict) -> Grade:
        """Read what `to_dict` wrote."""
        return cls(
            student=Student(data["student"], data["id"]),
            digest=data["digest"],
            marks=tuple(Mark(**mark) for mark in data["marks"]),
            status=data["status"],
            failures=tuple(data["failures"]),
            graded=data["graded"],
            look=tuple(data["look"]),
        )


@dataclass
class Run:
    """One notebook with what its sandbox returned."""

    notebook: Notebook
    answers: Answers
    problem: str
    marks: list[Mark] = field(default_factory=list)


def mark_submission(
    submission: Submission, digest: str, assignment: Assignment, runs: Sequence[Run]
) -> Grade:
    """Give points for all notebooks of a student; of all tries of an exercise the best counts.

    Parameters
    ----------
    submission : Submission
        Of the student.
    digest : str
        Of the submission.
    assignment : Assignment
        What was asked.
    runs : sequence of Run
        One a notebook; empty for a refused submission.

    Returns
    -------
    Grade
        With a mark for every exercise.
    """
    if submission.refused:
        reason = words.refused(submission.refused)
        marks = tuple(_without_points(one, reason) for one in assignment.exercises)
        return Grade(submission.student, digest, marks, reason, graded=False)
    marks = tuple(_best(one, assignment, runs) for one in assignment.exercises)
    stopped = [words.stopped(run.notebook.name, run.problem) for run in runs if run.problem]
    failures = tuple(
        words.failed_cell(run.notebook.name, number, text)
        for run in runs
        for number, text in run.answers.failures
    )
    status = "; ".join(stopped) or words.GRADED
    earned = any(mark.points for mark in marks)
    look = tuple(one for run in runs for one in worth_a_look(run.notebook)) if earned else ()
    return Grade(submission.student, digest, marks, status, failures, look=look)


def waiting(assignment: Assignment, grade: Grade, runs: Sequence[Run]) -> list[Exercise]:
    """List the exercises that failed, and may have failed for the earlier answer that they call."""
    failed = {mark.exercise for mark in grade.marks if mark.points < mark.most}
    tried = {name for run in runs for name, one in run.answers.answers.items() if one[0].outcomes}
    return [
        one for one in assignment.exercises if one.name in failed & tried and called(one) in failed
    ]


def followed(grade: Grade, later: Sequence[Exercise], assignment: Assignment, run: Run) -> Grade:
    """Take the marks of a second run, in which earlier answers were replaced.

    Parameters
    ----------
    grade : Grade
        Of the first run.
    later : sequence of Exercise
        Those that were tried again.
    assignment : Assignment
        What was asked.
    run : Run
        The second run of one notebook.

    Returns
    -------
    Grade
        With the new marks that are no worse; each says what it was judged with.
    """
    new = {
        one.name: _with_note(_best(one, assignment, [run]), words.followed(called(one)))
        for one in later
        if any(answer.outcomes for answer in run.answers.answers.get(one.name, ()))
    }
    # Of equals the new one, which says more.
    pairs = [(new.get(mark.exercise, mark), mark) for mark in grade.marks]
    marks = [max(pair, key=lambda mark: mark.points) for pair in pairs]
    return replace(grade, marks=tuple(marks))


def not_graded(submission: Submission, digest: str, assignment: Assignment, reason: str) -> Grade:
    """Note that the machine failed; ``--resume`` tries again."""
    status = f"{words.PENDING}{reason}"
    marks = tuple(_without_points(one, status) for one in assignment.exercises)
    return Grade(submission.student, digest, marks, status, graded=False)


def is_stopped(grade: Grade) -> bool:
    """Tell whether a limit, or the notebook itself, ended one of the notebooks."""
    return grade.status.startswith(words.STOPPED)


def is_pending(grade: Grade) -> bool:
    """Tell whether the grade has to be tried again."""
    return grade.status.startswith(words.PENDING)


def _best(exercise: Exercise, assignment: Assignment, runs: Sequence[Run]) -> Mark:
    tries = [one for run in runs for one in _tries(exercise, run)]
    marks = [_mark(exercise, assignment, one) for one in tries]
    # A notebook of another chapter hands in no answer to this exercise: prefer one that does.
    answered = [one.problem not in (words.MISSING, words.NO_ANSWER) for one in tries]
    return max(zip(marks, answered, strict=True), key=lambda one: (one[0].points, one[1]))[0]


def _tries(exercise: Exercise, run: Run) -> list[Answer]:
    stopped = words.notebook_stopped(run.problem) if run.problem else words.NO_ANSWER
    return run.answers.answers.get(exercise.name) or [Answer(problem=stopped)]


def _mark(exercise: Exercise, assignment: Assignment, answer: Answer) -> Mark:
    if answer.problem:
        return _without_points(exercise, answer.problem)
    return _judged(exercise, assignment, answer)


def _judged(exercise: Exercise, assignment: Assignment, answer: Answer) -> Mark:
    try:
        with _judging:
            report = judge(exercise, assignment.cases[exercise.name], answer.outcomes)
    except Exception as error:  # whatever odd data does to a comparison: it earns nothing
        return _without_points(exercise, words.incomparable(error))
    points, most = round(report.score * exercise.points, 2), float(exercise.points)
    return Mark(exercise.name, exercise.title, points, most, report.feedback, report._repr_html_())


def _with_note(mark: Mark, note: str) -> Mark:
    feedback, html = f"{mark.feedback}\n{note}", f"{mark.html}<p>{html_words(note)}</p>"
    return replace(mark, feedback=feedback, html=html)


def _without_points(exercise: Exercise, reason: str) -> Mark:
    feedback, html = f"{exercise.name}: {reason}", f"<p>{escape(reason)}</p>"
    return Mark(exercise.name, exercise.title, 0.0, float(exercise.points), feedback, html)
