"""Tests of `relay.echo.player`: time, breaks, slow clients and clients that leave."""

from __future__ import annotations

from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from relay.echo.player import Player, Tally
from tests.unit.echo.talk import TURN, Talk


class PaceTests(SynchronousTestCase):
    """When what is sent."""

    def setUp(self) -> None:
        """Connect."""
        self.talk = Talk()

    def test_nothingBeforeTheFirstDelay(self) -> None:
        """Not even the head is sent before it; then head, opening and first word at once."""
        self.talk.chat("one two", first_delay_ms=500)
        self.talk.clock.advance(0.49)
        self.assertEqual(self.talk.received, b"")
        self.talk.clock.advance(0.02)
        self.assertEqual((self.talk.head()[0], self.talk.words()), (200, "one"))

    def test_delayLiesBetweenWords(self) -> None:
        """Each word waits for its time, and so does the end."""
        self.talk.chat("one two", delay_ms=100)
        self.talk.steps(1)
        for seconds, words, ended in ((0.09, "one", False), (0.02, "one two", False), (0.1, "one two", True)):
            self.talk.clock.advance(seconds)
            self.assertEqual((self.talk.words(), self.talk.ended), (words, ended))

    def test_firstDelayHoldsForWholeAnswersAndErrors(self) -> None:
        """Whatever is sent, it is sent later."""
        for more in ({}, {"status": 500}):
            talk = Talk()
            talk.chat("one", stream=False, first_delay_ms=100, **more)
            talk.clock.advance(0.09)
            self.assertEqual(talk.received, b"")
            talk.steps(5, 0.1)
            self.assertTrue(talk.ended)

    def test_oneChunkForEachCallOfTheTimer(self) -> None:
        """Without delays, too, other work gets its turn between two words."""
        self.talk.chat("one two three")
        self.talk.steps(2)
        self.assertEqual(self.talk.words(), "one two")

    def test_connectionIsUsedAgain(self) -> None:
        """After an answer the next request is taken."""
        self.talk.chat("one")
        self.talk.steps(3)
        self.talk.transport.clear()
        self.talk.chat("two")
        self.talk.steps(3)
        self.assertEqual((self.talk.words(), self.talk.ended), ("two", True))
        self.assertEqual(self.talk.tally, Tally(started=2, open=0, aborted=0))


