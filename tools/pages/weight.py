"""Cut what every page loads to what the pages use: styles, icons, and letters of formulas.

The theme brings two thousand icons three times over, as a script, as fonts and as rules of its
style sheet, and rules for hundreds of elements that no page has. All is cut at the end of each
build, so that a new icon or a new symbol of a formula needs no further step.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx

from tools.pages.fonts import ITALIC, cut, fit_to_browsers, open_font
from tools.pages.styles import cut_rules, words

MATH_FONT = Path(__file__).with_name("stix-two-math.woff")
ICON_FONTS = ("solid-900", "brands-400")
ICON_FACE = re.compile(r"@font-face\{[^}]*(?:fa-(\w+-\d+)\.woff2)[^}]*\}")
ICON = re.compile("[\ue000-\uf8ff]")
ESCAPED_ICON = re.compile(r'"\\([ef][0-9a-f]{3})"')
# What the theme and the extensions load on every page, and no page uses.
UNUSED_SCRIPTS = ("design-tabs.js", "sphinx_highlight.js")
# `make book` copies the first once more; in the others a script puts names of classes together.
OWN_STYLES = ("custom.css", "explorers/*.css")


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


def scripts_of(static: Path) -> Iterator[str]:
    """Yield the scripts, which may name a class; not the theme's icons, which no page loads."""
    for file in static.rglob("*.js"):
        if file.name != "fontawesome.js":
            yield file.read_text(encoding="utf-8")


def cut_styles(static: Path, known: set[str]) -> set[str]:
    """Cut all style sheets but our own, and collect the icons of the rules that are left."""
    icons = set()
    for file in static.rglob("*.css"):
        styles = file.read_text(encoding="utf-8")
        if not any(file.match(own) for own in OWN_STYLES):
            styles = ICON_FACE.sub(point_to_cut_font, cut_rules(styles, known))
            file.write_text(styles, encoding="utf-8")
        icons |= set(ICON.findall(styles))
        icons |= {chr(int(code, 16)) for code in ESCAPED_ICON.findall(styles)}
    return icons


def point_to_cut_font(face: re.Match[str]) -> str:
    """Name the cut font in a rule of the theme; drop the rule of a font without a used icon."""
    source = f'src:url(../fonts/icons-{face[1]}.woff) format("woff")}}'
    return re.sub(r"src:.*\}", source, face[0]) if face[1] in ICON_FONTS else ""


def cut_assets(app: Sphinx, exception: Exception | None) -> None:
    """Cut the style sheets and the fonts, once all pages stand."""
    if exception or app.builder.name != "html":
        return
    static = Path(app.outdir, "_static")
    pages = list(written_pages(Path(app.outdir)))
    icons = cut_styles(static, words("\n".join([*pages, *scripts_of(static)])))
    for name in ICON_FONTS:
        font = open_font(static / f"vendor/fontawesome/webfonts/fa-{name}.ttf")
        cut(font, icons, static / f"fonts/icons-{name}.woff")
    font = open_font(MATH_FONT)
    fit_to_browsers(font)
    cut(font, characters_of_formulas(pages), static / "fonts/stix-two-math.woff")


def setup(app: Sphinx) -> dict[str, bool]:
    """Look at each page's scripts as it is written, and cut the rest at the end."""
    app.connect("html-page-context", drop_unused_scripts, priority=900)
    app.connect("build-finished", cut_assets)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
