"""One request on a client connection, as resources see it: typed, its head read once, never HTML."""

# mypy: allow-untyped-calls
# (twisted.web is largely unannotated)

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure
from twisted.web.http import datetimeToString
from twisted.web.resource import IResource

from relay.errors import RelayError
from relay.exchange import Headers
from relay.web.body import ReceivingRequest

if TYPE_CHECKING:
    from relay.web.channel import RelayChannel
    from relay.web.site import RelaySite

_SAFE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_BODILESS = frozenset({204, 304})


def new_id() -> str:
    """A request id that nobody can guess: 32 hex digits."""
    return secrets.token_hex(16)


def host_of(address: IAddress) -> str:
    """The host of an address; "" for a Unix socket."""
    return address.host if isinstance(address, IPv4Address | IPv6Address) else ""


class RelayRequest(ReceivingRequest):
    """One request.

    Attributes:
        id: the client's ``x-request-id`` when it is short and safe, else 32 hex digits.
        headers: the fields, names in lower case.
        path: the raw path, neither decoded nor normalised.
        query: the raw query string.
        arrived: seconds of the site's clock at which the head was complete.
        resource: what answers, found by the head.
        settled: whether somebody else reports this request's end.
    """

    defaultContentType = None
    path: bytes
    channel: RelayChannel
    resource: IResource | None = None

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.site: RelaySite = self.channel.site
        self.id = ""
        self.headers: Headers = ()
        self.query = b""
        self.arrived = 0.0
        self.settled = False

    # ── called while the request comes in ─────────────────────────────────────────────

    def admit(self) -> None:
        """The head is complete: read it, find the resource, and let the door decide.

        Raises:
            RelayError: the request is refused whatever its body holds.
        """
        self.arrived = self.site.clock.seconds()
        self.query = self.uri.partition(b"?")[2]
        fields = self.requestHeaders.getAllRawHeaders()
        self.headers = tuple((name.lower(), value) for name, values in fields for value in values)
        asked = self.header(b"x-request-id")
        self.id = asked.decode() if asked and _SAFE_ID.fullmatch(asked) else new_id()
        try:
            self.resource = self.site.getResourceFor(self)
            self.site.door.admit(self)
        except RelayError:
            raise
        except Exception as error:
            raise self.site.door.unexpected(self, Failure()) from error

    def process(self) -> None:
        """Answer: the body is stored, or the request is refused."""
        if self.refusal is not None:
            self.site.door.refuse(self, self.refusal)
            return
        try:
            self.render(self.resource)
        except Exception:
            self.processingFailed(Failure())

    def processingFailed(self, reason: Failure) -> None:
        """Answer an unexpected exception without showing it."""
        self.site.door.failed(self, reason)

    # ── the request ───────────────────────────────────────────────────────────────────

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        return bool(self._disconnected)

    @property
    def peer(self) -> str:
        """The client's address for logs; "" on a Unix socket."""
        return host_of(self.getClientAddress())

    @property
    def local(self) -> str:
        """The address that the client connected to; "" on a Unix socket."""
        return host_of(self.getHost())

    def header(self, name: bytes) -> bytes | None:
        """The first value of a field given in lower case, or None."""
        return next((value for key, value in self.headers if key == name), None)

    def values(self, name: bytes) -> tuple[str, ...]:
        """All values of a field given in lower case."""
        return tuple(value.decode("latin-1") for key, value in self.headers if key == name)

    # ── the answer ────────────────────────────────────────────────────────────────────

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
        if status not in _BODILESS:
            headers = (*headers, (b"content-length", b"%d" % len(body)))
        self.head(status, headers)
        self.write(body)
        self.finish()

    def abort(self) -> None:
        """Break the connection, so that the client sees that the answer is not whole."""
        if not self.gone:
            self.channel.transport.abortConnection()
