"""What runs in the sandbox: the cells of one notebook, and its answers on the given inputs.

An answer runs where the notebook checks it, so that it sees what it saw there, and again after the
last cell, with what was mended since; the better try counts. The request comes on standard input
once we said that we are ready, the results leave on what was standard output. From the first cell
on this process belongs to the submission, so nothing it writes is believed, and nothing is kept
here that the submission may not know.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from cnncourse import checks
from cnncourse.checks.cells import OutOfTimeError, run_cells, time_limit
from cnncourse.checks.exercise import Case, Interface
from cnncourse.checks.run import Outcome, as_function, run
from cnncourse_grader import wire

FONTS = Path("/course/matplotlib")
QUICK = 2  # seconds; an answer that takes longer is not tried twice


def main() -> None:
    """Answer one request."""
    results = _take_output()
    _end_with_the_grader()
    # The request is sent after this. A grader that died before leaves an empty one, and we end.
    _write(results, {"ready": True})
    request = wire.unpack(sys.stdin.buffer.read())
    seconds = request["limits"]["step"]
    tries = Tries(results, request["exercises"], seconds)
    _limit(request["limits"])
    _write(results, {"started": True})
    _lay_out(request["files"])
    if not request["at_the_end"]:
        checks.attempt = tries.attempt
    namespace, failures = run_cells(request["cells"], seconds)
    _write(results, {"cells": [[number, text] for number, text in failures.items()]})
    for name in tries.exercises:
        tries.last(name, namespace)
    _write(results, {"end": True})
    # No destructor or exit handler of the submission has a say any more.
    os._exit(0)


def _lay_out(files: Mapping[str, str]) -> None:
    """Put the student's own modules where an import finds them."""
    for name, source in files.items():
        with contextlib.suppress(OSError, ValueError):
            Path(name).write_text(source, encoding="utf-8")
    sys.path.insert(0, str(Path.cwd()))


def _take_output() -> BinaryIO:
    """Keep the way out for the results, and let what the notebook prints go nowhere."""
    results = os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return results


def _end_with_the_grader() -> None:
    """Ask the kernel to end this process with its parent; a sandbox has that already."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def _limit(limits: Mapping[str, int]) -> None:
    """Give up for good what a notebook does not need."""
    torch.set_num_threads(1)
    used = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    # torch itself maps much more than it uses, a CUDA build several gigabytes.
    _at_most(resource.RLIMIT_AS, pages * resource.getpagesize() + limits["memory"])
    _at_most(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + limits["seconds"] + 2)
    _at_most(resource.RLIMIT_FSIZE, limits["file"])
    _at_most(resource.RLIMIT_CORE, 0)
    _at_most(resource.RLIMIT_NOFILE, 256)
    if limits["processes"]:
        _at_most(resource.RLIMIT_NPROC, limits["processes"])
    if FONTS.exists():
        shutil.copytree(FONTS, os.environ["MPLCONFIGDIR"], dirs_exist_ok=True)


def _at_most(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def _interface(request: Mapping[str, object]) -> Interface:
    functions = {name: _load(place) for name, place in request["functions"].items()}
    probe = _load(request["probe"]) if request["probe"] else None
    forbidden = request["forbidden"]
    return Interface(name=request["name"], forbidden=forbidden, functions=functions, probe=probe)


def _load(place: tuple[str, str]) -> Callable:
    module, name = place
    return functools.reduce(getattr, name.split("."), importlib.import_module(module))


class Tries:
    """Calls answers, and writes what they give.

    Parameters
    ----------
    results : file
        Where to write.
    exercises : list of dict
        As requested.
    seconds : int
        Time of one answer.
    """

    def __init__(self, results: BinaryIO, exercises: list[dict], seconds: int) -> None:
        self.results, self.seconds = results, seconds
        self.exercises = {one["name"]: (_interface(one), one) for one in exercises}
        self.said: dict[str, bytes] = {}
        self.slow: dict[str, object] = {}

    def attempt(self, name: str, answer: object) -> None:
        """Call an answer now, if it is one that was asked for."""
        if name not in self.exercises:
            return
        begin = time.monotonic()
        interface, asked = self.exercises[name]
        is_value = answer is not None and not asked["takes_arguments"]
        function = as_function(answer) if is_value else answer
        result = wire.pack(_call(interface, function, asked["cases"], self.seconds))
        if result != self.said.get(name):
            _send(self.results, result)
        self.said[name] = result
        if time.monotonic() - begin > QUICK:
            self.slow[name] = answer

    def last(self, name: str, namespace: Mapping[str, object]) -> None:
        """Call, after the last cell, what was handed to ``check`` and what has the name."""
        handed_in, named = checks.handed_in.get(name), namespace.get(name)
        if handed_in is None and named is None:
            self.attempt(name, None)
        if handed_in is not None and handed_in is not self.slow.get(name):
            self.attempt(name, handed_in)
        if named is not None and named is not handed_in:
            self.attempt(name, named)


def _call(interface: Interface, answer: object, cases: list[tuple], seconds: int) -> dict:
    """Call one answer on all cases; the random numbers it may draw are the same on every run."""
    result = {"exercise": interface.name, "problem": "", "outcomes": []}
    if answer is None:
        return result | {"problem": "missing"}
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the old generator is the one a notebook may use
    try:
        with time_limit(seconds):
            outcomes = run(interface, answer, [Case(*arguments) for arguments in cases])
    except NotImplementedError:
        return result | {"problem": "stub"}
    except OutOfTimeError:
        return result | {"problem": "time"}
    except MemoryError:
        return result | {"problem": "memory"}
    return result | {"outcomes": [vars(outcome) for outcome in map(_bounded, outcomes)]}


def _bounded(outcome: Outcome) -> Outcome:
    """Replace a value that no message can carry."""
    try:
        wire.pack(outcome.value)
    except (TypeError, RecursionError):
        return Outcome(returned=type(outcome.value).__name__)
    return outcome


def _write(results: BinaryIO, value: dict) -> None:
    _send(results, wire.pack(value))


def _send(results: BinaryIO, data: bytes) -> None:
    message = memoryview(data)
    while message:
        message = message[results.write(message) :]


if __name__ == "__main__":
    main()
