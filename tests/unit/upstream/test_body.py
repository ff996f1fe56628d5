"""Tests of request bodies on their way up."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IProducer
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer
from zope.interface.verify import verifyObject

from relay.errors import Overloaded
from relay.upstream.body import BLOCK, BytesProducer, SpooledProducer, producer_for
from tests.unit.upstream.doubles import MemoryBody


@implementer(IConsumer)
class Consumer:
    """Takes blocks; pauses its producer after each one if told so."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self.producer: BytesProducer | SpooledProducer | None = None

    def write(self, data: bytes) -> None:
        self.blocks.append(data)
        if self.producer is not None:
            self.producer.pauseProducing()

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        raise NotImplementedError

    def unregisterProducer(self) -> None:
        raise NotImplementedError


class SlowBody(MemoryBody):
    """Each read waits until the test lets it go on."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads: list[tuple[int, Deferred[None]]] = []

    async def read(self, offset: int, size: int) -> bytes:
        gate: Deferred[None] = Deferred()
        self.reads.append((offset, gate))
        await gate
        return await super().read(offset, size)


DATA = bytes(range(256)) * (3 * BLOCK // 256) + b"tail"


class ProducerTests(SynchronousTestCase):
    """What both kinds of producer have in common."""

    def producers(self, data: bytes = DATA) -> tuple[BytesProducer | SpooledProducer, ...]:
        """One of each kind, for the same bytes."""
        return BytesProducer(data), SpooledProducer(MemoryBody(data))

    def test_interface(self) -> None:
        """Both are body producers of the body's length."""
        for producer in self.producers():
            self.assertTrue(verifyObject(IBodyProducer, producer))
            self.assertEqual(producer.length, len(DATA))

    def test_chosen(self) -> None:
        """The kind of body decides; an empty body needs no producer."""
        self.assertIsInstance(producer_for(b"x"), BytesProducer)
        self.assertIsInstance(producer_for(MemoryBody(b"x")), SpooledProducer)
        self.assertIsNone(producer_for(b""))
        self.assertIsNone(producer_for(MemoryBody(b"")))

    def test_whole(self) -> None:
        """The body is written in blocks, in order, and then the Deferred fires."""
        for producer in self.producers():
            consumer = Consumer()
            self.successResultOf(producer.startProducing(consumer))
            self.assertEqual(b"".join(consumer.blocks), DATA)
            self.assertEqual({len(block) for block in consumer.blocks}, {BLOCK, 4})

    def test_paused(self) -> None:
        """Between pause and resume nothing is written."""
        for producer in self.producers():
            consumer = Consumer()
            consumer.producer = producer
            written = producer.startProducing(consumer)
            for count in (1, 2, 3):
                self.assertEqual(len(consumer.blocks), count)
                self.assertNoResult(written)
                producer.resumeProducing()
            self.successResultOf(written)
            self.assertEqual(b"".join(consumer.blocks), DATA)

    def test_stopped(self) -> None:
        """After a stop nothing is written, and the Deferred never fires."""
        for producer in self.producers():
            consumer = Consumer()
            consumer.producer = producer
            written = producer.startProducing(consumer)
            producer.stopProducing()
            producer.stopProducing()
            producer.resumeProducing()
            self.assertEqual(len(consumer.blocks), 1)
            self.assertNoResult(written)

    def test_stoppedBeforeTheStart(self) -> None:
        """A producer that was stopped at registration, because the connection is gone, writes nothing."""
        for producer in self.producers():
            consumer = Consumer()
            producer.stopProducing()
            self.assertNoResult(producer.startProducing(consumer))
            self.assertEqual(consumer.blocks, [])

    def test_cancelled(self) -> None:
        """Cancelling stops, and fails the Deferred."""
        for producer in self.producers():
            consumer = Consumer()
            consumer.producer = producer
            written = producer.startProducing(consumer)
            written.cancel()
            self.failureResultOf(written, CancelledError)
            producer.resumeProducing()
            self.assertEqual(len(consumer.blocks), 1)


class SpooledProducerTests(SynchronousTestCase):
    """Reading a spooled body."""

    def test_readsAhead(self) -> None:
        """While a block waits to be written, the next is read, and no more than that."""
        body = SlowBody(DATA)
        producer = SpooledProducer(body)
        consumer = Consumer()
        written = producer.startProducing(consumer)
        producer.pauseProducing()
        self.assertEqual([offset for offset, _ in body.reads], [0])
        body.reads[0][1].callback(None)
        self.assertEqual([offset for offset, _ in body.reads], [0, BLOCK])
        body.reads[1][1].callback(None)
        self.assertEqual(([offset for offset, _ in body.reads], consumer.blocks), ([0, BLOCK], []))
        producer.resumeProducing()
        self.assertEqual([offset for offset, _ in body.reads], [0, BLOCK, 2 * BLOCK])
        self.assertEqual(len(consumer.blocks), 2)
        for index in (2, 3):
            body.reads[index][1].callback(None)
        self.successResultOf(written)

    def test_stoppedWhileReading(self) -> None:
        """A stop while a read is under way leaves nothing behind."""
        body = SlowBody(DATA)
        producer = SpooledProducer(body)
        consumer = Consumer()
        written = producer.startProducing(consumer)
        producer.stopProducing()
        self.assertNoResult(written)
        self.assertTrue(body.reads[0][1].called)
        self.assertEqual(consumer.blocks, [])

    def test_stoppedAfterAFailedRead(self) -> None:
        """A read ahead that failed concerns nobody once the upload is stopped."""
        producer = SpooledProducer(MemoryBody(DATA, error_at=BLOCK))
        producer.pauseProducing()
        written = producer.startProducing(Consumer())
        producer.stopProducing()
        self.assertNoResult(written)

    def test_unreadable(self) -> None:
        """A read that fails fails the upload with its error, after what came before was written."""
        consumer = Consumer()
        written = SpooledProducer(MemoryBody(DATA, error_at=2 * BLOCK)).startProducing(consumer)
        self.failureResultOf(written, Overloaded)
        self.assertEqual(b"".join(consumer.blocks), DATA[: 2 * BLOCK])

    def test_tooShort(self) -> None:
        """A body that ends before its length fails the upload: it is never padded or cut."""
        body = MemoryBody(DATA)
        body.length += 1
        self.failureResultOf(SpooledProducer(body).startProducing(Consumer()), EOFError)
