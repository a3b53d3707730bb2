"""Grading without trust: attacks earn nothing and reach nothing, honest work is graded the same.

The attacks are in tests/submissions. They run in one go, side by side as in a real course, and
each test looks at one of them. Bubblewrap must be installed: without it these tests fail.
"""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
import torch
from cnncourse_grader import release, sandbox, stripped, wire
from cnncourse_grader.answers import TAMPERED, read_answers
from cnncourse_grader.assignment import Assignment, assigned_chapters, exercises_of
from cnncourse_grader.collect import Student, collect
from cnncourse_grader.feedback import page
from cnncourse_grader.grade import (
    UNPROTECTED,
    EnvironmentProblemError,
    Options,
    digest_of,
    grade,
)
from cnncourse_grader.marks import Grade, Mark
from cnncourse_grader.reading import forbidden_calls
from cnncourse_grader.store import Store, file_name, write
from submissions import (
    CHECK,
    FLIPPED,
    RIGHT,
    SETUP,
    STUB,
    WINDOWS,
    attacks,
    notebook,
    solved,
    write_zip,
)

import cnncourse
from cnncourse import checks
from cnncourse.checks.exercise import Call
from cnncourse.checks.given.shift import zeros_come_in
from cnncourse.checks.notebook import LARGEST_FILE, UnreadableError, read_notebook
from cnncourse.checks.run import Outcome

SECRET = "correct-horse-battery-staple"
LIMITS = sandbox.Limits(seconds=20, step=2, memory=1 << 30)
HONEST = {
    "right": solved(),
    "flipped": solved(FLIPPED),
    "stub": solved(STUB),
    "after-a-crash": notebook(SETUP, "1 / 0", "%matplotlib inline\n" + RIGHT, "!ls\n" + CHECK),
    "other-name": notebook(SETUP, RIGHT.replace("corr2d", "mine"), 'check("corr2d", mine)'),
    "compares-with-torch": notebook(
        SETUP,
        RIGHT,
        "x = torch.nn.functional.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2))",
    ),
    "plots": notebook(SETUP, "import matplotlib.pyplot as plt\nplt.plot([1, 2])", RIGHT, CHECK),
    "mallory": notebook(
        SETUP, STUB, CHECK, metadata={"student": "right", "authors": [{"name": "right"}]}
    ),
}


@pytest.fixture(scope="module", autouse=True)
def _bubblewrap() -> None:
    """Without a sandbox, skip with what to install, and fail in CI; macOS has none."""
    if reason := sandbox.missing():
        stop = pytest.fail if os.environ.get("CI") else pytest.skip
        stop(f"the tests of grading need a working bubblewrap. {reason}")


@dataclass
class Course:
    """A graded collection, and what the attacks could have reached."""

    grades: dict[str, Grade]
    out: Path
    outside: Path
    connections: int

    def mark(self, name: str) -> tuple[float, str]:
        """Return points and feedback for corr2d."""
        mark = self.grades[name].marks[0]
        return mark.points, mark.feedback


