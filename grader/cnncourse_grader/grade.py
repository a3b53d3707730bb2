"""Grade a collection of submissions: the process that knows the seed and runs nothing of theirs."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from cnncourse.checks.exercise import Exercise
from cnncourse.checks.notebook import Notebook
from cnncourse_grader import sandbox, similar, words, written
from cnncourse_grader.answers import clean
from cnncourse_grader.assignment import Assignment, assigned_chapters, exercises_of
from cnncourse_grader.collect import Submission, collect
from cnncourse_grader.marks import (
    EMPTY,
    Grade,
    Run,
    followed,
    is_pending,
    judged,
    mark_submission,
    not_graded,
    waiting,
    without_results,
)
from cnncourse_grader.sandbox import Limits
from cnncourse_grader.store import ALL, Store

STARTS = 2  # a notebook that does not start gets a second try
Runner = Callable[..., sandbox.Result]


class EnvironmentProblemError(RuntimeError):
    """The machine, not a submission, keeps notebooks from being graded."""


@dataclass(frozen=True)
class Options:
    """How to grade.

    Attributes
    ----------
    submissions, out : Path
        Folder or zip; the table to write.
    seed : str
        Secret that decides the inputs.
    chapters : sequence of int
        To grade; empty for those that half of the submissions check.
    jobs : int
        Notebooks at a time.
    resume, protected : bool
        Go on with earlier results; use the sandbox.
    regrade : sequence of str
        Exercises and students to grade again, or "all"; with earlier results.
    dask : str
        Address of a scheduler; empty for this machine.
    written : Path or None
        Filled table of the written answers.
    late : mapping
        Number of a student -> what the worksheet says of the time.
    limits : Limits
        For each notebook.
    """

    submissions: Path
    out: Path
    seed: str = field(repr=False)
    chapters: Sequence[int] = ()
    jobs: int = 1
    resume: bool = False
    regrade: Sequence[str] = ()
    protected: bool = True
    dask: str = ""
    written: Path | None = None
    late: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)


def grade(options: Options) -> list[Grade]:
    """Grade all submissions, and write each result as it comes.

    Parameters
    ----------
    options : Options
        How.

    Returns
    -------
    list of Grade
        One a student, sorted by name.

    Raises
    ------
    ValueError
        If there is nothing to grade, or the results belong to another run.
    EnvironmentProblemError
        If there is no sandbox here and ``options.protected`` is True, or notebooks do not start.
    """
    # One thread gives the same last digit everywhere.
    torch.set_num_threads(1)
    if options.protected and not options.dask and (reason := sandbox.missing()):
        raise EnvironmentProblemError(reason)
    submissions = collect(options.submissions)
    exercises = exercises_of(options.chapters or assigned_chapters(submissions))
    assignment = Assignment.draw(exercises, options.seed)
    _check_names(options.regrade, [*assignment.names, *(s.student.name for s in submissions)])
    warning = "" if options.protected else words.UNPROTECTED
    store = Store(options.out, assignment.digests(), warning, vars(options.limits))
    questions = written.questions_of({one.chapter for one in exercises})
    answers = written.answers_of(submissions, questions, options.seed)
    # Read before anything is written: a table with a fault changes nothing.
    marked = written.read(options.written, answers, questions) if options.written else {}
    store.open(options.seed, options.resume or bool(options.regrade), options.regrade)
    store.know(submissions, options.late, questions)
    _grade_new(options, submissions, assignment, store)
    store.close()
    if options.written:
        store.merge(marked)
    for line in (*store.write_class(answers), *store.changes()):
        _say(line)
    if store.grades and all(is_pending(one) for one in store.grades.values()):
        raise EnvironmentProblemError(next(iter(store.grades.values())).status)
    return sorted(store.grades.values(), key=lambda one: one.student)


def _grade_new(
    options: Options, submissions: Sequence[Submission], assignment: Assignment, store: Store
) -> None:
    """Grade what is not graded yet, and write the table even if that is stopped."""
    to_do = [(one, digest_of(one)) for one in submissions]
    to_do = [both for both in to_do if not store.load(both[0].student, both[1])]
    _say(f"Grading {len(to_do)} of {len(submissions)} submissions: {', '.join(assignment.names)}")
    for note in store.notes():
        _say(note)
    with _runner(options) as (runner, workers, in_force):
        _say(f"{words.IN_FORCE}{'; '.join(in_force)}")
        store.protect(in_force)
        try:
            grade_one = partial(_grade_one, assignment, options.limits, runner)
            _grade_all(to_do, grade_one, store, workers)
        finally:
            store.write_table()


def _check_names(regrade: Sequence[str], known: Sequence[str]) -> None:
    for name in regrade:
        if name not in (ALL, *known):
            raise ValueError(
                f"--regrade takes names of exercises and students, or {ALL}, got {name!r}"
            )


def _say(text: str) -> None:
    print(words.printable(text), file=sys.stderr)


def digest_of(submission: Submission) -> str:
    """Return a fingerprint of what was handed in: equal for equal code."""
    parts = [[one.name, one.digest] for one in submission.notebooks]
    return hashlib.sha256(json.dumps([parts, submission.refused]).encode()).hexdigest()


def _grade_all(
    waiting: list[tuple[Submission, str]],
    grade_one: Callable[[Submission, str], tuple[Grade, bool]],
    store: Store,
    workers: int,
) -> None:
    """Hand submissions to workers, and those that a limit ended once more, each alone.

    What ran beside a hostile notebook may be late, or out of memory, through no fault of its own.
    """
    again = []
    with closing(_in_turn(waiting, grade_one, workers)) as results:
        for both, (grade, is_doubtful) in results:
            if is_doubtful and workers > 1:
                again.append(both)
            else:
                store.add(grade)
    if not again:
        return
    _say(words.tried_alone(len(again)))
    with closing(_in_turn(again, grade_one, 1)) as results:
        for _, (grade, _) in results:
            store.add(grade)


def _in_turn(
    waiting: list[tuple[Submission, str]], grade_one: Callable, workers: int
) -> Iterator[tuple[tuple[Submission, str], tuple[Grade, bool]]]:
    """Yield each submission with its result, as it comes; only this thread writes."""
    with (
        ThreadPoolExecutor(workers) as pool,
        # disable=None: silent where standard error is not a terminal.
        tqdm(total=len(waiting), unit="submission", disable=None) as bar,
    ):
        futures = {pool.submit(grade_one, *both): both for both in waiting}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
                bar.update()
        except BaseException:
            with sandbox.stopped():
                pool.shutdown(cancel_futures=True)
            raise


def _grade_one(
    assignment: Assignment, limits: Limits, runner: Runner, submission: Submission, digest: str
) -> tuple[Grade, bool]:
    """Grade one submission; say also whether something else may have ended it early."""
    try:
        runs = list(_runs(assignment, limits, runner, submission))
        grade = mark_submission(submission, digest, assignment, runs)
        later = waiting(assignment, grade, runs)
        for run in _runs(assignment, limits, runner, submission, later) if later else ():
            grade = followed(grade, later, run)
        grade = _with_shapes(grade, submission)
    except EnvironmentProblemError as error:
        reason = str(error)
    except Exception as error:  # one submission, whatever is in it, costs its own row
        reason = clean(f"{type(error).__name__}: {error}")
    else:
        return grade, any(run.problem or run.late for run in runs)
    return not_graded(submission, digest, assignment, reason), False


def _with_shapes(grade: Grade, submission: Submission) -> Grade:
    """Add the fingerprints of the answers; where there are several notebooks, the last one's."""
    wanted = [mark.exercise for mark in grade.marks if mark.diagnosis not in EMPTY]
    found: dict[str, str] = {}
    for notebook in submission.notebooks if wanted else ():
        found |= similar.shapes(notebook, wanted)
    marks = [replace(mark, shape=found.get(mark.exercise, "")) for mark in grade.marks]
    return replace(grade, marks=tuple(marks))


