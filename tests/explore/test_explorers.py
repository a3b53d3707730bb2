"""What holds for every explorer; a new one stands in no list here."""

from __future__ import annotations

import re

import pytest
import torch

from cnncourse import explore
from cnncourse.explore.explorer import Explorer
from cnncourse.explore.modules import EXPORT, FOLDER, IMPORT, source
from tests.book.guards import in_both_schemes

EXPLORERS = sorted(explore.__all__)
MODULES = sorted(file.name.removesuffix(".js") for file in FOLDER.iterdir() if ".js" in file.name)
LARGEST = 15_000  # bytes of a module


def built(name: str) -> Explorer:
    return getattr(explore, name)()


@pytest.mark.parametrize("name", MODULES)
def test_module_is_small_and_joins_by_the_two_forms(name) -> None:
    text = source(name)
    assert len(text.encode()) < LARGEST
    assert not re.search(
        r"^\s*(import|export)\b",
        EXPORT.sub("", IMPORT.sub("", text)).replace("export default { render };", ""),
        re.M,
    )
    assert not re.search(r"\b(fetch|XMLHttpRequest|localStorage|sessionStorage|eval)\b", text)


@pytest.mark.parametrize("name", EXPLORERS)
def test_explorer_opens_and_can_be_used_by_everyone(opened, name) -> None:
    stage = opened(built(name))
    assert stage.page.locator(".explorer-hint").inner_text().startswith("Try first: ")
    assert stage.said()
    assert in_both_schemes(stage.page) == []
    assert not stage.page.locator("img").is_visible()
    stage.page.set_viewport_size({"width": 360, "height": 740})
    assert stage.page.evaluate("document.scrollingElement.scrollWidth") <= 360
    stage.page.emulate_media(media="print")
    assert stage.page.get_by_alt_text("still").is_visible()
    assert not stage.page.locator(".explorer-box").is_visible()
    assert stage.errors == []


@pytest.mark.parametrize("name", EXPLORERS)
def test_still_picture_stands_without_a_script(opened, name) -> None:
    stage = opened(built(name), java_script_enabled=False)
    assert stage.page.get_by_alt_text("still").is_visible()


@pytest.mark.parametrize("name", EXPLORERS)
def test_nonsense_in_a_link_changes_nothing_and_reset_leads_back(opened, name) -> None:
    keys = built(name).moved()
    nonsense = "&".join(f"{key}={value}" for key in keys for value in ("<b>", "1e999"))
    stage = opened(built(name), nonsense)
    first, given = stage.said(), stage.page.url
    move(stage.page.locator("select, input[type=range], input[type=checkbox]").first)
    stage.page.wait_for_function("given => location.href !== given", arg=given)
    moved = stage.page.url
    stage.page.get_by_role("button", name="Reset").click()
    stage.page.wait_for_function("() => !location.hash.includes('?')")
    stage.wait_for_words(first)  # the book's, so they were at first
    stage.page.goto(moved)
    stage.page.wait_for_function("() => location.hash.includes('?')")
    assert stage.errors == []


def move(control) -> None:
    """Change a control by hand."""
    kind = control.evaluate("e => e.type")
    if kind == "checkbox":
        control.click()
    else:
        control.focus()
        before = control.input_value()
        for key in ("ArrowRight", "ArrowDown", "ArrowLeft"):
            control.press(key)
            if control.input_value() != before:
                return


@pytest.mark.parametrize("name", EXPLORERS)
def test_explorer_does_not_mind_another_default_dtype(name) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        assert built(name).still()
    finally:
        torch.set_default_dtype(torch.float32)
