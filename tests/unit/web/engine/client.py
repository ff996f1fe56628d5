"""The site under test on relay's own channel."""

from __future__ import annotations

from typing import Any, ClassVar

from relay.runtime.wheel import Wheel
from tests.unit.web.client import SiteUnderTest

TICK = 2.0**-20
"""Seconds by which deadlines are late at most; a power of two, so that sums of it are exact."""


class EngineUnderTest(SiteUnderTest):
    """The same site, served by the engine."""

    def options(self) -> dict[str, Any]:
        return {"engine": True, "wheel": Wheel(self.reactor, TICK)}

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        super().advance(2 * TICK)


class OnEngine:
    """Runs the tests of the class beside it on the engine."""

    make: ClassVar[type[SiteUnderTest]] = EngineUnderTest
    engine: ClassVar[bool] = True
