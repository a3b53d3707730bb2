"""A small table reads the same as text and as HTML."""

from __future__ import annotations

import re

import pytest

from cnncourse.tables import Table

TABLE = Table(("network", "test <1>"), (("softmax", "0.8"), ("a & b", "10.25")))


def test_text_has_words_to_the_left_and_numbers_to_the_right() -> None:
    assert repr(TABLE).splitlines() == [
        "network  test <1>",
        "softmax       0.8",
        "a & b       10.25",
    ]


def test_html_names_rows_and_columns_and_escapes() -> None:
    page = TABLE._repr_html_()
    assert re.findall(r'<th scope="col">(.*?)</th>', page) == ["network", "test &lt;1&gt;"]
    assert re.findall(r'<th scope="row">(.*?)</th>', page) == ["softmax", "a &amp; b"]
    assert re.findall(r"<td>(.*?)</td>", page) == ["0.8", "10.25"]


def test_a_column_of_words_stands_to_the_left() -> None:
    table = Table(("network", "change", "size"), (("a", "none", "12"), ("b", "2 layers", "7")))
    assert repr(table).splitlines()[1:] == ["a        none        12", "b        2 layers     7"]
    page = table._repr_html_()
    assert re.findall(r'<th scope="col" style="text-align: left">(.*?)</th>', page) == ["change"]
    assert re.findall(r"<td>(.*?)</td>", page) == ["12", "7"]
    assert re.findall(r'<td style="text-align: left">(.*?)</td>', page) == ["none", "2 layers"]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`rows` must be as long as \('a',\), got \('1', '2'\)"):
        Table(("a",), (("1", "2"),))
