"""Functions of the course that an exercise may build on, in a sandbox that hides all others.

An exercise names them in full among its prerequisites, in backticks. They are cut out of their
modules with what they use, and report every call, so that a function lent for one exercise is a
forbidden call in another.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Collection, Sequence

from cnncourse import checks
from cnncourse.checks.exercise import Exercise

NAMED = re.compile(r"`(cnncourse\.\w+\.\w+)`")
# In a sandbox the watch over torch's functions sees these calls too.
LEND = """
def _lend(function):
    from torch.overrides import handle_torch_function, has_torch_function

    def lent(*values, **options):
        if has_torch_function(values):
            return handle_torch_function(lent, values, *values, **options)
        return function(*values, **options)

    lent.__name__, lent.__doc__ = function.__name__, function.__doc__
    return lent


"""


def lent_to(exercise: Exercise) -> set[str]:
    """Return the full names of the functions that an exercise may build on.

    Parameters
    ----------
    exercise : Exercise
        Its prerequisites name them.

    Returns
    -------
    set of str
        Such as "cnncourse.invariance.translate".
    """
    return {name for text in exercise.prerequisites for name in NAMED.findall(text)}


@functools.cache
def all_lent() -> frozenset[str]:
    """Return what is lent to any exercise."""
    return frozenset().union(*(lent_to(checks.find(name)) for name in checks.names()))


def forbidden_to(exercise: Exercise) -> tuple[str, ...]:
    """Return the names that an answer must not call: its own, and what is lent to others.

    Parameters
    ----------
    exercise : Exercise
        What is asked.

    Returns
    -------
    tuple of str
        Names, or parts of names, as in ``exercise.forbidden``.
    """
    return exercise.forbidden + tuple(sorted(all_lent() - lent_to(exercise)))


def cut(source: str, names: Collection[str]) -> str:
    """Cut functions out of a module, with what they use.

    Parameters
    ----------
    source : str
        Of the module.
    names : collection of str
        Functions to keep.

    Returns
    -------
    str
        Source of a module that holds these functions, lent, and nothing it could do without.

    Raises
    ------
    ValueError
        If the module does not define all of them.

    Examples
    --------
    >>> text = cut("f = lambda: g(); g = lambda: 1; h = lambda: 2", ["f"])
    >>> "g = lambda" in text, "h = lambda" in text
    (True, False)
    """
    statements = ast.parse(source).body
    if missing := set(names) - set().union(*map(_defined, statements)):
        raise ValueError(f"the course must define what an exercise needs, got {sorted(missing)}")
    kept = [ast.unparse(one) for one in _needed(statements, set(names))]
    lending = [f"{name} = _lend({name})" for name in sorted(names)]
    return "\n\n".join([LEND, *kept, *lending]) + "\n"


def _needed(statements: Sequence[ast.stmt], wanted: set[str]) -> list[ast.stmt]:
    """List the statements that define the wanted names, and what those use in turn."""
    kept: dict[int, ast.stmt] = {}
    found = {0: None}
    while found:
        found = {
            place: statement
            for place, statement in enumerate(statements)
            if place not in kept and _defined(statement) & wanted
        }
        kept |= found
        wanted = wanted.union(*map(_used, found.values()))
    return [_without_unused(statement, wanted) for _, statement in sorted(kept.items())]


def _used(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def _defined(statement: ast.stmt) -> set[str]:
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    nodes = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
    return {node.id for node in nodes if isinstance(node.ctx, ast.Store)}


def _without_unused(statement: ast.stmt, wanted: set[str]) -> ast.stmt:
    """Leave out of an import line what nobody uses: it may name another answer."""
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        used = [a for a in statement.names if (a.asname or a.name.partition(".")[0]) in wanted]
        statement.names = used
    return statement
