"""Points in the files that Moodle and Canvas export: the right fields, and no other byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from cnncourse_grader.collect import Student
from cnncourse_grader.fill import fill, late
from cnncourse_grader.marks import Grade, Mark

# As Moodle writes it: a mark of the byte order, and text in several lines.
MOODLE = (
    '\ufeffIdentifier,"Full name","Email address",Status,Grade,"Maximum Grade",'
    '"Grade can be changed","Last modified (grade)","Feedback comments"\r\n'
    '"Participant 12","Lee, ""Ann""",ann@x.org,"Submitted\r\n12",,10.00,Yes,-,""\r\n'
    '"Participant 120",Bo,bo@x.org,Submitted,"3,00",10.00,Yes,-,"a, b"\r\n'
    '"Participant 13",Cy,cy@x.org,"No submission",,10.00,Yes,-,\r\n'
)
CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Homework 3 (98765),Homework 4 (98766),Final\n"
    "    Points Possible,,,,,10,10,(read only)\n"
    '"Lee, Ann",12,s12,ann,A,,7,\n'
    '"Bo",120,s120,bo,A,1,,\n'
)


def graded(name: str, number: str, points: float = 7.5, graded: bool = True) -> Grade:
    mark = Mark("f", "f", points, 10.0, "", "")
    return Grade(Student(name, number), "", (mark,), graded=graded)


def filled(folder: Path, text: str, *grades: Grade, column: str = "") -> tuple[str, list[str]]:
    path = folder / "sheet.csv"
    path.write_bytes(text.encode())
    said = fill(path, grades, column)
    return path.read_bytes().decode(), said


def test_points_stand_in_moodles_worksheet_and_nothing_else_changes(tmp_path: Path) -> None:
    text, said = filled(tmp_path, MOODLE, graded("ann", "12"), graded("bo", "120", 10))
    expected = MOODLE.replace('12",,10.00', '12",7.5,10.00').replace('"3,00"', "10")
    assert text == expected
    assert said == ["sheet.csv: points in 2 rows"]


def test_points_stand_in_canvas_gradebook_and_nothing_else_changes(tmp_path: Path) -> None:
    text, _ = filled(tmp_path, CANVAS, graded("ann", "12"), column="Homework 3")
    assert text == CANVAS.replace("ann,A,,7,", "ann,A,7.5,7,")


@pytest.mark.parametrize("column", ["", "Homework 5"])
def test_the_assignment_has_to_be_certain(tmp_path: Path, column: str) -> None:
    with pytest.raises(ValueError, match="--column must name one assignment"):
        filled(tmp_path, CANVAS, graded("ann", "12"), column=column)


@pytest.mark.parametrize(
    "grades",
    [
        [graded("ann", "12", 0, graded=False)],
        [graded("ann", "")],
        [graded("ann", "99")],
        [graded("ann", "12"), graded("also ann", "12")],
    ],
)
def test_rows_without_a_certain_grade_stay_as_they_are(tmp_path: Path, grades: list) -> None:
    text, said = filled(tmp_path, MOODLE, *grades)
    assert text == MOODLE
    assert said[0] == "sheet.csv: points in 0 rows"
    assert said[1].startswith("ann: no points in the worksheet")


def test_another_maximum_is_named(tmp_path: Path) -> None:
    said = filled(tmp_path, MOODLE.replace("10.00", "100.00"), graded("ann", "12"))[1]
    assert said[1] == "the worksheet counts to 100.00, the exercises to 10: points are not scaled"


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "x\n", "\n\n"])
def test_other_files_are_refused_and_not_touched(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="neither Moodle's grading worksheet nor Canvas'"):
        filled(tmp_path, text, graded("ann", "12"))
    assert (tmp_path / "sheet.csv").read_text() == text


@pytest.mark.parametrize("change", [(",", ";"), ("\r\n", "\n"), ("Cy", "C\udcfc")])
def test_odd_files_come_through(tmp_path: Path, change: tuple[str, str]) -> None:
    path = tmp_path / "sheet.csv"
    data = MOODLE.replace(*change).encode("utf-8", "surrogateescape")
    path.write_bytes(data)
    fill(path, [graded("ann", "12")])
    assert path.read_bytes().replace(b"7.5", b"") == data


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("Submitted for grading - 2 days 3 hours late", "2 days 3 hours late"),
        ("Zur Bewertung abgegeben - Bewertet - 5 Minuten später", "5 Minuten später"),
        ("Submitted for grading - Graded", None),
        ("No submission", None),
    ],
)
def test_moodles_worksheet_says_who_was_late(tmp_path: Path, status: str, said: str | None) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text(MOODLE.replace('"Submitted\r\n12"', f'"{status}"'))
    assert late(path).get("12") == said
    assert "120" not in late(path)


def test_canvas_gradebook_says_nothing_of_the_time(tmp_path: Path) -> None:
    (tmp_path / "book.csv").write_text(CANVAS)
    assert late(tmp_path / "book.csv") == {}
