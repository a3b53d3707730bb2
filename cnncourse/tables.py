"""A small table that a notebook shows as HTML and a terminal as text."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

LEFT = ' style="text-align: left"'


@dataclass(frozen=True)
class Table:
    """Rows of text under headings; the first column names each row.

    Words stand at the left of their column, numbers at the right.

    Attributes
    ----------
    headings : tuple of str
        One for each column.
    rows : tuple of tuple of str
        As long as ``headings``.

    Examples
    --------
    >>> Table(("network", "test"), (("softmax", "0.833"), ("LeNet", "0.902")))
    network   test
    softmax  0.833
    LeNet    0.902
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.headings):
                raise ValueError(f"`rows` must be as long as {self.headings}, got {row}")

    def __repr__(self) -> str:
        lines = [self.headings, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        sides = "".join("<" if words else ">" for words in self._are_words())
        return "\n".join(
            "  ".join(map("{:{}{}}".format, line, sides, widths)).rstrip() for line in lines
        )

    def _repr_html_(self) -> str:
        words = self._are_words()
        # The first column stands to the left by itself: its cells are headings of their rows.
        head = "".join(map(_html_heading, map(escape, self.headings), [False, *words[1:]]))
        body = "".join(_html_row(row, words) for row in self.rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _are_words(self) -> list[bool]:
        """Tell for each column whether its cells are words; the names of the rows are."""
        columns = [[row[k] for row in self.rows] for k in range(1, len(self.headings))]
        return [True, *(any(cell[:1].isalpha() for cell in column) for column in columns)]


def _html_heading(heading: str, words: bool) -> str:
    return f'<th scope="col"{LEFT if words else ""}>{heading}</th>'


def _html_row(row: tuple[str, ...], words: list[bool]) -> str:
    name, *cells = map(escape, row)
    rest = "".join(map(_html_cell, cells, words[1:]))
    return f'<tr><th scope="row">{name}</th>{rest}</tr>'


def _html_cell(cell: str, words: bool) -> str:
    return f"<td{LEFT if words else ''}>{cell}</td>"
