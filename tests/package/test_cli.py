"""The command line: check, train, and where the commands of instructors come from."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from cnncourse import cli, datasets, lenet, train, training
from cnncourse.datasets import Dataset, Split

SETUP = "from cnncourse import check"
CHECK = 'check("corr2d", corr2d)'
RIGHT = """\
def corr2d(x, kernel):
    kh, kw = kernel.shape
    return x.unfold(0, kh, 1).unfold(1, kw, 1).flatten(2) @ kernel.flatten()
"""
FLIPPED = RIGHT.replace("kernel.flatten()", "kernel.flip(0, 1).flatten()")
STUB = "def corr2d(x, kernel):\n    raise NotImplementedError\n"


def notebook(*cells: str) -> str:
    code = [{"cell_type": "code", "source": source} for source in cells]
    return json.dumps({"cells": code})


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other distribution adds a command."""
    monkeypatch.setattr(cli, "entry_points", lambda group: ())


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("words", "taught"),
    [
        ([], ["cnncourse check notebook.ipynb", "check the answers", "train a network"]),
        (["check"], ["Exit code", "cnncourse check 03_cross_correlation.ipynb"]),
        (["train"], ["validation", "--data", "Ctrl-C"]),
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
    assert "release" not in text


@pytest.mark.parametrize(
    "words", [[], ["mark"], ["train", "--model", "resnet"], ["train", "--epochs", "0"]], ids=str
)
def test_wrong_calls_end_with_1(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 1
    assert "usage: cnncourse" in capsys.readouterr().err


def test_help_answers_without_importing_torch() -> None:
    code = (
        "import sys; from cnncourse import cli; cli.parser(cli.commands()).format_help(); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# Commands of other distributions


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("words", [["grade", "submissions"], ["release", "--help"]], ids=str)
def test_commands_of_the_grader_say_what_to_install(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"cnncourse {words[0]}: ")
    assert 'pip install "cnncourse-grader @ git+https://' in said
    assert said.count("\n") == 1


def hello(command: cli.Parser) -> None:
    command.add_argument("--count", type=cli.positive, default=3)
    command.set_defaults(run=lambda options: options.count)


HELLO = cli.Command("say hello", "Say hello.", hello)


def test_commands_are_added_by_entry_points(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "test_cli_hello", sys.modules[__name__])
    added = EntryPoint("hello", "test_cli_hello:HELLO", "cnncourse.commands")
    monkeypatch.setattr(cli, "entry_points", lambda group: [added] * (group == added.group))
    assert cli.main(["hello", "--count", "4"]) == 4
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "say hello" in capsys.readouterr().out


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
    path.write_text(notebook(SETUP, answer, CHECK))
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
        "--data",
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
    assert [line.split()[0] for line in lines[1:3]] == ["1", "2"]
    assert lines[-1].startswith("test: loss")


def test_train_prints_an_epoch_when_it_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(datasets, "load_mnist", tiny)
    seen, plain = [], training.fit

    def watched(*arguments: object, after_epoch: Callable, **options: object) -> object:
        def look(epoch: training.Epoch) -> None:
            after_epoch(epoch)
            seen.append(capsys.readouterr().out.splitlines()[-1])

        return plain(*arguments, after_epoch=look, **options)

    monkeypatch.setattr(training, "fit", watched)
    cli.main(["train", "--data", "mnist", "--model", "softmax", "--epochs", "3"])
    assert [line.split()[0] for line in seen] == ["1", "2", "3"]


def test_train_names_a_bad_argument(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(datasets, "load_fashion_mnist", tiny)
    assert cli.main(["train", "--model", "softmax", "--seed", "-1"]) == 1
    assert "seed" in capsys.readouterr().err
    assert cli.main(["train", "--model", "softmax", "--device", "banana"]) == 1
    assert "`device` must be cpu, cuda" in capsys.readouterr().err


def test_train_keeps_its_columns_when_the_loss_explodes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(datasets, "load_mnist", tiny)
    cli.main(["train", "--data", "mnist", "--model", "softmax", "--lr", "1e9", "--epochs", "2"])
    head, *rows = capsys.readouterr().out.splitlines()[:3]
    assert [len(row) for row in rows] == [len(head)] * 2


# train --out


@pytest.fixture
def softmax(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(datasets, "load_mnist", tiny)
    return ["train", "--data", "mnist", "--model", "softmax", "--device", "cpu", "--epochs", "3"]


def test_train_keeps_weights_history_and_curve(
    softmax: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs" / "a"
    assert cli.main([*softmax, "--out", str(out)]) == 0
    names = ["checkpoint.safetensors", "curve.png", "history.csv", "weights.safetensors"]
    assert sorted(path.name for path in out.iterdir()) == names
    said = capsys.readouterr().out
    assert f"{out} holds weights.safetensors" in said
    assert "epoch 1 to 3" in said
    rows = list(csv.DictReader((out / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    model = lenet.softmax_regression()
    model.load_state_dict(load_file(out / "weights.safetensors"))
    loss, accuracy = training.evaluate(model, tiny().validation)
    assert float(rows[-1]["validation_loss"]) == loss
    with safe_open(out / "weights.safetensors", "pt") as file:
        about = file.metadata()
    assert about == {
        "model": "softmax",
        "data": "mnist",
        "epochs": "3",
        "seed": "0",
        "validation_accuracy": f"{accuracy:.4f}",
    }
    assert (out / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_train_goes_on_after_ctrl_c(
    softmax: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = ["--out", str(tmp_path / "a")]
    assert cli.main([*softmax, "--out", str(tmp_path / "whole")]) == 0
    whole = capsys.readouterr().out.splitlines()
    with monkeypatch.context() as patch:
        patch.setattr(train, "_print_epoch", stopping(2, train._print_epoch))
        assert cli.main([*softmax, *out]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "interrupted after epoch 2; the same command with --resume goes on"
    assert not (tmp_path / "a" / "weights.safetensors").exists()
    assert cli.main([*softmax, *out, "--resume"]) == 0
    resumed = capsys.readouterr().out.splitlines()
    seconds = train.HEAD.index("seconds")
    assert [row[:seconds] for row in resumed[:4]] == [row[:seconds] for row in whole[:4]]
    weights = [(tmp_path / name / "weights.safetensors") for name in ("a", "whole")]
    one, two = (load_file(path) for path in weights)
    assert all(torch.equal(one[name], two[name]) for name in two)


def stopping(epoch: int, plain: Callable) -> Callable:
    def show(number: int, numbers: training.Epoch) -> None:
        plain(number, numbers)
        if number == epoch:
            raise KeyboardInterrupt

    return show


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--out", "full"], "`--out` must be a new or empty folder, and full is there already"),
        (["--out", "file"], "`--out` must be a new or empty folder, and file is there already"),
        (["--resume"], "`--resume` needs `--out FOLDER`"),
        (["--resume", "--out", "new"], "`--resume` needs the file new/checkpoint.safetensors"),
        (["--resume", "--out", "full"], "`--resume` needs the file full/checkpoint.safetensors"),
        (["--resume", "--out", "bad"], "`checkpoint` bad/checkpoint.safetensors is damaged"),
        (["--lr", "-1"], "learning rate: -1"),
    ],
    ids=" ".join,
)
def test_train_never_writes_over_a_folder(
    words: list[str],
    reason: str,
    softmax: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("full/mine.txt", "file", "bad/checkpoint.safetensors"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("mine")
    assert cli.main([*softmax, *words]) == 1
    said = capsys.readouterr().err
    assert said.startswith("cnncourse train: ")
    assert reason in said
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert files == ["bad", "bad/checkpoint.safetensors", "file", "full", "full/mine.txt"]
    assert {path.read_text() for path in tmp_path.rglob("*") if path.is_file()} == {"mine"}


def test_terminal_curve_of_many_epochs_is_as_wide_as_a_terminal() -> None:
    drawn = train.terminal_curve([i / 1000 for i in range(200)]).splitlines()
    assert max(map(len, drawn)) <= 79
    assert sum(line.count("o") for line in drawn[1:-2]) == train.WIDTH
    assert drawn[1].startswith("0.199")
    assert drawn[-1].endswith("epoch 1 to 200")
    assert "o" in train.terminal_curve([0.5, 0.5])
