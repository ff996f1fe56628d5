"""The tests of ``tests.unit.web.test_openapi`` on the engine's channel."""

from __future__ import annotations

from tests.unit.web import test_openapi
from tests.unit.web.engine.client import OnEngine


class AgreementTests(OnEngine, test_openapi.AgreementTests):
    """The document against the site."""
