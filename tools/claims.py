"""Write book/claims.md: what each number in the text of a chapter rests on.

    python -m tools.claims            run every chapter, and write the page
    python -m tools.claims --check    write nothing; say whether the page lacks a claim

The chapters are run, so the page holds the values of this machine, and how long each chapter took.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

from cnncourse.claims import Claim
from experiments.environment import environment
from tools.notebooks import ROOT, chapters, execute, number_of

PAGE = ROOT / "book" / "claims.md"
ASK = "import json\nfrom cnncourse.claims import made\nprint(json.dumps(made()))"
START = """---
nosearch: true
---

# What the numbers rest on

A number in the text of a chapter is a promise. Behind each one stands a hidden cell, which
computes it again whenever the notebooks are tested, and fails when the text and the value part.
Here is every such number: the words of the text, and the value that the cell computed. Where
nothing else is said, the text rounds this value; *within* gives a larger distance that is accepted,
for results that differ from machine to machine. Numbers from other works name their source.

This page is written by `make claims`, which runs all chapters. It did so on this machine:
{machine}.

{summary}
"""
SOURCES = "## Sources\n\n:::{bibliography}\n:filter: docname in docnames\n:::\n"


class Place(NamedTuple):
    """Where a claim stands: the heading above it, and its words."""

    section: str
    phrase: str


def claim_calls(source: str) -> list[tuple[str, str, dict[str, str]]]:
    """Return (function, phrase, source if it is named) of each call of says and cites."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        (
            call.func.id,
            ast.literal_eval(call.args[0]),
            {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg == "source"},
        )
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in ("says", "cites")
    ]


def places(notebook: NotebookNode) -> list[Place]:
    """List the claims of a chapter, each once in a section, in the order of the text."""
    section, found = "", []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"(?m)^## (.*)$", cell.source)
            section = headings[-1] if headings else section
        else:
            code = TransformerManager().transform_cell(cell.source)
            found += [Place(section, phrase) for _, phrase, _ in claim_calls(code)]
    return list(dict.fromkeys(found))


def run(notebook: NotebookNode, folder: Path) -> tuple[list[Claim], float]:
    """Run a chapter; return the claims that it made, and how many seconds it took."""
    notebook.cells.append(nbformat.v4.new_code_cell(ASK))
    start = time.perf_counter()
    execute(notebook, folder)
    told = json.loads(notebook.cells.pop().outputs[0].text)
    return [Claim(*claim) for claim in told], time.perf_counter() - start


def rows(notebook: NotebookNode, made: Sequence[Claim]) -> Iterator[str]:
    """Write a row for each claim."""
    yield "| section | the text says | it rests on |"
    yield "| --- | --- | --- |"
    by_phrase = {claim.phrase: claim for claim in made}
    section = ""
    for place in places(notebook):
        claim = by_phrase[place.phrase]
        shown = "" if place.section == section else place.section
        section = place.section
        yield f"| {shown} | {escaped(claim.phrase)} | {basis(claim)} |"


def basis(claim: Claim) -> str:
    """Say what a claim rests on."""
    if claim.source:
        return f"{{cite:p}}`{claim.source}`"
    values = ", ".join(
        f"{value:,.6g}" if value < 1e6 else f"{value:,.0f}" for value in claim.values
    )
    return values + (f", within {claim.within:g}" if claim.within is not None else "")


def escaped(phrase: str) -> str:
    """Keep a phrase in its cell of the table, a displayed formula too."""
    return " ".join(phrase.split()).replace("$$", "$").replace("|", r"\|")


def words_of(notebook: NotebookNode) -> int:
    """Count the words of the text, without formulas and directives."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return len(
        re.findall(r"[A-Za-z][\w'’-]*", re.sub(r"(?s)\$\$.*?\$\$|^:::.*$|\]\([^)]*\)", " ", text))
    )


def shown_cells(notebook: NotebookNode) -> int:
    """Count the cells of code that a page shows."""
    hidden = {"remove-cell", "remove-input"}
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return sum(not hidden & set(cell.metadata.get("tags", ())) for cell in code)


def title_of(notebook: NotebookNode) -> str:
    """Return the chapter's title without its number."""
    return re.sub(r"^# ((\d+|[A-Z])\. )?", "", notebook.cells[0].source.splitlines()[0])


def page() -> str:
    """Run the chapters and write the page."""
    summary = [
        "| chapter | words | cells shown | claims | seconds |",
        "| --: | --: | --: | --: | --: |",
    ]
    parts = []
    for path in (text.with_suffix(".ipynb") for text in chapters()):
        print(f"{path.stem} ...", end=" ", flush=True)
        notebook = nbformat.read(path, as_version=4)
        made, seconds = run(notebook, path.parent)
        print(f"{seconds:.0f} s, {len(places(notebook))} claims")
        name = f"[{number_of(path.stem)}]({path.stem}.ipynb)"
        counts = words_of(notebook), shown_cells(notebook), len(places(notebook))
        summary.append(f"| {name} | {counts[0]:,} | {counts[1]} | {counts[2]} | {seconds:.0f} |")
        parts.append("\n".join([f"\n## {title_of(notebook)}\n", *rows(notebook, made)]))
    machine = "{cpu}, {cores} cores, {platform}, Python {python}, torch {torch}, numpy {numpy}"
    start = START.format(machine=machine.format(**environment()), summary="\n".join(summary))
    return "\n".join([start, *parts, "", SOURCES])


def lacking() -> list[str]:
    """List the claims that the page lacks, and those that no chapter makes."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    written = re.findall(r"(?m)^\| (?!section|---)[^|]*\| ((?:\\\||[^|])*?) \| [^|]*\|$", text)
    notebooks = [nbformat.read(path.with_suffix(".ipynb"), as_version=4) for path in chapters()]
    wanted = [escaped(place.phrase) for notebook in notebooks for place in places(notebook)]
    return sorted(set(wanted) ^ set(written))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.claims",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if out of date")
    if not parser.parse_args(arguments).check:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    for phrase in (different := lacking()):
        print(f"{PAGE.relative_to(ROOT)} and the chapters differ in: {phrase}: run `make claims`")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
