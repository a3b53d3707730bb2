"""The directive ``chapters``: the course's list of chapters, with what of each is ready.

    :::{chapters}
    08_lenet | LeNet | Does it work?
    :::

A line names the page, the title and the question that the chapter answers. A chapter without a page
stays on the list, in grey, and says whether its exercises are ready.
"""

from __future__ import annotations

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Chapters(SphinxDirective):
    """The list of chapters."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the list; Sphinx reads the page anew in each build, since pages come and go."""
        self.assert_has_content()
        self.env.note_reread()
        lines = ([part.strip() for part in line.split("|")] for line in self.content)
        return [nodes.bullet_list("", *(self.entry(*line) for line in lines), classes=["chapters"])]

    def entry(self, page: str, title: str, question: str) -> nodes.list_item:
        """Return one chapter: its title, its question, and what is ready."""
        name = f"{int(page[:2])}. {title}"
        written = f"book/{page}" in self.env.found_docs
        heading = self.link(f"book/{page}", name) if written else nodes.inline("", name)
        state = self.state_of(page, written)
        texts = [[heading], [nodes.Text(question)], state]
        paragraphs = [nodes.paragraph("", "", *text) for text in texts if text]
        return nodes.list_item("", *paragraphs, classes=[] if written else ["unwritten"])

    def state_of(self, page: str, written: bool) -> list[nodes.Node]:
        """Say what can be read or done today."""
        start = [] if written else [nodes.Text("Not written yet. ")]
        exercises = f"book/exercises/{page}"
        if exercises not in self.env.found_docs:
            return start
        words = "Exercises" if written else "The exercises are ready."
        return [*start, self.link(exercises, words)]

    def link(self, page: str, words: str) -> addnodes.pending_xref:
        """Return a link to a page of the book."""
        target = {"refdomain": "std", "reftype": "doc", "reftarget": f"/{page}"}
        where = {"refdoc": self.env.docname, "refexplicit": True, "refwarn": True}
        return addnodes.pending_xref("", nodes.inline("", words), **target, **where)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("chapters", Chapters)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
