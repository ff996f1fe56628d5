"""Receiving request bodies: into memory, into a spool, on to a provider, or not at all; driven by any server."""

# mypy: allow-untyped-calls
# (twisted.internet.defer is partly unannotated)

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
import msgspec

from twisted.internet.defer import Deferred, fail, succeed

from relay.dialects.form import KEPT_FIELDS, NEEDED_FIELDS, check_late
from relay.errors import InvalidRequest, RelayError, TooLarge, UnsupportedMedia
from relay.exchange import Body, FormField
from relay.interfaces import IConfiguration
from relay.spool.disk import Disk
from relay.spool.writer import Spool
from relay.web.arriving import Arrival, ArrivingBody
from relay.wire.multipart import MultipartScanner, Part, boundary_of

LINGER = 10.0
"""Seconds for which a refused client's remaining bytes are read and dropped.

A connection closed while bytes arrive is reset, and the reset may destroy the answer
before the client has read it.
See: https://www.rfc-editor.org/rfc/rfc9112#section-9.6
"""

AWAITED = 256 * 1024
"""Bytes up to which an upload is awaited as a whole, which spares its provider a connection of its own."""

_SMALL = 4096
_JOINED = 64 * 1024
"""Pieces smaller than the one are joined until they are as large as the other.

Else a body that comes a few bytes at a time takes many times its size in memory.
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

    def takes_whole(self, length: int, content_type: str, content_encoding: str) -> bool:
        """Whether a body that is here already is nothing but its bytes, so that no receiver is needed."""
        return (
            length <= self.configuration.snapshot.server.body
            and not content_encoding
            and (content_type == "application/json" or not content_type.lower().lstrip().startswith("multipart/"))
        )


class Received(msgspec.Struct, frozen=True):
    """A complete request body, or one that is still arriving.

    Attributes:
        body: the bytes, or an upload.
        fields: multipart only: the text fields that relay itself reads, by name.
    """

    body: bytes | Body = b""
    fields: Mapping[str, FormField] = msgspec.field(default_factory=dict)

    def close(self) -> None:
        """Give back what an upload holds. Idempotent."""
        if not isinstance(self.body, bytes):
            self.body.close()


class BodyReceiver:
    """Takes one request's body, piece by piece, to where it belongs.

    `begin`, any number of `data`, then `finish`; or `abandon` at any time. A multipart
    body is scanned as it passes and spooled, any other is kept in memory. After a `data`,
    `forward` may send an upload on its way: then what comes is handed on, and `complete`
    stands for `finish`. After an error it takes nothing more.

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
        self._pause, self._resume = pause, resume
        self._pieces: list[bytes] = []
        self._crumbs = bytearray()
        self._spool: Spool | None = None
        self._arrival: Arrival | None = None
        self._scanner: MultipartScanner | None = None
        self._fields: dict[str, FormField] = {}
        self._declared: int | None = None
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
        self._declared = length
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
            self._keep(piece)
            return
        try:
            parts = self._scanner.feed(piece)
            if self._arrival is not None and self.length == self._declared:
                self._scanner.end()  # the last byte must not be on its way before
        except ValueError as error:
            self.abandon()
            raise InvalidRequest(str(error)) from error
        if parts:
            self._note(parts)
        if self._arrival is None:
            self._spool.write(piece)
        else:
            self._arrival.write(piece)

    def forward(self) -> tuple[Received, Arrival] | None:
        """Send an upload on its way, and hand on what comes of it from now on.

        That needs its first file to have begun, and all that relay has to know of it to be before that.

        Returns:
            The body, for who sends it, and what it is made of, for who receives it; None,
            and nothing changes, if it has to be awaited, or is on its way.
        """
        scanner, spool, length = self._scanner, self._spool, self._declared
        if scanner is None or spool is None or self._arrival is not None:
            return None
        if scanner.ahead is None or not scanner.ahead >= NEEDED_FIELDS:
            return None
        begun = spool.take() if (self.length if length is None else length) > AWAITED else None
        if begun is None:
            return None
        self._arrival = Arrival(begun, pause=self._pause, resume=self._resume)
        return Received(ArrivingBody(self._arrival, length), self._fields), self._arrival

    def complete(self) -> None:
        """Say that an upload that is on its way is complete.

        Raises:
            InvalidRequest: it is cut.
        """
        if self._arrival is not None and self._scanner is not None:
            try:
                self._scanner.end()
            except ValueError as error:
                raise InvalidRequest(str(error)) from error
            self._arrival.finish()

    def finish(self) -> Deferred[Received]:
        """Say that the body is complete.

        Fires when all of it is stored; closing what it fires with is the caller's duty.
        Fails with `InvalidRequest` for a multipart body that is cut, and with `Overloaded`
        when the disk refused. Never fires once abandoned.
        """
        if self._scanner is None or self._spool is None:
            self._gather()
            body = b"".join(self._pieces)
            self._pieces.clear()
            return succeed(Received(body))
        try:
            self._scanner.end()
        except ValueError as error:
            self.abandon()
            return fail(InvalidRequest(str(error)))
        return self._spool.finish().addCallback(Received, self._fields)

    def abandon(self) -> None:
        """Drop what has come and whatever else comes. Idempotent; nothing after `finish` fired."""
        self._pieces.clear()
        self._crumbs.clear()
        if self._spool is not None:
            self._spool.abandon()

    def _note(self, parts: Sequence[Part]) -> None:
        """Remember the fields that relay reads; when the form is on its way they can only be looked at.

        Raises:
            InvalidRequest: one of them is not what it has to be.
        """
        for part in parts:
            if part.value is None:
                continue
            if self._arrival is None:
                self._fields[part.name] = FormField(part.value, part.start, part.end)
            else:
                check_late(part.name, part.value)

    def _keep(self, piece: bytes) -> None:
        if len(piece) < _SMALL:
            self._crumbs += piece
            if len(self._crumbs) < _JOINED:
                return
        self._gather()
        if len(piece) >= _SMALL:
            self._pieces.append(piece)

    def _gather(self) -> None:
        """Make one piece of the small ones that came last."""
        if self._crumbs:
            self._pieces.append(bytes(self._crumbs))
            self._crumbs.clear()

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The request body is larger than {self._limit} bytes.")
