"""A small table that a notebook shows as HTML and a terminal as text."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Table:
    """Rows of text under headings; the first column names each row.

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
        # Words to the left, numbers to the right.
        sides = "<" + ">" * (len(widths) - 1)
        return "\n".join(
            "  ".join(map("{:{}{}}".format, line, sides, widths)).rstrip() for line in lines
        )

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in self.headings)
        body = "".join(map(_html_row, self.rows))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _html_row(row: tuple[str, ...]) -> str:
    name, *numbers = map(escape, row)
    cells = "".join(f"<td>{number}</td>" for number in numbers)
    return f'<tr><th scope="row">{name}</th>{cells}</tr>'
