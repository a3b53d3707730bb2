"""Run one notebook in a sandbox, with limits, and bring back bytes.

bubblewrap gives each notebook an empty world: the interpreter and the packages it needs, read-only;
the stripped course (:mod:`~cnncourse_grader.stripped`); 64 MB of scratch space that vanishes; its
own process table; no network, no environment, no capability, no user, no other file. This module
counts time, processes, memory and results from outside, and ends the whole world when one is
exceeded or when the grader itself dies.

Not handled: an attack on the kernel through its ordinary system calls.
"""

from __future__ import annotations

import atexit
import compileall
import contextlib
import functools
import importlib.metadata
import io
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement

from cnncourse_grader import stripped

MB = 1 << 20
# What a learner's own `pip install cnncourse` brings, and what a notebook uses besides.
PACKAGES = ("torch", "numpy", "matplotlib", "jaxtyping", "tqdm", "pandas", "ipython")
OLDEST_BWRAP = (0, 8)
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
        Wall time of the notebook with all its answers; time of one cell or answer.
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
    """What came out of a sandbox: bytes to be doubted, and why it was ended early, if it was."""

    data: bytes
    problem: str


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
    trial = subprocess.run(
        [*_world(Limits()), "true"], capture_output=True, text=True, errors="replace"
    )
    return "" if trial.returncode == 0 else f"{trial.stderr.strip()}\n{HOW_TO_ALLOW}"


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
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            _command(limits) if protected else _bare_command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(folder, protected),
            cwd="/" if protected else folder,
            start_new_session=True,
            **_nobody(protected, folder),
        )
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


def _nobody(protected: bool, folder: str) -> dict:
    """Leave root's rights behind where no sandbox takes them away."""
    if protected or not hasattr(os, "geteuid") or os.geteuid() != 0 or not _open_to_all():
        return {}
    os.chown(folder, 65534, 65534)
    return {"user": 65534, "group": 65534, "extra_groups": []}


def _open_to_all() -> bool:
    """Tell whether any user can start the interpreter."""
    places = [Path(sys._base_executable).resolve(), Path(sys.prefix, "lib")]
    folders = {parent for place in places for parent in place.parents}
    return all(folder.stat().st_mode & 0o001 for folder in folders)


def _watch(process: subprocess.Popen, request: bytes, limits: Limits) -> Result:
    """Read what comes until the process ends or a limit is exceeded.

    The request goes in when the first bytes come out. From then on the sandbox ends with the
    grader for certain; one whose grader was killed even earlier never gets to see a submission.
    """
    parts = {process.stdout: bytearray(), process.stderr: bytearray()}
    data, errors = parts.values()
    problem = ""
    clock = time.monotonic()
    for pipe in _chunks(parts):
        if data and not process.stdin.closed:
            _send(process.stdin, request)
        if len(data) > limits.result or len(errors) > MB:
            problem = f"it returned more than {limits.result // MB} MB"
        elif _stopping.is_set():
            problem = "grading was stopped"
        elif pipe is None:
            problem = _excess(process.pid, limits, time.monotonic() - clock)
        if problem:
            return Result(bytes(data[: limits.result]), problem)
    if process.wait() != 0:
        problem = f"it ended early ({_ending(process.returncode, bytes(errors))})"
    return Result(bytes(data), problem)


def _send(pipe: io.BufferedIOBase, request: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), pipe:
        pipe.write(request)


def _chunks(parts: dict) -> Iterator[object]:
    """Fill the parts from their pipes; yield the pipe that grew, or None: time to look."""
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


def _excess(pid: int, limits: Limits, elapsed: float) -> str:
    """Say which limit is exceeded, if one is."""
    if elapsed > limits.seconds:
        return f"it took more than {limits.seconds} seconds"
    family = _family(pid)
    if sum(one.threads for one in family) > limits.processes + 4:
        return f"it started more than {limits.processes} processes"
    if sum(one.resident for one in family) > limits.memory:
        return f"it used more than {limits.memory // MB} MB of memory"
    return ""


def _ending(code: int, errors: bytes) -> str:
    text = errors.decode(errors="replace").strip().splitlines()
    reason = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"{reason}: {text[-1][:300]}" if text else reason


def _end(process: subprocess.Popen) -> None:
    """Kill the process and all it started; in a sandbox they end with it anyway."""
    while True:
        family = [one for one in _family(process.pid) if one.state not in "ZX"]
        for one in family:
            _kill(one.pid)
        if process.poll() is None:
            process.kill()
        elif not family:
            return
        time.sleep(0.01)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class _Process(NamedTuple):
    pid: int
    parent: int
    state: str
    threads: int
    resident: int  # bytes


def _family(root: int) -> list[_Process]:
    """List a process and all its descendants, as far as the system shows them."""
    everyone = {one.pid: one for one in _processes()}
    children: dict[int, list[int]] = {}
    for one in everyone.values():
        children.setdefault(one.parent, []).append(one.pid)
    family = [root]
    for pid in family:  # grows while it is read
        family += children.get(pid, [])
    return [everyone[pid] for pid in family if pid in everyone]


