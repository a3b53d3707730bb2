"""Running cells without Jupyter: magics, errors, clocks."""

from __future__ import annotations

import time

import pytest

from cnncourse.checks.cells import OutOfTimeError, run_cells, time_limit, without_magics


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("%matplotlib inline\nx = 1", "pass\nx = 1"),
        ("!pip install it's \\\n  more\nx = 1", "pass\n\nx = 1"),
        ("files = !ls\nprint(files)", "files = []\nprint(files)"),
        ("%time y = f(x)", "y = f(x)"),
        ("if x:\n    !ls\n", "if x:\n    pass\n"),
        ("torch.nn?\n?f\nf??", "pass\npass\npass"),
        ("%%time\nx = 1", "x = 1"),
        ("%%bash\nls (", ""),
        # Python, whatever it looks like.
        ("!ls\nh, w = x.shape  # height first?", "pass\nh, w = x.shape  # height first?"),
        ("!ls\ny = (7\n    % 4)", "pass\ny = (7\n    % 4)"),
        ("!ls\ns = '''\n%no magic\nwhy?\n'''", "pass\ns = '''\n%no magic\nwhy?\n'''"),
        # Wrong, whatever is done.
        ("def f(:\n    pass", "def f(:\n    pass"),
    ],
)
def test_magics_are_left_out_and_nothing_else(source: str, plain: str) -> None:
    assert without_magics(source) == plain


def test_what_stands_below_an_error_runs() -> None:
    namespace, failures = run_cells(["x = 1\n1 / 0\ny = 2\nundefined", "z = x + y"])
    assert namespace["z"] == 3
    assert failures == {1: "ZeroDivisionError: division by zero"}


def test_what_stands_below_a_statement_without_end_runs() -> None:
    namespace, failures = run_cells(["while True: pass\nx = 1"], seconds=0.2)
    assert namespace["x"] == 1
    assert failures == {1: "it took too long"}


def test_exit_ends_its_cell_alone() -> None:
    namespace, failures = run_cells(["raise SystemExit\nx = 1", "y = 2"])
    assert "x" not in namespace
    assert namespace["y"] == 2
    assert failures == {1: "SystemExit"}


def test_an_import_from_the_future_holds_for_later_cells() -> None:
    cells = ["from __future__ import annotations", "def f(x: Undefined): return x"]
    assert run_cells(cells)[1] == {}


def forever(end: float) -> None:
    while time.monotonic() < end:
        pass


def within(end: float) -> None:
    with pytest.raises(OutOfTimeError), time_limit(0.1):
        forever(end)
    forever(end)


def test_a_clock_within_a_clock_leaves_the_outer_one_running() -> None:
    end = time.monotonic() + 60
    with pytest.raises(OutOfTimeError), time_limit(0.5):
        within(end)
    assert time.monotonic() < end
