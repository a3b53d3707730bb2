"""Write the executed notebooks of the book, book/NN_topic.ipynb, from their text, book/NN_topic.md.

    python -m tools.notebooks                 execute and write every chapter
    python -m tools.notebooks book/08_lenet.md
    python -m tools.notebooks --check         write nothing; say which notebooks are out of date

A text leaves out what follows from its place in the book: the setup cell, the number in its title,
and the file and number of other chapters, which it links by name. Two runs on one machine give the
same bytes: cell ids follow the order of the cells, and times, versions, widget state and the files
of a traceback are left out. A chapter that fails leaves its notebook as it was.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from tools.repository import read_config, setup_cell
from tools.seal import seal

ROOT = Path(__file__).resolve().parent.parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
WIDGET = "application/vnd.jupyter.widget-view+json"
CELL_TIMEOUT = 600  # seconds; a whole chapter should take less than 90


def chapters() -> list[Path]:
    """List the texts of the chapters, in order, and of the appendices, which have letters."""
    return sorted([*(ROOT / "book").glob("[0-9]*.md"), *(ROOT / "book").glob("[A-Z]_*.md")])


def read_text(path: Path, folder: Path | None = None) -> NotebookNode:
    """Read a text as a notebook without outputs, the setup cell behind its first cell.

    Links are those of a notebook in ``folder``, by default the text's own.
    """
    notebook = jupytext.read(path, fmt="md:myst")
    notebook.metadata = NotebookNode(kernelspec=KERNEL, language_info={"name": "python"})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    setup = nbformat.v4.new_code_cell(setup_cell(read_config(ROOT)))
    setup.metadata["tags"] = ["remove-input"]  # on the page the first code is the subject
    notebook.cells.insert(1, setup)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = linked(cell.source, folder or path.parent)
    number_cells(notebook)
    return notebook


def number_cells(notebook: NotebookNode) -> None:
    """Give every cell an id that follows its place, so that two runs give the same."""
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"


def linked(text: str, folder: Path) -> str:
    """Link chapters that a text names.

    ``[chapter](pooling)`` becomes ``[chapter 6](06_pooling.ipynb)``, or ``chapter 6`` while that is
    not written; any other words stay. ``[words](exercises/pooling)`` leads to the exercises.
    """
    paths = [*(ROOT / "exercises").glob("[0-9]*.md"), *chapters()]
    stems = {path.stem.partition("_")[2]: path.stem for path in paths}

    def link(match: re.Match[str]) -> str:
        words, place, stem = match[1], match[2] or "", stems[match[3]]
        if words in ("chapter", "Chapter"):
            words += f" {number_of(stem)}"
        target = ROOT / "book" / place / f"{stem}.ipynb"
        written = (ROOT / (place or "book") / f"{stem}.md") in paths
        return f"[{words}]({os.path.relpath(target, folder)})" if written else words

    return re.sub(rf"\[([^]]*)\]\((exercises/)?({'|'.join(stems)})\)", link, text)


def number_of(stem: str) -> int | str:
    """Return the number of a chapter, its place in the book, or the letter of an appendix."""
    first = stem.partition("_")[0]
    return int(first) if first.isdigit() else first


def read_chapter(path: Path) -> NotebookNode:
    """Read a chapter's text as a notebook, with its number in the title."""
    notebook = read_text(path)
    title = notebook.cells[0]
    title.source = title.source.replace("# ", f"# {number_of(path.stem)}. ", 1)
    return notebook


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Run every cell in order in a fresh kernel, in place, keeping only what does not change."""
    metadata = dict(notebook.metadata)
    NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        record_timing=False,
        coalesce_streams=True,  # else a busy machine cuts printed text into more pieces
        resources={"metadata": {"path": folder}},
    ).execute(env={**os.environ, "PYTHONHASHSEED": "0"})
    notebook.metadata = NotebookNode(metadata)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.pop("transient", None)
            output.get("data", {}).pop(WIDGET, None)  # it names a kernel that is no more
            if output.output_type == "error":
                output.traceback = [part for part in output.traceback if not is_file_frame(part)]


def is_file_frame(part: str) -> bool:
    """Tell a frame outside the notebook: its path, on this machine, says nothing to a reader."""
    return re.sub(r"\x1b\[[0-9;]*m", "", part).startswith("File ")


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook in one step, so that a reader never sees half of it."""
    partial = path.with_suffix(".ipynb.partial")
    nbformat.write(notebook, partial)
    partial.replace(path)


def same_inputs(text: NotebookNode, notebook: NotebookNode) -> bool:
    """Tell whether a notebook holds exactly the cells of its text: kinds, sources and metadata."""

    def inputs(cells: list[NotebookNode]) -> list[tuple[str, str, str]]:
        return [(c.cell_type, c.source, json.dumps(c.metadata, sort_keys=True)) for c in cells]

    return inputs(text.cells) == inputs(notebook.cells)


def build(path: Path) -> None:
    """Execute one chapter and write its notebook."""
    notebook = read_chapter(path)
    execute(notebook, path.parent)
    seal(notebook)
    write(notebook, path.with_suffix(".ipynb"))


def is_current(path: Path) -> bool:
    """Tell whether the notebook beside a text has the text's cells."""
    target = path.with_suffix(".ipynb")
    return target.exists() and same_inputs(read_chapter(path), nbformat.read(target, as_version=4))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.notebooks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("texts", nargs="*", type=Path, help="chapters (default: all in book/)")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if out of date")
    options = parser.parse_args(arguments)
    texts = options.texts or chapters()
    if missing := [path for path in texts if path.suffix != ".md" or not path.is_file()]:
        parser.error(f"not a chapter's .md file: {', '.join(map(str, missing))}")
    if options.check:
        return report([path for path in texts if not is_current(path)])
    return max((build_and_report(path) for path in texts), default=0)


def report(stale: list[Path]) -> int:
    """Name the notebooks that no longer match their text."""
    for path in stale:
        print(f"{path.with_suffix('.ipynb')} does not match {path.name}: run `make notebooks`")
    return 1 if stale else 0


def build_and_report(path: Path) -> int:
    """Build one chapter, printing what happens; return 0, or 1 when a cell fails."""
    print(f"{path} ...", end=" ", flush=True)
    start = time.perf_counter()
    try:
        build(path)
    except CellExecutionError as error:
        print(f"failed; the notebook is left as it was\n{error}", file=sys.stderr)
        return 1
    print(f"{time.perf_counter() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