def runners() -> list[str]:
    """List the processes that run submissions."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_text(errors="replace")
        except OSError:
            continue
        if "cnncourse_grader.inside" in text:
            found.append(text)
    return found


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    folder = tmp_path_factory.mktemp("course")
    submissions, outside = folder / "submissions", folder / "outside"
    submissions.mkdir()
    outside.mkdir()
    (outside / "private.txt").write_text("private")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        bad = attacks(outside, server.getsockname()[1], SECRET)
        for name, text in (HONEST | bad).items():
            (submissions / name).mkdir()
            (submissions / name / "03.ipynb").write_text(text)
        out = folder / "grades.csv"
        options = Options(submissions, out, SECRET, chapters=[3], jobs=2, limits=LIMITS)
        grades = grade(options)
        yield Course({g.student.name: g for g in grades}, out, outside, accepted(server))


def accepted(server: socket.socket) -> int:
    """Count the connections that wait."""
    for count in range(100):
        try:
            server.accept()[0].close()
        except BlockingIOError:
            return count
    return 100


def feedback_page(course: Course, name: str) -> str:
    path = course.out.parent / "grades/feedback" / f"{file_name(Student(name))}.html"
    return path.read_text()


# Honest submissions


@pytest.mark.parametrize(
    "name", ["right", "after-a-crash", "other-name", "compares-with-torch", "plots"]
)
def test_right_answers_get_their_points(course: Course, name: str) -> None:
    assert course.mark(name) == (2, "corr2d: passed (8 of 8 cases right)")


def test_wrong_answers_get_no_points_and_the_diagnosis(course: Course) -> None:
    points, feedback = course.mark("flipped")
    assert points == 0
    assert "kernel looks flipped" in feedback


def test_stubs_are_called_not_solved_yet(course: Course) -> None:
    assert course.mark("stub") == (0, "corr2d: Not solved yet: the answer is still the empty stub.")


def test_failed_cells_are_reported(course: Course) -> None:
    failures = course.grades["after-a-crash"].failures
    assert failures == ("03.ipynb, cell 2: ZeroDivisionError: division by zero",)


def test_the_name_of_the_folder_counts_and_not_the_metadata(course: Course) -> None:
    assert course.grades["mallory"].total == 0
    assert course.grades["right"].total == 2


# Attacks

WHY = {
    "endless-cell": "shape is",
    "endless-answer": "took too long",
    "endless-stubborn": "it took more than 20 seconds",
    "exit-in-cell": "No answer came back",
    "exit-in-answer": "No answer came back",
    "exit-by-signal": "signal 9|exit code 137",
    "fork-bomb": "more than 64 processes|more than 1024 MB",
    "thread-bomb": "",
    "memory-bomb": "no answer of this name|more than 1024 MB|stopped",
    "memory-bomb-in-answer": "",
    "memory-of-many": "more than 1024 MB of memory",
    "output": "shape is",
    "result": "it returned more than 64 MB",
    "large-value": "too many numbers",
    "large-file": "shape is",
    "patched-torch": "",
    "patched-runner": "names `torch.nn.functional.conv2d`",
    "equal-to-everything": "type Yes",
    "equal-tensor": "type Yes",
    "forbidden": "calls `torch.conv2d`",
    "forged-results": TAMPERED,
    "malformed-results": "No answer came back",
    "script-in-error": "ValueError",
    "seed": "nothing found",
    "outside": "nothing found",
    "network": "nothing found",
    "pickle": "",
    "answer-in-package": "not there while a notebook is graded",
    "answer-elsewhere": "nothing found",
    "limits": "nothing found",
}


def test_every_attack_is_looked_at(tmp_path: Path) -> None:
    assert attacks(tmp_path, 1, "").keys() == WHY.keys()


@pytest.mark.parametrize("name", WHY)
def test_attacks_earn_nothing(course: Course, name: str) -> None:
    points, feedback = course.mark(name)
    assert points == 0
    assert course.grades[name].total == 0
    assert re.search(WHY[name], feedback + course.grades[name].status), feedback


def test_no_process_is_left_over(course: Course) -> None:
    assert runners() == []


def test_nothing_outside_is_touched(course: Course) -> None:
    assert [path.name for path in course.outside.iterdir()] == ["private.txt"]
    assert not list(Path("/").glob("*/planted.txt")) + list(stripped.PACKAGE.rglob("planted.txt"))


def test_the_host_is_not_reached_through_the_network(course: Course) -> None:
    assert course.connections == 0


def test_words_of_a_submission_are_escaped_in_the_page(course: Course) -> None:
    text = feedback_page(course, "script-in-error")
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert "<img" not in text


@pytest.fixture(scope="module")
def unprotected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    """Run the three attacks that look around without a sandbox, by the command line."""
    tmp_path = tmp_path_factory.mktemp("unprotected")
    outside = tmp_path / "outside"
    outside.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        bad = attacks(outside, server.getsockname()[1], SECRET, places=())
        folder = tmp_path / "submissions"
        folder.mkdir()
        for name in ("seed", "network", "outside"):
            (folder / f"{name}.ipynb").write_text(bad[name])
        out = tmp_path / "grades.csv"
        words = ["grade", folder, "--seed", SECRET, "--out", out, "--chapters", "3", "--no-sandbox"]
        done = command(*words)
        assert done.returncode == 0, done.stderr
        texts = (tmp_path / "grades/json").glob("*.json")
        grades = [Grade.from_dict(json.loads(path.read_text())) for path in texts]
        yield Course({g.student.name: g for g in grades}, out, outside, accepted(server))


def command(*words: object) -> subprocess.CompletedProcess:
    line = [sys.executable, "-m", "cnncourse.cli", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300)


def test_without_a_sandbox_the_same_attacks_find_what_they_look_for(unprotected: Course) -> None:
    """The tests above would be worth nothing if these attacks could not succeed anywhere."""
    assert "cmdline" in unprotected.mark("seed")[1]
    assert "found: " in unprotected.mark("network")[1]
    assert unprotected.connections > 0
    assert "found: " in unprotected.mark("outside")[1]
    assert (unprotected.outside / "planted.txt").exists()


def test_without_a_sandbox_every_report_warns(unprotected: Course) -> None:
    rows = list(csv.DictReader(unprotected.out.read_text().splitlines()))
    assert all(UNPROTECTED in row["status"] for row in rows)
    assert UNPROTECTED in feedback_page(unprotected, "seed")
    path = next((unprotected.out.parent / "grades/json").glob("seed*"))
    assert json.loads(path.read_text())["warning"] == UNPROTECTED


def test_a_forked_notebook_finds_no_secret_in_its_request() -> None:
    request = Assignment.draw(exercises_of([3]), SECRET).request(
        read_notebook("a.py", b"x = 1"), LIMITS
    )
    assert SECRET.encode() not in request
    text = json.dumps([str(value) for value in vars(LIMITS).items()])
    assert SECRET not in text


def test_pickles_are_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    def refuse(*values: object, **options: object) -> None:
        raise AssertionError("something was unpickled")

    for owner, name in ((pickle, "loads"), (pickle, "load"), (torch, "load")):
        monkeypatch.setattr(owner, name, refuse)
    folder = tmp_path / "submissions"
    folder.mkdir()
    (folder / "eve.ipynb").write_text(attacks(tmp_path, 1, "")["pickle"])
    (result,) = grade(Options(folder, tmp_path / "grades.csv", SECRET, chapters=[3], limits=LIMITS))
    assert result.total == 0
    assert not (tmp_path / "unpickled.txt").exists()


# The same results whatever the way

CLASS = {"ann": RIGHT, "bo": FLIPPED, "cy": STUB, "di": WINDOWS}


@pytest.fixture(scope="module")
def small_class(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("class")
    for name, answer in CLASS.items():
        (folder / f"{name}.ipynb").write_text(solved(answer))
    return folder


@pytest.fixture(scope="module")
def two_workers(small_class: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("two") / "grades.csv"
    grade(Options(small_class, out, SECRET, jobs=2))
    return contents(out)


def contents(out: Path) -> dict[str, str]:
    """Return every report of a run by name."""
    files = [out, *sorted(out.parent.glob("grades/*/*"))]
    return {path.relative_to(out.parent).as_posix(): path.read_text() for path in files}


def test_a_killed_run_goes_on_and_ends_like_any_other(
    small_class: Path, two_workers: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "grades.csv"
    words = ["grade", small_class, "--seed", SECRET, "--out", out, "--jobs", 1]
    line = [sys.executable, "-m", "cnncourse.cli", *map(str, words)]
    with subprocess.Popen(line, stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: len(list(tmp_path.glob("grades/json/[!.]*"))) >= 1)
        wait_for(lambda: runners() or process.poll() is not None)
        process.send_signal(signal.SIGKILL)
    wait_for(lambda: not runners(), seconds=5)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("grades/*/[!.]*")}
    assert 1 <= len(list(tmp_path.glob("grades/json/[!.]*"))) < len(CLASS)
    assert command(*words, "--resume").returncode == 0
    assert contents(out) == two_workers
    assert [path for path, written in before.items() if path.stat().st_mtime_ns != written] == []


def wait_for(condition: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_dask_workers_give_the_same_results(
    small_class: Path, two_workers: dict[str, str], tmp_path: Path
) -> None:
    distributed = pytest.importorskip("distributed")
    out = tmp_path / "grades.csv"
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as cluster:
        grade(Options(small_class, out, SECRET, dask=cluster.scheduler_address))
    assert contents(out) == two_workers


def test_table_has_a_row_for_each_student(two_workers: dict[str, str]) -> None:
    rows = list(csv.DictReader(two_workers["grades.csv"].splitlines()))
    assert [(row["student"], row["corr2d"], row["status"]) for row in rows] == [
        ("ann", "2", "graded"),
        ("bo", "0", "graded"),
        ("cy", "0", "graded"),
        ("di", "2", "graded"),
    ]
    most = sum(one.points for one in exercises_of([3]))
    assert {row["max"] for row in rows} == {str(most)}


class Outline(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append((tag, dict(attributes)))


def test_feedback_page_is_whole_and_reaches_no_other_host(two_workers: dict[str, str]) -> None:
    page = next(text for name, text in two_workers.items() if "feedback/bo" in name)
    tags = Outline(page).tags
    names = [tag for tag, _ in tags]
    assert ("html", {"lang": "en"}) in tags
    assert names.count("h1") == names.count("main") == names.count("title") == 1
    assert all("scope" in attributes for tag, attributes in tags if tag == "th")
    assert not {"script", "link", "img", "iframe"} & set(names)
    assert "://" not in page
    assert "kernel looks flipped" in page


# Resume and its limits


def options(folder: Path, submissions: Path, **changes: object) -> Options:
    return replace(Options(submissions, folder / "grades.csv", SECRET, chapters=[3]), **changes)


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Return a folder with a finished run over one refused submission, which needs no sandbox."""
    folder = tmp_path / "submissions"
    folder.mkdir()
    (folder / "ann.ipynb").write_text("{")
    grade(options(tmp_path, folder))
    return folder


