"""A request on Twisted's own channel."""

# mypy: allow-untyped-calls
# (twisted.web is largely unannotated)

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.web.http import datetimeToString

from relay.exchange import Headers
from relay.interfaces import ISink
from relay.web.receiving import ReceivingRequest
from relay.web.request import BODILESS, RelayRequest, host_of
from relay.web.sink import RequestSink

if TYPE_CHECKING:
    from relay.web.channel import RelayChannel


class StockRequest(RelayRequest, ReceivingRequest):
    """A request whose answer is written by Twisted's ``Request``."""

    path: bytes
    channel: RelayChannel

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.site = self.channel.site
        self.peer, self.local = host_of(self.getClientAddress()), host_of(self.getHost())

    def admit(self) -> None:
        """Read the head first."""
        self.query = self.uri.partition(b"?")[2]
        fields = self.requestHeaders.getAllRawHeaders()
        self.headers = tuple((name.lower(), value) for name, values in fields for value in values)
        super().admit()

    def process(self) -> None:
        """Answer: the body is stored, or the request is refused."""
        if self.refusal is not None:
            self.site.door.refuse(self, self.refusal)
        else:
            super().process()

    def greet(self, headers: Headers) -> None:
        """Set the fields that every answer carries, whatever becomes of the request."""
        own = (
            (b"server", b"relay"),
            (b"date", datetimeToString()),
            (b"x-request-id", self.id.encode()),
            (b"request-id", self.id.encode()),
        )
        for name, value in (*own, *headers):
            self.responseHeaders.setRawHeaders(name, [value])

    def head(self, status: int, headers: Headers) -> None:
        """Write status and fields now; the fields that every answer carries win over the same ones here."""
        if not self.channel.persistent:
            self.responseHeaders.setRawHeaders(b"connection", [b"close"])
        fixed = {name.lower() for name, _ in self.responseHeaders.getAllRawHeaders()}
        self.setResponseCode(status)
        for name, value in headers:
            if name not in fixed:
                self.responseHeaders.addRawHeader(name, value)
        self.write(b"")

    def answer(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Write a whole answer; to HEAD without its body. Does nothing for a client that has left."""
        if self.gone:
            return
        if status not in BODILESS:
            headers = (*headers, (b"content-length", b"%d" % len(body)))
        self.head(status, headers)
        self.write(body)
        self.finish()

    def sink(self) -> ISink:
        """A sink over this request."""
        return RequestSink(self, self.site.clock, self.site.connections.timeouts.write)

    def abort(self) -> None:
        """Break the connection, so that the client sees that the answer is not whole."""
        if not self.gone:
            self.channel.transport.abortConnection()
