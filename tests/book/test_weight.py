"""What makes a page light: compressed weight, cut fonts, formulas without a script."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pydata_sphinx_theme
import pytest
from fontTools.ttLib import TTFont
from playwright.sync_api import Browser, Page

from cnncourse.explore.modules import rules
from tests.book.guards import files_of, wait_for_theme, weight
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
        scroll_through(visit.page)
        followed = files_of(visit) - opened
    assert len([file for file in followed if file.suffix == ".webp"]) > 5


def scroll_through(page: Page) -> None:
    """Go down a page as a reader does."""
    page.evaluate(
        """async () => {
            for (let y = 0; y < document.body.scrollHeight; y += 600) {
                scrollTo(0, y);
                await new Promise(requestAnimationFrame);
            }
            // A picture in a folded output is not fetched before it is opened.
            const seen = [...document.images].filter(image => image.checkVisibility());
            await Promise.allSettled(seen.map(image => image.decode()));
        }"""
    )


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
    const read = (e, part) => {
        const style = getComputedStyle(e, part);
        if (part && style.content === "none") return "";
        return [...kinds.map(kind => style[kind]), style.content].join("|");
    };
    return [...document.querySelectorAll("body, body *")].map(e =>
        e.tagName + "." + e.className + " " + read(e) + read(e, "::before") + read(e, "::after"));
}"""
SETTINGS = [
    {"media": "screen", "color_scheme": "light"},
    {"media": "screen", "color_scheme": "dark"},
    {"media": "print", "color_scheme": "light"},
]


def looks(page: Page, width: int) -> list[str]:
    """Read how every element of a page looks, on a screen in both schemes and on paper."""
    page.add_style_tag(content="* { transition: none !important }")
    page.set_viewport_size({"width": width, "height": 800})
    found = []
    for setting in SETTINGS:
        page.emulate_media(reduced_motion="reduce", **setting)
        wait_for_theme(page, setting["color_scheme"])
        page.evaluate("() => document.fonts.ready.then(() => null)")
        found += page.evaluate(LOOKS)
    return found


def differences(browser: Browser, name: str, width: int, styles: str) -> list[tuple[str, str]]:
    """List the elements that look different with these styles of the theme."""
    theirs = {"body": styles, "content_type": "text/css"}
    with visiting(browser, SITE, name) as visit:
        ours = looks(visit.page, width)
        visit.page.route("**/pydata-sphinx-theme.css*", lambda route: route.fulfill(**theirs))
        visit.page.reload(wait_until="load")
        pairs = zip(ours, looks(visit.page, width), strict=True)
        visit.page.unroute_all()
    return [(one, other) for one, other in pairs if one != other]


def theme_styles() -> str:
    """Read the theme's style sheet as it comes, with all that no page uses."""
    folder = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static"
    return (folder / "styles/pydata-sphinx-theme.css").read_text("utf-8")


@pytest.mark.parametrize(("name", "width"), [(LANDING, 1280), (NOTEBOOKS[0], 390)])
def test_cut_styles_change_no_element(browser: Browser, name: str, width: int) -> None:
    assert differences(browser, name, width, theme_styles())[:2] == []


def test_styles_of_explorers_stay_whole() -> None:
    written = {file.stem: file.read_text("utf-8") for file in SITE.glob("_static/explorers/*.css")}
    assert {"explore", "pooling"} <= written.keys()
    assert written == {name: rules(name) for name in written}


def test_a_rule_cut_by_mistake_is_seen(browser: Browser) -> None:
    broken = theme_styles().replace(".bd-sidebar-primary{", ".bd-sidebar-none{")
    assert differences(browser, LANDING, 1280, broken)
