"""The glossary: two languages in each entry, and every word that a chapter has in bold."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tools.notebooks import chapters, read_text
from tools.pages.glossary import ENTRY, HANGUL, PAGE, anchor, read_glossary, singular

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / f"{PAGE}.md").read_text("utf-8")
WORDS = read_glossary(ROOT)
BOLD = re.compile(r"\*\*([^*]+?)\*\*")
CODE = re.compile(r"(?s)```.*?```|`[^`\n]*`|\$\$.*?\$\$|\$[^$]*\$")


def bold_terms(texts: list[str]) -> list[str]:
    """List what stands in bold, without the reader's goals, the recap and names of exercises."""
    section, found = "", []
    for part in re.split(r"(?m)^(?=#{1,2} )", "\n\n".join(texts)):
        section = part.splitlines()[0] if part.startswith("#") else section
        if section in ("## Recap", "## Exercises"):
            continue
        prose = re.sub(r"(?m)^- \*\*\w+\*\*", "", CODE.sub("", part))
        found += [" ".join(term.split()) for term in BOLD.findall(prose)]
    return found


def find_missing(texts: list[str], known: set[str]) -> list[str]:
    """List the words in bold that the glossary lacks."""
    return [term for term in bold_terms(texts) if singular(term) not in known]


NAMES = {singular(name) for word in WORDS for name in word.english}


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_every_word_in_bold_is_in_the_glossary(path: Path) -> None:
    cells = read_text(path).cells
    missing = find_missing([c.source for c in cells if c.cell_type == "markdown"], NAMES)
    assert missing == [], f"in bold in {path.name}, and not in {PAGE}.md: {', '.join(missing)}"


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("A **kernel** and\ntwo **new\nwords**.", ["new words"]),
        ("Two **Kernels**.", []),
        ("- **compute** a sum,\n- a **sum** of it", ["sum"]),
        ("## Recap\n\nYou **computed** it.\n\n## Sources\n\n**more**", ["more"]),
        ("`a ** b` and `c ** d`, $e ** f ** g$", []),
    ],
)
def test_missing_words_are_named(text: str, missing: list[str]) -> None:
    assert find_missing([text], {"kernel"}) == missing


def test_every_paragraph_of_the_page_is_an_entry() -> None:
    _, _, entries = TEXT.partition("\n## ")
    rest = re.sub(r"(?m)^## .*$", "", ENTRY.sub("", f"## {entries}")).split()
    assert rest == []
    assert len(WORDS) >= 120


def test_definitions_are_in_their_languages() -> None:
    assert [w.english for w in WORDS if HANGUL.search(w.definition)] == []
    assert [w.english for w in WORDS if not HANGUL.search(w.definition_in_korean)] == []


def test_no_name_stands_twice() -> None:
    names = Counter(singular(name) for word in WORDS for name in word.english)
    anchors = Counter(anchor(word.english[0]) for word in WORDS)
    assert [name for name, times in (names + anchors).items() if times > 1] == []


def test_definitions_are_one_line_that_ends() -> None:
    lines = [line for w in WORDS for line in (w.definition, w.definition_in_korean)]
    assert [line for line in lines if not line.endswith(".")] == []
