"""The engine's upstream side under the same tests as Twisted's: every fault, stream, reuse and upload rule."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock

from relay.errors import Overloaded, UpstreamProtocol, UpstreamTimeout
from relay.interfaces import IUpstream
from relay.outcome import Stage
from relay.runtime.wheel import Wheel
from relay.upstream.engine import dial
from relay.upstream.engine.upstream import EngineUpstream
from tests.integration import test_upstream_exchange as exchanges
from tests.integration import test_upstream_faults as faults
from tests.integration import test_upstream_streams as streams
from tests.integration.faults import CHUNKED, Asked, Peer, UpstreamCase, answer, chunk, head
from tests.unit.upstream.doubles import MarkTranscoder, MemoryBody, MemorySink


class Timers(Clock):
    """The reactor's clock; a wheel's timer that still runs when a test is over is stopped."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[IDelayedCall] = []

    def seconds(self) -> float:
        now: float = cast("Any", reactor).seconds()
        return now

    def callLater(self, delay: float, callable: Any, *args: object, **kw: object) -> Any:  # noqa: A002  # Twisted's name
        call = cast("Any", reactor).callLater(delay, callable, *args, **kw)
        self._calls.append(call)
        return call

    def stop(self) -> None:
        """Let nothing be left."""
        for call in self._calls:
            if call.active():
                call.cancel()


class EngineCase(UpstreamCase):
    """Puts the engine in place of Twisted's client."""

    def setUp(self) -> None:
        self.timers = Timers()
        self.wheel = Wheel(self.timers, tick=0.01)
        super().setUp()

    def make(self, **settings: Any) -> IUpstream:
        return EngineUpstream(reactor, self.wheel, **settings)

    async def tearDown(self) -> None:  # type: ignore[override]  # trial waits for it
        await super().tearDown()
        while len(self.wheel):  # trial's own deadline bounds this
            await self.moment()
        self.timers.stop()


class EngineHeadFaultTests(EngineCase, faults.HeadFaultTests):
    """No answer, or none that can be read."""


class EngineSecureHeadFaultTests(EngineCase, faults.SecureHeadFaultTests):
    """The same over TLS."""


class EngineBodyFaultTests(EngineCase, faults.BodyFaultTests):
    """An answer that begins well."""


class EngineSecureBodyFaultTests(EngineCase, faults.SecureBodyFaultTests):
    """The same over TLS."""


class EngineTLSFaultTests(EngineCase, faults.TLSFaultTests):
    """Where TLS does not come about, not one byte of the request is sent."""


class EngineStreamTests(EngineCase, streams.StreamTests):
    """One streamed answer."""


class EngineSecureStreamTests(EngineCase, streams.SecureStreamTests):
    """The same over TLS."""


class EngineTwistedTLSTests(EngineCase, streams.SecureStreamTests):
    """The same over Twisted's TLS, where the lean one is not to be had."""

    def setUp(self) -> None:
        self.patch(dial, "is_supported", lambda: False)
        super().setUp()


class EngineCancelTests(EngineCase, streams.CancelTests):
    """Whoever stops waiting has the connection dropped at once, in every phase."""


class EngineSecureCancelTests(EngineCase, streams.SecureCancelTests):
    """The same over TLS."""


class EngineWireTests(EngineCase, exchanges.WireTests):
    """The request as the provider sees it, and the answer as the caller does."""


class EngineReuseTests(EngineCase, exchanges.ReuseTests):
    """Which connection carries the next request."""

    not_kept = exchanges.NOT_KEPT

    async def test_twoFramings(self) -> None:
        """An answer with a length and in chunks is refused: it has two readings (RFC 9112, section 6.3)."""
        self.server.reply(exchanges.TWO_FRAMINGS)
        error = await self.fails(UpstreamProtocol, self.send())
        self.assertIs(error.stage, Stage.FIRST_BYTE)
        await self.server.all_closed()

    async def test_freshest(self) -> None:
        """The connection that was used last is used first."""
        self.server.on_request = lambda peer, _: peer.later(lambda: peer.send(answer(b"ok")))
        await gatherResults([Deferred.fromCoroutine(self.exchange()) for _ in range(3)])
        self.server.reply(answer(b"ok"))
        for _ in range(5):
            await self.exchange()
        self.assertEqual(sorted(len(peer.asked) for peer in self.server.peers), [1, 1, 6])