def test_results_are_not_overwritten_without_resume(finished: Path) -> None:
    with pytest.raises(ValueError, match="add --resume"):
        grade(options(finished.parent, finished))


def test_resume_refuses_another_seed(finished: Path) -> None:
    with pytest.raises(ValueError, match="--seed"):
        grade(options(finished.parent, finished, resume=True, seed="another"))


def test_resume_refuses_other_protection(finished: Path) -> None:
    with pytest.raises(ValueError, match="warning"):
        grade(options(finished.parent, finished, resume=True, protected=False))


def test_resume_grades_a_changed_submission_anew(finished: Path) -> None:
    (finished / "ann.ipynb").write_text("[]")
    (result,) = grade(options(finished.parent, finished, resume=True))
    assert "no list of cells" in result.status


def test_resume_grades_a_half_written_result_anew(finished: Path) -> None:
    (path,) = (finished.parent / "grades/json").iterdir()
    path.write_text(path.read_text()[:100])
    grade(options(finished.parent, finished, resume=True))
    assert Grade.from_dict(json.loads(path.read_text())).student == Student("ann")


def test_the_seed_stands_in_no_report(finished: Path) -> None:
    files = [path for path in finished.parent.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if SECRET in path.read_text()]


# The environment


def test_missing_bubblewrap_is_refused_with_the_way_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    with pytest.raises(EnvironmentProblemError, match="apt install bubblewrap"):
        grade(options(tmp_path, tmp_path))


