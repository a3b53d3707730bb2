"""Read the source of an answer for forbidden calls: the second line behind the watch at run time.

A submission shares its process with the watch and could switch it off. Here its text is read, by
a process that does not run it. Names are followed through imports, aliases and the notebook's own
functions, so that a comparison with torch in another cell is no offence, and a function of the
notebook that is called like one of torch's is not mistaken for it.

Not handled: names put together at run time (``getattr(torch, "co" + "nv2d")``).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence

from cnncourse.checks.cells import without_magics

LIBRARIES = ("torch", "numpy", "scipy")


def forbidden_calls(cells: Sequence[str], name: str, forbidden: Sequence[str]) -> tuple[str, ...]:
    """List the forbidden functions that an answer's source names.

    Parameters
    ----------
    cells : sequence of str
        Source of a notebook's code cells.
    name : str
        Of the answer.
    forbidden : sequence of str
        Parts of names, as in an exercise: ``"conv"`` covers ``torch.nn.functional.conv2d``.

    Returns
    -------
    tuple of str
        Full names, sorted; empty if there are none, or no such answer.

    Examples
    --------
    >>> cells = ["from torch.nn import functional as F", "def corr2d(x, k): return F.conv2d(x, k)"]
    >>> forbidden_calls(cells, "corr2d", ("conv",))
    ('torch.nn.functional.conv2d',)
    >>> forbidden_calls(["def conv2d(x): return x", "corr2d = conv2d"], "corr2d", ("conv",))
    ()
    """
    statements = [statement for cell in cells for statement in _statements(cell)]
    imports = dict(_imports(statements))
    definitions = _definitions(statements)
    definitions.setdefault(name, []).extend(_handed_in(statements, name))
    named = _names_used(definitions, name, imports)
    return tuple(sorted({full for full in named if _is_forbidden(full, forbidden)}))


def _statements(cell: str) -> list[ast.stmt]:
    for source in (cell, without_magics(cell)):
        try:
            return ast.parse(source).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return []


def _imports(statements: Iterable[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Give each name that an import line makes, and what it stands for."""
    for node in (node for statement in statements for node in ast.walk(statement)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _definitions(statements: Iterable[ast.stmt]) -> dict[str, list[ast.stmt]]:
    """Collect the statements that give each name a meaning."""
    found: dict[str, list[ast.stmt]] = {}
    for statement in statements:
        for name in _defined(statement):
            found.setdefault(name, []).append(statement)
    return found


def _defined(statement: ast.stmt) -> set[str]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    nodes = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
    return {node.id for node in nodes if isinstance(node.ctx, ast.Store)}


def _handed_in(statements: Iterable[ast.stmt], name: str) -> list[ast.expr]:
    """List what the notebook hands to ``check`` as the answer."""
    calls = (n for one in statements for n in ast.walk(one) if isinstance(n, ast.Call))
    return [
        answer
        for call in calls
        for known, answer in [(call.args + [k.value for k in call.keywords] + [None] * 2)[:2]]
        if isinstance(known, ast.Constant) and known.value == name and answer is not None
    ]


def _names_used(definitions: dict, name: str, imports: dict[str, str]) -> Iterator[str]:
    """Give the full names of a library that an answer uses, itself or through its helpers."""
    waiting, seen = [name], {name}
    while waiting:
        name = waiting.pop()
        # An import line may itself make the answer: `from torch import conv2d as corr2d`.
        yield imports.get(name, "")
        for full in (full for one in definitions.get(name, ()) for full in _named(one, imports)):
            yield full
            if full in definitions.keys() - seen:
                seen.add(full)
                waiting.append(full)


def _named(statement: ast.AST, imports: dict[str, str]) -> Iterator[str]:
    """Give the full names that a statement reads; a function's own variables are not among them."""
    own = _own_variables(statement) if hasattr(statement, "args") else set()
    for node in ast.walk(statement):
        if isinstance(node, (ast.Name, ast.Attribute)) and _root(node) not in own:
            yield _full_name(node, imports)


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _own_variables(function: ast.AST) -> set[str]:
    nodes = list(ast.walk(function))
    stored = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    shared = {n for one in nodes if isinstance(one, (ast.Global, ast.Nonlocal)) for n in one.names}
    return (stored | {n.arg for n in nodes if isinstance(n, ast.arg)}) - shared


def _full_name(node: ast.expr, imports: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return imports.get(node.id, node.id)
    if isinstance(node, ast.Attribute) and (owner := _full_name(node.value, imports)):
        return f"{owner}.{node.attr}"
    return ""


def _is_forbidden(full: str, forbidden: Sequence[str]) -> bool:
    library, _, rest = full.partition(".")
    return library in LIBRARIES and any(part in rest.lower() for part in forbidden)
