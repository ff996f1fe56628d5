"""A client of a site in memory: raw bytes in, parsed answers out, on a clock that the test turns."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, cast

import attrs

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IPushProducer
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase

from relay.config import Snapshot
from relay.exchange import ClientRequest, ExchangeRecord, KeyInfo
from relay.interfaces import IKeyStore, IModelCatalog, ISink
from relay.secret import Secret
from relay.web.channel import RelayChannel
from relay.web.seams import Introspection, Phase, Status
from relay.web.site import Reactor, RelaySite, build_site
from tests.unit.doubles import FixedCatalog, FixedConfiguration, OpenKeys
from tests.unit.spool.threads import HeldThreads
from tests.unit.values import make_snapshot

Serve = Callable[[ClientRequest, ISink], Deferred[None] | None]


def echo(request: ClientRequest, sink: ISink) -> None:
    """Answers with the body that came in."""
    body = request.body if isinstance(request.body, bytes) else b"spooled"
    sink.start(200, ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))))
    sink.write(body)
    sink.end()


class MemoryGateway:
    """A gateway that serves with a function of the test.

    Attributes:
        serve: answers an exchange; what it raises, the exchange fails with.
        requests: all that came.
        records: all that were noted.
    """

    def __init__(self, keys: IKeyStore) -> None:
        self.serve: Serve = echo
        self.requests: list[ClientRequest] = []
        self.records: list[ExchangeRecord] = []
        self._keys = keys

    def exchange(self, request: ClientRequest, sink: ISink) -> Deferred[None]:
        self.requests.append(request)
        try:
            serving = self.serve(request, sink)
        except Exception:
            return fail()
        return serving if serving is not None else succeed(None)

    def identify(self, credential: Secret | None) -> KeyInfo | None:
        found = self._keys.lookup(credential)
        return found if isinstance(found, KeyInfo) else None

    def authenticate(self, credential: Secret | None) -> Deferred[KeyInfo]:
        return Deferred.fromCoroutine(self._owner(credential))

    async def _owner(self, credential: Secret | None) -> KeyInfo:
        found = self._keys.lookup(credential)
        return await found if isinstance(found, Deferred) else found

    def note(self, record: ExchangeRecord) -> None:
        self.records.append(record)


class MemoryReactor(Clock):
    """A clock, and threads that run at once or when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.threads = HeldThreads()

    def callFromThread(self, call: Callable[..., object], *args: object) -> None:
        call(*args)


@attrs.frozen
class Reply:
    """One parsed answer.

    Attributes:
        status: of the status line.
        fields: lower-case name → value; repeated ones joined with a comma.
        body: with the transfer coding removed.
        rest: what came behind it.
    """

    status: int
    fields: Mapping[str, str]
    body: bytes
    rest: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def parse(data: bytes, *, head: bool = False) -> Reply:
    """Cut the first answer off a connection's bytes; an endless body is taken to the end."""
    top, _, rest = data.partition(b"\r\n\r\n")
    line, *lines = top.decode("latin-1").split("\r\n")
    status = int(line.split(" ")[1])
    fields: dict[str, str] = {}
    for field in lines:
        name, _, value = field.partition(": ")
        fields[name.lower()] = f"{fields[name.lower()]}, {value}" if name.lower() in fields else value
    body = b""
    if head or status == 204:
        pass
    elif "content-length" in fields:
        length = int(fields["content-length"])
        body, rest = rest[:length], rest[length:]
    elif fields.get("transfer-encoding") == "chunked":
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
            if size == b"0":
                break
    else:
        body, rest = rest, b""
    return Reply(status, fields, body, rest)


class Connection:
    """One connection to a site."""

    def __init__(self, site: RelaySite, local: IAddress, transport: StringTransport | None = None) -> None:
        self.transport = transport or StringTransport(local, IPv4Address("TCP", "192.0.2.7", 50000))
        self.channel = site.buildProtocol(None)
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self.channel.dataReceived(data)

    def lose(self) -> None:
        """The client goes away."""
        self.channel.connectionLost(Failure(ConnectionDone()))

    @property
    def data(self) -> bytes:
        return cast("bytes", self.transport.value())

    def reply(self, *, head: bool = False) -> Reply:
        return parse(self.data, head=head)

    @property
    def producer(self) -> IPushProducer:
        """What the transport tells about its buffer."""
        return cast("IPushProducer", self.transport.producer)

    @property
    def cut(self) -> bool:
        return self.transport.disconnected

    @property
    def closing(self) -> bool:
        return self.transport.disconnecting

    @property
    def relay_channel(self) -> RelayChannel:
        return cast("RelayChannel", self.channel)


class SiteUnderTest:
    """A whole site with doubles around it.

    Attributes:
        phase: what ``/ready`` sees.
    """

    def __init__(
        self,
        snapshot: Snapshot | None = None,
        *,
        keys: IKeyStore | None = None,
        catalog: IModelCatalog | None = None,
        local: IAddress | None = None,
    ) -> None:
        self.reactor = MemoryReactor()
        self.configuration = FixedConfiguration(snapshot or make_snapshot())
        self.keys = keys or OpenKeys()
        self.gateway = MemoryGateway(self.keys)
        self.status = Status(phase=Phase.SERVING, uptime=12.5)
        self.local = local or IPv4Address("TCP", "127.0.0.1", 8000)
        self.site = build_site(
            cast("Reactor", self.reactor),
            self.gateway,
            self.configuration,
            catalog or FixedCatalog(),
            self.keys,
            Introspection(status=lambda: self.status, metrics=lambda: (b"# metrics\n", "text/plain; version=0.0.4")),
            cast("ThreadPool", self.reactor.threads),
            wall=lambda: 1_800_000_000.0,
            **self.options(),
        )

    def options(self) -> dict[str, Any]:
        """What else the site is built with."""
        return {}

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.reactor.advance(seconds)

    def connect(self) -> Connection:
        return Connection(self.site, self.local)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        fields: Sequence[tuple[str, str]] = (),
        *,
        host: str | None = "127.0.0.1:8000",
        version: str = "1.1",
    ) -> Reply:
        """Send one request on a connection of its own and parse the answer."""
        connection = self.connect()
        connection.send(raw(method, path, body, fields, host=host, version=version))
        self.reactor.threads.run()
        return connection.reply(head=method == "HEAD")

    def post(self, path: str, body: bytes = b"{}", **fields: str) -> Reply:
        """Send JSON."""
        named = tuple((name.replace("_", "-"), value) for name, value in fields.items())
        return self.request("POST", path, body, (("content-type", "application/json"), *named))


class WebCase(SynchronousTestCase):
    """Tests of a site.

    Attributes:
        make: builds it; on Twisted's channel here, subclasses name others.
        engine: whether relay's own channel serves, which is stricter here and there.
    """

    make: ClassVar[type[SiteUnderTest]] = SiteUnderTest
    engine: ClassVar[bool] = False


def raw(
    method: str,
    path: str,
    body: bytes | None = None,
    fields: Sequence[tuple[str, str]] = (),
    *,
    host: str | None = "127.0.0.1:8000",
    version: str = "1.1",
) -> bytes:
    """The bytes of a request."""
    all_fields = [("Host", host)] if host is not None else []
    if body is not None:
        all_fields.append(("Content-Length", str(len(body))))
    lines = [f"{method} {path} HTTP/{version}", *(f"{name}: {value}" for name, value in (*all_fields, *fields))]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")
