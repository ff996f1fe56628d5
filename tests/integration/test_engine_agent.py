"""treq over the engine's connections: what calls off the hot path see."""

from __future__ import annotations

import gzip
import io
from typing import Any

import treq
from twisted.internet import reactor as _reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError  # noqa: A004  # Twisted's name
from twisted.trial.unittest import TestCase
from twisted.web.client import FileBodyProducer, ResponseFailed, ResponseNeverReceived, readBody
from twisted.web.error import SchemeNotSupported
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IResponse
from zope.interface.verify import verifyObject

from relay.runtime.wheel import Wheel
from relay.upstream.engine.agent import make_agent, make_client
from relay.upstream.engine.dial import Dialer, Verified
from relay.upstream.engine.pool import Pool
from tests.integration.faults import CHUNKED, Asked, Authority, FaultServer, Peer, answer, chunk, head
from tests.integration.test_engine_upstream import Timers

reactor: Any = _reactor


class AgentCase(TestCase):
    """A pool, an agent and a treq client over it, and one server."""

    tls = False
    timeout = 20

    def setUp(self) -> None:
        self.server = FaultServer(reactor)
        self.timers = Timers()
        self.wheel = Wheel(self.timers, tick=0.01)
        trust = None
        if self.tls:
            authority = Authority()
            self.origin = self.server.listen(authority.server("127.0.0.1"))
            trust = authority.trust
        else:
            self.origin = self.server.listen()
        self.pool = Pool(reactor, self.wheel, Dialer(reactor, self.wheel, Verified(trust)), 10, 10, 55.0)
        self.agent = make_agent(reactor, self.pool)
        self.client = make_client(reactor, self.pool)

    async def tearDown(self) -> None:  # type: ignore[override]  # trial waits for it
        await self.pool.close()
        await self.server.stop()
        self.timers.stop()

    def url(self, path: str = "/v1/x") -> str:
        """Where the server is."""
        return f"{self.origin.scheme}://127.0.0.1:{self.origin.port}{path}"

    async def get(self, path: str = "/v1/x") -> IResponse:
        """Ask the agent itself."""
        response: IResponse = await self.agent.request(b"GET", self.url(path).encode(), Headers({}), None)
        return response


class ClientTests(AgentCase):
    """treq, as everywhere."""

    async def test_exchange(self) -> None:
        """Status, headers and body come, and the connection is kept."""
        for data in (
            answer(b"hello", 201, b"X-A: 1", b"X-A: 2"),
            head(201, CHUNKED, b"X-A: 1", b"X-A: 2") + chunk(b"hello") + chunk(b""),
        ):
            self.server.reply(data)
            response = await self.client.post(self.url("/a?b=c"), data=b"body", allow_redirects=False, reactor=reactor)
            self.assertEqual((response.code, await response.content()), (201, b"hello"))
            self.assertEqual(response.headers.getRawHeaders("x-a"), ["1", "2"])
            asked = self.server.asked[-1]
            self.assertEqual((asked.method, asked.target, asked.body), ("POST", "/a?b=c", b"body"))
        self.assertEqual(len(self.server.peers), 1)

    async def test_files(self) -> None:
        """A form with a file arrives whole, at the provider's pace."""
        self.server.reply(answer(b"ok"))
        data = bytes(range(256)) * 10_000
        files = {"file": ("a.wav", "audio/wav", FileBodyProducer(io.BytesIO(data)))}
        response = await self.client.post(self.url(), files=files, data={"model": "m"}, reactor=reactor)
        self.assertEqual(await response.content(), b"ok")
        self.assertIn(data, self.server.asked[0].body)

    async def test_large(self) -> None:
        """A large body, in gzip because treq asks for that, can be collected piece by piece."""
        data = bytes(range(256)) * 10_000
        self.server.reply(answer(gzip.compress(data), 200, b"Content-Encoding: gzip"))
        response = await self.client.get(self.url(), reactor=reactor, unbuffered=True)
        pieces: list[bytes] = []
        await treq.collect(response, pieces.append)
        self.assertEqual(b"".join(pieces), data)

    async def test_timeout(self) -> None:
        """Treq's timeout aborts the connection."""
        try:
            await self.client.get(self.url(), reactor=reactor, timeout=0.1)
        except CancelledError:
            await self.server.all_closed()
        else:
            self.fail("no timeout")

    async def test_cookies(self) -> None:
        """No cookie is kept."""
        self.server.reply(answer(b"", 200, b"Set-Cookie: a=b"))
        for _ in range(2):
            await self.client.get(self.url(), reactor=reactor)
        self.assertEqual([asked.header(b"cookie") for asked in self.server.asked], [[], []])


