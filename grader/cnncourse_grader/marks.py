"""Turn what a notebook gave into points: compare with the reference, where no submission runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from html import escape

import torch

from cnncourse.checks.cells import TOO_LONG
from cnncourse.checks.exercise import Exercise
from cnncourse.checks.judge import judge
from cnncourse.checks.notebook import Notebook
from cnncourse.checks.report import html_words
from cnncourse_grader import words
from cnncourse_grader.answers import Answer, Answers, read_answers
from cnncourse_grader.apart import ApartError, apart
from cnncourse_grader.assignment import Assignment
from cnncourse_grader.collect import Student, Submission
from cnncourse_grader.earlier import called
from cnncourse_grader.reading import worth_a_look

# Names of what keeps an answer from being judged; those of mistakes come from the checks.
REFUSED, NOT_GRADED, STOPPED = "submission-refused", "not-graded", "stopped"
PROBLEMS = {said: name for name, said in words.PROBLEMS.items()} | {
    words.NO_ANSWER: "missing",
    words.TAMPERED: "tampered",
}
# Where no answer was written.
EMPTY = ("missing", "stub", REFUSED, NOT_GRADED)


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
    diagnosis, reason : str
        Name of the likely mistake, and what is said of it; empty for a right answer.
    case : tuple of (str, str)
        The smallest failing case, as in a report.
    shape : str
        A fingerprint of the answer's code, equal for answers that differ in names alone.
    facts : tuple of (str, str)
        What was measured of the answer: name and value.
    """

    exercise: str
    title: str
    points: float
    most: float
    feedback: str
    html: str
    diagnosis: str = ""
    reason: str = ""
    case: tuple[tuple[str, str], ...] = ()
    shape: str = ""
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the answer is right; a measured one that is may earn a part of its points."""
        return self.points == self.most or bool(self.facts)

    @classmethod
    def from_dict(cls, data: dict) -> Mark:
        """Read what ``asdict`` wrote, through JSON."""
        pairs = {name: tuple(map(tuple, data[name])) for name in ("case", "facts")}
        return cls(**data | pairs)


@dataclass(frozen=True)
class Written:
    """What a person gave for a written answer.

    Attributes
    ----------
    question, title : str
        Name and heading.
    points, most : float
        Earned, and possible.
    comment : str
        For the student.
    """

    question: str
    title: str
    points: float
    most: float
    comment: str = ""


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
    written : tuple of Written
        Written answers, if a person has marked them.
    seconds : float
        Time the notebooks took; no part of the result, for it is another one each time.
    """

    student: Student
    digest: str
    marks: tuple[Mark, ...]
    status: str = words.GRADED
    failures: tuple[str, ...] = ()
    graded: bool = True
    look: tuple[str, ...] = ()
    written: tuple[Written, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @property
    def total(self) -> float:
        """Points of all exercises and marked questions."""
        return round(sum((one.points for one in (*self.marks, *self.written)), 0.0), 2)

    @property
    def most(self) -> float:
        """Points that could be had."""
        return round(sum((one.most for one in (*self.marks, *self.written)), 0.0), 2)

    def to_dict(self) -> dict:
        """Return the grade as data that JSON can hold."""
        data = asdict(self)
        del data["seconds"]
        return data | {
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
            marks=tuple(map(Mark.from_dict, data["marks"])),
            status=data["status"],
            failures=tuple(data["failures"]),
            graded=data["graded"],
            look=tuple(data["look"]),
            written=tuple(Written(**one) for one in data["written"]),
        )


@dataclass(frozen=True)
class Try:
    """The best try of one answer in one notebook.

    Attributes
    ----------
    mark : Mark
        What it earns.
    handed_in, called : bool
        Whether there was an answer, and whether it was called on the inputs.
    """

    mark: Mark
    handed_in: bool
    called: bool


@dataclass(frozen=True)
class Run:
    """One notebook, judged.

    Attributes
    ----------
    name : str
        File name.
    problem : str
        Why it was ended early; empty if it was not.
    tries : mapping
        Name of an exercise -> its best try.
    failures : tuple of str
        Cells that stopped with an error.
    late : bool
        Whether a limit on time ended a cell or an answer.
    look : tuple of str
        Places that are worth a look.
    started : bool
        Whether the notebook was reached at all; if not, the machine is at fault.
    seconds : float
        Time it took.
    """

    name: str
    problem: str
    tries: Mapping[str, Try]
    failures: tuple[str, ...] = ()
    late: bool = False
    look: tuple[str, ...] = ()
    started: bool = True
    seconds: float = 0.0


def judged(assignment: Assignment, notebook: Notebook, data: bytes, problem: str) -> Run:
    """Compare what a sandbox returned with the reference, in a process of its own.

    Parameters
    ----------
    assignment : Assignment
        What was asked.
    notebook : Notebook
        Whose answers they are.
    data : bytes
        Whatever came out of the sandbox.
    problem : str
        Why it was ended early.

    Returns
    -------
    Run
        Without points where the data was too much for the process.
    """
    asked = assignment.names, assignment.packed()
    try:
        return _from_json(apart(judge_apart, *asked, notebook, data, problem))
    except ApartError as error:
        return without_results(assignment, notebook.name, words.unreadable(error))


def judge_apart(
    names: Sequence[str], cases: bytes, notebook: Notebook, data: bytes, problem: str
) -> dict:
    """Do the work of `judged` and return its result as data."""
    torch.set_num_threads(1)
    assignment = Assignment.unpacked(names, cases)
    answers = read_answers(data, assignment.cases)
    problem = problem or answers.fault
    run = Run(
        name=notebook.name,
        problem=problem,
        tries={
            one.name: _best_try(one, assignment, answers, problem) for one in assignment.exercises
        },
        failures=tuple(words.failed_cell(notebook.name, *one) for one in answers.failures),
        late=_is_late(answers),
        look=worth_a_look(notebook),
        started=answers.started,
    )
    return asdict(run)


def _from_json(data: dict) -> Run:
    lists = {name: tuple(data[name]) for name in ("failures", "look")}
    tries = {
        name: Try(**one | {"mark": Mark.from_dict(one["mark"])})
        for name, one in data["tries"].items()
    }
    return Run(**data | lists | {"tries": tries})


def without_results(assignment: Assignment, name: str, problem: str) -> Run:
    """Stand for a notebook whose results are not there or cannot be read."""
    reason = words.notebook_stopped(problem)
    tries = {
        one.name: Try(_without_points(one, reason, STOPPED), handed_in=False, called=False)
        for one in assignment.exercises
    }
    return Run(name, problem, tries)


def _is_late(answers: Answers) -> bool:
    tries = [one for tried in answers.answers.values() for one in tried]
    cells = [text for _, text in answers.failures]
    return any(one.problem == words.PROBLEMS["time"] for one in tries) or TOO_LONG in cells


def _best_try(exercise: Exercise, assignment: Assignment, answers: Answers, problem: str) -> Try:
    stopped = words.notebook_stopped(problem) if problem else words.NO_ANSWER
    tries = answers.answers.get(exercise.name) or [Answer(problem=stopped)]
    return max((_try(exercise, assignment, one) for one in tries), key=_worth)


def _try(exercise: Exercise, assignment: Assignment, answer: Answer) -> Try:
    return Try(
        _mark(exercise, assignment, answer),
        handed_in=answer.problem not in (words.MISSING, words.NO_ANSWER),
        called=bool(answer.outcomes),
    )


def _worth(one: Try) -> tuple[float, bool]:
    # A notebook of another chapter hands in no answer to this exercise: prefer one that does.
    return one.mark.points, one.handed_in


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
        marks = tuple(_without_points(one, reason, REFUSED) for one in assignment.exercises)
        return Grade(submission.student, digest, marks, reason, graded=False)
    marks = tuple(_best(one, runs).mark for one in assignment.exercises)
    stopped = [words.stopped(run.name, run.problem) for run in runs if run.problem]
    failures = tuple(one for run in runs for one in run.failures)
    status = "; ".join(stopped) or words.GRADED
    earned = any(mark.points for mark in marks)
    look = tuple(one for run in runs for one in run.look) if earned else ()
    seconds = sum(run.seconds for run in runs)
    return Grade(submission.student, digest, marks, status, failures, look=look, seconds=seconds)


def _best(exercise: Exercise, runs: Sequence[Run]) -> Try:
    return max((run.tries[exercise.name] for run in runs), key=_worth)


def waiting(assignment: Assignment, grade: Grade, runs: Sequence[Run]) -> list[Exercise]:
    """List the exercises that failed, and may have failed for the earlier answer that they call."""
    failed = {mark.exercise for mark in grade.marks if mark.points < mark.most}
    tried = {name for run in runs for name, one in run.tries.items() if one.called}
    return [
        one for one in assignment.exercises if one.name in failed & tried and called(one) in failed
    ]


def followed(grade: Grade, later: Sequence[Exercise], run: Run) -> Grade:
    """Take the marks of a second run, in which earlier answers were replaced.

    Parameters
    ----------
    grade : Grade
        Of the first run.
    later : sequence of Exercise
        Those that were tried again.
    run : Run
        The second run of one notebook.

    Returns
    -------
    Grade
        With the new marks that are no worse; each says what it was judged with.
    """
    new = {
        one.name: _with_note(run.tries[one.name].mark, words.followed(called(one)))
        for one in later
        if run.tries[one.name].called
    }
    # Of equals the new one, which says more.
    pairs = [(new.get(mark.exercise, mark), mark) for mark in grade.marks]
    marks = [max(pair, key=lambda mark: mark.points) for pair in pairs]
    return replace(grade, marks=tuple(marks))


def not_graded(submission: Submission, digest: str, assignment: Assignment, reason: str) -> Grade:
    """Note that the machine failed; ``--resume`` tries again."""
    status = f"{words.PENDING}{reason} ({words.RUN_AGAIN})"
    marks = tuple(_without_points(one, status, NOT_GRADED) for one in assignment.exercises)
    return Grade(submission.student, digest, marks, status, graded=False)


def is_stopped(grade: Grade) -> bool:
    """Tell whether a limit, or the notebook itself, ended one of the notebooks."""
    return grade.status.startswith(words.STOPPED)


def is_pending(grade: Grade) -> bool:
    """Tell whether the grade has to be tried again."""
    return grade.status.startswith(words.PENDING)


def _mark(exercise: Exercise, assignment: Assignment, answer: Answer) -> Mark:
    if answer.problem:
        return _without_points(exercise, answer.problem, PROBLEMS.get(answer.problem, STOPPED))
    return _judged(exercise, assignment, answer)


def _judged(exercise: Exercise, assignment: Assignment, answer: Answer) -> Mark:
    try:
        report = judge(exercise, assignment.cases[exercise.name], answer.outcomes)
    except Exception as error:  # whatever odd data does to a comparison: it earns nothing
        return _without_points(exercise, words.incomparable(error), "incomparable")
    points, most = round(report.score * exercise.points, 2), float(exercise.points)
    says = report.feedback, report._repr_html_(), report.mistake, report.diagnosis, report.case
    return Mark(exercise.name, exercise.title, points, most, *says, facts=report.facts)


def _with_note(mark: Mark, note: str) -> Mark:
    feedback, html = f"{mark.feedback}\n{note}", f"{mark.html}<p>{html_words(note)}</p>"
    return replace(mark, feedback=feedback, html=html)


def _without_points(exercise: Exercise, reason: str, diagnosis: str) -> Mark:
    says = f"{exercise.name}: {reason}", f"<p>{escape(reason)}</p>", diagnosis, reason
    return Mark(exercise.name, exercise.title, 0.0, float(exercise.points), *says)
