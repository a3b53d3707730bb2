"""Every exercise of every chapter: its words, its check, its two notebooks."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pkgutil import iter_modules

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbgrader.nbgraderformat import MetadataValidator

from cnncourse.checks import chapters, check, exercises
from cnncourse.checks.exercise import Interface, generator
from cnncourse.checks.judge import trials
from cnncourse.checks.run import run
from tests.book.test_book import sections
from tests.exercises.answers import collect
from tools import exercises as tool
from tools.exercises import ROOT, instructor_version, is_current, sources, student_version
from tools.notebooks import number_of

# Checks run as learners run them. jaxtyping's own checks would make them several times slower.
pytestmark = pytest.mark.usefixtures("as_installed")

EXERCISES = list(exercises().values())
SOURCES = sources()
SEEDS = [0, "a secret"]
# Checks that train, or measure on thousands of pictures, take longest: one seed.
LONGEST = ("modern_lenet", "overfit_fifty", "find_fault", "small_network")
RIGHT = [
    (name, answer, seed)
    for name, answer in collect("RIGHT")
    for seed in (SEEDS[1:] if name in LONGEST else SEEDS)
]


def label(value):
    return (
        getattr(value, "name", None)
        or getattr(value, "__name__", None)
        or getattr(value, "stem", None)
    )


# The check against answers.


@pytest.mark.parametrize(("name", "answer", "seed"), RIGHT, ids=label)
def test_check_accepts_right_answer(name, answer, seed):
    report = check(name, answer, seed=seed)
    assert report.passed, report.feedback


@pytest.fixture(scope="session")
def verdicts(request):
    """Judge the wrong answers to every exercise that is tested, as learners run checks.

    In one process of their own: in this one every call would pass jaxtyping.
    """
    tested = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    names = [one["judged"].name for one in tested if "judged" in one]
    # Under coverage this process leaves its data beside the others', which are added up.
    measured = ["-m", "coverage", "run", "--parallel-mode", "--source=cnncourse"]
    runner = measured if request.config.getoption("cov_source", None) else []
    command = [sys.executable, *runner, "-m", "tests.exercises.mutants", "--seeds", "1", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.mark.parametrize("judged", EXERCISES, ids=label)
def test_check_rejects_and_names_every_wrong_answer(judged, verdicts):
    (row,) = re.findall(rf"(?m)^{judged.name} +(\d+) +(\d+) +(\d+) +(\d+)$", verdicts)
    trials, killed, to_name, named = map(int, row)
    lost = re.findall(rf"(?m)^not killed or misnamed: {judged.name}: .*", verdicts)
    assert (killed, named, lost) == (trials, to_name, [])
    assert trials >= 5


@pytest.mark.usefixtures("answers_of_the_course")
@pytest.mark.parametrize("exercise", EXERCISES, ids=label)
def test_check_rejects_a_text_after_it_has_tried_every_mistake(exercise):
    """The mistakes that it knows must not fail on it."""
    report = check(exercise.name, lambda *arguments: "wrong")
    assert not report.passed
    assert report.diagnosis


def passes(name, answer, seed):
    """Give the verdict alone: to name the mistake takes longer than to find it."""
    exercise = exercises()[name]
    cases = exercise.cases(generator(seed, name))
    outcomes = run(exercise, answer, cases)
    return all(trial.is_right() for trial in trials(exercise, cases, outcomes))


@pytest.mark.parametrize(("name", "answer"), collect("EDGES"), ids=label)
def test_no_seed_lets_a_rare_mistake_pass(name, answer):
    assert [seed for seed in range(20) if passes(name, answer, seed)] == []


@pytest.mark.parametrize("exercise", EXERCISES, ids=label)
def test_exercise_has_enough_answers(exercise):
    right = [name for name, _ in collect("RIGHT")]
    wrong = [name for name, _ in collect("WRONG")]
    assert right.count(exercise.name) >= 3
    assert wrong.count(exercise.name) >= 5


# An exercise with a judge and a probe trains a model; its right answers are checked above.
TRAINING = [e for e in EXERCISES if e.probe and e.accepts]


@pytest.mark.usefixtures("answers_of_the_course")
@pytest.mark.parametrize("exercise", [e for e in EXERCISES if e not in TRAINING], ids=label)
def test_check_accepts_reference_for_many_seeds(exercise):
    reports = [check(exercise.name, exercise.reference, seed=seed) for seed in range(5)]
    assert [report.feedback for report in reports if not report.passed] == []


# The words.


@pytest.mark.parametrize("exercise", EXERCISES, ids=label)
def test_exercise_is_described(exercise):
    assert exercise.signature.startswith(f"{exercise.name}(")
    assert exercise.difficulty in ("easy", "medium", "hard")
    assert exercise.minutes > 0
    assert exercise.points > 0
    assert exercise.prerequisites
    assert len(exercise.hints) >= 2
    assert exercise.accepts or exercise.parameters, "without arguments the report would solve it"


TERM = r"(?:[-−√(]|ln\()*\d[\d.,]*[²)]*"
SUM = rf"{TERM}(?: ?[·+−/] ?{TERM})*"
# Not what a letter or an operator stands before: it is the end of something longer.
EQUATION = re.compile(rf"(?<![\w)^])(?<![·+−/=] )({SUM}) = (?=({SUM}))")
SIGNS = {"·": "*", "−": "-", "²": "**2", "√": "sqrt", "ln": "log"}


def value(text):
    """Compute an expression of the prose: thousands have commas, and a sentence may end."""
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text.rstrip(",."))
    text = re.sub(r"√(\d+)", r"√(\1)", text)
    for sign, word in SIGNS.items():
        text = text.replace(sign, word)
    return eval(text, {"__builtins__": {}, "sqrt": math.sqrt, "log": math.log})


def wrong_equations(text):
    """List the equations between numbers that do not hold, to the digits written."""
    wrong = []
    for left, right in EQUATION.findall(" ".join(text.split())):
        decimals = len(right.rstrip(",.").partition(".")[2])
        if abs(value(left) - value(right)) > (0.5 * 10**-decimals if decimals else 1e-9):
            wrong.append(f"{left} = {right}")
    return wrong


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_worked_examples_are_right(path):
    found = [
        one for _, prose, _ in sections(instructor_version(path)) for one in wrong_equations(prose)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("gives 1·1 + 2·2 + 3·(−1) = 2. What", "gives 1·1 + 2·2 + 3·(−1) = 3. What"),
        ("16,000² = 256,000,000;", "16,000² = 256,000,001;"),
        ("so √(2/150) = 0.115.", "so √(2/150) = 0.116."),
        ("about −ln(1/10) = 2.30. When", "about −ln(1/10) = 2.31. When"),
        ("9 · (1/9)² = 1/9.", "9 · (1/9)² = 1/8."),
    ],
)
def test_wrong_equations_are_seen(right, wrong):
    assert wrong_equations(right) == []
    assert len(wrong_equations(wrong)) == 1


def test_names_are_unique():
    modules = [import_module(f"{chapters.__name__}.{name}") for name in chapters.ORDER]
    names = [one.name for module in modules for one in module.EXERCISES]
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_order_is_that_of_the_files():
    found = [module.name for module in iter_modules(chapters.__path__)]
    assert sorted(chapters.ORDER) == found
    places = {f"{number:02d}_{name}" for number, name in enumerate(chapters.ORDER, 1)}
    assert {path.stem for path in [*SOURCES, *(ROOT / "book").glob("[0-9]*.md")]} <= places
    listed = re.findall(r"(?m)^(\w+) \| ", (ROOT / "book/index.md").read_text("utf-8"))
    assert tuple(listed[: len(chapters.ORDER)]) == chapters.ORDER


# The notebooks.


def graded_cells(notebook):
    return [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade")]


def solution_lines(notebook):
    """Return the lines that only the instructor's version may hold."""
    regions = re.compile(r"BEGIN (SOLUTION|HIDDEN TESTS).*?\n(.*?)\n[^\n]*END \1", re.DOTALL)
    text = "\n".join(cell.source for cell in notebook.cells)
    lines = [line.strip() for match in regions.finditer(text) for line in match[2].splitlines()]
    return {line for line in lines if len(line) > 12 and " " in line}


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_student_notebook_is_current(path):
    assert is_current(path), "run `make exercises`"


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_student_notebook_holds_no_solution(path):
    text = nbformat.writes(student_version(path))
    secret = solution_lines(instructor_version(path))
    assert secret
    decoded = text.encode().decode("unicode_escape", errors="ignore")
    assert [line for line in secret if line in text or line in decoded] == []
    assert "CNNCOURSE_SEED" not in text
    assert "Rubric" not in text


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_nbgrader_takes_both_notebooks(path):
    MetadataValidator().validate_nb(instructor_version(path))
    MetadataValidator().validate_nb(student_version(path))


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_chapter_has_two_exercises_and_a_written_question(path):
    cells = graded_cells(instructor_version(path))
    assert sum(cell.cell_type == "code" for cell in cells) >= 2
    written = [cell for cell in cells if cell.cell_type == "markdown"]
    assert written
    assert all("Rubric" in cell.source for cell in written)


