"""Questions with a key, four a chapter: one text, questions/NN_topic.yml, read for every use.

A question is multiple choice or asks for a number. Each wrong option has the name of what a learner
believes who takes it, one or two sentences that answer it, and the section of the chapter whose
experiment shows it.

    - id: size-before-the-layer
      ask: A layer has a kernel of 3 and a stride of 2. 10 numbers come out. How many went in?
      see: the-floor                       # the anchor of a section; an option may have its own
      options:                             # in the order in which they are shown
        - right: 21 or 22
          why: ...
        - wrong: "20"
          name: a stride of 2 halves exactly
          why: ...

A question for a number has ``number``, ``why`` and, unless the number is exact, ``tolerance`` in
the place of ``options``; below ``wrong`` stand numbers that a misconception leads to.

``tools.pages.questions`` makes the page of the book, ``python -m tools.questions`` the rest.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from docutils.nodes import make_id
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from tools.repository import read_config

ROOT = Path(__file__).resolve().parents[2]
LETTERS = "abcd"
FENCE = re.compile(r"(?ms)^(`{3,}).*?^\1$")
SECTION = re.compile(r"(?m)^## (.+)$")
# Moodle and Canvas set what stands between \( and \) as a formula.
MARKDOWN = MarkdownIt().use(dollarmath_plugin, renderer=lambda tex, _: rf"\({tex}\)")


@dataclass(frozen=True)
class Option:
    """What a learner may answer: the letter or the number, its text, and what to say to it."""

    key: str
    text: str
    why: str
    see: str
    name: str = ""  # of the misconception; empty for what is right
    tolerance: float = 0.0

    @property
    def right(self) -> bool:
        """Tell whether this is the answer."""
        return not self.name


@dataclass(frozen=True)
class Question:
    """A question of a chapter. That for a number has its key as the first option."""

    id: str
    place: int
    ask: str
    options: tuple[Option, ...]
    numeric: bool

    @property
    def key(self) -> Option:
        """Return the right option."""
        return next(option for option in self.options if option.right)


@dataclass(frozen=True)
class Chapter:
    """The questions of a chapter, its title and its sections: anchor -> heading."""

    stem: str
    title: str
    sections: Mapping[str, str]
    questions: tuple[Question, ...]

    def label(self, question: Question) -> str:
        """Return the name of a question that a reader sees."""
        return f"{self.title}, question {question.place}"


def sources() -> list[Path]:
    """List the texts of the questions, in order; those of a chapter to come are left out."""
    written = {path.stem for path in (ROOT / "book").glob("[0-9]*.md")}
    return [one for one in sorted((ROOT / "questions").glob("[0-9]*.yml")) if one.stem in written]


def chapters(stems: Iterable[str] = ()) -> list[Chapter]:
    """Read the questions of these chapters, or of all."""
    wanted = set(stems) or {path.stem for path in sources()}
    return [read(path) for path in sources() if path.stem in wanted]


def read(path: Path) -> Chapter:
    """Read the questions of one chapter; ValueError names what is missing in one of them."""
    text = FENCE.sub("", (ROOT / "book" / f"{path.stem}.md").read_text("utf-8"))
    title = re.search(r"(?m)^# (.+)$", text)[1]
    sections = {make_id(heading): heading for heading in SECTION.findall(text)}
    entries = yaml.safe_load(path.read_text("utf-8"))
    questions = tuple(question(place, entry) for place, entry in enumerate(entries, 1))
    return Chapter(path.stem, title, sections, questions)


def question(place: int, entry: dict) -> Question:
    """Make a question of what its text says."""
    try:
        options = numbers(entry) if "number" in entry else choices(entry)
        return Question(entry["id"], place, entry["ask"], tuple(options), "number" in entry)
    except KeyError as missing:
        raise ValueError(f"question {entry.get('id', entry)}: {missing} is missing") from None


def choices(entry: dict) -> list[Option]:
    """Return the options of a choice, with letters."""
    return [
        option(entry, one, letter, one.get("right", one.get("wrong")))
        for letter, one in zip(LETTERS, entry["options"], strict=True)
    ]


def numbers(entry: dict) -> list[Option]:
    """Return the key of a question for a number, and the wrong numbers that have a name."""
    right = {"right": entry["number"]} | entry
    return [
        option(entry, one, str(one["number"]), one["number"]) for one in [right, *entry["wrong"]]
    ]


def option(entry: dict, one: dict, key: str, text: object) -> Option:
    """Make an option, right or wrong; what is wrong must have a name."""
    name = "" if "right" in one else one["name"]
    see, tolerance = one.get("see", entry["see"]), float(one.get("tolerance", 0))
    return Option(key, str(text).strip(), one["why"].strip(), see, name, tolerance)


def to_html(markdown: str) -> str:
    """Write a text as a learning platform shows it."""
    return MARKDOWN.render(markdown).strip()


def feedback(chapter: Chapter, option: Option) -> str:
    """Write what a platform says to an answer, with the link to the section that shows it."""
    name = f" The mistake has a name: <em>{option.name}</em>." if option.name else ""
    see = f'Read <a href="{address(chapter, option)}">{heading(chapter, option)}</a>.'
    return f"{to_html(option.why)}\n<p>{see}{name}</p>"


def heading(chapter: Chapter, option: Option) -> str:
    """Return chapter and section that an option sends to."""
    return f"{chapter.title}: {chapter.sections[option.see]}"


def address(chapter: Chapter, option: Option) -> str:
    """Return the address of this section on the published site."""
    return f"{site()}/book/{chapter.stem}.html#{option.see}"


@functools.cache
def site() -> str:
    """Return the address of the published site."""
    course = read_config(ROOT)
    return f"https://{course.owner}.github.io/{course.name}"