def test_forbidden_user_namespaces_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text(
        "#!/bin/sh\n[ $1 = --version ] && echo bubblewrap 0.9.0 && exit\n"
        "echo bwrap: No permissions to create new namespace >&2; exit 1\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    reason = sandbox.missing()
    assert "No permissions to create new namespace" in reason
    assert "--no-sandbox" in reason


def test_old_bubblewrap_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho bubblewrap 0.6.1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert "0.8 is needed" in sandbox.missing()


def test_a_machine_that_starts_nothing_is_no_bad_grade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ann.ipynb").write_text(solved())
    monkeypatch.setattr(sandbox, "_inside", lambda python: ["/no/such/python"])
    with pytest.raises(EnvironmentProblemError, match="did not start"):
        grade(options(tmp_path / "out", tmp_path))


def test_sandbox_shows_no_solution() -> None:
    packages = [name for _, name in sandbox._packages()]
    assert "/packages/torch" in packages
    assert not {"/packages/cnncourse", "/packages/d2l", "/packages/scipy"} & set(packages)


def test_stripped_package_holds_no_reference_and_no_hint(tmp_path: Path) -> None:
    stripped.write(tmp_path, with_data=False)
    text = "\n".join(path.read_text() for path in tmp_path.rglob("*.py"))
    for name in checks.names():
        exercise = checks.find(name)
        assert not [hint for hint in exercise.hints if hint in text]
        assert not [one for one in exercise.mistakes if one.diagnosis in text]
    assert "def conv2d" not in text
    assert "def corr2d(" not in text


def test_every_exercise_can_cross_into_the_sandbox() -> None:
    chapters = sorted({checks.find(name).chapter for name in checks.names()})
    assignment = Assignment.draw(exercises_of(chapters), SECRET)
    assert assignment.request(read_notebook("a.py", b""), LIMITS)


def test_what_is_given_to_one_exercise_is_no_answer_to_another() -> None:
    assert not checks.check("translate", zeros_come_in()).passed


def test_solutions_of_every_chapter_get_all_points(tmp_path: Path) -> None:
    """What the sandbox hides, limits and forbids must not cost a right answer its points."""
    tool = release._tool(Path(__file__).resolve().parents[2])
    (tmp_path / "submissions").mkdir()
    for path in tool.sources():
        text = nbformat.writes(tool.instructor_version(path))
        (tmp_path / f"submissions/chapter-{path.name[:2]}.ipynb").write_text(text)
    chapters = [int(path.name[:2]) for path in tool.sources()]
    folder, out = tmp_path / "submissions", tmp_path / "grades.csv"
    grades = grade(Options(folder, out, SECRET, chapters=chapters, jobs=2))
    for one in grades:
        chapter = int(one.student.name[-2:])
        wanted = {exercise.name for exercise in exercises_of([chapter])}
        lost = [m.feedback for m in one.marks if m.exercise in wanted and m.points < m.most]
        assert lost == []
        assert one.failures == ()


def test_functions_of_a_chapter_do_not_cross_into_the_sandbox() -> None:
    exercise = replace(checks.find("corr2d"), functions={"answer": checks.find("corr2d").reference})
    with pytest.raises(ValueError, match=r"cnncourse\.checks\.given"):
        Assignment((exercise,), {"corr2d": []}).request(read_notebook("a.py", b""), LIMITS)


# Collecting


def test_collect_reads_folders_and_files(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann/03.ipynb").write_text(solved())
    (tmp_path / "ann/notes.txt").write_text("")
    (tmp_path / "bo.ipynb").write_text(solved())
    (tmp_path / "cy").mkdir()
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / "readme.txt").write_text("")
    found = {one.student.name: one for one in collect(tmp_path)}
    assert list(found) == ["ann", "bo", "cy"]
    assert found["ann"].notebooks[0].cells[1] == RIGHT
    assert found["cy"].refused == "no notebook was handed in"


MOODLE = "Zoë Lee_123_assignsubmission_file_/03.ipynb"
CANVAS = "leezoe_LATE_77_900_03.ipynb"


@pytest.mark.parametrize(
    ("name", "student"),
    [
        (MOODLE, Student("Zoë Lee", "123")),
        ("Zoë Lee_123_assignsubmission_file_03.ipynb", Student("Zoë Lee", "123")),
        (CANVAS, Student("leezoe", "77")),
        ("leezoe_77_900_03.ipynb", Student("leezoe", "77")),
        ("zoe/03.ipynb", Student("zoe")),
        ("zoe.ipynb", Student("zoe")),
        ("all/zoe/03.ipynb", Student("zoe")),
    ],
)
def test_collect_reads_names_of_learning_platforms(
    tmp_path: Path, name: str, student: Student
) -> None:
    path = write_zip(tmp_path / "all.zip", {name: solved()})
    (submission,) = collect(path)
    assert submission.student == student
    assert submission.refused == ""
    assert submission.notebooks[0].cells[1] == RIGHT


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("eve/../../evil.ipynb", "leads out of the folder"),
        ("eve/..\\..\\evil.ipynb", "leads out of the folder"),
        ("/eve/evil.ipynb", "leads out of the folder"),
        ("C:/eve/evil.ipynb", "leads out of the folder"),
    ],
)
def test_collect_refuses_paths_that_lead_out(tmp_path: Path, name: str, reason: str) -> None:
    path = write_zip(tmp_path / "all.zip", {name: solved(), "ann/03.ipynb": solved()})
    refused = [one for one in collect(path) if one.refused]
    assert len(refused) == 1
    assert reason in refused[0].refused
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["all.zip"]
    assert [one.student.name for one in collect(path) if not one.refused] == ["ann"]


