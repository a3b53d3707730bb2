"""Written answers: found wherever they stand, read without names, merged or refused."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from cnncourse_grader import written
from cnncourse_grader.collect import Student, Submission
from submissions import SECRET

from cnncourse.checks.notebook import Notebook, Text, read_notebook

ONE, TWO = written.questions_of([3])
STUB = Text(ONE.name, written.STUB)
BELOW = Text("", "## In words: how small can a derivative be?\n\nStatement.")
ABOVE = Text("", ONE.cell)


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([ABOVE, Text(ONE.name, "Mine.")], "Mine."),
        ([Text(ONE.name, "Mine."), BELOW, ABOVE], "Mine."),
        ([ABOVE, STUB, Text("", "Mine."), BELOW], "Mine."),
        ([ABOVE, Text("", "Mine."), Text("", "# More"), BELOW], "Mine.\n\n# More"),
        ([Text("", f"{ONE.cell}\n\nMine, below the question.")], "Mine, below the question."),
        ([Text("", f"#  {ONE.title.upper()}"), Text("", "Mine.")], "Mine."),
        ([ABOVE, STUB, BELOW, Text("", "Of the next one.")], ""),
        ([ABOVE, STUB, Text(TWO.name, "Of the next one.")], ""),
        ([Text("", "Nothing to do with it.")], ""),
    ],
    ids=["place", "moved", "below", "replaced", "inside", "heading", "stub", "next", "none"],
)  # fmt: skip
def test_an_answer_is_found_by_name_and_by_heading(texts: list[Text], found: str) -> None:
    assert written.written_answer(texts, ONE) == found


def test_every_answer_of_the_released_notebooks_is_a_stub() -> None:
    folder = Path(__file__).parents[2] / "book/exercises"
    for path in sorted(folder.glob("*.ipynb")):
        notebook = read_notebook(path.name, path.read_bytes())
        questions = written.questions_of([int(path.name[:2])])
        assert questions
        names = {text.name for text in notebook.texts}
        assert [one.name for one in questions if one.name not in names] == []
        assert [one.name for one in questions if written.written_answer(notebook.texts, one)] == []


def handed_in(name: str, **texts: str) -> Submission:
    cells = tuple(Text(key.replace("_", "-"), text) for key, text in texts.items())
    return Submission(Student(name), (Notebook("03.ipynb", (), cells),))


CLASS = [
    handed_in("ann", diagonal_edges="Ann's <b>", derivative_size="Two."),
    handed_in("bo", diagonal_edges="Bo's ![](x.png)"),
    handed_in("cy"),
    Submission(Student("di"), refused="no notebook"),
]
ANSWERS = written.answers_of(CLASS, [ONE, TWO], SECRET)


def test_the_page_has_all_answers_and_no_name() -> None:
    page = written.page(ANSWERS, [ONE, TWO], len(CLASS))
    assert "Ann&#x27;s &lt;b&gt;" in page
    assert "2 of 4 students wrote an answer" in page
    assert "1 for the place and the sign in (a)" in page
    assert page.count("A picture belongs to this answer") == 1
    assert "://" not in page
    keys = [one.key for one in ANSWERS]
    assert len(set(keys)) == 3
    assert [key for key in keys if f"Answer {key}</h3>" not in page] == []


def test_the_order_is_that_of_another_seed_and_not_of_the_names() -> None:
    many = [handed_in(f"student {n:02}", diagonal_edges="x") for n in range(20)]
    orders = [
        [one.student.name for one in written.answers_of(many, [ONE], seed)]
        for seed in (SECRET, SECRET, "another-seed-of-20-letters")
    ]
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != sorted(orders[0])


def table(folder: Path, *points: str, comment: str = "") -> Path:
    path = folder / "written.csv"
    path.unlink(missing_ok=True)
    written.offer(path, ANSWERS)
    rows = list(csv.reader(path.read_text().splitlines()))
    for row, value in zip(rows[1:], points, strict=True):
        row[2], row[4] = value, comment
    path.write_text("".join(f"{','.join(row)}\n" for row in rows))
    return path


def test_a_filled_table_gives_points_and_comments(tmp_path: Path) -> None:
    marks = written.read(table(tmp_path, "3", "2.5", "0", comment="Why?"), ANSWERS, [ONE, TWO])
    given = {(one.student, one.question): p for one, p in zip(ANSWERS, (3, 2.5, 0), strict=True)}
    assert {student.name for student in marks} == {"ann", "bo"}
    for student, (first, second) in marks.items():
        assert first.points == given[student, ONE]
        assert (first.most, first.comment) == (3, "Why?")
        assert second.points == given.get((student, TWO), 0)
    assert marks[Student("bo")][1].comment == "Nothing was written."


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ("", "row 3: the points of answer {key} must be a number from 0 to 3, got nothing"),
        ("4", "row 3: the points of answer {key} must be a number from 0 to 3, got '4'"),
        ("-1", "from 0 to 3, got '-1'"),
        ("nan", "from 0 to 3, got 'nan'"),
        ("two", "from 0 to 3, got 'two'"),
    ],
)
def test_points_that_cannot_be_are_named(tmp_path: Path, points: str, says: str) -> None:
    with pytest.raises(ValueError, match="nothing was merged") as error:
        written.read(table(tmp_path, "1", points, "1"), ANSWERS, [ONE, TWO])
    assert says.format(key=ANSWERS[1].key) in str(error.value)


def test_every_fault_is_named(tmp_path: Path) -> None:
    path = table(tmp_path, "9", "", "1")
    lines = path.read_text().replace(ANSWERS[2].key, "qqqqqqqq").splitlines()
    path.write_text("\n".join([*lines, lines[1].replace(ONE.name, TWO.name)]))
    with pytest.raises(ValueError, match="nothing was merged") as error:
        written.read(path, ANSWERS, [ONE, TWO])
    said = str(error.value)
    for part in (
        "row 2: the points",
        "row 3: the points",
        "row 4: 'qqqqqqqq' is no answer of this run",
        f"row 5: answer {ANSWERS[0].key} belongs to 'diagonal-edges', got 'derivative-size'",
        f"answer {ANSWERS[0].key} has more than one row",
        f"answer {ANSWERS[2].key} to 'derivative-size' has no row",
    ):
        assert part in said


def test_a_table_without_its_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "written.csv"
    path.write_text("student,points\nann,3\n")
    with pytest.raises(ValueError, match="missing: answer, comment, max, question"):
        written.read(path, ANSWERS, [ONE, TWO])
    assert "must have the columns" in written.offer(path, ANSWERS)[0]
    assert path.read_text() == "student,points\nann,3\n"


def test_a_spreadsheets_table_is_read(tmp_path: Path) -> None:
    path = table(tmp_path, "1.5", "2", "1")
    text = path.read_text().replace(",", ";").replace("1.5", "1,5").replace("\n", "\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    marks = written.read(path, ANSWERS, [ONE, TWO])
    assert marks[ANSWERS[0].student][0].points == 1.5


def test_a_table_that_is_there_keeps_what_was_written_into_it(tmp_path: Path) -> None:
    path = table(tmp_path, "3", "2", "1")
    before = path.read_text()
    assert written.offer(path, ANSWERS) == []
    assert path.read_text() == before
    more = written.answers_of([*CLASS, handed_in("ed", diagonal_edges="Ed's")], [ONE, TWO], SECRET)
    assert written.offer(path, more) == [
        "written.csv: 1 rows added for answers that were not there before"
    ]
    assert path.read_text().startswith(before)
    assert path.read_text().splitlines()[4].endswith(",diagonal-edges,,3,")


def test_a_key_is_no_number_for_a_spreadsheet() -> None:
    assert [one.key for one in ANSWERS if not one.key.isalpha()] == []
