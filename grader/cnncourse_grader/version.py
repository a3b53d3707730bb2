"""Which version of the course its notebooks install: that of the clone, not of a branch that moves.

What a student checks with in December is then what was released in September.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple


class Version(NamedTuple):
    """A tag or commit, empty where there is none, and what speaks against handing it out."""

    name: str
    warnings: list[str]


def of(course: Path) -> Version:
    """Return the tag of a clone's last commit, or else the commit.

    Parameters
    ----------
    course : Path
        A clone of the course.

    Returns
    -------
    Version
        With a warning for what students would not get.
    """
    commit = _git(course, "rev-parse", "HEAD")
    if not commit:
        return Version("", [f"{course.resolve()} has no history, so the notebooks install {MOVES}"])
    name = _git(course, "describe", "--tags", "--exact-match", "HEAD") or commit
    warnings = []
    if changed := _git(course, "status", "--porcelain", "--untracked-files=no"):
        files = ", ".join(line.split(maxsplit=1)[1] for line in changed.splitlines())
        warnings.append(f"not committed, so students install {name} without it: {files}")
    if not _git(course, "branch", "--remotes", "--contains", "HEAD"):
        warnings.append(f"{name} is on no remote branch: push it, or students cannot install it")
    return Version(name, warnings)


MOVES = "what the branch holds on the day: the checks may change in mid-term"


def _git(course: Path, *words: str) -> str:
    """Return what git prints, or nothing where it fails or is missing."""
    try:
        done = subprocess.run(
            ["git", *words], cwd=course, check=False, capture_output=True, text=True
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
