"""Honest students lose no point; whoever goes around the watch earns none silently."""

from __future__ import annotations

from pathlib import Path

import pytest
from cnncourse_grader.grade import Options, grade
from cnncourse_grader.marks import Grade
from cnncourse_grader.reading import worth_a_look
from cnncourse_grader.sandbox import Limits
from honest import CUT, HELPED, HELPER, HONEST, cells
from submissions import CHECK, SECRET, SETUP, notebook
from tricks import SIGNS, TRICKS

from cnncourse import check
from cnncourse.checks.notebook import Notebook, read_notebook


@pytest.fixture(scope="module")
def grades(tmp_path_factory: pytest.TempPathFactory, bubblewrap: None) -> dict[str, Grade]:
    folder = tmp_path_factory.mktemp("honest")
    (folder / "submissions").mkdir()
    texts = {name: notebook(*cells(name)) for name in HONEST | CUT}
    texts |= {f"trick-{name}": notebook(SETUP, *sources) for name, sources in TRICKS.items()}
    for name, text in texts.items():
        (folder / "submissions" / f"{name}.ipynb").write_text(text)
    (folder / "submissions/two-files").mkdir()
    (folder / "submissions/two-files/helpers.py").write_text(HELPER)
    imports = notebook(SETUP, "from helpers import part", HELPED, CHECK)
    (folder / "submissions/two-files/03.ipynb").write_text(imports)
    done = grade(
        Options(
            folder / "submissions", folder / "out.csv", SECRET, [3], 2, limits=Limits(seconds=240)
        )
    )
    return {one.student.name: one for one in done}


def corr2d(grade: Grade) -> float:
    (mark,) = [one for one in grade.marks if one.exercise == "corr2d"]
    return mark.points / mark.most


@pytest.mark.grading
@pytest.mark.parametrize("name", HONEST)
def test_honest_answers_get_full_marks(grades: dict[str, Grade], name: str) -> None:
    grade = grades[name]
    assert (corr2d(grade), grade.status) == (1, "graded"), grade.failures
    assert grade.look == ()


@pytest.mark.grading
def test_a_module_beside_the_notebook_can_be_imported(grades: dict[str, Grade]) -> None:
    assert corr2d(grades["two-files"]) == 1


@pytest.mark.grading
@pytest.mark.parametrize("name", CUT)
def test_what_was_checked_before_the_end_counts(grades: dict[str, Grade], name: str) -> None:
    assert corr2d(grades[name]) == 1
    assert "its results have no end" in grades[name].status


@pytest.mark.grading
@pytest.mark.parametrize("name", TRICKS)
def test_tricks_earn_nothing_silently(grades: dict[str, Grade], name: str) -> None:
    grade = grades[f"trick-{name}"]
    assert corr2d(grade) == 0 or grade.look, grade


@pytest.mark.grading
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("forged-and-gone", "its results have no end"),
        ("forged-and-garbage", "something was written among its results"),
        ("forged-and-ended", "something was written behind the end of its results"),
    ],
)
def test_forged_results_are_named(grades: dict[str, Grade], name: str, says: str) -> None:
    assert says in grades[f"trick-{name}"].status


@pytest.mark.grading
@pytest.mark.parametrize("name", ["plain", "getattr", "of-the-course"])
def test_what_the_watch_sees_earns_nothing(grades: dict[str, Grade], name: str) -> None:
    assert corr2d(grades[f"trick-{name}"]) == 0


@pytest.mark.parametrize("name", ["plain", "of-the-course"])
def test_the_public_check_refuses_what_the_grade_refuses(name: str) -> None:
    namespace: dict = {}
    exec("import torch\n" + TRICKS[name][0], namespace)
    report = check("corr2d", namespace["corr2d"])
    assert not report.passed
    assert "Here that work is yours to do" in report.feedback


@pytest.mark.parametrize("source", SIGNS)
def test_words_of_a_way_around_the_watch_are_found(source: str) -> None:
    assert worth_a_look(Notebook("a.py", (source,)))


def test_a_word_in_a_notebook_is_worth_a_look() -> None:
    sources = ("x = 1", "import threading\nos.fork()", "exec(text)")
    assert worth_a_look(Notebook("a.py", sources)) == (
        "cell 2 of a.py, `threading`: what another thread or process calls is not seen",
        "cell 3 of a.py, `exec(`: names can be put together at run time",
    )


@pytest.mark.parametrize(
    "source",
    [
        "import os, sys, gc\ngc.collect()\nos.environ['X'] = '1'\nprint(sys.version)",
        "model.eval()\nmodel = torch.compile(model)\npattern = re.compile('x')",
        "if __name__ == '__main__': print(y.forward(x))",
        "class A:\n    def __init__(self): super().__init__()\n    def forward(self, x): return x",
    ],
)
def test_ordinary_words_are_not_worth_a_look(source: str) -> None:
    assert worth_a_look(Notebook("a.py", (source,))) == ()


def test_the_released_notebooks_are_not_worth_a_look() -> None:
    folder = Path(__file__).parents[2] / "book/exercises"
    released = [read_notebook(path.name, path.read_bytes()) for path in folder.glob("*.ipynb")]
    assert len(released) > 5
    assert [found for one in released for found in worth_a_look(one)] == []
