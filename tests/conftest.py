"""Fixtures shared by every test module."""

from __future__ import annotations

from collections.abc import Iterator

import jaxtyping
import pytest

# They take a minute or more; when one of them came last, the other processes would wait for it.
LONG = ("08_lenet.ipynb", "test_exercises.py", "test_attacks.py", "test_site.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the long files first."""
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture
def as_installed() -> Iterator[None]:
    """Switch jaxtyping's own checks off: a reader's install has none, so ours must speak."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """One browser for the whole run: playwright cannot be started twice in a process."""
    # Imported here: the job that tests the lowest versions has no playwright.
    from tests.book.chromium import started

    with started() as chromium:
        yield chromium
