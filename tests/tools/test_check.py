"""What `make check` runs: every file has its row, and a row names tests that there are."""

from __future__ import annotations

import subprocess

import pytest

from tools import check


@pytest.mark.parametrize(
    ("file", "parts"),
    [
        ("cnncourse/windows.py", "cnncourse tests/package"),
        ("cnncourse/datasets/mnist/LICENSE", "cnncourse tests/package"),
        ("cnncourse/checks/run.py", "tests/exercises"),
        ("cnncourse/checks/chapters/shift.py", "tests/exercises:shift"),
        ("cnncourse/checks/chapters/__init__.py", "tests/exercises"),
        ("exercises/07_shift.md", "tests/exercises:shift make:book"),
        ("book/exercises/07_shift.ipynb", "tests/exercises:shift make:book"),
        ("tests/package/test_shift.py", "tests/package/test_shift.py"),
        ("tests/tools/test_check.py", "tests/tools/test_check.py"),
        ("grader/cnncourse_grader/wire.py", "grader/tests"),
        ("book/07_shift.md", "tests/book/test_book.py tests/book/test_glossary.py make:book"),
        ("book/_static/custom.css", "make:book"),
        ("README.md", "tests/tools"),
        ("tests/conftest.py", "make:test"),
    ],
)
def test_row_of_a_file(file, parts):
    assert check.what_can_break(file) == parts.split()


def test_every_file_has_a_row_and_every_row_names_tests_that_there_are():
    parts = check.reasons_for(check.git("ls-files"))
    paths = {part.partition(":")[0] for part in parts} - {"make"}
    assert [path for path in paths if not (check.ROOT / path).exists()] == []


def test_a_changed_test_runs_itself():
    tests = [file for file in check.git("ls-files") if "/test_" in file]
    assert tests
    for file in tests:
        assert any(file.startswith(part) for part in check.what_can_break(file)), file


def test_a_file_without_a_row_is_named():
    with pytest.raises(LookupError, match=r"no row of tools/check\.py fits new/thing\.xyz"):
        check.what_can_break("new/thing.xyz")


def arguments(*parts):
    return [" ".join(command[command.index("-q") + 3 :]) for command in check.commands(parts)]


def test_tests_run_together_and_exercises_of_a_chapter_alone():
    chapter = arguments("tests/tools", "tests/book/test_book.py", "tests/exercises:shift")
    assert chapter[0] == "tests/tools tests/book/test_book.py"
    assert chapter[1].startswith("tests/exercises -k shift or ")
    assert arguments("tests/exercises:shift", "tests/exercises") == ["tests/exercises"]
    assert arguments("tests/tools/test_deleted.py", "make:test") == []
    assert check.commands(["make:book"]) == [["make", "--no-print-directory", "book"]]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """Make a repository with a branch, and a file for each way to change one."""
    monkeypatch.setattr(check, "ROOT", tmp_path)
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]

    def git(*words):
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    def commit(name):
        (tmp_path / name).touch()
        git("add", name)
        git("commit", "--message", name)

    git("init", "--initial-branch", "main")
    for name in ("same", "edited", "staged", "moved", "deleted"):
        commit(name)
    git("switch", "--create", "branch")
    commit("on the branch")
    git("switch", "main")
    commit("on main")
    git("switch", "branch")
    (tmp_path / "edited").write_text("!")
    (tmp_path / "staged").write_text("!")
    git("add", "staged")
    git("mv", "moved", "new place")
    (tmp_path / "deleted").unlink()
    (tmp_path / "new").touch()
    (tmp_path / ".git/info/exclude").write_text("ignored")
    (tmp_path / "ignored").touch()
    return tmp_path


CHANGED = ["deleted", "edited", "moved", "new", "new place", "staged"]


def test_changed_files_are_those_since_the_last_commit(clone):
    assert check.changed_files(None) == CHANGED


def test_changed_files_of_a_branch_are_those_since_it_left_main(clone):
    assert check.changed_files("main") == sorted([*CHANGED, "on the branch"])


@pytest.mark.parametrize(
    ("program", "status", "word"), [("true", 0, "Passed"), ("false", 1, "Failed")]
)
def test_main_says_why_and_whether_it_passed(clone, monkeypatch, capsys, program, status, word):
    monkeypatch.setattr(check, "ROWS", [(".*", "make:book")])
    monkeypatch.setattr(check, "commands", lambda parts: [[program]])
    assert check.main([]) == status
    printed = capsys.readouterr().out
    assert "6 files differ from the last commit." in printed
    assert "make:book                          deleted, edited and 4 more" in printed
    assert word in printed
