"""The page at the root of the site: it leads to the first page of the book.

It takes along what stands behind the address, such as ``#explore-lenet?epoch=0``. A redirection
without a script would drop it in some browsers, and is left for those that run none.
"""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<script>location.replace("{first}" + location.search + location.hash);</script>
<noscript><meta http-equiv="refresh" content="0; url={first}"></noscript></head>
<body><p><a href="{first}">{title}</a></p></body></html>
"""


def write_root(app: Sphinx, exception: Exception | None) -> None:
    """Write the page in the place of that of the table of contents, which drops the rest."""
    if exception or app.builder.name != "html":
        return
    first = f"{app.config.master_doc}.html"
    page = PAGE.format(first=first, title=app.config.html_title)
    Path(app.outdir, "index.html").write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the page after the table of contents has written its own."""
    app.connect("build-finished", write_root, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
