"""Code on a page: how its lines wrap on a phone, and what the button beside it copies."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.book.guards import PHONE
from tests.book.visits import NOTEBOOKS, SITE, visiting

pytestmark = pytest.mark.usefixtures("site")
CHAPTERS = [name for name in NOTEBOOKS if "/exercises/" not in name]


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
        cell = visit.page.locator("article .cell_input").first
        cell.hover()
        cell.locator(".copybtn").click()
        copied = visit.page.evaluate("navigator.clipboard.readText()")
        assert copied.rstrip() == cell.locator("pre").text_content().rstrip()
        assert copied.count("\n") >= 3
