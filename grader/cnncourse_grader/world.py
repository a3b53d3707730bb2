"""The world a notebook lives in: bubblewrap's options, and everything that can be seen inside.

The interpreter and the packages a notebook needs, read-only; the stripped course
(:mod:`~cnncourse_grader.stripped`); a small folder for scratch that vanishes; a process table of
its own; no network, no environment, no capability, no user, no other file. Without a sandbox the
same course is put beside the installed packages.
"""

from __future__ import annotations

import atexit
import compileall
import functools
import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from cnncourse_grader import stripped

# What a learner's own `pip install cnncourse` brings, and what a notebook uses besides.
PACKAGES = (
    "torch",
    "numpy",
    "matplotlib",
    "jaxtyping",
    "safetensors",
    "tqdm",
    "anywidget",
    "pandas",
    "ipython",
)


def command(scratch: int, options: Sequence[str] = ()) -> list[str]:
    """Return the command line that runs a notebook in a sandbox.

    Parameters
    ----------
    scratch : int
        Bytes for temporary files.
    options : sequence of str
        More options of bubblewrap.

    Returns
    -------
    list of str
        A call of bubblewrap.
    """
    return [
        *empty(scratch, options),
        *_arguments("--ro-bind", _packages()),
        *_arguments("--ro-bind", [(_course(with_data=False), "/course")]),
        *_arguments(
            "--ro-bind",
            [(path, _in_course(path)) for path in stripped.data_files()],
        ),
        # Also the empty root, which would else take files without limit.
        *("--remount-ro", "/"),
        *("--chdir", "/tmp"),
        *_inside(Path(sys._base_executable).resolve()),
    ]


def _in_course(path: Path) -> Path:
    return Path("/course/cnncourse") / path.relative_to(stripped.PACKAGE)


def empty(scratch: int, options: Sequence[str] = ()) -> list[str]:
    """Return the call of bubblewrap, up to the packages and the command in it."""
    return [
        shutil.which("bwrap") or "bwrap",
        *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent"),
        *("--new-session", "--clearenv", "--cap-drop", "ALL", "--uid", "65534", "--gid", "65534"),
        *("--hostname", "sandbox", *options),
        *_arguments("--setenv", _variables("/tmp", "/course:/packages").items()),
        *_arguments("--ro-bind", _system()),
        *_arguments("--tmpfs", [(path,) for path in _hidden()]),
        *_arguments("--remount-ro", [(path,) for path in _hidden()]),
        # There is no /sys. In /proc are the kernel's switches, for everybody on this computer.
        *("--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev", "--remount-ro", "/dev"),
        *("--size", str(scratch), "--tmpfs", "/tmp"),
    ]


def _arguments(flag: str, values: Iterable[Sequence]) -> list[str]:
    return [str(word) for value in values for word in (flag, *value)]


def _inside(python: Path | str) -> list[str]:
    return [str(python), "-sSPB", "-m", "cnncourse_grader.inside"]


def bare_command() -> list[str]:
    """Return the command line that runs a notebook without a sandbox."""
    return _inside(sys.executable)


def environment(folder: str) -> dict[str, str]:
    """Return the environment of a notebook without a sandbox; ``folder`` is the home."""
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
