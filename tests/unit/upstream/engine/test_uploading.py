"""An exchange over the engine whose request is still arriving: framing, paces, deadlines, one attempt."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer
from zope.interface.verify import verifyObject

from relay.errors import UpstreamProtocol, UpstreamTimeout, UpstreamUnreachable
from relay.exchange import Body
from relay.interfaces import IArrivingBody, IUpstreamResponse
from relay.outcome import Stage
from relay.upstream.engine.response import EngineResponse
from relay.upstream.engine.uploading import Outflow, UploadResponse
from tests.unit.upstream.engine.parts import ORIGIN, TIMES, answer, head, lose, make_request
from tests.unit.upstream.engine.test_sending import SendingCase


@implementer(IArrivingBody)
class Arriving:
    """An arriving body that the test writes.

    Attributes:
        said: how it was paced.
    """

    received = 0

    def __init__(self, length: int | None) -> None:
        self.length = length
        self.said: list[str] = []
        self._consumer: IConsumer | None = None
        self._done: Deferred[None] = Deferred(lambda _: self.stopProducing())

    @property
    def repeatable(self) -> bool:
        return self._consumer is None

    def watch(self, failed: object) -> None:
        """Nobody is told here."""

    def start(self, consumer: IConsumer) -> Deferred[None]:
        assert self._consumer is None, "it was started before"
        self._consumer = consumer
        return self._done

    def write(self, data: bytes) -> None:
        """More of it comes."""
        assert self._consumer is not None
        self._consumer.write(data)

    def finish(self) -> None:
        """That was all."""
        self._done.callback(None)

    def replaced(self, start: int, end: int, data: bytes) -> Body:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is held."""

    def pauseProducing(self) -> None:
        self.said.append("pause")

    def resumeProducing(self) -> None:
        self.said.append("resume")

    def stopProducing(self) -> None:
        self.said.append("stop")


class UploadCase(SendingCase):
    """Uploads over connections in memory."""

    def upload(self, length: int | None = 6, *, stream: bool = False) -> Deferred[IUpstreamResponse]:
        """Send an upload that is arriving."""
        self.body = Arriving(length)
        request = make_request(self.body, stream=stream)
        return UploadResponse(self.pool.at(ORIGIN), self.lines.wheel, request).start()

    def whole(self, sent: Deferred[IUpstreamResponse]) -> tuple[int, bytes]:
        """Status and body of an answer that is here."""
        response = self.successResultOf(sent)
        assert isinstance(response, EngineResponse)
        return response.status, self.successResultOf(response.read(100))


class FramingTests(UploadCase):
    """What the provider reads."""

    def test_length(self) -> None:
        """Where the length is known, it is said, and the bytes follow as they come."""
        sent = self.upload()
        self.assertTrue(self.wire.taken().endswith(b"\r\ncontent-length: 6\r\n\r\n"))
        self.body.write(b"abc")
        self.assertEqual(self.wire.taken(), b"abc")
        self.body.write(b"def")
        self.body.finish()
        self.assertEqual(self.wire.taken(), b"def")
        self.assertIsNone(self.wire.producer)
        self.connection.dataReceived(answer(b"ok"))
        self.assertEqual(self.whole(sent), (200, b"ok"))

    def test_chunks(self) -> None:
        """Where it is not, each piece is a chunk, and the last chunk comes with the end."""
        sent = self.upload(None)
        begun = self.wire.taken()
        self.assertTrue(begun.endswith(b"\r\ntransfer-encoding: chunked\r\n\r\n"))
        self.assertNotIn(b"content-length", begun)
        self.body.write(b"0123456789abcdef0")
        self.assertEqual(self.wire.taken(), b"11\r\n0123456789abcdef0\r\n")
        self.body.finish()
        self.assertEqual(self.wire.taken(), b"0\r\n\r\n")
        self.connection.dataReceived(answer(b"ok"))
        self.assertEqual(self.whole(sent), (200, b"ok"))

    def test_pace(self) -> None:
        """The connection paces the body as a push producer."""
        self.upload()
        producer: Any = self.wire.producer
        self.assertTrue(verifyObject(IBodyProducer, producer))
        self.assertTrue(self.wire.streaming)
        producer.pauseProducing()
        producer.resumeProducing()
        producer.stopProducing()
        self.assertEqual(self.body.said, ["pause", "resume", "stop"])

    def test_lengths(self) -> None:
        """The producer says what is known of the length."""
        self.assertEqual(Outflow(Arriving(7), lambda: None).length, 7)
        self.assertIsNot(Outflow(Arriving(None), lambda: None).length, None)


