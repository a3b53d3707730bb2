"""The benchmark of the operators: it compares what is equal, measures both, and hides no miss."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from benchmarks import operators
from cnncourse.channels import im2col
from cnncourse.windows import windows

pytest.importorskip("cnncourse.reference").import_d2l()


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def row(ours: float, theirs: float, target: float | None = 3) -> list[str]:
    pair = operators.Pair("conv2d", "(1,)", "torch", tuple, tuple, target)
    return operators.time_line(pair, ours, theirs)


def test_every_pair_gives_the_same_numbers_and_gradients():
    pairs = operators.pairs(2)
    for pair in pairs:
        operators.check_same(pair)
    tensors = {pair.what: len(pair.ours()) for pair in pairs}
    # the output, and the gradient of every input
    assert tensors["conv2d forward + backward"] == 3
    assert tensors["batch_norm, training, forward + backward"] == 4


def test_check_same_stops_at_a_wrong_number():
    pair = operators.pairs(2)[1]
    wrong = dataclasses.replace(pair, ours=lambda: [1.01 * t for t in pair.theirs()])
    with pytest.raises(RuntimeError, match=r"conv2d forward \+ backward differs from torch"):
        operators.check_same(wrong)


def test_medians_times_each_call_in_turn(monkeypatch):
    monkeypatch.setattr(operators, "BLOCK", 0)  # one call a block
    calls = []
    pair = operators.Pair("", "", "", lambda: calls.append("ours"), lambda: calls.append("theirs"))
    ((ours, theirs),) = operators.medians([pair], repeats=5)
    assert calls[-10:] == ["ours", "theirs"] * 5
    assert ours > 0 < theirs


def test_time_line_says_what_was_missed():
    assert row(2e-3, 1e-3)[3:] == ["2.000", "1.000", "2.00", "at most 3.00", "met"]
    assert row(4e-3, 1e-3)[-1] == "MISSED"
    assert row(1e-3, 99e-3, 1 / 100)[-3:] == ["1/99", "at most 1/100", "MISSED"]
    assert row(4e-3, 1e-3, None)[-2:] == ["", ""]


def test_peak_bytes_counts_what_is_held_at_once():
    x = torch.zeros(2, 3, 9, 8)
    matrix = 4 * 2 * 3 * 5 * 5 * 5 * 4
    assert operators.peak_bytes(lambda: windows(x, 5)) == 0
    # The profiler may count a few bytes of alignment.
    assert operators.peak_bytes(lambda: im2col(x, 5)) == pytest.approx(matrix, abs=256)
    one = 4 * 100_000
    freed = operators.peak_bytes(lambda: [torch.ones(100_000).sum() for _ in range(4)])
    kept = operators.peak_bytes(lambda: [torch.ones(100_000) for _ in range(4)])
    assert freed == pytest.approx(one, abs=4096)
    assert kept == pytest.approx(4 * one, abs=4096)


def test_memory_of_our_forms_is_what_the_arithmetic_says():
    ours = operators.memory_lines(4)[:-1]
    assert len(ours) == 4
    for _, measured, counted, _ in ours:
        assert float(measured) == pytest.approx(float(counted), abs=0.02)


@pytest.mark.usefixtures("one_thread")
def test_main_prints_the_tables_and_writes_them(tmp_path: Path, capsys):
    out = tmp_path / "new" / "operators.md"
    assert operators.main(["--repeats", "1", "--batch", "2", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert out.read_text() == text
    assert "median over 1 repeats" in text
    assert "threads 1," in text
    assert f"torch {torch.__version__}" in text
    assert "(2, 6, 14, 14) * (16, 6, 5, 5)" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 7 + 2 + 5
    assert len({line.count("|") for line in lines[:9]}) == 1


@pytest.mark.parametrize("option", ["--repeats", "--batch"])
def test_main_refuses_a_number_below_1(option, capsys):
    with pytest.raises(SystemExit):
        operators.main([option, "0"])
    assert f"{option} must be at least 1, got 0" in capsys.readouterr().err
