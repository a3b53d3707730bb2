"""The command line: what it says, what it writes, how it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cnncourse_grader import grade as grading
from cnncourse_grader import sandbox
from submissions import CHECK, FLIPPED, RIGHT, SETUP, STUB, notebook, solved

from cnncourse import cli, datasets
from cnncourse.datasets import Dataset, Split


@pytest.mark.parametrize(
    ("words", "taught"),
    [
        ([], ["check", "grade", "release", "train", "cnncourse grade submissions"]),
        (["check"], ["Exit code", "cnncourse check 03_cross_correlation.ipynb"]),
        (["grade"], ["bubblewrap", "--resume", "--no-sandbox", "--dask", "Exit code"]),
        (["release"], ["without solutions", "--gradescope", "Exit code"]),
        (["train"], ["validation", "--dataset", "Ctrl-C"]),
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
        [],
        ["mark"],
        ["grade"],
        ["grade", "x", "--out", "y", "--jobs", "0"],
        ["grade", "x", "--out", "y", "--seed", "a", "--seed-file", "b"],
        ["train", "--model", "resnet"],
        ["release"],
    ],
    ids=str,
)
def test_wrong_calls_end_with_1(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 1
    assert "usage: cnncourse" in capsys.readouterr().err


def test_help_answers_without_importing_torch() -> None:
    code = (
        "import sys; from cnncourse import cli; cli.parser().format_help(); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_command_is_installed() -> None:
    code = "from importlib.metadata import entry_points as e; print(e(name='cnncourse'))"
    pyproject = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert 'cnncourse = "cnncourse.cli:main"' in pyproject
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


# check


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (RIGHT, 0, "1 of 1 pass"),
        (FLIPPED, 2, "kernel looks flipped"),
        (STUB, 2, "corr2d: nothing written yet"),
        ("corr2d = 3", 2, "corr2d: not yet"),
    ],
    ids=["right", "flipped", "stub", "number"],
)
def test_check_notebook(
    tmp_path: Path, answer: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "03.ipynb"
    path.write_text(solved(answer))
    assert cli.main(["check", str(path)]) == code
    assert said in capsys.readouterr().out


def test_check_python_file_takes_what_is_handed_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "answers.py"
    path.write_text("\n".join([SETUP, RIGHT.replace("corr2d", "mine"), 'check("corr2d", mine)']))
    assert cli.main(["check", str(path)]) == 0
    assert "corr2d: passed" in capsys.readouterr().out


def test_check_goes_on_after_a_failed_cell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "03.ipynb"
    path.write_text(notebook(SETUP, "1 / 0", RIGHT, CHECK))
    assert cli.main(["check", str(path)]) == 0
    assert "Cell 2 stopped: ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "reason"), [("x = 1", "holds no answer"), (None, "No such file")], ids=str
)
def test_check_names_what_is_wrong_with_a_file(
    tmp_path: Path, text: str | None, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "answers.py"
    if text is not None:
        path.write_text(text)
    assert cli.main(["check", str(path)]) == 1
    assert reason in capsys.readouterr().err


# grade: what it does is in tests/test_grading.py


def graded(status: str, ran: bool) -> list:
    from cnncourse_grader.collect import Student
    from cnncourse_grader.marks import Grade

    return [Grade(Student("ann"), "", (), status, graded=ran)]


@pytest.mark.parametrize(
    ("status", "ran", "code"),
    [
        ("graded", True, 0),
        ("stopped: it took more than 60 seconds", True, 0),
        ("refused: 03.ipynb is a link", False, 2),
    ],
)
def test_grade_exit_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str, ran: bool, code: int
) -> None:
    monkeypatch.setattr(grading, "grade", lambda options: graded(status, ran))
    words = ["grade", str(tmp_path), "--seed", "s", "--out", str(tmp_path / "grades.csv")]
    assert cli.main(words) == code


def test_grade_needs_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CNNCOURSE_SEED", raising=False)
    assert cli.main(["grade", str(tmp_path), "--out", str(tmp_path / "grades.csv")]) == 1
    assert "a secret is needed" in capsys.readouterr().err


@pytest.mark.parametrize("way", ["option", "file", "environment"])
def test_grade_takes_the_secret_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    (tmp_path / "secret.txt").write_text("s3cret\n")
    monkeypatch.setenv("CNNCOURSE_SEED", "s3cret" if way == "environment" else "other")
    words = {
        "option": ["--seed", "s3cret"],
        "file": ["--seed-file", str(tmp_path / "secret.txt")],
        "environment": [],
    }[way]
    seen = []
    monkeypatch.setattr(grading, "grade", lambda options: seen.append(options) or [])
    cli.main(["grade", str(tmp_path), "--out", str(tmp_path / "grades.csv"), *words])
    assert seen[0].seed == "s3cret"
    assert "s3cret" not in repr(seen[0])


def test_grade_without_bubblewrap_ends_with_1_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    (tmp_path / "ann.ipynb").write_text(solved())
    out = tmp_path / "grades.csv"
    assert cli.main(["grade", str(tmp_path), "--seed", "s", "--out", str(out)]) == 1
    assert "apt install bubblewrap" in capsys.readouterr().err
    assert not out.exists()


def test_grade_without_a_scheduler_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("distributed")
    (tmp_path / "ann.ipynb").write_text(solved())
    words = ["--seed", "s", "--out", str(tmp_path / "grades.csv"), "--dask", "nowhere"]
    assert cli.main(["grade", str(tmp_path), *words]) == 1
    assert "scheduler" in capsys.readouterr().err


# train


def tiny(*values: object) -> Dataset:
    """Return images whose class is their brightness."""
    labels = torch.arange(10).repeat(20)
    images = (labels / 10).view(-1, 1, 1, 1).expand(-1, 1, 28, 28).contiguous()
    split = Split(images, labels)
    return Dataset(split, split, split, tuple("0123456789"))


def test_train_prints_every_epoch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(datasets, "load_mnist", tiny)
    words = [
        "--dataset",
        "mnist",
        "--model",
        "softmax",
        "--epochs",
        "2",
        "--device",
        "cpu",
        "--test",
    ]
    assert cli.main(["train", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["epoch", "train"]
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "test:"]


def test_train_names_a_bad_argument(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(datasets, "load_fashion_mnist", tiny)
    assert cli.main(["train", "--model", "softmax", "--seed", "-1"]) == 1
    assert "seed" in capsys.readouterr().err
