"""Write the exercise notebooks from their one source, exercises/NN_topic.md.

    python -m tools.exercises                 write every chapter's two notebooks
    python -m tools.exercises exercises/03_cross_correlation.md
    python -m tools.exercises --check         write nothing; say which are out of date

A source holds statements and solutions. What the ``Exercise`` of that name knows is filled in: the
heading ``## corr2d`` becomes its title and a card, and the cell with the solution gets its grade_id
and is followed by the check with its points. A question has its facts in the metadata of its
answer.

The learner's notebook, book/exercises/NN_topic.ipynb, is a page of the book: solutions are cut to
stubs, hidden tests and rubrics are cut out. The instructor's, _build/instructors/NN_topic.ipynb,
keeps them, with the markers that nbgrader cuts at: it can be handed to `nbgrader` as it is. Whoever
marks written answers elsewhere finds questions, model answers and rubrics in what the grader reads,
grader/cnncourse_grader/written.json. Nothing is executed, so two runs give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions

from cnncourse import checks
from cnncourse.checks import find
from tools.notebooks import ROOT, linked, number_cells, number_of, read_text, write

PAGES = ROOT / "book/exercises"
WRITTEN = ROOT / "grader/cnncourse_grader/written.json"
SYLLABUS = ROOT / "book/instructors/syllabus.md"
HEADING = re.compile(r"(?m)^## (\w+)$")
QUESTION = re.compile(r"(?ms)^## In words: ([^\n]+)$.*?^\+\+\+ (\{[^\n]+\})$")
# In a list for instructors: an exercise by its function, or a question by its title.
NAME = re.compile(r"`(\w+)`|\*([^*]+)\*")
MARKERS = ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN TESTS", "END HIDDEN TESTS")
CODE_STUB = "# your code here\nraise NotImplementedError"
TEXT_STUB = "*Your answer here.*"
HOW = """\
Write each function where the stub stands, and run the cell below it. The check tries your function
on many inputs. When one fails, it shows you the smallest, with what was expected and what came;
≠ marks numbers that differ. Do not change what you are given. Tensors may lie in memory in any
order: use `reshape`, not `view`. Stuck? `hint("{name}")` gives a first hint; the same call again
gives the next."""
CARD = """\
<div class="exercise-card">

{answer} · {minutes} minutes · {difficulty} · {points} point{s}

- **You need:** {needs}.
- **Graded:** {graded}.

</div>"""
CHECK = """\
check("{name}", {name})
### BEGIN HIDDEN TESTS
import os

report = check("{name}", {name}, seed=os.environ.get("CNNCOURSE_SEED", 1))
assert report.passed, report.feedback
### END HIDDEN TESTS"""


def sources() -> list[Path]:
    """List the chapters that have exercises, in order."""
    return sorted((ROOT / "exercises").glob("[0-9]*.md"))


def instructor_version(path: Path) -> NotebookNode:
    """Read a source as a notebook, with cards, checks and all that nbgrader wants to know."""
    notebook = read_text(path, PAGES)
    names = HEADING.findall("\n".join(cell.source for cell in notebook.cells))
    begin(notebook.cells[0], number_of(path.stem), names[0])
    for above, cell in pairwise(notebook.cells):
        if "question" in cell.metadata:
            ask(cell, above)
    notebook.cells = [one for cell in notebook.cells for one in filled_in(cell)]
    number_cells(notebook)
    return notebook


def begin(cell: NotebookNode, number: int | str, name: str) -> None:
    """Put the number into the title of a page, and say how its exercises work."""
    title = cell.source.replace("Exercises:", f"Exercises for chapter {number}:", 1)
    cell.source = f"{title}\n\n{HOW.format(name=name)}"


def filled_in(cell: NotebookNode) -> list[NotebookNode]:
    """Return a cell with title and card for each exercise it opens, or with the check behind it."""
    if cell.cell_type == "code":
        return [cell, checked(cell)] if "### BEGIN SOLUTION" in cell.source else [cell]
    cell.source = HEADING.sub(lambda match: introduced(match[1]), cell.source)
    return [cell]


def introduced(name: str) -> str:
    """Write title and card of an exercise."""
    one = find(name)
    known = {key: getattr(one, key) for key in ("minutes", "difficulty", "points", "graded")}
    needs = ", ".join(one.prerequisites)
    return f"## {one.title}\n\n{card(f'`{one.signature}`', known | {'needs': needs})}"


def card(answer: str, facts: dict) -> str:
    """Write what a learner wants to know before the first line: HTML around plain Markdown."""
    s = "" if facts["points"] == 1 else "s"
    return linked(CARD.format(answer=answer, s=s, **facts), PAGES)


def ask(answer: NotebookNode, below: NotebookNode) -> None:
    """Turn the facts of a question into the metadata of its answer and the card above it."""
    facts = dict(answer.metadata)
    answer.metadata = nbgrader(facts.pop("question"), solution=True, points=facts["points"])
    heading, _, statement = below.source.partition("\n")
    below.source = f"{heading}\n\n{card('Written answer', facts)}\n{statement}"


def checked(solution: NotebookNode) -> NotebookNode:
    """Mark the cell of a solution, and return the cell that checks it."""
    defined = re.findall(r"(?m)^def (\w+)\(", solution.source)
    names = [name for name in defined if name in checks.names()]
    if len(names) != 1:
        raise ValueError(f"a cell with a solution must define one exercise, got {defined}")
    (name,) = names
    solution.metadata = nbgrader(name, solution=True)
    check = nbformat.v4.new_code_cell(CHECK.format(name=name))
    check.metadata = nbgrader(f"check-{name}", solution=False, points=find(name).points)
    return check


