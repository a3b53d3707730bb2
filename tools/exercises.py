"""Write the exercise notebooks from their one source, exercises/NN_topic.md.

    python -m tools.exercises                 write every chapter's two notebooks
    python -m tools.exercises exercises/03_cross_correlation.md
    python -m tools.exercises --check         write nothing; say which are out of date

The learner's notebook, book/exercises/NN_topic.ipynb, is a page of the book: solutions are cut to
stubs, hidden tests and rubrics are cut out. The instructor's, _build/instructors/NN_topic.ipynb,
keeps them, with the markers that nbgrader cuts at: it can be handed to `nbgrader` as it is. Nothing
is executed, so two runs give the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions

from tools.notebooks import ROOT, read_text, write
from tools.repository import read_config, setup_cell

MARKERS = ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN TESTS", "END HIDDEN TESTS")
CODE_STUB = "# your code here\nraise NotImplementedError"
TEXT_STUB = "*Your answer here.*"


def sources() -> list[Path]:
    """List the chapters that have exercises, in order."""
    return sorted((ROOT / "exercises").glob("[0-9]*.md"))


def instructor_version(path: Path) -> NotebookNode:
    """Read a source as a notebook, with the setup cell behind its title."""
    notebook = read_text(path)
    setup = nbformat.v4.new_code_cell(setup_cell(read_config(ROOT)), id="setup")
    notebook.cells.insert(1, setup)
    return notebook


def student_version(path: Path) -> NotebookNode:
    """Read a source and cut out what a learner must not see."""
    notebook = instructor_version(path)
    ClearSolutions(code_stub={"python": CODE_STUB}, text_stub=TEXT_STUB).preprocess(notebook, {})
    ClearHiddenTests().preprocess(notebook, {})
    for cell in notebook.cells:
        cell.source = cell.source.strip()
    if left := [marker for marker in MARKERS if marker in nbformat.writes(notebook)]:
        raise ValueError(f"{path.name}: `{left[0]}` is left in the learner's notebook")
    return notebook


# Folder of each version -> how it is made.
VERSIONS: dict[Path, Callable[[Path], NotebookNode]] = {
    ROOT / "book/exercises": student_version,
    ROOT / "_build/instructors": instructor_version,
}


def build(path: Path) -> None:
    """Write both notebooks of one chapter."""
    for folder, version in VERSIONS.items():
        folder.mkdir(parents=True, exist_ok=True)
        write(version(path), folder / f"{path.stem}.ipynb")


def is_current(path: Path) -> bool:
    """Tell whether the learner's notebook is what the source gives."""
    target = ROOT / "book/exercises" / f"{path.stem}.ipynb"
    wanted = nbformat.writes(student_version(path))
    return target.exists() and target.read_text("utf-8").rstrip("\n") == wanted.rstrip("\n")


def stale(paths: list[Path]) -> list[Path]:
    """List what is out of date: learners' notebooks, and those whose source is gone."""
    wanted = {path.stem for path in sources()}
    written = sorted((ROOT / "book/exercises").glob("*.ipynb"))
    orphans = [path for path in written if path.stem not in wanted]
    return [path for path in paths if not is_current(path)] + orphans


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.exercises",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("texts", nargs="*", type=Path, help="sources (default: all in exercises/)")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if out of date")
    options = parser.parse_args(arguments)
    texts = [path.resolve() for path in options.texts] or sources()
    if missing := [path for path in texts if path.suffix != ".md" or not path.is_file()]:
        parser.error(f"not a source of exercises: {', '.join(map(str, missing))}")
    return report(stale(texts)) if options.check else build_all(texts)


def report(paths: list[Path]) -> int:
    """Name what is out of date and the command that mends it."""
    for path in paths:
        print(f"{path.relative_to(ROOT)} and its notebook differ: run `make exercises`")
    return 1 if paths else 0


def build_all(paths: list[Path]) -> int:
    """Write the notebooks of these sources, and say where."""
    for path in paths:
        build(path)
        for folder in VERSIONS:
            print((folder / f"{path.stem}.ipynb").relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
