"""The glossary in two languages: ``book/glossary.md``, and the links of the chapters to it.

An entry is a definition list of Markdown: the names of a word, English ones and Korean ones, and a
line in each language.

    kernel, 커널
    : The small grid of weights that is laid on every place of the input.
    : 입력의 모든 자리에 대어 보는 작은 가중치 격자.

In each chapter the first use of a word leads to its entry, and shows the Korean names. An entry
leads to the chapters that have the word in the index.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from tools.pages.figures import chapter_number

PAGE = "book/glossary"
ENTRY = re.compile(r"(?m)^(?!:)(\S.*)\n: (.+)\n: (.+)$")
HANGUL = re.compile(r"[가-힣]")
KOREAN = "language-ko"  # docutils writes it as the attribute lang="ko"
SKIPPED = (nodes.title, nodes.caption, nodes.reference, nodes.literal, nodes.FixedTextElement)
SKIPPED += (nodes.math, nodes.raw, nodes.Invisible)


@dataclass(frozen=True)
class Word:
    """An entry: the names of a word in both languages, and a definition in each."""

    english: tuple[str, ...]
    korean: tuple[str, ...]
    definition: str
    definition_in_korean: str


def anchor(name: str) -> str:
    """Return the name of an entry's place; it begins with a letter, as every such name must."""
    return nodes.make_id(f"word {name}")


def read_glossary(root: Path) -> list[Word]:
    """Read the entries of the page, in its order; none where a book has no glossary."""
    path = root / f"{PAGE}.md"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [
        Word(*split_names(names), first, second) for names, first, second in ENTRY.findall(text)
    ]


def split_names(names: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split "kernel, 커널" by language; a word without a name in Hangul keeps its first name."""
    listed = [name.strip() for name in names.split(",")]
    english = tuple(dict.fromkeys(name for name in listed if not HANGUL.search(name)))
    return english, tuple(n for n in listed if HANGUL.search(n)) or english[:1]


def singular(name: str) -> str:
    """Return the form by which a name is looked up: small letters, no ending of a plural."""
    return re.sub(r"(?<=[^s])s$", "", " ".join(name.lower().split()))


@functools.cache
def pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    """Match any of the names, the longest first, alone or as a plural."""
    longest = sorted(names, key=len, reverse=True)
    spelled = (re.escape(name).replace(r"\ ", r"\s+") for name in longest)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(spelled)})s?(?![\w-])", re.IGNORECASE)


class LinkWords(SphinxTransform):
    """Lead from the first use of each word in a chapter to the glossary."""

    default_priority = 510  # after tools.pages.terms, which reads the words in bold

    def apply(self) -> None:
        """Go through the text of a chapter once."""
        words = read_glossary(Path(self.app.srcdir))
        if not chapter_number(self.env.docname) or not words:
            return
        self.env.note_dependency(f"{PAGE}.md")
        waiting = {singular(name): word for word in words for name in word.english}
        self.names = pattern(tuple(waiting))
        for text in list(self.document.findall(nodes.Text)):
            if not isinstance(text.parent, nodes.strong | nodes.emphasis | nodes.paragraph):
                continue
            if waiting and not any(isinstance(node, SKIPPED) for node in ancestors(text)):
                text.parent.replace(text, list(self.linked(text, waiting)))

    def linked(self, text: nodes.Text, waiting: dict[str, Word]) -> Iterator[nodes.Node]:
        """Cut a text into words that link, each once in a chapter, and what is between them."""
        rest = 0
        for match in self.names.finditer(text):
            word = waiting.get(singular(match[0]))
            if word is None:  # linked before
                continue
            for name in word.english:
                waiting.pop(singular(name), None)
            yield nodes.Text(text[rest : match.start()])
            yield self.link(word, match[0])
            rest = match.end()
        yield nodes.Text(text[rest:])

    def link(self, word: Word, shown: str) -> nodes.reference:
        """Link the word as the chapter writes it; the tooltip has the Korean names."""
        page = self.app.builder.get_relative_uri(self.env.docname, PAGE)
        target = {"refuri": f"{page}#{anchor(word.english[0])}", "reftitle": ", ".join(word.korean)}
        return nodes.reference("", shown, internal=True, classes=["word"], **target)


def ancestors(node: nodes.Node) -> Iterator[nodes.Node]:
    """Yield all nodes that a node lies in."""
    while node.parent is not None:
        node = node.parent
        yield node


class GlossaryEntries(SphinxTransform):
    """Give each entry its anchor, and mark what is Korean."""

    default_priority = 500

    def apply(self) -> None:
        """Look at every entry of the page."""
        if self.env.docname != PAGE:
            return
        self.env.note_reread()  # its links to the chapters follow from the chapters
        for item in self.document.findall(nodes.definition_list_item):
            self.mark(item)

    def mark(self, item: nodes.definition_list_item) -> None:
        """Write the names of an entry in two languages."""
        term, _, korean = item.children
        english, names = split_names(term.astext())
        term["ids"].append(anchor(english[0]))
        term.children = []
        term += nodes.inline("", ", ".join(english))
        term += nodes.Text(" ")
        term += nodes.inline("", ", ".join(names), classes=[KOREAN])
        korean["classes"].append(KOREAN)


def link_chapters(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Lead from each entry to the chapters that have one of its names in the index."""
    if docname != PAGE:
        return
    places = indexed_places(app)
    for item in doctree.findall(nodes.definition_list_item):
        term, definition, _ = item.children
        names = split_names(term.children[0].astext())[0]
        found = dict.fromkeys(place for name in names for place in places.get(singular(name), ()))
        for page, anchor in found:
            target = f"{app.builder.get_relative_uri(PAGE, page)}#{anchor}"
            (place,) = chapter_number(page)
            label = f"Chapter {place}" if isinstance(place, int) else f"Appendix {place}"
            link = nodes.reference("", label, internal=True, refuri=target)
            definition[-1] += [nodes.Text(" "), link]


def indexed_places(app: Sphinx) -> dict[str, list[tuple[str, str]]]:
    """Map each term of the index to the chapters that define it, and to the places there."""
    places: dict[str, list[tuple[str, str]]] = {}
    for page, entries in sorted(app.env.domaindata["index"]["entries"].items()):
        for _, term, anchor, *_ in entries if chapter_number(page) else ():
            places.setdefault(singular(term), []).append((page, anchor))
    return places


def setup(app: Sphinx) -> dict[str, bool]:
    """Register both directions."""
    app.add_transform(LinkWords)
    app.add_transform(GlossaryEntries)
    app.connect("doctree-resolved", link_chapters)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