def test_collect_refuses_links_in_a_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "all.zip", {"eve/03.ipynb": "/etc/passwd"}, links=("eve/03.ipynb",))
    assert [one.refused for one in collect(path)] == ["03.ipynb is a link"]


def test_collect_refuses_links_and_pipes_in_a_folder(tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "folder").mkdir(parents=True)
    (other / "answer.ipynb").write_text(solved())
    folder = tmp_path / "submissions"
    for name in ("eve", "fay", "gus"):
        (folder / name).mkdir(parents=True)
    (folder / "eve/03.ipynb").symlink_to(other / "answer.ipynb")
    (folder / "fay/more").symlink_to(other)
    os.mkfifo(folder / "gus/03.ipynb")
    (folder / "hal").symlink_to(other)
    (folder / "ida.ipynb").symlink_to(other / "answer.ipynb")
    assert [(one.student.name, one.refused) for one in collect(folder)] == [
        ("eve", "03.ipynb is a link"),
        ("fay", "more is a link"),
        ("gus", "03.ipynb is not a plain file"),
        ("hal", "hal is a link"),
        ("ida", "ida.ipynb is a link"),
    ]


def test_collect_refuses_huge_members_without_unpacking_them(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "all.zip", {"eve/03.ipynb": b" " * (LARGEST_FILE * 20)})
    assert path.stat().st_size < 1 << 20
    (submission,) = collect(path)
    assert submission.refused == "03.ipynb is larger than 10 MB"


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "@SUM(1)", "x" * 200, "a\x1b[2Jb", "a<b>"])
def test_collect_refuses_names_that_could_do_harm(tmp_path: Path, name: str) -> None:
    path = write_zip(tmp_path / "all.zip", {f"{name}/03.ipynb": solved()})
    (submission,) = collect(path)
    assert "name must" in submission.refused
    assert submission.student.name.isprintable()
    assert not submission.student.name.startswith("=")


