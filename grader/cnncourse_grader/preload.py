"""What every process of :mod:`~cnncourse_grader.apart` needs, read once by their server."""

from __future__ import annotations

from cnncourse import checks
from cnncourse_grader import collect, marks

__all__ = ["checks", "collect", "marks"]

EXERCISES = [checks.find(name) for name in checks.names()]
