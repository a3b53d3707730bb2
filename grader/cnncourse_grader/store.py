"""Keep the results of a run on disk, each one complete or not there at all.

Beside ``grades.csv`` stands a folder ``grades`` with ``json/`` (one file a student, written when
its grade comes; ``--resume`` reads them), ``feedback/`` (one page a student) and ``run.json`` (what
was graded, and a way to recognise the seed that does not give it away). The table is made of these
at the end of a run.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

import cnncourse
from cnncourse_grader import words
from cnncourse_grader.collect import Student
from cnncourse_grader.feedback import page
from cnncourse_grader.files import write
from cnncourse_grader.marks import Grade, is_pending

# scrypt with these numbers takes 0.1 s: guessing seeds from run.json is slow.
SCRYPT = {"n": 1 << 14, "r": 8, "p": 1}


class Store:
    """The results on disk.

    Parameters
    ----------
    out : Path
        The table, ``grades.csv``.
    names : sequence of str
        Exercises, in the order of the columns.
    warning : str
        Stands in every report; empty for none.
    """

    def __init__(self, out: Path, names: Sequence[str], warning: str) -> None:
        self.out, self.names, self.warning = out, list(names), warning
        self.folder = out.parent / out.stem if out.suffix else out.parent / f"{out.name}-students"
        self.grades: dict[Student, Grade] = {}

    def open(self, seed: str, resume: bool) -> None:
        """Begin a run, or go on with one.

        Parameters
        ----------
        seed : str
            Secret.
        resume : bool
            Go on with the results that are there.

        Raises
        ------
        ValueError
            If there are results and ``resume`` is False, or they belong to another seed, other
            exercises or another protection.
        """
        record = self.folder / "run.json"
        if record.exists():
            if not resume:
                raise ValueError(
                    f"{self.folder} holds results already: add --resume to go on with them, "
                    "or choose another --out"
                )
            self._check(json.loads(record.read_text(encoding="utf-8")), seed)
        for name in ("json", "feedback"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        if not record.exists():
            salt = secrets.token_hex(16)
            write(record, _as_json(self._settings() | {"salt": salt, "seed": _trace(seed, salt)}))

    def _settings(self) -> dict:
        return {
            "version": cnncourse.__version__,
            "exercises": self.names,
            "warning": self.warning,
        }

    def _check(self, record: dict, seed: str) -> None:
        if record["seed"] != _trace(seed, record["salt"]):
            raise ValueError(f"`--seed` must be the one that {self.folder} was begun with")
        for name, value in self._settings().items():
            if record[name] != value:
                raise ValueError(
                    f"--resume needs the same {name} as before: {record[name]!r}, got {value!r}"
                )

    def load(self, student: Student, digest: str) -> bool:
        """Take over an earlier result of the same submission; tell whether there is one."""
        try:
            data = json.loads(self._path("json", student).read_text(encoding="utf-8"))
            grade = Grade.from_dict(data)
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if (
            is_pending(grade)
            or grade.digest != digest
            or not self._path("feedback", student).exists()
        ):
            return False
        self.grades[student] = grade
        return True

    def add(self, grade: Grade) -> None:
        """Write the result of one student, the page first: its data says that it is whole."""
        self.grades[grade.student] = grade
        write(self._path("feedback", grade.student), page(grade, self.warning))
        data = grade.to_dict() | ({"warning": self.warning} if self.warning else {})
        write(self._path("json", grade.student), _as_json(data))

    def write_table(self) -> None:
        """Write the table of all results so far."""
        write(self.out, table(self.grades.values(), self.names, self.warning))

    def _path(self, kind: str, student: Student) -> Path:
        ending = {"json": "json", "feedback": "html"}[kind]
        return self.folder / kind / f"{file_name(student)}.{ending}"


def file_name(student: Student) -> str:
    """Make a name for files of a student: readable, safe on any system, and unlike all others.

    Parameters
    ----------
    student : Student
        Whose file it is.

    Returns
    -------
    str
        Letters, digits, ``-`` and ``_``.

    Examples
    --------
    >>> file_name(Student("Zoë Lee", "12"))
    'Zoë-Lee-12-c1ecc6fc8339b6ab5ad2'
    """
    # Systems that do not tell "Ann" from "ann" still see two files, and nobody finds a second name
    # with the same trace.
    trace = hashlib.sha256("\0".join(student).encode()).hexdigest()[:20]
    readable = re.sub(r"[^\w-]+", "-", "-".join(filter(None, student)))
    # A file system counts bytes.
    return f"{readable.encode()[:80].decode(errors='ignore')}-{trace}"


def table(grades: Iterable[Grade], names: Sequence[str], warning: str) -> str:
    """Write grades as CSV: one row a student, sorted, the same for the same grades.

    Parameters
    ----------
    grades : iterable of Grade
        In any order.
    names : sequence of str
        Exercises, in the order of the columns.
    warning : str
        Is added to every status.

    Returns
    -------
    str
        Columns ``student``, ``id``, one an exercise, ``total``, ``max``, ``status``, ``look``; no
        control characters.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["student", "id", *names, "total", "max", "status", "look"])
    for grade in sorted(grades, key=lambda one: one.student):
        points = [f"{mark.points:g}" for mark in grade.marks]
        status = "; ".join(filter(None, [grade.status, warning]))
        totals = [f"{grade.total:g}", f"{grade.most:g}"]
        row = [*grade.student, *points, *totals, status, "; ".join(grade.look)]
        writer.writerow(map(words.printable, row))
    return text.getvalue()


def _as_json(data: dict) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _trace(seed: str, salt: str) -> str:
    return hashlib.scrypt(seed.encode(), salt=bytes.fromhex(salt), **SCRYPT).hex()
