"""A site whose requests tell what they received, for tests of body reception."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer

from relay.config import ServerConfig, Snapshot
from relay.errors import RelayError
from relay.interfaces import IConfiguration
from relay.spool.disk import Disk
from relay.web.body import Received, Reception
from relay.web.receiving import ReceivingChannel, ReceivingRequest


@implementer(IConfiguration)
@attrs.define
class FixedConfiguration:
    """Configuration that is there."""

    snapshot: Snapshot


def reception(disk: Disk, limit: int) -> Reception:
    """Reception with a largest body."""
    return Reception(disk, FixedConfiguration(Snapshot(providers={}, server=ServerConfig(body=limit))))


class TellingChannel(ReceivingChannel):
    """Tells its site of its beginning and end."""

    factory: ReceivingSite

    def connectionMade(self) -> None:
        """One more."""
        super().connectionMade()
        self.factory.connected(self)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override] # Twisted's is unannotated
        """One less."""
        super().connectionLost(reason)
        self.factory.disconnected(self)


class TellingRequest(ReceivingRequest):
    """Shows to its site how it ended, and answers with a word or the error's code."""

    site: ReceivingSite

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.site = self.channel.factory

    def admit(self) -> None:
        """Refuse what the site does not admit."""
        self.site.admit(self)

    def process(self) -> None:
        """Answer at once, or leave it to the test."""
        self.site.process(self)

    def answer(self) -> None:
        """Write the answer."""
        error = self.refusal
        body = b"received" if error is None else error.code.encode()
        self.setResponseCode(200 if error is None else error.http_status)
        self.setHeader(b"content-length", b"%d" % len(body))
        self.write(body)
        self.finish()


class ReceivingSite(Site):
    """Makes receiving channels and remembers what was processed on them.

    Attributes:
        admit: called with each request's head.
        hold_answers: whether the test answers.
        processed: requests in the order of their `process`.
    """

    def __init__(self, reactor: IReactorTime, disk: Disk, limit: int) -> None:
        super().__init__(Resource(), TellingRequest, reactor=reactor)
        self.reception = reception(disk, limit)
        self.admit: Callable[[TellingRequest], None] = lambda request: None
        self.hold_answers = False
        self.processed: list[TellingRequest] = []
        self._channels: set[ReceivingChannel] = set()
        self._next: Deferred[TellingRequest] = Deferred()
        self._quiet: Deferred[None] | None = None

    def make(self) -> ReceivingChannel:
        """A channel of the kind that the test is about."""
        return TellingChannel()

    def protocol(self) -> ReceivingChannel:  # type: ignore[override] # Twisted expects its switch to HTTP/2 around it
        """Make a channel."""
        channel = self.make()
        channel.reception = self.reception
        return channel

    def startFactory(self) -> None:
        """No access log, no timer for it."""

    def stopFactory(self) -> None:
        """Nothing was started."""

    def process(self, request: TellingRequest) -> None:
        """A request is complete or refused."""
        self.processed.append(request)
        if not self.hold_answers:
            request.answer()
        happened, self._next = self._next, Deferred()
        happened.callback(request)

    def next(self) -> Deferred[TellingRequest]:
        """Fires with the next request that is processed."""
        return self._next

    def connected(self, channel: ReceivingChannel) -> None:
        """A connection was made."""
        self._channels.add(channel)

    def disconnected(self, channel: ReceivingChannel) -> None:
        """A connection is no more."""
        self._channels.discard(channel)
        if self._quiet is not None and not self._channels:
            happened, self._quiet = self._quiet, None
            happened.callback(None)

    def quiet(self) -> Deferred[None]:
        """Fires when no connection is left; called once."""
        if not self._channels:
            return succeed(None)
        self._quiet = Deferred()
        return self._quiet

    @property
    def refusal(self) -> RelayError | None:
        """What the only request was refused with."""
        (request,) = self.processed
        return request.refusal

    @property
    def received(self) -> Received:
        """What the only request received."""
        (request,) = self.processed
        assert request.refusal is None, request.refusal
        return request.received
