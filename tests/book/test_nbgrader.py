"""nbgrader's own route, as book/instructors/assign.md tells it, on four submissions.

The configuration is the one on the page. nbgrader runs from the command line in a course folder of
its own, with a gradebook that it makes itself.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools.exercises import ROOT, instructor_version

pytestmark = pytest.mark.grading

SOURCE = ROOT / "exercises/03_cross_correlation.md"
PAGE = ROOT / "book/instructors/assign.md"
NAME = f"{SOURCE.stem}.ipynb"
SECRET = "correct-horse-battery-staple"
SEEN = 'import os\n\nprint("seed:", os.environ["CNNCOURSE_SEED"])'
FLIP = ("i : i + kh, j : j + kw] * kernel)", "i : i + kh, j : j + kw] * kernel.flip(0, 1))")


WARNS = ("def corr2d(x, kernel):\n", "def corr2d(x, kernel):\n    kernel = torch.tensor(kernel)\n")


def nbgrader(course: Path, *words: str) -> str:
    """Run nbgrader as in an active environment: it looks for its helpers on the PATH."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "CNNCOURSE_SEED": SECRET,
        "HOME": str(course),
        "IPYTHONDIR": str(course / "ipython"),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "nbgrader", *words]
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def configuration() -> str:
    (text,) = re.findall(r"```python\n(c = get_config\(\)\n.*?)```", PAGE.read_text("utf-8"), re.S)
    return text


def hand_in(course: Path, student: str, notebook: nbformat.NotebookNode) -> None:
    folder = course / "submitted" / student / "03"
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / NAME)


def released(course: Path) -> nbformat.NotebookNode:
    return nbformat.read(course / "release/03" / NAME, as_version=4)


def solved(course: Path) -> nbformat.NotebookNode:
    """Fill the answers into what the student was given, as a student would."""
    notebook = released(course)
    answers = {c.metadata.nbgrader.grade_id: c.source for c in graded(instructor_version(SOURCE))}
    for cell in graded(notebook):
        if cell.metadata.nbgrader.solution:
            lines = answers[cell.metadata.nbgrader.grade_id].splitlines()
            cell.source = "\n".join(line for line in lines if "### " not in line)
    return notebook


def graded(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if "nbgrader" in cell.metadata]


def correct(course: Path) -> nbformat.NotebookNode:
    notebook = solved(course)
    notebook.cells.append(nbformat.v4.new_code_cell(SEEN))
    return notebook


def with_corr2d(course: Path, *change: str) -> nbformat.NotebookNode:
    """Change a line of a right corr2d."""
    notebook = solved(course)
    (cell,) = [cell for cell in notebook.cells if cell.source.startswith("def corr2d(")]
    assert change[0] in cell.source
    cell.source = cell.source.replace(*change)
    return notebook


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grade four submissions, from the source to the exported table."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "nbgrader_config.py").write_text(configuration(), "utf-8")
    (folder / "source/03").mkdir(parents=True)
    nbformat.write(instructor_version(SOURCE), folder / "source/03" / NAME)
    nbgrader(folder, "generate_assignment", "03")
    hand_in(folder, "correct", correct(folder))
    # Flip the kernel of corr2d, on which convolve2d rests.
    hand_in(folder, "wrong", with_corr2d(folder, *FLIP))
    hand_in(folder, "warns", with_corr2d(folder, *WARNS))
    hand_in(folder, "empty", released(folder))
    nbgrader(folder, "autograde", "03")
    nbgrader(folder, "export")
    yield folder
    shutil.rmtree(folder)


def test_release_holds_stubs_and_no_solution(course):
    text = nbformat.writes(released(course))
    assert text.count("raise NotImplementedError") == 8
    assert [w for w in ("BEGIN ", "Rubric", "CNNCOURSE_SEED", "new_zeros") if w in text] == []


def test_points_of_the_assignment_are_those_of_the_source(course):
    cells = graded(instructor_version(SOURCE))
    points = [c.metadata.nbgrader.points for c in cells if c.metadata.nbgrader.grade]
    assert {float(row["max_score"]) for row in exported(course).values()} == {sum(points)}


# Written answers wait for a person, so the functions' points are all there is: 14. A flipped kernel
# costs those of corr2d and of convolve2d, which calls it: 1 + 1.
@pytest.mark.parametrize(
    ("student", "score"), [("correct", 14), ("warns", 14), ("wrong", 12), ("empty", 0)]
)
def test_export_has_the_score(course, student, score):
    assert float(exported(course)[student]["score"]) == score


def exported(course: Path) -> dict[str, dict[str, str]]:
    with (course / "grades.csv").open(encoding="utf-8", newline="") as file:
        return {row["student_id"]: row for row in csv.DictReader(file)}


def outputs(course: Path, student: str) -> str:
    path = course / "autograded" / student / "03" / NAME
    return "\n".join(str(c.get("outputs", "")) for c in nbformat.read(path, as_version=4).cells)


def test_wrong_submission_is_told_its_mistake(course):
    assert "kernel looks flipped" in outputs(course, "wrong")


def test_empty_submission_stops_at_the_hidden_tests(course):
    """The check itself only reports that nothing is written; what nbgrader runs stops."""
    assert "○ corr2d: nothing written yet" in outputs(course, "empty")
    assert "NotImplementedError" not in outputs(course, "empty")


def test_submission_sees_the_seed_as_the_guide_warns(course):
    assert f"seed: {SECRET}" in outputs(course, "correct")


def test_warning_of_an_answer_is_shown_and_costs_nothing(course):
    assert "recommended to use sourceTensor" in outputs(course, "warns")


@pytest.mark.parametrize(
    ("student", "says"),
    [("correct", "Success!"), ("wrong", "VALIDATION FAILED"), ("empty", "VALIDATION FAILED")],
)
def test_validate_tells_wrong_from_right(course, student, says):
    said = nbgrader(course, "validate", f"submitted/{student}/03/{NAME}")
    assert says in said
    assert "cannot be converted to a float" not in said
