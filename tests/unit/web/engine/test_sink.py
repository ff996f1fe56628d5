"""The tests of ``tests.unit.web.test_sink`` on the engine's channel."""

from __future__ import annotations

from tests.unit.web import test_sink
from tests.unit.web.engine.client import OnEngine


class AnswerTests(OnEngine, test_sink.AnswerTests):
    """Heads and bodies."""


class GoneTests(OnEngine, test_sink.GoneTests):
    """The client leaves."""


class PaceTests(OnEngine, test_sink.PaceTests):
    """The client reads more slowly than the provider writes."""
