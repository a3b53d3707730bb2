"""A run: the same results whatever the way, and after it was killed; what may be resumed."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import psutil
import pytest
from cnncourse_grader import grade as grading
from cnncourse_grader.assignment import Assignment, exercises_of
from cnncourse_grader.collect import Student
from cnncourse_grader.grade import Options, grade
from cnncourse_grader.marks import Grade
from cnncourse_grader.sections import BOOK
from running import command, contents, family, line, options, wait_for
from submissions import FLIPPED, RIGHT, SECRET, STUB, solved

import cnncourse

pytestmark = pytest.mark.usefixtures("bubblewrap")

# The same results whatever the way

CLASS = {"ann": RIGHT, "bo": FLIPPED, "cy": STUB}


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


@pytest.mark.grading
def test_a_killed_run_goes_on_and_ends_like_any_other(
    small_class: Path, two_workers: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "grades.csv"
    words = [small_class, "--seed", SECRET, "--out", out, "--jobs", 1]
    with subprocess.Popen(line(*words), stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: len(list(tmp_path.glob("grades/json/[!.]*"))) >= 1)
        wait_for(lambda: family(process.pid) or process.poll() is not None)
        orphans = family(process.pid)
        process.send_signal(signal.SIGKILL)
    assert psutil.wait_procs(orphans, timeout=60)[1] == []
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("grades/*/[!.]*")}
    assert 1 <= len(list(tmp_path.glob("grades/json/[!.]*"))) < len(CLASS)
    assert command(*words, "--resume").returncode == 0
    assert contents(out) == two_workers
    assert [path for path, written in before.items() if path.stat().st_mtime_ns != written] == []


def test_a_stopped_run_leaves_the_table_of_what_it_has(
    small_class: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grade_one(*arguments: object) -> tuple[Grade, bool]:
        submission, digest = arguments[-2:]
        if submission.student.name == "ann":
            return Grade(submission.student, digest, ()), False
        wait_for(lambda: list(tmp_path.glob("grades/json/ann*")))
        raise KeyboardInterrupt

    monkeypatch.setattr(grading, "_grade_one", grade_one)
    with pytest.raises(KeyboardInterrupt):
        grade(options(tmp_path, small_class))
    rows = list(csv.DictReader((tmp_path / "grades.csv").read_text().splitlines()))
    assert [row["student"] for row in rows] == ["ann"]


def test_a_submission_that_stops_the_grader_costs_its_own_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "submissions"
    folder.mkdir()
    for name in ("ann", "bo"):
        (folder / f"{name}.ipynb").write_text("{")
    whole = grading.mark_submission

    def mark_submission(submission, *values: object) -> Grade:
        if submission.student.name == "ann":
            raise RecursionError("too \x1b deep")
        return whole(submission, *values)

    monkeypatch.setattr(grading, "mark_submission", mark_submission)
    ann, bo = grade(options(tmp_path, folder))
    assert ann.status.startswith("not graded: RecursionError: too ? deep (this computer or")
    assert bo.status.startswith("refused")


@pytest.mark.grading
def test_dask_workers_give_the_same_results(
    small_class: Path, two_workers: dict[str, str], tmp_path: Path
) -> None:
    distributed = pytest.importorskip("distributed")
    out = tmp_path / "grades.csv"
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, dashboard_address=None, silence_logs=50
    ) as cluster:
        grade(Options(small_class, out, SECRET, dask=cluster.scheduler_address))
    assert contents(out) == two_workers


def test_table_has_a_row_for_each_student(two_workers: dict[str, str]) -> None:
    rows = list(csv.DictReader(two_workers["grades.csv"].splitlines()))
    assert [(row["student"], row["corr2d"], row["status"]) for row in rows] == [
        ("ann", "1", "graded"),
        ("bo", "0", "graded"),
        ("cy", "0", "graded"),
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
    # Nothing is loaded; a link to the book waits until someone follows it.
    links = [attributes["href"] for tag, attributes in tags if tag == "a"]
    assert page.count("://") == len(links)
    assert {one.partition("#")[0] for one in links} == {f"{BOOK}03_cross_correlation.html"}


@pytest.mark.parametrize(
    ("student", "says"),
    [
        ("ann", "corr2d: passed"),
        ("bo", "kernel looks flipped"),
        ("cy", "corr2d: Not solved yet: the answer is still the empty stub."),
    ],
)
def test_feedback_says_what_is_right_and_what_is_wrong(
    two_workers: dict[str, str], student: str, says: str
) -> None:
    data = next(text for name, text in two_workers.items() if f"json/{student}" in name)
    mark = next(one for one in json.loads(data)["marks"] if one["exercise"] == "corr2d")
    assert says in mark["feedback"]
    page = next(text for name, text in two_workers.items() if f"feedback/{student}" in name)
    assert says.rpartition(": ")[2] in page


# Resume and its limits


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
    with zipfile.ZipFile(finished.parent / "grades/feedback.zip") as archive:
        archive.extractall(finished.parent / "unpacked")
    files = [path for path in finished.parent.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".json", ".html", ".csv", ".zip"}
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def test_resume_refuses_other_exercises(finished: Path) -> None:
    with pytest.raises(ValueError, match="same exercises"):
        grade(options(finished.parent, finished, resume=True, chapters=[4]))


def test_resume_says_what_another_version_changed(finished: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(cnncourse, "__version__", "9")
    grade(options(finished.parent, finished, resume=True))
    assert "Do: --regrade corr2d" in capsys.readouterr().err


def test_regrade_wants_names_that_there_are(finished: Path) -> None:
    with pytest.raises(ValueError, match="got 'corr3d'"):
        grade(options(finished.parent, finished, regrade=["corr3d"]))


def test_every_exercise_has_a_fingerprint_that_tells_a_change() -> None:
    exercises = exercises_of(range(1, 11))
    before = Assignment.draw(exercises, SECRET).digests()
    assert before == Assignment.draw(exercises, "another").digests()
    changed = [replace(one, points=one.points + 1) for one in exercises]
    after = Assignment.draw(changed, SECRET).digests()
    assert [name for name in before if before[name] == after[name]] == []


def test_resume_writes_what_is_missing(finished: Path) -> None:
    pages = (finished.parent / "grades/feedback").iterdir()
    for path in (finished.parent / "grades.csv", *pages):
        path.unlink()
        grade(options(finished.parent, finished, resume=True))
        assert path.exists()
