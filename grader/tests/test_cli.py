"""The commands of instructors: what they say, how they end. What they do is tested beside."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from cnncourse_grader import grade as grading
from cnncourse_grader import release, sandbox
from cnncourse_grader.cli import COMPARE, GRADE, RELEASE
from cnncourse_grader.collect import Student
from cnncourse_grader.marks import Grade
from submissions import SECRET, solved

from cnncourse import cli


def test_the_commands_are_installed() -> None:
    added = {one.name: one.load() for one in entry_points(group="cnncourse.commands")}
    assert added == {"grade": GRADE, "release": RELEASE, "compare": COMPARE}


@pytest.mark.parametrize(
    ("words", "taught"),
    [
        ([], ["grade submissions", "write the archives"]),
        (["grade"], ["bubblewrap", "--resume", "--no-sandbox", "--dask", "Exit code"]),
        (["release"], ["without solutions", "--gradescope", "Exit code"]),
    ],
    ids=str,
)
def test_help_teaches(
    words: list[str], taught: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([*words, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert [part for part in taught if part not in text] == []


@pytest.mark.parametrize(
    "words",
    [
        ["grade"],
        ["grade", "x", "--out", "y", "--jobs", "0"],
        ["grade", "x", "--out", "y", "--seed", "a", "--seed-file", "b"],
        ["release"],
    ],
    ids=str,
)
def test_wrong_calls_end_with_1(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 1
    assert "usage: cnncourse" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"), [(release.LeakError("found"), 2), (ValueError("no clone"), 1)], ids=str
)
def test_release_exit_codes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(release, "release", fail)
    assert cli.main(["release", "--out", str(tmp_path)]) == code
    assert capsys.readouterr().err == f"cnncourse release: {error}\n"


def test_release_says_what_it_wrote(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(release, "release", lambda *arguments: [Path("a.zip"), Path("b.zip")])
    assert cli.main(["release", "--out", "."]) == 0
    assert capsys.readouterr().out == "a.zip\nb.zip\n"


def graded(status: str, ran: bool) -> list:
    return [Grade(Student("ann"), "", (), status, graded=ran, look=("cell 2 \x1b[2J",))]


@pytest.mark.parametrize(
    ("status", "ran", "code"),
    [
        ("graded", True, 0),
        ("stopped: it took more than 60 seconds", True, 0),
        ("refused: 03.ipynb is a link", False, 2),
    ],
)
def test_grade_exit_codes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: str,
    ran: bool,
    code: int,
) -> None:
    monkeypatch.setattr(grading, "grade", lambda options: graded(status, ran))
    words = ["grade", str(tmp_path), "--seed", SECRET, "--out", str(tmp_path / "grades.csv")]
    assert cli.main(words) == code
    assert "ann: worth a look: cell 2 ?[2J\n" in capsys.readouterr().err


def test_grade_needs_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CNNCOURSE_SEED", raising=False)
    assert cli.main(["grade", str(tmp_path), "--out", str(tmp_path / "grades.csv")]) == 1
    assert "a secret is needed" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["grade", "release"])
def test_a_short_secret_is_refused_and_a_long_one_offered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    words = {"grade": ["grade", str(tmp_path)], "release": ["release"]}[command]
    assert cli.main([*words, "--seed", "cnn-2026", "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "a secret of 8 characters is found by trying" in said
    (offer,) = re.findall(r"echo (\w+) > secret.txt", said)
    assert len(offer) == 32
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("way", ["option", "file", "environment"])
def test_grade_takes_the_secret_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    (tmp_path / "secret.txt").write_text(f"{SECRET}\n")
    monkeypatch.setenv("CNNCOURSE_SEED", SECRET if way == "environment" else "other")
    words = {
        "option": ["--seed", SECRET],
        "file": ["--seed-file", str(tmp_path / "secret.txt")],
        "environment": [],
    }[way]
    seen = []
    monkeypatch.setattr(grading, "grade", lambda options: seen.append(options) or [])
    cli.main(["grade", str(tmp_path), "--out", str(tmp_path / "grades.csv"), *words])
    assert seen[0].seed == SECRET
    assert SECRET not in repr(seen[0])


def test_grade_looks_at_the_worksheet_first_and_fills_it_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "sheet.csv"
    words = ["grade", str(tmp_path), "--seed", SECRET, "--out", str(tmp_path / "grades.csv")]
    monkeypatch.setattr(grading, "grade", lambda options: [Grade(Student("ann", "12"), "", ())])
    assert cli.main([*words, "--fill", str(sheet)]) == 1
    sheet.write_text("Identifier,Grade\nParticipant 12,\n")
    assert cli.main([*words, "--fill", str(sheet)]) == 0
    assert sheet.read_text() == "Identifier,Grade\nParticipant 12,0\n"
    assert "sheet.csv: points in 1 rows" in capsys.readouterr().err


def test_grade_without_bubblewrap_ends_with_1_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    (tmp_path / "ann.ipynb").write_text(solved())
    out = tmp_path / "grades.csv"
    assert cli.main(["grade", str(tmp_path), "--seed", SECRET, "--out", str(out)]) == 1
    assert "apt install bubblewrap" in capsys.readouterr().err
    assert not out.exists()


def test_grade_without_a_scheduler_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("distributed")
    (tmp_path / "ann.ipynb").write_text(solved())
    words = ["--seed", SECRET, "--out", str(tmp_path / "grades.csv"), "--dask", "nowhere"]
    assert cli.main(["grade", str(tmp_path), *words]) == 1
    assert "scheduler" in capsys.readouterr().err
