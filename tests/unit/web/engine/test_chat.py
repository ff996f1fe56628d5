"""The tests of ``tests.unit.web.test_chat`` on the engine's channel."""

from __future__ import annotations

from tests.unit.web import test_chat
from tests.unit.web.engine.client import OnEngine


class RequestTests(OnEngine, test_chat.RequestTests):
    """Requests on the site."""
