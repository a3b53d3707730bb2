"""The directive ``questions``: a section for each chapter, and each question a form that answers.

    :::{questions}
    :::

The key stands in a folded list below each form, with the reason for every option and a link to the
section that shows it. The script ``questions.js`` copies from there what belongs to an answer, so
the page is complete without it.
"""

from __future__ import annotations

from collections.abc import Iterator

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tools.questions import Chapter, Option, Question, chapters

PAGE = "book/questions"
CHOICE = '<label class="option"><input type="radio" name="answer" value="{key}" /> <b>{key}</b> '
NUMBER = (
    '<label class="option">Your number <input type="text" name="answer" inputmode="decimal"'
    ' autocomplete="off" size="10" /></label>'
)
CHECK = '<button type="submit" class="sd-btn" hidden="" disabled="">Check</button>'
STATUS = '<div class="said" role="status"></div></form>'


class Questions(SphinxDirective):
    """All questions of the book."""

    def run(self) -> list[nodes.Node]:
        """Return a section for each chapter."""
        self.env.note_reread()  # chapters and questions may have changed, and it is one page
        return [self.section(chapter) for chapter in chapters()]

    def section(self, chapter: Chapter) -> nodes.section:
        """Return the questions of one chapter below its title."""
        title = f"{chapter.title}: questions"
        section = nodes.section("", nodes.title("", title), ids=[nodes.make_id(title)])
        section += [self.box(chapter, question) for question in chapter.questions]
        return section

    def box(self, chapter: Chapter, question: Question) -> nodes.Node:
        """Return the form of a question and its key."""
        box = nodes.container(
            "", is_div=True, classes=["question"], ids=[f"question-{question.id}"]
        )
        role = "group" if question.numeric else "radiogroup"
        ask = nodes.container("", is_div=True, classes=["ask"], ids=[f"ask-{question.id}"])
        ask += nodes.paragraph("", "", nodes.strong("", chapter.label(question)))
        ask += self.parsed(question.ask)
        box += [html("<form>"), ask]
        box += html(f'<div role="{role}" aria-labelledby="ask-{question.id}">')
        box += [html(NUMBER)] if question.numeric else list(self.choices(question))
        box += [html(f"</div>{CHECK}{STATUS}"), html("<details><summary>Answer</summary>")]
        box += [self.key(chapter, question), html("</details>")]
        return box

    def choices(self, question: Question) -> Iterator[nodes.Node]:
        """Give a radio button and a text for each option."""
        for option in question.options:
            (text,) = self.parsed(option.text)
            yield html(CHOICE.format(key=option.key))
            yield nodes.inline("", "", *text.children)
            yield html("</label>")

    def key(self, chapter: Chapter, question: Question) -> nodes.Node:
        """List the options with what is said to each."""
        listed = nodes.container("", is_div=True, classes=["sd-summary-content"])
        for option in question.options:
            said = nodes.container("", is_div=True, classes=["key"])
            said += [html(opened(option)), *self.said(chapter, option), html("</div>")]
            listed += said
        return listed

    def said(self, chapter: Chapter, option: Option) -> list[nodes.Node]:
        """Return the verdict, the reason, and the section to read."""
        verdict = "Right." if option.right else f"No. The mistake has a name: “{option.name}”."
        head = nodes.paragraph("", "", nodes.strong("", f"{option.key}"), nodes.Text(f" {verdict}"))
        target = f"{chapter.stem}.html#{option.see}"
        link = nodes.reference("", chapter.sections[option.see], refuri=target, internal=True)
        return [head, *self.parsed(option.why), nodes.paragraph("", "Read: ", link)]

    def parsed(self, text: str) -> list[nodes.Node]:
        """Read Markdown."""
        holder = nodes.Element()
        self.state.nested_parse(StringList(text.strip().splitlines()), self.content_offset, holder)
        return holder.children


def opened(option: Option) -> str:
    """Open the part of the key that the script looks for."""
    facts = f'data-key="{option.key}" data-tolerance="{option.tolerance:g}"'
    right = ' data-right=""' if option.right else ""
    return f"<div {facts}{right}>"


def html(text: str) -> nodes.raw:
    """Return a piece of the page as it is."""
    return nodes.raw("", text, format="html")


def add_script(app: Sphinx, page: str, *context: object) -> None:
    """Load the scripts where there are questions, and nowhere else."""
    if page == PAGE:
        for name in ("numbers.js", "questions.js"):
            app.add_js_file(name, loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive and the script of its page."""
    app.add_directive("questions", Questions)
    app.connect("html-page-context", add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
