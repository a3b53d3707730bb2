"""A Sphinx extension of small ones: what makes the pages of the book out of its notebooks.

``_config.yml`` names this package alone. Each module does one thing, and each can be left out.
"""

from __future__ import annotations

from sphinx.application import Sphinx

MODULES = (
    "chapters",
    "code",
    "epub",
    "explorers",
    "figures",
    "formulas",
    "glossary",
    "launch",
    "predict",
    "questions",
    "root",
    "search",
    "shapes",
    "terms",
    "weight",
)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all modules."""
    for module in MODULES:
        app.setup_extension(f"tools.pages.{module}")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