def test_every_exercise_stands_in_its_chapter_with_card_and_check():
    pages = {number_of(path.stem): student_version(path).cells for path in SOURCES}
    for one in EXERCISES:
        page = pages[one.chapter]
        (text,) = [cell.source for cell in page if cell.source.startswith(f"## {one.title}\n")]
        for fact in (one.signature, f"{one.minutes} minutes", f"{one.points} point", one.graded):
            assert fact in text.partition("</div>")[0]
        place = [cell.source for cell in page].index(f'check("{one.name}", {one.name})')
        assert f"\ndef {one.signature}:" in f"\n{page[place - 1].source}"
        assert page[place - 1].metadata.nbgrader.grade_id == one.name
        assert page[place].metadata.nbgrader.points == one.points


def errors_of_cells(notebook):
    """Run every code cell in order, on after an error too; name the errors."""
    namespace, names = {"__name__": "__main__"}, []
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        try:
            exec(TransformerManager().transform_cell(cell.source), namespace)
        except Exception as error:
            names.append(type(error).__name__)
    return names


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_unsolved_notebook_runs_from_top_to_bottom(path):
    assert errors_of_cells(student_version(path)) == []


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_hidden_tests_stop_every_stub(path):
    """An unsolved notebook runs, and under nbgrader it earns nothing."""
    stubs, full = student_version(path), instructor_version(path)
    hidden = [cell for cell in graded_cells(full) if cell.cell_type == "code"]
    for stub, cell in zip(stubs.cells, full.cells, strict=True):
        if cell in hidden:
            stub.source = cell.source
    assert errors_of_cells(stubs) == ["AssertionError"] * len(hidden)


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_solved_notebook_passes(path, monkeypatch):
    monkeypatch.setenv("CNNCOURSE_SEED", "a secret")
    assert errors_of_cells(instructor_version(path)) == []


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_hidden_tests_stop_every_wrong_answer(path):
    notebook = instructor_version(path)
    for cell in notebook.cells:
        nbgrader = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "code" and nbgrader.get("solution"):
            cell.source += f"\n\n\n{nbgrader.grade_id} = lambda *arguments: None"
    graded = [cell for cell in graded_cells(notebook) if cell.cell_type == "code"]
    assert errors_of_cells(notebook) == ["AssertionError"] * len(graded)