class OneAttemptTests(UploadCase):
    """Nothing of it can be had twice."""

    def kept(self) -> None:
        """Leave an idle connection."""
        self.successResultOf(self.answered(answer(b"ok")).read(2))
        self.wire.clear()

    def test_freshConnection(self) -> None:
        """An idle connection, which may be dead, is left alone."""
        self.kept()
        self.upload()
        self.assertEqual(len(self.lines.made), 2)
        self.assertEqual(self.lines.made[0].transport.value(), b"")

    def test_noRoom(self) -> None:
        """Only where there may be no further connection an idle one is used."""
        self.kept()
        self.send()
        self.send()
        first, second = self.lines.made
        first.dataReceived(answer(b"ok"))
        self.assertIsNotNone(second)
        self.wire.clear()
        self.upload()
        self.assertEqual(len(self.lines.made), 2)
        self.assertIn(b"content-length: 6", first.transport.value())

    def test_notAgain(self) -> None:
        """One that proves dead is the end of it."""
        self.kept()
        self.send()
        self.send()
        self.lines.made[0].dataReceived(answer(b"ok"))
        sent = self.upload()
        lose(self.lines.made[0])
        self.fails(UpstreamUnreachable, sent, Stage.SEND)
        self.assertEqual((len(self.lines.made), self.body.said), (2, ["stop"]))

    def test_reset(self) -> None:
        """A provider that goes away in the middle is told as unreachable, and the body is stopped."""
        sent = self.upload()
        self.body.write(b"abc")
        lose(self.connection)
        self.fails(UpstreamUnreachable, sent, Stage.SEND)
        self.assertEqual(self.body.said, ["stop"])
        self.nothing_left()

    def test_cancelled(self) -> None:
        """Whoever gives up breaks the connection; the request is not whole."""
        sent = self.upload()
        self.body.write(b"abc")
        sent.cancel()
        self.failureResultOf(sent, CancelledError)
        self.assertTrue(self.wire.aborted)
        self.assertEqual(self.body.said, ["stop"])
        self.nothing_left()


class EarlyTests(UploadCase):
    """A provider that answers before it has everything."""

    def test_whole(self) -> None:
        """Its answer counts; the rest is not sent, and the connection is not used again."""
        sent = self.upload()
        self.body.write(b"abc")
        self.connection.dataReceived(answer(b"no", 413))
        self.assertEqual(self.whole(sent), (413, b"no"))
        self.assertEqual(self.body.said, ["stop"])
        self.assertTrue(self.wire.aborted)
        self.nothing_left()

    def test_begun(self) -> None:
        """An answer that has begun does not stop the upload."""
        sent = self.upload()
        self.connection.dataReceived(head(200, b"Content-Length: 4") + b"ab")
        self.wire.clear()
        self.body.write(b"abcdef")
        self.body.finish()
        self.assertEqual(self.wire.taken(), b"abcdef")
        self.connection.dataReceived(b"cd")
        self.assertEqual(self.whole(sent), (200, b"abcd"))
        self.assertFalse(self.wire.aborted)

    def test_broken(self) -> None:
        """One that breaks off is no answer."""
        sent = self.upload()
        self.connection.dataReceived(b"HTTP/1.1 4")
        lose(self.connection)
        self.fails(UpstreamProtocol, sent, Stage.FIRST_BYTE)


class DeadlineTests(UploadCase):
    """Deadlines while it arrives, and behind it."""

    def expired(self, waiting: Deferred[Any], deadline: str, stage: Stage) -> None:
        """It has failed for this deadline, and nothing is left."""
        self.assertEqual(self.fails(UpstreamTimeout, waiting, stage).deadline, deadline)
        self.nothing_left()

    def test_firstByte(self) -> None:
        """A streamed answer has its time for the first byte from the last one of the upload."""
        sent = self.upload(stream=True)
        self.lines.clock.advance(TIMES.first_byte + 10)
        self.assertNoResult(sent)
        self.body.finish()
        self.lines.clock.advance(TIMES.first_byte - 1)
        self.assertNoResult(sent)
        self.lines.clock.advance(1.5)
        self.expired(sent, "first_byte", Stage.FIRST_BYTE)

    def test_total(self) -> None:
        """The whole is bounded from its beginning where the answer is not streamed."""
        sent = self.upload()
        self.lines.clock.advance(TIMES.total - 1)
        self.assertNoResult(sent)
        self.lines.clock.advance(1.5)
        self.expired(sent, "total", Stage.SEND)

    def test_answeredBefore(self) -> None:
        """The end of an upload whose answer has begun sets no deadline for the first byte."""
        sent = self.upload(stream=True)
        self.connection.dataReceived(head(200, b"Content-Length: 4"))
        self.body.finish()
        self.lines.clock.advance(TIMES.idle - 1)
        self.connection.dataReceived(b"abcd")
        self.assertEqual(self.whole(sent), (200, b"abcd"))
