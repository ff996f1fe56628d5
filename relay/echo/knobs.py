"""The knobs: what a request may ask of the echo besides an answer.

They travel in the request body, in a field of their own called ``echo`` (a form field
with JSON in it for uploads), because that is what every SDK can add and what every
gateway passes on.
"""

from __future__ import annotations

import enum
from typing import Annotated

import attrs
import msgspec

MAX_DELAY_MS = 600_000
MAX_CHUNKS = 100_000

_Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=MAX_DELAY_MS)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_CHUNKS)]


class Break(enum.Enum):
    """How an answer breaks off.

    CUT: the connection is closed without the end of the answer.
    STALL: nothing more is sent; the connection stays open.
    ERROR: the dialect's in-stream error is sent instead of the rest.
    """

    CUT = "cut_after"
    STALL = "stall_after"
    ERROR = "error_after"


@attrs.frozen
class Fault:
    """An answer that breaks off.

    Attributes:
        kind: how.
        after: content chunks that are sent before.
    """

    kind: Break
    after: int


class Knobs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a test wants to happen.

    Attributes:
        text: the answer, instead of the prompt.
        chunks: the answer has exactly so many words: they are repeated, or cut.
        endless: the words are repeated until the client leaves; streamed answers only.
        tool: name of the tool to call.
        first_delay_ms: silence before the first byte.
        delay_ms: silence between two chunks.
        status: answer this error status.
        error: message of the error, for ``status`` and ``error_after``.
        retry_after: seconds in the error's ``retry-after`` header.
        cut_after: close the connection after so many chunks.
        stall_after: send nothing more after so many chunks, and keep the connection open.
        error_after: send an in-stream error after so many chunks; streamed answers only.
        disconnect: close the connection without a byte of answer.
    """

    text: str | None = None
    chunks: Annotated[int, msgspec.Meta(ge=1, le=MAX_CHUNKS)] | None = None
    endless: bool = False
    tool: str | None = None
    first_delay_ms: _Milliseconds = 0.0
    delay_ms: _Milliseconds = 0.0
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] | None = None
    error: str | None = None
    retry_after: Annotated[float, msgspec.Meta(ge=0, le=86_400)] | None = None
    cut_after: _Count | None = None
    stall_after: _Count | None = None
    error_after: _Count | None = None
    disconnect: bool = False

    def __post_init__(self) -> None:
        """Refuse combinations of which one part could have no effect.

        Raises:
            ValueError: the combination says two things at once; names the knobs.
        """
        ends = [
            name for name in ("status", "cut_after", "stall_after", "error_after", "disconnect") if self.turned(name)
        ]
        if len(ends) > 1:
            raise ValueError(f"{' and '.join(ends)} exclude each other")
        if self.error is not None and self.status is None and self.error_after is None:
            raise ValueError("error is the message of status or error_after; give one of them")
        if self.retry_after is not None and self.status is None:
            raise ValueError("retry_after is a header of the error answer; give status as well")

    def turned(self, name: str) -> bool:
        """Whether one of the knobs that are None or False by default is turned; 0 and "" are."""
        value: object = getattr(self, name)
        return value is not None and value is not False

    @property
    def fault(self) -> Fault | None:
        """How the answer breaks off, or None if it does not."""
        for kind in Break:
            after: int | None = getattr(self, kind.value)
            if after is not None:
                return Fault(kind, after)
        return None

    @property
    def message(self) -> str:
        """The message of the error."""
        return self.error if self.error is not None else "The echo was asked to fail."


NONE = Knobs()
"""No knob turned."""
