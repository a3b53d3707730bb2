"""The book as one file for an e-reader: every page is well-formed, and explorers are pictures."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.book.visits import PAGES, ROOT

NAMESPACE = "{http://www.w3.org/1999/xhtml}"


@pytest.fixture(scope="module")
def epub(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build it as `make epub` does, but in a folder of its own."""
    out = tmp_path_factory.mktemp("epub")
    options = ["--builder", "custom", "--custom-builder", "epub", "--path-output", str(out)]
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ROOT, "-W", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return zipfile.ZipFile(out / "_build/epub/cnncourse.epub")


def test_every_page_is_there_and_well_formed(epub) -> None:
    pages = [name for name in epub.namelist() if name.endswith(".xhtml")]
    for name in pages:
        ElementTree.fromstring(epub.read(name))
    assert {f"{page}.xhtml" for page in PAGES if page != "search"} <= set(pages)


def test_an_explorer_is_a_still_picture_with_words(epub) -> None:
    page = ElementTree.fromstring(epub.read("book/03_cross_correlation.xhtml"))
    figure = next(f for f in page.iter(f"{NAMESPACE}figure") if f.get("id") == "fig-explore-kernel")
    image = next(figure.iter(f"{NAMESPACE}img"))
    assert image.get("alt").startswith("Three grids of numbers")
    assert image.get("src").removeprefix("../") in epub.namelist()


def test_no_script_is_in_it(epub) -> None:
    assert [name for name in epub.namelist() if name.endswith(".js")] == []
    kinds = {
        script.get("type")
        for name in epub.namelist()
        if name.endswith(".xhtml")
        for script in ElementTree.fromstring(epub.read(name)).iter(f"{NAMESPACE}script")
    }
    assert kinds <= {"application/json"}  # what an explorer's script would read
