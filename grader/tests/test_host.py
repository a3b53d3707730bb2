"""What stands between a sandbox and the computer: who runs it, what is bounded, what is said."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cnncourse_grader import grade as grading
from cnncourse_grader import host, sandbox, seccomp, wire, words
from cnncourse_grader.assignment import Assignment
from cnncourse_grader.grade import grade
from cnncourse_grader.sandbox import Limits, Result
from running import family, options, wait_for
from submissions import CHECK, RIGHT, SETUP, notebook, solved

from cnncourse.checks.notebook import read_notebook

STARTED = wire.pack({"ready": True}) + wire.pack({"started": True})
LATE = wire.pack({"exercise": "corr2d", "problem": "time", "outcomes": []})
END = wire.pack({"end": True})


def request(source: str, limits: Limits) -> bytes:
    """Ask for nothing but to run a notebook."""
    return Assignment((), {}).request(read_notebook("a.py", source.encode()), limits)


# Who runs it


@pytest.fixture
def asleep(bubblewrap: None) -> Iterator[list[psutil.Process]]:
    """Run a notebook that sleeps, and give its processes as the host sees them."""
    source = "import time\ntime.sleep(600)"
    thread = threading.Thread(target=sandbox.run, args=(request(source, Limits()), Limits()))
    thread.start()
    wait_for(lambda: [one for one in family(os.getpid()) if is_notebook(one)])
    yield [one for one in family(os.getpid()) if is_notebook(one)]
    with sandbox.stopped():
        thread.join()


def is_notebook(process: psutil.Process) -> bool:
    """Tell the interpreter in the sandbox from what leads to it."""
    words = process.cmdline()
    return len(words) == 4 and words[-1] == "cnncourse_grader.inside"


def test_no_notebook_is_root_outside(asleep: list[psutil.Process]) -> None:
    assert [one.pid for one in asleep if 0 in (*one.uids(), *one.gids())] == []


def test_what_root_alone_can_enter_is_opened_for_what_is_needed() -> None:
    with tempfile.TemporaryDirectory() as home:  # nobody but its owner enters it
        source = f"{home}/python/bin"
        Path(source).mkdir(parents=True)
        folders = [word for one in (home, f"{home}/python") for word in ("--dir", one)]
        opened = [
            word for word in host._opened(["/usr", source]) if word not in ("--perms", "0755")
        ]
    assert opened == ["--tmpfs", home, *folders, "--ro-bind", source, source]


def test_root_that_cannot_step_down_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_is_root", lambda: True)
    monkeypatch.setattr(host.shutil, "which", lambda name: None)
    assert "setpriv" in host.missing()


KEYRING = """\
import ctypes
print(ctypes.CDLL(None).syscall({number}, 0, -3, 0))
"""


def test_each_command_has_a_session_keyring_of_its_own() -> None:
    number = seccomp_number("keyctl")
    look = [sys.executable, "-c", KEYRING.format(number=number)]
    enter = [sys.executable, str(host.ENTER)]
    commands = (look, [*enter, *look], [*enter, *look])
    found = [subprocess.run(one, capture_output=True, text=True).stdout for one in commands]
    if found[0].strip() == "-1":
        pytest.skip("this computer lets nobody use keys")
    assert len(set(found)) == 3


def seccomp_number(name: str) -> int:
    return ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name(name.encode())


# What is bounded, and what is said

SYSTEMD_RUN = """\
#!/bin/bash
# Writes the limits where a kernel would show them, and becomes the command.
while [ "$1" != -- ]; do
    case $1 in
        MemoryMax=*) echo "${1#*=}" > FOLDER/memory.max ;;
        TasksMax=*) echo "${1#*=}" > FOLDER/pids.max ;;
        CPUQuota=100%) echo "PROCESSOR" > FOLDER/cpu.max ;;
    esac
    shift
