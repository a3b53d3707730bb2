"""The page of claims holds every number of the text, and notices one that changed."""

from __future__ import annotations

import nbformat

from cnncourse.claims import Claim
from tools import claims


def notebook() -> nbformat.NotebookNode:
    text, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    cells = [
        text("# 3. Beans\n\nThree."),
        text("## The box\n\nA box holds 1,200 beans."),
        code("from cnncourse.claims import cites, says\nsays('1,200 beans', 1200)"),
        text("## The price\n\nHalf, 0.5, as in 1998."),
        code("says('Half, 0.5', 0.52, within=0.1)\ncites('in 1998', source='known')"),
    ]
    return nbformat.v4.new_notebook(cells=cells)


def test_page_holds_every_claim_of_every_chapter() -> None:
    assert claims.lacking() == [], "run `make claims`"


def test_a_chapter_is_run_and_tells_what_it_claimed(tmp_path) -> None:
    made, seconds = claims.run(notebook(), tmp_path)
    assert made == [
        Claim("1,200 beans", [1200]),
        Claim("Half, 0.5", [0.52], 0.1),
        Claim("in 1998", [], None, "known"),
    ]
    assert seconds > 0


def test_rows_name_the_section_once_and_what_a_claim_rests_on() -> None:
    made = [
        Claim("1,200 beans", (1200,)),
        Claim("Half, 0.5", (0.52,), 0.1),
        Claim("in 1998", source="known"),
    ]
    assert list(claims.rows(notebook(), made))[2:] == [
        "| The box | 1,200 beans | 1,200 |",
        "| The price | Half, 0.5 | 0.52, within 0.1 |",
        "|  | in 1998 | {cite:p}`known` |",
    ]


def test_a_changed_number_is_noticed(tmp_path, monkeypatch, capsys) -> None:
    text = claims.PAGE.read_text("utf-8")
    monkeypatch.setattr(claims, "PAGE", tmp_path / "claims.md")
    monkeypatch.setattr(claims, "ROOT", tmp_path)
    claims.PAGE.write_text(text.replace("61,706 parameters", "61,707 parameters", 1), "utf-8")
    assert claims.main(["--check"]) == 1
    assert "61,707 parameters" in capsys.readouterr().out
