"""Fixtures of the tests of exercises."""

from __future__ import annotations

from importlib import import_module

import pytest


@pytest.fixture
def answers_of_the_course(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an answer call the course's own functions: no learner's may."""
    monkeypatch.setattr(import_module("cnncourse.checks.run"), "_is_helper", lambda module: True)
