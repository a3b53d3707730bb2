"""Explorers in the browser that all tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.explore.stage import Modules, Stage, opener


@pytest.fixture(scope="session")
def modules(browser: Browser) -> Iterator[Modules]:
    """Call what a module exports: ``modules.call("arithmetic", "corr2d", x, kernel)``."""
    page = browser.new_page()
    yield Modules(page)
    page.close()


@pytest.fixture
def opened(browser: Browser, tmp_path) -> Iterator[Callable[..., Stage]]:
    """Open an explorer: ``opened(explore.kernel(), "turned=true", phone=True)``."""
    before = set(browser.contexts)
    yield opener(browser, tmp_path)
    for context in set(browser.contexts) - before:
        context.close()
