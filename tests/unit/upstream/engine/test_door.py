"""Tests of Twisted's agent over the engine's pool, without sockets."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError  # noqa: A004  # Twisted's name
from twisted.internet.interfaces import IConsumer
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import RequestTransmissionFailed, ResponseFailed, ResponseNeverReceived, readBody
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer, IResponse
from zope.interface import implementer

from relay.errors import Overloaded, UpstreamTimeout
from relay.upstream.engine.agent import make_agent
from relay.upstream.engine.connection import Connection
from relay.upstream.engine.door import CONNECT
from tests.unit.upstream.engine.parts import Lines, answer, lose


@implementer(IBodyProducer)
class Producer:
    """A body whose length is not known, and whose end the test brings about."""

    length: Any = UNKNOWN_LENGTH

    def __init__(self) -> None:
        self.written: Deferred[None] = Deferred()
        self.stopped = False

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(b"abc")
        return self.written

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        self.stopped = True


class DoorCase(SynchronousTestCase):
    """An agent over connections in memory."""

    manual = False

    def setUp(self) -> None:
        self.lines = Lines(self.manual)
        clock: Any = self.lines.clock
        self.agent = make_agent(clock, self.lines.pool(most=1, queue=1))

    def ask(self, body: Producer | None = None) -> Deferred[IResponse]:
        """Send a request."""
        method = b"GET" if body is None else b"POST"
        asked: Deferred[IResponse] = self.agent.request(method, b"http://a.example/x", None, body)
        return asked

    @property
    def connection(self) -> Connection:
        """The connection that was opened last."""
        return self.lines.made[-1]


class RequestTests(DoorCase):
    """Requests, and how they fail."""

    def test_unknownLength(self) -> None:
        """A body of unknown length goes up in chunks, and its connection is kept when all is sent."""
        body = Producer()
        asked = self.ask(body)
        sent = bytes(self.connection.transport.value())
        self.assertIn(b"transfer-encoding: chunked", sent.lower())
        self.assertTrue(sent.endswith(b"\r\n\r\n3\r\nabc\r\n"))
        body.written.callback(None)
        self.assertTrue(self.connection.transport.value().endswith(b"0\r\n\r\n"))
        self.connection.dataReceived(answer(b"ok"))
        self.assertEqual(self.successResultOf(readBody(self.successResultOf(asked))), b"ok")
        self.ask()
        self.assertEqual(len(self.lines.made), 1)

    def test_unsent(self) -> None:
        """A connection that ends during the upload, and a body that cannot be read, are failures to send."""
        body = Producer()
        asked = self.ask(body)
        lose(self.connection)
        self.failureResultOf(asked, RequestTransmissionFailed)
        body = Producer()
        asked = self.ask(body)
        body.written.errback(EOFError())
        self.failureResultOf(asked, RequestTransmissionFailed)

    def test_notAgainWithABody(self) -> None:
        """A request with a body is not sent again: it cannot be read twice."""
        asked = self.ask()
        self.connection.dataReceived(answer(b"ok"))
        self.successResultOf(readBody(self.successResultOf(asked)))
        body = Producer()
        asked = self.ask(body)
        body.written.callback(None)
        lose(self.connection)
        self.failureResultOf(asked, ResponseNeverReceived)
        self.assertEqual(len(self.lines.made), 1)

    def test_cancel(self) -> None:
        """Who no longer waits has the connection dropped."""
        asked = self.ask()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertTrue(self.connection.transport.aborted)

    def test_abandonedBody(self) -> None:
        """A protocol that wants no more of a body has the connection dropped, and is told so once."""
        asked = self.ask()
        self.connection.dataReceived(answer(b"x" * 10)[:-5])
        reading = readBody(self.successResultOf(asked))
        reading.cancel()
        self.failureResultOf(reading, ResponseFailed)
        self.assertTrue(self.connection.transport.aborted)
        lose(self.connection)


class SearchTests(DoorCase):
    """Until there is a connection."""

    manual = True

    def test_deadline(self) -> None:
        """Opening one is bounded, and so is waiting for leave to open one."""
        asked = [self.ask(), self.ask()]
        self.lines.clock.advance(CONNECT + 1)
        for each in asked:
            self.failureResultOf(each, UpstreamTimeout)
        self.assertEqual((self.lines.pending, self.lines.cancelled, len(self.lines.wheel)), ([], 1, 0))

    def test_full(self) -> None:
        """One more than may wait is told so."""
        for _ in range(2):
            self.ask()
        self.failureResultOf(self.ask(), Overloaded)

    def test_unreachable(self) -> None:
        """The reason for which there is none comes as it is."""
        asked = self.ask()
        self.lines.pending[0].fail(ConnectionRefusedError())
        self.failureResultOf(asked, ConnectionRefusedError)
        self.assertEqual(len(self.lines.wheel), 0)

    def test_cancel(self) -> None:
        """Who no longer waits has the dial called off."""
        asked = self.ask()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual((self.lines.cancelled, len(self.lines.wheel)), (1, 0))

    def test_found(self) -> None:
        """When one stands, the request goes out, and its deadline for that is over."""
        asked = self.ask()
        self.lines.pending[0].succeed()
        self.assertIn(b"GET /x HTTP/1.1", self.connection.transport.value())
        self.lines.clock.advance(CONNECT + 1)
        self.assertNoResult(asked)
