"""Run one notebook in a sandbox, with limits, and bring back bytes.

bubblewrap gives each notebook a world of its own (:mod:`~cnncourse_grader.world`). This module
counts time, processes, memory and results from outside, and ends the whole world when one is
exceeded or when the grader itself dies. What the computer offers besides, it gets from
:mod:`~cnncourse_grader.host` and :mod:`~cnncourse_grader.seccomp`.

Not handled: an attack on the kernel through the system calls that are left.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import selectors
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

from cnncourse_grader import host, seccomp, words, world

MB = 1 << 20
OLDEST_BWRAP = (0, 8)
LONGEST_START = 60  # seconds until the packages are imported and the notebook can begin
START_BUSY = 10  # seconds that processors work until the notebook begins, at most
LOOK_AGAIN = 0.2  # seconds between two looks at processes and memory
HOW_TO_INSTALL = (
    "Install it (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap), "
    "or grade with --no-sandbox if you trust every submission."
)
HOW_TO_ALLOW = (
    "The kernel may forbid user namespaces (sysctl kernel.unprivileged_userns_clone, "
    "kernel.apparmor_restrict_unprivileged_userns, or the settings of a container). "
    "Allow them, or grade with --no-sandbox if you trust every submission."
)


@dataclass(frozen=True)
class Limits:
    """What one notebook may use.

    Attributes
    ----------
    seconds, step : int
        Wall time of the notebook with all its answers; time of one statement or answer.
    memory, scratch, file, result : int
        Bytes: resident memory of all processes, temporary files, one file, results.
    processes : int
        Processes and threads.
    """

    seconds: int = 60
    step: int = 15
    memory: int = 2048 * MB
    scratch: int = 64 * MB
    file: int = 32 * MB
    result: int = 64 * MB
    processes: int = 64


class Result(NamedTuple):
    """What came out of a sandbox: bytes to be doubted, why it was ended early if it was, and when.

    The seconds are those of the notebook, without the start.
    """

    data: bytes
    problem: str
    seconds: float = 0.0


def missing() -> str:
    """Say why notebooks cannot be sandboxed here.

    Returns
    -------
    str
        Reason and remedy; empty if they can be.
    """
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return f"bubblewrap (the command bwrap) is not installed. {HOW_TO_INSTALL}"
    version = subprocess.run([bwrap, "--version"], capture_output=True, text=True).stdout
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST_BWRAP:
        return f"{version.strip()} is too old, 0.8 is needed. {HOW_TO_INSTALL}"
    if reason := host.missing():
        return reason
    with _filter() as (options, handles):
        command = _around([*world.empty(Limits().scratch, options), "true"], Limits())
        trial = subprocess.run(
            command, pass_fds=handles, capture_output=True, text=True, errors="replace"
        )
    return "" if trial.returncode == 0 else f"{trial.stderr.strip()}\n{HOW_TO_ALLOW}"


def in_force(limits: Limits) -> list[str]:
    """Say for the instructor what protects this computer from notebooks, and what does not."""
    return host.in_force(limits.memory, limits.processes)


def _around(command: list[str], limits: Limits) -> list[str]:
    return host.around(command, limits.memory, limits.processes)


@contextlib.contextmanager
def _filter() -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """Give options and open files for the filter of system calls, where there is one."""
    if not (program := seccomp.program()):
        yield [], ()
        return
    reader, writer = os.pipe()
    try:
        with os.fdopen(writer, "wb") as file:
            file.write(program)
        yield ["--seccomp", str(reader)], (reader,)
    finally:
        os.close(reader)


def run(request: bytes, limits: Limits, protected: bool = True) -> Result:
    """Run one notebook to its end or to a limit.

    Parameters
    ----------
    request : bytes
        Message for :mod:`~cnncourse_grader.inside`.
    limits : Limits
        What it may use.
    protected : bool
        In a sandbox. Otherwise as an ordinary process in an empty folder, with the same limits.

    Returns
    -------
    Result
        The bytes it returned until then.
    """
    with tempfile.TemporaryDirectory() as folder, _filter() as (options, handles):
        if protected:
            command = _around(world.command(limits.scratch, options), limits)
            how = {"env": host.environment(), "cwd": "/", "pass_fds": handles}
        else:
            command = world.bare_command()
            how = {"env": world.environment(folder), "cwd": folder, **_nobody(folder)}
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen(command, start_new_session=True, **pipes, **how)
        with process:
            try:
                return _watch(process, request, limits)
            finally:
                _end(process)


_stopping = threading.Event()


@contextlib.contextmanager
def stopped() -> Iterator[None]:
    """End every notebook that this process runs, and keep new ones from running, for a while."""
    _stopping.set()
    try:
        yield
    finally:
        _stopping.clear()


def _nobody(folder: str) -> dict:
    """Leave root's rights behind where no sandbox takes them away."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not _open_to_all():
        return {}
    os.chown(folder, host.NOBODY, host.NOBODY)
    return {"user": host.NOBODY, "group": host.NOBODY, "extra_groups": []}


