"""The questions: each key is computed, each section is there, each file says what the source says.

The files are read back by readers that have nothing of the code that wrote them.
"""

from __future__ import annotations

import csv
import io
import itertools
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbconvert.preprocessors import ExecutePreprocessor

from tests.tools.keys import COMPUTED, FACTS, QUOTED
from tools import questions
from tools.questions import LETTERS, ROOT, Chapter, Question, __main__, canvas, moodle, notebooks
from tools.questions.files import HEAD, files

CHAPTERS = questions.chapters()
PAIRS = [(chapter, one) for chapter in CHAPTERS for one in chapter.questions]
ALL = {one.id: one for _, one in PAIRS}
each_question = pytest.mark.parametrize(("chapter", "question"), PAIRS, ids=list(ALL))

# Keys


@pytest.mark.parametrize("name", [name for name, one in ALL.items() if one.numeric])
def test_numbers_are_computed(name: str) -> None:
    options = ALL[name].options
    for option, compute in zip(options, COMPUTED[name], strict=True):
        # As many decimals as the key shows.
        assert float(option.text) == pytest.approx(float(compute()), abs=5e-4), option.name


@pytest.mark.parametrize("name", [name for name, one in ALL.items() if not one.numeric])
def test_right_option_holds(name: str) -> None:
    assert FACTS[name]() in (True, ALL[name].key.text)


@pytest.mark.parametrize(("name", "compute"), QUOTED, ids=[name for name, _ in QUOTED])
def test_quoted_numbers_are_measured(name: str, compute: Callable[[], str]) -> None:
    assert compute() in " ".join(" ".join(option.why.split()) for option in ALL[name].options)


def test_a_wrong_number_is_no_key() -> None:
    for one in ALL.values():
        numbers = [float(option.text) for option in one.options] if one.numeric else []
        for first, second in itertools.combinations(numbers, 2):
            assert abs(first - second) > 0.02, one.id


# The source


def test_every_chapter_has_four() -> None:
    assert [len(chapter.questions) for chapter in CHAPTERS] == [4] * len(CHAPTERS)
    written = {path.stem for path in (ROOT / "book").glob("[0-9]*.md")}
    assert {chapter.stem for chapter in CHAPTERS} == written


@each_question
def test_options_are_named_and_answered(chapter: Chapter, question: Question) -> None:
    assert sum(option.right for option in question.options) == 1
    assert question.numeric or len(question.options) == 4
    assert len(question.options) >= 3
    names = [option.name for option in question.options if not option.right]
    assert all(names)
    assert len(set(names)) == len(names)
    assert all(option.why.endswith(".") and option.text for option in question.options)
    assert {option.see for option in question.options} <= set(chapter.sections)