def _runs(
    assignment: Assignment,
    limits: Limits,
    runner: Runner,
    submission: Submission,
    later: Sequence[Exercise] = (),
) -> Iterator[Run]:
    """Run the notebooks of a student one after the other.

    All together have as many times the limit as there are chapters, so that twenty notebooks cost
    no more than one a chapter.
    """
    left = together = limits.seconds * assignment.chapters
    for one in submission.notebooks:
        if left < 1:
            yield without_results(assignment, one.name, words.too_long_together(together))
            continue
        now = replace(limits, seconds=min(limits.seconds, round(left)))
        request = assignment.request(one, now, submission.notebooks, later)
        run, seconds = _run(assignment, request, partial(runner, limits=now), one)
        left -= seconds
        yield run


def _run(
    assignment: Assignment, request: bytes, runner: Runner, notebook: Notebook
) -> tuple[Run, float]:
    for _ in range(STARTS):
        result = runner(request)
        run = judged(assignment, notebook, result.data, clean(result.problem))
        if run.started:
            return replace(run, seconds=result.seconds), result.seconds
    raise EnvironmentProblemError(words.did_not_start(notebook.name, run.problem))


@contextmanager
def _runner(options: Options) -> Iterator[tuple[Runner, int, list[str]]]:
    """Give the function that runs one request, how many may run at a time, and what is in force."""
    run = partial(sandbox.run, protected=options.protected)
    if not options.dask:
        yield run, options.jobs, _in_force(options.limits, options.protected)
        return
    with _cluster(options.dask) as client:
        if options.protected and (
            reasons := [r for r in client.run(sandbox.missing).values() if r]
        ):
            raise EnvironmentProblemError(f"On a worker: {reasons[0]}")
        workers = sum(client.nthreads().values())
        in_force = {
            line
            for lines in client.run(_in_force, options.limits, options.protected).values()
            for line in lines
        }
        yield partial(_submitted, client, run), workers, sorted(in_force)


def _submitted(client: object, run: Runner, request: bytes, limits: Limits) -> sandbox.Result:
    # A request holds a notebook and inputs, never the seed; pure=False: nothing is cached.
    return client.submit(run, request, limits=limits, pure=False).result()


def _in_force(limits: Limits, protected: bool) -> list[str]:
    return sandbox.in_force(limits) if protected else [words.UNPROTECTED]


def _cluster(address: str) -> object:
    try:
        from distributed import Client
    except ImportError:
        raise EnvironmentProblemError(
            "--dask needs dask.distributed: pip install distributed"
        ) from None
    try:
        return Client(address, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise EnvironmentProblemError(f"No dask scheduler answers at {address}: {error}") from None
