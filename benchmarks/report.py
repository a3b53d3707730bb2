"""What every table of a benchmark says: where it was measured, and its columns in line."""

from __future__ import annotations

import os
from collections.abc import Sequence

from experiments.environment import environment


def machine() -> str:
    """Name hardware, versions and how busy the machine was."""
    here = ", ".join(f"{name} {value}" for name, value in environment().items())
    # The load average of the last minute: more than the cores means a busy machine.
    return f"""Machine and versions: {here}.
Processes that wanted a core meanwhile, this one among them: {os.getloadavg()[0]:.1f} on average."""


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Write a markdown table, its columns in line."""
    rows = [list(head), *map(list, lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = [[f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)] for row in rows]
    padded.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(row)} |" for row in padded)
