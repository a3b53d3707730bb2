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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from cnncourse_grader import classroom, words, written
from cnncourse_grader.collect import Student, Submission
from cnncourse_grader.feedback import page
from cnncourse_grader.files import write, zipped
from cnncourse_grader.marks import Grade, Written, is_pending, is_stopped
from cnncourse_grader.written import Question

RECORDED = {"exercises", "warning", "limits", "protection", "salt", "seed"}
ALL = "all"  # every exercise
# scrypt with these numbers takes 0.1 s: guessing seeds from run.json is slow.
SCRYPT = {"n": 1 << 14, "r": 8, "p": 1}


class Store:
    """The results on disk.

    Parameters
    ----------
    out : Path
        The table, ``grades.csv``.
    exercises : mapping
        Name of an exercise, in the order of the columns -> its fingerprint.
    warning : str
        Stands in every report; empty for none.
    limits : mapping
        Of a notebook.
    """

    def __init__(
        self, out: Path, exercises: Mapping[str, str], warning: str, limits: Mapping[str, int]
    ) -> None:
        self.out, self.exercises, self.warning = out, dict(exercises), warning
        self.names, self.limits = list(exercises), dict(limits)
        self.folder = out.parent / out.stem if out.suffix else out.parent / f"{out.name}-students"
        self.grades: dict[Student, Grade] = {}
        self.before: dict[Student, Grade] = {}
        self.written: dict[Student, tuple[Written, ...]] = {}
        self.record: dict = {}
        self.again: frozenset[str] = frozenset()
        self.protection: list[str] = []
        self.late: dict[Student, str] = {}
        self.paths: dict[Student, str] = {}
        self.times: dict[str, dict] = {}
        self.questions: Sequence[Question] = ()

    def open(self, seed: str, resume: bool, again: Sequence[str] = ()) -> None:
        """Begin a run, or go on with one.

        Parameters
        ----------
        seed : str
            Secret.
        resume : bool
            Go on with the results that are there.
        again : sequence of str
            Exercises and students to grade again; "all" for everything.

        Raises
        ------
        ValueError
            If there are results and ``resume`` is False, or they belong to other exercises,
            another protection, or another seed and not everything is graded again.
        """
        self.again = frozenset(self.names if ALL in again else again)
        record = self.folder / "run.json"
        if record.exists() and not resume:
            raise ValueError(
                f"{self.folder} holds results already: add --resume to go on with them, "
                "or choose another --out"
            )
        if record.exists():
            self.record = self._checked(record, seed)
        for name in ("json", "feedback"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        salt = secrets.token_hex(16)
        self.traces = {"salt": salt, "seed": _trace(seed, salt)}
        if not self.record:
            self._write_record(self.exercises, self.limits)

    def know(
        self,
        submissions: Sequence[Submission],
        late: Mapping[str, str],
        questions: Sequence[Question],
    ) -> None:
        """Take over what does not come from the notebooks' code.

        Parameters
        ----------
        submissions : sequence of Submission
            For their times and for the names under which feedback goes back.
        late : mapping
            Number of a student -> what a worksheet says of the time.
        questions : sequence of Question
            To be marked by a person.
        """
        path = self.folder / "times.json"
        self.times = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.late = {
            s.student: late.get(s.student.id, "") or s.late or self._time(s.student, "late", "")
            for s in submissions
        }
        self.paths = {s.student: s.path for s in submissions}
        self.questions = questions

    def _time(self, student: Student, kind: str, other: object) -> object:
        """Return what an earlier run noted of a student's time."""
        return self.times.get(file_name(student), {}).get(kind, other)

    def _checked(self, path: Path, seed: str) -> dict:
        record = json.loads(path.read_text(encoding="utf-8"))
        if type(record) is not dict or record.keys() != RECORDED:
            raise ValueError(f"{path} was not written by this version: choose another --out")
        before = {"exercises": list(record["exercises"]), "warning": record["warning"]}
        for name, value in {"exercises": self.names, "warning": self.warning}.items():
            if before[name] != value:
                raise ValueError(
                    f"--resume needs the same {name} as before: {before[name]!r}, got {value!r}"
                )
        if record["seed"] != _trace(seed, record["salt"]) and not self.again >= set(self.names):
            raise ValueError(
                f"`--seed` must be the one that {self.folder} was begun with. With another one all "
                f"exercises have to be graded again: --regrade {ALL} does it"
            )
        return record

    def notes(self) -> list[str]:
        """Say what has changed since the results were made, and what to do about it."""
        if not self.record:
            return []
        before = self.record["exercises"]
        changed = [n for n in self.names if before[n] != self.exercises[n] and n not in self.again]
        lines = [words.exercises_changed(changed)] if changed else []
        if self.record["limits"] != self.limits and (stopped := self._still_stopped()):
            lines.append(words.limits_changed(stopped))
        return lines

    def _still_stopped(self) -> list[str]:
        old = [
            student for student, grade in self.before.items() if self.grades.get(student) is grade
        ]
        return [one.name for one in old if is_stopped(self.before[one])]

    def _write_record(self, exercises: Mapping[str, str], limits: Mapping[str, int]) -> None:
        facts = {"warning": self.warning, "limits": limits, "protection": self.protection}
        data = {"exercises": exercises, **facts, **self.traces}
        write(self.folder / "run.json", _as_json(data))

    def protect(self, lines: Sequence[str]) -> None:
        """Note what protected the computer from the notebooks of this run, and what did not."""
        self.protection = list(lines)
        path = self.folder / "run.json"
        record = json.loads(path.read_text(encoding="utf-8"))
        write(path, _as_json(record | {"protection": self.protection}))

    def load(self, student: Student, digest: str) -> bool:
        """Take over an earlier result of the same submission; tell whether it will do."""
        try:
            data = json.loads(self._path("json", student).read_text(encoding="utf-8"))
            grade = Grade.from_dict(data)
            grade = replace(grade, seconds=self._time(student, "seconds", 0.0))
        except (OSError, ValueError, KeyError, TypeError):
            return False
        self.written[student] = grade.written
        if (
            is_pending(grade)
            or grade.digest != digest
            or not self._path("feedback", student).exists()
        ):
            return False
        self.before[student] = grade
        if student.name in self.again or self.again & set(self.names):
            return False
        self.grades[student] = grade
        return True

    def _merged(self, grade: Grade) -> Grade:
        """Keep the marks of exercises that were not to be graded again."""
        before = self.before.get(grade.student)
        if before is None or grade.student.name in self.again or is_pending(grade):
            return grade
        pairs = zip(before.marks, grade.marks, strict=True)
        marks = tuple(new if new.exercise in self.again else old for old, new in pairs)
        return replace(grade, marks=marks)

    def changes(self) -> list[str]:
        """Say whose points are others than before."""
        pairs = [(old, self.grades.get(student)) for student, old in sorted(self.before.items())]
        return [
            words.points_changed(new.student.name, mark.exercise, earlier.points, mark.points)
            for old, new in pairs
            if new
            for earlier, mark in zip(old.marks, new.marks, strict=True)
            if earlier.points != mark.points
        ]

    def add(self, grade: Grade) -> None:
        """Write the result of one student, the page first: its data says that it is whole."""
        grade = self._merged(grade)
        self._write(replace(grade, written=self.written.get(grade.student, ())))

    def _write(self, grade: Grade) -> None:
        self.grades[grade.student] = grade
        waiting = [one.title for one in self.questions]
        write(self._path("feedback", grade.student), page(grade, self.warning, waiting))
        data = grade.to_dict() | ({"warning": self.warning} if self.warning else {})
        write(self._path("json", grade.student), _as_json(data))

    def merge(self, marked: Mapping[Student, tuple[Written, ...]]) -> None:
        """Take over the marks of written answers, in data, pages and the table.

        Parameters
        ----------
        marked : mapping
            Student -> marks of all questions; who is not in it wrote nothing.
        """
        nothing = tuple(map(written.mark, self.questions))
        for student, grade in list(self.grades.items()):
            self._write(replace(grade, written=marked.get(student, nothing)))
        self.write_table()

    def write_table(self) -> None:
        """Write the table of all results so far, and how long they took."""
        write(self.out, table(self.grades.values(), self.names, self.warning, self.late))
        times = {
            file_name(student): {"seconds": one.seconds, "late": self.late.get(student, "")}
            for student, one in self.grades.items()
        }
        write(self.folder / "times.json", _as_json(times))

    def write_class(self, answers: Sequence[written.Answer]) -> list[str]:
        """Write what is about the class as a whole, and the pages to hand out; say what to know.

        Parameters
        ----------
        answers : sequence of Answer
            Written ones, to be marked.
        """
        grades = sorted(self.grades.values(), key=lambda one: one.student)
        write(self.folder / "class.html", classroom.page(grades))
        write(self.folder / "alike.html", classroom.alike(grades))
        back = {
            path: self._path("feedback", one).read_bytes()
            for one, path in feedback_paths(self.paths).items()
        }
        write(self.folder / "feedback.zip", zipped(back))
        if not self.questions:
            return []
        write(self.folder / "written.html", written.page(answers, self.questions, len(self.grades)))
        return written.offer(self.folder / "written.csv", answers) + self.unmarked()

    def unmarked(self) -> list[str]:
        """Say who has no points for written answers where others have."""
        left = [one.student.name for one in self.grades.values() if not one.written]
        return [words.unmarked(sorted(left))] if 0 < len(left) < len(self.grades) else []

    def close(self) -> None:
        """Note, at the end of a run, what its results were made of."""
        if not self.record:
            return
        new = {name: self.exercises[name] for name in self.again & set(self.names)}
        limits = self.record["limits"] if self._still_stopped() else self.limits
        self._write_record(self.record["exercises"] | new, limits)

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


def feedback_paths(paths: Mapping[Student, str]) -> dict[Student, str]:
    """Name the pages so that Moodle and Canvas find their students again.

    Parameters
    ----------
    paths : mapping
        Student -> path in the archive of a file that was handed in.

    Returns
    -------
    dict
        Student -> path of the page in the archive to upload. Moodle looks at the folder, Canvas at
        the numbers in the name, which it gave both.

    Examples
    --------
    >>> list(feedback_paths({Student("ann"): "Ann_12_assignsubmission_file/03.ipynb"}).values())
    ['Ann_12_assignsubmission_file/03-feedback.html']
    >>> list(feedback_paths({Student("bo"): "bo_LATE_12_345_03.ipynb"}).values())
    ['bo_LATE_12_345_03-feedback.html']
    """
    found = {student: PurePosixPath(words.printable(path)) for student, path in paths.items()}
    return {
        student: str(PurePosixPath(*path.parts[:-1][:1], f"{path.stem}-feedback.html"))
        for student, path in found.items()
        # A path that leads out of the folder was refused; it goes nowhere.
        if path.parts and not path.is_absolute() and ".." not in path.parts
    }


def table(
    grades: Iterable[Grade],
    names: Sequence[str],
    warning: str,
    late: Mapping[Student, str] | None = None,
) -> str:
    """Write grades as CSV: one row a student, sorted, the same for the same grades.

    Parameters
    ----------
    grades : iterable of Grade
        In any order.
    names : sequence of str
        Exercises, in the order of the columns.
    warning : str
        Is added to every status.
    late : mapping
        Student -> what is known of the time.

    Returns
    -------
    str
        Columns ``student``, ``id``, one an exercise, one a question if they are marked, ``total``,
        ``max``, ``late``, ``status``, ``look``; no control characters.
    """
    grades = sorted(grades, key=lambda one: one.student)
    asked = list(dict.fromkeys(one.question for grade in grades for one in grade.written))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["student", "id", *names, *asked, "total", "max", "late", "status", "look"])
    for grade in grades:
        points = [f"{mark.points:g}" for mark in grade.marks]
        given = {one.question: f"{one.points:g}" for one in grade.written}
        points += [given.get(name, "") for name in asked]
        status = "; ".join(filter(None, [grade.status, warning]))
        totals = [f"{grade.total:g}", f"{grade.most:g}", (late or {}).get(grade.student, "")]
        row = [*grade.student, *points, *totals, status, "; ".join(grade.look)]
        writer.writerow(map(words.printable, row))
    return text.getvalue()


def _as_json(data: dict) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _trace(seed: str, salt: str) -> str:
    return hashlib.scrypt(seed.encode(), salt=bytes.fromhex(salt), **SCRYPT).hex()
