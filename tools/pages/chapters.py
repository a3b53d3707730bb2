"""The directive ``chapters``: the course's list of chapters, with what of each is ready.

    :::{chapters}
    invariance | Invariance | Why should a detector not care where things are?
    locality | Locality | What does looking only nearby buy?
    :::

A line holds a chapter's name, its title and the question that it answers; its place is the number.
A chapter without a page stays on the list, in grey, and says whether its exercises are ready.

The role ``chapter`` names one of the list in a sentence: {chapter}`locality` becomes "chapter 2",
with a link, and "(to come)" in its place as long as there is no page.
"""

from __future__ import annotations

import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective, SphinxRole

LIST = Path("book", "index.md")


def page_link(env: BuildEnvironment, page: str, words: str) -> addnodes.pending_xref:
    """Return a link to a page of the book."""
    target = {"refdomain": "std", "reftype": "doc", "reftarget": f"/{page}"}
    where = {"refdoc": env.docname, "refexplicit": True, "refwarn": True}
    return addnodes.pending_xref("", nodes.inline("", words), **target, **where)


class Chapters(SphinxDirective):
    """The list of chapters."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the list; Sphinx reads the page anew in each build, since pages come and go."""
        self.assert_has_content()
        self.env.note_reread()
        entries = [self.entry(number, line) for number, line in enumerate(self.content, 1)]
        return [nodes.bullet_list("", *entries, classes=["chapters"])]

    def entry(self, number: int, line: str) -> nodes.list_item:
        """Return one chapter: its title, its question, and what is ready."""
        name, title, question = (part.strip() for part in line.split("|"))
        page, title = f"{number:02}_{name}", f"{number}. {title}"
        written = f"book/{page}" in self.env.found_docs
        heading = page_link(self.env, f"book/{page}", title) if written else nodes.inline("", title)
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
        return [*start, page_link(self.env, exercises, words)]


class ChapterRole(SphinxRole):
    """A chapter by its name."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return its number, its place on the list; Sphinx reads the page in each build."""
        self.env.note_reread()
        text = Path(self.env.srcdir, LIST).read_text(encoding="utf-8")
        names = re.findall(r"(?m)^(\w+) \| .+ \| ", text)
        if self.text not in names:
            problem = f"no chapter {self.text!r} in {LIST}, which has {', '.join(names)}"
            return [], [self.inliner.reporter.error(problem, line=self.lineno)]
        number = names.index(self.text) + 1
        page, words = f"book/{number:02}_{self.text}", f"chapter {number}"
        found = page in self.env.found_docs
        if not found:
            return [nodes.Text(f"{words} (to come)")], []
        return [page_link(self.env, page, words)], []


def setup(app: Sphinx) -> dict[str, bool]:
    """Register both."""
    app.add_directive("chapters", Chapters)
    app.add_role("chapter", ChapterRole())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
