"""Grade a collection of submissions: the process that knows the seed and runs nothing of theirs."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from cnncourse.checks.notebook import Notebook
from cnncourse_grader import sandbox, words
from cnncourse_grader.answers import clean, read_answers
from cnncourse_grader.assignment import Assignment, assigned_chapters, exercises_of
from cnncourse_grader.collect import Submission, collect
from cnncourse_grader.marks import (
    Grade,
    Run,
    followed,
    is_pending,
    mark_submission,
    not_graded,
    waiting,
)
from cnncourse_grader.sandbox import Limits
from cnncourse_grader.store import ALL, Store

STARTS = 2  # a notebook that does not start gets a second try
Runner = Callable[[bytes], sandbox.Result]


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
    store.open(options.seed, options.resume or bool(options.regrade), options.regrade)
    to_do = [(one, digest_of(one)) for one in submissions]
    to_do = [both for both in to_do if not store.load(both[0].student, both[1])]
    _say(f"Grading {len(to_do)} of {len(submissions)} submissions: {', '.join(assignment.names)}")
    for note in store.notes():
        _say(note)
    with _runner(options) as (runner, workers):
        try:
            grade_one = partial(_grade_one, assignment, options.limits, runner)
            _grade_all(to_do, grade_one, store, workers)
        finally:
            store.write_table()
    store.close()
    for change in store.changes():
        _say(change)
    if store.grades and all(is_pending(one) for one in store.grades.values()):
        raise EnvironmentProblemError(next(iter(store.grades.values())).status)
    return sorted(store.grades.values(), key=lambda one: one.student)


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
    grade_one: Callable[[Submission, str], Grade],
    store: Store,
    workers: int,
) -> None:
    """Hand submissions to workers; only this thread writes."""
    with (
        ThreadPoolExecutor(workers) as pool,
        # disable=None: silent where standard error is not a terminal.
        tqdm(total=len(waiting), unit="submission", disable=None) as bar,
    ):
        futures = [pool.submit(grade_one, *both) for both in waiting]
        try:
            for future in as_completed(futures):
                store.add(future.result())
                bar.update()
        except BaseException:
            with sandbox.stopped():
                pool.shutdown(cancel_futures=True)
            raise


def _grade_one(
    assignment: Assignment, limits: Limits, runner: Runner, submission: Submission, digest: str
) -> Grade:
    ask = partial(assignment.request, limits=limits, beside=submission.notebooks)
    try:
        runs = [_run(assignment, ask(one), runner, one) for one in submission.notebooks]
        grade = mark_submission(submission, digest, assignment, runs)
        later = waiting(assignment, grade, runs)
        for one in submission.notebooks if later else ():
            again = _run(assignment, ask(one, later=later), runner, one)
            grade = followed(grade, later, assignment, again)
    except EnvironmentProblemError as error:
        return not_graded(submission, digest, assignment, str(error))
    except Exception as error:  # whatever it is, the others have their grades
        reason = clean(f"{type(error).__name__}: {error}")
        return not_graded(submission, digest, assignment, reason)
    return grade


def _run(assignment: Assignment, request: bytes, runner: Runner, notebook: Notebook) -> Run:
    for _ in range(STARTS):
        result = runner(request)
        answers = read_answers(result.data, assignment.cases)
        if answers.started:
            return Run(notebook, answers, clean(result.problem) or answers.fault)
    raise EnvironmentProblemError(words.did_not_start(notebook.name, clean(result.problem)))


@contextmanager
def _runner(options: Options) -> Iterator[tuple[Runner, int]]:
    """Give the function that runs one request, and how many may run at a time."""
    run = partial(sandbox.run, limits=options.limits, protected=options.protected)
    if not options.dask:
        yield run, options.jobs
        return
    with _cluster(options.dask) as client:
        if options.protected and (
            reasons := [r for r in client.run(sandbox.missing).values() if r]
        ):
            raise EnvironmentProblemError(f"On a worker: {reasons[0]}")
        workers = sum(client.nthreads().values())
        # A request holds a notebook and inputs, never the seed; pure=False: nothing is cached.
        yield lambda request: client.submit(run, request, pure=False).result(), workers


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
