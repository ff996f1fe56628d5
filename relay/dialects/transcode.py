"""Upstream bytes in, client bytes out: one transcoder per attempt, sans-IO."""

from __future__ import annotations

from typing import Protocol

from relay.errors import RelayError
from relay.exchange import Usage


class Transcoder(Protocol):
    """Turns the bytes of one upstream answer into the bytes of the client's answer."""

    @property
    def usage(self) -> Usage:
        """Tokens as reported so far."""

    @property
    def started(self) -> bool:
        """Whether content-bearing bytes, or a good end, have come out; the moment of commitment."""

    @property
    def done(self) -> bool:
        """Whether the terminal event came; nothing more is to be fed."""

    @property
    def error(self) -> RelayError | None:
        """The provider's in-stream error, once one came; its bytes are in the output."""

    @property
    def model(self) -> str:
        """The model the provider says it served, or ""."""

    @property
    def stop(self) -> str:
        """Finish or stop reason, or ""."""

    @property
    def chunks(self) -> int:
        """Frames that carried content."""

    def feed(self, data: bytes) -> bytes:
        """Take upstream bytes; return client bytes, maybe b"".

        Raises:
            UpstreamProtocol: a frame is too large or cannot be understood.
        """

    def end(self) -> bytes:
        """The body ended cleanly; return the last client bytes.

        Raises:
            TruncatedStream: neither a terminal event nor a finish reason was seen.
            UpstreamError: the body was an error answer and no stream at all.
        """

    def fail(self, error: RelayError) -> bytes:
        """The in-stream error of the client's dialect, b"" if it has no form for one."""
