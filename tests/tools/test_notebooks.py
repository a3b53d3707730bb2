"""What a text leaves to its place in the book: the setup cell, numbers, links to other chapters."""

from __future__ import annotations

import re
import subprocess

import pytest

from tools import notebooks
from tools.notebooks import ROOT, linked, read_chapter
from tools.repository import read_config, setup_cell

CHAPTER = """\
# Pooling

What stays when a picture moves? [Chapter](shift) asks that, after [chapter](pooling).

```{code-cell} ipython3
1 + 1
```
"""


@pytest.fixture
def book(tmp_path, monkeypatch):
    """Two chapters with exercises, the second of them written."""
    for name in ("exercises/01_pooling.md", "exercises/02_shift.md", "book/02_shift.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(CHAPTER, "utf-8")
    here = read_config(ROOT)
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(notebooks, "read_config", lambda root: here)
    return tmp_path / "book"


def test_chapter_gets_setup_cell_number_and_links(book):
    title, setup, code = read_chapter(book / "02_shift.md").cells
    assert title.source == (
        "# 2. Pooling\n\nWhat stays when a picture moves? [Chapter 2](02_shift.ipynb) asks that, "
        "after chapter 1."
    )
    assert setup.source == setup_cell(read_config(ROOT))
    assert setup.metadata.tags == ["remove-input"]
    assert (code.source, code.id) == ("1 + 1", "cell-2")


def test_a_chapter_put_in_the_middle_changes_numbers_and_no_text(book):
    (book / "02_shift.md").rename(book / "03_shift.md")
    (book.parent / "exercises/02_shift.md").rename(book.parent / "exercises/03_shift.md")
    (book / "02_new.md").write_text(CHAPTER, "utf-8")
    text = read_chapter(book / "02_new.md").cells[0].source
    assert "# 2. Pooling" in text
    assert "[Chapter 3](03_shift.ipynb)" in text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[the shift](shift)", "[the shift](../02_shift.ipynb)"),
        ("[its exercises](exercises/pooling)", "[its exercises](01_pooling.ipynb)"),
        ("[pooled](pooling)", "pooled"),
        ("[d2l](https://d2l.ai), [a page](shift.md), `x[0](y)`", ...),
    ],
)
def test_links_of_an_exercise_page(book, text, found):
    assert linked(text, book / "exercises") == (text if found is ... else found)


# In the texts that people write; a command's option, and a chapter of another book, are not meant.
NUMBERED = re.compile(r"(?<!-)(?<!et al\., )\b[Cc]hapters? \d")


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("as in chapter 4", True),
        ("Chapters 2 and 5", True),
        ("--chapters 3", False),
        ("Goodfellow et al., chapter 9", False),
    ],
)
def test_numbers_of_chapters_are_seen(text, is_found):
    assert bool(NUMBERED.search(text)) == is_found


def test_no_text_says_the_number_of_a_chapter():
    """Then a chapter put in the middle is work for `git mv`, and no text changes."""
    command = ["git", "ls-files", "*.md", ":!*benchmarks/*", "cnncourse/*.py", "grader/*.py"]
    files = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    texts = {name: (ROOT / name).read_text("utf-8") for name in files.splitlines()}
    found = {name: NUMBERED.findall(text) for name, text in texts.items()}
    assert {name: hits for name, hits in found.items() if hits} == {}
