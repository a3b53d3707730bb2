"""Grading without trust: attacks earn nothing and reach nothing, honest work beside them is graded.

The attacks of attacks.py run in one go, side by side with honest submissions as in a real course,
and each test looks at one of them.
"""

from __future__ import annotations

import csv
import json
import os
import pickle
import re
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules

import pytest
import torch
from attacks import ABSENT, ATTACKS, CALLS, CHAPTERS, ENDLESS, SPIES, Host, numbers_of, submissions
from cnncourse_grader import sandbox, stripped, words
from cnncourse_grader.collect import Student
from cnncourse_grader.grade import Options, grade
from cnncourse_grader.marks import Grade
from cnncourse_grader.store import file_name
from running import command, family
from submissions import CHECK, RIGHT, SECRET, SETUP, STUB, notebook

import cnncourse

pytestmark = pytest.mark.grading

GENEROUS = sandbox.Limits(memory=1 << 30)
# For those that stop only at a limit on time.
SHORT = sandbox.Limits(seconds=6, step=1, memory=1 << 30)
HONEST = {
    "right": notebook(
        SETUP,
        "1 / 0",
        # What is hidden can still be imported.
        "\n".join(f"import cnncourse.{one.name}" for one in iter_modules(cnncourse.__path__)),
        "%matplotlib inline\n" + RIGHT.replace("corr2d", "mine"),
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])",
        "x = torch.nn.functional.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2))",
        '!ls\ncheck("corr2d", mine)',
    ),
    "mallory": notebook(
        SETUP, STUB, CHECK, metadata={"student": "right", "authors": [{"name": "right"}]}
    ),
}


@dataclass
class Course:
    """Graded collections, and what the attacks could have reached."""

    grades: dict[str, Grade]
    folder: Path
    outside: Path
    connections: int

    def mark(self, student: str, exercise: str = "corr2d") -> tuple[float, str]:
        """Return points and feedback."""
        marks = {mark.exercise: mark for mark in self.grades[student].marks}
        return marks[exercise].points, marks[exercise].feedback

    def page(self, student: str) -> str:
        return (self.folder / f"grades/feedback/{file_name(Student(student))}.html").read_text()


def write_course(folder: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "03.ipynb").write_text(text)
    return folder


def accepted(server: socket.socket) -> int:
    """Count the connections that wait."""
    for count in range(100):
        try:
            server.accept()[0].close()
        except BlockingIOError:
            return count
    return 100


@pytest.fixture(scope="module")
def unpicklable() -> Iterator[None]:
    """Nothing is unpickled while a course is graded."""

    def refuse(*values: object, **options: object) -> None:
        raise AssertionError("something was unpickled")

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in ((pickle, "loads"), (pickle, "load"), (torch, "load")):
            patch.setattr(owner, name, refuse)
        yield


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory, bubblewrap: None, unpicklable: None) -> Course:
    folder = tmp_path_factory.mktemp("course")
    outside = folder / "outside"
    outside.mkdir()
    (outside / "private.txt").write_text("private")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        host = Host(str(outside), server.getsockname()[1], SECRET, numbers_of(CALLS))
        grades = []
        for name, texts, chapters, limits in (
            ("grades", HONEST | submissions(ATTACKS, host), CHAPTERS, GENEROUS),
            ("endless", submissions(ENDLESS, host), [3], SHORT),
        ):
            handed_in = write_course(folder / f"submissions-{name}", texts)
            out = folder / f"{name}.csv"
            grades += grade(Options(handed_in, out, SECRET, chapters, jobs=2, limits=limits))
        return Course({g.student.name: g for g in grades}, folder, outside, accepted(server))


def test_right_answers_get_their_points_whatever_stands_around_them(course: Course) -> None:
    points, feedback = course.mark("right")
    assert points == 1
    assert "corr2d: passed" in feedback


def test_failed_cells_are_reported(course: Course) -> None:
    failures = course.grades["right"].failures
    assert failures == ("03.ipynb, cell 2: ZeroDivisionError: division by zero",)


