"""Figures: numbered by chapter (8.1, 8.2, ...), and sent as WebP, a third of the size of PNG.

Sphinx counts figures through the whole book, so that every new chapter would renumber those behind
it. Here the first number is that of the chapter's file, ``NN_topic``; a figure of another page has
no chapter, and its number is its place on that page.
"""

from __future__ import annotations

import re
from pathlib import Path

from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx
from sphinx.builders import Builder
from sphinx.transforms.post_transforms.images import BaseImageConverter
from sphinx.writers.html5 import HTML5Translator


def chapter_number(docname: str) -> tuple[int | str, ...]:
    """Return (8,) for ``book/08_lenet``, ("A",) for an appendix, and () for any other page."""
    name = re.fullmatch(r"book/(\d+|[A-Z])_\w+", docname)
    return (int(name[1]) if name[1].isdigit() else name[1],) if name else ()


def number_by_chapter(app: Sphinx, builder: Builder) -> None:
    """Replace the numbers that Sphinx gave to figures; all other kinds keep theirs.

    Not earlier: what Sphinx stores of a build, to see what the next one must write anew, holds its
    own numbers.
    """
    for docname, kinds in builder.env.toc_fignumbers.items():
        chapter = chapter_number(docname)
        figures = kinds.get("figure", {})
        figures.update({key: (*chapter, place) for place, key in enumerate(figures, 1)})


class PngToWebp(BaseImageConverter):
    """Convert each PNG of a page to WebP without loss."""

    default_priority = 150

    def match(self, node: nodes.image) -> bool:
        """Choose local images in PNG, when pages are written for a browser."""
        return self.app.builder.name == "html" and node["uri"].endswith(".png")

    def handle(self, node: nodes.image) -> None:
        """Write the WebP file once, and let the page name it."""
        source = Path(self.app.srcdir, node["uri"])
        target = Path(self.imagedir, source.name).with_suffix(".webp")
        with Image.open(source) as image:
            node["pixels"] = image.size
            if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
                target.parent.mkdir(parents=True, exist_ok=True)
                image.save(target, lossless=True, method=6)
        node["uri"] = str(target)
        self.env.original_image_uri[str(target)] = str(source)
        self.env.images.add_file(self.env.docname, str(target))


def visit_image(writer: HTML5Translator, node: nodes.image) -> None:
    """Write an image with its size, so that the text below it does not move when it comes.

    A browser then fetches the image when it comes near the window.
    """
    HTML5Translator.visit_image(writer, node)
    if "pixels" in node:
        width, height = node["pixels"]
        size = f'<img loading="lazy" width="{width}" height="{height}" '
        writer.body[-1] = writer.body[-1].replace("<img ", size, 1)


def setup(app: Sphinx) -> dict[str, bool]:
    """Put numbers on figures before the pages are written, and convert images as they are."""
    app.connect("write-started", number_by_chapter)
    app.add_post_transform(PngToWebp)
    app.add_node(nodes.image, override=True, html=(visit_image, HTML5Translator.depart_image))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
