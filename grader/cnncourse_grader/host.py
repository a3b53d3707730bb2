"""What stands between a sandbox and the computer around it, beside the sandbox itself.

A command is put into a session keyring and a control group of its own, where the computer has
them, and it is nobody outside as well as inside: root would own the kernel's switches in
``/proc/sys``, and no limit on processes holds for root.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from cnncourse_grader import seccomp, words

NOBODY = 65534
ENTER = Path(__file__).with_name("enter.py")
CONTROL_GROUPS = "/sys/fs/cgroup"
# Limit of a control group -> what it bounds.
LIMITED = {"memory.max": "memory", "pids.max": "processes", "cpu.max": "processor time"}
READ_LIMITS = (
    'cd "$0/$(sed -n s/^0:://p /proc/self/cgroup)"; '
    f"for file in {' '.join(LIMITED)}; do cat $file || echo max; done"
)
MORE_PROCESSES = 8  # of the sandbox itself
NEEDED = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")  # by systemd-run, to find its manager


def missing() -> str:
    """Say why root's rights cannot be left behind here; empty if they can, or are not there."""
    return words.NO_WAY_DOWN if _is_root() and not shutil.which("setpriv") else ""


def around(command: Sequence[str], memory: int, processes: int) -> list[str]:
    """Put a call of bubblewrap behind all that this computer offers.

    Parameters
    ----------
    command : sequence of str
        The call.
    memory, processes : int
        For the control group: bytes, and how many.

    Returns
    -------
    list of str
        A command line.
    """
    scope = _scope(memory, processes) if kept(memory, processes) else []
    # -P: nothing that lies beside the file is imported.
    enter = [sys.executable, "-ISPB", str(ENTER)]
    # env -i: a notebook can read with which variables its world was begun.
    return [*enter, *scope, "env", "-i", *_as_nobody(command), *command]


def environment() -> dict[str, str]:
    """Return the variables that the command needs; the notebook sees none of them."""
    needed = {name: os.environ[name] for name in NEEDED if name in os.environ}
    return {"PATH": os.environ.get("PATH", os.defpath), **needed}


def in_force(memory: int, processes: int) -> list[str]:
    """Say for the instructor what protects this computer, and what does not."""
    calls = words.CALLS_FILTERED if seccomp.program() else words.CALLS_NOT_FILTERED
    return [calls, words.control_group(kept(memory, processes))]


def _is_root() -> bool:
    return os.geteuid() == 0


# Control group


def _scope(memory: int, processes: int) -> list[str]:
    whose = [] if _is_root() else ["--user"]
    limits = {
        "MemoryMax": memory,
        "MemorySwapMax": 0,
        "TasksMax": processes + MORE_PROCESSES,
        "CPUQuota": "100%",
    }
    properties = [word for one in limits.items() for word in ("-p", f"{one[0]}={one[1]}")]
    return ["systemd-run", *whose, "--scope", "--quiet", "--collect", *properties, "--"]


@functools.cache
def kept(memory: int, processes: int) -> tuple[str, ...]:
    """List what a control group bounds here; the limits are read back, and not believed."""
    if not shutil.which("systemd-run"):
        return ()
    look = ["sh", "-c", READ_LIMITS, CONTROL_GROUPS]
    done = subprocess.run([*_scope(memory, processes), *look], capture_output=True, text=True)
    lines = done.stdout.splitlines() if done.returncode == 0 else []
    pairs = zip(LIMITED.values(), lines, strict=False)
    return tuple(name for name, line in pairs if not line.startswith("max"))


# Nobody outside


def _as_nobody(command: Sequence[str]) -> list[str]:
    """Return what to put before a call of bubblewrap so that root becomes nobody first."""
    if not _is_root():
        return []
    sources = [source for flag, source in pairwise(command) if flag == "--ro-bind"]
    # Only root enters its home, where the interpreter may be: around the sandbox is another view
    # of the same files.
    view = [command[0], "--die-with-parent", "--dev-bind", "/", "/", *_opened(sources), "--"]
    ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all", "--"]
    return [*view, "setpriv", *ids]


def _opened(sources: Sequence[str]) -> Iterator[str]:
    """Put in the place of each closed folder an open one that holds the sources alone."""
    closed = {source: _closed(Path(source)) for source in sources}
    for folder in {folder for folder in closed.values() if folder}:
        yield from ("--perms", "0755", "--tmpfs", str(folder))
    for source, folder in closed.items():
        if folder:
            between = [one for one in Path(source).parents if one.is_relative_to(folder)]
            for one in reversed(between):
                yield from ("--perms", "0755", "--dir", str(one))
            yield from ("--ro-bind", source, source)


def _closed(path: Path) -> Path | None:
    """Return the first folder on the way to a path that is closed to others."""
    folders = reversed(path.parents)
    return next((one for one in folders if not one.stat().st_mode & 0o001), None)
