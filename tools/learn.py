"""Write the learner's notebooks, learn/NN_topic.ipynb, from the tested ones, book/NN_topic.ipynb.

    python -m tools.learn                     write every chapter's
    python -m tools.learn book/08_lenet.ipynb
    python -m tools.learn --check             write nothing; say which are out of date

A chapter's tested notebook holds what its page shows and the cells that check the text. A learner
opens another one, in JupyterLab or Colab, which know nothing of MyST: no checks, no output where
the text asks for a guess, answers folded away, plain links in the place of citations, captions
under the figures. Nothing is executed here, so two runs give the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.markdown import citations, plain
from tools.notebooks import ROOT, chapters, write

FOLDER = ROOT / "learn"
FAILS = "raises-exception"  # a mistake made on purpose: "Run all" goes on behind it
HIDDEN = {"remove-cell"}  # tags of what a page does not show: the checks


def learners_version(notebook: NotebookNode, page: str) -> NotebookNode:
    """Make the notebook that a learner opens of the one that is tested.

    Parameters
    ----------
    notebook : NotebookNode
        The chapter, executed.
    page : str
        Its page in the site, such as "book/08_lenet".
    """
    shown = [cell for cell in notebook.cells if not HIDDEN & set(cell.metadata.get("tags", ()))]
    texts = [cell.source for cell in shown if cell.cell_type == "markdown"]
    cited = citations("\n".join(texts))
    cells, asked = [], False
    for cell in shown:
        if cell.cell_type == "markdown":
            asked = "{predict}" in cell.source
            cells.append(nbformat.v4.new_markdown_cell(plain(cell.source, page, cited)))
        else:
            cells += code(cell, page, asked)
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    metadata = {key: value for key, value in notebook.metadata.items() if key != "cnncourse"}
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def code(cell: NotebookNode, page: str, asked: bool) -> list[NotebookNode]:
    """Copy a code cell, with a word on the wait before it and its caption behind it.

    Where the text has just asked for a guess, what came out is left away.
    """
    copy = nbformat.v4.new_code_cell(cell.source, outputs=[] if asked else cell.outputs)
    if FAILS in cell.metadata.get("tags", ()):
        copy.metadata.tags = [FAILS]
    before = [nbformat.v4.new_markdown_cell(wait(cell))] if "time" in cell.metadata else []
    if "instead" in cell.metadata:
        copy.metadata["instead"] = cell.metadata.instead  # for the test that runs it
    caption = cell.metadata.get("mystnb", {}).get("figure", {}).get("caption")
    after = [nbformat.v4.new_markdown_cell(f"*{plain(caption, page)}*")] if caption else []
    return [*before, copy, *after]


def wait(cell: NotebookNode) -> str:
    """Say how long a cell takes, and what to run in its place to go on at once."""
    if "instead" not in cell.metadata:
        return f"*The next cell takes {cell.metadata.time}. Nothing below needs it.*"
    return (
        f"*The next cell takes {cell.metadata.time}. To go on at once, run this in its place:*\n\n"
        f"```python\n{cell.metadata.instead}\n```"
    )


def tested() -> list[Path]:
    """List the chapters' tested notebooks, in order."""
    return [path.with_suffix(".ipynb") for path in chapters()]


def version_of(path: Path) -> NotebookNode:
    """Read a tested notebook and make the learner's."""
    page = path.resolve().relative_to(ROOT).with_suffix("").as_posix()
    return learners_version(nbformat.read(path, as_version=4), page)


def is_current(path: Path) -> bool:
    """Tell whether the learner's notebook is what the tested one gives."""
    target = FOLDER / path.name
    wanted = nbformat.writes(version_of(path))
    return target.exists() and target.read_text("utf-8").rstrip("\n") == wanted.rstrip("\n")


def build(path: Path) -> Path:
    """Write the learner's notebook of one chapter, and say where it is."""
    FOLDER.mkdir(exist_ok=True)
    write(version_of(path), target := FOLDER / path.name)
    return target.relative_to(ROOT)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.learn",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: every chapter")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if out of date")
    options = parser.parse_args(arguments)
    paths = options.notebooks or tested()
    if missing := [path for path in paths if path.suffix != ".ipynb" or not path.is_file()]:
        parser.error(f"not a chapter's notebook: {', '.join(map(str, missing))}")
    if not options.check:
        print("\n".join(str(build(path)) for path in paths))
        return 0
    stale = [path.name for path in paths if not is_current(path)]
    for name in stale:
        print(f"learn/{name} does not match book/{name}: run `make notebooks`")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
