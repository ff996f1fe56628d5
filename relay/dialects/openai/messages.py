"""A client's messages.

See: https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from relay.chat import Citation, Message, Part, Refusal, Seal, Text, Thinking, ToolCall, ToolResult
from relay.dialects.carry import made_id, untag, unwrap
from relay.dialects.lenient import mapping, sequence, text
from relay.dialects.openai.citations import read_annotations
from relay.dialects.openai.parts import cache_of, read_content
from relay.dialects.openai.thoughts import BLOCKS, DETAILS, from_blocks, from_details
from relay.errors import InvalidRequest

Fields = Mapping[str, Any]

_KNOWN = frozenset(
    {
        *("role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "annotations"),
        *("reasoning_content", "reasoning", DETAILS, BLOCKS, "extra_content", "cache_control"),
    }
)
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


class Conversation:
    """Reads messages one after the other; an old ``function`` message answers the call before it.

    Attributes:
        messages: what was read.
        extra: members of messages that have no place in the hub, as ``messages[].name`` → JSON text.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.extra: dict[str, bytes] = {}
        self._called: dict[str, str] = {}

    def read(self, fields: Fields) -> None:
        """Read the next message.

        Raises:
            InvalidRequest: it is malformed; names the field.
        """
        where = f"messages[{len(self.messages)}]"
        role = _string(fields, "role", where)
        if role not in _ROLES:
            raise InvalidRequest(f"`{where}.role` is not a known role.", param=f"{where}.role")
        for name in fields.keys() - _KNOWN:
            if fields[name]:
                self.extra[f"messages[].{name}"] = msgspec.json.encode(fields[name])
        content = read_content(fields.get("content"), f"{where}.content")
        name = text(fields.get("name"))
        if role in ("tool", "function"):
            result = self._result(fields, where, role, content, name)
            self.messages.append(Message("tool", (result,)))
            return
        if role == "assistant":
            content = self._assistant(fields, where, content)
        elif content and (cache := cache_of(fields)) is not None and isinstance(content[-1], Text):
            content = (*content[:-1], msgspec.structs.replace(content[-1], cache=cache))
        self.messages.append(Message(role, content, name))

    def _result(self, fields: Fields, where: str, role: str, content: tuple[Part, ...], name: str) -> ToolResult:
        if role == "function":
            if not name:
                raise InvalidRequest(f"`{where}.name` is required.", param=f"{where}.name")
            call = self._called.get(name) or made_id("call_", name)
        else:
            call, _ = untag(_string(fields, "tool_call_id", where))
        cache = cache_of(fields)
        if cache is None:
            cache = next((part.cache for part in content if isinstance(part, Text) and part.cache is not None), None)
        return ToolResult(call, content, name, cache=cache)

    def _assistant(self, fields: Fields, where: str, content: tuple[Part, ...]) -> tuple[Part, ...]:
        """Reasoning first, then what was said, then the calls: the order in which they came."""
        parts: list[Part] = [*_thoughts(fields), *content]
        if refusal := text(fields.get("refusal")):
            parts.append(Refusal(refusal))
        _mark(parts, fields)
        for index, call in enumerate(_array(fields, "tool_calls", where)):
            parts.append(read_call(call, f"{where}.tool_calls[{index}]"))
        if fields.get("function_call") is not None:
            parts.append(self._legacy(fields["function_call"], where))
        return tuple(parts)

    def _legacy(self, call: object, where: str) -> ToolCall:
        """A call from before there were tools; it has no id, so one is made of its place."""
        param = f"{where}.function_call"
        if not isinstance(call, dict):
            raise InvalidRequest(f"`{param}` must be an object.", param=param)
        name = _string(call, "name", param)
        self._called[name] = made_id("call_", len(self.messages), name)
        return ToolCall(self._called[name], name, read_arguments(call.get("arguments"), f"{param}.arguments"))


