"""Explorers: where a notebook shows one, the page has its state, its script and its files.

The output of such a cell holds a still picture and, in its metadata, the state. The picture stays
on the page for paper and for readers without scripts; ``explore.js`` puts the live figure above its
caption. Scripts and files are written as calls of a function, with their text: so they can be read
from a disk too, where browsers refuse to fetch and to import.

On a page that is no notebook, a directive shows the first look of an explorer, under its caption:

    :::{explorer} lenet
    :alt: A picture of a digit, and the maps that it leaves in each layer.

    What each layer makes of a picture.
    :::
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import nbformat
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from cnncourse import explore
from cnncourse.explore.explorer import Explorer
from cnncourse.explore.modules import joined, rules

PACKAGE = files("cnncourse")
FOLDER = "explorers"


def find_explorers(path: Path) -> dict[int, dict[str, Any]]:
    """Return what each cell of a notebook says of its explorer, by the cell's place."""
    cells = nbformat.read(path, as_version=4).cells if path.suffix == ".ipynb" else []
    return {
        place: output.metadata["explorer"]
        for place, cell in enumerate(cells)
        for output in cell.get("outputs", [])
        if "explorer" in output.get("metadata", {})
    }


def add_explorers(app: Sphinx, document: nodes.document) -> None:
    """Put state and place before the still picture of each explorer."""
    found = find_explorers(Path(app.env.doc2path(app.env.docname)))
    met = Counter()
    for cell in list(document.findall(is_cell)) if found else ():
        if facts := found.get(cell["cell_index"]):
            met[facts["script"]] += 1
            add_explorer(cell, facts, met[facts["script"]])
    shown_on(app.env).extend(found.values())


def shown_on(env: BuildEnvironment) -> list[dict[str, Any]]:
    """Return the list of what the page that is read says of its explorers."""
    return env.metadata[env.docname].setdefault("explorers", [])


class ShowExplorer(SphinxDirective):
    """An explorer on a page that is no notebook."""

    required_arguments = 1
    option_spec: ClassVar = {"alt": directives.unchanged_required}
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the place of the explorer, with its still picture and its caption."""
        name = self.arguments[0]
        explorer = getattr(explore, name)()
        facts = explorer.page()
        shown_on(self.env).append(facts)
        image = nodes.image("", uri=self.draw(explorer), alt=self.options["alt"])
        caption = nodes.caption("", "", *self.parse_inline(" ".join(self.content))[0])
        box = nodes.container("", ids=[f"explore-{name}"], classes=["explorer"])
        box += [nodes.raw("", markup(facts), format="html"), nodes.figure("", image, caption)]
        return [box]

    def draw(self, explorer: Explorer) -> str:
        """Draw the still picture, and return its place as seen from the sources."""
        picture, _ = explorer.still()._repr_png_()
        file = Path(self.env.doctreedir, FOLDER, f"{explorer.script}.png")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture)
        return "/" + os.path.relpath(file, self.env.srcdir)


def is_cell(node: nodes.Node) -> bool:
    """Tell whether a node is a cell with code."""
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def add_explorer(cell: nodes.container, facts: dict[str, Any], place: int) -> None:
    """Mark the output of a cell; the second of a kind on a page is ``explore-kernel-2``."""
    output = next(part for part in cell.children if part.get("nb_element") == "cell_code_output")
    output["classes"] += ["explorer"]
    output["ids"].append(f"explore-{facts['script']}" + f"-{place}" * (place > 1))
    output.insert(0, nodes.raw("", markup(facts), format="html"))


def markup(facts: dict[str, Any]) -> str:
    """Write the state of an explorer, and the place where its script draws."""
    state = json.dumps(facts, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json">{state}</script><div class="explorer-live"></div>'


def add_files(app: Sphinx, page: str, *context: object) -> None:
    """Load what mounts explorers where there are some, and nowhere else."""
    shown = app.env.metadata.get(page, {}).get("explorers")
    if shown and app.builder.name == "html":
        for name in ["explore", *sorted({facts["script"] for facts in shown})]:
            if rules(name):
                app.add_css_file(f"{FOLDER}/{name}.css")
        app.add_js_file("explore.js", loading_method="defer")


def write_files(folder: Path, shown: list[dict[str, Any]]) -> None:
    """Write the scripts and files that explorers ask for."""
    for script in {facts["script"] for facts in shown}:
        write_call(folder, script, joined(script))
    for path in {path for facts in shown for path in every_file(facts)}:
        write_call(folder, path, base64.b64encode(PACKAGE.joinpath(path).read_bytes()).decode())
    for name in {"explore", *(facts["script"] for facts in shown)}:
        (folder / f"{name}.css").write_text(rules(name), encoding="utf-8")


def every_file(facts: dict[str, Any]) -> Iterator[str]:
    """Yield the files that an explorer may ask for: a name in braces stands for any of its words.

    Examples
    --------
    >>> facts = {"files": {"x": "{net}.bin"}, "state": {"limits": {"net": ["a", "b"]}}}
    >>> list(every_file(facts))
    ['a.bin', 'b.bin']
    """
    for path in facts["files"].values():
        words = re.findall(r"\{(\w+)\}", path)
        for chosen in itertools.product(*(facts["state"]["limits"][word] for word in words)):
            yield path.format(**dict(zip(words, chosen, strict=True)))


def write_call(folder: Path, name: str, text: str) -> None:
    """Write a text as a script that hands it over."""
    target = folder / f"{name}.js"
    target.parent.mkdir(parents=True, exist_ok=True)
    call = f"explorer({json.dumps(name)}, {json.dumps(text, ensure_ascii=False)});\n"
    target.write_text(call, encoding="utf-8")


def end(app: Sphinx, exception: Exception | None) -> None:
    """Write the files when the pages stand."""
    if exception or app.builder.name != "html":  # an ePub has the still pictures
        return
    shown = [facts for about in app.env.metadata.values() for facts in about.get("explorers", [])]
    if shown:
        write_files(Path(app.outdir, "_static", FOLDER), shown)


def setup(app: Sphinx) -> dict[str, bool]:
    """Mark explorers as pages are read, and write their files at the end."""
    app.add_directive("explorer", ShowExplorer)
    app.connect("doctree-read", add_explorers)
    app.connect("html-page-context", add_files)
    app.connect("build-finished", end, priority=400)  # before styles are cut
    return {"parallel_read_safe": True, "parallel_write_safe": True}
