"""What a chapter shows of a function: all of its code, and nothing of its docstring."""

from __future__ import annotations

import ast
import inspect

import pytest
from IPython.core.formatters import DisplayFormatter

from cnncourse import cross_correlation
from cnncourse.source import Source, show_source


class Holder:
    def method(self, x):
        """Say in one line what a method does."""
        # A comment that stays.
        return x + 1  # as does this one

    def bare(self):
        return '"""not a docstring"""'


def test_show_source_drops_the_docstring_and_keeps_comments() -> None:
    assert show_source(Holder.method).code == (
        "def method(self, x):\n    # A comment that stays.\n    return x + 1  # as does this one"
    )


def test_show_source_keeps_all_of_a_function_without_docstring() -> None:
    assert show_source(Holder.bare).code.endswith("""return '\"\"\"not a docstring\"\"\"'""")


def body(code: str) -> list[str]:
    (definition,) = ast.parse(code).body
    skip = ast.get_docstring(definition) is not None
    return [ast.dump(statement) for statement in definition.body[skip:]]


@pytest.mark.parametrize("name", ["corr1d", "corr2d", "corr3d", "corr2d_windows", "convolve2d"])
def test_show_source_is_the_code_that_runs(name: str) -> None:
    function = getattr(cross_correlation, name)
    code = show_source(function).code
    assert body(code) == body(inspect.getsource(function))
    assert ast.get_docstring(ast.parse(code).body[0]) is None


def test_show_source_shows_as_markdown_and_as_plain_code() -> None:
    formats, _ = DisplayFormatter().format(Source("x = 1"))
    assert formats == {"text/markdown": "```python\nx = 1\n```", "text/plain": "x = 1"}


@pytest.mark.parametrize("wrong", ["corr2d", 3, len, str.join, Holder])
def test_show_source_names_what_it_cannot_show(wrong: object, as_installed) -> None:
    with pytest.raises(TypeError, match=f"`function` must be .* got {type(wrong).__name__}"):
        show_source(wrong)
