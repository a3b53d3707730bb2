"""The commands that this distribution adds to ``cnncourse``: grade, release and compare.

Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cnncourse.cli import Command, Parser, positive
from cnncourse_grader import words

if TYPE_CHECKING:
    from cnncourse_grader.marks import Grade

SHORTEST_SECRET = 16  # characters
GRADE_TEXT = """\
Grade submissions without trusting them.

SUBMISSIONS is a folder with one sub-folder or one notebook a student, or the zip that Moodle or
Canvas hands out. Each notebook runs in a sandbox of its own (bubblewrap: no network, read-only
system, limits on time, memory and processes; a line at the start says what this computer offers).
Its answers are called on inputs drawn from SECRET, and a process that never runs a submission
compares what comes back with the reference.

Written as results come:
  grades/feedback/      a page for each student
  grades/json/          the same as data
and at the end, the table also after Ctrl-C:
  grades.csv            student, id, points for each exercise, total, max, late, status, look
  grades/feedback.zip   the pages, under the names by which Moodle and Canvas find the students
  grades/class.html     what the class learned: shares, the commonest mistakes; without names
  grades/alike.html     answers that are equal but for names; for you alone
  grades/written.html   written answers with their rubrics, without names
  grades/written.csv    a table for their points; fill it, and give it back with --written

The column look names places in a notebook where calls may be hidden from the watch on forbidden
functions. It takes no point, and students do not read it: look yourself, and talk to them.

A run that was interrupted, also by a power cut, goes on with --resume; nothing is graded twice. It
says what has changed since: an exercise, a limit. --regrade NAME grades an exercise again for all,
or a student again in all, keeps the other marks and says whose points are others now.
Give another SECRET in another year, and keep it: the same SECRET gives the same grades. A secret
on the command line can be read by other users of this computer and stays in your shell's history;
the environment variable CNNCOURSE_SEED, or --seed-file, does not show it.

Exit code: 0 all graded, 1 something is wrong with the call or this computer, 2 some submissions
could not be graded; their status in grades.csv says why.

  cnncourse grade submissions --seed-file secret.txt --out grades.csv --jobs 2
  cnncourse grade moodle.zip --seed-file secret.txt --out grades.csv --resume
  cnncourse grade moodle.zip --seed-file secret.txt --out grades.csv --resume --fill worksheet.csv
  cnncourse grade moodle.zip --seed-file secret.txt --out grades.csv --resume \
      --written grades/written.csv
"""
RELEASE_TEXT = """\
Write the archive students get (notebooks without solutions) and, separate from it, the one for
instructors (with solutions and rubrics). Run it in a clone of the course.

The finished student archive is then opened: it may hold a note and the notebooks, and no line of a
solution, hidden test or rubric in them. If it does, it is deleted and each place is named.

The notebooks install the version of the clone: the tag of its last commit, or else the commit. What
students would not get, because it is not committed or not pushed, is said.

Exit code: 0 written, 1 something is wrong with the call, 2 a solution would have leaked.

  cnncourse release --out handout
  cnncourse release --out handout --chapters 3 4 --gradescope --seed-file secret.txt
"""


COMPARE_TEXT = """\
Compare what a class answered to the questions with a key before and after. Each table has the
columns student, question, option; key.csv lies beside the questions in instructors.zip. Only who
answered a question both times counts. The page names no student.

Exit code: 0 written, 1 something is wrong with the call or a table.

  cnncourse compare before.csv after.csv --key key.csv --out compared.html
