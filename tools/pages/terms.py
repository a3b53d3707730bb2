"""The index of terms: a word of ``book/terms.txt`` that stands in bold is defined there.

An author writes ``**im2col**`` where the word is introduced, which reads well everywhere, and adds
a line ``im2col`` to the list. A term of the list that no page has in bold is an error of
``make book``.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

LIST = Path("book", "terms.txt")
ANCHOR = "term-"
logger = logging.getLogger(__name__)


def read_terms(root: Path) -> dict[str, str]:
    """Map each term in small letters to its spelling in the index."""
    lines = (root / LIST).read_text(encoding="utf-8").splitlines()
    return {line.lower(): line for line in lines if line.strip()}


class IndexTerms(SphinxTransform):
    """Give each bold term an anchor and an entry in the index."""

    default_priority = 500

    def apply(self) -> None:
        """Look at every bold word of the page."""
        terms = read_terms(Path(self.app.srcdir))
        self.env.note_dependency(str(LIST))
        for strong in list(self.document.findall(nodes.strong)):
            if term := terms.get(strong.astext().lower()):
                self.enter(strong, term)

    def enter(self, strong: nodes.strong, term: str) -> None:
        """Put the entry before the word that it points to."""
        anchor = ANCHOR + nodes.make_id(term)
        strong["ids"].append(anchor)
        entry = ("single", term, anchor, "main", None)
        strong.parent.insert(strong.parent.index(strong), addnodes.index(entries=[entry]))


def tell_templates(
    app: Sphinx, page: str, template: str, context: dict[str, object], doctree: object
) -> None:
    """Let the sidebar link to the index as soon as it holds something."""
    context["has_terms"] = bool(read_terms(Path(app.srcdir)))


def find_undefined(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of a term in the list that stands in bold on no page."""
    entries = [e for page in env.domaindata["index"]["entries"].values() for e in page]
    defined = {value for _, value, *_ in entries}
    for term in set(read_terms(Path(app.srcdir)).values()) - defined:
        logger.warning("%s lists %r, which no page has in bold", LIST, term, type="terms")


def setup(app: Sphinx) -> dict[str, bool]:
    """Read the list for every page; compare it with the whole book at the end."""
    app.add_transform(IndexTerms)
    app.connect("html-page-context", tell_templates)
    app.connect("env-check-consistency", find_undefined)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
