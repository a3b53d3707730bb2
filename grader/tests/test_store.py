"""Marks, and what is written for each student."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from cnncourse_grader import marks, wire
from cnncourse_grader.assignment import Assignment, exercises_of
from cnncourse_grader.collect import Student
from cnncourse_grader.feedback import page
from cnncourse_grader.files import write
from cnncourse_grader.marks import EMPTY, Grade, Mark, Written
from cnncourse_grader.sections import SECTIONS
from cnncourse_grader.store import Store, feedback_paths, file_name, table
from cnncourse_grader.written import questions_of
from submissions import SECRET

from cnncourse.checks import diagnosis, exercises
from cnncourse.checks.chapters import ORDER
from cnncourse.checks.notebook import read_notebook
from cnncourse.checks.run import Outcome


def test_file_names_are_unlike_for_students_unlike_by_case() -> None:
    names = {file_name(Student(name)).lower() for name in ("Ann", "ann", "a/nn", "a nn", "a-nn")}
    assert len(names) == 5


def test_file_names_are_short_in_bytes_and_long_in_their_trace() -> None:
    name = file_name(Student("한" * 120))
    assert len(f".{name}.html.partial".encode()) < 255
    readable, _, trace = name.rpartition("-")
    assert set(readable) == {"한"}
    assert len(trace) == 20


def test_control_characters_reach_no_table() -> None:
    grade = Grade(Student("ann"), "", (), "stopped: \x1b[2J\n", look=("cell 1\u202e",))
    assert table([grade], [], "").splitlines()[1] == "ann,,0,0,,stopped: ?[2J?,cell 1?"


def test_store_writes_no_half_files(tmp_path: Path) -> None:
    store = Store(tmp_path / "grades.csv", {"f": "1"}, "", {"seconds": 60})
    store.open(SECRET, resume=False)
    store.add(Grade(Student("ann"), "digest", ()))
    store.write_table()
    assert not list(tmp_path.rglob("*.partial"))
    assert (tmp_path / "grades.csv").exists()
    store.add(Grade(Student("cy"), "digest", (), "not graded: no power"))
    assert not store.load(Student("cy"), "digest")
    assert store.load(Student("ann"), "digest")
    assert not store.load(Student("ann"), "other")
    assert not store.load(Student("bo"), "digest")


def begun(folder: Path, seed: str = SECRET, again: tuple = (), **changes: object) -> Store:
    """Open a run of two exercises, f and g, with the results that are there."""
    made_of = {"exercises": {"f": "1", "g": "1"}, "warning": "", "limits": {"seconds": 60}}
    store = Store(folder / "grades.csv", **made_of | changes)
    store.open(seed, resume=True, again=again)
    for name in ("ann", "bo"):
        store.load(Student(name), "digest")
    return store


def graded(name: str, f: float, g: float, status: str = "graded") -> Grade:
    marks = tuple(Mark(one, one, points, 2.0, "", "") for one, points in (("f", f), ("g", g)))
    return Grade(Student(name), "digest", marks, status)


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Return a folder with the results of two students; one was stopped."""
    store = begun(tmp_path)
    store.add(graded("ann", 1, 1))
    store.add(graded("bo", 0, 0, "stopped: 03.ipynb: it took more than 60 seconds"))
    store.close()
    return tmp_path


def test_resume_says_nothing_where_nothing_has_changed(two: Path) -> None:
    store = begun(two)
    assert store.notes() == []
    assert len(store.grades) == 2


def test_resume_says_which_exercises_have_changed_and_keeps_the_marks(two: Path) -> None:
    for _ in range(2):
        store = begun(two, exercises={"f": "1", "g": "2"})
        assert len(store.grades) == 2
        (note,) = store.notes()
        assert "--regrade g" in note
        store.close()


def test_regrade_gives_new_marks_to_one_exercise(two: Path) -> None:
    store = begun(two, again=("g",), exercises={"f": "1", "g": "2"})
    assert store.notes() == []
    assert store.grades == {}
    store.add(graded("ann", 0, 2))
    store.add(graded("bo", 0, 0))
    assert [mark.points for mark in store.grades[Student("ann")].marks] == [1, 2]
    assert store.changes() == ["ann: g 1 -> 2"]
    store.close()
    assert begun(two, exercises={"f": "1", "g": "2"}).notes() == []


def test_resume_names_who_was_stopped_under_other_limits(two: Path) -> None:
    assert "--regrade bo" in begun(two, limits={"seconds": 90}).notes()[0]
    store = begun(two, again=("bo",), limits={"seconds": 90})
    assert [student.name for student in store.grades] == ["ann"]
    store.add(graded("bo", 2, 2))
    assert store.changes() == ["bo: f 0 -> 2", "bo: g 0 -> 2"]
    store.close()
    assert begun(two, limits={"seconds": 90}).notes() == []


def test_another_seed_needs_everything_again(two: Path) -> None:
    for again in ((), ("f",)):
        with pytest.raises(ValueError, match="--regrade all does it"):
            begun(two, "another", again)
    store = begun(two, "another", ("all",))
    assert store.grades == {}
    store.close()
    assert begun(two, "another").notes() == []


@pytest.mark.parametrize("text", ["{}", "[]", '{"exercises": ["f"]}'])
def test_record_of_another_version_is_refused(two: Path, text: str) -> None:
    (two / "grades/run.json").write_text(text)
    with pytest.raises(ValueError, match="choose another --out"):
        begun(two)


def test_write_leaves_the_old_file_when_it_fails(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a.txt"
    write(path, "old")

    def fail(handle: int) -> None:
        raise OSError("power")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="power"):
        write(path, "new")
    assert path.read_text() == "old"