def _open_to_all() -> bool:
    """Tell whether any user can start the interpreter."""
    places = [Path(sys._base_executable).resolve(), Path(sys.prefix, "lib")]
    folders = {parent for place in places for parent in place.parents}
    return all(folder.stat().st_mode & 0o001 for folder in folders)


def _watch(process: subprocess.Popen, request: bytes, limits: Limits) -> Result:
    """Read what comes until the process ends or a limit is exceeded.

    The request goes in when the first bytes come out, and then the notebook's time begins. From
    then on the sandbox ends with the grader for certain; one whose grader was killed even earlier
    never gets to see a submission.
    """
    parts = {process.stdout: bytearray(), process.stderr: bytearray()}
    data, errors = parts.values()
    problem = ""
    clock, seconds = time.monotonic(), LONGEST_START
    for pipe in _chunks(parts, process):
        if data and not process.stdin.closed:
            _send(process.stdin, request)
            clock, seconds = time.monotonic(), limits.seconds
        if len(data) > limits.result or len(errors) > MB:
            problem = words.too_much_returned(limits.result // MB)
        elif _stopping.is_set():
            problem = words.GRADING_STOPPED
        elif time.monotonic() - clock > seconds:
            problem = words.too_long(seconds)
        elif pipe is None:
            problem = _excess(process.pid, limits)
        if problem:
            break
    if not problem and process.returncode:
        lines = bytes(errors).decode(errors="replace").strip().splitlines()
        problem = words.ended_early(process.returncode, lines[-1][:300] if lines else "")
    return Result(bytes(data[: limits.result]), problem, time.monotonic() - clock)


def _send(pipe: io.BufferedIOBase, request: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), pipe:
        pipe.write(request)


def _chunks(parts: dict, process: subprocess.Popen) -> Iterator[object]:
    """Fill the parts from their pipes; yield the pipe that grew, or None: time to look.

    It ends when the process has ended: pipes can be closed long before.
    """
    look = time.monotonic() + LOOK_AGAIN
    with selectors.DefaultSelector() as selector:
        for pipe in parts:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(max(0.0, look - time.monotonic())):
                chunk = os.read(key.fd, 1 << 16)
                parts[key.fileobj] += chunk
                yield key.fileobj
                if not chunk:
                    selector.unregister(key.fileobj)
            if time.monotonic() >= look:
                yield None
                look = time.monotonic() + LOOK_AGAIN
    while not _has_ended(process):
        yield None


def _has_ended(process: subprocess.Popen) -> bool:
    """Wait a moment for the end."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(LOOK_AGAIN)
    return process.returncode is not None


def _excess(pid: int, limits: Limits) -> str:
    """Say which limit on processes, memory and processor time is exceeded, if one is."""
    threads, resident, busy = _usage(pid)
    if threads > limits.processes + 4:
        return words.too_many_processes(limits.processes)
    if busy > limits.seconds + START_BUSY:
        return words.too_busy(limits.seconds)
    return words.too_much_memory(limits.memory // MB) if resident > limits.memory else ""


def _usage(pid: int) -> tuple[int, int, float]:
    """Count threads, bytes of resident memory and seconds of a process and all it started."""
    threads = resident = busy = 0
    for one in _family(pid):
        with contextlib.suppress(psutil.Error), one.oneshot():  # it may have just ended
            threads += one.num_threads()
            resident += one.memory_info().rss
            # Of the process itself, and of those of its children that have ended.
            busy += sum(one.cpu_times()[:4])
    return threads, resident, busy


def _family(pid: int) -> list[psutil.Process]:
    """List a process and all its descendants, as far as the system shows them."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _end(process: subprocess.Popen) -> None:
    """Kill the process and all it started; in a sandbox they end with it anyway."""
    # As long as nobody has asked how it ended, its number is its own.
    while process.poll() is None:
        for one in _family(process.pid):
            with contextlib.suppress(psutil.Error):
                one.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.01)
