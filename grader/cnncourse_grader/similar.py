"""Fingerprints of answers: equal where two answers differ in names, comments and layout alone.

Short functions have few ways to be written, so equal fingerprints prove nothing.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Sequence

from cnncourse.checks.notebook import Notebook
from cnncourse_grader.apart import apart

SECONDS = 5
LONGEST = 20_000  # characters of a cell
DEFINED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def shapes(notebook: Notebook, names: Sequence[str]) -> dict[str, str]:
    """Return a fingerprint of each answer that a notebook defines.

    Parameters
    ----------
    notebook : Notebook
        As handed in; it is parsed in a process of its own.
    names : sequence of str
        Of the exercises.

    Returns
    -------
    dict
        Name of an exercise -> number of syntax nodes and a digest, "31-8f...".
    """
    cells = [cell for cell in notebook.cells if len(cell) <= LONGEST]
    try:
        return apart(shapes_apart, cells, list(names), seconds=SECONDS)
    except (RuntimeError, OSError):  # too deep, too long: nothing to compare
        return {}


def shapes_apart(cells: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Do the work of `shapes`; the last definition of a name counts."""
    found = {}
    for cell in cells:
        for statement in _statements(cell):
            if getattr(statement, "name", "") in names:
                found[statement.name] = shape(statement)
    return found


def _statements(cell: str) -> list[ast.stmt]:
    try:
        return ast.parse(cell).body
    except (SyntaxError, ValueError):
        return []


def shape(definition: ast.stmt) -> str:
    """Return the fingerprint of one definition, which is changed.

    >>> (one,), (two,) = (ast.parse(f"def f({x}): return {x} + 1").body for x in "ab")
    >>> shape(one) == shape(two)
    True
    """
    for node in ast.walk(definition):
        _strip(node)
    own = {name: f"_{place}" for place, name in enumerate(_own_names(definition))}
    for node in ast.walk(definition):
        _rename(node, own)
    count = sum(1 for _ in ast.walk(definition))
    return f"{count}-{hashlib.sha256(ast.dump(definition).encode()).hexdigest()[:16]}"


def _strip(node: ast.AST) -> None:
    """Take away what has no effect: annotations, docstrings and words that stand alone."""
    for name in ("annotation", "returns"):
        if hasattr(node, name) and not isinstance(node, ast.AnnAssign):
            setattr(node, name, None)
    body = getattr(node, "body", None)
    if isinstance(body, list):
        node.body = [one for one in body if not _is_idle(one)]


def _is_idle(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _own_names(definition: ast.AST) -> list[str]:
    """List the names that a definition binds, in the order in which they first stand there."""
    names = []
    for node in ast.walk(definition):
        if isinstance(node, ast.arg):
            names.append(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append(node.id)
        elif isinstance(node, DEFINED) and node is not definition:
            names.append(node.name)
    return list(dict.fromkeys(names))


def _rename(node: ast.AST, own: dict[str, str]) -> None:
    if isinstance(node, ast.arg):
        node.arg = own[node.arg]
    elif isinstance(node, DEFINED):
        node.name = own.get(node.name, node.name)
    elif isinstance(node, ast.Name):
        node.id = own.get(node.id, node.id)
