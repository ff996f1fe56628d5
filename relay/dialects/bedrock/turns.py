"""A conversation as Converse takes it: system blocks, and turns that alternate and are never empty.

See: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html and
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from relay.chat import ChatRequest, Media, Message, Native, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from relay.dialects.bedrock.media import Documents, block
from relay.dialects.bedrock.models import Traits
from relay.dialects.bedrock.tools import Names, cache_point, call_id, call_input
from relay.dialects.quoting import mended

ORIGIN = "bedrock"

PLACEHOLDER = "."
"""Stands where Converse wants words and the client gave none: a first user turn, a document's prompt."""

NO_RESULT = "No result was given for this tool call."
_NO_OUTPUT = "(no output)"
_ATTACHED = "(attached below)"
_LATE = "Result of an earlier tool call: "
_FAILED = "Error: "


class Turn:
    """One turn while it is put together.

    Attributes:
        role: ``user`` or ``assistant``.
        results: id of a call → its result and what stands behind it; these come first.
        blocks: everything else, in order.
        calls: ids of the calls among the blocks.
    """

    __slots__ = ("blocks", "calls", "results", "role")

    def __init__(self, role: str) -> None:
        self.role = role
        self.results: dict[str, list[dict[str, Any]]] = {}
        self.blocks: list[dict[str, Any]] = []
        self.calls: list[str] = []

    def content(self) -> list[dict[str, Any]]:
        """All its blocks, results first."""
        return [block for blocks in self.results.values() for block in blocks] + self.blocks


