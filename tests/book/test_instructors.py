"""The guide for instructors says what is there: commands, files, minutes, chapters, the mapping."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest
from cnncourse_grader import release, store
from nbgrader.apps.nbgraderapp import NbGraderApp

from cnncourse import cli
from cnncourse.checks.chapters import ORDER
from tools.exercises import NAME, ROOT, minutes, with_minutes
from tools.notebooks import chapters

PAGES = sorted((ROOT / "book/instructors").glob("*.md"))
SYLLABUS = (ROOT / "book/instructors/syllabus.md").read_text("utf-8")
TARGETS = re.findall(r"(?m)^([a-z-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"))
BLOCK = re.compile(r"(?ms)^ *```(?:sh|yaml)\n(.*?)^ *```")
INLINE = re.compile(r"`((?:cnncourse|make|nbgrader) [^`\n]+)`")
CALL = re.compile(r"(?m)^\s*(?:- run: )?((?:cnncourse|make|nbgrader) .*)$")


def stem(path: Path) -> str:
    return path.stem


# Commands


def commands(text: str) -> list[str]:
    return [call for block in BLOCK.findall(text) for call in CALL.findall(block)]


def find_bad_commands(text: str) -> list[str]:
    """List the command lines that would be refused, and those in a sentence that do not exist."""
    bad = [call for call in commands(text) if not is_accepted(call)]
    return bad + [call for call in INLINE.findall(BLOCK.sub("", text)) if not exists(call)]


def is_accepted(call: str) -> bool:
    program, *words = shlex.split(call)
    if program != "cnncourse":
        return exists(call)
    try:
        cli.parser(cli.commands()).parse_args(words)
    except SystemExit as stop:
        return stop.code == 0
    return True


def exists(call: str) -> bool:
    """Tell whether the program has such a command, with such options."""
    program, command, *words = shlex.split(call)
    if program == "make":
        return command in TARGETS
    if program == "nbgrader":
        return command in {name.replace("-", "_") for name in NbGraderApp.subcommands}
    (group,) = [
        a for a in cli.parser(cli.commands())._actions if isinstance(a, argparse._SubParsersAction)
    ]
    options = {word for word in words if word.startswith("--")}
    return command in group.choices and options <= set(
        group.choices[command]._option_string_actions
    )


@pytest.mark.parametrize("page", PAGES, ids=stem)
def test_commands_are_accepted(page):
    assert find_bad_commands(page.read_text("utf-8")) == []


def test_commands_are_found():
    calls = "\n".join(call for page in PAGES for call in commands(page.read_text("utf-8")))
    for start in ("cnncourse check", "cnncourse grade", "cnncourse release", "cnncourse train"):
        assert start in calls
    assert "make exercises" in calls
    assert "nbgrader autograde" in calls


@pytest.mark.parametrize(
    "text",
    [
        "```sh\ncnncourse grade submissions --secret x --out grades.csv\n```\n",
        "```sh\ncnncourse grade submissions --seed-file secret.txt\n```\n",
        "```sh\ncnncourse mark submissions\n```\n",
        "  ```sh\n  cnncourse release --chapters three --out handout\n  ```\n",
        "```yaml\n      - run: cnncourse check\n```\n",
        "```sh\nmake exercise\n```\n",
        "```sh\nnbgrader autograding 03\n```\n",
        "then `cnncourse grade --forever` says",
        "then `make exercise` writes",
    ],
)
def test_bad_commands_are_found(text):
    assert len(find_bad_commands(text)) == 1


# Files


def test_archives_have_the_names_on_the_page():
    text = (ROOT / "book/instructors/assign.md").read_text("utf-8")
    for name in (release.STUDENTS, release.INSTRUCTORS, release.AUTOGRADER):
        assert f"`handout/{name}`" in text


def test_table_of_grades_has_the_columns_on_the_page():
    columns = store.table([], ["EXERCISE"], "").strip().split(",")
    assert columns == ["student", "id", "EXERCISE", "total", "max", "late", "status", "look"]
    text = (ROOT / "book/instructors/assign.md").read_text("utf-8")
    row = "`student`, `id`, a column of points for each exercise, `total`, `max`, `late`, `status`"
    assert f"{row}, `look`" in text


@pytest.mark.parametrize("page", PAGES, ids=stem)
def test_links_between_pages_lead_somewhere(page):
    targets = re.findall(r"\]\(([^):#]+)\)", page.read_text("utf-8"))
    assert [name for name in targets if not (page.parent / name).exists()] == []


# Chapters and minutes


def find_wrong_plans(text: str) -> list[str]:
    """List the sessions whose parts do not fill their time."""
    plans = re.findall(r"- In class, (\d+) minutes: (.+?)\n(?=- )", text, re.S)
    return [plan for said, plan in plans if sum(map(int, parts(plan))) != int(said)]


def parts(plan: str) -> list[str]:
    return re.findall(r"(\d+) for\s", plan)


def test_sessions_fill_their_time_and_exercises_theirs():
    assert with_minutes(SYLLABUS) == SYLLABUS, "run `make exercises`"
    assert find_wrong_plans(SYLLABUS) == []
    sessions = len(re.findall(r"(?m)^\*\*(?:Session|Block) \d+, ", SYLLABUS))
    assert SYLLABUS.count("- In class, 90 minutes:") == SYLLABUS.count("- Goals:") == sessions > 0


def test_wrong_plans_are_found():
    plan = "- In class, 90 minutes: 20 for a,\n  {} for b.\n- Exercises"
    assert find_wrong_plans(plan.format(70)) == []
    assert len(find_wrong_plans(plan.format(60))) == 1


def test_syllabus_leads_to_every_chapter_that_is_written():
    rows = re.findall(r"(?m)^\| (?!Chapter|---)[^|]+ \| (.+) \|$", SYLLABUS)
    assert len(rows) == len(ORDER)
    linked = [name for row in rows for name in re.findall(r"\]\(\.\./(\w+)\.ipynb\)", row)]
    assert linked == [path.stem for path in chapters() if path.stem[0].isdigit()]


# The mapping of d2l's exercises


def test_mapping_names_exercises_that_there_are():
    text = (ROOT / "book/instructors/d2l.md").read_text("utf-8")
    rows = re.findall(r"(?m)^\| ([\d., and to]+) \| (.+) \|$", text)
    names = {name or title for _, ours in rows for name, title in NAME.findall(ours)}
    assert rows
    assert names <= set(minutes())
    assert [
        row for row in rows if not NAME.search(row[1]) and not row[1].startswith("none: ")
    ] == []
