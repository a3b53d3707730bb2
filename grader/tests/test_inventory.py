"""What a class believed before and after: the tables as an instructor has them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from cnncourse_grader import inventory

from cnncourse import cli

KEY = """\
chapter,question,option,tolerance,right,misconception,see
01,moved,a,,0,everything moves,https://book/1.html#a
01,moved,b,,1,,https://book/1.html#b
01,moved,c,,0,<nothing> moves,https://book/1.html#c
02,size,2.5,0.1,1,,https://book/2.html#a
02,size,3,0.1,0,no floor,https://book/2.html#b
"""
# ann learns, ben keeps his belief, cem unlearns; dot is there before only, eve after only.
BEFORE = """\
student,question,option
ann,moved,a
ben,moved,A
cem,moved,b
dot,moved,c
ann,size,3
ben,size,
cem,size,\u22127
"""
AFTER = """\
student,question,option
ann,moved,b
ben,moved,a
cem,moved,c
eve,moved,b
ann,size,2.45
ben,size,2.5
cem,size,three
"""


class Cells(HTMLParser):
    """The texts of a page's tables, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open = False

    def handle_starttag(self, tag: str, attributes: list) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.open = True

    def handle_endtag(self, tag: str) -> None:
        self.open = self.open and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.open:
            self.rows[-1][-1] += data


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    for name, text in {"key": KEY, "before": BEFORE, "after": AFTER}.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path


def run(folder: Path) -> int:
    words = [str(folder / f"{name}.csv") for name in ("before", "after", "key")]
    out = ["--out", str(folder / "compared.html")]
    return cli.main(["compare", *words[:2], "--key", words[2], *out])


def test_page_counts_those_who_answered_both_times(tables: Path) -> None:
    assert run(tables) == 0
    text = (tables / "compared.html").read_text("utf-8")
    assert "3 students answered both times" in text
    assert "1 answered before only, 1 after only" in text
    # Five pairs: ben left the second question out before. One was right, two are.
    assert "1 of 5 answers were right before, 2 are right after. That is 25% of" in text
    cells = Cells()
    cells.feed(text)
    assert ["moved", "1 of 3", "1 of 3", "1", "1"] in cells.rows
    assert ["size", "0 of 2", "1 of 2", "1", "0"] in cells.rows
    beliefs = cells.rows[cells.rows.index(["size", "0 of 2", "1 of 2", "1", "0"]) + 2 :]
    assert beliefs == [
        ["everything moves", "2", "1", "1", "moved"],
        ["<nothing> moves", "0", "1", "0", "moved"],
        ["no floor", "1", "0", "0", "size"],
    ]
    assert 'href="https://book/1.html#a"' in text


def test_page_names_nobody(tables: Path) -> None:
    run(tables)
    assert not re.search(r"\b(?:ann|ben|cem|dot|eve)\b", (tables / "compared.html").read_text())


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("before", "ben,moved,A", "ben,moves,A", "row 3: the key has no question 'moves'"),
        ("after", "eve,moved", "ann,moved", "row 5: ann answers moved twice"),
        ("after", "student,", "name,", r"needs the columns student, question, option"),
        ("key", "tolerance,", "", r"not there: \['tolerance'\]"),
    ],
)
def test_a_wrong_table_is_named(
    tables: Path, capsys: pytest.CaptureFixture[str], file: str, old: str, new: str, words: str
) -> None:
    path = tables / f"{file}.csv"
    path.write_text(path.read_text("utf-8").replace(old, new, 1), encoding="utf-8")
    assert run(tables) == 1
    assert re.search(words, capsys.readouterr().err)
    assert not (tables / "compared.html").exists()


def test_nobody_answered_both_times(tables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tables / "after.csv").write_text("student,question,option\nzoe,moved,b\n")
    assert run(tables) == 1
    assert "are the names the same" in capsys.readouterr().err


def test_number_is_the_nearest_within_tolerance() -> None:
    options = [inventory.Option(one, "0.1", False, "", "") for one in ("2.5", "3")]
    assert inventory._chosen("2.59", options) == options[0]
    assert inventory._chosen("2.7", options) is None
