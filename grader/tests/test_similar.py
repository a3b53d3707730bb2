"""Answers that are equal but for names, and those that only look so."""

from __future__ import annotations

import pytest
from cnncourse_grader.similar import shapes, shapes_apart
from submissions import FLIPPED, RIGHT

from cnncourse.checks.notebook import Notebook

RENAMED = '''\
def corr2d(picture: "Tensor", k) -> object:
    """Mine."""
    a, b = k.shape  # its size

    out = picture.new_zeros(picture.shape[0] - a + 1, (picture.shape[1] - b) + 1)
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            out[r, c] = (picture[r:r + a, c:c + b] * k).sum()
    return out
'''
HELPER = "def corr2d(x, k):\n    def f(a):\n        return a * k\n    return f(x)\n"


def shape(*cells: str) -> str:
    return shapes_apart(cells, ["corr2d"]).get("corr2d", "")


@pytest.mark.parametrize(
    ("other", "is_equal"),
    [
        (RENAMED, True),
        (FLIPPED, False),
        (RIGHT.replace("+ 1", "+ 2"), False),
        (RIGHT.replace("sum", "mean"), False),
        (RIGHT.replace("x[i", "kernel[i"), False),
    ],
    ids=["renamed", "call", "number", "attribute", "other-variable"],
)
def test_names_and_layout_alone_do_not_count(other: str, is_equal: bool) -> None:
    assert (shape(RIGHT) == shape(other)) == is_equal


def test_names_of_inner_functions_do_not_count() -> None:
    assert shape(HELPER) == shape(HELPER.replace("def f", "def times").replace("f(x)", "times(x)"))


def test_the_last_definition_counts_and_broken_cells_do_not() -> None:
    assert shape(FLIPPED, "%matplotlib inline", RIGHT) == shape(RIGHT)
    assert shape("def corr2d(x, kernel)\n    pass") == ""
    assert shape("x = 1") == ""


def test_a_cell_that_is_nested_too_deeply_has_no_fingerprint() -> None:
    deep = Notebook("a.ipynb", (f"def corr2d(x):\n    return {'x' + '.a' * 9000}",))
    assert shapes(deep, ["corr2d"]) == {}
    assert set(shapes(Notebook("a.ipynb", (RIGHT,)), ["corr2d"])) == {"corr2d"}