def test_collect_refuses_names_that_are_no_text(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/a\xff"
    os.mkdir(folder)
    Path(os.fsdecode(folder), "03.ipynb").write_text(solved())
    (submission,) = collect(tmp_path)
    assert "name must" in submission.refused
    file_name(submission.student).encode()


def test_collect_refuses_a_broken_member_and_reads_the_others(tmp_path: Path) -> None:
    members = {"eve/03.ipynb": "x" * 100 + "y", "ann/03.ipynb": solved()}
    path = write_zip(tmp_path / "all.zip", members)
    data = bytearray(path.read_bytes())
    data[45] ^= 0xFF
    path.write_bytes(data)
    assert [bool(one.refused) for one in collect(path)] == [False, True]


def test_collect_refuses_a_locked_member(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "all.zip", {"eve/03.ipynb": solved()})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    assert [one.refused for one in collect(path)] == ["03.ipynb is encrypted"]


def test_collect_refuses_two_submissions_of_one_name(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "all.zip", {"ann/03.ipynb": solved(), "ann.ipynb": solved()})
    assert [one.refused for one in collect(path)] == ["there are a folder and a file of this name"]


def test_collect_refuses_what_is_no_collection(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="folder or a zip"):
        collect(tmp_path / "missing")
    with pytest.raises(ValueError, match="holds none"):
        collect(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "its JSON is broken"),
        ("[" * 100_000, "its JSON is broken"),
        ("[]", "no list of cells"),
        ('{"cells": 3}', "no list of cells"),
        ('{"cells": [{"cell_type": "code", "source": 3}]}', "not text"),
        (notebook(*["x = 1"] * 10_000), "has 10,000 code cells, at most 2,000"),
        (notebook("x" * (1 << 20 | 1)), "characters of code"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_read_notebook_refuses(text: str | bytes, reason: str) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(UnreadableError, match=reason):
        read_notebook("a.ipynb", data)


def test_read_notebook_takes_lines_and_a_byte_order_mark() -> None:
    cells = [{"cell_type": "code", "source": ["a = 1\n", "b = 2"]}, {"cell_type": "markdown"}, 3]
    data = "\ufeff" + json.dumps({"cells": cells})
    assert read_notebook("a.ipynb", data.encode()).cells == ("a = 1\nb = 2",)


def test_assigned_chapters_are_those_that_half_check(tmp_path: Path) -> None:
    (tmp_path / "ann.ipynb").write_text(solved())
    (tmp_path / "bo.ipynb").write_text(notebook("x = 1"))
    assert assigned_chapters(collect(tmp_path)) == [3]
    (tmp_path / "cy.ipynb").write_text(notebook("x = 2"))
    with pytest.raises(ValueError, match="--chapters"):
        assigned_chapters(collect(tmp_path))


def test_digest_follows_the_code_alone(tmp_path: Path) -> None:
    path = tmp_path / "ann.ipynb"
    path.write_text(solved())
    before = digest_of(collect(tmp_path)[0])
    path.write_text(notebook(SETUP, RIGHT, CHECK, metadata={"kernelspec": {"name": "other"}}))
    assert digest_of(collect(tmp_path)[0]) == before
    path.write_text(solved(FLIPPED))
    assert digest_of(collect(tmp_path)[0]) != before


# The language between grader and sandbox


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -3,
        1.5,
        "Zoë",
        (1, [2, "x"], ()),
        {"a": {"b": (1.0,)}},
    ],
)
def test_wire_returns_what_was_sent(value: object) -> None:
    result = wire.unpack(wire.pack(value))
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize("dtype", wire.DTYPES.values(), ids=str)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4)])
def test_wire_returns_tensors_bit_for_bit(dtype: torch.dtype, shape: tuple) -> None:
    value = (torch.arange(torch.Size(shape).numel()).reshape(shape) % 2).to(dtype)
    result = wire.unpack(wire.pack(value.mT if len(shape) == 2 else value))
    assert result.dtype == dtype
    assert torch.equal(result, value.mT if len(shape) == 2 else value)


def test_wire_returns_calls() -> None:
    call = wire.unpack(wire.pack(Call("mlp", 3, torch.ones(2))))
    assert (call.name, call.data[0]) == ("mlp", 3)


