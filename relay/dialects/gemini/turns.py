"""The hub's messages as ``contents``.

Gemini knows two roles that take turns. Results of functions belong to the user's turn right behind the
calls, in their order, because ids are optional there and on Vertex AI refused.
See: https://ai.google.dev/gemini-api/docs/function-calling, https://ai.google.dev/gemini-api/docs/thought-signatures,
https://ai.google.dev/gemini-api/docs/file-input-methods (read 2026-11).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from relay.chat import Media, Message, Native, Part, Refusal, Seal, Text, Thinking, ToolCall, ToolResult
from relay.dialects.codec import Target
from relay.dialects.gemini.naming import Names
from relay.dialects.gemini.parts import NAME, is_youtube, mime_of
from relay.dialects.gemini.thinking import Family
from relay.dialects.lenient import load, mapping
from relay.errors import InvalidRequest
from relay.provider import Quirk

SKIP = "skip_thought_signature_validator"
"""What Google documents for calls of the current turn that another model made: Gemini 3 refuses them unsigned."""

_FILES = "https://generativelanguage.googleapis.com/"
_IN_RESULTS = ("image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain")
"""Media that Gemini 3 takes inside a function's result."""


class Turns:
    """Builds the contents of one request.

    Args:
        target: where it goes.
        model: what the model's name says.
        names: what functions are called on the way.

    Attributes:
        lost: what could not be carried, by the caller's words, in order.
    """

    def __init__(self, target: Target, model: Family, names: Names) -> None:
        self.lost: list[str] = []
        self._vertex = Quirk.VERTEX in target.quirks
        self._model = model
        self._names = names
        self._contents: list[dict[str, Any]] = []
        self._calls: dict[str, str] = {}  # id → name sent, of all calls so far
        self._order: list[str] = []  # ids of the calls of the last model turn

    def contents(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """All messages that are no system messages."""
        pending: list[ToolResult] = []
        for message in messages:
            if message.name:
                self.lost.append("messages[].name")
            if message.role == "tool":
                pending += [part for part in message.parts if isinstance(part, ToolResult)]
                continue
            self._results(pending)
            pending = []
            if message.role == "assistant":
                self._assistant(message.parts)
            else:
                self._add("user", (sent for part in message.parts for sent in self._part(part)))
        self._results(pending)
        if self._model.version >= (3, 0):
            self._sign_current_turn()
        return self._contents

    def _add(self, role: str, parts: Iterable[dict[str, Any] | msgspec.Raw]) -> None:
        """Put parts into the turn of a role: the last one if it is that role's, else a new one."""
        sent = list(parts)
        if not sent:
            return
        if self._contents and self._contents[-1]["role"] == role:
            self._contents[-1]["parts"] += sent
        else:
            self._contents.append({"role": role, "parts": sent})

    def _assistant(self, parts: Sequence[Part]) -> None:
        calls = [part for part in parts if isinstance(part, ToolCall)]
        going_on = bool(self._contents) and self._contents[-1]["role"] == "model"
        self._order = [*(self._order if going_on else ()), *(call.id for call in calls)]
        self._add("model", (sent for part in parts for sent in self._part(part)))

    # ── parts ────────────────────────────────────────────────────────────────────────

    def _part(self, part: Part) -> list[dict[str, Any] | msgspec.Raw]:
        if getattr(part, "cache", None) is not None:
            self.lost.append("cache_control")
        match part:
            case Text():
                own = _own(part.seal)
                return [_signed({"text": part.text}, own)] if part.text or own else []
            case Media():
                return [_signed(self.media(part), _own(part.seal))]
            case ToolCall():
                return [self._call(part)]
            case Thinking():
                own = _own(part.seal)
                return [_signed({"text": part.text, "thought": True}, own)] if own and not part.redacted else []
            case Refusal():
                return [{"text": part.text}] if part.text else []
            case Native():
                return self._native(part)
            case ToolResult():  # outside of a tool's message
                return self._result(part)
        return []

    def _native(self, part: Native) -> list[dict[str, Any] | msgspec.Raw]:
        if part.origin == NAME and not (self._vertex and part.kind in ("toolCall", "toolResponse")):
            return [msgspec.Raw(part.value)]
        self.lost.append(part.kind)
        return []

    def _call(self, call: ToolCall) -> dict[str, Any]:
        name = self._names.sent(call.name, call.namespace, custom=call.custom)
        self._calls[call.id] = name
        ident = {} if self._vertex else {"id": call.id}
        return _signed({"functionCall": {**ident, "name": name, "args": arguments(call)}}, _own(call.seal))

    def media(self, part: Media) -> dict[str, Any]:
        """Media as Gemini takes it: bytes, or an address that it reads itself.

        Raises:
            InvalidRequest: a file of another provider, or an address that Gemini cannot read.
        """
        if part.context:
            self.lost.append("context")
        if part.detail not in ("", "auto"):
            self.lost.append("detail")
        if part.citations:
            self.lost.append("citations")
        name = {"displayName": part.name} if part.name else {}
        if part.data or part.text:
            data = part.data or base64.b64encode(part.text.encode("utf-8", "replace")).decode("ascii")
            mime = part.mime or ("text/plain" if part.text else mime_of(part.kind, data=data))
            return {"inlineData": {"mimeType": mime, "data": data, **name}}
        uri = self._uri(part)
        given = part.mime or ("video/mp4" if is_youtube(uri) and self._vertex else "")
        mime = given or ("" if is_youtube(uri) or part.file_id else mime_of(part.kind, url=uri))
        return {"fileData": {**({"mimeType": mime} if mime else {}), "fileUri": uri, **name}}

    def _uri(self, part: Media) -> str:
        uri = _FILES + "v1beta/" + part.file_id if part.file_id.startswith("files/") else part.file_id
        if uri and not (uri.startswith("gs://") or (uri.startswith(_FILES) and not self._vertex)):
            raise InvalidRequest(f"The file {uri[:100]!r} is not at the provider; send its content.", param="file_id")
        uri = uri or part.url
        if not uri.lower().startswith(("https://", "http://", "gs://")):
            raise InvalidRequest(f"The provider cannot read {uri[:100]!r}; send the content.", param="url")
        return uri

    # ── results ──────────────────────────────────────────────────────────────────────

    def _results(self, results: list[ToolResult]) -> None:
        """Results in the order of their calls; those without a call come last, as they came."""
        last = len(self._order)
        place = {ident: index for index, ident in reversed(list(enumerate(self._order)))}
        ordered = sorted(results, key=lambda result: place.get(result.call, last))
        sent = [self._result(result) for result in ordered]
        self._add("user", [*(parts[0] for parts in sent), *(part for parts in sent for part in parts[1:])])

    def _result(self, result: ToolResult) -> list[dict[str, Any] | msgspec.Raw]:
        """The result, and behind it the media that it cannot hold."""
        if result.cache is not None:
            self.lost.append("cache_control")
        name = self._calls.get(result.call) or (
            self._names.sent(result.name, custom=result.custom) if result.name else ""
        )
        media = [part for part in result.content if isinstance(part, Media)]
        self.lost += [part.kind for part in result.content if isinstance(part, Native)]
        if not name:  # history was trimmed: the call is gone, and Gemini takes no result without one
            self.lost.append("tool_call_id")
            return [{"text": said(result)}, *map(self.media, media)]
        ident = {} if self._vertex else {"id": result.call}
        answer: dict[str, Any] = {**ident, "name": name, "response": response(result)}
        inside = [self.media(part) for part in media if self._goes_inside(part)]
        if inside:
            answer["parts"] = inside
        return [{"functionResponse": answer}, *(self.media(part) for part in media if not self._goes_inside(part))]

    def _goes_inside(self, part: Media) -> bool:
        mime = part.mime or ("text/plain" if part.text else mime_of(part.kind, data=part.data))
        return self._model.version >= (3, 0) and bool(part.data or part.text) and mime in _IN_RESULTS

    def _sign_current_turn(self) -> None:
        """Mark the unsigned calls that Gemini 3 would refuse: the first of each step behind the user's last words."""
        for content in reversed(self._contents):
            parts = [part for part in content["parts"] if isinstance(part, dict)]
            if content["role"] == "user" and any("functionResponse" not in part for part in parts):
                return
            first = next((part for part in parts if "functionCall" in part), None)
            if first is not None and "thoughtSignature" not in first:
                first["thoughtSignature"] = SKIP


def _own(seal: Seal | None) -> Seal | None:
    return seal if seal is not None and seal.origin == NAME else None


def _signed(part: dict[str, Any], seal: Seal | None) -> dict[str, Any]:
    return {**part, "thoughtSignature": seal.value} if seal is not None else part


def arguments(call: ToolCall) -> dict[str, Any] | msgspec.Raw:
    """A call's arguments as an object, byte for byte where they are good JSON.

    Raises:
        InvalidRequest: they are no JSON object.
    """
    if call.custom:
        return {"input": call.arguments}
    if call.arguments.strip() in ("", "null"):
        return {}
    value = _object(call.arguments)
    if value is None:
        raise InvalidRequest(
            f"The arguments of the call {call.id[:80]!r} of {call.name[:80]!r} are not a JSON object.",
            param="messages[].tool_calls[].function.arguments",
        )
    return value


def _object(words: str) -> dict[str, Any] | msgspec.Raw | None:
    """A text that is a JSON object, as it is; None for any other."""
    data = words.encode("utf-8", "surrogatepass")
    try:
        return msgspec.Raw(data) if isinstance(msgspec.json.decode(data), dict) else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        value = load(data)
        return value if isinstance(value, dict) else None


def response(result: ToolResult) -> dict[str, Any] | msgspec.Raw:
    """What a function returned as the object that Gemini wants: JSON objects as they are, texts as ``result``."""
    words = said(result)
    value = _object(words) if words[:1] == "{" else None
    if result.error:
        told = value is not None and "error" in mapping(load(words.encode("utf-8", "surrogatepass")))
        return value if value is not None and told else {"error": words}
    return {"result": words} if value is None else value


def said(result: ToolResult) -> str:
    """The text of a result, its pieces on lines of their own."""
    return "\n".join(part.text for part in result.content if isinstance(part, Text) and part.text)


def system(messages: Sequence[Message]) -> dict[str, Any] | None:
    """``systemInstruction`` of all system and developer messages, in order."""
    parts = [
        {"text": part.text} for message in messages for part in message.parts if isinstance(part, Text) and part.text
    ]
    return {"parts": parts} if parts else None
