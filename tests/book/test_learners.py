"""A learner who does not wait runs every learner's notebook to its end.

What trains for long is left out, or replaced by what the notebook says to run in its place. All
other training is one short epoch: nbval trains in full, in the tested notebooks.
"""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

from tools import learn

SHORT = """\
from cnncourse import training


def fit_for_one_short_epoch(model, *splits, epochs=1, whole=training.fit, **settings):
    few = [tuple(part[:6000] for part in split) for split in splits]
    return whole(model, *few, epochs=1, **settings)


training.fit = fit_for_one_short_epoch
"""


@pytest.mark.parametrize("path", learn.tested(), ids=lambda path: path.stem)
def test_learners_notebook_runs_whole_for_one_who_does_not_wait(path) -> None:
    notebook = nbformat.read(learn.FOLDER / path.name, as_version=4)
    for cell in notebook.cells:
        if says_how_long(cell):
            following = notebook.cells[notebook.cells.index(cell) + 1]
            following.source = following.metadata.get("instead", "")
    notebook.cells.insert(0, nbformat.v4.new_code_cell(SHORT))
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": learn.FOLDER}}).execute()
    assert "NameError" not in names_of_errors(notebook)  # where another error is meant


def says_how_long(cell: nbformat.NotebookNode) -> bool:
    return cell.cell_type == "markdown" and cell.source.startswith("*The next cell takes")


def names_of_errors(notebook: nbformat.NotebookNode) -> list[str]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output.ename for output in outputs if output.output_type == "error"]
