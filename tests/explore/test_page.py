"""How a page mounts explorers: late, from a disk too, and as a link asks for."""

from __future__ import annotations

import pytest
import torch

from cnncourse import explore
from tests.explore.stage import COLOURS, DESKTOP, write_page
from tools.pages.explorers import markup


def page_of_two(folder) -> None:
    """Write a page whose explorers stand below each other, the second far down."""
    write_page(folder, explore.kernel())
    file = folder / "index.html"
    other = markup(explore.kernel(torch.eye(3), torch.eye(2)).page())
    second = f'<p style="height: 5000px"></p><div class="explorer" id="explore-kernel-2">{other}'
    text = file.read_text("utf-8").replace("</main>", f"{second}</div></main>")
    file.write_text(text.replace(COLOURS, ""), encoding="utf-8")


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport=DESKTOP)
    yield context.new_page()
    context.close()


def test_explorer_is_mounted_when_the_reader_comes_near_on_a_page_read_from_a_disk(page, tmp_path):
    page_of_two(tmp_path)
    page.goto((tmp_path / "index.html").as_uri())
    page.locator("#explore-kernel .explorer-box").wait_for()
    assert page.locator(".explorer-box").count() == 1
    page.locator("#explore-kernel-2").scroll_into_view_if_needed()
    page.locator("#explore-kernel-2 .explorer-box").wait_for()


def test_link_to_a_state_leads_to_its_explorer_and_leaves_the_other_alone(page, tmp_path):
    page_of_two(tmp_path)
    address = (tmp_path / "index.html").as_uri()
    page.goto(f"{address}#explore-kernel-2?row=1&column=1")
    page.locator("#explore-kernel-2 .explorer-said", has_text="Row 1, column 1").wait_for()
    assert page.evaluate("scrollY") > 4000
    page.evaluate("scrollTo(0, 0)")
    page.locator("#explore-kernel .explorer-said", has_text="Row 0, column 0").wait_for()


def test_link_mounts_its_explorer_where_the_page_folds_and_leads_away_from_it(page, tmp_path):
    page_of_two(tmp_path)
    page.add_init_script("Element.prototype.scrollIntoView = () => {};")
    page.goto((tmp_path / "index.html").as_uri() + "#explore-kernel-2?row=1&column=1")
    page.locator("#explore-kernel-2 .explorer-said", has_text="Row 1, column 1").wait_for()


def test_a_changed_link_sets_the_whole_state_of_an_explorer_that_is_there(page, tmp_path):
    page_of_two(tmp_path)
    page.goto((tmp_path / "index.html").as_uri() + "#explore-kernel?turned=true")
    page.locator(".explorer-said", has_text="= 5.").wait_for()
    page.evaluate("location.hash = '#explore-kernel?row=1'")
    page.locator(".explorer-said", has_text="= 37.").wait_for()


@pytest.mark.parametrize(
    "query", ["constructor=1", "__proto__=3", "x=[[1],null]", "x=[[1]]", "kernel=[[1]]", "x=[1]"]
)
def test_a_link_that_fits_no_explorer_is_as_none(opened, query):
    stage = opened(explore.backprop(), query)
    said = stage.said()
    stage.page.get_by_label("stride").press("ArrowLeft")
    stage.page.wait_for_function("() => location.hash.includes('stride')")  # still written
    stage.page.get_by_role("button", name="Reset").click()
    stage.wait_for_words(said)  # the book's, so they were at first
    assert stage.errors == []


def test_a_link_may_hold_a_fraction_where_the_first_number_is_whole(opened):
    stage = opened(explore.lenet(), "noise=0.3")
    stage.page.get_by_text("30 %").wait_for()


def test_still_picture_stays_when_the_script_is_missing(page, tmp_path):
    page_of_two(tmp_path)
    (tmp_path / "_static/explorers/kernel.js").unlink()
    with page.expect_console_message(lambda line: "kernel.js is missing" in line.text):
        page.goto((tmp_path / "index.html").as_uri())
    assert page.get_by_alt_text("still").is_visible()
