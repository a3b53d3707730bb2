"""Formulas as MathML, written when the site is built: every browser sets it without a script.

A command that the converter does not know is a warning, and so an error of ``make book``.
"""

from __future__ import annotations

import html
import re
from xml.etree import ElementTree

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
PRIMES = ("′", "″", "‴")
CONVERTER = LatexToMathML(xml_namespace=True, fancy_error=False)
logger = logging.getLogger(__name__)
ElementTree.register_namespace("", NAMESPACE)


def to_mathml(tex: str, display: bool) -> str:
    """Convert one formula; raise LatexError where the converter does not understand it."""
    written = CONVERTER.convert_with_local_state(tex, displaystyle=display)
    math = ElementTree.fromstring(without_named_entities(written))
    lower_primes(math)
    return ElementTree.tostring(math, encoding="unicode")


def letters(tex: str) -> str:
    """Return what a formula is written with, where a text cannot hold the formula itself."""
    try:
        return "".join(ElementTree.fromstring(to_mathml(tex, display=False)).itertext())
    except LatexError:
        return tex  # the page itself says what is wrong


def without_named_entities(markup: str) -> str:
    """Replace what HTML names and XML does not, such as ``&ApplyFunction;``, by its character."""
    return re.sub(r"&(?!amp;|lt;|gt;|quot;)\w+;", lambda entity: html.unescape(entity[0]), markup)


def lower_primes(math: ElementTree.Element) -> None:
    """Set a prime beside its letter: the glyph is raised already, and small as a superscript."""
    for power in math.iter(f"{{{NAMESPACE}}}msup"):
        prime = power[1]
        if prime.text in PRIMES and not len(prime):
            power.tag = f"{{{NAMESPACE}}}mrow"
            prime.attrib.update(lspace="0", rspace="0")


def mathml_or_warning(node: nodes.Element, display: bool) -> str:
    """Return the formula as MathML, or its source as code with a warning that names the place."""
    tex = node.astext()
    try:
        return to_mathml(tex, display)
    except LatexError as error:
        logger.warning("the formula %r: %s", tex, error, location=node, type="formula")
        return f"<code>{html.escape(tex)}</code>"


def visit_inline(writer: HTML5Translator, node: nodes.math) -> None:
    """Write a formula of the running text."""
    writer.body.append(writer.starttag(node, "span", "", CLASS="math notranslate nohighlight"))
    writer.body.append(mathml_or_warning(node, display=False) + "</span>")
    raise nodes.SkipNode


def visit_display(writer: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula of its own line, with its number if it has a label."""
    writer.body.append(writer.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        writer.body.append(f'<span class="eqno">({get_node_equation_number(writer, node)})</span>')
    writer.body.append(mathml_or_warning(node, display=True) + "</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer ``mathml`` for ``html_math_renderer``."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