def test_position_and_length_do_not_give_the_key_away() -> None:
    choices = [one for one in ALL.values() if not one.numeric]
    places = Counter(one.key.key for one in choices)
    assert set(places) == set(LETTERS)
    assert max(places.values()) <= len(choices) * 0.4
    longest = [max(one.options, key=lambda option: len(option.text)).right for one in choices]
    assert sum(longest) <= len(choices) / 3


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that breaks a copy of the questions on channels and says what is found."""

    def mistakes(old: str, new: str) -> list[str]:
        text = (ROOT / "questions/05_channels.yml").read_text("utf-8")
        assert text.count(old) >= 1
        copy = tmp_path / "05_channels.yml"
        copy.write_text(text.replace(old, new, 1), "utf-8")
        monkeypatch.setattr(questions, "sources", lambda: [copy])
        return __main__.mistakes()

    return mistakes


def test_mistakes_are_found(broken) -> None:
    assert broken("id: one-by-one", "id: one-by-one") == []
    assert broken("see: the-price-of-a-layer", "see: no-such-section") == [
        "parameters-of-a-layer: 05_channels has no section #no-such-section"
    ]
    assert broken("id: one-by-one", "id: parameters-of-a-layer") == [
        "parameters-of-a-layer: this id is used twice"
    ]
    two = broken("wrong: On all pixels, because it is a dense layer.", "right: On all pixels.")
    assert two == ["one-by-one: exactly one option must be right"]
    with pytest.raises(ValueError, match="one-by-one: 'why' is missing"):
        broken("why: So it compares", "because: So it compares")


# Moodle


def plain(html: str) -> str:
    return " ".join(BeautifulSoup(html, "html.parser").get_text(" ").split())


def words(markdown: str) -> str:
    return plain(questions.to_html(markdown))


@pytest.fixture(scope="module")
def in_moodle() -> dict[str, ElementTree.Element]:
    quiz = ElementTree.fromstring(moodle.write(CHAPTERS))
    nodes = [node for node in quiz.findall("question") if node.get("type") != "category"]
    assert len(quiz.findall("question[@type='category']")) == len(CHAPTERS)
    return {node.findtext("idnumber"): node for node in nodes}


def test_moodle_has_each_question_once(in_moodle) -> None:
    assert list(in_moodle) == list(ALL)


@each_question
def test_moodle_says_the_same(in_moodle, chapter: Chapter, question: Question) -> None:
    node = in_moodle[question.id]
    assert node.get("type") == ("numerical" if question.numeric else "multichoice")
    assert node.findtext("name/text") == chapter.label(question)
    assert plain(node.findtext("questiontext/text")) == words(question.ask)
    assert question.numeric or node.findtext("shuffleanswers") == "false"
    assert question.numeric or node.findtext("single") == "true"
    found = node.findall("answer")
    for answer, option in zip(found, question.options, strict=True):
        assert answer.get("fraction") == ("100" if option is question.key else "0")
        assert plain(answer.findtext("text")) == words(option.text)
        assert not question.numeric or float(answer.findtext("tolerance")) == option.tolerance
        assert says(answer.findtext("feedback/text"), chapter, option)


def says(html: str, chapter: Chapter, option: questions.Option) -> bool:
    """Tell whether a feedback has the reason, the name and the link of an option."""
    link = BeautifulSoup(html, "html.parser").a["href"]
    right_place = link.endswith(f"/book/{chapter.stem}.html#{option.see}")
    return right_place and words(option.why) in plain(html) and option.name in plain(html)


# Canvas


@pytest.fixture(scope="module")
def package() -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(canvas.write(CHAPTERS)))


def tree(package: zipfile.ZipFile, name: str) -> ElementTree.Element:
    """Read a file of the package, without its namespaces."""
    root = ElementTree.fromstring(package.read(name))
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
    return root


def test_canvas_package_lists_its_files(package) -> None:
    resources = tree(package, "imsmanifest.xml").findall("resources/resource")
    listed = [file.get("href") for one in resources for file in one.findall("file")]
    assert sorted([*listed, "imsmanifest.xml"]) == sorted(package.namelist())
    names = [one.get("identifier") for one in resources]
    needed = {one.get("identifierref") for r in resources for one in r.findall("dependency")}
    assert len(set(names)) == len(names) == 2 * len(CHAPTERS)
    assert needed < set(names)
    assert {one.get("type") for one in resources} == {"imsqti_xmlv1p2", canvas.META}


@pytest.fixture(scope="module")
def items(package) -> dict[str, ElementTree.Element]:
    quizzes = [name for name in package.namelist() if name.count("cnncourse") == 2]
    found = [item for name in quizzes for item in tree(package, name).iter("item")]
    return {item.get("ident"): item for item in found}


def test_canvas_has_each_question_once(items) -> None:
    assert list(items) == list(ALL)
    labels = [
        label.get("ident") for item in items.values() for label in item.iter("response_label")
    ]
    choices = [label for label in labels if label != "answer1"]
    assert len(set(choices)) == len(choices)


def spoken(item: ElementTree.Element) -> dict[str, str]:
    return {one.get("ident"): one.findtext(".//mattext") for one in item.findall("itemfeedback")}


@each_question
def test_canvas_says_the_same(items, chapter: Chapter, question: Question) -> None:
    item, kind = items[question.id], "numerical" if question.numeric else "multiple_choice"
    fields = {
        f.findtext("fieldlabel"): f.findtext("fieldentry") for f in item.iter("qtimetadatafield")
    }
    assert fields["question_type"] == f"{kind}_question"
    assert fields["points_possible"] == "1.0"
    assert plain(item.findtext("presentation/material/mattext")) == words(question.ask)
    linked = {one.get("linkrefid") for one in item.iter("displayfeedback")}
    assert linked == set(spoken(item))
    (key,) = [rule for rule in item.iter("respcondition") if rule.find("setvar") is not None]
    assert key.findtext("setvar") == "100"
    check = canvas_number if question.numeric else canvas_choice
    check(item, key, chapter, question)


def canvas_choice(item, key, chapter: Chapter, question: Question) -> None:
    labels = {one.get("ident"): one.findtext(".//mattext") for one in item.iter("response_label")}
    assert [plain(text) for text in labels.values()] == [words(o.text) for o in question.options]
    taken = key.findtext("conditionvar/varequal")
    assert list(labels).index(taken) == question.options.index(question.key)
    said = {
        rule.findtext("conditionvar/varequal"): rule.find("displayfeedback").get("linkrefid")
        for rule in item.iter("respcondition")
        if rule.get("continue") == "Yes"
    }
    for name, option in zip(labels, question.options, strict=True):
        assert says(spoken(item)[said[name]], chapter, option)


def canvas_number(item, key, chapter: Chapter, question: Question) -> None:
    low, high = (float(key.findtext(f".//{bound}")) for bound in ("vargte", "varlte"))
    right = question.key
    assert float(key.findtext(".//varequal")) == float(right.text)
    assert (high + low) / 2 == pytest.approx(float(right.text))
    assert (high - low) / 2 == pytest.approx(right.tolerance)
    said = spoken(item)
    assert says(said["correct_fb"], chapter, right)
    for option in question.options[1:]:
        assert option.name in plain(said["general_incorrect_fb"])


# Notebooks


def run(notebook: nbformat.NotebookNode) -> list[str]:
    """Run a notebook to its end, and return the ids of the questions whose check fails."""
    ExecutePreprocessor(timeout=60, allow_errors=True).preprocess(notebook, {})
    return [
        cell.metadata.nbgrader.grade_id.removeprefix("question-")
        for cell in notebook.cells
        if cell.metadata.get("nbgrader", {}).get("grade")
        and any(output.output_type == "error" for output in cell.outputs)
    ]


def test_instructors_notebook_gives_all_points_and_takes_those_of_a_wrong_answer() -> None:
    chapter = next(one for one in CHAPTERS if one.stem == "04_padding_stride")
    notebook = notebooks.instructor_version(chapter)
    nbformat.validate(notebook)
    changed = {"windows-on-thirty": ("15.0", "16.0"), "corner-with-padding": ("'c'", "'a'")}
    for cell in notebook.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "").removeprefix("answer-")
        if grade_id in changed:
            assert changed[grade_id][0] in cell.source
            cell.source = cell.source.replace(*changed[grade_id])
    assert run(notebook) == list(changed)
    errors = [o.evalue for cell in notebook.cells for o in cell.get("outputs", [])]
    assert errors[0].startswith("the size is rounded up.")


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_students_notebook_holds_no_key(chapter: Chapter) -> None:
    text = nbformat.writes(notebooks.student_version(chapter))
    for hidden in ("BEGIN", "SOLUTION", "HIDDEN"):
        assert hidden not in text
    code = [c.source for c in notebooks.student_version(chapter).cells if c.cell_type == "code"]
    for question in chapter.questions:
        assert sum(f'answers["{question.id}"] = "?"' in source for source in code) == 1
        for option in question.options:
            assert option.why not in text
            assert not option.name or option.name not in "\n".join(code)


def test_answers_are_read_and_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ann").mkdir()
    notebook = nbformat.v4.new_notebook()
    sources = [
        "raise SystemExit",
        'answers["corner-with-padding"] = "a"\nanswers["corner-with-padding"] = "c"  # sure',
        'answers["windows-on-thirty"] = 15',
        'answers["size-before-the-layer"] = "?"',
        'answers["place-from-the-border"] = b',
    ]
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(notebook, tmp_path / "ann/04.ipynb")
    nbformat.write(notebook, tmp_path / "ben.ipynb")
    assert __main__.main(["--answers", str(tmp_path)]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    ann = [row[1:] for row in rows if row[0] == "ann"]
    assert rows[0] == list(HEAD)
    assert ann == [
        ["corner-with-padding", "c"],
        ["windows-on-thirty", "15"],
        ["place-from-the-border", "b"],
    ]
    assert [row[0] for row in rows[1:]] == ["ann"] * 3 + ["ben"] * 3


# Tables


def test_key_names_every_option() -> None:
    rows = list(csv.DictReader(io.StringIO(files()["key.csv"].decode())))
    for question in ALL.values():
        ours = [row for row in rows if row["question"] == question.id]
        assert [row["option"] for row in ours] == [option.key for option in question.options]
        assert [row["misconception"] for row in ours if row["right"] == "1"] == [""]
        widths = [str(option.tolerance) if question.numeric else "" for option in question.options]
        assert [row["tolerance"] and str(float(row["tolerance"])) for row in ours] == widths


def test_sheet_asks_for_every_question() -> None:
    rows = list(csv.reader(io.StringIO(files()["answers.csv"].decode())))
    assert rows == [list(HEAD), *(["NAME", name, ""] for name in ALL)]


def test_files_of_one_chapter_hold_no_other() -> None:
    some = files(["05_channels"])
    assert {name for name in some if name.endswith(".ipynb")} == {
        "nbgrader/05_channels.ipynb",
        "students/05_channels.ipynb",
    }
    moodle_ids = {name for name in ALL if f">{name}<" in some["moodle.xml"].decode()}
    (channels,) = questions.chapters(["05_channels"])
    assert moodle_ids == {one.id for one in channels.questions}
