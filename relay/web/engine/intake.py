"""Taking one request's body off a connection: where it ends, and what is behind it."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from relay.errors import InvalidRequest
from relay.web.arriving import Arrival
from relay.web.body import BodyReceiver, Received
from relay.wire.http import ChunkedBody, FramingError


class Intake:
    """One body that is not here with its head, or is more than its bytes.

    Any number of `feed` until it returns something, then `finish`; or `abandon` at any
    time. Between two `feed`s `forward` may send an upload on its way; then `complete`
    stands for `finish`, and to abandon is up to who has the arrival.

    Args:
        receiver: takes the body to where it belongs; begun.
        length: its length, None when it is chunked.

    Attributes:
        abandoned: whether nobody wants it any more.
        arrival: an upload that is on its way, else None.
        keep: whether the connection may go on behind that.
    """

    __slots__ = ("_chunks", "_left", "_receiver", "abandoned", "arrival", "keep")

    def __init__(self, receiver: BodyReceiver, length: int | None) -> None:
        self._receiver = receiver
        self._chunks = ChunkedBody() if length is None else None
        self._left = length or 0
        self.abandoned = False
        self.arrival: Arrival | None = None
        self.keep = False

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes.

        Returns:
            What is behind the body, maybe nothing; None while it is not complete.

        Raises:
            RelayError: the body cannot be taken.
        """
        chunks = self._chunks
        if chunks is None:
            piece = data[: self._left]
            if piece:
                self._left -= len(piece)
                self._receiver.data(piece)
            return data[len(piece) :] if not self._left else None
        try:
            pieces = chunks.feed(data)
        except FramingError as error:
            raise InvalidRequest(str(error)) from error
        if pieces:
            self._receiver.data(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        return chunks.rest if chunks.done else None

    def forward(self) -> Received | None:
        """Send it on its way if that can be; see `BodyReceiver.forward`."""
        forwarded = self._receiver.forward()
        if forwarded is None:
            return None
        received, self.arrival = forwarded
        return received

    def complete(self) -> None:
        """All of an upload that is on its way came; see `BodyReceiver.complete`."""
        self._receiver.complete()

    def finish(self) -> Deferred[Received]:
        """All of it came; as `BodyReceiver.finish`."""
        return self._receiver.finish()

    def abandon(self) -> None:
        """Drop it. Idempotent; nothing after what `finish` returned has fired."""
        self.abandoned = True
        self._receiver.abandon()
