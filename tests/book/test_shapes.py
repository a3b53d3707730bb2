"""The table of shapes: read from the annotations, and complete."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

import cnncourse
from tools.pages.shapes import PACKAGE, files_of, signatures

PAGE = (Path(__file__).resolve().parents[2] / "book/notation.md").read_text("utf-8")
LISTED = re.search(r"(?s):::\{shapes\}\n(.*?)\n:::", PAGE)[1].split()
FUNCTIONS = [
    (module, one) for module in LISTED for path in files_of(module) for one in signatures(path)
]
SOURCE = """\
Pair = tuple[Float[Tensor, "h w"], Float[Tensor, " w"]]
def both(x: Float[Tensor, "n h w"], bias: Float[Tensor, " n"] | None, k: int = 3) -> Pair: ...
def count(k: int) -> Int64[Tensor, "h w"]: ...
def size(x: Shaped[Tensor, "*lead w"]) -> float: ...
def _hidden(x: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]: ...
"""


def test_annotations_are_read(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(SOURCE, "utf-8")
    both, size = signatures(path)
    assert (both.name, both.takes, both.gives) == (
        "both",
        {"x": "n h w", "bias": "n"},
        ("h w", "w"),
    )
    assert (size.name, size.takes, size.gives) == ("size", {"x": "*lead w"}, ("float",))


@pytest.mark.parametrize(("module", "signature"), FUNCTIONS, ids=lambda part: str(part)[:40])
def test_each_row_is_a_function_that_can_be_imported(module, signature) -> None:
    function = getattr(import_module(f"{cnncourse.__name__}.{module}"), signature.name)
    assert set(signature.takes) <= set(inspect.signature(function).parameters)


def test_every_module_of_operators_is_listed() -> None:
    # What is not an operator: networks, training, data, drawing, and looking at a network.
    other = {
        "lenet",
        "training",
        "datasets",
        "plots",
        "checks",
        "explore",
        "records",
        "tables",
        "tabular",
    }
    modules = {path.stem for path in PACKAGE.glob("[!_]*.py")} | {
        path.parent.name for path in PACKAGE.glob("*/__init__.py")
    }
    found = {m for m in modules - other for path in files_of(m) if list(signatures(path))}
    assert found == set(LISTED)
