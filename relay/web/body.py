"""Receiving request bodies: into memory, into a spool, or not at all.

`BodyReceiver` knows no server and can be driven by any; `ReceivingRequest` and
`ReceivingChannel` drive it from Twisted's, which by itself would keep each body in a
blocking temporary file, parse forms, and break the connection under a client that is
still sending when it is refused.
"""

# mypy: allow-untyped-calls
# (twisted.web.http is largely unannotated)

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from io import BytesIO
from typing import cast

import attrs

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, ITCPTransport
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, parse_qs
from twisted.web.server import Request

from relay.dialects.form import KEPT_FIELDS
from relay.errors import InvalidRequest, RelayError, TooLarge, UnsupportedMedia
from relay.exchange import Body, FormField
from relay.interfaces import IConfiguration
from relay.spool.disk import Disk
from relay.spool.writer import Spool
from relay.wire.multipart import MultipartScanner, boundary_of

LINGER = 10.0
"""Seconds for which a refused client's remaining bytes are read and dropped.

A connection closed while bytes arrive is reset, and the reset may destroy the answer
before the client has read it.
See: https://www.rfc-editor.org/rfc/rfc9112#section-9.6
"""


@attrs.frozen
class Reception:
    """What a site's requests need to receive their bodies.

    Attributes:
        disk: where large uploads go.
        configuration: tells the largest body.
    """

    disk: Disk
    configuration: IConfiguration


@attrs.frozen
class Received:
    """A complete request body.

    Attributes:
        body: the bytes, or a spooled upload.
        fields: multipart only: the text fields that relay itself reads, by name.
    """

    body: bytes | Body = b""
    fields: Mapping[str, FormField] = attrs.field(factory=dict)

    def close(self) -> None:
        """Give back what a spooled upload holds. Idempotent."""
        if not isinstance(self.body, bytes):
            self.body.close()


class BodyReceiver:
    """Takes one request's body, piece by piece, to where it belongs.

    `begin`, any number of `data`, then `finish`; or `abandon` at any time. A multipart
    body is scanned as it passes and spooled, any other is kept in memory. After an error
    it takes nothing more.

    Args:
        reception: the disk, and the largest body.
        pause: called when the sender has to wait for the disk.
        resume: called when it may go on.
        failed: called with what makes the rest of the body pointless, if that is found
            out between two pieces.
    """

    def __init__(
        self,
        reception: Reception,
        *,
        pause: Callable[[], None],
        resume: Callable[[], None],
        failed: Callable[[RelayError], None],
    ) -> None:
        self._limit = reception.configuration.snapshot.server.body
        self._new_spool = lambda: Spool(reception.disk, pause=pause, resume=resume, failed=failed)
        self._pieces: list[bytes] = []
        self._spool: Spool | None = None
        self._scanner: MultipartScanner | None = None
        self.length = 0

    def begin(self, length: int | None, content_type: str, content_encoding: str) -> None:
        """Decide by the head where the body goes.

        Args:
            length: the ``Content-Length``; None when it is not known beforehand.
            content_type: the ``Content-Type`` value, "" if absent.
            content_encoding: the ``Content-Encoding`` value, "" if absent.

        Raises:
            TooLarge: the declared length is above the limit.
            UnsupportedMedia: the body is compressed, or multipart of another kind than form-data.
            InvalidRequest: a multipart body without a valid boundary.
        """
        if length is not None and length > self._limit:
            raise self._too_large()
        if content_encoding.strip().lower() not in ("", "identity"):
            raise UnsupportedMedia("Request bodies must not have a Content-Encoding; send the body uncompressed.")
        media = content_type.partition(";")[0].strip().lower()
        if media.startswith("multipart/"):
            if media != "multipart/form-data":
                raise UnsupportedMedia("Of the multipart types only multipart/form-data is taken.")
            try:
                boundary = boundary_of(content_type)
            except ValueError as error:
                raise InvalidRequest(str(error)) from error
            self._scanner = MultipartScanner(boundary, KEPT_FIELDS)
            self._spool = self._new_spool()

    def data(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises:
            TooLarge: the body has passed the limit.
            InvalidRequest: it is not the multipart body that it is said to be.
        """
        self.length += len(piece)
        if self.length > self._limit:
            self.abandon()
            raise self._too_large()
        if self._scanner is None or self._spool is None:
            self._pieces.append(piece)
            return
        try:
            self._scanner.feed(piece)
        except ValueError as error:
            self.abandon()
            raise InvalidRequest(str(error)) from error
        self._spool.write(piece)

    def finish(self) -> Deferred[Received]:
        """Say that the body is complete.

        Fires when all of it is stored; closing what it fires with is the caller's duty.
        Fails with `InvalidRequest` for a multipart body that is cut, and with `Overloaded`
        when the disk refused. Never fires once abandoned.
        """
        if self._scanner is None or self._spool is None:
            body = b"".join(self._pieces)
            self._pieces.clear()
            return succeed(Received(body))
        try:
            parts = self._scanner.end()
        except ValueError as error:
            self.abandon()
            return fail(InvalidRequest(str(error)))
        fields = {part.name: FormField(part.value, part.start, part.end) for part in parts if part.value is not None}
        return self._spool.finish().addCallback(Received, fields)

    def abandon(self) -> None:
        """Drop what has come and whatever else comes. Idempotent; nothing after `finish` fired."""
        self._pieces.clear()
        if self._spool is not None:
            self._spool.abandon()

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The request body is larger than {self._limit} bytes.")


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
