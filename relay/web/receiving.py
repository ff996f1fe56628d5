"""Receiving bodies on Twisted's own channel.

By itself that would keep each body in a blocking temporary file, parse forms, and break
the connection under a client that is still sending when it is refused.
"""

# mypy: allow-untyped-calls
# (twisted.web.http is largely unannotated)

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from typing import cast

from twisted.internet.interfaces import IDelayedCall, ITCPTransport
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, parse_qs
from twisted.web.server import Request

from relay.errors import RelayError
from relay.web.body import LINGER, BodyReceiver, Received, Reception


class _Unwanted(Exception):
    """Takes the channel out of the body that it is just reading: the answer has been given."""


class ReceivingChannel(HTTPChannel):
    """What Twisted's channel lacks for receiving bodies: a pause, and a refusal that arrives.

    Normally it is ``RECEIVING``; `hold` and `release` pause and resume reading. With
    `discard` it becomes ``DISCARDING`` for good: bytes are read and dropped, and
    `loseConnection` only says goodbye until the client has closed or `LINGER` has passed.

    Attributes:
        reception: set by the factory, as Twisted sets ``site``.
        discarding: whether a request is being answered that was not received to its end.
    """

    reception: Reception
    discarding = False
    _held = False
    _leaving = False
    _linger: IDelayedCall | None = None

    @property
    def head(self) -> tuple[bytes, bytes, bytes]:
        """Method, target and version of the request whose body is being received."""
        return self._command, self._path, self._version

    def hold(self) -> None:
        """Read no more for now."""
        self._held = True
        self._networkProducer.pauseProducing()

    def release(self) -> None:
        """Read again."""
        self._held = False
        if not self._waitingForTransport:
            self._networkProducer.resumeProducing()

    def discard(self) -> None:
        """Drop everything that the client still sends, and close after the answer. Idempotent."""
        if not self.discarding:
            self.discarding = True
            self.persistent = False
            self.setRawMode()
            self._linger = self.callLater(LINGER, self._hang_up)

    def rawDataReceived(self, data: bytes) -> None:
        """Take a piece of a body, or drop it."""
        if not self.discarding:
            with suppress(_Unwanted):
                super().rawDataReceived(data)

    def resumeProducing(self) -> None:
        """The transport has room for writing again; that is no reason to read while held."""
        super().resumeProducing()
        if self._held:
            self._networkProducer.pauseProducing()

    def loseConnection(self) -> None:
        """Close when everything is written; a discarding channel keeps its ear open for a while."""
        if not self.discarding or self._linger is None:
            super().loseConnection()
            return
        self._leaving = True
        if ITCPTransport.providedBy(self.transport) and not self.isSecure():
            self.transport.loseWriteConnection()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override] # Twisted's is unannotated
        """Stop the timer and tell the request."""
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        super().connectionLost(reason)

    def _hang_up(self) -> None:
        """The client had its time. An answer that is still being made closes after itself."""
        self._linger = None
        if self._leaving:
            super().loseConnection()

    def _send100Continue(self) -> None:
        """Ask for the body, unless the answer was given without it."""
        if not self.discarding:
            super()._send100Continue()


class ReceivingRequest(Request):
    """A request whose body goes where `BodyReceiver` takes it.

    `process` runs once: when the body is stored (`received`), or as soon as the request
    is known to be refused (`refusal`). It is for subclasses to answer both.

    Attributes:
        received: the body; empty until `process`. It is closed when the request is done.
        refusal: the error that is the answer, or None.
    """

    channel: ReceivingChannel
    refusal: RelayError | None = None
    _receiver: BodyReceiver | None = None

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.received = Received()

    def admit(self) -> None:
        """Decide by the head alone; nothing of the body has been asked for or read yet.

        Raises:
            RelayError: the answer, which makes the body needless.
        """

    def refuse(self, error: RelayError) -> None:
        """Answer with an error without waiting for the rest of the body.

        Does nothing once `process` has run.
        """
        if self._receiver is None:
            return
        self._receiver.abandon()
        self._receiver = None
        self.refusal = error
        self.responseHeaders.setRawHeaders(b"connection", [b"close"])
        self.channel.discard()
        self.process()

    # ── called by the channel ─────────────────────────────────────────────────────────

    def parseCookies(self) -> None:
        """Cookies mean nothing here."""

    def gotLength(self, length: int | None) -> None:
        """The head is complete: decide about the body."""
        channel = self.channel
        self._read_head(*channel.head)
        self._receiver = BodyReceiver(channel.reception, pause=channel.hold, resume=channel.release, failed=self.refuse)
        try:
            self.admit()
            self._receiver.begin(length, self._field(b"content-type"), self._field(b"content-encoding"))
        except RelayError as error:
            if length == 0:
                self.refusal = error  # the request is complete; the connection can live on
            else:
                self.refuse(error)

    def handleContentChunk(self, data: bytes) -> None:
        """Take a piece of the body."""
        if self._receiver is not None:
            try:
                self._receiver.data(data)
            except RelayError as error:
                self.refuse(error)
                raise _Unwanted from error

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The body has come to its end: process the request when all of it is stored."""
        if self.refusal is not None:
            self._receiver = None
            self.process()
        elif self._receiver is not None:
            self._receiver.finish().addCallbacks(self._stored, self._not_stored)

    def connectionLost(self, reason: Failure) -> None:
        """The client has left: drop what has come."""
        if self._receiver is not None:
            self._receiver.abandon()
            self._receiver = None
        super().connectionLost(reason)

    def _read_head(self, method: bytes, uri: bytes, version: bytes) -> None:
        self.method, self.uri, self.clientproto = method, uri, version
        self.path, _, query = uri.partition(b"?")
        self.args = parse_qs(query, 1) if query else {}

    def _field(self, name: bytes) -> str:
        """All values of a header field as one, "" if absent."""
        return b", ".join(self.requestHeaders.getRawHeaders(name, [])).decode("latin-1")

    def _stored(self, received: Received) -> None:
        self._receiver = None
        self.received = received
        # Resources that know nothing of relay read ``content``.
        self.content = BytesIO(received.body if isinstance(received.body, bytes) else b"")
        self.notifyFinish().addBoth(lambda _: received.close())
        self.process()

    def _not_stored(self, reason: Failure) -> None:
        reason.trap(RelayError)
        self.refuse(cast("RelayError", reason.value))
