"""A site whose requests tell what they received, for tests of body reception."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer

from relay.config import ServerConfig, Snapshot
from relay.errors import RelayError
from relay.interfaces import IConfiguration
from relay.spool.disk import Disk
from relay.web.body import Received, ReceivingChannel, ReceivingRequest, Reception


@implementer(IConfiguration)
@attrs.define
class FixedConfiguration:
    """Configuration that is there."""

    snapshot: Snapshot


def reception(disk: Disk, limit: int) -> Reception:
    """Reception with a largest body."""
    return Reception(disk, FixedConfiguration(Snapshot(providers={}, server=ServerConfig(body=limit))))


class TellingChannel(ReceivingChannel):
    """A channel that knows its site."""

    site: ReceivingSite


class TellingRequest(ReceivingRequest):
    """Shows to its site how it ended, and answers with a word or the error's code."""

    channel: TellingChannel
    site: ReceivingSite

    def admit(self) -> None:
        """Refuse what the site does not admit."""
        self.site = self.channel.site
        self.site.admit(self)

    def process(self) -> None:
        """Answer at once, or leave it to the test."""
        self.site.processed.append(self)
        if not self.site.hold_answers:
            self.answer()

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
        processed: requests in the order of their `process`.
        hold_answers: whether the test answers.
        admit: called with each request's head.
    """

    protocol = TellingChannel  # type: ignore[assignment] # Twisted expects its switch to HTTP/2 around it
    requestFactory = TellingRequest

    def __init__(self, reactor: IReactorTime, disk: Disk, limit: int) -> None:
        super().__init__(Resource(), reactor=reactor)
        self.reception = reception(disk, limit)
        self.processed: list[TellingRequest] = []
        self.hold_answers = False
        self.admit: Callable[[TellingRequest], None] = lambda request: None

    def buildProtocol(self, addr: IAddress) -> TellingChannel:  # type: ignore[override] # Twisted's is unannotated
        """Give the channel what it needs."""
        channel = super().buildProtocol(addr)
        assert isinstance(channel, TellingChannel)
        channel.reception = self.reception
        return channel

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
