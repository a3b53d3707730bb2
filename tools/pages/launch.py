"""The buttons of a chapter lead to its learner's notebook, not to the tested one.

The theme makes the links of the rocket and of the download from the page's own file,
``book/NN_topic.ipynb``. Where ``learn/NN_topic.ipynb`` exists, they lead there.
"""

from __future__ import annotations

import posixpath
import shutil
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx


def to_learners(
    app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None
) -> None:
    """Change the addresses of a page's buttons once the theme has made them."""
    learn = f"learn/{posixpath.basename(pagename)}.ipynb"
    if posixpath.dirname(pagename) != "book" or not Path(app.srcdir, learn).is_file():
        return
    for button in flat(context["header_buttons"]):
        if "url" in button:
            button["url"] = button["url"].replace(f"{pagename}.ipynb", learn)


def flat(buttons: list[dict]) -> Iterator[dict]:
    """Walk through buttons, also those in groups."""
    for button in buttons:
        yield button
        yield from flat(button.get("buttons", []))


def copy_downloads(app: Sphinx, error: Exception | None) -> None:
    """Put the learners' notebooks where the download button looks: beside the pages' sources."""
    source = Path(app.srcdir, "learn")
    if error is None and app.builder.name == "html" and source.is_dir():
        shutil.copytree(source, Path(app.outdir, "_sources/learn"), dirs_exist_ok=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Follow the theme, which adds its buttons at priority 501."""
    app.connect("html-page-context", to_learners, priority=900)
    app.connect("build-finished", copy_downloads)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
