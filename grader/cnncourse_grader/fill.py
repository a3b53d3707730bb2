"""Write points into the file that Moodle or Canvas exported, and change no other byte of it.

Rows are found by the number that the learning platform wrote into the names of its archive.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cnncourse_grader import words
from cnncourse_grader.files import write
from cnncourse_grader.marks import Grade

CANVAS_COLUMN = re.compile(r".* \(\d+\)")
DELIMITERS = (",", ";", "\t")


class Sheet:
    """A table as text: the fields and what stands between them.

    Parameters
    ----------
    data : bytes
        CSV in UTF-8; other bytes are kept.
    """

    def __init__(self, data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        header = text.partition("\n")[0]
        delimiter = max(DELIMITERS, key=header.count)
        field = re.compile(rf'("(?:[^"]|"")*"|[^{delimiter}\r\n]*)({delimiter}|\r\n|\n|\r|\Z)')
        self.rows: list[list[list[str]]] = [[]]
        for match in field.finditer(text):
            if match.end() == match.start():
                break
            self.rows[-1].append([match[1], match[2]])
            if match[2] != delimiter:
                self.rows.append([])

    def __bytes__(self) -> bytes:
        text = "".join(part for row in self.rows for pair in row for part in pair)
        return text.encode("utf-8", "surrogateescape")

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [_value(raw) for raw, _ in self.rows[0]]


def _value(raw: str) -> str:
    raw = raw.removeprefix("\ufeff")
    return raw[1:-1].replace('""', '"') if raw.startswith('"') else raw


def fill(path: Path, grades: Sequence[Grade], column: str = "") -> list[str]:
    """Write each student's points into a worksheet.

    Parameters
    ----------
    path : Path
        Moodle's offline grading worksheet, or Canvas' exported gradebook; it is changed.
    grades : sequence of Grade
        Those that were refused or could not be graded leave their row as it is.
    column : str
        Of Canvas' assignment, where there are several.

    Returns
    -------
    list of str
        What to know: how many rows were filled, who has none, another maximum.

    Raises
    ------
    ValueError
        If the file is neither, or its column for the points is not certain.
    """
    sheet = Sheet(path.read_bytes())
    key, target = _places(path, sheet.columns, column)
    known = Counter(one.student.id for one in grades)
    ready = {
        g.student.id: g for g in grades if g.graded and g.student.id and known[g.student.id] < 2
    }
    filled = [
        row for row in sheet.rows[1:] if len(row) > max(key, target) and _id(row, key) in ready
    ]
    for row in filled:
        row[target][0] = f"{ready[_id(row, key)].total:g}"
    found = {_id(row, key) for row in filled}
    write(path, bytes(sheet))
    left = [one.student.name for one in grades if one.student.id not in found]
    return [
        words.filled(path.name, len(filled)),
        *map(words.not_filled, left),
        *_maxima(sheet, grades),
    ]


def check(path: Path, column: str = "") -> None:
    """Raise what `fill` would, before the work is done."""
    _places(path, Sheet(path.read_bytes()).columns, column)


def late(path: Path) -> dict[str, str]:
    """Return what Moodle's worksheet says of the time, by the number of the student.

    Moodle writes it behind the status, in the language of the site: "Submitted for grading - 2 days
    late". What has a number in it is a time.
    """
    sheet = Sheet(path.read_bytes())
    if not {"Identifier", "Status"} <= set(sheet.columns):
        return {}
    key, place = sheet.columns.index("Identifier"), sheet.columns.index("Status")
    rows = [row for row in sheet.rows[1:] if len(row) > max(key, place)]
    said = {_id(row, key): _value(row[place][0]).split(" - ")[1:] for row in rows}
    times = {one: [part for part in parts if re.search(r"\d", part)] for one, parts in said.items()}
    return {one: " - ".join(parts) for one, parts in times.items() if parts}


def _places(path: Path, columns: list[str], column: str) -> tuple[int, int]:
    """Find the columns of the number and of the points."""
    if {"Identifier", "Grade"} <= set(columns):
        return columns.index("Identifier"), columns.index("Grade")
    if not {"Student", "ID"} <= set(columns):
        raise ValueError(f"{path} is neither Moodle's grading worksheet nor Canvas' gradebook")
    fitting = [n for n in columns if CANVAS_COLUMN.fullmatch(n) and n.startswith(column)]
    if len(fitting) != 1:
        raise ValueError(f"--column must name one assignment of {path}: {', '.join(fitting)}")
    return columns.index("ID"), columns.index(fitting[0])


def _id(row: list[list[str]], key: int) -> str:
    return re.sub(r".*\s", "", _value(row[key][0]))


def _maxima(sheet: Sheet, grades: Sequence[Grade]) -> list[str]:
    """Say where the worksheet counts to another number; Canvas says it in a row, and ignores it."""
    if "Maximum Grade" not in sheet.columns or not grades:
        return []
    place = sheet.columns.index("Maximum Grade")
    found = {_value(row[place][0]) for row in sheet.rows[1:] if len(row) > place}
    others = sorted(one for one in found if not _same(one, grades[0].most))
    return [words.other_maximum(one, grades[0].most) for one in others]


def _same(text: str, number: float) -> bool:
    try:
        return float(text.replace(",", ".")) == number
    except ValueError:
        return False