def test_the_name_of_the_folder_counts_and_not_the_metadata(course: Course) -> None:
    assert course.grades["mallory"].total == 0
    assert course.grades["right"].total == 1


@pytest.mark.parametrize("name", ATTACKS | ENDLESS)
def test_attacks_earn_nothing(course: Course, name: str) -> None:
    attack = (ATTACKS | ENDLESS)[name]
    student = attack.shared or name
    points, feedback = course.mark(student, attack.exercise)
    assert points == 0
    assert course.grades[student].total == 0
    assert re.search(attack.says, feedback + course.grades[student].status), feedback


def test_attacks_that_share_a_notebook_answer_other_exercises() -> None:
    places = [(one.shared, one.exercise) for one in (ATTACKS | ENDLESS).values() if one.shared]
    assert len(set(places)) == len(places)


def test_no_process_is_left_over(course: Course) -> None:
    assert family(os.getpid()) == []


def test_nothing_outside_is_touched(course: Course) -> None:
    assert [path.name for path in course.outside.iterdir()] == ["private.txt"]
    assert not list(Path("/").glob("*/planted.txt")) + list(stripped.PACKAGE.rglob("planted.txt"))


def test_the_host_is_not_reached_through_the_network(course: Course) -> None:
    assert course.connections == 0


def test_words_of_a_submission_are_escaped_in_the_page(course: Course) -> None:
    text = course.page("quiet")
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert "<img" not in text


# The same attacks where there is no sandbox. If they found nothing here either, the tests above
# would be worth nothing.


@pytest.fixture(scope="module")
def unprotected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    """Run the spies without a sandbox, by the command line, in a folder that is open to all."""
    folder = tmp_path_factory.mktemp("unprotected")
    with (
        tempfile.TemporaryDirectory() as outside,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        Path(outside).chmod(0o777)
        Path(outside, "notes.txt").write_text(SECRET)
        server.setblocking(False)
        port = server.getsockname()[1]
        host = Host(outside, port, SECRET, numbers_of(CALLS), places=(), haunts=(outside,))
        handed_in = write_course(folder / "submissions", submissions(SPIES, host))
        out = folder / "grades.csv"
        how = ["--seed", SECRET, "--out", out, "--no-sandbox", "--timeout", 240, "--chapters"]
        done = command(handed_in, *how, *CHAPTERS)
        assert done.returncode == 0, done.stderr
        texts = (folder / "grades/json").glob("*.json")
        grades = [Grade.from_dict(json.loads(path.read_text())) for path in texts]
        yield Course({g.student.name: g for g in grades}, folder, Path(outside), accepted(server))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("seed", "cmdline"),
        ("seed", "notes.txt"),
        ("network", "127.0.0.1"),
        ("outside", "read "),
        ("kernel", "comm"),
        ("kernel", "memfd_create"),
        ("kernel", "NETLINK"),
    ],
)
def test_without_a_sandbox_the_same_attacks_find_what_they_look_for(
    unprotected: Course, name: str, found: str
) -> None:
    _, feedback = unprotected.mark("quiet", ATTACKS[name].exercise)
    assert "found: " in feedback
    assert found in feedback


def test_without_a_sandbox_the_host_is_reached(unprotected: Course) -> None:
    assert unprotected.connections > 0
    assert (unprotected.outside / "planted.txt").exists()


@pytest.mark.parametrize("name", ABSENT)
def test_what_is_absent_in_the_sandbox_is_here(name: str) -> None:
    assert find_spec(name)


def test_without_a_sandbox_every_report_warns(unprotected: Course) -> None:
    rows = list(csv.DictReader((unprotected.folder / "grades.csv").read_text().splitlines()))
    assert all(words.UNPROTECTED in row["status"] for row in rows)
    assert words.UNPROTECTED in unprotected.page("quiet")
    path = next((unprotected.folder / "grades/json").glob("quiet*"))
    assert json.loads(path.read_text())["warning"] == words.UNPROTECTED
