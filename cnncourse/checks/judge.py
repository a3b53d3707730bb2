"""Compares outcomes with the reference; it never runs the answer.

The outcomes may come from a sandbox, where the answer could have written them itself: they are
data to compare, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cnncourse.checks.diagnosis import Findings, diagnose
from cnncourse.checks.exercise import Call, Case, Exercise
from cnncourse.checks.report import Report, show
from cnncourse.checks.run import Outcome
from cnncourse.checks.trial import Trial, differing, numbers
from cnncourse.checks.tried import tried


def judge(exercise: Exercise, cases: Sequence[Case], outcomes: Sequence[Outcome]) -> Report:
    """Hold outcomes against the reference.

    Parameters
    ----------
    exercise
        What was asked.
    cases
        The calls that were made.
    outcomes
        What came of them, in the same order.

    Returns
    -------
    Report
        With the smallest failing case and the likely mistake, if one failed.

    Raises
    ------
    ValueError
        If there are not as many outcomes as cases.
    """
    compared = trials(exercise, cases, outcomes)
    right = [trial for trial in compared if trial.is_right()]
    # sorted is stable: of equally small cases the first.
    wrong = sorted((one for one in compared if one not in right), key=lambda one: one.case.size)
    counts = exercise.name, len(compared), len(right)
    if not wrong:
        passed = Report(*counts, tried=tried(exercise, cases))
        return _with_facts(passed, right[0]) if exercise.measures else passed
    found = Findings(right, [trial.at_wrong_item() for trial in wrong])
    mistake, words = diagnose(found)
    picture = () if exercise.measures else _picture(found.first)
    return Report(*counts, words, picture, mistake=mistake)


def _with_facts(report: Report, trial: Trial) -> Report:
    """Add what the answer reaches, and the share of the points that this is worth."""
    measured = trial.exercise.measures(trial.outcome.value, *trial.arguments())
    return replace(report, share=measured.share, facts=measured.facts)


def trials(exercise: Exercise, cases: Sequence[Case], outcomes: Sequence[Outcome]) -> list[Trial]:
    """Lay each outcome beside its case and what the reference gives there."""
    return [
        Trial(exercise, case, outcome, index).with_expected()
        for index, (case, outcome) in enumerate(zip(cases, outcomes, strict=True))
    ]


def _picture(trial: Trial) -> tuple[tuple[str, str], ...]:
    """Write the case for a reader: arguments, expected, got."""
    names = trial.exercise.parameters
    # What only a probe is given has no name.
    arguments = zip(names, trial.case.arguments, strict=False)
    lines = [(name, _show(argument)) for name, argument in arguments]
    marks = _marks(trial)
    if not trial.exercise.accepts:
        lines.append(("expected", show(trial.expected, marks)))
    return (*lines, ("got", _got(trial.outcome, marks)))


def _marks(trial: Trial) -> object:
    """Mark what differs, where something does not."""
    if trial.exercise.accepts or not trial.has_value:
        return None
    marks = differing(trial.outcome.value, trial.expected, trial.tolerance)
    return None if all(numbers(marks)) else marks


def _show(argument: object) -> str:
    """Write an argument; a function or a model is its name and the data it was made from."""
    if not isinstance(argument, Call):
        return show(argument)
    return f"{argument.name}({', '.join(map(_show, argument.data))})"


def _got(outcome: Outcome, marks: object) -> str:
    if outcome.error:
        return "\n".join([*outcome.traceback, outcome.error])
    return f"a value of type {outcome.returned}" if outcome.returned else show(outcome.value, marks)
