"""A chapter on paper and on a phone: nothing is cut, and nothing asks to be scrolled or opened."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.book.test_site import (
    LANDING,
    NOTEBOOKS,
    SITE,
    site,  # noqa: F401
    visiting,
)

pytestmark = pytest.mark.usefixtures("site")
CHAPTERS = [name for name in NOTEBOOKS if "/exercises/" not in name]
PHONE = {"width": 390, "height": 844}
PAPER = {"width": 650, "height": 950}
SCROLLING = """boxes => boxes.filter(box => box.scrollWidth > box.clientWidth + 1
    && getComputedStyle(box).overflowX !== "visible").map(box => box.textContent.slice(0, 80))"""


@contextlib.contextmanager
def printed(browser: Browser, name: str) -> Iterator[Page]:
    """Open a page as the browser lays it out for paper."""
    with visiting(browser, SITE, name) as visit:
        visit.page.set_viewport_size(PAPER)
        visit.page.emulate_media(media="print", color_scheme="dark")
        visit.page.wait_for_function("() => document.documentElement.dataset.theme === 'dark'")
        visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        yield visit.page


@pytest.mark.parametrize("name", CHAPTERS)
def test_nothing_is_cut_on_paper(browser: Browser, name: str) -> None:
    with printed(browser, name) as page:
        boxes = page.locator("article :is(pre, .output, div.math, table)")
        assert boxes.evaluate_all(SCROLLING) == []
        wide = "boxes => boxes.filter(box => box.scrollWidth > box.clientWidth + 1).length"
        assert page.locator("article pre").evaluate_all(wide) == 0


@pytest.mark.parametrize("name", CHAPTERS)
def test_paper_shows_the_chapter_alone_and_light(browser: Browser, name: str) -> None:
    with printed(browser, name) as page:
        hidden = "#jb-print-toc, #pst-primary-sidebar, #pst-secondary-sidebar, .prev-next-footer"
        controls = "article :is(.copybtn, .headerlink, button)"
        assert [
            box for box in page.locator(f"{hidden}, {controls}").all() if box.is_visible()
        ] == []
        assert page.locator("article h1").is_visible()
        assert page.evaluate("document.documentElement.dataset.theme") == "light"


def contents(page: Page) -> tuple[str, list[bool]]:
    """Read the whole text, and what of it is open."""
    opened = page.locator("article details").evaluate_all("all => all.map(one => one.open)")
    return page.locator("article").text_content(), opened


@pytest.mark.parametrize("name", CHAPTERS)
def test_answers_stand_at_the_end_of_the_paper(browser: Browser, name: str) -> None:
    with visiting(browser, SITE, name) as visit:
        before = contents(visit.page)
        answers = visit.page.locator("details.sd-dropdown .sd-summary-content").all_text_contents()
    with printed(browser, name) as page:
        assert page.locator("article details:not([open])").count() == 0
        last = page.locator("article > section").last
        assert last.locator("h2").inner_text() == "Answers"
        assert last.locator("h3").count() == len(answers)
        assert [text for text in last.locator("h3").all_inner_texts() if not text] == []
        squeezed = " ".join(last.text_content().split())
        assert [answer for answer in answers if " ".join(answer.split()) not in squeezed] == []
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert contents(page) == before


@pytest.mark.parametrize("name", [LANDING, *NOTEBOOKS])
def test_code_and_errors_wrap_on_a_phone(browser: Browser, name: str) -> None:
    with visiting(browser, SITE, name) as visit:
        visit.page.set_viewport_size(PHONE)
        code = visit.page.locator("article :is(.cell_input, .traceback, .highlight-python) pre")
        assert code.evaluate_all(SCROLLING) == []


@pytest.mark.parametrize("name", CHAPTERS)
def test_tables_and_figures_are_whole_on_a_phone(browser: Browser, name: str) -> None:
    with visiting(browser, SITE, name) as visit:
        visit.page.set_viewport_size(PHONE)
        boxes = visit.page.locator("article :is(.output.text_html, figure)")
        assert boxes.evaluate_all(SCROLLING) == []


def test_a_wrapped_line_hangs_behind_its_own_indentation(browser: Browser) -> None:
    with visiting(browser, SITE, CHAPTERS[0]) as visit:
        visit.page.set_viewport_size(PHONE)
        lefts = visit.page.locator("article .cell_input .line").evaluate_all(
            """lines => lines.map(line => {
                const text = document.createRange();
                text.selectNodeContents(line);
                const tops = new Map();
                for (const box of text.getClientRects()) {
                    if (box.width) tops.set(box.top, Math.min(box.left, tops.get(box.top) ?? 1e9));
                }
                return [...tops.values()];
            }).filter(rows => rows.length > 1)"""
        )
        assert lefts
        assert all(row > first for first, *rest in lefts for row in rest)


def test_copied_code_is_the_code(browser: Browser) -> None:
    with visiting(browser, SITE, CHAPTERS[0]) as visit:
        visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        cell = visit.page.locator("article .cell_input").nth(1)
        cell.hover()
        cell.locator(".copybtn").click()
        copied = visit.page.evaluate("navigator.clipboard.readText()")
        assert copied.rstrip() == cell.locator("pre").text_content().rstrip()
        assert copied.count("\n") > 3
