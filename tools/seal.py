"""A digest of cells and outputs in a notebook's metadata, so that an edit by hand is noticed."""

from __future__ import annotations

import hashlib
import json

from nbformat import NotebookNode


def seal(notebook: NotebookNode) -> None:
    """Store the digest in the notebook."""
    notebook.metadata["cnncourse"] = {"digest": digest(notebook)}


def digest(notebook: NotebookNode) -> str:
    """Return the SHA-256 of all cells: sources, metadata, execution counts and outputs."""
    cells = json.dumps(notebook.cells, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(cells.encode()).hexdigest()
