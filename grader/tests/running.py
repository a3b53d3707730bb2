"""What several tests need to look at a run of the grader."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
from cnncourse_grader.grade import Options
from submissions import SECRET


def line(*words: object) -> list[str]:
    """Return a command line of the grader, as a list."""
    return [sys.executable, "-m", "cnncourse.cli", "grade", *map(str, words)]


def command(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run(line(*words), capture_output=True, text=True, timeout=500)


def options(folder: Path, submissions: Path, **changes: object) -> Options:
    """Grade one chapter into a folder."""
    return replace(Options(submissions, folder / "grades.csv", SECRET, chapters=[3]), **changes)


def tracks(process: psutil.Process) -> bool:
    """Tell Python's own tracker of shared memory, which lives as long as its process."""
    return any("multiprocessing" in word for word in process.cmdline())


# What a test of the site, in the same process, leaves open for the next one.
BROWSER = ("node", "chrom", "headless")


def family(pid: int) -> list[psutil.Process]:
    """List the processes that a grader started: other graders on this computer do not count."""
    try:
        children = psutil.Process(pid).children(recursive=True)
        return [one for one in children if not (one.name().startswith(BROWSER) or tracks(one))]
    except psutil.NoSuchProcess:
        return []


def wait_for(condition: Callable[[], object], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def contents(out: Path) -> dict[str, str]:
    """Return every report of a run by name."""
    files = [out, *sorted(out.parent.glob("grades/*/*"))]
    return {path.relative_to(out.parent).as_posix(): path.read_text() for path in files}
