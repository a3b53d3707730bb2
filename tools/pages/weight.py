"""Cut what every page loads to what the pages use: icons, and letters of formulas.

The theme brings two thousand icons three times over: as a script, as fonts, and as rules of its
style sheet. The pages use some thirty. All is cut from the originals at the end of each build, so
that a new icon or a new symbol of a formula needs no further step.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pydata_sphinx_theme
from sphinx.application import Sphinx

from tools.pages.fonts import ITALIC, cut, fit_to_browsers, open_font

THEME = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static"
STYLES = Path("styles/pydata-sphinx-theme.css")
MATH_FONT = Path(__file__).with_name("stix-two-math.woff")
ICON_FONTS = ("solid-900", "brands-400")
ICON_RULE = re.compile(r'((?:\.fa-[\w-]+:before,?)+)\{content:"\\([0-9a-f]+)"\}')
ICON_FONT = re.compile(r"@font-face\{[^}]*(?:fa-(\w+-\d+)\.woff2)[^}]*\}")
ICON = re.compile("[\ue000-\uf8ff]")
ESCAPED_ICON = re.compile(r'"\\([ef][0-9a-f]{3})"')
# What the theme and the extensions load on every page, and no page uses.
UNUSED_SCRIPTS = ("design-tabs.js", "sphinx_highlight.js")


def drop_unused_scripts(
    app: Sphinx, page: str, template: str, context: dict[str, list], doctree: object
) -> None:
    """Take scripts out of the head of a page."""
    context["script_files"] = [
        script
        for script in context["script_files"]
        if not str(script.filename).endswith(UNUSED_SCRIPTS)
    ]


def written_pages(folder: Path) -> Iterator[str]:
    """Yield the text of every page of the site."""
    for page in folder.rglob("*.html"):
        yield page.read_text(encoding="utf-8")


def characters_of_formulas(pages: list[str]) -> set[str]:
    """Collect what the formulas are written with, and how their letters are drawn."""
    formulas = (formula for page in pages for formula in re.findall(r"(?s)<math.*?</math>", page))
    used = {character for f in formulas for character in html.unescape(re.sub("<[^>]*>", "", f))}
    drawn = {ITALIC[character] for character in used & ITALIC.keys()}
    return used | drawn | {"√"}  # a root is an element, not a character


def names_of_icons(texts: list[str]) -> set[str]:
    """Collect the class of every icon in pages and scripts."""
    return {name for text in texts for name in re.findall(r"fa-[a-z-]+", text)}


def cut_styles(styles: str, names: set[str]) -> str:
    """Leave the rules of the named icons in the theme's style sheet, and point to the cut fonts."""

    def keep(rule: re.Match) -> str:
        return rule[0] if set(re.findall(r"\.(fa-[\w-]+)", rule[1])) & names else ""

    def point(rule: re.Match) -> str:
        source = f'src:url(../fonts/icons-{rule[1]}.woff) format("woff")}}'
        return re.sub(r"src:.*\}", source, rule[0]) if rule[1] in ICON_FONTS else ""

    return ICON_FONT.sub(point, ICON_RULE.sub(keep, styles))


def characters_of_icons(styles: list[str]) -> set[str]:
    """Collect the icons of the rules that are left, written as such or as a number."""
    text = "\n".join(styles)
    return set(ICON.findall(text)) | {chr(int(code, 16)) for code in ESCAPED_ICON.findall(text)}


def cut_assets(app: Sphinx, exception: Exception | None) -> None:
    """Write the style sheet and the three fonts anew, once all pages stand."""
    if exception or app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    pages = list(written_pages(Path(app.outdir)))
    scripts = [(THEME / "scripts/pydata-sphinx-theme.js").read_text(encoding="utf-8")]
    styles = cut_styles(
        (THEME / STYLES).read_text(encoding="utf-8"), names_of_icons(pages + scripts)
    )
    (static / STYLES).write_text(styles, encoding="utf-8")
    icons = characters_of_icons([file.read_text("utf-8") for file in static.rglob("*.css")])
    for name in ICON_FONTS:
        source = THEME / f"vendor/fontawesome/webfonts/fa-{name}.ttf"
        cut(open_font(source), icons, static / f"fonts/icons-{name}.woff")
    font = open_font(MATH_FONT)
    fit_to_browsers(font)
    cut(font, characters_of_formulas(pages), static / "fonts/stix-two-math.woff")


def setup(app: Sphinx) -> dict[str, bool]:
    """Look at each page's scripts as it is written, and cut the rest at the end."""
    app.connect("html-page-context", drop_unused_scripts, priority=900)
    app.connect("build-finished", cut_assets)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
