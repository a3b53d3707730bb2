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
    assert table([grade], [], "").splitlines()[1] == "ann,,0,0,stopped: ?[2J?,cell 1?"


def test_store_writes_no_half_files(tmp_path: Path) -> None:
    store = Store(tmp_path / "grades.csv", ["f"], "")
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
