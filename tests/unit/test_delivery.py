"""Holding back, committing, keeping alive."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from relay.delivery import Delivery, State
from relay.errors import RelayError
from relay.exchange import Usage
from relay.interfaces import ISink
from tests.unit.doubles import MemorySink

BEAT = b": ping\n"
DEFAULT = ((b"content-type", b"text/event-stream"),)
HEAD = ((b"content-type", b"text/event-stream"), (b"x-upstream-request-id", b"u"))


def render(error: RelayError) -> bytes:
    """How an error looks while no attempt is at work."""
    return b"early " + str(error).encode()


class StubTranscoder:
    """A transcoder whose flags the test sets."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.started = self.done = False
        self.error: RelayError | None = None
        self.model = self.stop = ""
        self.chunks = 0
        self.failure = b"error"

    def feed(self, data: bytes) -> bytes:
        return data

    def end(self) -> bytes:
        return b""

    def fail(self, error: RelayError) -> bytes:
        return self.failure


class DeliveryTests(SynchronousTestCase):
    """One delivery in front of a client that keeps everything, on a simulated clock."""

    def setUp(self) -> None:
        """A delivery with heartbeats each ten seconds and one attempt at work."""
        self.clock = Clock()
        self.sink = MemorySink()
        self.delivery = Delivery(self.sink, self.clock, 10.0, BEAT, DEFAULT, render)
        self.transcoder = StubTranscoder()
        self.delivery.attempt(self.transcoder, 200, HEAD)

    def content(self, data: bytes = b"content") -> None:
        """The attempt yields its first content."""
        self.transcoder.started = True
        self.delivery.write(data)

    def test_isASink(self) -> None:
        """Upstream responses see an `ISink`."""
        verifyObject(ISink, self.delivery)

    def test_nothingGoesOutBeforeContent(self) -> None:
        """A role chunk commits to nothing."""
        self.delivery.write(b"role")
        self.assertFalse(self.sink.started)
        self.assertFalse(self.delivery.started)

    def test_contentCommits(self) -> None:
        """Head, what was held, and the content go out in order."""
        self.clock.advance(3)
        self.delivery.write(b"role ")
        self.content()
        self.assertEqual((self.sink.status, self.sink.headers, self.sink.body), (200, HEAD, b"role content"))
        self.assertEqual((self.delivery.state, self.delivery.committed_at), (State.COMMITTED, 3.0))

    def test_aNewAttemptDropsWhatTheOldOneLeft(self) -> None:
        """The client must not see two role chunks."""
        self.delivery.write(b"old role ")
        self.delivery.attempt(self.transcoder, 200, HEAD)
        self.delivery.write(b"new role ")
        self.content()
        self.assertEqual(self.sink.body, b"new role content")

    def test_anErrorBesideTheFirstContentDoesNotCommit(self) -> None:
        """Nothing has been sent yet, so the error can still be a status."""
        self.transcoder.error = RelayError("in-stream")
        self.content()
        self.assertFalse(self.sink.started)
        self.assertFalse(self.delivery.carries_error)

    def test_anErrorAfterContentIsPassedOn(self) -> None:
        """Its bytes are the provider's own; nothing is to be added."""
        self.content()
        self.transcoder.error = RelayError("in-stream")
        self.delivery.write(b"error event")
        self.assertEqual(self.sink.body, b"contenterror event")
        self.assertTrue(self.delivery.carries_error)

    def test_silenceOpensWithoutCommitting(self) -> None:
        """After one interval the default head and a heartbeat go out; what is held stays held."""
        self.delivery = Delivery(self.sink, self.clock, 10.0, BEAT, DEFAULT, render)
        self.delivery.start_heartbeats()
        self.clock.advance(9.9)
        self.assertFalse(self.sink.started)
        self.clock.advance(0.1)
        self.assertEqual((self.sink.headers, self.sink.body), (DEFAULT, BEAT))
        self.assertEqual(self.delivery.state, State.OPEN)
        self.delivery.attempt(self.transcoder, 200, HEAD)
        self.delivery.write(b"role ")
        self.assertEqual(self.sink.body, BEAT)
        self.content()
        self.assertEqual(self.sink.body, BEAT + b"role content")

    def test_heartbeatsFillSilenceOnly(self) -> None:
        """A beat comes an interval after the last write, again and again."""
        self.delivery.start_heartbeats()
        self.clock.advance(6)
        self.content(b"a")
        self.clock.pump([6, 3.9])
        self.assertEqual(self.sink.body, b"a")
        self.clock.advance(0.2)
        self.assertEqual(self.sink.body, b"a" + BEAT)
        self.clock.pump([10, 10])
        self.assertEqual(self.sink.body, b"a" + BEAT * 3)

    def test_noHeartbeatsWhereTheyAreTurnedOff(self) -> None:
        """An interval of 0 sets no timer."""
        Delivery(self.sink, self.clock, 0.0, BEAT, DEFAULT, render).start_heartbeats()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_noHeartbeatsInsideOtherThanEvents(self) -> None:
        """A ping inside audio would be noise."""
        self.delivery.start_heartbeats()
        self.delivery.no_events()
        self.content(b"RIFF")
        self.clock.advance(100)
        self.assertEqual(self.sink.body, b"RIFF")

    def test_finishSendsWhatIsHeld(self) -> None:
        """A whole stream without content is still a whole stream."""
        self.delivery.write(b"role")
        self.delivery.finish()
        self.assertEqual((self.sink.status, self.sink.body, self.sink.ended), (200, b"role", True))

    def test_theEndStopsTheTimer(self) -> None:
        """Nothing is left in the reactor, whichever way it ends."""
        ends = (Delivery.finish, Delivery.close, lambda delivery: delivery.fail(RelayError("cut")))
        for end in ends:
            self.setUp()
            self.delivery.start_heartbeats()
            self.clock.advance(10)
            end(self.delivery)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failureIsAnEventOrABreak(self) -> None:
        """With a form for it an error event and a tidy end, else a broken connection."""
        self.content(b"a")
        self.delivery.fail(RelayError("cut"))
        self.assertEqual((self.sink.body, self.sink.ended, self.sink.aborted), (b"aerror", True, False))
        self.setUp()
        self.transcoder.failure = b""
        self.content(b"a")
        self.delivery.fail(RelayError("cut"))
        self.assertEqual((self.sink.ended, self.sink.aborted), (False, True))

    def test_failureBeforeAnyAnswer(self) -> None:
        """While heartbeats run and no attempt has an answer, the front's own form is used."""
        self.delivery = Delivery(self.sink, self.clock, 10.0, BEAT, DEFAULT, render)
        self.delivery.start_heartbeats()
        self.clock.advance(10)
        self.delivery.fail(RelayError("cut"))
        self.assertEqual((self.sink.body, self.sink.ended), (BEAT + b"early cut", True))

    def test_gapsAreCounted(self) -> None:
        """Seconds between writes after the commitment, by bucket."""
        self.content(b"a")
        for gap in (0.004, 0.02, 100.0):
            self.clock.advance(gap)
            self.delivery.write(b"b")
        self.assertEqual((self.delivery.gaps[0], self.delivery.gaps[2], self.delivery.gaps[-1]), (1, 1, 1))
        self.assertAlmostEqual(self.delivery.gap_sum, 100.024)
        self.assertEqual(self.delivery.bytes_out, 4)

    def test_producersReachTheClient(self) -> None:
        """Backpressure goes straight through."""
        producer = object()
        self.delivery.registerProducer(producer, True)  # type: ignore[arg-type]  # identity is enough
        self.assertIs(self.sink.producer, producer)
        self.delivery.unregisterProducer()
        self.assertIsNone(self.sink.producer)

    def test_writesAfterTheEndAreDropped(self) -> None:
        """A late frame cannot follow the end."""
        self.content(b"a")
        self.delivery.finish()
        self.delivery.write(b"late")
        self.assertEqual(self.sink.body, b"a")
