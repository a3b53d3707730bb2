"""The system's browser, started once for all tests that look at pages."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
MAC_BROWSERS = [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
]
NO_BROWSER = """The tests of the site need Chromium or Google Chrome and found neither. Install one:
  Debian, Ubuntu:  sudo apt-get install chromium     (Ubuntu: sudo snap install chromium)
  Fedora:          sudo dnf install chromium
  macOS:           brew install --cask google-chrome
or put the path of the program into the environment variable CNNCOURSE_CHROMIUM."""
# The browser's own traffic (updates, synchronisation) is no part of what a page asks for.
QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    # A page can reach no other host.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


def find_chromium() -> str | None:
    """Return the path of the browser: the one that was asked for, else the first that is found."""
    if wanted := os.environ.get("CNNCOURSE_CHROMIUM"):
        return shutil.which(wanted)
    found = (shutil.which(name) for name in [*BROWSERS, *MAC_BROWSERS])
    return next((path for path in found if path), None)


@contextlib.contextmanager
def started() -> Iterator[Browser]:
    """Start the browser; without one, skip with what to install, and fail in CI."""
    path = find_chromium()
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(NO_BROWSER)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        args = [*QUIET, "--no-sandbox"] if root else QUIET
        browser = playwright.chromium.launch(executable_path=path, args=args)
        yield browser
        browser.close()
