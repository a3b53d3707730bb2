"""One browser for all tests that look at pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.book.chromium import started


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start it once: playwright cannot be started twice in a process."""
    with started() as chromium:
        yield chromium
