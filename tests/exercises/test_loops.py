"""The six training loops that a learner reads, and what the page says of them."""

from __future__ import annotations

import re

import pytest
import torch

from cnncourse.checks.chapters.lenet import MISSED, find_fault
from tools.exercises import ROOT, student_version

# Those of loop_a to loop_f.
FAULTS = ["softmax", "choice", "gradients", "layers", "labels", "mode"]


@pytest.fixture(scope="module")
def page():
    """The cells of this one exercise above its stub, after the imports of the page."""
    cells = student_version(ROOT / "exercises/08_lenet.md").cells
    sources = [cell.source for cell in cells]
    (card,) = (i for i, source in enumerate(sources) if "`find_fault(train)` ·" in source)
    (stub,) = (i for i, source in enumerate(sources) if source.startswith("def find_fault"))
    return [next(cell for cell in cells if "torch import nn" in cell.source), *cells[card:stub]]


@pytest.fixture(scope="module")
def run(page):
    """What the cells define, and what they print."""
    printed = []
    names = {"print": lambda *words: printed.append(words)}
    for cell in page:
        if cell.cell_type == "code":
            exec(cell.source, names)
    return names["LOOPS"], printed


def test_each_loop_has_the_fault_of_the_solution(run):
    torch.manual_seed(0)
    assert [find_fault(loop) for loop in run[0]] == FAULTS


def test_solution_names_the_same_faults():
    text = (ROOT / "exercises/08_lenet.md").read_text("utf-8")
    assert f"# The six loops, A to F: {', '.join(FAULTS)}." in text


def test_two_loops_have_learned_nothing_and_four_look_like_a_training(run):
    reported = dict(zip(FAULTS, (accuracy for _, accuracy in run[1][:6]), strict=True))
    nothing = {reported.pop("gradients"), reported.pop("labels")}
    assert max(nothing) < 0.15
    assert min(reported.values()) > 0.3


def test_the_sure_network_shows_the_loop_that_mixes_up_labels(run):
    stayed = [words[-1] for words in run[1][6:]]
    assert stayed == [fault != "labels" for fault in FAULTS]


def test_table_has_every_answer(page):
    text = "\n".join(cell.source for cell in page if cell.cell_type == "markdown")
    assert set(re.findall(r'(?m)^\| `"(\w+)"` \|', text)) == set(MISSED)
