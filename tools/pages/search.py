"""The index that the search of the site reads: one entry for each section of each page.

It is a script, not a JSON file, because a browser that opens the site from a folder on disk
(``file://``) runs scripts and refuses to fetch anything. ``book/_static/search.js`` loads it when a
reader first types, and ranks the sections.

Answers (dropdowns), questions with a key and outputs are left out: an answer must not stand among
the results.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

from tools.pages.formulas import letters
from tools.pages.terms import ANCHOR

NO_TEXT = (nodes.title, nodes.math_block, nodes.raw, nodes.Invisible)
NAME = re.compile(r"[^\W\d]\w{2,}")


def entries(docname: str, doctree: nodes.document) -> Iterator[dict[str, str]]:
    """Yield one entry a section: where it is, what it is called, and what it says."""
    page = next(doctree.findall(nodes.title)).astext()
    for section in doctree.findall(is_section):
        top = section.parent is doctree
        own = without_hidden_parts(section)
        blocks = [block for block in own.findall(nodes.TextElement) if is_block(block)]
        code = " ".join(b.astext() for b in blocks if isinstance(b, nodes.literal_block))
        prose = " ".join(b.astext() for b in blocks if not isinstance(b, nodes.literal_block))
        yield {
            "url": f"{docname}.html" + ("" if top else f"#{section['ids'][0]}"),
            "page": "" if top else page,
            "title": section[0].astext(),
            "terms": " ".join(term.astext() for term in own.findall(is_term)),
            "text": re.sub(r" (?=[.,;:)])", "", " ".join(prose.split())),
            "code": " ".join(dict.fromkeys(NAME.findall(code))),
        }


def is_section(node: nodes.Node) -> bool:
    """Tell a section from the body of an exercise, which has no title of its own."""
    return isinstance(node, nodes.section) and isinstance(node[0], nodes.title)


def without_hidden_parts(section: nodes.section) -> nodes.section:
    """Copy a section without subsections, answers and outputs, with formulas as plain letters."""
    own = section.deepcopy()
    for node in list(own.findall(is_hidden)):
        if node is not own:
            node.parent.remove(node)
    for formula in list(own.findall(nodes.math)):
        formula.replace_self(nodes.Text(letters(formula.astext())))
    return own


def is_hidden(node: nodes.Node) -> bool:
    """Tell whether a part of a section is left out of the index."""
    if isinstance(node, NO_TEXT) or is_section(node):
        return True
    return isinstance(node, nodes.Element) and (
        node.get("design_component") == "dropdown"
        or "cell_output" in node["classes"]
        or "question" in node["classes"]
        or node.get("refdomain") == "cite"
    )


def is_term(node: nodes.Node) -> bool:
    """Tell a word that tools/pages/terms.py has put into the index."""
    return isinstance(node, nodes.strong) and any(key.startswith(ANCHOR) for key in node["ids"])


def is_block(node: nodes.TextElement) -> bool:
    """Tell a paragraph, a cell of a table or a block of code from a word inside one."""
    return not isinstance(node.parent, nodes.TextElement)


def replace_sphinx_search(app: Sphinx) -> None:
    """Switch off Sphinx's own index, which knows pages and no sections."""
    app.builder.search = False


def add_search_page(app: Sphinx) -> list[tuple[str, dict, str]]:
    """Name the page that lists the results: its template is in book/_templates."""
    return [("search", {}, "search.html")] if app.builder.name == "html" else []


def write_index(app: Sphinx, exception: Exception | None) -> None:
    """Write the sections of all pages, changed or not, as one script."""
    if exception or app.builder.name != "html":
        return
    pages = [name for name in sorted(app.env.found_docs) if is_searched(app.env.metadata[name])]
    found = [entry for page in pages for entry in entries(page, app.env.get_doctree(page))]
    script = f"window.SECTIONS = {json.dumps(found, ensure_ascii=False)};\n"
    Path(app.outdir, "sections.js").write_text(script, encoding="utf-8")


def is_searched(metadata: Mapping[str, str]) -> bool:
    """Tell a page that has no ``nosearch: true`` at its top, which is Sphinx's own word for it."""
    return "nosearch" not in metadata


def setup(app: Sphinx) -> dict[str, bool]:
    """Put the search of the sections in the place of Sphinx's."""
    app.connect("builder-inited", replace_sphinx_search)
    app.connect("html-collect-pages", add_search_page)
    app.connect("build-finished", write_index)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
