"""Collecting submissions: who handed in what, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cnncourse_grader.apart import apart
from cnncourse_grader.assignment import assigned_chapters, exercises_of
from cnncourse_grader.collect import Student, collect
from cnncourse_grader.grade import digest_of
from cnncourse_grader.store import file_name
from submissions import CHECK, FLIPPED, RIGHT, SETUP, notebook, solved, write_zip

from cnncourse.checks.notebook import LARGEST_FILE


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
    assert submission.refused == "03.ipynb is larger than 25 MB"


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


def test_collect_refuses_a_heap_of_notebooks(tmp_path: Path) -> None:
    members = {f"ann/{number}.ipynb": solved() for number in range(21)}
    (submission,) = collect(write_zip(tmp_path / "all.zip", members))
    assert submission.refused == "21 notebooks, at most 20 are read"


def test_collect_refuses_two_files_of_one_path(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "all.zip", {"ann/03.ipynb": solved(), "all/ann/03.ipynb": solved()})
    assert [one.refused for one in collect(path)] == ["two files have the same name"]


@pytest.mark.parametrize(
    ("other", "refused"), [("ann/{}.txt", "more than 2,000 files"), ("ann/.git/{}", "")]
)
def test_a_flood_of_files_costs_its_own_row(tmp_path: Path, other: str, refused: str) -> None:
    flood = {other.format(number): "" for number in range(2_500)}
    path = write_zip(tmp_path / "all.zip", flood | {"ann/03.ipynb": solved(), "bo.ipynb": solved()})
    assert [one.refused for one in collect(path)] == [refused, ""]


def test_a_chain_of_folders_costs_its_own_row(tmp_path: Path) -> None:
    (tmp_path / "bo.ipynb").write_text(solved())
    chain = [tmp_path / "ann"]
    while len(chain) < 1_100:  # more than Python's own walk can enter
        chain.append(chain[-1] / "x")
    for folder in chain:
        folder.mkdir()
    try:
        assert [one.refused for one in collect(tmp_path)] == ["no notebook was handed in", ""]
    finally:  # pytest itself cannot remove it
        for folder in reversed(chain):
            folder.rmdir()


def test_a_file_that_is_too_much_for_its_reader_costs_its_own_row(tmp_path: Path) -> None:
    (tmp_path / "ann.ipynb").write_text('{"cells": [' + '{"":[]},' * 3_000_000 + "{}]}")
    (tmp_path / "bo.ipynb").write_text(solved())
    refused = "it used more than 512 MB of memory"
    assert [one.refused for one in collect(tmp_path)] == [refused, ""]


def test_a_reader_that_dies_costs_its_own_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(function: object, student: Student, files: list) -> list:
        if student.name == "ann":
            raise RuntimeError("its reader \x1b died")
        return apart(function, student, files)

    for name in ("ann", "bo"):
        (tmp_path / f"{name}.ipynb").write_text(solved())
    monkeypatch.setattr("cnncourse_grader.collect.apart", read)
    assert [one.refused for one in collect(tmp_path)] == ["its reader ? died", ""]


def test_collect_refuses_what_is_no_collection(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="folder or a zip"):
        collect(tmp_path / "missing")
    with pytest.raises(ValueError, match="holds none"):
        collect(tmp_path)


def test_assigned_chapters_are_those_that_half_check(tmp_path: Path) -> None:
    (tmp_path / "ann.ipynb").write_text(solved())
    (tmp_path / "bo.ipynb").write_text(notebook("x = 1"))
    assert assigned_chapters(collect(tmp_path)) == [3]
    (tmp_path / "cy.ipynb").write_text(notebook("x = 2"))
    with pytest.raises(ValueError, match="--chapters"):
        assigned_chapters(collect(tmp_path))


def test_chapters_without_exercises_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got 99$"):
        exercises_of([3, 99])


def test_digest_follows_the_code_alone(tmp_path: Path) -> None:
    path = tmp_path / "ann.ipynb"
    path.write_text(solved())
    before = digest_of(collect(tmp_path)[0])
    path.write_text(notebook(SETUP, RIGHT, CHECK, metadata={"kernelspec": {"name": "other"}}))
    assert digest_of(collect(tmp_path)[0]) == before
    path.write_text(solved(FLIPPED))
    assert digest_of(collect(tmp_path)[0]) != before


def test_collect_says_what_was_handed_in_where_it_is_no_notebook(tmp_path: Path) -> None:
    files = {
        "ann/homework.zip": "x",
        "bo_LATE_12_34_03.ipynb.txt": "x",
        "cy_13_35_work.zip": "x",
        "di_14_text.html": "x",
        "ed_15_36_03.IPYNB": solved(),
        "fay/.ipynb_checkpoints/03.ipynb": solved(),
        "gus/.03.ipynb": solved(),
        "grades.csv": "x",
        "notes.md": "x",
        ".DS_Store": "x",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = {one.student: one for one in collect(tmp_path)}
    assert {student.name: one.refused for student, one in found.items()} == {
        "ann": "no notebook was handed in, only homework.zip",
        "bo": "no notebook was handed in, only 03.ipynb.txt",
        "cy": "no notebook was handed in, only work.zip",
        "di": "no notebook was handed in, only text.html",
        "ed": "",
        "fay": "no notebook was handed in, only 03.ipynb",
        "gus": "no notebook was handed in, only .03.ipynb",
    }
    assert Student("bo", "12") in found


def test_collect_names_a_few_of_many_files(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    for number in range(5):
        (tmp_path / f"ann/{number}.pdf").write_text("x")
    (one,) = collect(tmp_path)
    assert one.refused == "no notebook was handed in, only 0.pdf, 1.pdf, 2.pdf and 2 more"


def test_canvas_says_who_was_late_and_hides_names(tmp_path: Path) -> None:
    names = (
        "leeann_LATE_12_34_03.ipynb",
        "bo_13_35_03.ipynb",
        "anon_LATE_aB3xQ_67899_03.ipynb",
        "anon_Zz9aB_67900_03.ipynb",
        "anon_Zz9aB_67901_more.ipynb",
        "my_LATE_homework.ipynb",
    )
    found = collect(write_zip(tmp_path / "a.zip", dict.fromkeys(names, solved())))
    assert {(*one.student, one.late, one.path) for one in found} == {
        ("leeann", "12", "late", names[0]),
        ("bo", "13", "", names[1]),
        ("anon_aB3xQ", "", "late", names[2]),
        ("anon_Zz9aB", "", "", names[3]),
        ("my_LATE_homework", "", "", names[5]),
    }
    assert [len(one.notebooks) for one in found if one.student.name == "anon_Zz9aB"] == [2]


def test_texts_of_a_notebook_come_with_nbgraders_names(tmp_path: Path) -> None:
    named = {"nbgrader": {"grade_id": "why"}}
    cells = [
        {"cell_type": "markdown", "metadata": named, "source": ["a", "b"]},
        {"cell_type": "markdown", "metadata": {"nbgrader": [1]}, "source": "c"},
        {"cell_type": "raw", "source": "d"},
    ]
    (tmp_path / "ann.ipynb").write_text(json.dumps({"cells": cells}))
    (one,) = collect(tmp_path)
    assert one.notebooks[0].texts == (("why", "ab"), ("", "c"))
    cells[0]["source"] = "x" * 300_000
    (tmp_path / "ann.ipynb").write_text(json.dumps({"cells": cells}))
    (one,) = collect(tmp_path)
    assert [len(text.source) for text in one.notebooks[0].texts] == [200_000, 0]
