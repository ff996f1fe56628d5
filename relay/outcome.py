"""How an exchange or an attempt ended, in closed sets."""

from __future__ import annotations

import enum

import attrs


class Outcome(enum.Enum):
    """How an exchange ended; the closed set used in logs and metrics."""

    COMPLETE = "complete"
    CLIENT_GONE = "client_gone"
    UPSTREAM_CUT = "upstream_cut"
    UPSTREAM_ERROR = "upstream_error"
    TIMEOUT = "timeout"
    REJECTED = "rejected"
    LIMITED = "limited"
    OVERLOADED = "overloaded"
    INTERNAL = "internal"


class Stage(enum.Enum):
    """How far an attempt got before it failed; decides whether it may be repeated."""

    CONNECT = "connect"
    SEND = "send"
    FIRST_BYTE = "first_byte"
    STREAM = "stream"


@attrs.frozen
class Answer:
    """A provider's own error answer, kept so that equal dialects pass it on unchanged.

    Attributes:
        status: the provider's status, 400 to 599.
        headers: allowed response headers, lower-case names.
        body: the body as it came, at most 1 MiB, the provider's key masked.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
