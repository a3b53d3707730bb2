"""The built site, and one visit to each of its pages."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.book.guards import Findings, collect
from tests.book.visits import SITE, find_stale_files


@pytest.fixture(scope="session")
def site() -> Path:
    """Return the folder of the built site, which must be newer than what it is built from."""
    if stale := find_stale_files():
        pytest.fail(f"_build/html is missing or older than {', '.join(stale)}. Run: make book")
    return SITE


@pytest.fixture(scope="session")
def findings(browser: Browser, site: Path) -> Callable[[str], Findings]:
    """Visit a page when it is first asked for."""
    return functools.cache(functools.partial(collect, browser, site))