"""


def _add_grade(command: Parser) -> None:
    command.add_argument("submissions", type=Path, metavar="SUBMISSIONS", help="folder or zip")
    _add_seed(command)
    command.add_argument("--out", type=Path, required=True, help="table to write: grades.csv")
    _add_chapters(command, "default: those that half of the submissions check")
    command.add_argument(
        "--jobs",
        type=positive,
        default=_processors(),
        help="notebooks at a time (default: %(default)s)",
    )
    command.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    command.add_argument(
        "--regrade",
        nargs="+",
        default=[],
        metavar="NAME",
        help="go on, and grade these exercises or students again; all: every exercise",
    )
    command.add_argument(
        "--fill",
        type=Path,
        metavar="WORKSHEET",
        help="write the points into Moodle's grading worksheet or Canvas' gradebook",
    )
    command.add_argument(
        "--column", default="", metavar="NAME", help="of the assignment in Canvas' gradebook"
    )
    command.add_argument(
        "--written",
        type=Path,
        metavar="TABLE",
        help="add the points of written answers: grades/written.csv, filled",
    )
    command.add_argument(
        "--timeout", type=positive, default=60, help="seconds a notebook (default: %(default)s)"
    )
    command.add_argument(
        "--memory", type=positive, default=2048, help="megabytes a notebook (default: %(default)s)"
    )
    command.add_argument(
        "--no-sandbox", action="store_true", help="run submissions with your own rights"
    )
    command.add_argument(
        "--dask",
        default="",
        metavar="ADDRESS",
        help="use this dask.distributed scheduler's workers",
    )
    command.set_defaults(run=_grade)


def _add_release(command: Parser) -> None:
    command.add_argument("--out", type=Path, required=True, help="folder for the archives")
    _add_chapters(command, "default: all that have exercises")
    command.add_argument(
        "--course", type=Path, default=Path(), help="the clone (default: this folder)"
    )
    command.add_argument(
        "--gradescope", action="store_true", help="write an autograder for Gradescope too"
    )
    _add_seed(command)
    command.set_defaults(run=_release)


def _add_compare(command: Parser) -> None:
    command.add_argument("before", type=Path, metavar="BEFORE", help="table of answers")
    command.add_argument("after", type=Path, metavar="AFTER", help="table of answers")
    command.add_argument("--key", type=Path, required=True, help="what each option means: key.csv")
    command.add_argument("--out", type=Path, required=True, help="page to write: compared.html")
    command.set_defaults(run=_compare)


def _add_seed(command: Parser) -> None:
    seed = command.add_mutually_exclusive_group()
    seed.add_argument("--seed", metavar="SECRET", help="decides the inputs of every exercise")
    seed.add_argument("--seed-file", type=Path, metavar="FILE", help="file that holds the secret")


def _add_chapters(command: Parser, default: str) -> None:
    command.add_argument(
        "--chapters",
        type=positive,
        nargs="+",
        default=[],
        metavar="N",
        help=f"numbers ({default})",
    )


def _processors() -> int:
    has_affinity = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1


def _secret(options: argparse.Namespace) -> str:
    """Return the secret, wherever it stands; it is taken out of the environment."""
    from_environment = os.environ.pop("CNNCOURSE_SEED", "")
    if options.seed_file:
        seed = options.seed_file.read_text(encoding="utf-8").strip()
    else:
        seed = options.seed or from_environment
    if 0 < len(seed) < SHORTEST_SECRET:
        raise ValueError(
            f"a secret of {len(seed)} characters is found by trying, {SHORTEST_SECRET} are needed. "
            f"{_offer()}"
        )
    return seed


def _offer() -> str:
    return f"Here is one: echo {secrets.token_hex(16)} > secret.txt, then --seed-file secret.txt"


def _grade(options: argparse.Namespace) -> int:
    seed = _secret(options)
    if not seed:
        raise ValueError(f"a secret is needed: --seed, --seed-file or CNNCOURSE_SEED. {_offer()}")
    from cnncourse_grader import fill
    from cnncourse_grader import grade as grading

    if options.fill:
        fill.check(options.fill, options.column)
    limits = grading.Limits(
        seconds=options.timeout, step=max(1, options.timeout // 4), memory=options.memory << 20
    )
    grades = grading.grade(
        grading.Options(
            submissions=options.submissions,
            out=options.out,
            seed=seed,
            chapters=options.chapters,
            jobs=options.jobs,
            resume=options.resume,
            regrade=options.regrade,
            protected=not options.no_sandbox,
            dask=options.dask,
            written=options.written,
            late=fill.late(options.fill) if options.fill else {},
            limits=limits,
        )
    )
    _tell(grades)
    print(f"{len(grades)} submissions, {options.out}", file=sys.stderr)
    for line in fill.fill(options.fill, grades, options.column) if options.fill else ():
        print(words.printable(line), file=sys.stderr)
    return 0 if all(one.graded for one in grades) else 2


def _tell(grades: Sequence[Grade]) -> None:
    """Print what is not as usual."""
    for one in grades:
        lines = [one.status] if one.status != words.GRADED else []
        for line in [*lines, *map(words.worth, one.look)]:
            print(words.printable(f"{one.student.name}: {line}"), file=sys.stderr)


def _release(options: argparse.Namespace) -> int:
    from cnncourse_grader import version
    from cnncourse_grader.release import LeakError, release

    try:
        written = release(
            options.course, options.out, options.chapters, options.gradescope, _secret(options)
        )
    except LeakError as error:
        print(f"cnncourse release: {error}", file=sys.stderr)
        return 2
    print("\n".join(map(str, written)))
    for warning in version.of(options.course).warnings:
        print(f"cnncourse release: {warning}", file=sys.stderr)
    return 0


def _compare(options: argparse.Namespace) -> int:
    from cnncourse_grader import inventory
    from cnncourse_grader.files import write

    key = inventory.read_key(options.key)
    before, after = (inventory.read_answers(one, key) for one in (options.before, options.after))
    print(write(options.out, inventory.page(key, before, after)))
    return 0


GRADE = Command("grade submissions in a sandbox", GRADE_TEXT, _add_grade)
RELEASE = Command("write the archives for students and instructors", RELEASE_TEXT, _add_release)
COMPARE = Command("compare a class's answers before and after", COMPARE_TEXT, _add_compare)
