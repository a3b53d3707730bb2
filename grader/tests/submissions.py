"""Makers of submissions, right and wrong; those that attack the grader are in attacks.py."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

# Decides the inputs wherever a test grades.
SECRET = "correct-horse-battery-staple"
SETUP = "import torch\n\nfrom cnncourse import check, hint"
CHECK = 'check("corr2d", corr2d)'
RIGHT = """\
def corr2d(x, kernel):
    kh, kw = kernel.shape
    y = x.new_zeros(x.shape[0] - kh + 1, x.shape[1] - kw + 1)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = (x[i : i + kh, j : j + kw] * kernel).sum()
    return y
"""
FLIPPED = RIGHT.replace("* kernel)", "* kernel.flip(0, 1))")
STUB = "def corr2d(x, kernel):\n    raise NotImplementedError\n"


def notebook(*cells: str, metadata: Mapping[str, object] | None = None) -> str:
    """Write a notebook with these code cells."""
    code = [
        {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": c}
        for c in cells
    ]
    content = {"cells": code, "metadata": dict(metadata or {}), "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content)


def solved(answer: str = RIGHT) -> str:
    """Write a notebook with an answer to corr2d."""
    return notebook(SETUP, answer, CHECK)


def write_zip(path: Path, members: Mapping[str, str | bytes], links: tuple[str, ...] = ()) -> Path:
    """Write a zip with any names; those in ``links`` are symbolic links to their content."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)
            kind = stat.S_IFLNK if name in links else stat.S_IFREG
            member.external_attr = (kind | 0o644) << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return path
