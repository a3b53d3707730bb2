"""The guide for instructors says what is there: commands, files, minutes, chapters, the mapping."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from cnncourse_grader import release, store
from nbgrader.apps.nbgraderapp import NbGraderApp

from cnncourse import checks, cli
from tools.exercises import ROOT, sources

PAGES = sorted((ROOT / "book/instructors").glob("*.md"))
SYLLABUS = (ROOT / "book/instructors/syllabus.md").read_text("utf-8")
TARGETS = re.findall(r"(?m)^([a-z]+):.*## ", (ROOT / "Makefile").read_text("utf-8"))
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
    assert columns == ["student", "id", "EXERCISE", "total", "max", "status"]
    text = (ROOT / "book/instructors/assign.md").read_text("utf-8")
    row = "`student`, `id`, a column of points for each exercise, `total`, `max`, `status`"
    assert row in text


@pytest.mark.parametrize("page", PAGES, ids=stem)
def test_links_between_pages_lead_somewhere(page):
    targets = re.findall(r"\]\(([^):#]+)\)", page.read_text("utf-8"))
    assert [name for name in targets if not (page.parent / name).exists()] == []


# Chapters and minutes

# Title of a written exercise, after "In words: ", and its minutes.
WRITTEN = re.compile(r"(?m)^## In words: (.+)\n\nwritten answer · (\d+) minutes")


def minutes() -> dict[str, int]:
    """Return what each exercise is expected to take, by function name or by title."""
    written = {
        title: int(number)
        for path in sources()
        for title, number in WRITTEN.findall(path.read_text("utf-8"))
    }
    return {one.name: one.minutes for one in map(checks.find, checks.names())} | written


def find_wrong_minutes(text: str, known: dict[str, int]) -> list[str]:
    """List the sessions whose exercises take another time, or do not exist."""
    lines = re.findall(r"- Exercises, (\d+) minutes: (.+)", text)
    return [line for said, line in lines if total(line, known) != int(said)]


def total(line: str, known: dict[str, int]) -> int | None:
    names = re.findall(r"`(\w+)`|\*([^*]+)\*", line)
    found = [known.get(function or title) for function, title in names]
    return None if None in found else sum(found)


def find_wrong_plans(text: str) -> list[str]:
    """List the sessions whose parts do not fill their time."""
    plans = re.findall(r"- In class, (\d+) minutes: (.+?)\n(?=- )", text, re.S)
    return [plan for said, plan in plans if sum(map(int, parts(plan))) != int(said)]


def parts(plan: str) -> list[str]:
    return re.findall(r"(\d+) for\s", plan)


def test_minutes_of_sessions_are_those_of_their_exercises():
    assert find_wrong_minutes(SYLLABUS, minutes()) == []
    assert find_wrong_plans(SYLLABUS) == []
    assert SYLLABUS.count("- In class, 90 minutes:") == SYLLABUS.count("- Goals:") == 20


@pytest.mark.parametrize("line", ["`a`, *b c*", "`a`", "`a`, `x`"])
def test_wrong_minutes_are_found(line):
    found = find_wrong_minutes(f"- Exercises, 15 minutes: {line}\n", {"a": 10, "b c": 5})
    assert found == ([] if "b c" in line else [line])


def test_wrong_plans_are_found():
    plan = "- In class, 90 minutes: 20 for a,\n  {} for b.\n- Exercises"
    assert find_wrong_plans(plan.format(70)) == []
    assert len(find_wrong_plans(plan.format(60))) == 1


def test_syllabus_tells_which_chapters_are_written():
    rows = re.findall(r"(?m)^\| (\d+) [^|]+ \| (written|not written yet) \|", SYLLABUS)
    there = {
        number: "written" if list((ROOT / "book").glob(f"{number:02d}_*.md")) else "not written yet"
        for number in range(1, 11)
    }
    assert {int(number): state for number, state in rows} == there


def test_every_chapter_of_the_syllabus_has_exercises():
    assert {int(path.name[:2]) for path in sources()} == set(range(1, 11))


# The mapping of d2l's exercises in CONTRIBUTING.md


def covered() -> Iterator[str]:
    """Give the rows that the sources of the exercises ask for."""
    for path in sources():
        for title, line in re.findall(r"(?m)^## (.+)\n\n(.+)$", path.read_text("utf-8")):
            signature = re.match(r"`(\w+)\(", line)
            name = f"`{signature[1]}`" if signature else title
            for section, numbers in re.findall(r"covers d2l ([\d.]+), exercises? ([^·]+)", line):
                yield f"| {section} | {numbers.strip()} | {int(path.name[:2])} | {name} |"


def test_mapping_has_a_row_for_all_that_the_exercises_cover():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    rows = set(re.findall(r"(?m)^\| \d\.\d \|.*\|$", text))
    ours = {row for row in rows if "| - |" not in row}
    assert sorted(set(covered()) - ours) == [], "rows to add to CONTRIBUTING.md"
    assert sorted(ours - set(covered())) == [], "rows that no exercise covers"
