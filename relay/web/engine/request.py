"""A request on the engine's channel: Twisted's ``Request``, made of nothing until somebody asks."""

# mypy: allow-untyped-calls
# (twisted.web is largely unannotated)
# mypy: disable-error-code="override"
# (what is an attribute there is made when it is touched here)

from __future__ import annotations

from collections.abc import Set
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure
from twisted.web.http import parse_qs
from twisted.web.http_headers import Headers as TwistedHeaders

from relay.exchange import ClientRequest, Headers
from relay.interfaces import ISink
from relay.policy.credentials import KEY_FIELDS, client_credential
from relay.secret import Secret
from relay.web.engine.heads import FIXED, OWN, Heads, lines
from relay.web.engine.known import Known
from relay.web.engine.ordinary import OrdinaryChannel
from relay.web.engine.sink import EngineSink
from relay.web.engine.states import Transport
from relay.web.request import BODILESS, RelayRequest
from relay.wire.http import RequestHead

if TYPE_CHECKING:
    from relay.web.engine.channel import EngineChannel


_NOTHING = RelayRequest.received


class EngineRequest(RelayRequest):
    """One request: at first no more than its head.

    relay's own resources take the answer's bytes to the connection by `answer` and `sink`.
    Any other resource of Twisted's finds all that it expects, from ``args`` to
    ``registerProducer``; each part is made when it is touched.

    Args:
        connection: where it came.
        head: what came.

    Attributes:
        connection: None once the answer has ended or the client has left.
        version: the client's, (1, 0) or (1, 1).
        startedWriting: whether the head of the answer is underway.
        greeting: lines of fields that every answer carries, besides server, date and ids.
        fixed: answer fields that are not the resource's to set.
    """

    __slots__ = (
        "_disconnected",
        "_host",
        "_line",
        "_named",
        "_ordinary",
        "_unique",
        "_waiting",
        "arrived",
        "connection",
        "content_type",
        "credential",
        "finished",
        "fixed",
        "greeting",
        "guarded",
        "headers",
        "id",
        "key",
        "local",
        "method",
        "path",
        "peer",
        "query",
        "received",
        "resource",
        "settled",
        "site",
        "startedWriting",
        "uri",
        "version",
    )
    # Twisted's classes give each instance a dictionary. What every request has stays out of it: Python shares
    # the keys of such dictionaries only between instances whose first attributes were the same.

    queued = False
    connection: EngineChannel | None
    _parsePOSTFormSubmission = False

    def __init__(self, connection: EngineChannel, head: RequestHead) -> None:
        # Twisted's own would make all that is made lazily below.
        self.connection = self._line = connection
        self.site, self.peer, self.local = connection.site, connection.peer, connection.local
        self.method, self.uri, self.version = head.method, head.target, head.version
        self.path, _, self.query = head.target.partition(b"?")
        self.headers, self._host = head.fields, head.host
        self.resource = self.guarded = self.credential = self.key = None
        self.settled = self._disconnected = False
        self.startedWriting = self.finished = 0
        self.received = _NOTHING
        self.fixed: Set[bytes] = FIXED
        self.greeting = b""
        self._named: dict[bytes, bytes] | None = None  # the first value of each field
        self._unique = True
        self._ordinary: OrdinaryChannel | None = None
        self._waiting: list[Deferred[None]] | None = None

    def resemble(self, known: Known, asked: ClientRequest) -> None:
        """Be a request that was admitted because its head was known."""
        self.id, self.arrived, self.headers = asked.id, asked.received, asked.headers
        self.content_type, self.credential, self.key = asked.content_type, asked.credential, asked.key
        self.resource = self.guarded = known.resource
        self.greeting, self.fixed = known.greeting, known.fixed

    # ── the request, as relay reads it ────────────────────────────────────────────────

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host that the client named; none is fine in HTTP/1.0."""
        return (self._host.decode("latin-1"),) if self._host else ()

    def header(self, name: bytes) -> bytes | None:
        """The first value of a field given in lower case, or None."""
        return (self._named or self._index()).get(name)

    def values(self, name: bytes) -> tuple[str, ...]:
        """All values of a field given in lower case."""
        named = self._named or self._index()
        if name not in named:
            return ()
        return (named[name].decode("latin-1"),) if self._unique else super().values(name)

    def joined(self, name: bytes) -> str:
        """All values of a field given in lower case as one, "" if absent."""
        named = self._named or self._index()
        if name not in named:
            return ""
        return named[name].decode("latin-1") if self._unique else super().joined(name)

    def sent_key(self, *others: str) -> Secret | None:
        """The key that the client sent; most send the same with each request of a connection.

        Args:
            others: keys that it carries elsewhere than in its header fields.

        Raises:
            Unauthenticated: two keys disagree, or it is none.
        """
        named, line = self._named or self._index(), self._line
        if others or not self._unique:
            return super().sent_key(*others)
        sent = tuple([(name, named[name]) for name in KEY_FIELDS if name in named])
        if sent != line.key_fields:
            line.key = client_credential(sent)
            line.key_fields = sent
        return line.key

    def _index(self) -> dict[bytes, bytes]:
        fields = self.headers
        named = dict(fields)
        self._unique = len(named) == len(fields)
        self._named = named if self._unique else dict(reversed(fields))
        return self._named

    # ── the answer, as relay writes it ────────────────────────────────────────────────

    def greet(self, headers: Headers) -> None:
        """Set fields that every answer carries, besides server, date and ids."""
        if headers:
            self.greeting = lines(headers, OWN)[0]
            self.fixed = FIXED | {name for name, _ in headers}

    def head(self, status: int, fields: bytes) -> bytes:
        """The answer's whole head.

        Args:
            status: its status.
            fields: lines of fields, besides those that every answer carries.
        """
        heads: Heads = self.site.heads  # type: ignore[attr-defined] # the engine's site has them
        return heads.head(status, self.id, self.greeting + fields + self._line.persistence(self.version))

    def answer(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Write a whole answer; to HEAD without its body. Does nothing for a client that has left."""
        connection = self.connection
        if connection is None:
            return
        if status not in BODILESS:
            headers = (*headers, (b"content-length", b"%d" % len(body)))
        head = self.head(status, lines(headers, self.fixed)[0])
        self.startedWriting = 1
        connection.transport.write(head if self.method == b"HEAD" or status in BODILESS else head + body)
        self.ended()

    def sink(self) -> ISink:
        """A sink straight onto the connection. What the head said is the exchange's from now on."""
        self._named = None
        self.headers = ()
        return EngineSink(self.connection, self.id, self, self)

    def abort(self) -> None:
        """Break the connection, so that the client sees that the answer is not whole."""
        if self.connection is not None:
            self.connection.abort()

    def ended(self) -> None:
        """The whole answer is written: let the connection go on, and everybody know."""
        connection, self.connection = self.connection, None
        self.finished = 1
        self._release()
        for waiting in self._told():
            waiting.callback(None)
        if connection is not None:
            connection.answered()

    def connectionLost(self, reason: Failure) -> None:
        """The client has left."""
        self._disconnected = True
        self.connection = None
        self._release()
        for waiting in self._told():
            waiting.errback(reason)

    def _release(self) -> None:
        """Let go of what only a running answer needs."""
        self._ordinary = None
        if self.received is not _NOTHING:
            self.received.close()

    def _told(self) -> list[Deferred[None]]:
        waiting, self._waiting = self._waiting, None
        return waiting or []

    # ── what other resources of Twisted's expect ──────────────────────────────────────

    def notifyFinish(self) -> Deferred[None]:
        """Fires when the answer has ended, fails when the client has left."""
        waiting: Deferred[None] = Deferred()
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(waiting)
        return waiting

    def _cleanup(self) -> None:
        """Twisted's `finish` has written the last byte."""
        if self.producer is not None:
            self.unregisterProducer()
        self.ended()

    @property
    def channel(self) -> OrdinaryChannel | None:
        """The connection, in the form in which Twisted's ``Request`` writes to it; None when the answer is over."""
        if self._ordinary is None and self.connection is not None:
            self._ordinary = OrdinaryChannel(self, self.connection)
        return self._ordinary

    @property
    def transport(self) -> Transport:
        """Where it came."""
        return self._line.transport

    @property
    def clientproto(self) -> bytes:
        """The client's version."""
        return b"HTTP/%d.%d" % self.version

    @cached_property
    def prepath(self) -> list[bytes]:
        """The segments that lead to the resource; the whole path where the table has it."""
        return self.path[1:].split(b"/")

    @cached_property
    def postpath(self) -> list[bytes]:
        """The segments below the resource."""
        return []

    @cached_property
    def args(self) -> dict[bytes, list[bytes]]:
        """The query's arguments; forms in bodies are not parsed."""
        found: dict[bytes, list[bytes]] = parse_qs(self.query, True) if self.query else {}
        return found

    @cached_property
    def content(self) -> BytesIO:
        """The body; empty when it lies in a file."""
        body = self.received.body
        return BytesIO(body if isinstance(body, bytes) else b"")

    @cached_property
    def requestHeaders(self) -> TwistedHeaders:
        """The request's fields."""
        found = TwistedHeaders()
        for name, value in self.headers:
            found.addRawHeader(name, value)
        return found

    @cached_property
    def responseHeaders(self) -> TwistedHeaders:
        """The answer's fields, but for those that the connection writes itself."""
        return TwistedHeaders()

    @cached_property
    def client(self) -> IAddress:
        """The client's address."""
        address: IAddress = self._line.transport.getPeer()
        return address

    @cached_property
    def host(self) -> IAddress:
        """The address that the client connected to."""
        address: IAddress = self._line.transport.getHost()
        return address

    @cached_property
    def cookies(self) -> list[bytes]:
        """Cookies that the answer sets."""
        return []

    @cached_property
    def received_cookies(self) -> dict[bytes, bytes]:
        """Cookies mean nothing here."""
        return {}

    @cached_property
    def _adapterCache(self) -> dict[object, object]:
        """Of ``Componentized``."""
        return {}
