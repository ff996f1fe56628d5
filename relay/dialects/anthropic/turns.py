"""A conversation as the alternating turns that the provider wants.

Rules that the provider enforces with a 400, and what is done for each:

* Turns alternate: neighbours of one role are merged.
* The results of tool calls stand first in the turn behind the calls, one for each call: results move in front
  of what else the user says there; a call without a result gets one that says so; a result without a call (its
  call was trimmed away) becomes text.
* Text is not blank: blank text is left out, and a message of nothing else with it.
* A system message in mid-conversation is taken by newer models, behind a user's turn that an answer or nothing
  follows; everywhere else it joins the system prompt.
* A last turn of the assistant does not end in blanks.

See: https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls,
https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from relay.chat import Message
from relay.dialects.anthropic.parts import Block, Parts, kind
from relay.dialects.anthropic.places import fault

_NO_RESULT = "No result was recorded for this call."
_THINKING = frozenset({"thinking", "redacted_thinking"})


class Turn:
    """What one role says until the other one speaks."""

    __slots__ = ("blocks", "role")

    def __init__(self, role: str, blocks: Sequence[Block]) -> None:
        self.role = role
        self.blocks: list[Block] = list(blocks)


class Conversation(msgspec.Struct):
    """A system prompt and turns."""

    system: list[Block]
    turns: list[Turn]

    def wire(self) -> list[dict[str, Any]]:
        """The ``messages`` field."""
        return [{"role": turn.role, "content": turn.blocks} for turn in self.turns]

    def unsigned(self) -> bool:
        """Whether a tool loop goes on whose assistant turn does not begin with its thinking."""
        if len(self.turns) < 2 or not any(kind(block) == "tool_result" for block in self.turns[-1].blocks):
            return False
        before = next((turn for turn in reversed(self.turns) if turn.role == "assistant"), None)
        return before is not None and kind(before.blocks[0]) not in _THINKING


def converse(messages: Sequence[Message], parts: Parts, *, mid_system: bool) -> Conversation:
    """Arrange a conversation.

    Args:
        messages: the hub's messages.
        parts: makes the blocks, and remembers what is lost.
        mid_system: whether the model takes system messages in mid-conversation.

    Raises:
        InvalidRequest: nothing is left to be said, or a part that the provider cannot take.
    """
    system, turns = _collect(messages, parts)
    turns = _settle(turns, system, mid_system=mid_system)
    if not turns:
        if not system:
            raise fault("messages", "must hold something that is said")
        turns, system = [Turn("user", system)], []
    _pair(turns)
    _trim(turns[-1])
    return Conversation(system, turns)


def _collect(messages: Sequence[Message], parts: Parts) -> tuple[list[Block], list[Turn]]:
    """Blocks by role; what comes before the first turn is the system prompt."""
    system: list[Block] = []
    turns: list[Turn] = []
    for message in messages:
        role = {"developer": "system", "tool": "user"}.get(message.role, message.role)
        blocks = [block for part in message.parts if (block := parts.block(part, role)) is not None]
        if message.name and role != "system":
            parts.lost["messages[].name"] = None
        if role == "assistant" and all(kind(block) in _THINKING for block in blocks):
            continue  # a turn must not consist of thinking; the answer was never given
        if not blocks:
            continue
        if role == "system" and not turns:
            system += blocks
        else:
            _add(turns, role, blocks)
    return system, turns


def _add(turns: list[Turn], role: str, blocks: Sequence[Block]) -> None:
    if turns and turns[-1].role == role:
        turns[-1].blocks += blocks
    else:
        turns.append(Turn(role, blocks))


def _settle(turns: Sequence[Turn], system: list[Block], *, mid_system: bool) -> list[Turn]:
    """Leave system messages where they may stand, hoist the others, and merge what then meets."""
    settled: list[Turn] = []
    for index, turn in enumerate(turns):
        if turn.role != "system":
            _add(settled, turn.role, turn.blocks)
            continue
        follower = turns[index + 1].role if index + 1 < len(turns) else "assistant"
        if mid_system and settled and settled[-1].role == "user" and follower == "assistant":
            settled.append(turn)
        else:
            system += turn.blocks
    return settled


def _pair(turns: list[Turn]) -> None:
    """Bring calls and results together."""
    for index, turn in enumerate(turns):
        if turn.role != "user":
            continue
        before = turns[index - 1].blocks if index and turns[index - 1].role == "assistant" else []
        calls = [block["id"] for block in before if isinstance(block, dict) and block["type"] == "tool_use"]
        results: dict[str, Block] = {}
        rest: list[Block] = []
        for block in turn.blocks:
            if not isinstance(block, dict) or block["type"] != "tool_result":
                rest.append(block)
            elif block["tool_use_id"] in calls and block["tool_use_id"] not in results:
                results[block["tool_use_id"]] = block
            else:
                rest += _told(block)
        for call in calls:
            results.setdefault(call, _missing(call))
        turn.blocks = [*results.values(), *rest]


def _missing(call: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call, "content": _NO_RESULT, "is_error": True}


def _told(result: dict[str, Any]) -> list[Block]:
    """A result whose call is not there, as what a user says."""
    content = result.get("content", [])
    said = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [{"type": "text", "text": f"Result of the tool call {result['tool_use_id']}:"}, *said]


def _trim(last: Turn) -> None:
    """Blanks at the end of a prefilled answer are refused."""
    block = last.blocks[-1] if last.role == "assistant" else None
    if isinstance(block, dict) and block["type"] == "text":
        last.blocks[-1] = {**block, "text": block["text"].rstrip()}
