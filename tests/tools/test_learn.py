"""The learner's notebook: what a page shows, and nothing that only the tests or MyST know."""

from __future__ import annotations

import re

import nbformat
import pytest

from tools import learn
from tools.markdown import citations, plain, sources

CHAPTERS = learn.tested()


def chapter(*cells: nbformat.NotebookNode) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(cells=list(cells), metadata={"cnncourse": {"digest": "x"}})


def code(source: str, **metadata: object) -> nbformat.NotebookNode:
    output = nbformat.v4.new_output("stream", text="19\n")
    return nbformat.v4.new_code_cell(source, outputs=[output], metadata=metadata)


def text(source: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_markdown_cell(source)


def made(*cells: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return learn.learners_version(chapter(*cells), "book/03_topic").cells


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_learners_notebook_is_what_the_tested_one_gives(path) -> None:
    assert learn.is_current(path), "run `make notebooks`"


def test_no_learners_notebook_is_left_over() -> None:
    assert {path.name for path in learn.FOLDER.glob("*.ipynb")} == {p.name for p in CHAPTERS}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_learners_notebook_holds_no_check_and_no_raw_myst(path) -> None:
    for cell in nbformat.read(learn.FOLDER / path.name, as_version=4).cells:
        assert not re.search(r"\b(says|cites|asks)\(|^> answer:", cell.source, re.MULTILINE)
        if cell.cell_type == "markdown":
            assert not re.search(r"^:::|\{[a-z:]+\}`|^\([\w-]+\)=$", cell.source, re.MULTILINE)


def test_checks_are_left_out_and_what_they_hide_stays() -> None:
    shown, setup = code("corr2d(x, k)"), code("import sys", tags=["remove-input"])
    cells = made(setup, shown, code("says('19', 19)", tags=["remove-cell", "test"]))
    assert [cell.source for cell in cells] == ["import sys", "corr2d(x, k)"]


def test_output_is_left_out_behind_a_question_only() -> None:
    question = text("Lay it on.\n\n:::{predict}\nHow many come out?\n---\nanswer: 4\n:::")
    cells = made(code("1"), question, code("2"), text("So it does."), code("3"))
    outputs = {c.source: len(c.outputs) for c in cells if c.cell_type == "code"}
    assert outputs == {"1": 1, "2": 0, "3": 1}


def test_a_mistake_on_purpose_keeps_its_tag() -> None:
    (cell,) = made(code("1 / 0", tags=["raises-exception"]))
    assert cell.metadata.tags == ["raises-exception"]


def test_caption_and_time_stand_around_the_cell() -> None:
    figure = {"figure": {"caption": "Six kernels."}}
    before, cell, after = made(code("plot()", mystnb=figure, time="about a minute"))
    assert before.source == "*The next cell takes about a minute. Nothing below needs it.*"
    assert cell.source == "plot()"
    assert after.source == "*Six kernels.*"


def test_a_long_wait_can_be_left_out() -> None:
    before, cell = made(code("train()", time="a minute", instead="net = load()"))
    assert before.source.endswith("run this in its place:*\n\n```python\nnet = load()\n```")
    assert cell.metadata.instead == "net = load()"


def test_answer_is_folded() -> None:
    written = plain(":::{dropdown} Answer\nTwo rows.\n\n```python\nx = 1\n```\n:::", "book/a")
    start = "<details>\n<summary>Answer</summary>\n\nTwo rows."
    assert written.startswith(start)
    assert written.endswith("```\n\n</details>")


def test_note_is_a_quotation() -> None:
    assert plain(":::{note}\nOne.\nTwo.\n:::", "book/a") == "> **Note.** One.\n> Two."


def test_question_is_a_quotation_with_its_choices_and_without_its_key() -> None:
    number = ":::{predict}\nHow many?\n---\nanswer: 4\nsaid:\n  5: Too many.\n:::"
    choice = ":::{predict}\nMore?\n---\nanswer: less\nsaid:\n  more: No.\n  less:\n:::"
    assert plain(number, "book/a") == "> **Predict.** How many?"
    assert plain(choice, "book/a") == "> **Predict.** More?\n>\n> - more\n> - less"


def test_nested_directives_are_rewritten() -> None:
    written = plain("::::{dropdown} More\n:::{note}\nInner.\n:::\n::::", "book/a")
    assert "> **Note.** Inner." in written


def test_citation_is_a_link_and_the_sources_are_a_list() -> None:
    cell = "It is old {cite:p}`lecun1998`.\n\n:::{bibliography}\n:filter: docname in docnames\n:::"
    written = plain(cell, "book/08_lenet", citations(cell))
    link = "(https://doi.org/10.1109/5.726791)"
    assert f"([LeCun et al., 1998]{link})" in written
    assert "- LeCun, Bottou, Bengio and Haffner (1998). [Gradient-Based" in written


def test_sources_of_one_name_stand_in_the_order_of_their_years() -> None:
    first, second = sources(["zhang2023", "zhang2017", "zhang2023"])
    assert "(2017)" in first
    assert "(2023)" in second


def test_link_to_another_page_leads_to_the_site() -> None:
    written = plain(
        "[them](exercises/08_lenet.ipynb) and [there](https://pytorch.org)", "book/08_x"
    )
    assert ".github.io/cnncourse/book/exercises/08_lenet.html)" in written
    assert "(https://pytorch.org)" in written


def test_code_and_formulas_stay_as_they_are() -> None:
    kept = "```python\nf'{cite:p}`x`'\n```\n\n$$\n[a](b)\n$$"
    assert plain(kept, "book/a") == kept


@pytest.mark.parametrize("unknown", [":::{mystery}\nx\n:::", "see {mystery}`x`"])
def test_what_is_not_known_is_refused_by_name(unknown: str) -> None:
    with pytest.raises(ValueError, match="mystery"):
        plain(unknown, "book/a")