class EngineSecureReuseTests(EngineReuseTests):
    """The same over TLS, where a pooled connection must be good for its host."""

    tls = True


class EngineUploadTests(EngineCase, exchanges.UploadTests):
    """Request bodies on their way up."""

    async def test_longAnswerWhileSending(self) -> None:
        """An answer without end before the upload's end is handed on at once, and taken at the caller's pace."""

        def script(peer: Peer, _: Asked) -> None:
            peer.stop_reading()
            peer.send(head(200))
            peer.pour(b"x" * 65536)

        self.server.on_head = script
        response = await self.send(body=MemoryBody(b"x" * 50_000_000))
        await self.moment(0.2)
        self.assertLess(self.server.peers[0].poured, 16_000_000)
        await self.fails(UpstreamProtocol, response.read(100_000))
        self.server.peers[0].go_on_reading()
        await self.server.all_closed()


class EngineSecureUploadTests(EngineUploadTests):
    """The same over TLS."""

    tls = True


class CapTests(EngineCase):
    """An origin has so many connections, and so many requests wait for one."""

    def make(self, **settings: Any) -> IUpstream:
        return super().make(**{"connections": 2, "queue": 2, **settings})

    def ask(self) -> Deferred[bytes]:
        """One whole exchange."""

        async def exchange() -> bytes:
            return await (await self.send(connect=5.0)).read(100)

        return Deferred.fromCoroutine(exchange())

    async def test_queue(self) -> None:
        """Those beyond the cap are served in turn, over the same connections."""
        self.server.on_request = lambda peer, _: peer.later(lambda: peer.send(answer(b"ok")))
        self.assertEqual(await gatherResults([self.ask() for _ in range(4)]), [b"ok"] * 4)
        self.assertEqual(len(self.server.peers), 2)

    async def test_full(self) -> None:
        """Where the queue is full, one more is told to come later, and nothing is sent."""
        waiting = [self.ask() for _ in range(4)]
        error = await self.fails(Overloaded, self.send())
        self.assertIsNotNone(error.retry_after)
        await self.server.until(lambda: len(self.server.asked) == 2)
        for each in waiting:
            each.addErrback(lambda _: None)
            each.cancel()
        await self.server.all_closed()
        self.assertEqual(len(self.server.asked), 2)

    async def test_waitIsBounded(self) -> None:
        """Waiting in the queue counts as connecting."""
        waiting = [self.ask() for _ in range(2)]
        error = await self.fails(UpstreamTimeout, self.send(connect=0.1))
        self.assertEqual((error.deadline, error.stage), ("connect", Stage.CONNECT))
        for each in waiting:
            each.addErrback(lambda _: None)
            each.cancel()
        await self.server.all_closed()

    async def test_deadConnectionsMakeRoom(self) -> None:
        """When a connection ends, the next in the queue gets a new one."""
        self.server.on_request = lambda peer, _: peer.later(lambda: peer.send(answer(b"ok", 200, b"Connection: close")))
        self.assertEqual(await gatherResults([self.ask() for _ in range(4)]), [b"ok"] * 4)
        self.assertEqual(len(self.server.peers), 4)


class EarlyAnswerTests(EngineCase):
    """What comes along with the head."""

    async def test_streamInOneRead(self) -> None:
        """A whole stream in the very read that brought the head is delivered, and its connection kept."""
        for _ in range(2):
            self.server.reply(head(200, CHUNKED), chunk(b"a"), chunk(b" END"), chunk(b""))
            response = await self.send(stream=True)
            sink, transcoder = MemorySink(), MarkTranscoder()
            await response.stream(transcoder, sink)
            self.assertEqual((sink.data, sink.producer), (b"a END", None))
        self.assertEqual(len(self.server.peers), 1)

    async def test_takenLater(self) -> None:
        """An answer that is taken later than it came is whole."""
        self.server.reply(head(200, b"Content-Length: 4"), b"ab")
        response = await self.send()
        await self.moment(0.05)
        self.server.peers[0].send(b"cd")
        self.assertEqual(await response.read(4), b"abcd")
