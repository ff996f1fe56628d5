"""Every front with every back: what goes in, what must come out, and what each dialect cannot say.

A conversation is written in a client's words by that dialect's own builder, read by its front, built for the
provider, and, where the provider's dialect has a front as well, read again. Answers go the other way. What
arrives is held against what was sent; nothing here knows any dialect.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import msgspec

from relay.chat import (
    ChatRequest,
    Choice,
    Completion,
    Finish,
    Media,
    Message,
    Reasoning,
    Refusal,
    ResponseFormat,
    Seal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from relay.dialects.assembly import assemble, disassemble
from relay.dialects.codec import Asked, Built, Call, Front, Target
from relay.dialects.registry import DIALECTS
from relay.dialects.translation import Translated, Translation
from relay.endpoints import ENDPOINTS, Operation
from relay.events import Event
from relay.exchange import Usage

CHATS: dict[str, str] = {
    "openai": "/v1/chat/completions",
    "responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/{model}:generateContent",
    "cohere": "/v2/chat",
    "ollama": "/api/chat",
}
"""Dialect of a client → its chat endpoint."""

BACKS: tuple[str, ...] = tuple(name for name, dialect in DIALECTS.items() if Operation.CHAT in dialect.backs)
"""Dialects that providers speak."""

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
SCHEMA = (
    b'{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},'
    b'"required":["city","days"],"additionalProperties":false}'
)
WEATHER = Tool("get_weather", "Weather of a city.", SCHEMA)
TIME = Tool("get_time", "The time.", b'{"type":"object","properties":{}}')


def ask(*messages: Message, **settings: Any) -> ChatRequest:
    """A request for the model ``m``."""
    return ChatRequest("m", messages, **settings)


def user(*parts: Any) -> Message:
    """A turn of the user."""
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def assistant(*parts: Any) -> Message:
    """A turn of the model."""
    return Message("assistant", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def requests(back: str) -> dict[str, ChatRequest]:
    """Feature → a request that uses it; proofs in it are of the given back's making."""
    calls = (
        ToolCall("call_a1b2c3d4e", "get_weather", '{"city":"Rome","days":2}'),
        ToolCall("call_f5g6h7i8j", "get_time", "{}"),
    )
    results = Message(
        "tool",
        (
            ToolResult("call_a1b2c3d4e", (Text("sunny"),), "get_weather"),
            ToolResult("call_f5g6h7i8j", (Text("no clock"),), "get_time", error=True),
        ),
    )
    return {
        "request": ask(
            Message("system", (Text("Be brief."),)),
            user("Hello"),
            assistant("Hi!"),
            user("Who are\nyou? \u00e9\U0001f600"),
            max_tokens=64,
            temperature=0.5,
            stop=("END",),
        ),
        "stream": ask(user("Hello"), stream=True, wants_usage=True, max_tokens=64),
        "tools": ask(
            user("Weather in Rome and the time?"),
            assistant("I look.", *calls),
            results,
            user("And now?"),
            tools=(WEATHER, TIME),
            tool_choice=ToolChoice("auto"),
            max_tokens=64,
        ),
        "vision": ask(user("What is this?", Media("image", "image/png", PNG)), max_tokens=64),
        "thinking": ask(
            user("Think."),
            assistant(Thinking("Let me see.", Seal(back, "c2lnbmF0dXJl")), "Well.", calls[0]),
            Message("tool", (ToolResult("call_a1b2c3d4e", (Text("sunny"),), "get_weather"),)),
            tools=(WEATHER,),
            reasoning=Reasoning(effort="high"),
            max_tokens=4096,
        ),
        "structured": ask(
            user("Rome, two days."),
            format=ResponseFormat("json_schema", SCHEMA, "trip", strict=True),
            max_tokens=64,
        ),
    }


_MEDIA = frozenset({"image", "audio", "video", "document"})

USAGE = Usage(input=12, output=7)


def answers(back: str) -> dict[str, Completion]:
    """Feature → an answer that uses it."""

    def whole(*parts: Any, finish: str = Finish.STOP) -> Completion:
        return Completion("answer-1", "m-2026", (Choice(parts, finish),), USAGE, 1_700_000_000)

    text = Text('Hello, world.\nHow are you? \u00e9\U0001f600 "quoted"')
    return {
        "request": whole(text),
        "cut": whole(Text("Hello"), finish=Finish.LENGTH),
        "tools": whole(
            Text("I look."),
            ToolCall("call_a1b2c3d4e", "get_weather", '{"city":"Rome","days":2}'),
            ToolCall("call_f5g6h7i8j", "get_time", "{}"),
            finish=Finish.TOOL_CALLS,
        ),
        "tool alone": whole(ToolCall("call_f5g6h7i8j", "get_time", "{}"), finish=Finish.TOOL_CALLS),
        "thinking": whole(Thinking("Let me see.", Seal(back, "c2lnbmF0dXJl")), text),
        "structured": whole(Text('{"city":"Rome","days":2}')),
    }


# ── carrying ──────────────────────────────────────────────────────────────────────────


def call_of(dialect: str, *, stream: bool = False) -> Call:
    """What the URL says."""
    path = CHATS[dialect]
    in_path = "{model}" in path
    return Call(path, model="m" if in_path else "", stream=stream if in_path else None)


def target_of(dialect: str, *, stream: bool = False, quirks: frozenset[Any] = frozenset()) -> Target:
    """A provider of a dialect."""
    back = DIALECTS[dialect].backs[Operation.CHAT]
    return Target("m-2026", "prov", stream, quirks, back.path)


def build(back: str, request: ChatRequest) -> Built:
    """The request in a provider's words."""
    return DIALECTS[back].backs[Operation.CHAT].build(request, target_of(back, stream=request.stream))


