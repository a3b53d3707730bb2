"""The benchmark of the fast recipe: its report, without training."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import sprint


@pytest.fixture
def asked(monkeypatch) -> list[tuple[int, int]]:
    """Answer in place of a process; list seed and threads of each."""
    found = []

    def afresh(seed: int, threads: int) -> dict[str, float]:
        found.append((seed, threads))
        return {"seconds": 1.0 + seed, "accuracy": 0.989 + 0.001 * seed}

    monkeypatch.setattr(sprint, "afresh", afresh)
    return found


def test_report_counts_the_seeds_that_reached_the_goal(asked, tmp_path: Path, capsys) -> None:
    out = tmp_path / "new" / "sprint.md"
    assert sprint.main(["--seeds", "3", "--threads", "2", "--out", str(out)]) == 0
    assert asked == [(0, 2), (1, 2), (2, 2)]
    text = out.read_text()
    assert capsys.readouterr().out == text
    assert "2 of 3 seeds reached 99%" in text
    assert "mean 2.00, median 2.00, 1.00 to 3.00. Threads: 2." in text
    assert "| 0    | 1.00    | 98.90 %       |" in text


@pytest.mark.parametrize("name", ["seeds", "threads"])
def test_bench_refuses_no_runs(name: str, capsys) -> None:
    with pytest.raises(SystemExit):
        sprint.main([f"--{name}", "0"])
    assert f"--{name} must be at least 1, got 0" in capsys.readouterr().err
