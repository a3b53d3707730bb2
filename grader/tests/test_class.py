"""A class of sixty in which twenty are hostile: everybody has a row, the honest their marks."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import pytest
from attacks import ATTACKS, ENDLESS, Host, submissions
from cnncourse_grader.grade import grade
from cnncourse_grader.sandbox import Limits
from running import family, options
from submissions import CHECK, FLIPPED, RIGHT, SECRET, SETUP, STUB, notebook, solved

pytestmark = [pytest.mark.grading, pytest.mark.usefixtures("bubblewrap")]

HONEST = {"right": RIGHT, "flipped": FLIPPED, "stub": STUB}
LIMITS = Limits(seconds=10, step=4, memory=1 << 30)
SHELLS = """\
import subprocess
for _ in range(58):
    try: subprocess.Popen(["sh", "-c", "while :; do :; done"], start_new_session=True)
    except OSError: pass
"""
MESSAGES = """\
import os
line = (b"CNN1" + (1).to_bytes(4, "big") + b"1") * (1 << 16)
for fd in range(3, 64):
    try:
        for _ in range(1 << 11): os.write(fd, line)
    except OSError: pass
"""
BRACKETS = """\
import os
header = b"[" * (1 << 20)
for fd in range(3, 64):
    try: os.write(fd, b"CNN1" + len(header).to_bytes(4, "big") + header)
    except OSError: pass
"""
SOCKETS = """\
import os, socket, time
keep = []
for _ in range(10):
    if os.fork() == 0: break
try:
    while True: keep.append(socket.socketpair())
except OSError: pass
for a, b in keep:
    a.setblocking(False)
    try:
        while True: a.send(b"x" * (1 << 16))
    except OSError: pass
time.sleep(600)
"""
CHAIN = f"def corr2d(x, kernel):\n    return x{'.a' * 20_000}\n"
IN_A_CELL = {
    "shells": SHELLS,
    "messages": MESSAGES,
    "brackets": BRACKETS,
    "sockets": SOCKETS,
    "attributes": CHAIN,
    "blank-lines": "\n" * 900_000,
    "asleep": "import os, time\nos.closerange(0, 256)\ntime.sleep(600)",
}
BORROWED = (
    *("fork-bomb", "memory-bomb", "memory-of-many", "result", "forged-results"),
    *("exit-in-cell", "exit-by-signal", "endless-stubborn"),
)


def write_hostile(folder: Path) -> list[str]:
    """Write twenty submissions that try to stop the grader, or to take others their marks."""
    chosen = {name: (ATTACKS | ENDLESS)[name] for name in BORROWED}
    texts = submissions(chosen, Host("/nowhere", 1, SECRET))
    texts |= {name: notebook(SETUP, RIGHT, one, CHECK) for name, one in IN_A_CELL.items()}
    texts["junk"] = "\x00\xff" * 1000
    texts["too-much-json"] = '{"cells": [' + '{"":{}},' * 3_000_000 + "{}]}"
    for name, text in texts.items():
        (folder / f"{name}.ipynb").write_text(text)
    for name in ("é" * 100, "twenty", "many-files"):
        (folder / name).mkdir()
    (folder / ("é" * 100) / "03.ipynb").write_text(solved())
    for number in range(20):
        (folder / f"twenty/{number}.ipynb").write_text(notebook("while True: pass"))
    for number in range(200_001):
        (folder / f"many-files/{number}").touch()
    return [*texts, "é" * 100, "twenty", "many-files"]


def points(folder: Path) -> dict[str, list[str]]:
    """Read the table: a student's points in every exercise."""
    rows = csv.reader((folder / "grades.csv").read_text().splitlines()[1:])
    return {row[0]: row[2:-4] for row in rows}


def test_a_class_with_twenty_hostile_students_is_graded_to_the_end(tmp_path: Path) -> None:
    alone, folder = tmp_path / "alone", tmp_path / "class"
    alone.mkdir()
    folder.mkdir()
    hostile = write_hostile(folder)
    assert len(hostile) == 20
    for kind, answer in HONEST.items():
        (alone / f"{kind}.ipynb").write_text(solved(answer))
    grade(options(tmp_path / "one-by-one", alone))
    expected = points(tmp_path / "one-by-one")
    honest = {f"{kind}-{n:02}": kind for n, kind in enumerate(14 * list(HONEST))}
    honest = dict(list(honest.items())[:40])
    for name, kind in honest.items():
        (folder / f"{name}.ipynb").write_text(solved(HONEST[kind]))
    whole_class = options(tmp_path, folder, jobs=2, limits=LIMITS)
    grades = {one.student.name: one for one in grade(whole_class)}
    shutil.rmtree(folder / "many-files")
    assert sorted(grades) == sorted([*honest, *hostile])
    found = points(tmp_path)
    assert {name: found[name] for name in honest} == {n: expected[k] for n, k in honest.items()}
    assert {grades[name].status for name in honest} == {"graded"}
    assert [one.status for one in grades.values() if one.status.startswith("not graded")] == []
    assert family(os.getpid()) == []