def message(header: str, payload: bytes = b"") -> bytes:
    return b"CNN1" + len(header).to_bytes(4, "big") + header.encode() + payload


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"CNN",
        b"XXXX\0\0\0\1" + b"1",
        b"CNN1\xff\xff\xff\xff",
        message("{"),
        message("[" * 50_000),
        message('["unknown", 1]'),
        message("[]"),
        message('["tensor", "float32", [2]]', b"\0" * 7),
        message('["tensor", "float32", [-1]]', b"\0" * 8),
        message('["tensor", "float32", [true]]', b"\0" * 8),
        message('["tensor", "float32", [1e3]]', b"\0" * 8),
        message('["tensor", "float32", [4294967296, 4294967296, 0]]'),
        message('["tensor", "float32", [16777216, 16777216, 16777216, 16777216, 0]]'),
        message('["tensor", "object", [1]]', b"\0" * 8),
        message('["tensor", "bool", [1]]', b"\7"),
        message('["call", 3, ["tuple"]]'),
        message(str(1 << 70)),
        message("1" * 5000),
        message("1") + message("1"),
    ],
    ids=lambda data: repr(data[:40]),
)
def test_wire_refuses_what_it_did_not_write(data: bytes) -> None:
    with pytest.raises(wire.MalformedError):
        wire.unpack(data)


def test_wire_packs_data_only() -> None:
    with pytest.raises(TypeError, match="must be data, got object"):
        wire.pack([object()])
    with pytest.raises(TypeError, match="complex64"):
        wire.pack(torch.ones(1, dtype=torch.complex64))


GOOD = {"exercise": "f", "problem": "", "outcomes": [vars(Outcome(value=1.0))]}
CASES = {"f": checks.find("corr2d").cases(torch.Generator())[:1]}


def test_answers_are_read_when_they_are_whole() -> None:
    data = wire.pack({"started": True}) + wire.pack(GOOD)
    answers = read_answers(data, CASES)
    assert answers.started
    assert answers.answers["f"].outcomes == (Outcome(value=1.0),)


@pytest.mark.parametrize(
    "change",
    [
        {"outcomes": []},
        {"outcomes": [vars(Outcome()), vars(Outcome())]},
        {"outcomes": [3]},
        {"outcomes": [{"value": 1}]},
        {"outcomes": [vars(Outcome()) | {"score": 1}]},
        {"outcomes": [vars(Outcome()) | {"error": 3}]},
        {"outcomes": [vars(Outcome()) | {"changed": (7,)}]},
        {"outcomes": [vars(Outcome()) | {"changed": ("x",)}]},
        {"outcomes": [vars(Outcome()) | {"traceback": ["x"]}]},
        {"outcomes": [vars(Outcome()) | {"forbidden": ("x",) * 1000}]},
        {"outcomes": [vars(Outcome()) | {"value": {"a": 1}}]},
        {"outcomes": [vars(Outcome()) | {"value": Call("f")}]},
        {"outcomes": [vars(Outcome()) | {"value": "x" * 10_000}]},
        {"outcomes": None},
        {"problem": "full marks"},
        {"problem": None},
        {"problem": [1]},
        {"outcomes": [vars(Outcome()) | {"returned": 3}]},
        {"outcomes": [vars(Outcome()) | {"changed": (-1,)}]},
    ],
    ids=lambda change: str(change)[:60],
)
def test_answers_with_anything_odd_count_for_nothing(change: dict) -> None:
    answers = read_answers(wire.pack(GOOD | change), CASES)
    assert answers.answers["f"].outcomes == ()
    assert answers.answers["f"].problem == TAMPERED


def test_answers_given_twice_count_for_nothing() -> None:
    answers = read_answers(wire.pack(GOOD) * 2, CASES)
    assert answers.answers["f"].problem == TAMPERED


def test_answers_end_where_the_data_is_malformed() -> None:
    assert read_answers(b"garbage" + wire.pack(GOOD), CASES).answers == {}
    assert list(read_answers(wire.pack(GOOD) + b"garbage", CASES).answers) == ["f"]


def test_answers_hold_no_control_characters() -> None:
    outcome = vars(Outcome()) | {"error": "a\x1b[2J\x00b"}
    answers = read_answers(wire.pack(GOOD | {"outcomes": [outcome]}), CASES)
    assert answers.answers["f"].outcomes[0].error == "a?[2J?b"


# Reading the source

LINES = "import torch\nimport torch.nn.functional as F\nfrom torch.nn.functional import conv2d as c"


