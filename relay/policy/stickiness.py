"""What keeps requests that belong together on one deployment: a key made of the prompt's stable beginning.

Providers cache prompts by their beginning, each for itself, so a conversation is cheap only where it was before.
The key is made of what does not change from turn to turn: tools, system prompt, first user turn. It has to be the
same in every process and after every restart, and need not be secret or perfect: two conversations with one
key share a deployment, which does no harm. So of long texts only length, beginning and end are hashed.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from relay.config import Sticky
from relay.exchange import ClientRequest, Headers

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

Fields = Mapping[str, msgspec.Raw]
"""A JSON body's top-level fields, undecoded."""

_SIZE = 16
"""Bytes of a key."""

_HEAD = 1024
_TAIL = 256
"""Bytes of a long text that are hashed at both its ends."""

_LONGEST_TURN = 32_768
"""Bytes of messages that are looked into; where the first turn is longer, its raw beginning has to do."""

_TOOLS = ("tools", "functions")
_SYSTEM = ("system", "systemInstruction", "system_instruction", "instructions")
"""Fields before the conversation, in the APIs of OpenAI, Anthropic, Gemini and Ollama."""

_TURNS = ("messages", "contents", "input")
"""Fields that hold it."""

_HINT = "prompt_cache_key"
"""What OpenAI's clients give themselves for this purpose.

See: https://platform.openai.com/docs/guides/prompt-caching (read 2026-11).
"""

_MODEL_TURNS = (b'"assistant"', b'"model"', b'"function_call"', b'"reasoning"')
"""What ends the first user turn: the role of the answer, or the kind of its first item."""

_BILLING = b'"x-anthropic-billing-header'
"""A system block of Claude Code's that is another one in each call."""

_NONE = msgspec.Raw(b"")


class _Part(msgspec.Struct):
    text: msgspec.Raw = _NONE


class _Turn(msgspec.Struct):
    role: msgspec.Raw = _NONE
    content: str | list[_Part] | None = None
    parts: list[_Part] | None = None


_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TURN_LIST = msgspec.json.Decoder(list[_Turn])


def key(sticky: Sticky, request: ClientRequest, fields: Fields | None = None) -> bytes:
    """The key of a request; b"" where nothing ties it to others.

    Args:
        sticky: the route's setting.
        request: the client's request.
        fields: the top level of its JSON body, if that has been read: the body is not read again then.
    """
    if sticky.by == "header":
        return of_header(request.headers, sticky.header.encode())
    if sticky.by != "prompt":
        return b""
    if fields is None:
        fields = _read(request)
    return of_prompt(fields) if fields else b""


def of_header(headers: Headers, name: bytes) -> bytes:
    """The key that a header field gives, b"" if the field is absent or empty."""
    for field, value in headers:
        if field == name and value:
            return sha256(value).digest()[:_SIZE]
    return b""


def of_prompt(fields: Fields) -> bytes:
    """The key that a prompt's stable beginning gives, b"" if there is no prompt."""
    hint = fields.get(_HINT)
    if hint is not None and bytes(hint) not in (b"null", b'""'):
        return sha256(hint).digest()[:_SIZE]
    digest = sha256()
    for name in _TOOLS:
        if (raw := fields.get(name)) is not None:
            _add(digest, raw)
    for name in _SYSTEM:
        if (raw := fields.get(name)) is not None:
            _add(digest, _without_billing(raw))
    for name in _TURNS:
        if (raw := fields.get(name)) is not None:
            _add_turn(digest, raw)
            return digest.digest()[:_SIZE]
    prompt = fields.get("prompt")
    if prompt is None:
        return b""
    digest.update(memoryview(prompt)[:_HEAD])  # it grows at its end
    return digest.digest()[:_SIZE]


def _read(request: ClientRequest) -> Fields | None:
    """The top level of a JSON body; None for any other."""
    if not isinstance(request.body, bytes) or request.body[:1] != b"{":
        return None
    try:
        return _FIELDS.decode(request.body)
    except (msgspec.DecodeError, RecursionError):
        return None


def _without_billing(raw: msgspec.Raw) -> memoryview:
    """A system prompt without the block that is another one in each call."""
    view = memoryview(raw)
    head = bytes(view[:_HEAD])
    start = head.find(_BILLING)
    if start < 0:
        return view
    end = head.find(b"},", start)
    return view[end + 2 :] if end > 0 else view[:0]


def _add_turn(digest: Hash, raw: msgspec.Raw) -> None:
    """Everything up to the model's first answer, by its texts: marks for the cache move, texts stay."""
    first = _first_turn(raw)
    try:
        turns = _TURN_LIST.decode(first)
    except msgspec.DecodeError:
        digest.update(first[:_HEAD])
        return
    for turn in turns:
        digest.update(turn.role)
        content = turn.content or turn.parts or ()
        if isinstance(content, str):
            _add(digest, content.encode("utf-8", "surrogatepass"))
            continue
        for part in content:
            _add(digest, part.text)


def _first_turn(raw: msgspec.Raw) -> bytes:
    """The array of messages without the model's first answer and all behind it.

    Inside of JSON strings quotes are escaped, so the words that are looked for stand for themselves.
    """
    head = bytes(memoryview(raw)[:_LONGEST_TURN])
    end = len(head)
    for word in _MODEL_TURNS:
        at = head.find(word, 0, end)
        if at >= 0:
            end = at
    if end == len(head):
        return head
    return head[: head.rfind(b"{", 0, end)].rstrip(b", \t\r\n") + b"]"


def _add(digest: Hash, text: bytes | msgspec.Raw | memoryview) -> None:
    """Hash a text's length, beginning and end."""
    view = memoryview(text)
    digest.update(b"%d:" % len(view))
    digest.update(view[:_HEAD])
    digest.update(view[max(_HEAD, len(view) - _TAIL) :])
