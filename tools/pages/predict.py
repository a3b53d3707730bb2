"""The directive ``predict``: a question that the reader answers before the next cell does.

    :::{predict}
    What comes out one step to the right?
    ---
    answer: 25
    :::

It is an admonition with the class ``predict``; ``tools.predictions`` describes the key. Each has an
anchor, ``predict-1``, ``predict-2``, ..., that counts through its page. In a browser it is a form:
``predict.js`` shows it, folds the output behind it and reads the key from a template. In print, in
ePub and without the script the question is text.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from docutils import nodes
from markdown_it import MarkdownIt
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tools.predictions import Prediction, read, split

TITLE = "Predict"
SAMPLES = {" × ": "2 x 3", ", ": "2, 3"}  # by what stands between the numbers of an answer
FIELD = (
    '<label>{label} <input type="text" name="guess" autocomplete="off" spellcheck="false"'
    ' size="{size}" aria-describedby="{ask}"{mode}></label>'
)
CHOICE = '<label class="option"><input type="radio" name="guess" value="{key}"> {text}</label>'
END = """<div class="buttons"><button type="submit" class="sd-btn">Check</button>
<button type="button" class="sd-btn" aria-expanded="false">Show without a guess</button></div>
<div class="said" role="status"></div>"""


class Predict(SphinxDirective):
    """A question in its box, with a form for a guess."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the box; one without a question or without a key is an error."""
        self.assert_has_content()
        try:
            prediction = read("\n".join(self.content))
        except ValueError as reason:
            raise self.error(str(reason)) from None
        place = self.env.temp_data["predict"] = self.env.temp_data.get("predict", 0) + 1
        name = f"predict-{place}"
        box = nodes.admonition("", nodes.title("", TITLE), classes=["predict"], ids=[name])
        self.set_source_info(box)
        box += [self.question(f"{name}-ask"), guess(prediction, f"{name}-ask")]
        return [box]

    def question(self, name: str) -> nodes.container:
        """Return the question as the author writes it."""
        ask = nodes.container("", is_div=True, classes=["ask"], ids=[name])
        lines = len(split("\n".join(self.content))[0].splitlines())
        self.state.nested_parse(self.content[:lines], self.content_offset, ask)
        return ask


def guess(prediction: Prediction, ask: str) -> nodes.Node:
    """Return the form and its key, for a browser alone."""
    inputs = choices(prediction, ask) if prediction.is_choice else written(prediction, ask)
    form = f"<form hidden>{inputs}{END}{''.join(key(prediction))}</form>"
    return addnodes.only("", nodes.raw("", form, format="html"), expr="builder_html")


def choices(prediction: Prediction, ask: str) -> str:
    """Write a button for each choice."""
    options = [
        CHOICE.format(key=escape(key), text=MarkdownIt().renderInline(key))
        for key in prediction.said
    ]
    legend = '<legend class="sr-only">Your guess</legend>'
    return f'<fieldset aria-describedby="{ask}">{legend}{"".join(options)}</fieldset>'


def written(prediction: Prediction, ask: str) -> str:
    """Write the field for a number, a shape or a list."""
    marks = [mark for mark in SAMPLES if mark in prediction.answer]
    isolated = not marks and not prediction.answer.startswith(("-", "−"))
    mode = ' inputmode="decimal"' if isolated else ""  # such a keyboard has no letter and no minus
    size = 24 if marks else 8
    return FIELD.format(label=label(prediction.answer, marks), ask=ask, mode=mode, size=size)


def label(answer: str, marks: list[str]) -> str:
    """Say how many numbers are asked for, and how they are written."""
    if not marks:
        return "Your guess"
    return f"Your guess, {len(answer.split(marks[0]))} numbers such as {SAMPLES[marks[0]]}"


def key(prediction: Prediction) -> Iterator[str]:
    """Write the key where no reader, no search and no screen reader finds it."""
    facts = {"answer": prediction.answer, "near": prediction.near, "cells": prediction.cells}
    data = " ".join(f'data-{name}="{escape(fact)}"' for name, fact in facts.items())
    yield f"<template {data}>"
    for given, words in prediction.said.items():
        yield f'<p data-key="{escape(given)}">{MarkdownIt().renderInline(words)}</p>'
    yield "</template>"


def add_scripts(
    app: Sphinx, page: str, template: str, context: dict[str, object], doctree: nodes.document
) -> None:
    """Load the scripts where there are forms, and nowhere else."""
    if doctree and any("predict" in box["classes"] for box in doctree.findall(nodes.admonition)):
        for name in ("numbers.js", "predict.js"):
            app.add_js_file(name, loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive and the scripts of its pages."""
    app.add_directive("predict", Predict)
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