def test_given_modules_import_no_solution():
    """What runs beside an answer in the sandbox must not need a module that solves exercises."""
    texts = [p.read_text("utf-8") for p in (ROOT / "cnncourse/checks/given").glob("*.py")]
    solving = {e.reference.__module__ for e in EXERCISES}
    assert [module for module in solving for text in texts if module in text] == []
    assert set(Interface.__dataclass_fields__) == {"name", "forbidden", "functions", "probe"}


# The tool.


@pytest.fixture
def workshop(tmp_path, monkeypatch):
    """A folder with one small source and a syllabus, where the tool is at home."""
    (tmp_path / "exercises").mkdir()
    source = tmp_path / "exercises/01_small.md"
    source.write_text(SMALL, "utf-8")
    syllabus = tmp_path / "syllabus.md"
    syllabus.write_text("- Exercises, 7 minutes: `corr2d`, *why?*\n", "utf-8")
    questions = tmp_path / "written.json"
    questions.write_text("[]\n", "utf-8")
    pages = tmp_path / "book/exercises"
    versions = zip((pages, tmp_path / "_build/instructors"), tool.VERSIONS.values(), strict=True)
    for name, value in {
        "ROOT": tmp_path,
        "PAGES": pages,
        "SYLLABUS": syllabus,
        "WRITTEN": questions,
        "VERSIONS": dict(versions),
    }.items():
        monkeypatch.setattr(tool, name, value)
    return source


SMALL = """\
# Exercises: small

```{code-cell} ipython3
from cnncourse import check, hint
```

## corr2d

Say what to do.

```{code-cell} ipython3
def corr2d(x, kernel):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION
```

## In words: why?

Say why.

+++ {"question": "why", "minutes": 5, "difficulty": "no", "points": 1, "needs": "a", "graded": "b"}

<!-- ### BEGIN SOLUTION -->

**Answer.** Because.

**Rubric.** 1 for that.

<!-- ### END SOLUTION -->
"""


