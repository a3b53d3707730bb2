"""Fixtures shared by every test module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
from playwright.sync_api import Browser

from tests.book.chromium import started

ROOT = Path(__file__).resolve().parents[1]
# In this order: what takes minutes is begun first, so that all processes end at the same time.
LONG = ("tests/exercises", "grader/tests", "tests/book")


def folder(path: Path) -> str:
    """Return the folder of a test file, as this repository names it."""
    return path.parent.relative_to(ROOT).as_posix()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the long folders first."""
    rank = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(folder(item.path), len(LONG)))


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Of a guard that found something, say every finding and nothing else."""
    if op == "==" and isinstance(left, list) and right == []:
        return [f"{len(left)} found:", *map(str, left)]
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Beside the slowest tests, say what each folder took: CONTRIBUTING.md has its budget."""
    if not terminalreporter.config.option.durations:
        return
    seconds = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if hasattr(report, "duration"):
                seconds[folder(ROOT / report.nodeid.split("::")[0])] += report.duration
    terminalreporter.section("seconds by folder")
    for name, total in seconds.most_common():
        terminalreporter.write_line(f"{total:6.0f}  {name}")


@pytest.fixture
def as_installed() -> Iterator[None]:
    """Switch jaxtyping's own checks off: a reader's install has none, so ours must speak."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start it once for the site and the explorers: playwright starts once in a process."""
    with started() as chromium:
        yield chromium
