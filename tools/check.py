"""Run, before a commit, the tests that the changed files can have broken: `make check`.

    python -m tools.check             the files that differ from the last commit, new ones too
    python -m tools.check main        the files that differ from where this branch left main

Of the rows below, the first that fits a file counts. What takes minutes stands in none.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS = "tests/tools/test_questions.py tests/book/test_questions.py make:book"
# Files, and what a change of them can break: paths of tests, where {} is the part of the file's
# path in parentheses, and `tests/exercises:NAME` stands for those of one chapter; or a make target.
ROWS: list[tuple[str, str]] = [
    (r"cnncourse/checks/(?:chapters|given)/(?!__)(\w+)\.py", "tests/exercises:{}"),
    (r"tests/exercises/answers/(?!__)(\w+)\.py", "tests/exercises:{}"),
    (r"(?:book/)?exercises/\d+_(\w+)\.\w+", "tests/exercises:{} make:book"),
    (r"(tests/(?:package|exercises|tools)/test_\w+\.py)", "{}"),
    (r"cnncourse/checks/.*|tests/exercises/.*|tools/exercises\.py", "tests/exercises"),
    (r"cnncourse/explore/.*|tests/explore/.*|deno\.json", "tests/explore make:book"),
    (r"cnncourse/.*|tests/package/.*", "cnncourse tests/package"),
    (r"grader/.*", "grader/tests"),
    (r"questions/.*|(?:book|tools)/questions.*|tests/tools/keys\.py", QUESTIONS),
    (r"book/instructors/.*", "tests/book/test_instructors.py make:book"),
    (r"book/(?:\d|[A-Z]_).*", "tests/book/test_book.py tests/book/test_glossary.py make:book"),
    (r"book/references\.bib", "tests/book/test_book.py make:book"),
    (r"book/glossary\.md", "tests/book/test_glossary.py make:book"),
    (r"book/.*|_config\.yml|_toc\.yml", "make:book"),
    (r"(tests/book/test_\w+\.py)", "{} make:book"),
    (r"learn/.*|tools/.*", "tests/tools tests/book/test_book.py"),
    (r"benchmarks/.*|experiments/.*|\.github/.*|.*\.(?:md|cff)|LICENSE.*", "tests/tools"),
    (r"Makefile", "tests/tools tests/book/test_instructors.py make:test"),
    (r"tests/.*|pyproject\.toml|requirements.*|\..*", "make:test"),
]


def changed_files(since: str | None) -> list[str]:
    """List what differs from the last commit, or from where this branch left ``since``."""
    (base,) = git("merge-base", "HEAD", since) if since else ["HEAD"]
    known = git("diff", "--name-only", "--no-renames", base)
    return sorted({*known, *git("ls-files", "--others", "--exclude-standard")})


def git(*arguments: str) -> list[str]:
    """Run git in the repository and return the lines it prints."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode().splitlines()


def what_can_break(file: str) -> list[str]:
    """Return what the row of a file says."""
    for pattern, parts in ROWS:
        if match := re.fullmatch(pattern, file):
            return parts.format(*match.groups()).split()
    raise LookupError(f"no row of tools/check.py fits {file}")


def reasons_for(files: Iterable[str]) -> dict[str, list[str]]:
    """Return what to test, each with the files that ask for it."""
    reasons: dict[str, list[str]] = {}
    for file in files:
        for part in what_can_break(file):
            reasons.setdefault(part, []).append(file)
    return reasons


def commands(parts: Iterable[str]) -> list[list[str]]:
    """Return what to run for these parts: at most one build of the book and two runs of pytest."""
    pytest = [sys.executable, "-m", "pytest", "-q", "--numprocesses=logical", "--dist=worksteal"]
    runs = [["make", "--no-print-directory", "book"]] if "make:book" in parts else []
    if paths := [path for path in parts if (ROOT / path).exists()]:  # not a test file now deleted
        runs.append([*pytest, *paths])
    chapters = [part.partition(":")[2] for part in parts if part.startswith("tests/exercises:")]
    if chapters and "tests/exercises" not in parts:
        runs.append([*pytest, "tests/exercises", "-k", " or ".join(words_of(chapters))])
    return runs


def words_of(chapters: Iterable[str]) -> list[str]:
    """Return the words that tests of these chapters' exercises have in their names."""
    modules = {name: import_module(f"cnncourse.checks.chapters.{name}") for name in chapters}
    exercises = [one.name for module in modules.values() for one in module.EXERCISES]
    return [*modules, *exercises]


def show(reasons: dict[str, list[str]]) -> None:
    """Print what the changed files ask for."""
    for part, files in reasons.items():
        more = f" and {len(files) - 2} more" if len(files) > 2 else ""
        print(f"  {part:<34} {', '.join(files[:2])}{more}")
    print("Not here: `make test` alone executes chapters, opens the site, and tries Colab.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("since", nargs="?", help="a branch or commit (default: the last commit)")
    since, start = parser.parse_args(arguments).since, time.monotonic()
    files = changed_files(since)
    print(f"{len(files)} files differ from {since or 'the last commit'}.")
    show(reasons := reasons_for(files))
    sys.stdout.flush()
    status = [subprocess.run(command, cwd=ROOT).returncode for command in commands(reasons)]
    print(f"{'Failed' if any(status) else 'Passed'} in {time.monotonic() - start:.0f} s.")
    return int(any(status))


if __name__ == "__main__":
    sys.exit(main())
