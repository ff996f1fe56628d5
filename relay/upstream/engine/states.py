"""Where a connection to a provider stands."""

from __future__ import annotations

import enum


class State(enum.Enum):
    """Where a connection stands.

    ======== ================================= ==============================================
    OPENING  TCP or TLS is not there yet       → IDLE when it is, CLOSED
    IDLE     nobody has it                     → HEAD by `ask`, CLOSED
    HEAD     a request was (or is being) sent  → LENGTH, CHUNKED, EOF, IDLE (no body), CLOSED
    LENGTH   a body of known length comes      → IDLE, CLOSED
    CHUNKED  a chunked body comes              → IDLE, CLOSED
    EOF      a body up to the close comes      → CLOSED
    CLOSED   it carries nothing any more
    ======== ================================= ==============================================
    """

    OPENING = "opening"
    IDLE = "idle"
    HEAD = "head"
    LENGTH = "length"
    CHUNKED = "chunked"
    EOF = "eof"
    CLOSED = "closed"


OPENING, IDLE, HEAD, LENGTH, CHUNKED, EOF, CLOSED = State
