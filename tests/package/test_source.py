"""What a chapter shows of a function: what it computes, and nothing else."""

from __future__ import annotations

import ast
import inspect
import sys

import pytest
import torch
from IPython.core.formatters import DisplayFormatter

from cnncourse import cross_correlation
from cnncourse.lenet import LeNet
from cnncourse.source import WIDTH, Source, show_source


def check_small(n: int) -> None:
    if n > 9:
        raise ValueError(n)


class Holder:
    def method(self, x):
        """Say in one line what a method does."""
        # A comment that stays.
        return x + 1  # as does this one

    def bare(self):
        return '"""not a docstring"""'

    def guarded(self, n: int, step: float = 0.5, *, name: str | None = None) -> list[float]:
        """Check, then count."""
        # Larger ones take too long.
        check_small(n)
        if step == 0:
            raise ValueError("step")

        # Backwards, so that the largest comes first.
        numbers = [step * k for k in range(n, 0, -1)]
        if name:
            print(name)
        return numbers


def test_show_source_drops_the_docstring_and_keeps_comments() -> None:
    assert show_source(Holder.method).code == (
        "def method(self, x):\n    # A comment that stays.\n    return x + 1  # as does this one"
    )


def test_show_source_keeps_all_of_a_function_without_docstring() -> None:
    assert show_source(Holder.bare).code.endswith("""return '\"\"\"not a docstring\"\"\"'""")


def test_show_source_drops_types_and_checks_and_nothing_else() -> None:
    assert show_source(Holder.guarded).code.splitlines() == [
        "def guarded(self, n, step=0.5, *, name=None):",
        "    # Backwards, so that the largest comes first.",
        "    numbers = [step * k for k in range(n, 0, -1)]",
        "    if name:",
        "        print(name)",
        "    return numbers",
    ]


def test_show_source_keeps_checks_that_are_all_there_is() -> None:
    assert "raise ValueError" in show_source(check_small).code


@pytest.mark.parametrize("function", [LeNet.__init__, cross_correlation.corr3d])
def test_show_source_breaks_a_long_signature(function) -> None:
    head = show_source(function).code.partition("):\n")[0]
    assert max(map(len, head.splitlines())) <= WIDTH
    (definition,) = ast.parse(show_source(function).code).body
    shown = inspect.signature(function).parameters
    assert [argument.arg for argument in definition.args.args] == list(shown)


def as_shown(function):
    """Define a function again from what is shown of it."""
    names = dict(vars(sys.modules[function.__module__]))
    exec(show_source(function).code, names)
    return names[function.__name__]


@pytest.mark.parametrize("name", ["corr1d", "corr2d", "corr3d", "corr2d_windows", "convolve2d"])
def test_what_is_shown_computes_the_same(name: str) -> None:
    function = getattr(cross_correlation, name)
    rank = next(rank for rank in (1, 2, 3) if f"{rank}d" in name)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((5, 6, 7)[:rank], generator=generator)
    kernel = torch.randn((2, 3, 4)[:rank], generator=generator)
    torch.testing.assert_close(as_shown(function)(x, kernel), function(x, kernel))


def test_show_source_shows_as_markdown_and_as_plain_code() -> None:
    formats, _ = DisplayFormatter().format(Source("x = 1"))
    assert formats == {"text/markdown": "```python\nx = 1\n```", "text/plain": "x = 1"}


@pytest.mark.parametrize("wrong", ["corr2d", 3, len, str.join, Holder])
def test_show_source_names_what_it_cannot_show(wrong: object, as_installed) -> None:
    with pytest.raises(TypeError, match=f"`function` must be .* got {type(wrong).__name__}"):
        show_source(wrong)
