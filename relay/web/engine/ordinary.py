"""What ``twisted.web.http.Request`` asks of its channel, on the engine's."""

# mypy: allow-untyped-calls
# (twisted.web is largely unannotated)

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from twisted.internet.interfaces import IAddress, IProducer, IPushProducer, ISSLTransport
from twisted.web.http import NO_BODY_CODES
from twisted.web.http_headers import Headers

from relay.web.engine.heads import lines
from relay.web.engine.states import Transport

if TYPE_CHECKING:
    from relay.web.engine.channel import EngineChannel
    from relay.web.engine.request import EngineRequest
    from relay.web.site import RelaySite


class OrdinaryChannel:
    """Carries one ordinary resource's answer: Twisted's ``Request`` frames it, this writes it.

    A push producer has the client's pace and its deadline; a pull producer is the transport's.

    Args:
        request: whose answer it is.
        connection: where it goes.
    """

    def __init__(self, request: EngineRequest, connection: EngineChannel) -> None:
        self._request = request
        self._connection = connection
        self._producer: IPushProducer | None = None
        self._pulled = False
        self.site: RelaySite = connection.site
        self.transport: Transport = connection.transport

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        """Write the head; a body without length or chunks ends with the connection."""
        request = self._request
        bodiless = request.method == b"HEAD" or int(code) in NO_BODY_CODES
        if not (request.chunked or bodiless or headers.hasHeader(b"content-length")):
            self._connection.keep = False
        fields = tuple((name.lower(), value) for name, values in headers.getAllRawHeaders() for value in values)
        coding = b"transfer-encoding: chunked\r\n" if request.chunked else b""
        self.transport.write(request.head(int(code), lines(fields, request.fixed)[0] + coding))

    def write(self, data: bytes) -> None:
        """Write a piece of the body, framed already."""
        self.transport.write(data)

    def writeSequence(self, pieces: Iterable[bytes]) -> None:
        """Write several pieces at once."""
        self.transport.write(b"".join(pieces))

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Let the client's pace reach a producer."""
        if streaming:
            self._producer = cast("IPushProducer", producer)
            self._connection.pace(self)
            if self._connection.is_full:
                self.full()
        else:
            self._pulled = True
            self._connection.lend(producer)

    def unregisterProducer(self) -> None:
        """Undo `registerProducer`. Idempotent."""
        self._producer = None
        if self._pulled:
            self._pulled = False
            self._connection.take_back()

    def loseConnection(self) -> None:
        """Close when everything is written."""
        self._connection.close()

    def isSecure(self) -> bool:
        """Whether TLS protects the connection."""
        return bool(ISSLTransport.providedBy(self.transport))

    def getPeer(self) -> IAddress:
        """The client's address."""
        return self.transport.getPeer()

    def getHost(self) -> IAddress:
        """The address that the client connected to."""
        return self.transport.getHost()

    # ── told by the connection ────────────────────────────────────────────────────────

    def full(self) -> None:
        """The client does not keep up."""
        if self._producer is not None:
            self._producer.pauseProducing()

    def empty(self) -> None:
        """The client has taken everything."""
        if self._producer is not None:
            self._producer.resumeProducing()

    def lost(self) -> None:
        """The client has left."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