done
shift
exec "$@"
"""


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder for a systemd-run to write limits into; a computer with none is simulated."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(host, "CONTROL_GROUPS", str(tmp_path / "groups"))
    mine = Path("/proc/self/cgroup").read_text().splitlines()[-1].partition("::")[2]
    folder = tmp_path / "groups" / mine.lstrip("/")
    folder.mkdir(parents=True)
    host.kept.cache_clear()
    yield folder
    host.kept.cache_clear()


def write_systemd_run(folder: Path, groups: Path, processor: str) -> None:
    text = SYSTEMD_RUN.replace("FOLDER", str(groups)).replace("PROCESSOR", processor)
    (folder / "systemd-run").write_text(text)
    (folder / "systemd-run").chmod(0o755)


def test_a_control_group_bounds_a_notebook_where_there_is_one(tmp_path: Path, groups: Path) -> None:
    write_systemd_run(tmp_path, groups, "100000 100000")
    assert host.kept(1 << 30, 64) == ("memory", "processes", "processor time")
    assert (groups / "memory.max").read_text() == f"{1 << 30}\n"
    assert (groups / "pids.max").read_text() == f"{64 + host.MORE_PROCESSES}\n"
    command = host.around(["bwrap", "true"], 1 << 30, 64)
    assert command[command.index("systemd-run") :].index("bwrap") > 0
    assert "a control group of each notebook bounds memory" in host.in_force(1 << 30, 64)[1]


def test_a_limit_that_does_not_hold_is_said(tmp_path: Path, groups: Path) -> None:
    write_systemd_run(tmp_path, groups, "max 100000")
    assert host.kept(1 << 30, 64) == ("memory", "processes")
    assert "bounds memory and processes alone" in host.in_force(1 << 30, 64)[1]


def test_a_computer_without_systemd_says_so(tmp_path: Path, groups: Path) -> None:
    (tmp_path / "systemd-run").write_text("#!/bin/sh\necho Failed to connect to bus >&2; exit 1\n")
    (tmp_path / "systemd-run").chmod(0o755)
    assert host.kept(1 << 30, 64) == ()
    assert "systemd-run" not in host.around(["bwrap", "true"], 1 << 30, 64)
    assert "NOT to be had" in host.in_force(1 << 30, 64)[1]


def test_a_computer_without_a_filter_says_so_and_runs(
    monkeypatch: pytest.MonkeyPatch, bubblewrap: None
) -> None:
    assert len(seccomp.program()) % 8 == 0
    assert words.CALLS_FILTERED in sandbox.in_force(Limits())
    monkeypatch.setattr(seccomp, "program", lambda: b"")
    assert words.CALLS_NOT_FILTERED in sandbox.in_force(Limits())
    assert sandbox.missing() == ""


def test_a_run_says_what_was_in_force(tmp_path: Path, bubblewrap: None, capsys) -> None:
    (tmp_path / "ann.ipynb").write_text("{")
    grade(options(tmp_path / "out", tmp_path))
    lines = sandbox.in_force(Limits())
    assert json.loads((tmp_path / "out/grades/run.json").read_text())["protection"] == lines
    assert f"Limits in force: {'; '.join(lines)}" in capsys.readouterr().err


@pytest.mark.grading
def test_busy_processes_are_counted_together(bubblewrap: None, monkeypatch) -> None:
    patient = Limits(seconds=3600, step=3600)
    monkeypatch.setattr(sandbox, "START_BUSY", 15 - patient.seconds)
    source = (
        "import os, time\nfor _ in range(8):\n"
        "    if os.fork() == 0:\n        os.setsid()\n        while True: pass\ntime.sleep(600)"
    )
    assert sandbox.run(request(source, patient), patient).problem == words.too_busy(3600)


def test_pipes_that_are_closed_stop_no_clock() -> None:
    source = "import os, time\nos.closerange(0, 256)\ntime.sleep(600)"
    limits = Limits(seconds=3)
    result = sandbox.run(request(source, limits), limits, protected=False)
    assert result.problem == words.too_long(3)


# Whose fault it is


@pytest.fixture
def class_of_two(tmp_path: Path) -> Path:
    folder = tmp_path / "submissions"
    folder.mkdir()
    for name in ("ann", "bo"):
        (folder / f"{name}.ipynb").write_text(solved())
    return folder


@pytest.mark.parametrize(
    "first",
    [
        Result(STARTED, words.too_long(60)),
        Result(STARTED + LATE + END, ""),
        Result(STARTED + wire.pack({"cells": [[2, "it took too long"]]}) + END, ""),
    ],
    ids=["stopped", "late-answer", "late-cell"],
)
def test_what_a_limit_ended_is_tried_once_more_alone(
    class_of_two: Path, tmp_path: Path, monkeypatch, bubblewrap: None, first: Result
) -> None:
    running, alone, firsts = [], [], [first, first]
    run = sandbox.run

    def disturbed(request: bytes, limits: Limits, protected: bool) -> Result:
        if firsts:
            return firsts.pop()
        running.append(request)
        result = run(request, limits, protected)
        alone.append(len(running) == 1)
        running.pop()
        return result

    monkeypatch.setattr(sandbox, "run", disturbed)
    grades = grade(options(tmp_path, class_of_two, jobs=2))
    assert [(one.status, one.total) for one in grades] == [("graded", 1), ("graded", 1)]
    assert alone == [True, True]


def test_a_fault_of_the_computer_costs_nobody_a_point(
    class_of_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bubblewrap: None
) -> None:
    whole, faults = grading.judged, [OSError("no room left")]

    def judged(*values: object) -> object:
        if faults:
            raise faults.pop()
        return whole(*values)

    monkeypatch.setattr(grading, "judged", judged)
    ann, bo = grade(options(tmp_path, class_of_two))
    assert ann.status == f"not graded: OSError: no room left ({words.RUN_AGAIN})"
    assert (ann.graded, bo.status) == (False, "graded")
    ann, bo = grade(options(tmp_path, class_of_two, resume=True))
    assert (ann.status, ann.total) == ("graded", 1)


def test_many_notebooks_have_no_more_time_than_one_a_chapter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bubblewrap: None
) -> None:
    (tmp_path / "ann").mkdir()
    for number in range(20):
        (tmp_path / f"ann/{number}.ipynb").write_text(notebook(SETUP, RIGHT, CHECK))
    given = []

    def run(request: bytes, limits: Limits, protected: bool) -> Result:
        given.append(limits.seconds)
        return Result(STARTED + END, "", limits.seconds)

    monkeypatch.setattr(sandbox, "run", run)
    (ann,) = grade(options(tmp_path / "out", tmp_path, limits=Limits(seconds=60)))
    assert given == [60]
    assert ann.status.count(words.too_long_together(60)) == 19
