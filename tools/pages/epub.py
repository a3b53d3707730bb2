"""An ePub of the book, `make epub`: its pages without the menus and buttons of the site."""

from __future__ import annotations

from importlib.metadata import version

from sphinx.application import Sphinx

SITE_ONLY = ("sphinx_book_theme", "pydata_sphinx_theme", "jupyter_book", "tools.pages.launch")


def leave_menus_out(app: Sphinx) -> None:
    """Take away what is added to pages of the site: it expects the options of its theme."""
    if app.builder.name != "epub":
        return
    app.config.version = app.config.version or version("cnncourse")
    listeners = app.events.listeners["html-page-context"]
    listeners[:] = [one for one in listeners if not one.handler.__module__.startswith(SITE_ONLY)]


def setup(app: Sphinx) -> dict[str, bool]:
    """Look at the builder before it writes."""
    app.connect("builder-inited", leave_menus_out, priority=100)  # before Sphinx asks for a version
    return {"parallel_read_safe": True, "parallel_write_safe": True}
