"""The tests of ``tests.unit.web.test_channel`` on the engine's channel."""

from __future__ import annotations

from tests.unit.web import test_channel
from tests.unit.web.engine.client import OnEngine


class DeadlineTests(OnEngine, test_channel.DeadlineTests):
    """Nobody holds a connection by being slow."""


class FramingTests(OnEngine, test_channel.FramingTests):
    """Heads that are refused."""


class BoundTests(OnEngine, test_channel.BoundTests):
    """How many connections are served."""


class DrainTests(OnEngine, test_channel.DrainTests):
    """Relay shuts down."""
