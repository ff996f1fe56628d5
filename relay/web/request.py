"""One request on a client connection, as resources see it: typed, its head read once, never HTML."""

# mypy: allow-untyped-calls
# (twisted.web is largely unannotated)

from __future__ import annotations

import re
import secrets
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import Request

from relay.errors import RelayError
from relay.exchange import Headers, KeyInfo
from relay.interfaces import ISink
from relay.policy.credentials import client_credential
from relay.secret import Secret
from relay.web.body import Received

if TYPE_CHECKING:
    from relay.web.base import Guarded
    from relay.web.site import RelaySite

BODILESS = frozenset({204, 304})
"""Statuses whose answers have neither a body nor a length."""

_SAFE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_DIGITS = 32
_STOCK = 128 * _DIGITS


class Ids:
    """Makes request ids that nobody can guess, 32 hex digits each; draws the randomness for many at once."""

    def __init__(self) -> None:
        self._stock = ""
        self._used = 0

    def new(self) -> str:
        """The next one."""
        at = self._used
        if at == len(self._stock):
            self._stock, at = secrets.token_hex(_STOCK // 2), 0
        self._used = at + _DIGITS
        return self._stock[at : at + _DIGITS]

    def accept(self, asked: bytes | None) -> str:
        """The one that a client asks for if it is short and safe, else the next one."""
        return asked.decode() if asked and _SAFE_ID.fullmatch(asked) else self.new()


def host_of(address: IAddress) -> str:
    """The host of an address; "" for a Unix socket."""
    return address.host if isinstance(address, IPv4Address | IPv6Address) else ""


class RelayRequest(Request, ABC):
    """One request, whichever channel it came on.

    Attributes:
        site: where it came in.
        id: the client's ``x-request-id`` when it is short and safe, else 32 hex digits.
        peer: the client's address for logs; "" on a Unix socket.
        local: the address that the client connected to; "" on a Unix socket.
        headers: the fields, names in lower case.
        path: the raw path, neither decoded nor normalised.
        query: the raw query string.
        arrived: seconds of the site's clock at which the head was complete.
        content_type: all values of ``Content-Type`` as one, "" if absent.
        resource: what answers, found by the head.
        guarded: the same if it is behind the door, which lets it answer; else None.
        credential: the key that the client sent, where the resource takes one.
        key: its owner, where that was told at once.
        received: the body; empty until `process`.
        settled: whether somebody else reports this request's end.
    """

    defaultContentType = None
    site: RelaySite
    path: bytes
    id = ""
    peer = ""
    local = ""
    headers: Headers = ()
    query = b""
    arrived = 0.0
    content_type = ""
    resource: IResource | None = None
    guarded: Guarded | None = None
    credential: Secret | None = None
    key: KeyInfo | None = None
    received: Received = Received()
    settled = False

    # ── called while the request comes in ─────────────────────────────────────────────

    def admit(self) -> None:
        """The head is complete: name the request, find the resource, and let the door decide.

        Raises:
            RelayError: the request is refused whatever its body holds.
        """
        site = self.site
        self.arrived = site.clock.seconds()
        self.id = site.door.ids.accept(self.header(b"x-request-id"))
        self.content_type = self.joined(b"content-type")
        try:
            self.resource = site.getResourceFor(self)
            site.door.admit(self)
        except RelayError:
            raise
        except Exception as error:
            raise site.door.unexpected(self, Failure()) from error

    def process(self) -> None:
        """The body is here: let the resource answer."""
        if self.guarded is not None:
            self.site.door.open(self, self.guarded)
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
    def hosts(self) -> tuple[str, ...]:
        """The hosts that the client named; none is fine in HTTP/1.0."""
        return self.values(b"host")

    def header(self, name: bytes) -> bytes | None:
        """The first value of a field given in lower case, or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    def values(self, name: bytes) -> tuple[str, ...]:
        """All values of a field given in lower case."""
        return tuple([value.decode("latin-1") for key, value in self.headers if key == name])

    def joined(self, name: bytes) -> str:
        """All values of a field given in lower case as one, "" if absent."""
        return ", ".join(self.values(name))

    def sent_key(self, *others: str) -> Secret | None:
        """The key that the client sent, in whichever style, or None.

        Args:
            others: keys that it carries elsewhere than in its header fields.

        Raises:
            Unauthenticated: two keys disagree, or it is none.
        """
        return client_credential(self.headers, *others)

    # ── the answer ────────────────────────────────────────────────────────────────────

    @abstractmethod
    def greet(self, headers: Headers) -> None:
        """Set fields that every answer carries, besides server, date and ids, whatever becomes of the request."""

    @abstractmethod
    def answer(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Write a whole answer; to HEAD without its body. Does nothing for a client that has left.

        The fields that every answer carries win over the same ones here.
        """

    @abstractmethod
    def sink(self) -> ISink:
        """Where an exchange's answer goes. Called at most once."""

    @abstractmethod
    def abort(self) -> None:
        """Break the connection, so that the client sees that the answer is not whole."""
