"""The tests of ``tests.unit.web.test_gemini`` on the engine's channel."""

from __future__ import annotations

from tests.unit.web import test_gemini
from tests.unit.web.engine.client import OnEngine


class PathTests(OnEngine, test_gemini.PathTests):
    """What a path says."""


class CallerTests(OnEngine, test_gemini.CallerTests):
    """Who may call."""


class QueryKeyTests(OnEngine, test_gemini.QueryKeyTests):
    """``?key=`` on Gemini's paths."""
