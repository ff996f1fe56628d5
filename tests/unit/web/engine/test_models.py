"""The tests of ``tests.unit.web.test_models`` on the engine's channel."""

from __future__ import annotations

from tests.unit.web import test_models
from tests.unit.web.engine.client import OnEngine


class ModelsTests(OnEngine, test_models.ModelsTests):
    """Two providers, one of which lists more than its file says."""


class KeyTests(OnEngine, test_models.KeyTests):
    """Whose key opens the list, and whose key asks the provider."""


class WaitingTests(OnEngine, test_models.WaitingTests):
    """Providers that take their time."""
