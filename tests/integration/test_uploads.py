"""Uploads over real sockets: memory, reactor, descriptors, and refusals that arrive."""

from __future__ import annotations

import hashlib
import http.client
import resource
import socket
import time
from collections.abc import Callable
from io import FileIO
from itertools import pairwise
from pathlib import Path
from typing import TypeVar, cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTCP, IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import TestCase

from relay.config import ServerConfig, ServerTimeouts, Snapshot
from relay.dialects.form import read_form
from relay.endpoints import FORWARDED
from relay.exchange import StoredBody
from relay.interfaces import IConfiguration
from relay.spool.disk import Disk
from relay.web.body import LINGER
from relay.web.channel import Connections, RelayChannel
from relay.web.receiving import ReceivingChannel
from tests.unit.web.receiving import FixedConfiguration, ReceivingSite

MB = 1024 * 1024
BLOCK = b"".join(b"%07d\n" % i for i in range(MB // 8))
HEAD = (
    b'--XyZ\r\nContent-Disposition: form-data; name="language"\r\n\r\nde\r\n'
    b'--XyZ\r\nContent-Disposition: form-data; name="model"\r\n\r\necho/whisper-1\r\n'
    b'--XyZ\r\nContent-Disposition: form-data; name="file"; filename="\xc3\x84rger \xe2\x82\xac.wav"\r\n'
    b"Content-Type: audio/wav\r\n\r\n"
)
TAIL = b"\r\n--XyZ--\r\n"

_T = TypeVar("_T")
_Site = TypeVar("_Site", bound=ReceivingSite)


class Reactor(IReactorTime, IReactorTCP, IReactorFromThreads):
    """What these tests ask of the reactor."""


class WatchedDisk(Disk):
    """Tells when all of its files are closed."""

    def __init__(self, reactor: IReactorFromThreads, threads: ThreadPool, directory: str | None = None) -> None:
        super().__init__(reactor, threads, directory)
        self.made = 0
        self.open = 0
        self._idle: list[Deferred[None]] = []

    def create(self) -> FileIO:
        file = super().create()
        self.made += 1
        self.open += 1
        return file

    def idle(self) -> Deferred[None]:
        """Fires when no file is open."""
        idle: Deferred[None] = Deferred()
        self._idle.append(idle)
        if not self.open:
            self._tell()
        return idle

    def _closed(self, result: Failure | None) -> None:
        super()._closed(result)
        self.open -= 1
        if not self.open:
            self._tell()

    def _tell(self) -> None:
        waiting, self._idle = self._idle, []
        for idle in waiting:
            idle.callback(None)


class DeadlineSite(ReceivingSite):
    """Its channels keep deadlines."""

    def __init__(self, reactor: Reactor, disk: Disk, limit: int, configuration: IConfiguration) -> None:
        super().__init__(reactor, disk, limit)
        self._connections = Connections(reactor, configuration)

    def make(self) -> ReceivingChannel:
        channel = RelayChannel()
        channel.connections = self._connections
        return channel

    def quiet(self) -> Deferred[None]:
        return self._connections.drain()


def resident() -> int:
    """Bytes of memory in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def nameless() -> int:
    """How many open descriptors lead to files without a name."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        count += target.startswith("/") and target.endswith("(deleted)")
    return count


def head(length: int, *fields: bytes) -> bytes:
    """A request's head."""
    lines = (b"POST /v1/audio/transcriptions HTTP/1.1", b"Host: relay", b"Content-Length: %d" % length, *fields)
    return b"\r\n".join((*lines, b"", b""))


class UploadTests(TestCase):
    """A site that receives bodies, and clients that block in threads."""

    timeout = 60

    reactor: Reactor

    def setUp(self) -> None:
        """A pool of threads for files."""
        from twisted.internet import reactor

        self.reactor = cast("Reactor", reactor)
        self.threads = ThreadPool(0, 2, "uploads")
        self.threads.start()
        self.addCleanup(self.threads.stop)
        self.nameless = nameless()

    def listen(self, limit: int = 64 * MB, directory: str | None = None) -> ReceivingSite:
        """A site with a largest body."""
        self.disk = WatchedDisk(self.reactor, self.threads, directory)
        return self.serve(ReceivingSite(self.reactor, self.disk, limit))

    def serve(self, site: _Site) -> _Site:
        """Listen on a free port; at the end of the test all connections have to close by themselves."""
        port = self.reactor.listenTCP(0, cast("ServerFactory", site), interface="127.0.0.1")
        self.addCleanup(site.quiet)
        self.addCleanup(port.stopListening)
        host = port.getHost()
        assert isinstance(host, IPv4Address)
        self.port = host.port
        return site

    def client(self, talk: Callable[[socket.socket], _T]) -> Deferred[_T]:
        """Run a blocking client in a thread."""

        def run() -> _T:
            with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
                return talk(connection)

        return deferToThread(run)

    async def test_largeUpload(self) -> None:
        """50 MiB pass without filling memory or holding up the reactor, and come out byte for byte."""
        site = self.listen()
        site.hold_answers = True
        ticks: list[float] = []
        memory: list[int] = []

        def tick() -> None:
            ticks.append(time.monotonic())
            memory.append(resident())

        def upload(connection: socket.socket) -> bytes:
            connection.sendall(head(length, b"Content-Type: multipart/form-data; boundary=XyZ") + HEAD)
            for _ in range(50):
                connection.sendall(BLOCK)
            connection.sendall(TAIL)
            return connection.recv(65536)

        length = len(HEAD) + 50 * MB + len(TAIL)
        ticking = LoopingCall(tick)
        ended = ticking.start(0.005)
        before = resident()
        uploading = self.client(upload)
        request = await site.next()
        ticking.stop()
        await ended
        self.assertLess(max(memory) - before, 20 * MB)
        self.assertGreater(len(ticks), 5)
        self.assertLess(max(b - a for a, b in pairwise(ticks)), 0.25)

        received = request.received
        assert isinstance(received.body, StoredBody)
        self.assertEqual(received.body.length, length)
        form = read_form(FORWARDED["/v1/audio/transcriptions"], received.body, received.fields)
        self.assertEqual(form.model, "echo/whisper-1")
        changed = form.encode("whisper-1")
        assert isinstance(changed, StoredBody)
        expected = hashlib.sha256(HEAD.replace(b"echo/whisper-1", b"whisper-1"))
        for _ in range(50):
            expected.update(BLOCK)
        expected.update(TAIL)
        self.assertEqual(await digest(changed), expected.hexdigest())

        request.answer()
        self.assertIn(b"200 OK", await uploading)
        await self.disk.idle()
        self.assertEqual((self.disk.made, nameless()), (1, self.nameless))

    async def test_clientLeaves(self) -> None:
        """A client that leaves in the middle of its upload leaves no file behind."""
        site = self.listen()

        def leave(connection: socket.socket) -> None:
            connection.sendall(head(50 * MB, b"Content-Type: multipart/form-data; boundary=XyZ") + HEAD)
            for _ in range(10):
                connection.sendall(BLOCK)

        await self.client(leave)
        await site.quiet()
        await self.disk.idle()
        self.assertEqual((self.disk.made, self.disk.open, nameless()), (1, 0, self.nameless))
        self.assertEqual(site.processed, [])

    async def test_refusalIsReadable(self) -> None:
        """A client that sends all of a body that is too large, before it reads, can read the refusal."""
        self.listen(limit=MB)
        for encode_chunked in (False, True):

            def send(chunked: bool = encode_chunked) -> tuple[int, bytes]:
                client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                fields = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(20 * MB)}
                client.request("POST", "/v1/x", iter([BLOCK] * 20), fields, encode_chunked=chunked)
                answer = client.getresponse()
                read = answer.status, answer.read()
                client.close()
                return read

            self.assertEqual(await deferToThread(send), (413, b"request_too_large"))

    async def test_refusalEndsTheConnection(self) -> None:
        """A client that waits for the end of the connection sees it long before the lingering ends."""
        self.listen(limit=MB)

        def read_to_end(connection: socket.socket) -> bytes:
            connection.sendall(head(2 * MB, b"Content-Type: application/json") + b"{")
            return b"".join(iter(lambda: connection.recv(65536), b""))

        began = time.monotonic()
        answer = await self.client(read_to_end)
        self.assertLess(time.monotonic() - began, LINGER / 2)
        self.assertTrue(answer.startswith(b"HTTP/1.1 413"))
        self.assertTrue(answer.endswith(b"\r\n\r\nrequest_too_large"))

    async def test_refusedInsteadOfContinued(self) -> None:
        """A client that asks first is refused without having sent anything."""
        self.listen(limit=MB)

        def ask(connection: socket.socket) -> bytes:
            connection.sendall(head(2 * MB, b"Expect: 100-continue"))
            return connection.recv(65536)

        answer = await self.client(ask)
        self.assertTrue(answer.startswith(b"HTTP/1.1 413"))

    async def test_noDisk(self) -> None:
        """Where no file can be made, the client is told in the middle of its upload that relay is busy."""
        self.listen(directory=str(Path(self.mktemp())))

        def upload(connection: socket.socket) -> bytes:
            connection.sendall(head(50 * MB, b"Content-Type: multipart/form-data; boundary=XyZ") + HEAD)
            connection.sendall(BLOCK * 10)
            return connection.recv(65536)

        answer = await self.client(upload)
        self.assertTrue(answer.startswith(b"HTTP/1.1 503"))

    async def test_slowBody(self) -> None:
        """A client that sends a byte now and then is refused at the deadline of the body."""
        limit = 0.3
        configuration = FixedConfiguration(
            Snapshot(providers={}, server=ServerConfig(), server_timeouts=ServerTimeouts(request_body=limit))
        )
        disk = WatchedDisk(self.reactor, self.threads)
        self.serve(DeadlineSite(self.reactor, disk, MB, configuration))

        def trickle(connection: socket.socket) -> bytes:
            connection.sendall(head(1000, b"Content-Type: application/json"))
            connection.settimeout(0.02)
            for _ in range(500):
                connection.sendall(b" ")
                try:
                    return connection.recv(65536)
                except TimeoutError:
                    continue
            return b""

        began = time.monotonic()
        answer = await self.client(trickle)
        elapsed = time.monotonic() - began
        self.assertTrue(answer.startswith(b"HTTP/1.1 408"), answer)
        self.assertGreaterEqual(elapsed, limit)
        self.assertLess(elapsed, limit + 2)


async def digest(body: StoredBody) -> str:
    """SHA-256 of a body, read in pieces."""
    hasher = hashlib.sha256()
    for offset in range(0, body.length, MB):
        hasher.update(await body.read(offset, MB))
    return hasher.hexdigest()
