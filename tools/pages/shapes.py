"""The directive ``shapes``: what functions of the package take and give, by their annotations.

    :::{shapes}
    channels
    pooling
    :::

A line names a module of ``cnncourse``. Its public functions that take a tensor make the rows.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

PACKAGE = Path(__file__).resolve().parents[2] / "cnncourse"
HEADS = ("function", "takes", "gives")
WIDTHS = (30, 40, 30)


@dataclass(frozen=True)
class Signature:
    """A function: its name, the shapes of its tensors by name, and what it returns."""

    name: str
    takes: dict[str, str]
    gives: tuple[str, ...]


def files_of(module: str) -> list[Path]:
    """List the files of a module, which may be a folder."""
    inside = sorted((PACKAGE / module).glob("[!_]*.py"))
    return inside or [PACKAGE / f"{module}.py"]


def signatures(path: Path) -> Iterator[Signature]:
    """Read the public functions of a file that take a tensor."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    aliases = {
        node.targets[0].id: node.value
        for node in body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            arguments = [*node.args.args, *node.args.kwonlyargs]
            found = {a.arg: shapes(a.annotation, aliases) for a in arguments if a.annotation}
            takes = {name: listed[0] for name, listed in found.items() if listed}
            if takes and node.returns:
                gives = shapes(node.returns, aliases) or (ast.unparse(node.returns),)
                yield Signature(node.name, takes, gives)


def shapes(annotation: ast.expr, aliases: dict[str, ast.expr]) -> tuple[str, ...]:
    """List the shapes that an annotation names, in its order: ``Float[Tensor, "h w"]`` has one."""
    match annotation:
        case ast.Name(id=name) if name in aliases:
            return shapes(aliases[name], aliases)
        case ast.Subscript(slice=ast.Tuple(elts=[ast.Name(id="Tensor"), ast.Constant(value=text)])):
            return (text.strip(),)
        case _:
            inside = ast.iter_child_nodes(annotation)
            return tuple(shape for node in inside for shape in shapes(node, aliases))


class Shapes(SphinxDirective):
    """One table for all modules."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the table; Sphinx makes it anew when an annotation changes."""
        self.assert_has_content()
        body = nodes.tbody()
        for module in self.content:
            body += row([nodes.literal("", f"cnncourse.{module}")], wide=True)
            for path in files_of(module):
                self.env.note_dependency(str(path))
                body += [self.row_of(signature) for signature in signatures(path)]
        head = nodes.thead("", row(*([nodes.Text(text)] for text in HEADS)))
        columns = [nodes.colspec(colwidth=width) for width in WIDTHS]
        group = nodes.tgroup("", *columns, head, body, cols=len(HEADS))
        return [nodes.table("", group, classes=["shapes"])]

    def row_of(self, signature: Signature) -> nodes.row:
        """Write a function as a row."""
        takes = [part for name, shape in signature.takes.items() for part in named(name, shape)]
        gives = [part for shape in signature.gives for part in separated(nodes.literal("", shape))]
        return row([nodes.literal("", signature.name)], takes[:-1], gives[:-1])


def named(name: str, shape: str) -> list[nodes.Node]:
    """Write the name of an argument and its shape."""
    return [nodes.Text(f"{name}: "), *separated(nodes.literal("", shape))]


def separated(node: nodes.Node) -> list[nodes.Node]:
    """Put a comma behind a shape."""
    return [node, nodes.Text(", ")]


def row(*cells: list[nodes.Node], wide: bool = False) -> nodes.row:
    """Write a row of a table; a wide one has a single cell over all columns."""
    span = {"morecols": len(HEADS) - 1} if wide else {}
    entries = [nodes.entry("", nodes.paragraph("", "", *cell), **span) for cell in cells]
    return nodes.row("", *entries)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("shapes", Shapes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
