"""The tests of ``tests.unit.web.test_ollama`` on the engine's channel."""

from __future__ import annotations

from tests.unit.web import test_ollama
from tests.unit.web.engine.client import OnEngine


class TagsTests(OnEngine, test_ollama.TagsTests):
    """``GET /api/tags``."""


class ShowTests(OnEngine, test_ollama.ShowTests):
    """``POST /api/show``."""


class VersionTests(OnEngine, test_ollama.VersionTests):
    """``GET /api/version``."""


class AccessTests(OnEngine, test_ollama.AccessTests):
    """Who may call."""


class ForwardedTests(OnEngine, test_ollama.ForwardedTests):
    """``/api/chat``, ``/api/generate``, ``/api/embed``."""