def read_call(call: object, where: str) -> ToolCall:
    """One member of ``tool_calls``.

    Raises:
        InvalidRequest: it is malformed.
    """
    if not isinstance(call, dict):
        raise InvalidRequest(f"`{where}` must be an object.", param=where)
    given, seal = untag(_string(call, "id", where))
    signature = text(mapping(mapping(call.get("extra_content")).get("google")).get("thought_signature"))
    if signature:
        seal = unwrap(signature, "gemini")
    custom = call.get("custom")
    if call.get("type") == "custom" and isinstance(custom, dict):
        name = _string(custom, "name", f"{where}.custom")
        return ToolCall(given, name, text(custom.get("input")), custom=True, seal=seal)
    function = call.get("function")
    if not isinstance(function, dict):
        raise InvalidRequest(f"`{where}.function` must be an object.", param=f"{where}.function")
    name = _string(function, "name", f"{where}.function")
    arguments = read_arguments(function.get("arguments"), f"{where}.function.arguments")
    return ToolCall(given, name, arguments, seal=seal)


def read_arguments(arguments: object, where: str) -> str:
    """The JSON text of a call's arguments; nothing counts as no arguments, an object is taken as it is.

    Raises:
        InvalidRequest: they are not the JSON text of an object.
    """
    if isinstance(arguments, dict):
        return msgspec.json.encode(arguments).decode()
    if arguments is None or (isinstance(arguments, str) and not arguments.strip()):
        return "{}"
    try:
        value = msgspec.json.decode(arguments) if isinstance(arguments, str) else arguments
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise InvalidRequest(f"`{where}` is not valid JSON.", param=where) from None
    if value is None:
        return "{}"
    if not isinstance(value, dict) or not isinstance(arguments, str):
        raise InvalidRequest(f"`{where}` must be the JSON text of an object.", param=where)
    return arguments


def _thoughts(fields: Fields) -> list[Thinking]:
    """An assistant's earlier reasoning, from the most telling form that is there."""
    plain = text(fields.get("reasoning_content")) or text(fields.get("reasoning"))
    thoughts = from_blocks(sequence(fields.get(BLOCKS)))
    details = from_details(sequence(fields.get(DETAILS)))
    found = [*thoughts, *(detail for detail in details if not _same(detail, thoughts))]
    if plain and not any(thought.text for thought in found):
        bare = next((at for at, thought in enumerate(found) if not thought.redacted), None)
        if bare is None:
            return [Thinking(plain), *found]
        found[bare] = msgspec.structs.replace(found[bare], text=plain)
    return found


def _same(detail: Thinking, thoughts: list[Thinking]) -> bool:
    """Whether a client that shows both forms said this already."""
    return any(thought.text == detail.text for thought in thoughts if detail.text)


def _mark(parts: list[Part], fields: Fields) -> None:
    """Give the last text its annotations, its proof and its cache marker."""
    signature = text(mapping(mapping(fields.get("extra_content")).get("google")).get("thought_signature"))
    seal: Seal | None = unwrap(signature, "gemini") if signature else None
    sources: tuple[Citation, ...] = tuple(read_annotations(fields.get("annotations")))
    cache = cache_of(fields)
    if seal is None and not sources and cache is None:
        return
    for at in reversed(range(len(parts))):
        last = parts[at]
        if isinstance(last, Text):
            parts[at] = Text(last.text, last.cache if cache is None else cache, sources, seal)
            return
    if seal is not None:
        parts.append(Text("", seal=seal))


def _string(holder: Fields, name: str, where: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or not value:
        problem = "is required" if value is None else "must be a non-empty string"
        raise InvalidRequest(f"`{where}.{name}` {problem}.", param=f"{where}.{name}")
    return value


def _array(holder: Fields, name: str, where: str) -> list[Any]:
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidRequest(f"`{where}.{name}` must be an array.", param=f"{where}.{name}")
    return value