def _processes() -> Iterator[_Process]:
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        try:
            # The command's name, in brackets, may hold anything; the last bracket ends it.
            text = Path("/proc", name, "stat").read_text(errors="replace") if name.isdigit() else ""
        except OSError:  # it has just ended
            continue
        if text:
            state, parent, *rest = text.rpartition(")")[2].split()
            yield _Process(
                int(name),
                int(parent),
                state,
                int(rest[15]),
                int(rest[19]) * os.sysconf("SC_PAGESIZE"),
            )


def _command(limits: Limits) -> list[str]:
    return [
        *_world(limits),
        *_arguments("--ro-bind", _packages()),
        *_arguments("--ro-bind", [(_course(with_data=False), "/course")]),
        *_arguments(
            "--ro-bind",
            [(path, f"/course/cnncourse/datasets/{path.name}") for path in stripped.data_folders()],
        ),
        # Also the empty root, which would else take files without limit.
        *("--remount-ro", "/"),
        *("--chdir", "/tmp"),
        *_inside(Path(sys._base_executable).resolve()),
    ]


def _world(limits: Limits) -> list[str]:
    """Return the call of bubblewrap, up to the packages."""
    return [
        shutil.which("bwrap") or "bwrap",
        *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent"),
        *("--new-session", "--clearenv", "--cap-drop", "ALL", "--uid", "65534", "--gid", "65534"),
        *("--hostname", "sandbox"),
        *_arguments("--setenv", _variables("/tmp", "/course:/packages").items()),
        *_arguments("--ro-bind", _system()),
        *_arguments("--tmpfs", [(path,) for path in _hidden()]),
        *_arguments("--remount-ro", [(path,) for path in _hidden()]),
        *("--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"),
        *("--size", str(limits.scratch), "--tmpfs", "/tmp"),
    ]


def _arguments(flag: str, values: Iterable[Sequence]) -> list[str]:
    return [str(word) for value in values for word in (flag, *value)]


def _inside(python: Path | str) -> list[str]:
    return [str(python), "-sSPB", "-m", "cnncourse_grader.inside"]


def _bare_command() -> list[str]:
    return _inside(sys.executable)


def _environment(folder: str, protected: bool) -> dict[str, str]:
    if protected:
        return {"PATH": os.environ.get("PATH", os.defpath)}
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    course = str(_course(with_data=True))
    return _variables(folder, os.pathsep.join([course, *sorted(paths)]))


def _variables(home: str, path: str) -> dict[str, str]:
    return {
        "HOME": home,
        "TMPDIR": home,
        "MPLCONFIGDIR": f"{home}/matplotlib",
        "MPLBACKEND": "Agg",
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "USER": "student",
        "PYTHONPATH": path,
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


def _system() -> list[tuple[Path, Path]]:
    """List what the interpreter needs of the system."""
    places = [Path("/usr"), *map(Path, ("/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache"))]
    base = Path(sys.base_prefix).resolve()
    if not base.is_relative_to("/usr"):
        places.append(base)
    return [(place, place) for place in places if place.exists()]


def _hidden() -> list[Path]:
    """List the folders of installed packages: the whole course may be in one of them."""
    roots = {Path(sys.base_prefix).resolve(), Path("/usr"), Path("/usr/local")}
    patterns = ("lib/python3*/site-packages", "lib/python3*/dist-packages")
    return sorted({path for root in roots for pattern in patterns for path in root.glob(pattern)})


@functools.cache
def _packages() -> list[tuple[Path, str]]:
    """List the files and folders of the packages, and where they are mounted."""
    files = [file for name in _closure(PACKAGES) for file in importlib.metadata.files(name) or ()]
    # The folder that holds the packages, joined with the first part of each file's path.
    tops = {Path(file.dist.locate_file(file.parts[0])) for file in files}
    wanted = {top for top in tops if top.exists() and top.name not in ("..", "__pycache__")}
    return [(path, f"/packages/{path.name}") for path in sorted(wanted) if path.suffix != ".pth"]


def _closure(names: Sequence[str]) -> list[str]:
    """List installed packages with all that they need."""
    found: list[str] = []
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        try:
            needs = importlib.metadata.requires(name) or ()
        except importlib.metadata.PackageNotFoundError:
            continue
        found.append(name)
        needed = {need.name for need in map(_requirement, needs) if need}
        waiting += needed - set(found) - set(waiting)
    return found


def _requirement(text: str) -> Requirement | None:
    try:
        need = Requirement(text)
    except InvalidRequirement:
        return None
    return need if not need.marker or need.marker.evaluate({"extra": ""}) else None


_preparing = threading.Lock()


def _course(with_data: bool) -> Path:
    with _preparing:
        return _prepared(with_data)


@functools.cache
def _prepared(with_data: bool) -> Path:
    """Write the stripped course once a process, with the list of fonts matplotlib would make."""
    folder = Path(tempfile.mkdtemp(prefix="cnncourse-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    stripped.write(folder, with_data)
    compileall.compile_dir(folder, ddir="/course", quiet=2)
    subprocess.run(
        [sys.executable, "-c", "import matplotlib.font_manager"],
        env={**os.environ, "MPLCONFIGDIR": str(folder / "matplotlib")},
        capture_output=True,
    )
    return folder
