"""Reading a notebook as text: tolerant of what tools write, bounded in size."""

from __future__ import annotations

import json

import pytest

from cnncourse.checks.notebook import UnreadableError, read_notebook


def notebook(*cells: str) -> str:
    return json.dumps({"cells": [{"cell_type": "code", "source": source} for source in cells]})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "its JSON is broken"),
        ("[" * 100_000, "its JSON is broken"),
        ("[]", "no list of cells"),
        ('{"cells": 3}', "no list of cells"),
        ('{"cells": [{"cell_type": "code", "source": 3}]}', "not text"),
        (notebook(*["x = 1"] * 10_000), "has 10,000 code cells, at most 2,000"),
        (notebook("x" * (1 << 20 | 1)), "characters of code"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_read_notebook_refuses(text: str | bytes, reason: str) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(UnreadableError, match=reason):
        read_notebook("a.ipynb", data)


def test_read_notebook_takes_lines_and_a_byte_order_mark() -> None:
    cells = [{"cell_type": "code", "source": ["a = 1\n", "b = 2"]}, {"cell_type": "markdown"}, 3]
    data = "\ufeff" + json.dumps({"cells": cells})
    assert read_notebook("a.ipynb", data.encode()).cells == ("a = 1\nb = 2",)
