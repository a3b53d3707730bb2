"""Each line of code in an element of its own, so that a long line can hang where it is broken."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pygments.formatters import HtmlFormatter
from sphinx.application import Sphinx
from sphinx.highlighting import PygmentsBridge

Lines = Iterator[tuple[int, str]]


class LineFormatter(HtmlFormatter):
    """Write ``<span class="line" style="--indent:4">`` around each line of code."""

    def wrap(self, source: Lines) -> Lines:
        """Wrap the lines, then the block."""
        return super().wrap(in_spans(source))


def in_spans(source: Lines) -> Lines:
    """Put each line into a span that knows how far the line is indented."""
    for is_code, line in source:
        text = re.sub("<[^>]*>", "", line)
        indent = len(text) - len(text.lstrip(" "))
        style = f' style="--indent:{indent}"' if indent else ""
        yield is_code, f'<span class="line"{style}>{line}</span>'


def setup(app: Sphinx) -> dict[str, bool]:
    """Let Sphinx write code with this formatter."""
    PygmentsBridge.html_formatter = LineFormatter
    return {"parallel_read_safe": True, "parallel_write_safe": True}
