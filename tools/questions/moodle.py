"""Moodle's own XML, for the question bank: one category a chapter.

The format: https://docs.moodle.org/en/Moodle_XML_format
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from tools.questions import Chapter, Option, Question, feedback, to_html


def write(chapters: Iterable[Chapter]) -> str:
    """Return one file for the question bank."""
    quiz = Element("quiz")
    for chapter in chapters:
        category = SubElement(quiz, "question", type="category")
        text(SubElement(category, "category"), f"$course$/top/cnncourse/{chapter.title}")
        for question in chapter.questions:
            quiz.append(entry(chapter, question))
    ElementTree.indent(quiz)
    return ElementTree.tostring(quiz, encoding="unicode", xml_declaration=True) + "\n"


def entry(chapter: Chapter, question: Question) -> Element:
    """Write a question: what both kinds have, then what one of them has."""
    node = Element("question", type="numerical" if question.numeric else "multichoice")
    text(SubElement(node, "name"), chapter.label(question))
    text(SubElement(node, "questiontext", format="html"), to_html(question.ask))
    text(SubElement(node, "generalfeedback", format="html"), "")
    facts = {"defaultgrade": "1", "penalty": "0", "hidden": "0", "idnumber": question.id}
    if not question.numeric:
        facts |= {"single": "true", "shuffleanswers": "false", "answernumbering": "abc"}
    for name, value in facts.items():
        SubElement(node, name).text = value
    for option in question.options:
        node.append(answer(chapter, question, option))
    return node


def answer(chapter: Chapter, question: Question, option: Option) -> Element:
    """Write an option with all of the points or none, and what is said to it."""
    layout = "moodle_auto_format" if question.numeric else "html"
    node = Element("answer", fraction="100" if option.right else "0", format=layout)
    SubElement(node, "text").text = option.text if question.numeric else to_html(option.text)
    text(SubElement(node, "feedback", format="html"), feedback(chapter, option))
    if question.numeric:
        SubElement(node, "tolerance").text = f"{option.tolerance:g}"
    return node


def text(node: Element, content: str) -> None:
    """Put a text where Moodle looks for one: in an element of its own."""
    SubElement(node, "text").text = content