class BreakTests(SynchronousTestCase):
    """Answers that break off."""

    def setUp(self) -> None:
        """Connect."""
        self.talk = Talk()

    def test_cutComesAfterItsChunks(self) -> None:
        """So many words, then the connection is closed without the end, for any number up to all."""
        for after, words in ((0, ""), (1, "one"), (2, "one two"), (3, "one two three")):
            talk = Talk()
            talk.chat("one two three", cut_after=after)
            talk.steps(6)
            self.assertEqual((talk.head()[0], talk.words(), talk.ended), (200, words, False))
            self.assertIn(b'"role":"assistant"', talk.body())
            self.assertTrue(talk.transport.disconnecting)
            self.assertEqual(talk.tally, Tally(started=1, open=0, aborted=0))

    def test_cutBehindTheEndIsNone(self) -> None:
        """An answer that is shorter than the break is whole."""
        self.talk.chat("one two", cut_after=3)
        self.talk.steps(6)
        self.assertEqual((self.talk.words(), self.talk.ended), ("one two", True))
        self.assertFalse(self.talk.transport.disconnecting)

    def test_wholeAnswersAreCutInTheMiddle(self) -> None:
        """At 0 behind the head, at 1 behind one half of the body."""
        for after in (0, 1):
            talk = Talk()
            talk.chat("one two three", stream=False, cut_after=after)
            talk.steps(4)
            length = int(talk.head()[1]["content-length"])
            self.assertEqual(len(talk.body()), after * ((length + 1) // 2))
            self.assertTrue(talk.transport.disconnecting)

    def test_stallKeepsTheConnection(self) -> None:
        """Nothing more comes, nothing is closed, until the client leaves."""
        self.talk.chat("one two three", stall_after=1)
        self.talk.steps(50, 10.0)
        self.assertEqual((self.talk.words(), self.talk.ended), ("one", False))
        self.assertFalse(self.talk.transport.disconnecting)
        self.assertEqual(self.talk.tally.open, 1)
        self.talk.leave()
        self.assertEqual(self.talk.tally, Tally(started=1, open=0, aborted=1))

    def test_errorEndsTheStream(self) -> None:
        """The error comes instead of the rest, and the answer ends tidily without ``[DONE]``."""
        for after, words in ((0, ""), (2, "one two")):
            talk = Talk()
            talk.chat("one two three", error_after=after, error="no more")
            talk.steps(6)
            error = b'data: {"error":{"message":"no more","type":"server_error","param":null,"code":null}}\n\n'
            self.assertTrue(talk.body().endswith(error))
            self.assertTrue(talk.ended)
            self.assertEqual(talk.body().count(b'"content":"'), 1 + len(words.split()))

    def test_disconnectSendsNothing(self) -> None:
        """The connection is reset before a byte of answer."""
        self.talk.chat("one", disconnect=True, first_delay_ms=100)
        self.talk.clock.advance(0.09)
        self.assertFalse(self.talk.transport.disconnected)
        self.talk.clock.advance(0.02)
        self.assertTrue(self.talk.transport.disconnected)
        self.assertEqual(self.talk.received, b"")
        self.assertEqual(self.talk.tally, Tally(started=1, open=0, aborted=0))


class ClientTests(SynchronousTestCase):
    """Clients that read slowly, or leave."""

    def setUp(self) -> None:
        """Connect."""
        self.talk = Talk()

    def test_slowClientPausesTheAnswer(self) -> None:
        """While the connection is full nothing is made; it goes on where it stopped."""
        self.talk.chat("a b c d e f", endless=True)
        self.talk.steps(2)
        self.talk.pause()
        self.talk.steps(1000)
        self.assertEqual(self.talk.words(), "a b")
        self.talk.resume()
        self.talk.steps(2)
        self.assertEqual(self.talk.words(), "a b c d")

    def test_pauseDoesNotShortenDelays(self) -> None:
        """A client that pauses and goes on in time changes nothing."""
        self.talk.chat("a b", delay_ms=100)
        self.talk.steps(1)
        self.talk.pause()
        self.talk.resume()
        self.talk.clock.advance(0.09)
        self.assertEqual(self.talk.words(), "a")
        self.talk.clock.advance(0.02)
        self.assertEqual(self.talk.words(), "a b")

    def test_clientGoneStopsTheAnswerAtOnce(self) -> None:
        """No timer is left, in whichever phase it leaves."""
        for knobs, seconds in (({"endless": True}, TURN), ({"first_delay_ms": 1000}, 0.5), ({"delay_ms": 1000}, 0.5)):
            talk = Talk()
            talk.chat("one two", **knobs)
            talk.clock.advance(seconds)
            self.assertEqual(talk.tally, Tally(started=1, open=1, aborted=0))
            talk.leave()
            self.assertEqual(talk.clock.getDelayedCalls(), [])
            self.assertEqual(talk.tally, Tally(started=1, open=0, aborted=1))

    def test_slowClientMayLeave(self) -> None:
        """Also while it is paused with a word due."""
        self.talk.chat("one two", endless=True)
        self.talk.steps(1)
        self.talk.pause()
        self.talk.steps(3)
        self.talk.leave()
        self.assertEqual(self.talk.tally, Tally(started=1, open=0, aborted=1))

    def test_lostConnectionStopsTheAnswer(self) -> None:
        """The transport may tell first, and what comes later counts nothing twice."""
        self.talk.chat("one two", endless=True)
        self.talk.steps(2)
        self.talk.lose()
        self.assertEqual(self.talk.clock.getDelayedCalls(), [])
        self.talk.leave()
        self.assertEqual(self.talk.tally, Tally(started=1, open=0, aborted=1))

    def test_playerIsAPushProducer(self) -> None:
        """It offers what Twisted's interface asks for."""
        self.talk.chat("one", endless=True)
        player = self.talk._channel._channel._requestProducer
        self.assertIsInstance(player, Player)
        verifyObject(IPushProducer, player)

    def test_brokenAnswerClosesTheConnection(self) -> None:
        """An answer that raises while it is made is logged, and cut."""

        def broken() -> object:
            yield b"data: 1\n\n", True
            raise RuntimeError("broken")

        self.talk.chat("one")
        player = self.talk._channel._channel._requestProducer
        player._reply = type(player._reply)(broken(), b"text/event-stream")
        self.talk.steps(2)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertTrue(self.talk.transport.disconnecting)
        self.assertEqual(self.talk.tally.open, 0)