def test_tool_fills_in_all_but_the_texts(workshop):
    cells = student_version(workshop).cells
    assert [cell.source.splitlines()[0] for cell in cells] == [
        "# Exercises for chapter 1: small",
        "import sys",
        "from cnncourse import check, hint",
        "## Cross-correlation with two loops",
        "def corr2d(x, kernel):",
        'check("corr2d", corr2d)',
        "## In words: why?",
        "*Your answer here.*",
    ]
    assert cells[0].source.endswith("the same call again\ngives the next.")
    graded = [cell.metadata.nbgrader for cell in cells if "nbgrader" in cell.metadata]
    assert [(one.grade_id, one.get("points")) for one in graded] == [
        ("corr2d", None),
        ("check-corr2d", exercises()["corr2d"].points),
        ("why", 1),
    ]
    card = "Written answer · 5 minutes · no · 1 point\n\n- **You need:** a.\n- **Graded:** b."
    assert cells[6].source.endswith(f"{card}\n\n</div>\n\nSay why.")


def test_tool_writes_both_notebooks_and_the_same_bytes_again(workshop, capsys):
    assert tool.main([]) == 0
    written = sorted(workshop.parent.parent.rglob("*.ipynb"))
    first = [path.read_bytes() for path in written]
    assert tool.main([str(workshop)]) == 0
    assert [path.read_bytes() for path in written] == first
    assert [b"2 * x" in one for one in first] == [True, False]
    assert b"raise NotImplementedError" in first[1]
    assert all(b"google.colab" in one for one in first)
    assert "book/exercises/01_small.ipynb" in capsys.readouterr().out
    minutes = exercises()["corr2d"].minutes + 5
    assert tool.SYLLABUS.read_text("utf-8") == f"- Exercises, {minutes} minutes: `corr2d`, *why?*\n"


def test_tool_writes_what_is_to_know_of_written_answers(workshop):
    tool.main([])
    (one,) = json.loads(tool.WRITTEN.read_text("utf-8"))
    assert one.pop("cell") == student_version(workshop).cells[6].source
    assert one == {
        "name": "why",
        "chapter": 1,
        "title": "In words: why?",
        "points": 1,
        "statement": "Say why.",
        "answer": "Because.",
        "rubric": "1 for that.",
    }
    workshop.write_text(SMALL.replace("**Rubric.**", ""), "utf-8")
    with pytest.raises(ValueError, match=r"lacks \*\*Rubric"):
        tool.questions()


def test_questions_for_the_grader_are_current():
    assert tool.WRITTEN.read_text("utf-8") == tool.questions(), "run `make exercises`"


def test_tool_notices_what_is_out_of_date(workshop, capsys):
    assert tool.main(["--check"]) == 1
    tool.main([])
    assert tool.main(["--check"]) == 0
    workshop.write_text(SMALL.replace("Say what", "Say only what"), "utf-8")
    assert tool.main(["--check"]) == 1
    assert "run `make exercises`" in capsys.readouterr().out
    tool.main([])
    tool.SYLLABUS.write_text("- Exercises, 7 minutes: `corr2d`\n")
    assert tool.stale([]) == [tool.SYLLABUS]
    tool.main([])
    tool.WRITTEN.write_text("[]\n")
    assert tool.stale([]) == [tool.WRITTEN]
    tool.main([])
    workshop.rename(workshop.with_name("02_other.md"))
    found = {path.name for path in tool.stale(tool.sources())}
    assert found == {"02_other.md", "01_small.ipynb", "written.json"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    ### END SOLUTION\n", "", "no end solution"),
        ("## corr2d", "## cor2d", "Did you mean 'corr2d'"),
        ("def corr2d", "def corr3d", "must define one exercise"),
        ("small", "small: ### END HIDDEN TEST", None),
        ("Say what", '+++ {"x": "BEGIN SOLUTION"}\n\na', "`BEGIN SOLUTION` is left"),
    ],
)
def test_tool_refuses_a_source_it_cannot_cut(workshop, old, new, words):
    workshop.write_text(SMALL.replace(old, new), "utf-8")
    if words is None:
        assert student_version(workshop)
        return
    with pytest.raises((RuntimeError, ValueError), match=words):
        student_version(workshop)


def test_tool_refuses_a_file_that_is_no_source(workshop, capsys):
    with pytest.raises(SystemExit):
        tool.main(["nothing.md"])
    assert "not a source of exercises" in capsys.readouterr().err
