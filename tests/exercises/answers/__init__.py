"""Answers as learners write them, one module a chapter: RIGHT and WRONG, by exercise.

``RIGHT[name]`` lists functions that the check must accept; ``WRONG[name]`` lists pairs of a
function and a part of the diagnosis that the check must give. ``EDGES[name]`` lists those of them
that drawn numbers may make look right: they must be refused whatever the seed. They are written
without a look at the mistakes in ``cnncourse.checks``, so that the check is tried on something it
does not know.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module


def topics() -> list[str]:
    """List the chapters that have answers."""
    return [module.name for module in pkgutil.iter_modules(__path__)]


def collect(table: str) -> list[tuple[str, object]]:
    """Return (exercise, entry) for every entry of RIGHT, WRONG or EDGES, over all chapters."""
    tables = [getattr(import_module(f"{__name__}.{topic}"), table, {}) for topic in topics()]
    return [(name, one) for table in tables for name, entries in table.items() for one in entries]
