"""One honest answer, one attack and one trick: a break shows in seconds.

The many others are in test_honest.py and test_attacks.py, which `make test-grading` runs.
"""

from __future__ import annotations

import pytest
from attacks import ATTACKS, Host, submissions
from cnncourse_grader.grade import grade
from cnncourse_grader.marks import Grade
from honest import cells
from running import options
from submissions import SECRET, SETUP, notebook
from tricks import TRICKS

ATTACK, TRICK, HONEST = "forged-results", "plain", "compared-with-the-course"


@pytest.fixture(scope="module")
def grades(tmp_path_factory: pytest.TempPathFactory, bubblewrap: None) -> dict[str, Grade]:
    folder = tmp_path_factory.mktemp("quick")
    texts = submissions({ATTACK: ATTACKS[ATTACK]}, Host(str(folder), 9, SECRET))
    texts |= {HONEST: notebook(*cells(HONEST)), TRICK: notebook(SETUP, *TRICKS[TRICK])}
    (folder / "submissions").mkdir()
    for name, text in texts.items():
        (folder / "submissions" / f"{name}.ipynb").write_text(text)
    return {one.student.name: one for one in grade(options(folder, folder / "submissions", jobs=2))}


def test_an_honest_answer_gets_its_point_and_nobody_looks(grades: dict[str, Grade]) -> None:
    grade = grades[HONEST]
    assert (grade.total, grade.status, grade.look) == (1, "graded", ())


@pytest.mark.parametrize("name", [ATTACK, TRICK])
def test_an_attack_and_a_trick_earn_nothing(grades: dict[str, Grade], name: str) -> None:
    assert grades[name].total == 0
