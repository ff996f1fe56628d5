"""Tests of an attempt's deadlines."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relay.upstream.watch import Watch


class WatchTests(SynchronousTestCase):
    """Named deadlines."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.expired: list[str] = []
        self.watch = Watch(self.clock, self.expired.append)

    def test_expires(self) -> None:
        """Each deadline passes once, at its time, under its name."""
        self.watch.arm("idle", 2)
        self.watch.arm("total", 3)
        self.clock.pump([1.9, 0.1])
        self.assertEqual(self.expired, ["idle"])
        self.clock.pump([1, 10])
        self.assertEqual(self.expired, ["idle", "total"])

    def test_armedAgain(self) -> None:
        """Arming again counts from then, later or sooner."""
        self.watch.arm("idle", 2)
        self.clock.advance(1)
        self.watch.arm("idle", 2)
        self.clock.advance(1.5)
        self.assertEqual(self.expired, [])
        self.watch.arm("idle", 0.1)
        self.clock.advance(0.2)
        self.assertEqual(self.expired, ["idle"])

    def test_disarmed(self) -> None:
        """A disarmed deadline does not pass; disarming one that does not run is fine."""
        self.watch.arm("idle", 2)
        self.watch.disarm("idle")
        self.watch.disarm("idle")
        self.clock.advance(3)
        self.assertEqual((self.expired, self.clock.getDelayedCalls()), ([], []))

    def test_stopped(self) -> None:
        """Nothing is left after a stop, not even when one of them has just passed."""
        self.watch.expired = lambda _: self.watch.stop()
        self.watch.arm("idle", 1)
        self.watch.arm("total", 2)
        self.clock.advance(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
