"""The tests of ``tests.unit.web.test_cors`` on the engine's channel."""

from __future__ import annotations

from tests.unit.web import test_cors
from tests.unit.web.engine.client import OnEngine


class SiteTests(OnEngine, test_cors.SiteTests):
    """The fields on answers of the site."""
