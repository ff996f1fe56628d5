"""The tests of ``tests.unit.web.test_base`` on the engine's channel."""

from __future__ import annotations

from tests.unit.web import test_base
from tests.unit.web.engine.client import OnEngine


class DoorTests(OnEngine, test_base.DoorTests):
    """A site whose parts fail."""


class EveryErrorTests(OnEngine, test_base.EveryErrorTests):
    """Whatever an exchange fails with, on whichever endpoint."""
