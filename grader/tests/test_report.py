"""A class from its archive to its marks: once through everything that is written about it."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import pytest
from cnncourse_grader import written
from running import contents
from submissions import CHECK, FLIPPED, RIGHT, SECRET, SETUP, STUB, write_zip

from cnncourse.checks import diagnosis
from cnncourse.checks.chapters.cross_correlation import CORR2D_MISTAKES
from cnncourse.cli import main

pytestmark = [pytest.mark.grading, pytest.mark.usefixtures("bubblewrap")]

ONE, TWO = written.questions_of([3])
CLASS = {
    "Ann Lee_1": (RIGHT, "Ann's words.", "More of them."),
    "Bo_2": (FLIPPED, "Bo's words.", ""),
    "Cy_3": (RIGHT.replace("kernel", "weights").replace("kh", "height"), "", ""),
    "Di_4": (RIGHT.replace("kernel.shape", "kernel.shapes"), "Di's words.", "And more."),
    "Ed_5": (STUB, "", ""),
}
HEADER = 'Identifier,"Full name",Status,Grade,"Maximum Grade"\n'


def handed_in(answer: str, first: str, second: str) -> str:
    code = [{"cell_type": "code", "metadata": {}, "source": one} for one in (SETUP, answer, CHECK)]
    texts = [
        {"cell_type": "markdown", "metadata": {"nbgrader": {"grade_id": name}}, "source": text}
        for name, text in ((ONE.name, first or written.STUB), (TWO.name, second or written.STUB))
    ]
    return json.dumps({"cells": code + texts, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with Moodle's zip and worksheet, and the results of a first run."""
    folder = tmp_path_factory.mktemp("course")
    files = {
        f"{name}_assignsubmission_file/03.ipynb": handed_in(*one) for name, one in CLASS.items()
    }
    files["Flo_6_assignsubmission_file/homework.zip"] = "PK"
    write_zip(folder / "moodle.zip", files)
    rows = [f"Participant {n},Student {n},Submitted,,5.00\n" for n in range(1, 8)]
    rows[1] = 'Participant 2,"Student 2","Submitted for grading - 2 hours late",,5.00\n'
    (folder / "sheet.csv").write_text(HEADER + "".join(rows))
    assert run(folder) == 2  # Flo's cannot be graded
    return folder


def run(folder: Path, *more: object) -> int:
    words = ["grade", folder / "moodle.zip", "--seed", SECRET, "--out", folder / "grades.csv"]
    return main([*map(str, words), "--chapters", "3", "--jobs", "2", *map(str, more)])


def rows_of(folder: Path) -> dict[str, dict[str, str]]:
    rows = csv.DictReader((folder / "grades.csv").read_text().splitlines())
    return {row["student"].split()[0].lower(): row for row in rows}


def mark_of(folder: Path, name: str) -> dict:
    (path,) = (folder / "grades/json").glob(f"{name}*")
    return json.loads(path.read_text())["marks"][0]


def test_the_diagnosis_is_data(course: Path) -> None:
    found = {name.split("_")[0].split()[0]: "" for name in CLASS}
    assert {name: mark_of(course, name)["diagnosis"] for name in found} == {
        "Ann": "",
        "Bo": diagnosis.named(CORR2D_MISTAKES[0].diagnosis),
        "Cy": "",
        "Di": "crash",
        "Ed": "stub",
    }
    assert mark_of(course, "Bo")["case"][0][0] == "x"


def test_the_class_page_counts_without_names_and_the_other_has_them(course: Path) -> None:
    page = (course / "grades/class.html").read_text()
    assert "5 of 6 submissions could be graded" in page
    assert "<td>4</td><td>2 of 5</td>" in page
    assert "1 student: This is what convolution gives" in page
    assert [name for name in ("Ann", "Lee", "Bo", "Di") if f"{name} " in page] == []
    alike = (course / "grades/alike.html").read_text()
    assert "Ann Lee 1<br>Cy 3" in alike
    assert "Bo" not in alike


def test_pages_go_back_to_moodle(course: Path) -> None:
    with zipfile.ZipFile(course / "grades/feedback.zip") as archive:
        names = archive.namelist()
        page = archive.read("Bo_2_assignsubmission_file/03-feedback.html").decode()
    assert len(names) == 6
    assert "Flo_6_assignsubmission_file/homework-feedback.html" in names
    assert "the kernel looks flipped" in page
    assert "<li>In words: an edge the kernel cannot see</li>" in page


def test_written_points_come_into_everything_or_into_nothing(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (course / "grades/written.html").read_text()
    assert "Ann&#x27;s words." in page
    assert "Ann Lee" not in page
    table = course / "grades/written.csv"
    before = contents(course / "grades.csv")
    assert run(course, "--resume", "--written", table) == 1
    assert "from 0 to 3, got nothing" in capsys.readouterr().err
    assert contents(course / "grades.csv") == before

    unfilled = table.read_text().splitlines()
    filled = [row | {"points": "1.5", "comment": "So?"} for row in csv.DictReader(unfilled)]
    assert len(filled) == 5
    with (course / "filled.csv").open("w") as file:
        writer = csv.DictWriter(file, written.COLUMNS)
        writer.writeheader()
        writer.writerows(filled)
    more = "--written", course / "filled.csv", "--fill", course / "sheet.csv"
    assert run(course, "--resume", *more) == 2
    rows = rows_of(course)
    points = {name: (row[ONE.name], row[TWO.name], row["total"]) for name, row in rows.items()}
    assert points == {
        "ann": ("1.5", "1.5", "4"),
        "bo": ("1.5", "0", "1.5"),
        "cy": ("0", "0", "1"),
        "di": ("1.5", "1.5", "3"),
        "ed": ("0", "0", "0"),
        "flo": ("0", "0", "0"),
    }
    assert {row["late"] for name, row in rows.items() if name != "bo"} == {""}
    assert rows["bo"]["late"] == "2 hours late"
    sheet = (course / "sheet.csv").read_text()
    assert "Participant 1,Student 1,Submitted,4,5.00" in sheet
    assert "Participant 6,Student 6,Submitted,,5.00" in sheet
    (ann,) = (course / "grades/feedback").glob("Ann*")
    assert "So?" in ann.read_text()
    assert run(course, "--resume") == 2
    assert rows_of(course) == rows
