"""What makes a page light: compressed weight, cut fonts, formulas without a script."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pydata_sphinx_theme
import pytest
from fontTools.ttLib import TTFont
from playwright.sync_api import Browser

from tests.book.guards import files_of, scroll_through, weight
from tests.book.test_site import FIRST
from tests.book.visits import LANDING, NOTEBOOKS, SITE, damage, visiting
from tools.pages.weight import characters_of_formulas, written_pages

HEAVY = 40_000  # bytes of a figure, drawn for a fine screen

pytestmark = pytest.mark.usefixtures("site")


def test_budget_sees_a_heavy_script(browser: Browser, tmp_path) -> None:
    heavy = '<script src="../_static/scripts/fontawesome.js"></script></head>'
    damage(SITE, tmp_path, NOTEBOOKS[0], "</head>", heavy)
    with visiting(browser, tmp_path, NOTEBOOKS[0]) as visit:
        assert weight(files_of(visit)) > FIRST


def test_figures_further_down_are_fetched_when_a_reader_comes_near(browser: Browser) -> None:
    with visiting(browser, SITE, "book/08_lenet") as visit:
        opened = files_of(visit)
        scroll_through(visit)
        followed = files_of(visit) - opened
    assert len([file for file in followed if file.suffix == ".webp"]) > 5


def test_no_figure_is_heavy() -> None:
    figures = {file.name: file.stat().st_size for file in (SITE / "_images").glob("*.webp")}
    assert {name: size for name, size in figures.items() if size > HEAVY} == {}


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


# What each element looks like, and what stands before and behind it.
LOOKS = """() => {
    const kinds = ["display", "position", "color", "background-color", "font", "margin", "padding",
        "border", "width", "height", "opacity", "visibility", "overflow", "text-decoration", "gap",
        "flex", "grid-template-columns", "list-style", "z-index", "transform", "white-space"];
    const read = (e, part) => kinds.map(kind => getComputedStyle(e, part)[kind]).join("|")
        + getComputedStyle(e, part).content;
    return [...document.querySelectorAll("body, body *")].map(e =>
        e.tagName + "." + e.className + " " + read(e) + read(e, "::before") + read(e, "::after"));
}"""
SETTINGS = [
    {"media": "screen", "color_scheme": "light"},
    {"media": "screen", "color_scheme": "dark"},
    {"media": "print", "color_scheme": "light"},
]


def looks(browser: Browser, name: str, width: int, styles: str | None) -> list[list[str]]:
    """Read how every element of a page looks, perhaps with other styles of the theme."""
    with visiting(browser, SITE, name) as visit:
        if styles is not None:
            answer = {"body": styles, "content_type": "text/css"}
            visit.page.route("**/pydata-sphinx-theme.css", lambda route: route.fulfill(**answer))
            visit.page.reload(wait_until="load")
        visit.page.add_style_tag(content="* { transition: none !important }")
        visit.page.set_viewport_size({"width": width, "height": 800})
        found = []
        for setting in SETTINGS:
            visit.page.emulate_media(reduced_motion="reduce", **setting)
            scheme = setting["color_scheme"]
            ready = "scheme => document.documentElement.dataset.theme === scheme"
            visit.page.wait_for_function(ready, arg=scheme)
            found.append(visit.page.evaluate(LOOKS))
        return found


def differences(browser: Browser, name: str, width: int, styles: str) -> list[tuple[str, str]]:
    """List the elements that look different with these styles of the theme."""
    ours = looks(browser, name, width, None)
    theirs = looks(browser, name, width, styles)
    pairs = [pair for a, b in zip(ours, theirs, strict=True) for pair in zip(a, b, strict=True)]
    return [(one, other) for one, other in pairs if one != other]


def theme_styles() -> str:
    """Read the theme's style sheet as it comes, with all that no page uses."""
    folder = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static"
    return (folder / "styles/pydata-sphinx-theme.css").read_text("utf-8")


@pytest.mark.parametrize(("name", "width"), [(LANDING, 1280), (NOTEBOOKS[0], 390)])
def test_cut_styles_change_no_element(browser: Browser, name: str, width: int) -> None:
    assert differences(browser, name, width, theme_styles())[:2] == []


def test_a_rule_cut_by_mistake_is_seen(browser: Browser) -> None:
    broken = theme_styles().replace(".bd-sidebar-primary{", ".bd-sidebar-none{")
    assert differences(browser, LANDING, 1280, broken)