def test_what_cannot_be_compared_earns_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise OverflowError

    monkeypatch.setattr(marks, "judge", fail)
    assignment = Assignment.draw(exercises_of([3]), SECRET)
    outcomes = [vars(Outcome()) for _ in assignment.cases["corr2d"]]
    answer = wire.pack({"exercise": "corr2d", "problem": "", "outcomes": outcomes})
    asked = assignment.names, assignment.packed()
    run = marks.judge_apart(*asked, read_notebook("a.py", b""), answer, "")
    mark = run["tries"]["corr2d"]["mark"]
    assert (mark["points"], mark["diagnosis"]) == (0, "incomparable")
    assert "cannot be compared (OverflowError)" in mark["feedback"]


def test_page_escapes_every_word() -> None:
    mark = Mark("<b>", "<b>", 0.0, 1.0, "", "")
    text = page(Grade(Student("<b>"), "", (mark,), "<b>", ("<b>",)), "<b>")
    assert text.count("&lt;b&gt;") == 7
    assert "<b>" not in text


WRONG = Mark("edge_kernel", "An edge", 0.0, 2.0, "", "<p>No.</p>", "wrong-shape", "No.")
STUB = Mark("sole_kernel", "The sole", 0.0, 2.0, "", "<p>Stub.</p>", "stub", "Stub.")
RIGHT = Mark("corr2d", "Two loops", 1.0, 1.0, "", "<p>Yes.</p>")


def test_page_says_what_worked_what_did_not_what_to_try_and_where_to_read() -> None:
    text = page(Grade(Student("ann"), "", (WRONG, STUB, RIGHT)), "", ["Why?"])
    assert "1 of 3 exercises are right." in text
    assert [text.count(one) for one in ("✗ not yet", "○ no answer", "✓ right")] == [1, 1, 1]
    assert "there is nothing between all of its points and none" in text
    assert text.count("A hint:") == 2
    assert re.search(r'/book/03_cross_correlation.html#edges">Chapter \d+, Edges</a>', text)
    assert "<li>Why?</li>" in text
    assert "Their points are not in the sum above" in text


def test_page_has_points_and_comments_of_written_answers() -> None:
    marked = Written("why", "Why?", 1.5, 3.0, "Say <more>.")
    grade = Grade(Student("ann"), "", (RIGHT,), written=(marked,))
    text = page(grade, "", ["Why?"])
    assert "Points: 2.5 of 4" in text
    assert "Say &lt;more&gt;." in text
    assert "not in the sum" not in text


def test_no_mistake_has_the_name_of_an_empty_answer() -> None:
    names = {look.__name__.replace("_", "-") for look in diagnosis.DIAGNOSES}
    assert not names & {*EMPTY, marks.STOPPED}


def test_marks_of_written_answers_stay_when_code_is_graded_again(two: Path) -> None:
    store = begun(two)
    why = Written("why", "Why?", 1.0, 3.0)
    store.merge({Student("ann"): (why,), Student("bo"): (why,)})
    store.close()
    again = begun(two, again=("g",))
    again.add(graded("ann", 0, 2))
    assert again.grades[Student("ann")].written == (why,)
    assert again.grades[Student("ann")].total == 4
    again.write_table()
    header, ann = (two / "grades.csv").read_text().splitlines()
    assert header == "student,id,f,g,why,total,max,late,status,look"
    assert ann == "ann,,1,2,1,4,7,,graded,"


def test_whoever_wrote_nothing_has_no_points_for_it(two: Path) -> None:
    store = begun(two)
    store.questions = questions_of([3])[:1]
    store.merge({})
    assert {one.written[0].points for one in store.grades.values()} == {0}
    assert {one.most for one in store.grades.values()} == {7}
    assert not store.unmarked()
    store.add(graded("cy", 1, 1))
    assert store.unmarked() == ["no points for written answers yet, add --written: cy"]


@pytest.mark.parametrize(
    ("path", "back"),
    [
        ("A Lee_12_assignsubmission_file_/03.ipynb", "A Lee_12_assignsubmission_file_/03-"),
        ("A Lee_12_assignsubmission_file/a/b/03.ipynb", "A Lee_12_assignsubmission_file/03-"),
        ("A Lee_12_assignsubmission_file_03.ipynb", "A Lee_12_assignsubmission_file_03-"),
        ("lee_LATE_12_345_03.ipynb", "lee_LATE_12_345_03-"),
        ("ann/03.ipynb", "ann/03-"),
    ],
)
def test_pages_go_back_under_the_names_of_the_archive(path: str, back: str) -> None:
    student = Student("ann")
    assert feedback_paths({student: path}) == {student: f"{back}feedback.html"}
    # Moodle looks for name, number and plugin at the first four underscores.
    if "assignsubmission" in path:
        assert re.split("[_/]", back)[1:4] == ["12", "assignsubmission", "file"]


@pytest.mark.parametrize("path", ["../03.ipynb", "/etc/03.ipynb", "a/../../03.ipynb", ""])
def test_no_page_goes_out_of_the_archive(path: str) -> None:
    assert feedback_paths({Student("ann"): path}) == {}


BOOK = Path(__file__).parents[2] / "book"


def test_every_section_to_read_is_in_the_book() -> None:
    assert set(SECTIONS) <= set(exercises())
    missing = []
    for name, heading in SECTIONS.items():
        number = exercises()[name].chapter
        page = BOOK / f"{number:02}_{ORDER[number - 1]}.md"
        if page.exists() and f"\n## {heading}\n" not in page.read_text(encoding="utf-8"):
            missing.append(f"{name}: {heading}")
    assert missing == []
