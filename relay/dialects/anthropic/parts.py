"""The hub's parts as the blocks of a request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from relay.chat import Media, Native, Part, Raw, Refusal, Text, Thinking, ToolCall, ToolResult
from relay.dialects.anthropic.blocks import ORIGIN
from relay.dialects.anthropic.media import block as media_block
from relay.dialects.anthropic.places import fault
from relay.dialects.anthropic.tools import Names, called, marker

_ID = re.compile(r"[^a-zA-Z0-9_-]")

Block = dict[str, Any] | Raw


class Parts:
    """Turns parts into blocks, and remembers what could not be carried.

    Attributes:
        lost: what could not be carried, in order, each once.
    """

    def __init__(self, names: Names, *, own: bool) -> None:
        self.lost: dict[str, None] = {}
        self._names = names
        self._own = own

    def block(self, part: Part, role: str) -> Block | None:
        """The block of a part; None for what must not be sent: empty text, foreign thinking, foreign parts.

        Raises:
            InvalidRequest: the provider has no such input.
        """
        match part:
            case Text() | Refusal():
                return self._text(part, role)
            case Thinking():
                return self._thinking(part)
            case ToolCall():
                return self._call(part)
            case ToolResult():
                return self._result(part)
            case Media():
                return self._media(part, role)
            case Native(origin=origin, value=value) if origin == ORIGIN:
                return Raw(value)
            case Native():
                self.lost[f"messages[].content[].{part.kind}"] = None
        return None

    def _text(self, part: Text | Refusal, role: str) -> Block | None:
        """Text; blank text is refused by the provider and says nothing."""
        if not part.text.strip():
            return None
        found: dict[str, Any] = {"type": "text", "text": part.text}
        if isinstance(part, Text):
            # only an answer may cite; in a user's text citations are refused
            sources = [Raw(source.native) for source in part.citations if source.origin == ORIGIN and source.native]
            if sources and role == "assistant":
                found["citations"] = sources
            _mark(found, part.cache)
        return found

    def _thinking(self, part: Thinking) -> Block | None:
        """Thinking goes back only with its own provider's proof."""
        if part.seal is None or part.seal.origin != ORIGIN or not part.seal.value:
            return None
        if part.redacted:
            return {"type": "redacted_thinking", "data": part.seal.value}
        return {"type": "thinking", "thinking": part.text, "signature": part.seal.value}

    def _call(self, part: ToolCall) -> Block:
        name = called(part, self._names)
        found: dict[str, Any] = {"type": "tool_use", "id": call_id(part.id), "name": name, "input": _input(part)}
        return _mark(found, part.cache)

    def _result(self, part: ToolResult) -> Block:
        found: dict[str, Any] = {"type": "tool_result", "tool_use_id": call_id(part.call)}
        blocks = [block for inner in part.content if (block := self.block(inner, "user")) is not None]
        if len(blocks) == 1 and isinstance(blocks[0], dict) and blocks[0].keys() == {"type", "text"}:
            found["content"] = blocks[0]["text"]
        elif blocks:
            found["content"] = blocks
        if part.error:
            found["is_error"] = True
        return _mark(found, part.cache)

    def _media(self, part: Media, role: str) -> Block | None:
        if role == "assistant":
            self.lost[f"messages[].content[].{part.kind}"] = None  # answers hold no media here
            return None
        if part.detail not in ("", "auto"):
            self.lost["messages[].content[].image_url.detail"] = None
        return _mark(media_block(part, own_files=self._own), part.cache)


def call_id(call: str) -> str:
    """A tool call's id in the letters that the provider takes."""
    return _ID.sub("_", call) or "_"


def _input(call: ToolCall) -> object:
    """A call's arguments as the object that the provider wants."""
    if call.custom:
        return {"input": call.arguments}
    arguments = call.arguments.strip() or "{}"
    try:
        msgspec.json.decode(arguments, type=dict[str, Raw])
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
        raise fault(
            "messages[].tool_calls[].function.arguments", f"of the call {call.id} must be a JSON object"
        ) from error
    return Raw(arguments.encode())


def _mark(found: dict[str, Any], cache: str | None) -> dict[str, Any]:
    if cache is not None:
        found["cache_control"] = marker(cache)
    return found


def kind(block: Block) -> str:
    """A block's type; "" for a native one."""
    return block.get("type", "") if isinstance(block, Mapping) else ""
