"""Cut a font to the characters that the pages use, and fit the font of formulas to browsers."""

from __future__ import annotations

import copy
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables.otTables import MathGlyphConstruction

LOW_ROOT = 0.8  # of the height of the font's lowest sign of a root
# A letter of a formula is written x and drawn 𝑥: the browser takes the second from the font.
SLANTED = [chr(code) for code in (*range(0x1D434, 0x1D468), *range(0x1D6E2, 0x1D71C))]


def upright(letter: str) -> str:
    """Return the plain letter of a slanted one: "x" of "𝑥"."""
    _, _, code = unicodedata.decomposition(letter).partition(" ")
    return chr(int(code, 16)) if code else letter


ITALIC = {upright(letter): letter for letter in SLANTED} | {"h": "ℎ"}


def cut(font: TTFont, characters: Iterable[str], target: Path) -> None:
    """Write the glyphs of some characters, with the copyright and without the reserved name."""
    options = Options(flavor="woff", layout_features=["kern"], name_IDs=[0, 13, 14])
    subsetter = Subsetter(options)
    subsetter.populate(text="".join(characters))
    subsetter.subset(font)
    font.flavor = "woff"
    target.parent.mkdir(parents=True, exist_ok=True)
    font.save(target)


def open_font(path: Path) -> TTFont:
    """Open a font so that the same input gives the same bytes."""
    return TTFont(path, recalcTimestamp=False)


def fit_to_browsers(font: TTFont) -> None:
    """Set the few measures of a formula that browsers take from the font and TeX computes.

    Without this y with an index hangs lower than k with one, since the tail of y pushes the index
    down, and the roof of a root touches what it covers.
    """
    measures = font["MATH"].table.MathConstants
    measures.SubscriptBaselineDropMin.Value = -250
    measures.SuperscriptBaselineDropMax.Value = 400
    measures.RadicalVerticalGap.Value = 150
    narrow_tall_roots(font)
    add_low_root(font)


def add_low_root(font: TTFont) -> None:
    """Add a lower sign of a root, for a letter alone: the other one hangs below the line."""
    name = font.getBestCmap()[ord("√")]
    glyphs, tall = font["glyf"], f"{name}.tall"
    font.setGlyphOrder([*font.getGlyphOrder(), tall])
    glyphs[tall] = copy.deepcopy(glyphs[name])
    font["hmtx"][tall] = font["hmtx"][name]
    glyphs[name].coordinates.scale((1, LOW_ROOT))
    glyphs[name].coordinates.toInt()
    glyphs[name].recalcBounds(glyphs)
    lowest, *taller = growth_of(font, name).MathGlyphVariantRecord
    next_one = copy.deepcopy(lowest)
    next_one.VariantGlyph = tall
    lowest.AdvanceMeasurement = round(LOW_ROOT * lowest.AdvanceMeasurement)
    growth_of(font, name).MathGlyphVariantRecord = [lowest, next_one, *taller]
    growth_of(font, name).VariantCount += 1


def narrow_tall_roots(font: TTFont) -> None:
    """Give taller signs of a root the width of the smallest, as TeX's fonts do.

    Chromium reserves room for the widest one beside every root, which leaves a gap behind it.
    """
    root = font.getBestCmap()[ord("√")]
    width, _ = font["hmtx"][root]
    for name in taller_forms(font, root):
        glyph = font["glyf"][name]
        glyph.coordinates.scale((width / font["hmtx"][name][0], 1))
        glyph.coordinates.toInt()
        glyph.recalcBounds(font["glyf"])
        font["hmtx"][name] = (width, glyph.xMin)


def taller_forms(font: TTFont, name: str) -> set[str]:
    """Name the glyphs that a browser takes when a sign must grow."""
    growth = growth_of(font, name)
    whole = {record.VariantGlyph for record in growth.MathGlyphVariantRecord}
    return (whole | {part.glyph for part in growth.GlyphAssembly.PartRecords}) - {name}


def growth_of(font: TTFont, name: str) -> MathGlyphConstruction:
    """Return the table of a sign's taller forms."""
    variants = font["MATH"].table.MathVariants
    return variants.VertGlyphConstruction[variants.VertGlyphCoverage.glyphs.index(name)]
