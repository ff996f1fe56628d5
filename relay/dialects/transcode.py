"""Upstream bytes in, client bytes out: one transcoder per attempt, sans-IO."""

from __future__ import annotations

from typing import Protocol

from relay.errors import RelayError
from relay.exchange import Usage


class Transcoder(Protocol):
    """Turns the bytes of one upstream answer into the bytes of the client's answer.

    Attributes:
        usage: tokens as reported so far.
        started: whether content-bearing bytes have come out; the moment of commitment.
        done: whether the terminal event came; nothing more is to be fed.
        error: the provider's in-stream error, once one came; its bytes are in the output.
        model: the model the provider says it served, or "".
        stop: finish or stop reason, or "".
        chunks: frames that carried content.
    """

    usage: Usage
    started: bool
    done: bool
    error: RelayError | None
    model: str
    stop: str
    chunks: int

    def feed(self, data: bytes) -> bytes:
        """Take upstream bytes; return client bytes, maybe b"".

        Raises:
            UpstreamProtocol: a frame is too large or cannot be understood.
        """

    def end(self) -> bytes:
        """The body ended cleanly; return the last client bytes.

        Raises:
            TruncatedStream: neither a terminal event nor a finish reason was seen.
        """

    def fail(self, error: RelayError) -> bytes:
        """The in-stream error of the client's dialect, b"" if it has no form for one."""
