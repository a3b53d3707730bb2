"""Write a chapter's MyST as Markdown that reads well where no MyST is known: JupyterLab, Colab.

Answers fold away by HTML, a note is a quotation, a citation a link, the sources a list. What this
file does not know it refuses by name, so that no raw MyST slips into a learner's notebook.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from functools import cache

from pybtex.database import BibliographyData, Entry, parse_file
from pybtex.richtext import Text

from tools.notebooks import ROOT
from tools.predictions import choices, split
from tools.repository import read_config

FENCE = re.compile(r"(?P<colons>:{3,})\{(?P<name>[\w:-]+)\} *(?P<title>.*)")
OPTION = re.compile(r":[\w-]+:.*")
ROLE = re.compile(r"\{(?P<name>[a-z]+(:[a-z]+)?)\}`(?P<text>[^`<]*?)\s*(?:<(?P<target>[^>`]+)>)?`")
LABEL = re.compile(r"^\((?P<label>[\w:.-]+)\)=\n+", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<path>(?!\w+:|#)[^)\s]+)\)")
# What is code or a formula stays as it is.
KEPT = re.compile(r"(^```.*?^```$|\$\$.*?\$\$)", re.MULTILINE | re.DOTALL)
QUOTED = {"note", "tip", "warning", "important", "seealso", "predict"}


def plain(text: str, page: str, cited: Sequence[str] = ()) -> str:
    """Rewrite MyST as Markdown and HTML.

    Parameters
    ----------
    text : str
        A text cell.
    page : str
        The chapter's page, such as "book/08_lenet": relative links start there.
    cited : sequence of str
        Keys of the works that the chapter cites, for its list of sources.

    Raises
    ------
    ValueError
        If the text holds a directive or a role that this file does not know.
    """
    parts = KEPT.split("\n".join(_directives(text.splitlines(), cited)))
    parts[::2] = [_inline(part, page) for part in parts[::2]]
    return "".join(parts)


def citations(text: str) -> list[str]:
    """List the keys of the works that a text cites."""
    found = [role["text"] for role in ROLE.finditer(text) if role["name"].startswith("cite")]
    return [key.strip() for keys in found for key in keys.split(",")]


def _directives(lines: Sequence[str], cited: Sequence[str]) -> Iterator[str]:
    """Rewrite colon fences, also those inside of others."""
    rest = iter(lines)
    for line in rest:
        if not (fence := FENCE.fullmatch(line.rstrip())):
            yield line
            continue
        body = []
        for inner in rest:
            if inner.rstrip() == fence["colons"]:
                break
            body.append(inner)
        yield from _directive(fence["name"], fence["title"], _without_options(body), cited)


def _without_options(body: list[str]) -> list[str]:
    """Drop the options at the beginning of a directive."""
    first = next((k for k, line in enumerate(body) if not OPTION.fullmatch(line)), len(body))
    return body[first:]


def _directive(name: str, title: str, body: list[str], cited: Sequence[str]) -> list[str]:
    inner = "\n".join(_directives(body, cited)).strip()
    if name == "bibliography":
        return sources(cited)
    if name == "dropdown":
        return ["<details>", f"<summary>{title or 'More'}</summary>", "", inner, "", "</details>"]
    if name == "predict":
        inner = "\n".join([split(inner)[0], "", *(f"- {one}" for one in choices(inner))]).strip()
    if name == "admonition" or name in QUOTED:
        words = f"**{title or name.capitalize()}.** {inner}"
        return [f"> {line}".rstrip() for line in words.splitlines()]
    raise ValueError(f"tools/markdown.py does not know the directive {{{name}}}")


def _inline(text: str, page: str) -> str:
    """Rewrite labels, roles and links to other pages."""
    text = ROLE.sub(_role, LABEL.sub("", text))
    return LINK.sub(lambda link: f"[{link['text']}]({_address(link['path'], page)})", text)


def _address(path: str, page: str) -> str:
    """Return the address on the published site of a path that starts at a page."""
    target, _, anchor = path.partition("#")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
    name = re.sub(r"\.(md|ipynb)$", "", target)
    return site() + f"{name}.html" + (f"#{anchor}" if anchor else "")


def _role(role: re.Match[str]) -> str:
    name, text = role["name"], role["text"]
    if name in ("cite:p", "cite:t"):
        return _citation(name, text)
    if name in ("index", "term", "dfn"):
        return text
    if name in ("ref", "doc", "numref"):
        return _reference(text, role["target"])
    raise ValueError(f"tools/markdown.py does not know the role {{{name}}}")


def _reference(text: str, label: str | None) -> str:
    """Link to a label: with words of its own, or with the heading that the label stands above."""
    page, heading = labels()[label or text]
    return f"[{text if label else heading}]({site()}{page}.html#{label or text})"


@cache
def site() -> str:
    """Return the address of the published site."""
    repository = read_config(ROOT)
    return f"https://{repository.owner}.github.io/{repository.name}/"


@cache
def labels() -> dict[str, tuple[str, str]]:
    """Return each label of the book with its page and the heading behind it."""
    found = {}
    for path in sorted((ROOT / "book").rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        page = path.relative_to(ROOT).with_suffix("").as_posix()
        for label in LABEL.finditer(text):
            heading = text[label.end() :].partition("\n")[0].lstrip("# ")
            found[label["label"]] = page, heading
    return found


@cache
def bibliography() -> BibliographyData:
    """Read the sources of the book."""
    return parse_file(ROOT / "book/references.bib")


def _citation(role: str, keys: str) -> str:
    """Write "Xiao et al., 2017" as a link to the work; in parentheses for {cite:p}."""
    between = ", " if role == "cite:p" else " "
    works = []
    for key in (key.strip() for key in keys.split(",")):
        entry = bibliography().entries[key]
        words = between.join([_short(entry), entry.fields["year"]])
        works.append(f"[{words}]({url})" if (url := address(entry)) else words)
    return f"({'; '.join(works)})" if role == "cite:p" else ", ".join(works)


def sources(keys: Sequence[str]) -> list[str]:
    """List works as a bibliography does, in the order of their authors, then of their years."""
    entries = [bibliography().entries[key] for key in dict.fromkeys(keys)]
    entries.sort(key=lambda entry: (_short(entry), entry.fields["year"]))
    return [f"- {_long(entry)}" for entry in entries]


def _long(entry: Entry) -> str:
    title = str(Text.from_latex(entry.fields["title"]))
    linked = f"[{title}]({url})" if (url := address(entry)) else title
    return f"{_names(entry, len(entry.persons['author']))} ({entry.fields['year']}). {linked}."


def _short(entry: Entry) -> str:
    many = len(entry.persons["author"]) > 2
    return f"{_names(entry, 1)} et al." if many else _names(entry, 2)


def _names(entry: Entry, count: int) -> str:
    """Write the family names of the first authors: A, B and C."""
    names = [" ".join(p.prelast_names + p.last_names) for p in entry.persons["author"][:count]]
    names = [name.strip("{}") for name in names]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def address(entry: Entry) -> str:
    """Return where a work can be read; empty if its entry does not say."""
    fields = entry.fields
    if "url" in fields:
        return fields["url"]
    if "doi" in fields:
        return f"https://doi.org/{fields['doi']}"
    return f"https://arxiv.org/abs/{fields['eprint']}" if "eprint" in fields else ""
