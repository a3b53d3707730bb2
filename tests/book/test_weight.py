"""What makes a page light: compressed weight, cut fonts, formulas without a script."""

from __future__ import annotations

import html
import re

import pytest
from fontTools.ttLib import TTFont
from playwright.sync_api import Browser

from tests.book.guards import files_of, weight
from tests.book.test_site import FIRST
from tests.book.visits import LANDING, NOTEBOOKS, SITE, damage, visiting
from tools.pages.weight import characters_of_formulas, written_pages

pytestmark = pytest.mark.usefixtures("site")


def test_budget_sees_a_heavy_script(browser: Browser, tmp_path) -> None:
    heavy = '<script src="../_static/scripts/fontawesome.js"></script></head>'
    damage(SITE, tmp_path, NOTEBOOKS[0], "</head>", heavy)
    with visiting(browser, tmp_path, NOTEBOOKS[0]) as visit:
        assert weight(files_of(visit)) > FIRST


def test_font_holds_every_character_of_the_formulas() -> None:
    needed = characters_of_formulas(list(written_pages(SITE)))
    drawn = {chr(code) for code in TTFont(SITE / "_static/fonts/stix-two-math.woff").getBestCmap()}
    unseen = {"\u2061", "\u2063", "\ufe00", "\n", " "}  # apply, separate, a form of a letter
    assert needed - drawn <= unseen
    assert {"𝑥", "∑", "√"} <= drawn


def test_icons_are_drawn_by_the_cut_fonts(browser: Browser) -> None:
    styles = (SITE / "_static/styles/pydata-sphinx-theme.css").read_text(encoding="utf-8")
    with visiting(browser, SITE, NOTEBOOKS[0]) as visit:
        icons = visit.page.evaluate(
            """() => [...document.querySelectorAll("[class*='fa-']")].map(icon =>
                [getComputedStyle(icon, "::before").content, icon.className])"""
        )
    fonts = [TTFont(SITE / f"_static/fonts/icons-{n}.woff") for n in ("solid-900", "brands-400")]
    drawn = {code for font in fonts for code in font.getBestCmap()}
    assert icons
    assert [name for content, name in icons if ord(content.strip('"') or " ") not in drawn] == []
    assert "fa-solid-900.woff2" not in styles


def test_formulas_are_set_without_a_script() -> None:
    page = (SITE / f"{LANDING}.html").read_text(encoding="utf-8")
    formula = re.search(r"(?s)<math.*?</math>", page)[0]
    assert "19" in html.unescape(re.sub("<[^>]*>", "", formula))
    assert not re.search(r"(?i)mathjax[^\"]*\.js|fontawesome\.js|searchindex\.js", page)
