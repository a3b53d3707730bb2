"""Grade a class in the sandbox: time for each notebook, and that no way of running changes a mark.

    python grader/benchmarks/grading.py              60 submissions, one notebook each
    python grader/benchmarks/grading.py --count 12

The class is graded with two workers, with one, and once more with a run that is killed in the
middle and resumed. The three must give the same bytes, and leave no process behind.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch

RIGHT = """\
from cnncourse import check

def corr2d(x, kernel):
    kh, kw = kernel.shape
    return x.unfold(0, kh, 1).unfold(1, kw, 1).flatten(2) @ kernel.flatten()
"""
WRONG = RIGHT.replace("kernel.flatten()", "kernel.flip(0, 1).flatten()")
STUB = "def corr2d(x, kernel):\n    raise NotImplementedError\n"
SECRET = "benchmark"


def write_class(folder: Path, count: int) -> Path:
    """Write submissions that take turns between right, wrong and unsolved."""
    folder.mkdir()
    for number in range(count):
        source = (RIGHT, WRONG, STUB)[number % 3]
        cells = [{"cell_type": "code", "source": source}]
        (folder / f"student-{number:03d}.ipynb").write_text(json.dumps({"cells": cells}))
    return folder


def command(submissions: Path, out: Path, jobs: int, *more: str) -> list[str]:
    """Return the command line that grades."""
    words = ["grade", submissions, "--out", out, "--chapters", 3, "--jobs", jobs, *more]
    return [sys.executable, "-m", "cnncourse.cli", *map(str, words)]


def graded(submissions: Path, out: Path, jobs: int, *more: str) -> tuple[float, dict[str, str]]:
    """Grade; return the seconds and all reports."""
    start = time.perf_counter()
    line = command(submissions, out, jobs, *more)
    subprocess.run(line, env=environment(), check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start, contents(out)


def environment() -> dict[str, str]:
    """Return an environment that holds the secret."""
    return {**os.environ, "CNNCOURSE_SEED": SECRET}


def contents(out: Path) -> dict[str, str]:
    """Return every report of a run by name."""
    files = [out, *sorted(out.parent.glob("grades/*/*"))]
    return {path.relative_to(out.parent).as_posix(): path.read_text() for path in files}


def killed(submissions: Path, out: Path, count: int) -> tuple[int, int]:
    """Kill a grader with two workers half way; count its results and the processes it left."""
    results = out.parent / "grades/json"
    line = command(submissions, out, 2)
    with subprocess.Popen(line, env=environment(), stderr=subprocess.DEVNULL) as process:
        while len(list(results.glob("[!.]*"))) < count // 2 and process.poll() is None:
            time.sleep(0.02)
        orphans = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
    left_over = psutil.wait_procs(orphans, timeout=10)[1]
    return len(list(results.glob("[!.]*"))), len(left_over)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=60)
    count = parser.parse_args().count
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, ", end="")
    print(f"torch {torch.__version__}, load {os.getloadavg()[0]:.1f} at the start")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        submissions = write_class(folder / "submissions", count)
        outs = [folder / f"{way}/grades.csv" for way in ("two", "one", "resumed")]
        report("2 workers", count, *(two := graded(submissions, outs[0], 2)))
        report("1 worker", count, *(one := graded(submissions, outs[1], 1)))
        there, left_over = killed(submissions, outs[2], count)
        resumed = graded(submissions, outs[2], 2, "--resume")
        report(f"2 workers, resumed after kill -9 at {there}", count - there, *resumed)
    print(f"identical with 1 and 2 workers: {one[1] == two[1]}")
    print(f"identical after kill and resume: {resumed[1] == two[1]}")
    print(f"processes left over: {left_over}")


def report(way: str, count: int, seconds: float, reports: dict[str, str]) -> None:
    """Print one line of the table."""
    print(f"{way:42s} {count:3d} notebooks {seconds:7.1f} s, {seconds / count:5.2f} s a notebook")


if __name__ == "__main__":
    main()