def nbgrader(name: str, *, solution: bool, points: int | None = None) -> NotebookNode:
    """Return a cell's metadata: whether a learner writes into it, and its points if it has any."""
    of_cell = {"schema_version": 3, "grade_id": name, "solution": solution, "task": False}
    grade = {"grade": False} if points is None else {"grade": True, "points": points}
    return NotebookNode(nbgrader=NotebookNode(of_cell, locked=not solution, **grade))


def student_version(path: Path) -> NotebookNode:
    """Read a source and cut out what a learner must not see."""
    notebook = instructor_version(path)
    ClearSolutions(code_stub={"python": CODE_STUB}, text_stub=TEXT_STUB).preprocess(notebook, {})
    ClearHiddenTests().preprocess(notebook, {})
    for cell in notebook.cells:
        cell.source = cell.source.strip()
    if left := [marker for marker in MARKERS if marker in nbformat.writes(notebook)]:
        raise ValueError(f"{path.name}: `{left[0]}` is left in the learner's notebook")
    return notebook


def questions() -> str:
    """Return what is to know of every written answer, as JSON."""
    found = [
        written(path, cell, above)
        for path in sources()
        for above, cell in pairwise(instructor_version(path).cells)
        if cell.cell_type == "markdown" and cell.metadata.get("nbgrader")
    ]
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def written(path: Path, answer: NotebookNode, below: NotebookNode) -> dict:
    """Return what is to know of one written answer; ``cell`` is what a learner gets above it."""
    heading, _, statement = below.source.partition("\n")
    solution = re.sub(r"<!-- ### \w+ SOLUTION -->", "", answer.source)
    model, _, rubric = solution.partition("**Rubric.**")
    if not rubric:
        raise ValueError(f"{path.name}: an answer lacks **Rubric.**: {heading}")
    return {
        "name": answer.metadata.nbgrader.grade_id,
        "chapter": int(path.stem.partition("_")[0]),
        "title": heading.removeprefix("## "),
        "points": answer.metadata.nbgrader.points,
        "statement": statement.partition("</div>")[2].strip(),
        "answer": model.replace("**Answer.**", "").strip(),
        "rubric": rubric.strip(),
        "cell": below.source,
    }


def with_minutes(syllabus: str) -> str:
    """Write the sum of the minutes in front of each list of exercises in the syllabus."""
    known = minutes()

    def total(match: re.Match[str]) -> str:
        together = sum(known[name or title] for name, title in NAME.findall(match[1]))
        return f"- Exercises, {together} minutes: {match[1]}"

    return re.sub(r"- Exercises, \d+ minutes: (.+)", total, syllabus)


def minutes() -> dict[str, int]:
    """Return what each exercise takes, by its name, and each question, by its title."""
    asked = [QUESTION.findall(path.read_text("utf-8")) for path in sources()]
    questions = {title: json.loads(facts)["minutes"] for page in asked for title, facts in page}
    return {name: find(name).minutes for name in checks.names()} | questions


# Folder of each version -> how it is made.
VERSIONS: dict[Path, Callable[[Path], NotebookNode]] = {
    PAGES: student_version,
    ROOT / "_build/instructors": instructor_version,
}


def build(path: Path) -> None:
    """Write both notebooks of one chapter."""
    for folder, version in VERSIONS.items():
        folder.mkdir(parents=True, exist_ok=True)
        write(version(path), folder / f"{path.stem}.ipynb")


def is_current(path: Path) -> bool:
    """Tell whether the learner's notebook is what the source gives."""
    target = PAGES / f"{path.stem}.ipynb"
    wanted = nbformat.writes(student_version(path))
    return target.exists() and target.read_text("utf-8").rstrip("\n") == wanted.rstrip("\n")


def stale(paths: list[Path]) -> list[Path]:
    """List what is out of date: notebooks, those without a source, the syllabus, questions."""
    wanted = {path.stem for path in sources()}
    orphans = [path for path in sorted(PAGES.glob("*.ipynb")) if path.stem not in wanted]
    syllabus = SYLLABUS.read_text("utf-8")
    outdated = [SYLLABUS] if syllabus != with_minutes(syllabus) else []
    outdated += [WRITTEN] if WRITTEN.read_text("utf-8") != questions() else []
    return [path for path in paths if not is_current(path)] + orphans + outdated


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.exercises",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("texts", nargs="*", type=Path, help="sources (default: all in exercises/)")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if out of date")
    options = parser.parse_args(arguments)
    texts = [path.resolve() for path in options.texts] or sources()
    if missing := [path for path in texts if path.suffix != ".md" or not path.is_file()]:
        parser.error(f"not a source of exercises: {', '.join(map(str, missing))}")
    return report(stale(texts)) if options.check else build_all(texts)


def report(paths: list[Path]) -> int:
    """Name what is out of date and the command that mends it."""
    for path in paths:
        print(f"{path.relative_to(ROOT)} does not say what the exercises say: run `make exercises`")
    return 1 if paths else 0


def build_all(paths: list[Path]) -> int:
    """Write the notebooks of these sources, the sums of the syllabus and the questions."""
    for path in paths:
        build(path)
        for folder in VERSIONS:
            print((folder / f"{path.stem}.ipynb").relative_to(ROOT))
    SYLLABUS.write_text(with_minutes(SYLLABUS.read_text("utf-8")), "utf-8")
    WRITTEN.write_text(questions(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
