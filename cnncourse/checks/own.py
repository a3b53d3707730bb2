"""Check a file of one's own: run its cells here, and call the public checks on its answers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnncourse import checks
from cnncourse.checks.cells import run_cells
from cnncourse.checks.notebook import read_notebook


def check_file(path: Path, seed: str) -> dict[str, tuple[bool, str]]:
    """Check every answer in a notebook or Python file.

    Parameters
    ----------
    path : Path
        The file; it runs in this process.
    seed : str
        Decides the inputs.

    Returns
    -------
    dict of str to (bool, str)
        Name of an exercise -> whether the answer passes, and what the check says.

    Raises
    ------
    ValueError
        If the file is not a notebook.
    """
    cells = read_notebook(path.name, path.read_bytes()).cells
    sys.path.insert(0, str(path.resolve().parent))
    handed_in: dict[str, object] = {}
    with _noted(handed_in):
        namespace, failures = run_cells(cells)
    for number, text in failures.items():
        print(f"Cell {number} stopped: {text}", file=sys.stderr)
    answers = {name: handed_in.get(name, namespace.get(name)) for name in checks.names()}
    return {
        name: _checked(name, answer, seed) for name, answer in answers.items() if answer is not None
    }


@contextmanager
def _noted(handed_in: dict[str, object]) -> Iterator[None]:
    """Let ``check`` note what it is given: every answer is checked once, at the end."""

    def note(name: str, answer: object, *, seed: int | str = 0) -> None:
        checks.find(name)
        handed_in[name] = answer

    check, checks.check = checks.check, note
    try:
        yield
    finally:
        checks.check = check


def _checked(name: str, answer: object, seed: str) -> tuple[bool, str]:
    try:
        report = checks.check(name, answer, seed=seed)
    except TypeError as error:
        return False, f"{name}: not yet ({error})"
    return report.passed, report.feedback
