"""What is said of a class: counts, examples, no names where the class may look."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace

from cnncourse_grader import classroom
from cnncourse_grader.collect import Student
from cnncourse_grader.marks import Grade, Mark, Written

RIGHT = Mark("corr2d", "Two loops", 1.0, 1.0, "", "", shape="52-aa")
CASE = (("x", "[[1, 2]]"), ("got", "<b>"))
FLIP = Mark(
    "corr2d", "Two loops", 0.0, 1.0, "", "", "flipped", "It looks `flipped`.", CASE, "52-bb"
)
CRASH = replace(FLIP, diagnosis="crash", reason="It stopped.", case=(), shape="")
STUB = replace(FLIP, diagnosis="stub", reason="Not solved yet.", case=(), shape="")  # fmt: skip
MARKS = {"ann": RIGHT, "bo": RIGHT, "cy": FLIP, "di": FLIP, "ed": CRASH, "flo": STUB}


def grades(**marks: Mark) -> list[Grade]:
    return [
        Grade(Student(name, "7"), "", (mark,), seconds=n)
        for n, (name, mark) in enumerate(marks.items())
    ]


CLASS = grades(**MARKS)
REFUSED = Grade(Student("gus"), "", (STUB,), "refused: x", graded=False)


def test_the_page_counts_and_shows_an_example_of_each_mistake() -> None:
    page = classroom.page([*CLASS, REFUSED])
    assert "6 of 7 submissions could be graded" in page
    assert "<td>5</td><td>2 of 6</td>" in page
    assert "33%" in page
    first, second = re.findall(r"<h3>(.+?)</h3>", page)
    assert first == "2 students: It looks <code>flipped</code>."
    assert second == "1 student: It stopped."
    assert "[[1, 2]]" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "1 student: no answer." in page
    assert "the longest 5.0 s (median and maximum of 5)" in page


def test_the_page_for_the_class_has_no_name_and_reaches_no_other_host() -> None:
    page = classroom.page(CLASS)
    assert [name for name in MARKS if re.search(rf"\b{name}\b", page)] == []
    assert not {"<script", "<img", "<link", "://"} & set(
        re.findall(r"<script|<img|<link|://", page)
    )


def test_the_picture_says_in_words_what_it_shows() -> None:
    page = classroom.page(CLASS)
    assert 'aria-label="Students by points, of 1: lowest 0, median 0, highest 1."' in page
    assert page.count('<rect class="bar" x=') == 2
    assert ">4</text>" in page
    assert ">2</text>" in page


def test_marked_answers_have_a_mean() -> None:
    marked = [
        replace(grade, written=(Written("q", "Why?", points, 3.0),))
        for grade, points in zip(CLASS, (3, 2, 2, 1, 0, 0), strict=True)
    ]
    assert "<td>1.3 of 3</td>" in classroom.page(marked)


def test_a_class_without_a_grade_has_a_page() -> None:
    assert "0 of 1 submissions" in classroom.page([REFUSED])


def test_equal_answers_are_listed_with_names_and_a_warning() -> None:
    page = classroom.alike(CLASS)
    rows = re.findall(r'<tr><th scope="row">(.+?)</td></tr>', page, re.DOTALL)
    assert len(rows) == 2
    assert any("2 of 4" in row and "ann 7<br>bo 7" in row for row in rows)
    assert "a short function has few ways to be written" in page
    assert "cheat" not in page.lower()
    assert "No two answers are equal." in classroom.alike(CLASS[1:3])


def test_what_was_measured_is_listed_best_first_without_names() -> None:
    def reached(accuracy: str, points: float) -> Mark:
        facts = (("test accuracy", accuracy), ("parameters", "<9>"))
        return replace(RIGHT, points=points, most=10.0, facts=facts)

    page = classroom.page(grades(ann=reached("0.8512", 5.0), bo=reached("0.9310", 10.0), cy=FLIP))
    (table,) = re.findall(
        r"<table>\n<caption>Two loops: what the answers reached.*?</table>", page, re.S
    )
    assert re.findall(r"0\.\d{4}", table) == ["0.9310", "0.8512"]
    assert "&lt;9&gt;" in table
    assert "<td>3</td><td>2 of 3</td>" in page  # half of the points is right too
    assert re.search(r"\b(ann|bo|cy)\b", page) is None


def test_nothing_is_listed_where_nothing_was_measured() -> None:
    assert "what the answers reached" not in classroom.page(CLASS)


def test_a_mark_with_facts_comes_back_from_data() -> None:
    mark = replace(RIGHT, points=5.0, most=10.0, facts=(("test accuracy", "0.8512"),), case=CASE)
    again = Mark.from_dict(json.loads(json.dumps(asdict(mark))))
    assert again == mark
    assert again.passed
