"""Show the tested code of a function in a chapter, so that no chapter repeats it.

The output is Markdown: JupyterLab, Colab and the site each colour it in their own way.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """Code that a notebook shows in colours, and a terminal as it is."""

    code: str

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.code}\n```"

    def __repr__(self) -> str:
        return self.code


def show_source(function: Callable) -> Source:
    """Return the source of a function written in Python, comments included, docstring left out.

    Examples
    --------
    >>> from cnncourse.cross_correlation import corr1d_windows
    >>> show_source(corr1d_windows)
    def corr1d_windows(
        x: Float[Tensor, " w"], kernel: Float[Tensor, " kw"]
    ) -> Float[Tensor, " w-kw+1"]:
        _check_fits(x, kernel, "w")
        # unfold copies nothing: it reads every window from the same memory, (w - kw + 1, kw).
        return x.unfold(0, len(kernel), 1) @ kernel
    """
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        kind = type(function).__name__
        raise TypeError(f"`function` must be a function written in Python, got {kind}")
    code = textwrap.dedent(inspect.getsource(function)).rstrip()
    return Source(_without_docstring(code))


def _without_docstring(code: str) -> str:
    """Leave out the lines of the docstring, and keep all others as they are."""
    definition = ast.parse(code).body[0]
    if ast.get_docstring(definition) is None:
        return code
    docstring, lines = definition.body[0], code.splitlines()
    return "\n".join(lines[: docstring.lineno - 1] + lines[docstring.end_lineno :])
