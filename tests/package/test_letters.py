"""One alphabet: the shapes in the package's annotations use the letters of the notation page."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "book/notation.md").read_text(encoding="utf-8")
MODULES = sorted((ROOT / "cnncourse").rglob("*.py"))
ARRAYS = {"Bool", "Float", "Float64", "Int64", "Integer", "Num", "Real", "Shaped", "UInt8"}


def table_of(text: str, head: str) -> list[list[str]]:
    """Return the cells of a Markdown table, without its head."""
    lines = text[text.index(f"| {head} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


LETTERS = {letter for row in table_of(PAGE, "axis") for letter in re.findall(r"`(\w+)`", row[1])}
WORDS = {word for row in table_of(PAGE, "word") for word in re.findall(r"`\*?(\w+)`", row[0])}


def axes_of(code: str) -> Iterator[tuple[str, str]]:
    """Yield the shapes in a module's annotations, and each name in them."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Subscript) and getattr(node.value, "id", None) in ARRAYS:
            shape = node.slice.elts[1].value
            yield from ((shape, name) for name in re.findall(r"[A-Za-z_]\w*", shape))


def unknown_letters(code: str) -> list[str]:
    """Name what the shapes of a module's annotations hold beside the letters of the page."""
    known = "|".join(sorted(LETTERS, key=len, reverse=True))  # out_h before o
    # An underscore before a name keeps jaxtyping from comparing it; one alone is any size.
    product = re.compile(rf"_?({known})(_({known}))*|_")
    return [
        f"{shape!r}: {name}"
        for shape, name in axes_of(code)
        if not product.fullmatch(name) and name not in WORDS
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_shapes_use_the_letters_of_the_page(path):
    assert unknown_letters(path.read_text(encoding="utf-8")) == []


def test_a_foreign_letter_is_seen():
    code = """
def f(x: Float[Tensor, "n c oh w-kw+1"], y: Int64[Tensor, "*lead c_p_kw out_h_out_w 1 _ ..."]): ...
"""
    assert [line.split()[-1] for line in unknown_letters(code)] == ["oh", "c_p_kw"]


def test_every_kind_of_array_is_looked_at():
    """No module imports a type from jaxtyping that the test above does not know."""
    imported = {
        name.name
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "jaxtyping"
        for name in node.names
    }
    assert imported
    assert imported <= ARRAYS


def test_every_letter_of_the_page_is_used():
    """A row that nothing uses would be a letter that the course does not have."""
    used = {name for path in MODULES for _, name in axes_of(path.read_text(encoding="utf-8"))}
    assert sorted(WORDS - used) == []
    assert sorted(LETTERS - used) == ["out_d"]  # corr3d writes it as d-kd+1


def test_contributing_has_the_table_of_the_page():
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert table_of(contributing, "axis") == table_of(PAGE, "axis")
    assert {"n", "c", "o", "out_h", "kw"} <= LETTERS
