"""Bounded doors, on a simulated clock."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relay.config import QueuePolicy
from relay.errors import Overloaded
from relay.routes.gates import Gate


class GateTests(SynchronousTestCase):
    """Two may be inside, four may wait, ten seconds long."""

    def setUp(self) -> None:
        """Build the gate."""
        self.clock = Clock()
        self.gate = Gate("it", 2, QueuePolicy(size=4, wait=10.0), self.clock)

    def wait(self, caller: str = "a") -> Deferred[None]:
        """Enter behind others."""
        turn = self.gate.enter(caller)
        assert turn is not None
        return turn

    def fill(self) -> None:
        """Two go in."""
        self.assertIsNone(self.gate.enter("a"))
        self.assertIsNone(self.gate.enter("a"))

    def note(self, _: None, order: list[str], caller: str) -> None:
        """Somebody went in."""
        order.append(caller)

    def test_limit(self) -> None:
        """So many go in at once, and no more; one comes in when one comes out."""
        self.fill()
        turn = self.wait()
        self.assertNoResult(turn)
        self.gate.leave()
        self.successResultOf(turn)
        self.assertEqual((self.gate.inside, self.gate.waiting, self.clock.getDelayedCalls()), (2, 0, []))

    def test_full(self) -> None:
        """Who does not fit into the line is turned away at once, and told when to come again."""
        self.fill()
        for _ in range(4):
            self.wait()
        error = self.assertRaises(Overloaded, self.gate.enter, "a")
        self.assertEqual((error.http_status, error.retry_after), (503, 1.0))

    def test_patience(self) -> None:
        """Nobody waits longer than the line allows."""
        self.fill()
        turn = self.wait()
        self.clock.advance(9.9)
        self.assertNoResult(turn)
        self.clock.advance(0.2)
        self.failureResultOf(turn, Overloaded)
        self.assertEqual(self.gate.waiting, 0)
        self.gate.leave()
        self.assertEqual(self.gate.inside, 1)

    def test_fair(self) -> None:
        """Callers take turns; one with many requests does not keep the others out."""
        self.fill()
        order: list[str] = []
        for caller in ("a", "a", "a", "b"):
            self.wait(caller).addCallback(self.note, order, caller)
        for _ in range(4):
            self.gate.leave()
        self.assertEqual(order, ["a", "b", "a", "a"])

    def test_leavingTheLine(self) -> None:
        """Who gives up makes room, and is not let in later."""
        self.fill()
        turn = self.wait()
        turn.cancel()
        self.failureResultOf(turn, CancelledError)
        self.assertEqual((self.gate.waiting, self.clock.getDelayedCalls()), (0, []))
        self.gate.leave()
        self.assertEqual(self.gate.inside, 1)

    def test_nobodyOvertakes(self) -> None:
        """Who comes while others wait does not go in first."""
        self.fill()
        first = self.wait("a")
        self.gate.leave()
        self.successResultOf(first)
        self.assertFalse(self.gate.open)
        self.gate.leave()
        self.assertTrue(self.gate.open)