class SecureClientTests(ClientTests):
    """The same over TLS."""

    tls = True


class AgentTests(AgentCase):
    """What the agent's answers are, and its failures."""

    async def fails(self, kind: type[Exception], waiting: Any) -> None:
        """Wait for an error of this class."""
        try:
            result = await waiting
        except Exception as error:
            if not isinstance(error, kind):
                raise AssertionError(repr(error)) from error
        else:
            raise AssertionError(repr(result))

    async def test_interfaces(self) -> None:
        """Agent and answer are what Twisted says they are."""
        self.assertTrue(verifyObject(IAgent, self.agent))
        for data, length in (
            (answer(b"four"), 4),
            (head(204), 0),
            (head(200, CHUNKED) + chunk(b"four") + chunk(b""), UNKNOWN_LENGTH),
        ):
            self.server.reply(data)
            response = await self.get()
            self.assertTrue(verifyObject(IResponse, response))
            self.assertEqual((response.length, response.version), (length, (b"HTTP", 1, 1)))
            self.assertEqual(response.request.absoluteURI, self.url().encode())
            await readBody(response)

    async def test_failures(self) -> None:
        """A connection that brings nothing, and one that breaks off, are told apart."""
        self.server.on_request = lambda peer, _: peer.close()
        await self.fails(ResponseNeverReceived, self.get())
        self.server.reply(b"nonsense\r\n\r\n")
        await self.fails(ResponseFailed, self.get())

        def script(peer: Peer, _: Asked) -> None:
            peer.send(head(200, b"Content-Length: 9"), b"abc")
            peer.later(peer.close)

        self.server.on_request = script
        await self.fails(ResponseFailed, readBody(await self.get()))

    async def test_again(self) -> None:
        """A request without a body is sent once more if a kept connection had died."""
        self.server.reply(answer(b"ok"))
        await readBody(await self.get())
        self.server.on_request = lambda peer, _: peer.close() if len(peer.asked) > 1 else peer.send(answer(b"fresh"))
        self.assertEqual(await readBody(await self.get()), b"fresh")
        self.assertEqual(len(self.server.peers), 2)

    async def test_cancelledBody(self) -> None:
        """Whoever gives up reading a body has the connection dropped."""
        self.server.reply_without_end(head(200), b"x" * 65536)
        reading = readBody(await self.get())
        reading.cancel()
        await self.fails(ResponseFailed, reading)
        await self.server.all_closed()

    async def test_untaken(self) -> None:
        """An answer that nobody takes is held back; it is whole when somebody does."""
        self.server.reply(head(200, CHUNKED), chunk(b"ab"))
        response = await self.get()
        gone: Deferred[None] = Deferred()
        reactor.callLater(0.05, gone.callback, None)
        await gone
        self.server.peers[0].send(chunk(b"cd"), chunk(b""))
        self.assertEqual(await readBody(response), b"abcd")

    async def test_scheme(self) -> None:
        """Other schemes are not connected to."""
        await self.fails(SchemeNotSupported, self.agent.request(b"GET", b"ftp://127.0.0.1/", None, None))

    async def test_unreachable(self) -> None:
        """Where nobody listens, the reason comes as it is."""
        await self.server.stop()
        await self.fails(ConnectionRefusedError, self.get())
