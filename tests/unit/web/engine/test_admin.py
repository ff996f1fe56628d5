"""The tests of ``tests.unit.web.test_admin`` on the engine's channel."""

from __future__ import annotations

from tests.unit.web import test_admin
from tests.unit.web.engine.client import OnEngine


class AdminTests(OnEngine, test_admin.AdminTests):
    """A relay that requires keys everywhere else."""
