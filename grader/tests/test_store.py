"""Marks, and what is written for each student."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cnncourse_grader import marks
from cnncourse_grader.answers import Answer, Answers
from cnncourse_grader.assignment import Assignment, exercises_of
from cnncourse_grader.collect import Student, Submission
from cnncourse_grader.feedback import page
from cnncourse_grader.files import write
from cnncourse_grader.marks import Grade, Mark
from cnncourse_grader.store import Store, file_name, table
from submissions import SECRET

from cnncourse.checks.notebook import read_notebook


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
    answers = Answers(True, (), {"corr2d": [Answer()]})
    run = marks.Run(read_notebook("a.py", b""), answers, "")
    submission = Submission(Student("ann"), (run.notebook,))
    grade = marks.mark_submission(submission, "", assignment, [run])
    assert grade.total == 0
    assert "cannot be compared (OverflowError)" in grade.marks[0].feedback


def test_page_escapes_every_word() -> None:
    mark = Mark("<b>", "<b>", 0.0, 1.0, "", "")
    text = page(Grade(Student("<b>"), "", (mark,), "<b>", ("<b>",)), "<b>")
    assert text.count("&lt;b&gt;") == 7
    assert "<b>" not in text
