"""Show the tested code of a function in a chapter, so that no chapter repeats it.

The output is Markdown: JupyterLab, Colab and the site each colour it in their own way.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

WIDTH = 60  # columns that a signature may take: what a phone shows


@dataclass(frozen=True)
class Source:
    """Code that a notebook shows in colours, and a terminal as it is."""

    code: str

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.code}\n```"

    def __repr__(self) -> str:
        return self.code


def show_source(function: Callable) -> Source:
    """Return what a function computes: its code without docstring, types and argument checks.

    Left out are annotations of the signature, statements that only call a ``check_...``, each
    ``if`` that only raises, and comments right above them. All other lines stand as in the file.

    Examples
    --------
    >>> from cnncourse.cross_correlation import corr1d_windows
    >>> show_source(corr1d_windows)
    def corr1d_windows(x, kernel):
        # unfold copies nothing: it reads every window from the same memory, (w - kw + 1, kw).
        return x.unfold(0, len(kernel), 1) @ kernel
    """
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        kind = type(function).__name__
        raise TypeError(f"`function` must be a function written in Python, got {kind}")
    return Source(_plain(textwrap.dedent(inspect.getsource(function)).rstrip()))


def _plain(code: str) -> str:
    """Keep the decorators, write the signature anew, and leave out lines of the body."""
    lines, definition = code.splitlines(), ast.parse(code).body[0]
    first = definition.body[0].lineno
    dropped = {
        n for node in _not_shown(definition) for n in range(node.lineno, node.end_lineno + 1)
    }
    for n in sorted(dropped, reverse=True):
        if lines[n - 2].lstrip().startswith("#"):
            dropped.add(n - 1)
    body = [line for n, line in enumerate(lines, 1) if n >= first and n not in dropped]
    head = [*lines[: definition.lineno - 1], _signature(definition)]
    return "\n".join(head) + "\n" + "\n".join(body).lstrip("\n")


def _not_shown(definition: ast.FunctionDef) -> Iterator[ast.stmt]:
    """Yield the docstring and the checks; a function that does nothing else keeps its checks."""
    statements = definition.body
    if ast.get_docstring(definition) is not None:
        yield statements[0]
        statements = statements[1:]
    checks = [statement for statement in statements if _is_check(statement)]
    if len(checks) < len(statements):
        yield from checks


def _is_check(statement: ast.stmt) -> bool:
    """Tell a statement that looks at arguments and computes nothing."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
            return name.lstrip("_").startswith("check_")
        case ast.If(body=[ast.Raise()], orelse=[]):
            return True
    return False


def _signature(definition: ast.FunctionDef) -> str:
    """Write the first line of a function without annotations, broken where it is too long."""
    arguments = definition.args
    for argument in ast.walk(arguments):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    listed = ast.unparse(arguments)
    if len(f"def {definition.name}({listed}):") <= WIDTH:
        return f"def {definition.name}({listed}):"
    broken = textwrap.fill(listed + ",", WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 4)
    return f"def {definition.name}(\n{broken}\n):"
