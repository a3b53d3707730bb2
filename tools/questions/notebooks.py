"""Notebooks for nbgrader or for a class without a platform, and the answers that come back.

A learner writes ``answers["corner-with-padding"] = "c"``, or a number. The instructor's notebook
holds the key between the markers that nbgrader cuts at; the student's holds none of it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions

from tools.exercises import nbgrader
from tools.questions import Chapter, Option, Question

HOW = """\
# Questions: {title}

Write the letter of one option, or a number: `answers["{example}"] = "a"`. Think, and run
no code. A check below an answer says only whether it is a letter or a number."""
SOLUTION = """\
answers["{id}"] = "?"  # {wanted}
### BEGIN SOLUTION
answers["{id}"] = {key!r}
### END SOLUTION"""
CHOICE = """\
assert answers["{id}"] in list("abcd"), "write the letter of one option"
### BEGIN HIDDEN TESTS
assert answers["{id}"] == {key!r}, {said}.get(answers["{id}"])
### END HIDDEN TESTS"""
NUMBER = """\
float(answers["{id}"])  # write a number
### BEGIN HIDDEN TESTS
assert abs(float(answers["{id}"]) - {key}) <= {tolerance:g}, {said}.get(float(answers["{id}"]))
### END HIDDEN TESTS"""
GIVEN = re.compile(r'(?m)^answers\["([\w-]+)"\] = (.+)$')


def instructor_version(chapter: Chapter) -> NotebookNode:
    """Write a chapter's questions as the source of an assignment."""
    markdown, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    notebook = nbformat.v4.new_notebook()
    notebook.metadata.kernelspec = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    example = next(question.id for question in chapter.questions if not question.numeric)
    intro = HOW.format(title=chapter.title, example=example)
    notebook.cells = [markdown(intro), code("answers = {}")]
    for question in chapter.questions:
        solution, check = code(solved(question)), code(checked(question))
        solution.metadata = nbgrader(f"answer-{question.id}", solution=True)
        check.metadata = nbgrader(f"question-{question.id}", solution=False, points=1)
        notebook.cells += [markdown(asked(chapter, question)), solution, check]
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    return notebook


def student_version(chapter: Chapter) -> NotebookNode:
    """Write the same without the key."""
    notebook = instructor_version(chapter)
    ClearSolutions(code_stub={"python": ""}).preprocess(notebook, {})
    ClearHiddenTests().preprocess(notebook, {})
    for cell in notebook.cells:
        cell.source = cell.source.strip()
    return notebook


def asked(chapter: Chapter, question: Question) -> str:
    """Write a question and its options in Markdown."""
    options = [f"- **{option.key}**: {option.text}" for option in question.options]
    below = [] if question.numeric else ["\n".join(options)]
    return "\n\n".join([f"## {chapter.label(question)}", question.ask.strip(), *below])


def solved(question: Question) -> str:
    """Write the cell that a learner fills."""
    wanted = "a number" if question.numeric else "a, b, c or d"
    return SOLUTION.format(id=question.id, wanted=wanted, key=value(question, question.key))


def checked(question: Question) -> str:
    """Write the cell that gives the point, and says what nbgrader's feedback shows."""
    wrong = [option for option in question.options if not option.right]
    said = {value(question, option): f"{option.name}. {option.why}" for option in wrong}
    key = question.key
    template = NUMBER if question.numeric else CHOICE
    return template.format(
        id=question.id, key=value(question, key), tolerance=key.tolerance, said=said
    )


def value(question: Question, option: Option) -> str | float:
    """Return an option as a learner writes it."""
    return float(option.key) if question.numeric else option.key


def answers(submissions: Path) -> Iterator[tuple[str, str, str]]:
    """Read student, question and option from notebooks that came back; none of them is run.

    The first folder below ``submissions``, or the name of the file, is the student's name.
    """
    for path in sorted(submissions.rglob("*.ipynb")):
        student = path.relative_to(submissions).parts[0].removesuffix(".ipynb")
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                yield from ((student, *given) for given in read(cell.source))


def read(source: str) -> Iterator[tuple[str, str]]:
    """Read the answers that a cell assigns; the last one to a question counts."""
    for question, written in dict(GIVEN.findall(source)).items():
        try:
            answer = str(ast.literal_eval(written.strip()))
        except (ValueError, SyntaxError):
            answer = written.partition("#")[0].strip()
        if answer != "?":
            yield question, answer
