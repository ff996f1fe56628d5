"""A client's ``contents`` as messages.

See: https://ai.google.dev/api/caching#Content and https://ai.google.dev/gemini-api/docs/thought-signatures
(read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable

from relay.chat import Media, Message, Native, Part, Seal, Text, Thinking, ToolCall, ToolResult
from relay.dialects.carry import made_id
from relay.dialects.gemini.fields import Fields, encode, wrong
from relay.dialects.gemini.parts import NAME, kind_of, plain_base64, take
from relay.errors import InvalidRequest

_ROLES = {
    "": "user",
    "user": "user",
    "model": "assistant",
    "assistant": "assistant",
    "function": "user",
    "tool": "user",
}
_DATA = ("text", "inlineData", "fileData", "functionCall", "functionResponse")
_BESIDE = frozenset({"thought", "thoughtSignature", *_DATA})
_FILES = ("https://generativelanguage.googleapis.com/", "files/")


class Conversation:
    """Reads the contents of one request, in order.

    Attributes:
        extra: fields of parts that only Gemini knows, by their place.
    """

    def __init__(self) -> None:
        self.extra: dict[str, bytes] = {}
        self._calls: list[tuple[str, str]] = []  # id and name of calls that wait for their result

    def messages(self, contents: Iterable[Fields]) -> list[Message]:
        """The contents as messages; one that says nothing is left out."""
        out: list[Message] = []
        for index, content in enumerate(contents):
            role = content.text("role")
            if role.lower() not in _ROLES:
                raise InvalidRequest(
                    f"`{content.at('role')}` must be `user` or `model`, not `{role[:40]}`.", param=content.at("role")
                )
            parts = [
                part for place, item in enumerate(content.members("parts")) for part in self._part(item, (index, place))
            ]
            out += _turn(_ROLES[role.lower()], parts)
        return out

    def _part(self, part: Fields, place: tuple[int, int]) -> list[Part]:
        """One part, or none; what stands beside the data and only Gemini knows is noted."""
        seal, redacted = _seal(part)
        data = [name for name in _DATA if name in part]
        if not data:
            return _native(part)
        if len(data) > 1:
            raise InvalidRequest(f"`{part.place}` must hold one kind of data, not several.", param=part.place)
        self.extra.update(part.rest(_BESIDE))
        match data[0]:
            case "text":
                return _text(part, seal, redacted=redacted)
            case "functionCall":
                return [self._call(part, seal, place)]
            case "functionResponse":
                return [self._result(part)]
            case _:
                return [_media(part, seal)]

    def _call(self, part: Fields, seal: Seal | None, place: tuple[int, int]) -> ToolCall:
        call = part.needed("functionCall")
        name = call.named("name")
        ident = call.text("id") or made_id("call_", *place, name)
        self._calls.append((ident, name))
        args = call.member("args")
        return ToolCall(ident, name, encode(call.values["args"]).decode() if args else "{}", seal=seal)

    def _result(self, part: Fields) -> ToolResult:
        """A result, matched to its call by id, else by order and name."""
        answer = part.needed("functionResponse")
        name = answer.named("name")
        ident = answer.text("id")
        waiting = [call for call in self._calls if (call[0] == ident if ident else call[1] == name)]
        if waiting:
            self._calls.remove(waiting[0])
            ident = waiting[0][0]
        response = answer.member("response")
        error = response is not None and response.values.keys() == {"error"}
        content = _outcome(answer.values.get("response"), error=error)
        media = [_media(item, None) for item in answer.members("parts")]
        self.extra.update(answer.rest(frozenset({"id", "name", "response", "parts"})))
        return ToolResult(ident or made_id("call_", name), (*content, *media), name=name, error=error)


def _turn(role: str, parts: list[Part]) -> list[Message]:
    """A content as messages: results of functions are a tool's, each run of them a message."""
    out: list[Message] = []
    run: list[Part] = []
    speaker = role
    for part in parts:
        who = "tool" if isinstance(part, ToolResult) else role
        if run and who != speaker:
            out.append(Message(speaker, tuple(run)))
            run = []
        speaker = who
        if run and isinstance(part, Thinking) and isinstance(run[-1], Thinking) and _continues(run[-1], part):
            run[-1] = Thinking(run[-1].text + part.text, part.seal, summary=True)
        else:
            run.append(part)
    return [*out, Message(speaker, tuple(run))] if run else out


def _continues(before: Thinking, now: Thinking) -> bool:
    """Whether a thought goes on: a stream brings it in pieces, the last of them signed."""
    return before.seal is None and not now.redacted


def system(instruction: object, place: str) -> list[Message]:
    """``systemInstruction``, a content or a bare string, as a message."""
    if isinstance(instruction, str):
        return [Message("system", (Text(instruction),))] if instruction else []
    fields = Fields(instruction, place)
    if "text" in fields and "parts" not in fields:  # a part where a content is meant
        return system(fields.text("text"), place)
    texts = tuple(Text(text) for part in fields.members("parts") if (text := part.text("text")))
    return [Message("system", texts)] if texts else []


def _seal(part: Fields) -> tuple[Seal | None, bool]:
    signature = part.text("thoughtSignature")
    return take(signature) if signature else (None, False)


def _text(part: Fields, seal: Seal | None, *, redacted: bool) -> list[Part]:
    text = part.text("text")
    if part.flag("thought"):
        return [Thinking("" if redacted else text, seal, redacted, summary=not redacted)] if text or seal else []
    return [Text(text, seal=seal)] if text or seal else []


def _native(part: Fields) -> list[Part]:
    """Code, its result, a server's tool calls, and whatever comes next; a bare signature is an empty text."""
    kinds = [name for name in part.values if name not in ("thought", "thoughtSignature")]
    if not kinds:
        return _text(part, _seal(part)[0], redacted=_seal(part)[1])
    return [Native(NAME, kinds[0], encode(part.values))]


def _media(part: Fields, seal: Seal | None) -> Media:
    inline, file = part.member("inlineData"), part.member("fileData")
    if inline is not None:
        data, mime = inline.named("data"), inline.text("mimeType")
        return Media(kind_of(mime), mime=mime, data=plain_base64(data), name=inline.text("displayName"), seal=seal)
    if file is None:
        raise wrong(part.place, "a part with `inlineData` or `fileData`")
    uri, mime, name = file.named("fileUri"), file.text("mimeType"), file.text("displayName")
    if uri.startswith(_FILES):
        return Media(kind_of(mime), mime=mime, file_id=uri, name=name, seal=seal)
    return Media(kind_of(mime, uri), mime=mime, url=uri, name=name, seal=seal)


def _outcome(response: object, *, error: bool) -> tuple[Part, ...]:
    """What a function returned, as text: bare where it is one text in a usual envelope, else JSON.

    See: https://ai.google.dev/api/caching#FunctionResponse, which names the keys ``output`` and ``error``.
    """
    if not isinstance(response, dict) or not response:
        return ()
    if len(response) == 1:
        name, value = next(iter(response.items()))
        if isinstance(value, str) and (error or name in ("result", "output")):
            return (Text(value),) if value else ()
    return (Text(encode(response).decode()),)
