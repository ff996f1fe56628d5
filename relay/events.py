"""The hub's stream: an answer as it grows, in no provider's words.

A reader makes these from an upstream's frames; a writer turns them into the client's. The rules
that every reader keeps and every writer may rely on:

* `Began` comes first, once, whatever the provider repeats.
* Content comes in blocks: `Opened`, any number of `Grew`, `Sealed` and `Cited`, `Closed`. Block numbers are
  unique in the answer and rise in the order of opening. Several blocks may be open at once (parallel
  tool calls); a writer whose dialect allows one at a time holds the later ones back.
* `Opened` carries the part as far as it is known: a `ToolCall` with id and name and ``arguments`` ``""``, a
  `Text` with ``""``; the growth that follows is appended. Parts that arrive whole (`Media`, `Native`, redacted
  `Thinking`) are complete in `Opened` and do not grow.
* The proof of a `ToolCall` comes in `Opened` where it is known by then: most dialects have room for it in the id only.
* Every block is closed before `Finished` of its choice. `Finished` comes at most once for each choice, and
  ``TOOL_CALLS`` is its reason whenever the choice called tools and ended well.
* `Counted` may come at any time, also behind `Finished`; a later one replaces an earlier one, field by field.
* `Ended` is the provider's terminal event. `Erred` is its in-stream error; nothing follows either.
"""

from __future__ import annotations

import msgspec

from relay.chat import Citation, Part, Seal
from relay.exchange import Usage


class Began(msgspec.Struct, frozen=True):
    """The answer begins: the provider's id, model and time of it where it gave them ("" and 0 else)."""

    id: str = ""
    model: str = ""
    created: int = 0
    tier: str = ""
    fingerprint: str = ""


class Opened(msgspec.Struct, frozen=True):
    """A block begins with the part as far as it is known."""

    block: int
    part: Part
    choice: int = 0


class Grew(msgspec.Struct, frozen=True):
    """More text of a `Text`, `Thinking` or `Refusal`, or more of a `ToolCall`'s arguments (JSON text in pieces)."""

    block: int
    text: str
    choice: int = 0


class Sealed(msgspec.Struct, frozen=True):
    """The proof for a block, whole."""

    block: int
    seal: Seal


class Cited(msgspec.Struct, frozen=True):
    """A source of a `Text` block."""

    block: int
    citation: Citation


class Closed(msgspec.Struct, frozen=True):
    """A block is complete."""

    block: int


class Probable(msgspec.Struct, frozen=True):
    """Log probabilities of text just sent: JSON text in OpenAI's form."""

    logprobs: bytes
    choice: int = 0


class Finished(msgspec.Struct, frozen=True):
    """A choice ended: a value of `relay.chat.Finish`, and the stop sequence that was written, or ""."""

    reason: str
    stop: str = ""
    choice: int = 0


class Counted(msgspec.Struct, frozen=True):
    """Tokens so far; None where this report does not say."""

    usage: Usage


class Erred(msgspec.Struct, frozen=True):
    """The provider reports an error inside the stream.

    Attributes:
        message: its words.
        code: its machine-readable kind, or "".
    """

    message: str
    code: str = ""


class Ended(msgspec.Struct, frozen=True):
    """The provider's terminal event."""


Event = Began | Opened | Grew | Sealed | Cited | Closed | Probable | Finished | Counted | Erred | Ended
