"""Read a submitted notebook as text: tolerant of what Jupyter and Colab write, bounded in size.

Nothing of a notebook is run here. Outputs and metadata, a student's name among them, are dropped,
but for nbgrader's names of the cells with text.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import NamedTuple

LARGEST_FILE = 25 << 20  # bytes; figures in the outputs make most of it
MOST_CELLS = 2_000
LARGEST_SOURCE = 1 << 20  # characters in all code cells together
LARGEST_TEXT = 200_000  # characters of text that are kept
LONGEST_NAME = 100
PERCENT_CELL = re.compile(r"^# ?%%.*$", re.MULTILINE)


class UnreadableError(ValueError):
    """A file that is no notebook; the message says why."""


class Text(NamedTuple):
    """A cell with text: nbgrader's name of it, if it has one, and its Markdown."""

    name: str
    source: str


@dataclass(frozen=True)
class Notebook:
    """The code of a notebook, and its text.

    Attributes
    ----------
    name : str
        File name.
    cells : tuple of str
        Source of the code cells, in order.
    texts : tuple of Text
        The cells with text, in order; of very long ones the beginning.
    """

    name: str
    cells: tuple[str, ...]
    texts: tuple[Text, ...] = ()

    @property
    def is_python(self) -> bool:
        """Whether it was a Python file."""
        return self.name.lower().endswith(".py")

    @property
    def digest(self) -> str:
        """SHA-256 of the code: equal for equal code, whatever the outputs."""
        return hashlib.sha256(json.dumps(self.cells).encode()).hexdigest()


def read_notebook(name: str, data: bytes) -> Notebook:
    """Read the code cells of an .ipynb file, or of a .py file with ``# %%`` between cells.

    Parameters
    ----------
    name : str
        File name; its ending decides how the file is read.
    data : bytes
        Content, at most ``LARGEST_FILE`` bytes.

    Returns
    -------
    Notebook
        Its code.

    Raises
    ------
    UnreadableError
        If the file is too large, is not UTF-8 or not JSON, has no list of cells, or has more than
        ``MOST_CELLS`` code cells or ``LARGEST_SOURCE`` characters of code.

    Examples
    --------
    >>> read_notebook("a.py", b"x = 1").cells
    ('x = 1',)
    """
    if len(data) > LARGEST_FILE:
        raise UnreadableError(f"{name} is larger than {LARGEST_FILE >> 20} MB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableError(f"{name} is not UTF-8 text") from None
    if name.lower().endswith(".py"):
        return Notebook(name, _bounded(name, tuple(PERCENT_CELL.split(text))))
    cells = _cells(name, text)
    code = tuple(_source(name, one.get("source", "")) for one in _of_type(cells, "code"))
    return Notebook(name, _bounded(name, code), _texts(name, _of_type(cells, "markdown")))


def _cells(name: str, text: str) -> list[dict]:
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError):
        raise UnreadableError(f"{name} is not a notebook: its JSON is broken") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise UnreadableError(f"{name} is not a notebook: it has no list of cells")
    return [one for one in cells if isinstance(one, dict)]


def _of_type(cells: list[dict], kind: str) -> list[dict]:
    return [one for one in cells if one.get("cell_type") == kind]


def _texts(name: str, cells: list[dict]) -> tuple[Text, ...]:
    found, left = [], LARGEST_TEXT
    for cell in cells[:MOST_CELLS]:
        source = _source(name, cell.get("source", ""))[:left]
        left -= len(source)
        found.append(Text(_grade_id(cell), source))
    return tuple(found)


def _grade_id(cell: dict) -> str:
    """Return nbgrader's name of a cell, "" if there is none."""
    found: object = cell
    for key in ("metadata", "nbgrader", "grade_id"):
        found = found.get(key) if isinstance(found, dict) else None
    return found[:LONGEST_NAME] if isinstance(found, str) else ""


def _source(name: str, source: object) -> str:
    lines = source if isinstance(source, list) else [source]
    if not all(isinstance(line, str) for line in lines):
        raise UnreadableError(f"{name} has a cell whose source is not text")
    return "".join(lines)


def _bounded(name: str, cells: tuple[str, ...]) -> tuple[str, ...]:
    if len(cells) > MOST_CELLS:
        raise UnreadableError(
            f"{name} has {len(cells):,} code cells, at most {MOST_CELLS:,} are read"
        )
    if (size := sum(map(len, cells))) > LARGEST_SOURCE:
        raise UnreadableError(
            f"{name} has {size:,} characters of code, at most {LARGEST_SOURCE:,} are read"
        )
    return cells
