"""One mistake does not cost twice: a later exercise is judged with the earlier answer replaced."""

from __future__ import annotations

from pathlib import Path

import pytest
from cnncourse_grader.earlier import ANSWERS, called
from cnncourse_grader.grade import Options, grade
from cnncourse_grader.marks import Grade, Mark
from cnncourse_grader.sandbox import Limits
from submissions import CHECK, FLIPPED, RIGHT, SECRET, SETUP, STUB, notebook

from cnncourse import check
from cnncourse.checks import exercises

CONVOLVE = """\
def convolve2d(x, kernel):
    kh, kw = kernel.shape
    padded = x.new_zeros(x.shape[0] + 2 * (kh - 1), x.shape[1] + 2 * (kw - 1))
    padded[kh - 1 : kh - 1 + x.shape[0], kw - 1 : kw - 1 + x.shape[1]] = x
    return corr2d(padded, kernel.flip(0, 1))
"""
CHECKED = 'check("convolve2d", convolve2d)'
CLASS = {
    "right": [RIGHT, CHECK, CONVOLVE, CHECKED],
    "colon": [RIGHT.replace("kernel):", "kernel)"), CHECK, CONVOLVE, CHECKED],
    "flipped": [FLIPPED, CHECK, CONVOLVE, CHECKED],
    "stub": [STUB, CHECK, CONVOLVE, CHECKED],
    "both-wrong": [FLIPPED, CHECK, CONVOLVE.replace(".flip(0, 1)", ".flip(0)"), CHECKED],
    "nothing": [STUB, CHECK],
}


@pytest.mark.parametrize("name", ANSWERS)
def test_plain_answers_are_right(name: str) -> None:
    namespace: dict = {}
    exec(ANSWERS[name], namespace)
    assert check(name, namespace[name], seed=SECRET).passed


def test_each_is_for_an_exercise_that_may_be_called() -> None:
    found = {one.name: called(one) for one in exercises().values()}
    assert set(found.values()) == {"", *ANSWERS}
    assert (found["convolve2d"], found["min_pool2d"]) == ("corr2d", "max_pool2d")


@pytest.fixture(scope="module")
def grades(tmp_path_factory: pytest.TempPathFactory, bubblewrap: None) -> dict[str, Grade]:
    folder: Path = tmp_path_factory.mktemp("earlier")
    (folder / "submissions").mkdir()
    for name, cells in CLASS.items():
        (folder / "submissions" / f"{name}.ipynb").write_text(notebook(SETUP, *cells))
    options = Options(
        folder / "submissions", folder / "out.csv", SECRET, [3], 2, limits=Limits(seconds=240)
    )
    return {one.student.name: one for one in grade(options)}


def mark(grade: Grade, exercise: str) -> Mark:
    (found,) = [one for one in grade.marks if one.exercise == exercise]
    return found


@pytest.mark.grading
@pytest.mark.parametrize("name", ["colon", "flipped", "stub"])
def test_a_mistake_in_an_earlier_answer_costs_once(grades: dict[str, Grade], name: str) -> None:
    assert mark(grades[name], "corr2d").points == 0
    later = mark(grades[name], "convolve2d")
    assert later.points == later.most
    assert "Your `corr2d` is not right yet" in later.feedback
    assert "<code>corr2d</code> is not right yet" in later.html


@pytest.mark.grading
def test_a_mistake_of_its_own_still_costs(grades: dict[str, Grade]) -> None:
    later = mark(grades["both-wrong"], "convolve2d")
    assert later.points == 0
    assert "Your `corr2d` is not right yet" in later.feedback


@pytest.mark.grading
@pytest.mark.parametrize("name", ["right", "nothing"])
def test_others_are_judged_once(grades: dict[str, Grade], name: str) -> None:
    texts = " ".join(one.feedback for one in grades[name].marks)
    assert "is not right yet" not in texts


@pytest.mark.grading
def test_right_answers_keep_their_points(grades: dict[str, Grade]) -> None:
    assert mark(grades["right"], "corr2d").points == mark(grades["right"], "corr2d").most
    assert mark(grades["right"], "convolve2d").points > 0
