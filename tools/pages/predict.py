"""The directive ``predict``: a question that the reader answers before the next cell does.

    :::{predict}
    What comes out one step to the right?
    :::

It is an admonition with the class ``predict``, so that it is plain text in print and without a
script. Each has an anchor, ``predict-1``, ``predict-2``, ..., that counts through its page.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

TITLE = "Predict"


class Predict(SphinxDirective):
    """A question in its box."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the box; an empty one is an error."""
        self.assert_has_content()
        place = self.env.temp_data["predict"] = self.env.temp_data.get("predict", 0) + 1
        box = nodes.admonition("", nodes.title("", TITLE), classes=["predict"])
        box["ids"].append(f"predict-{place}")
        self.set_source_info(box)
        self.state.nested_parse(self.content, self.content_offset, box)
        return [box]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("predict", Predict)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
