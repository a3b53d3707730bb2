"""Fixtures shared by every test module."""

from __future__ import annotations

from collections.abc import Iterator

import jaxtyping
import pytest


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
    from tests.chromium import started

    with started() as chromium:
        yield chromium