class Conversation:
    """Takes a request's messages.

    Args:
        request: the request.
        traits: what the model takes.
        lost: takes the caller's names of what cannot be carried.

    Attributes:
        system: system blocks.
        names: names of tools as they are sent.
        called: names, as sent, of tools that were called.
    """

    def __init__(self, request: ChatRequest, traits: Traits, lost: dict[str, None]) -> None:
        self.system: list[dict[str, Any]] = []
        self.names = Names()
        self.called: dict[str, None] = {}
        self._traits = traits
        self._lost = lost
        self._param = request.names.get("messages", "messages")
        self._documents = Documents()
        self._turns: list[Turn] = []
        for tool in request.tools:  # declared names have the first say
            if tool.kind in ("function", "custom"):
                self.names.sent(tool.name, tool.namespace, tool.kind == "custom")
        for message in request.messages:
            self._take(message)

    def messages(self) -> list[dict[str, Any]]:
        """The turns as Converse wants them: alternating, beginning with the user, each call with its result."""
        self._pair()
        turns = self._joined()
        if not turns or turns[0].role != "user":
            turns.insert(0, _placeholder())
        last = turns[-1]
        if last.role == "assistant" and "text" in last.blocks[-1]:
            last.blocks[-1]["text"] = last.blocks[-1]["text"].rstrip()
        return [{"role": turn.role, "content": turn.content()} for turn in turns]

    def thinks_first(self) -> bool:
        """Whether the last turn of the assistant may be answered under Claude's older rules for thinking."""
        turn = next((turn for turn in reversed(self._turns) if turn.role == "assistant"), None)
        return turn is None or not turn.calls or "reasoningContent" in turn.blocks[0]

    # ── taking messages ───────────────────────────────────────────────────────────────

    def _take(self, message: Message) -> None:
        if message.name:
            self._lose(f"{self._param}[].name")
        if message.role in ("system", "developer"):
            self._take_system(message.parts)
        elif message.role == "assistant":
            turn = self._turn("assistant")
            for part in message.parts:
                self._say(turn, part)
        else:
            turn = self._turn("user")
            for part in message.parts:
                self._ask(turn, part)

    def _turn(self, role: str) -> Turn:
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(Turn(role))
        return self._turns[-1]

    def _take_system(self, parts: Iterable[Part]) -> None:
        for part in parts:
            if not isinstance(part, Text):
                self._lose(f"{self._param}[].content of system messages")
            elif part.text.strip():
                self.system.append({"text": mended(part.text)})
                self._mark(self.system, part.cache)

    def _ask(self, turn: Turn, part: Part) -> None:
        """Take a part of a user's or a tool's message."""
        match part:
            case Text():
                self._text(turn.blocks, part)
            case Media():
                self._media(turn.blocks, part)
            case ToolResult():
                self._result(turn, part)
            case Native(origin="bedrock"):
                turn.blocks.append(msgspec.json.decode(part.value))
            case Native():
                self._lose(f"{self._param}[].content[].{part.kind}")
            case Thinking() | ToolCall() | Refusal():
                self._lose(f"{self._param}[].content[] of another role")

    def _say(self, turn: Turn, part: Part) -> None:
        """Take a part of an assistant's message."""
        match part:
            case Text():
                self._text(turn.blocks, part)
            case Refusal():
                self._text(turn.blocks, Text(part.text))
            case Thinking():
                self._thinking(turn, part)
            case ToolCall():
                self._call(turn, part)
            case Native(origin="bedrock"):
                turn.blocks.append(msgspec.json.decode(part.value))
            case Native():
                self._lose(f"{self._param}[].content[].{part.kind}")
            case Media() | ToolResult():
                self._lose(f"{self._param}[].content[] of another role")

    def _lose(self, name: str) -> None:
        self._lost[name] = None

    # ── blocks ────────────────────────────────────────────────────────────────────────

    def _text(self, blocks: list[dict[str, Any]], part: Text) -> None:
        if not part.text.strip():
            return
        own = [msgspec.Raw(source.native) for source in part.citations if source.origin == ORIGIN and source.native]
        text = mended(part.text)
        blocks.append({"citationsContent": {"content": [{"text": text}], "citations": own}} if own else {"text": text})
        self._mark(blocks, part.cache)

    def _media(self, blocks: list[dict[str, Any]], part: Media) -> None:
        if part.detail and part.detail != "auto":
            self._lose(f"{self._param}[].content[].detail")
        blocks.append(block(part, self._documents, self._param))
        self._mark(blocks, part.cache)

    def _thinking(self, turn: Turn, part: Thinking) -> None:
        """Claude's own thinking goes back as it came; no model takes another's, or any without proof."""
        if part.seal is None or part.seal.origin != ORIGIN:
            self._lose(f"{self._param}[].thinking")
        elif part.redacted:
            turn.blocks.append({"reasoningContent": {"redactedContent": part.seal.value}})
        else:
            words = {"text": mended(part.text), "signature": part.seal.value}
            turn.blocks.append({"reasoningContent": {"reasoningText": words}})

    def _call(self, turn: Turn, part: ToolCall) -> None:
        name = self.names.sent(part.name, part.namespace, part.custom)
        call = call_id(part.id, self._traits)
        self.called[name] = None
        turn.calls.append(call)
        use = {"toolUseId": call, "name": name, "input": call_input(part, f"{self._param}[].tool_calls")}
        turn.blocks.append({"toolUse": use})
        self._mark(turn.blocks, part.cache)

    def _result(self, turn: Turn, part: ToolResult) -> None:
        inside: list[dict[str, Any]] = []
        for item in part.content:
            self._inside(turn, inside, item)
        call = call_id(part.call, self._traits)
        result: dict[str, Any] = {"toolUseId": call, "content": inside or [{"text": _NO_OUTPUT}]}
        if part.error and self._traits.rich_results:
            result["status"] = "error"
        elif part.error:
            result["content"] = [{"text": _FAILED + _words(result["content"])}]
        blocks = turn.results.setdefault(call, [])
        blocks.append({"toolResult": result})
        inner = (item.cache for item in part.content if isinstance(item, (Text, Media)) and item.cache is not None)
        self._mark(blocks, part.cache if part.cache is not None else next(inner, None))

    def _inside(self, turn: Turn, inside: list[dict[str, Any]], item: Part) -> None:
        """Take a part of a tool's result; what may not stand in one goes behind all results."""
        match item:
            case Text() if item.text.strip():
                inside.append({"text": mended(item.text)})
            case Text():
                pass
            case Media() if self._traits.rich_results and item.kind != "audio":
                inside.append(block(item, self._documents, self._param))
            case Media():
                inside.append({"text": _ATTACHED})
                turn.blocks.append(block(item, self._documents, self._param))
            case Native(origin="bedrock"):
                inside.append(msgspec.json.decode(item.value))
            case Native():
                self._lose(f"{self._param}[].content[].{item.kind}")
            case _:
                self._lose(f"{self._param}[].content[] of another role")

    def _mark(self, blocks: list[dict[str, Any]], cache: str | None) -> None:
        """Put a cache point behind what was just added, or before a run of documents, behind which it is refused."""
        if cache is None:
            return
        at = len(blocks)
        while at and ("document" in blocks[at - 1] or "video" in blocks[at - 1]):
            at -= 1
        if not self._traits.cache or (not at and blocks):
            self._lose("cache_control")
        elif at:
            blocks.insert(at, cache_point(cache, self._traits))

    # ── order ─────────────────────────────────────────────────────────────────────────

    def _pair(self) -> None:
        """Give every call a result in the turn behind it, and make words of results that answer no call there."""
        calls: Sequence[str] = ()
        for index, turn in enumerate(self._turns):  # a turn that is added at the end is visited, too
            if turn.role == "user":
                _demote(turn, calls)
            elif turn.calls:
                if index + 1 == len(self._turns):
                    self._turns.append(Turn("user"))
                self._answer(turn, self._turns[index + 1])
            calls = turn.calls

    def _answer(self, turn: Turn, behind: Turn) -> None:
        for call in turn.calls:
            if call not in behind.results:
                result: dict[str, Any] = {"toolUseId": call, "content": [{"text": NO_RESULT}]}
                if self._traits.rich_results:
                    result["status"] = "error"
                behind.results[call] = [{"toolResult": result}]

    def _joined(self) -> list[Turn]:
        """The turns without empty ones; an assistant's that said nothing is dropped, a user's says something."""
        kept: list[Turn] = []
        for turn in self._turns:
            if turn.role == "assistant" and not turn.blocks:
                continue
            if kept and kept[-1].role == turn.role:
                kept[-1].results.update(turn.results)
                kept[-1].blocks += turn.blocks
                kept[-1].calls += turn.calls
            else:
                kept.append(turn)
        for turn in kept:
            if turn.role == "user":
                _complete(turn)
        return kept


def _placeholder() -> Turn:
    turn = Turn("user")
    turn.blocks.append({"text": PLACEHOLDER})
    return turn


def _complete(turn: Turn) -> None:
    """Words where Converse wants some: in an empty turn, and beside documents."""
    documents = any("document" in block for block in turn.blocks)
    if not turn.content() or (documents and not any("text" in block for block in turn.blocks)):
        turn.blocks.insert(0, {"text": PLACEHOLDER})


def _demote(turn: Turn, calls: Iterable[str]) -> None:
    for call in [call for call in turn.results if call not in calls]:
        for late in turn.results.pop(call):
            if "toolResult" in late:
                turn.blocks.insert(0, {"text": _LATE + _words(late["toolResult"]["content"])})


def _words(content: Iterable[dict[str, Any]]) -> str:
    return "\n".join(item["text"] for item in content if "text" in item) or _NO_OUTPUT
