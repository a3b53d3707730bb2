"""What all pages have in common: one file, no script, no other host, readable on paper."""

from __future__ import annotations

import re
from html import escape
from string import Template

AS_TYPED = re.compile(r"(?m)^\s*(?:[-*] |\d+\. |\||```|\$\$)")
PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>$title</title>
<style>
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 48rem; margin: 0 auto; padding: 1rem; }
h2 { margin: 2rem 0 0.5rem; border-top: 1px solid; padding-top: 1rem; line-height: 1.25; }
table { border-collapse: collapse; }
caption { text-align: left; }
th, td { text-align: left; padding: 0.25rem 1rem 0.25rem 0; vertical-align: top; }
p, li, h1, h2, h3, pre { overflow-wrap: anywhere; }
pre { white-space: pre-wrap; margin: 0; }
.text { white-space: pre-wrap; }
svg { max-width: 100%; height: auto; }
svg text { font: 14px system-ui, sans-serif; fill: currentColor; }
svg .line { stroke: currentColor; fill: none; }
svg .bar { fill: currentColor; }
@media (max-width: 30rem) { th, td { padding-right: 0.5rem; } }
@page { margin: 15mm; }
@media print {
body { max-width: none; padding: 0; }
h2, h3, caption { break-after: avoid; }
tr, pre, svg, .whole { break-inside: avoid; }
.book::after { content: " (" attr(href) ")"; overflow-wrap: anywhere; }
}
</style>
</head>
<body>
<main>
<h1>$title</h1>
$body
</main>
</body>
</html>
"""
)


def document(title: str, *parts: str) -> str:
    """Return a page with a title, which is escaped, and parts, which are HTML."""
    return PAGE.substitute(title=escape(title), body="\n".join(filter(None, parts)))


def table(caption: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a table; the first cell of a row names it, and cells are HTML."""
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in columns)
    body = "\n".join(map(_row, rows))
    return (
        f"<table>\n<caption>{escape(caption)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    )


def _row(cells: tuple[str, ...]) -> str:
    name, *others = cells
    return f'<tr><th scope="row">{name}</th>{"".join(f"<td>{one}</td>" for one in others)}</tr>'


def case(caption: str, lines: tuple[tuple[str, str], ...]) -> str:
    """Return a failing case: names with their values."""
    pairs = [(escape(name), f"<pre>{escape(value)}</pre>") for name, value in lines]
    body = "\n".join(map(_row, pairs))
    return f'<table class="whole">\n<caption>{escape(caption)}</caption>\n{body}\n</table>'


def name(text: str) -> str:
    """Return the name of a function, which a narrow page may break at its underscores."""
    return f"<code>{escape(text).replace('_', '_<wbr>')}</code>"


def text(markdown: str) -> str:
    """Return a student's text as it was typed, line by line."""
    return "\n".join(f'<p class="text">{escape(one)}</p>' for one in _paragraphs(markdown))


def prose(markdown: str) -> str:
    """Return a text of ours: lines are joined, but for those of lists, tables and code."""
    return "\n".join(
        text(one) if AS_TYPED.search(one) else f"<p>{escape(one)}</p>"
        for one in _paragraphs(markdown)
    )


def _paragraphs(markdown: str) -> list[str]:
    return re.split(r"\n\s*\n", markdown.strip())