@pytest.mark.parametrize(
    "cells",
    [
        ["def corr2d(x, k): return F.conv2d(x, k)"],
        ["def corr2d(x, k): return torch.nn.functional.conv2d(x, k)"],
        ["def corr2d(x, k): return c(x, k)"],
        ["corr2d = c"],
        ["corr2d = lambda x, k: F.conv2d(x, k)"],
        ["helper = F.conv2d", "def corr2d(x, k): return helper(x, k)"],
        [
            "def helper(x, k): return torch.nn.Conv2d(1, 1, 2)(x)",
            "def corr2d(x, k): return helper(x, k)",
        ],
        ["check('corr2d', F.conv2d)"],
        ["def mine(x, k): return F.conv2d(x, k)", "check('corr2d', mine)"],
        ["from torch import conv2d as corr2d"],
        ["%matplotlib inline\ndef corr2d(x, k): return F.conv2d(x, k)"],
        ["from scipy.signal import convolve2d as s\ndef corr2d(x, k): return s(x, k)"],
        [
            "def g(x, k): return F.conv2d(x, k)",
            "def corr2d(x, k):\n    global g\n    g = g\n    return g(x, k)",
        ],
        ["class corr2d:\n    def __new__(cls, x, k): return F.conv2d(x, k)"],
        ["check(name='corr2d', answer=F.conv2d)"],
    ],
)
def test_forbidden_calls_are_read_from_the_source(cells: list[str]) -> None:
    assert forbidden_calls([LINES, *cells], "corr2d", ("conv",))


@pytest.mark.parametrize(
    "cells",
    [
        [RIGHT],
        [RIGHT, "print(F.conv2d(x, k) - corr2d(x, k))"],
        ["x = F.conv2d(1, 2)", "def corr2d(x, k): return x"],
        ["def conv2d(x): return x", "def corr2d(x, k): return conv2d(x)"],
        ["def corr2d(x, k):\n    # F.conv2d would do\n    return 'F.conv2d'"],
        ["def corr2d(x, k: return F.conv2d"],
        ["def other(x, k): return F.conv2d(x, k)"],
        ["conv = corr2d = lambda x, k: x"],
        ["def corr2d(x, F): return F.conv2d(x)"],
        ["x = " + "-" * 100_000 + "1"],
    ],
)
def test_forbidden_calls_are_not_seen_where_there_are_none(cells: list[str]) -> None:
    assert forbidden_calls([LINES, *cells], "corr2d", ("conv",)) == ()


def test_file_names_are_unlike_for_students_unlike_by_case() -> None:
    names = {file_name(Student(name)).lower() for name in ("Ann", "ann", "a/nn", "a nn", "a-nn")}
    assert len(names) == 5


def test_store_writes_no_half_files(tmp_path: Path) -> None:
    store = Store(tmp_path / "grades.csv", ["f"], "")
    store.open(SECRET, resume=False)
    store.add(Grade(Student("ann"), "digest", ()))
    assert not list(tmp_path.rglob("*.partial"))
    assert (tmp_path / "grades.csv").exists()
    store.add(Grade(Student("cy"), "digest", (), "not graded: no power"))
    assert not store.load(Student("cy"), "digest")
    assert store.load(Student("ann"), "digest")
    assert not store.load(Student("ann"), "other")
    assert not store.load(Student("bo"), "digest")


def test_write_leaves_the_old_file_when_it_fails(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a.txt"
    write(path, "old")

    def fail(handle: int) -> None:
        raise OSError("power")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="power"):
        write(path, "new")
    assert path.read_text() == "old"


def test_resume_refuses_other_exercises_and_versions(finished: Path, monkeypatch) -> None:
    with pytest.raises(ValueError, match="same exercises"):
        grade(options(finished.parent, finished, resume=True, chapters=[4]))
    monkeypatch.setattr(cnncourse, "__version__", "9")
    with pytest.raises(ValueError, match="same version"):
        grade(options(finished.parent, finished, resume=True))


def test_resume_writes_what_is_missing(finished: Path) -> None:
    pages = (finished.parent / "grades/feedback").iterdir()
    for path in (finished.parent / "grades.csv", *pages):
        path.unlink()
        grade(options(finished.parent, finished, resume=True))
        assert path.exists()


def test_page_escapes_every_word() -> None:
    mark = Mark("<b>", "<b>", 0.0, 1.0, "", "")
    text = page(Grade(Student("<b>"), "", (mark,), "<b>", ("<b>",)), "<b>")
    assert text.count("&lt;b&gt;") == 7
    assert "<b>" not in text


def test_the_seed_decides_the_inputs() -> None:
    one, other = (Assignment.draw(exercises_of([3]), seed).cases for seed in ("a", "b"))
    cases = [
        (a.arguments[0], b.arguments[0])
        for a, b in zip(one["corr2d"], other["corr2d"], strict=True)
    ]
    assert not any(a.shape == b.shape and torch.equal(a, b) for a, b in cases)


def test_a_request_holds_no_expected_value() -> None:
    assignment = Assignment.draw(exercises_of([3]), SECRET)
    request = wire.unpack(assignment.request(read_notebook("a.py", b"x = 1"), LIMITS))
    known = {"name", "takes_arguments", "forbidden", "functions", "probe", "cases"}
    assert request.keys() == {"cells", "limits", "exercises"}
    assert all(one.keys() == known for one in request["exercises"])