def front_of(dialect: str) -> Front[Any, Any]:
    """The chat front of a dialect."""
    return DIALECTS[dialect].fronts[CHATS[dialect]]


def parse(front: str, fields: Any, *, stream: bool = False) -> ChatRequest:
    """A client's JSON in the hub's form."""
    request: ChatRequest = front_of(front).parse(msgspec.json.encode(fields), call_of(front, stream=stream))
    return request


def asked(front: str, request: ChatRequest) -> Asked:
    """What an answer must know."""
    return Asked(call_of(front, stream=request.stream), "req-1", "m", 1_700_000_000, request, 9)


def plain(front: str, *, stream: bool = False) -> Asked:
    """A simple question."""
    return asked(front, ask(user("Hello"), stream=stream, wants_usage=stream))


def spoken(back: str, completion: Completion) -> bytes:
    """A whole answer in a provider's words, by the front of the same dialect."""
    return front_of(back).render(completion, plain(back))


def streamed(back: str, completion: Completion) -> bytes:
    """The same as a stream."""
    writer = front_of(back).writer(plain(back, stream=True))
    events = disassemble(completion)[:-1]
    return b"".join(writer.write([event]) for event in events) + writer.end()


def transcoder(front: str, back: str, request: ChatRequest | None = None) -> Translated:
    """What stands between a provider's stream and a client."""
    made = asked(front, request) if request is not None else plain(front, stream=True)
    codec = DIALECTS[back].backs[Operation.CHAT]
    translation = Translation(DIALECTS[back], front_of(front), codec, made, target_of(back, stream=True), Built({}))
    return translation.transcoder("d")


def heard(front: str, data: bytes) -> list[Event]:
    """What a client understands of a stream in its own dialect."""
    dialect = DIALECTS[front]
    reader = dialect.backs[Operation.CHAT].reader(target_of(front, stream=True))
    decoder = dialect.decoder(1 << 24)
    frames = [*decoder.feed(data), *decoder.end()]
    return [*itertools.chain.from_iterable(map(reader.read, frames)), *reader.end()]


def carried(front: str, back: str, completion: Completion) -> Completion:
    """A whole answer on its way from a provider to a client, as the client understands it."""
    parsed = DIALECTS[back].backs[Operation.CHAT].parse(spoken(back, completion), target_of(back))
    rendered = front_of(front).render(parsed, plain(front))
    understood: Completion = DIALECTS[front].backs[Operation.CHAT].parse(rendered, target_of(front))
    return understood


def carried_streamed(front: str, back: str, pieces: Sequence[bytes]) -> Completion:
    """The same for a stream that comes in pieces."""
    between = transcoder(front, back)
    data = b"".join(map(between.feed, pieces)) + between.end()
    return assemble(heard(front, data))


# ── what is compared ──────────────────────────────────────────────────────────────────


@attrs.frozen
class Said:
    """What a client would notice of an answer."""

    text: str
    calls: tuple[tuple[str, Any], ...]
    thinking: str
    finish: str
    input: int | None
    output: int | None


def said(completion: Completion) -> Said:
    """The meaning of an answer's first choice."""
    choice = completion.choices[0]
    return Said(
        text="".join(part.text for part in choice.parts if isinstance(part, Text | Refusal)),
        calls=tuple((part.name, arguments(part.arguments)) for part in choice.parts if isinstance(part, ToolCall)),
        thinking="".join(part.text for part in choice.parts if isinstance(part, Thinking)),
        finish=choice.finish,
        input=completion.usage.input,
        output=completion.usage.output,
    )


def arguments(text: str) -> Any:
    """What a call's arguments say; the text itself where it is no JSON, as of a call that was cut off."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


@attrs.frozen
class Meant:
    """What a model would notice of a request."""

    system: str
    turns: tuple[tuple[str, tuple[Any, ...]], ...]
    tools: tuple[tuple[str, str], ...]
    schema: Any
    limits: tuple[Any, ...]


def meant(request: ChatRequest) -> Meant:
    """The meaning of a request; consecutive turns of one role count as one."""
    system, turns = [], []
    for message in request.messages:
        if message.role in ("system", "developer"):
            system.append("".join(part.text for part in message.parts if isinstance(part, Text)))
        else:
            # Ollama keeps images apart from the text, so their places among the words do not count
            turns.append((message.role, tuple(sorted(_facts(message), key=lambda fact: fact[0] in _MEDIA))))
    merged = [
        (role, tuple(itertools.chain.from_iterable(parts for _, parts in group)))
        for role, group in itertools.groupby(turns, key=lambda turn: turn[0])
    ]
    schema = request.format.schema if request.format is not None else b""
    return Meant(
        system="\n".join(system),
        turns=tuple(merged),
        tools=tuple((tool.name, tool.description) for tool in request.tools),
        schema=msgspec.json.decode(schema) if schema else None,
        limits=(request.max_tokens, request.temperature, request.stop),
    )


def _facts(message: Message) -> Iterator[Any]:
    for part in message.parts:
        match part:
            case Text():
                yield "text", part.text
            case ToolCall():
                yield "call", part.name, msgspec.json.encode(msgspec.json.decode(part.arguments))
            case ToolResult():
                words = "".join(piece.text for piece in part.content if isinstance(piece, Text))
                yield "result", words.removeprefix("Error: ")  # the mark of failure where there is no field for it
            case Media():
                yield part.kind, part.data


def endpoint_count() -> int:
    """Endpoints that are translated, for tests that must not forget one."""
    return sum(endpoint.operation is Operation.CHAT for endpoint in ENDPOINTS.values())
