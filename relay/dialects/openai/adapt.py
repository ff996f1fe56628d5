"""A client's Chat request for an imitator: its fields as they came, but for what the provider would refuse.

This is the way of a request that is not translated: fields that no deviation touches keep every byte, and so does
every message that needs no change. Nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from relay.dialects.lenient import mapping, text
from relay.dialects.openai.naming import call_id
from relay.dialects.openai.sending import schema_instruction
from relay.provider import Quirk

Fields = dict[str, msgspec.Raw]

ADAPTED = frozenset(
    {
        Quirk.NO_DEVELOPER_ROLE,
        Quirk.MAX_COMPLETION_TOKENS,
        Quirk.NO_JSON_SCHEMA,
        Quirk.NO_NULL_CONTENT,
        Quirk.STRING_CONTENT,
        Quirk.ANY_FOR_REQUIRED,
        Quirk.NO_NAMED_TOOL,
        Quirk.NINE_LETTER_IDS,
    }
)
"""The deviations that are served here."""

_NULL = b"null"
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MESSAGE_QUIRKS = frozenset(
    {Quirk.NO_DEVELOPER_ROLE, Quirk.NO_NULL_CONTENT, Quirk.STRING_CONTENT, Quirk.NINE_LETTER_IDS}
)


def adapt(fields: Mapping[str, msgspec.Raw], quirks: frozenset[Quirk], _model: str = "") -> dict[str, msgspec.Raw]:
    """Return the fields as the provider takes them.

    A named tool, where none can be named, becomes a required one. ``json_schema``, where there is none, becomes
    ``json_object`` and an instruction in front. Without `Quirk.MAX_COMPLETION_TOKENS` the limit is sent as
    ``max_tokens``, which every imitator knows. What is malformed stays as it is: the provider says what is wrong.

    Args:
        fields: top-level field → JSON text; not changed.
        quirks: the provider's deviations.
    """
    out = dict(fields)
    _rename_limit(out, completion=Quirk.MAX_COMPLETION_TOKENS in quirks)
    if quirks & _MESSAGE_QUIRKS and "messages" in out:
        out["messages"] = _messages(out["messages"], quirks)
    if "tool_choice" in out:
        out["tool_choice"] = _choice(out["tool_choice"], quirks)
    if Quirk.NO_JSON_SCHEMA in quirks and b"json_schema" in bytes(out.get("response_format", b"")):
        _loosen(out)
    return out


def _rename_limit(out: Fields, *, completion: bool) -> None:
    """Give the token limit the one name that the provider takes; ``max_completion_tokens`` wins over the other."""
    newer, older = out.get("max_completion_tokens"), out.get("max_tokens")
    if completion and older is not None:
        del out["max_tokens"]
        if _is_null(newer):
            out["max_completion_tokens"] = older
    elif not completion and newer is not None:
        del out["max_completion_tokens"]
        if not _is_null(newer):
            out["max_tokens"] = newer


def _messages(raw: msgspec.Raw, quirks: frozenset[Quirk]) -> msgspec.Raw:
    """The messages; the same object if none needs a change."""
    try:
        messages = _LIST.decode(raw)
    except msgspec.MsgspecError:
        return raw
    steps = [step for quirk, step in _STEPS if quirk in quirks]
    changed = [_message(message, steps) for message in messages]
    if all(new is old for new, old in zip(changed, messages, strict=True)):
        return raw
    return _raw(changed)


def _message(raw: msgspec.Raw, steps: list[Callable[[Fields], bool]]) -> msgspec.Raw:
    try:
        fields = _OBJECT.decode(raw)
    except msgspec.MsgspecError:
        return raw
    touched = [step(fields) for step in steps]
    return _raw(fields) if any(touched) else raw


def _role(fields: Fields) -> bool:
    if _value(fields, "role") != "developer":
        return False
    fields["role"] = msgspec.Raw(b'"system"')
    return True


def _content(fields: Fields) -> bool:
    """Empty content for none."""
    if not _is_null(fields.get("content")):
        return False
    fields["content"] = msgspec.Raw(b'""')
    return True


def _joined(fields: Fields) -> bool:
    """One string for parts that are all text."""
    parts = _value(fields, "content")
    if not isinstance(parts, list) or not parts:
        return False
    texts = [text(mapping(part).get("text")) for part in parts]
    if any(mapping(part).get("type") != "text" for part in parts):
        return False
    fields["content"] = _raw("\n\n".join(texts))
    return True


def _ids(fields: Fields) -> bool:
    """Nine letters for the ids of calls and of their results."""
    touched = _nine(fields, "tool_call_id")
    if _is_null(fields.get("tool_calls")):
        return touched
    try:
        calls = [_OBJECT.decode(call) for call in _LIST.decode(fields["tool_calls"])]
    except msgspec.MsgspecError:
        return touched
    changed = [call for call in calls if _nine(call, "id")]
    if changed:
        fields["tool_calls"] = _raw(calls)
        return True
    return touched


def _nine(fields: Fields, name: str) -> bool:
    given = text(_value(fields, name))
    new = call_id(given, nine=True) if given else given
    if new == given:
        return False
    fields[name] = _raw(new)
    return True


_STEPS: tuple[tuple[Quirk, Callable[[Fields], bool]], ...] = (
    (Quirk.NO_DEVELOPER_ROLE, _role),
    (Quirk.NO_NULL_CONTENT, _content),
    (Quirk.STRING_CONTENT, _joined),
    (Quirk.NINE_LETTER_IDS, _ids),
)


def _choice(raw: msgspec.Raw, quirks: frozenset[Quirk]) -> msgspec.Raw:
    required = b'"any"' if Quirk.ANY_FOR_REQUIRED in quirks else b'"required"'
    if Quirk.NO_NAMED_TOOL in quirks and b'"function"' in bytes(raw):
        return msgspec.Raw(required)
    return msgspec.Raw(required) if bytes(raw) == b'"required"' else raw


def _loosen(out: Fields) -> None:
    """``json_object`` for ``json_schema``, and the schema as an instruction."""
    form = mapping(_decoded(out["response_format"]))
    if form.get("type") != "json_schema":
        return
    out["response_format"] = msgspec.Raw(b'{"type":"json_object"}')
    schema = mapping(form.get("json_schema")).get("schema")
    try:
        messages = _LIST.decode(out["messages"])
    except (KeyError, msgspec.MsgspecError):
        return
    words = schema_instruction(msgspec.json.encode(schema if schema is not None else {}))
    out["messages"] = _raw([_raw({"role": "system", "content": words}), *messages])


def _value(fields: Fields, name: str) -> Any:
    raw = fields.get(name)
    return None if raw is None else _decoded(raw)


def _decoded(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except msgspec.MsgspecError:
        return None


def _is_null(raw: msgspec.Raw | None) -> bool:
    """Whether a field is missing or null."""
    return raw is None or bytes(memoryview(raw)[:5]) == _NULL


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
