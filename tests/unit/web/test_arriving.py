"""An upload on its way: order, bounds, paces, and its ends."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IConsumer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from relay.errors import RelayError, RequestTimeout
from relay.interfaces import IArrivingBody
from relay.web.arriving import QUEUE, Arrival, ArrivingBody


@implementer(IConsumer)
class Taker:
    """A consumer that keeps what it gets, and pauses or stops its producer while it is being written to.

    Attributes:
        data: what came.
        on_write: called with each write.
    """

    def __init__(self) -> None:
        self.data = b""
        self.on_write: Callable[[], object] = lambda: None

    def write(self, data: bytes) -> None:
        assert data, "nothing was written"
        self.data += data
        self.on_write()

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """The test plays its part."""

    def unregisterProducer(self) -> None:
        """The same."""


class ArrivingCase(SynchronousTestCase):
    """An arrival, its body, and a taker."""

    def setUp(self) -> None:
        """Ten bytes are here; thirty are said to come in all."""
        self.said: list[str] = []
        self.errors: list[RelayError] = []
        self.arrival = self.make(b"0123456789")
        self.body = ArrivingBody(self.arrival, 30)
        self.taker = Taker()

    def make(self, begun: bytes) -> Arrival:
        """An arrival that writes down how it paces the client."""
        return Arrival(begun, pause=lambda: self.said.append("pause"), resume=lambda: self.said.append("resume"))


class OrderTests(ArrivingCase):
    """What is handed on, and when."""

    def test_whole(self) -> None:
        """What is here goes first, then each piece at once; the end comes with `finish`, and not before."""
        self.arrival.write(b"a")
        done = self.body.start(self.taker)
        self.assertEqual(self.taker.data, b"0123456789a")
        self.arrival.write(b"bc")
        self.assertEqual(self.taker.data, b"0123456789abc")
        self.assertNoResult(done)
        self.arrival.finish()
        self.successResultOf(done)
        self.assertEqual((self.said, self.body.received), ([], 13))

    def test_completeBeforeItIsTaken(self) -> None:
        """An upload that is all here by then is written at once."""
        self.arrival.finish()
        self.successResultOf(self.body.start(self.taker))
        self.assertEqual(self.taker.data, b"0123456789")

    def test_interface(self) -> None:
        """It is what the seam says, and so is a view of it."""
        for body in (self.body, self.body.replaced(0, 1, b"x")):
            self.assertTrue(verifyObject(IArrivingBody, body))

    def test_replaced(self) -> None:
        """Bytes that are here can be exchanged, also several times; the body that was asked stays as it is."""
        longer = self.body.replaced(2, 4, b"TWO-THREE")
        both = longer.replaced(11, 12, b"").replaced(0, 0, b"<")
        self.assertEqual([each.length for each in (self.body, longer, both)], [30, 37, 37])
        both.start(self.taker)
        self.assertEqual(self.taker.data, b"<01TWO-THREE56789")

    def test_replacedOfUnknownLength(self) -> None:
        """A length that nobody has said stays unsaid."""
        self.assertIsNone(ArrivingBody(self.arrival, None).replaced(0, 1, b"xyz").length)

    def test_notHere(self) -> None:
        """What has not come, or is gone, cannot be exchanged."""
        self.assertRaises(ValueError, self.body.replaced, 9, 11, b"")
        self.assertRaises(ValueError, self.body.replaced(0, 4, b"").replaced, 5, 7, b"")
        self.body.replaced(0, 4, b"").replaced(5, 6, b"")
        self.body.start(self.taker)
        self.assertRaises(ValueError, self.body.replaced, 0, 1, b"")

    def test_once(self) -> None:
        """It can be sent once, whichever view is asked."""
        other = self.body.replaced(0, 1, b"")
        self.assertTrue(other.repeatable)
        self.body.start(self.taker)
        self.assertFalse(other.repeatable)
        self.assertRaises(RuntimeError, other.start, self.taker)


class PaceTests(ArrivingCase):
    """The slower end decides."""

    def test_untaken(self) -> None:
        """As long as nobody takes it, a bounded amount waits, and the client is read on when somebody does."""
        self.arrival.write(bytes(QUEUE - 10))
        self.assertEqual(self.said, [])
        self.arrival.write(b"x")
        self.arrival.write(b"x")
        self.assertEqual((self.said, self.arrival.paused), (["pause"], True))
        self.body.start(self.taker)
        self.assertEqual((self.said, self.arrival.paused), (["pause", "resume"], False))
        self.assertEqual(len(self.taker.data), QUEUE + 2)

    def test_muchAtTheBeginning(self) -> None:
        """A beginning that is more than may wait pauses the client at once."""
        self.make(bytes(QUEUE + 1))
        self.assertEqual(self.said, ["pause"])

    def test_full(self) -> None:
        """While the taker is full, bytes wait, up to the bound; when it has room, they go in their order."""
        self.body.start(self.taker)
        self.taker.data = b""
        self.body.pauseProducing()
        self.arrival.write(b"a" * QUEUE)
        self.assertEqual(self.said, [])
        self.arrival.write(b"b")
        self.assertEqual((self.said, self.taker.data), (["pause"], b""))
        self.body.resumeProducing()
        self.assertEqual((self.said, self.taker.data), (["pause", "resume"], b"a" * QUEUE + b"b"))
        self.arrival.write(b"c")
        self.assertEqual(self.taker.data[-1:], b"c")

    def test_fullWithinAWrite(self) -> None:
        """A taker that is full with every write gets one write for each time it has room."""
        self.taker.on_write = self.body.pauseProducing
        done = self.body.start(self.taker)
        self.arrival.write(b"a")
        self.arrival.write(b"b")
        self.assertEqual(self.taker.data, b"0123456789")
        self.body.resumeProducing()
        self.assertEqual(self.taker.data, b"0123456789ab")
        self.arrival.write(b"c")
        self.arrival.finish()
        self.assertNoResult(done)
        self.body.resumeProducing()
        self.successResultOf(done)
        self.assertEqual(self.taker.data, b"0123456789abc")

    def test_needlessWords(self) -> None:
        """To be paused before it is taken, or resumed without a pause, changes nothing."""
        self.body.pauseProducing()
        self.body.resumeProducing()
        self.body.start(self.taker)
        self.body.resumeProducing()
        self.assertEqual((self.taker.data, self.said), (b"0123456789", []))


class EndTests(ArrivingCase):
    """Ends that are not the last byte."""

    def test_fails(self) -> None:
        """Who watches is told why, once; the taker never gets an end."""
        self.body.watch(self.errors.append)
        done = self.body.start(self.taker)
        error = RequestTimeout("late")
        self.arrival.fail(error)
        self.arrival.fail(RequestTimeout("later"))
        self.arrival.write(b"x")
        self.arrival.finish()
        self.assertEqual((self.errors, self.taker.data), ([error], b"0123456789"))
        self.assertNoResult(done)

    def test_failsUntaken(self) -> None:
        """The same before anybody takes it; then nobody can any more."""
        self.body.watch(self.errors.append)
        self.arrival.fail(RequestTimeout("late"))
        self.assertEqual(len(self.errors), 1)
        self.assertFalse(self.body.repeatable)
        self.assertRaises(RuntimeError, self.body.start, self.taker)

    def test_notAfterTheEnd(self) -> None:
        """Once the last byte is handed on, nothing can fail."""
        self.body.watch(self.errors.append)
        self.body.start(self.taker)
        self.arrival.finish()
        self.arrival.fail(RequestTimeout("late"))
        self.assertEqual(self.errors, [])

    def test_stopped(self) -> None:
        """A taker that wants no more gets none; the client is read on, and what it sends is counted and dropped."""
        for stop in (ArrivingBody.stopProducing, ArrivingBody.close):
            self.setUp()
            self.body.watch(self.errors.append)
            done = self.body.start(self.taker)
            self.body.pauseProducing()
            self.arrival.write(bytes(QUEUE + 1))
            stop(self.body)
            stop(self.body)
            self.assertEqual(self.said, ["pause", "resume"])
            self.arrival.write(bytes(2 * QUEUE))
            self.arrival.finish()
            self.arrival.fail(RequestTimeout("late"))
            self.body.resumeProducing()
            self.assertEqual((self.said, self.errors), (["pause", "resume"], []))
            self.assertEqual((self.taker.data, self.body.received), (b"0123456789", 10 + 3 * QUEUE + 1))
            self.assertNoResult(done)

    def test_stoppedWithinAWrite(self) -> None:
        """So does one that finds out while it is written to."""
        self.taker.on_write = self.body.stopProducing
        done = self.body.start(self.taker)
        self.arrival.finish()
        self.assertNoResult(done)

    def test_cancelled(self) -> None:
        """Cancelling is stopping."""
        done = self.body.start(self.taker)
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.arrival.write(b"x")
        self.assertEqual(self.taker.data, b"0123456789")
