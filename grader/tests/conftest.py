"""Fixtures shared by the tests of grading."""

from __future__ import annotations

import os

import pytest
from cnncourse_grader import sandbox


@pytest.fixture(scope="session")
def bubblewrap() -> None:
    """Without a sandbox, skip with what to install, and fail in CI; macOS has none."""
    if reason := sandbox.missing():
        stop = pytest.fail if os.environ.get("CI") else pytest.skip
        stop(f"the tests of grading need a working bubblewrap. {reason}")
