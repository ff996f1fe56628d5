"""A client's input items as the hub's messages.

What the model said in a row (reasoning, text, calls) is one turn of the assistant; results of tools in a
row are one message. Items of tools that the provider runs itself travel as `Native`.

See: https://platform.openai.com/docs/api-reference/responses/create#responses-create-input (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Raw

from relay.chat import Media, Message, Native, Part, Text, Thinking, Tool, ToolCall, ToolResult
from relay.dialects.carry import untag, unwrap
from relay.dialects.lenient import load, mapping, sequence, text
from relay.dialects.responses.encoding import compact
from relay.dialects.responses.faults import at, stateful, wrong
from relay.dialects.responses.names import flat
from relay.dialects.responses.parts import ORIGIN, read_content
from relay.dialects.responses.tools import read_tools

ROLES = frozenset({"system", "developer", "user", "assistant"})
_STORED = frozenset({"item_reference", "compaction", "context_compaction", "compaction_summary"})
_ANSWERS = frozenset({"mcp_approval_response", "compaction_trigger"})


class _Head(msgspec.Struct):
    type: str | None = None
    role: str | None = None
    id: str | None = None


class _Said(msgspec.Struct):
    role: str
    content: Raw = Raw()
    id: str | None = None
    phase: str | None = None


class _Call(msgspec.Struct):
    call_id: str
    name: str
    arguments: str | None = None
    input: str | None = None
    namespace: str | None = None


class _Result(msgspec.Struct):
    call_id: str
    output: Raw = Raw()
    name: str | None = None
    namespace: str | None = None


class _Reasoning(msgspec.Struct):
    id: str | None = None
    summary: Raw = Raw()
    content: Raw = Raw()
    encrypted_content: str | None = None


class _More(msgspec.Struct):
    tools: list[Raw]


_HEAD = msgspec.json.Decoder(_Head)
_SAID = msgspec.json.Decoder(_Said)
_CALL = msgspec.json.Decoder(_Call)
_RESULT = msgspec.json.Decoder(_Result)
_REASONING = msgspec.json.Decoder(_Reasoning)
_MORE = msgspec.json.Decoder(_More)


class Turns:
    """Collects messages from items.

    Attributes:
        messages: those that are complete; `end` completes the last one.
        tools: tools that were declared between the items.
        lost: what no message has a place for: field name → JSON text.
    """

    def __init__(self, opening: Iterable[Message] = ()) -> None:
        self.messages = list(opening)
        self.tools: list[Tool] = []
        self.lost: dict[str, bytes] = {}
        self._said: list[Part] = []
        self._said_id = ""
        self._results: list[Part] = []

    def take(self, data: bytes, path: str) -> None:
        """Take one item; ``path`` is where it stands, for refusals."""
        data = compact(data)
        head = _HEAD.decode(data)
        kind = head.type or ("message" if head.role else "item_reference")
        if kind == "message":
            self._message(data)
        elif kind in ("function_call", "custom_tool_call"):
            self._assistant(_call(data, custom=kind == "custom_tool_call"))
        elif kind in ("function_call_output", "custom_tool_call_output"):
            self._result(_result(data, custom=kind == "custom_tool_call_output"))
        elif kind == "reasoning":
            self._assistant(*_reasoning(data))
        elif kind in _STORED:
            raise stateful(path, f"What a {kind} stands for")
        elif kind == "additional_tools":
            self.tools += read_tools(_MORE.decode(data).tools)
        elif kind in _ANSWERS or kind.endswith("_output"):
            self._flush()
            self.messages.append(Message("user", (Native(ORIGIN, kind, data),)))
        else:
            self._assistant(_image(data) if kind == "image_generation_call" else Native(ORIGIN, kind, data))

    def end(self) -> tuple[Message, ...]:
        """No more items come: all messages."""
        self._flush()
        return tuple(self.messages)

    def _message(self, data: bytes) -> None:
        said = _SAID.decode(data)
        if said.role not in ROLES:
            raise wrong(f"{said.role!r} is none of {', '.join(sorted(ROLES))}", "role")
        with at("content"):
            parts = read_content(said.content)
        if said.role == "assistant":
            if said.phase:
                self.lost["input[].phase"] = msgspec.json.encode(said.phase)
            self._assistant(*parts, said=said.id or "")
            return
        self._flush()
        if parts:
            self.messages.append(Message(said.role, parts, id=said.id or ""))

    def _assistant(self, *parts: Part, said: str = "") -> None:
        if self._results:
            self._flush()
        self._said += parts
        self._said_id = self._said_id or said

    def _result(self, result: ToolResult) -> None:
        if self._said:
            self._flush()
        self._results.append(result)

    def _flush(self) -> None:
        if self._said:
            self.messages.append(Message("assistant", tuple(self._said), id=self._said_id))
        if self._results:
            self.messages.append(Message("tool", tuple(self._results)))
        self._said, self._said_id, self._results = [], "", []


def _call(data: bytes, *, custom: bool) -> ToolCall:
    call = _CALL.decode(data)
    identity, seal = untag(call.call_id)
    namespace = call.namespace or ""
    name = flat(namespace, call.name)
    if custom:
        return ToolCall(identity, name, call.input or "", custom=True, namespace=namespace, seal=seal)
    arguments = (call.arguments or "").strip() or "{}"
    if not isinstance(load(arguments.encode("utf-8", "surrogatepass")), dict):
        raise wrong("the arguments of a call are the JSON text of an object", "arguments")
    return ToolCall(identity, name, arguments, namespace=namespace, seal=seal)


def _result(data: bytes, *, custom: bool) -> ToolResult:
    result = _RESULT.decode(data)
    content: tuple[Part, ...]
    if result.output and bytes(result.output)[:1] not in b'"[n':
        content = (Text(bytes(result.output).decode()),)  # an object or a number: sent by some, meant as text
    else:
        with at("output"):
            content = read_content(result.output)
    name = flat(result.namespace or "", result.name) if result.name else ""
    return ToolResult(untag(result.call_id)[0], content, name=name, custom=custom)


def _reasoning(data: bytes) -> tuple[Part, ...]:
    """Reasoning as one part; several summaries are joined by a blank line. Nothing if only its handle is there.

    A part of empty text tells reasoning that has a proof and no words from reasoning that *is* its proof.
    """
    item = _REASONING.decode(data)
    summary, content = _texts(item.summary), _texts(item.content)
    words = "\n\n".join([*summary, *content])
    seal = unwrap(item.encrypted_content, ORIGIN) if item.encrypted_content else None
    if not words and seal is None:
        return ()
    redacted = not summary and not content
    return (Thinking(words, seal, redacted=redacted, id=item.id or "", summary=bool(summary)),)


def _texts(raw: Raw) -> list[str]:
    return [text(mapping(part).get("text")) for part in sequence(load(bytes(raw) or b"null"))]


def _image(data: bytes) -> Part:
    body: Mapping[str, object] = mapping(load(data))
    result = text(body.get("result"))
    if not result:
        return Native(ORIGIN, "image_generation_call", data)
    return Media("image", mime=f"image/{text(body.get('output_format')) or 'png'}", data=result)
