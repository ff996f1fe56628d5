"""The table of docs/dialects.md, found by trying: every front with every back, feature by feature.

The provider is the echo, without a socket: what relay would send goes to its endpoint, and what that answers is
translated and read as the client reads it. ``python -m tests.unit.dialects.matrix`` puts the tables into the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from relay.chat import (
    ChatRequest,
    Choice,
    Completion,
    Finish,
    Message,
    Reasoning,
    Seal,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from relay.dialects.assembly import assemble
from relay.dialects.codec import Built, Target
from relay.dialects.registry import DIALECTS
from relay.dialects.translation import Translation
from relay.echo.reading import Call
from relay.echo.resources import find
from relay.endpoints import Operation
from relay.errors import UpstreamOverloaded
from relay.outcome import Stage
from tests.unit.dialects import pairs

PAGE = Path(__file__).resolve().parents[3] / "docs" / "dialects.md"

MODELS: Mapping[str, str] = {
    "openai": "gpt-5.5",
    "responses": "gpt-5.5",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-3-pro",
    "cohere": "command-a-reasoning-08-2025",
    "ollama": "qwen3",
    "bedrock": "anthropic.claude-sonnet-4-6",
}
"""Dialect → a model that can do what the table asks; builders go by its name where providers do."""

_PATHS: Mapping[str, tuple[str, str]] = {
    "openai": ("/v1/chat/completions", "/v1/chat/completions"),
    "responses": ("/v1/responses", "/v1/responses"),
    "anthropic": ("/v1/messages", "/v1/messages"),
    "gemini": ("/v1beta/models/m:generateContent", "/v1beta/models/m:streamGenerateContent"),
    "cohere": ("/v2/chat", "/v2/chat"),
    "ollama": ("/api/chat", "/api/chat"),
    "bedrock": ("/model/m/converse", "/model/m/converse-stream"),
}
"""Where the echo answers whole and streamed."""

_SILENT = frozenset({"openai", "responses", "anthropic"})
"""Dialects in which the echo does not think at an effort; their thoughts are written by their own fronts."""

PROVERS = ("responses", "anthropic", "gemini", "bedrock")
"""Providers that sign or encrypt thoughts and want them back."""

HELLO = "Hello you"


def target(back: str, *, stream: bool) -> Target:
    """A provider's model."""
    codec = DIALECTS[back].backs[Operation.CHAT]
    return Target(MODELS[back], "prov", stream, frozenset(), codec.path)


def said_by(front: str, request: ChatRequest) -> ChatRequest:
    """A request as it comes from a client of a dialect."""
    codec = DIALECTS[front].backs[Operation.CHAT]
    fields = codec.build(request, target(front, stream=request.stream)).fields
    return pairs.parse(front, fields, stream=request.stream)


def exchange(
    front: str, back: str, request: ChatRequest, knobs: Mapping[str, object] | None = None
) -> tuple[Built, Completion]:
    """One exchange: what relay sends, and what the client understands of the answer.

    Args:
        front: the client's dialect.
        back: the provider's.
        request: what the client says.
        knobs: of the echo.
    """
    sent = said_by(front, request)
    codec = DIALECTS[back].backs[Operation.CHAT]
    to = target(back, stream=sent.stream)
    built = codec.build(sent, to)
    door, model, stream = find(_PATHS[back][sent.stream])
    assert door is not None
    body = msgspec.json.encode({**built.fields, "echo": dict(knobs or {})})
    reply = door.answer(Call(body, 1_700_000_000, lambda prefix: f"{prefix}a1b2c3d4", model, stream))
    data = b"".join(piece for piece, _ in reply.pieces)
    made = Translation(DIALECTS[back], pairs.front_of(front), codec, pairs.asked(front, sent), to, built)
    if not sent.stream:
        rendered = made.whole(data, "d").body
        return built, DIALECTS[front].backs[Operation.CHAT].parse(rendered, pairs.target_of(front))
    between = made.transcoder("d")
    return built, assemble(pairs.heard(front, between.feed(data) + between.end()))


# ── features ──────────────────────────────────────────────────────────────────────────


def _request(front: str, back: str) -> tuple[str, ...]:
    request = pairs.requests(back)["request"]
    built, answer = exchange(front, back, request)
    assert pairs.said(answer).text == _words(request), answer
    assert pairs.said(answer).finish == "stop", answer
    return built.dropped


def _stream(front: str, back: str) -> tuple[str, ...]:
    whole = pairs.ask(pairs.user(HELLO), max_tokens=64)
    built, answer = exchange(front, back, msgspec.structs.replace(whole, stream=True, wants_usage=True))
    assert pairs.said(answer) == pairs.said(exchange(front, back, whole)[1]), answer
    return built.dropped


def _tools(front: str, back: str) -> tuple[str, ...]:
    history = pairs.requests(back)["tools"]
    must = ToolChoice("required")
    lost = list(exchange(front, back, history)[0].dropped)
    for stream in (False, True):
        ask = pairs.ask(
            pairs.user(HELLO), tools=history.tools, tool_choice=must, stream=stream, wants_usage=stream, max_tokens=64
        )
        built, answer = exchange(front, back, ask, {"tool": "get_weather"})
        assert pairs.said(answer).calls == (("get_weather", {"city": "sample", "days": 1}),), answer
        assert pairs.said(answer).finish == "tool_calls", answer
        lost += built.dropped
    return tuple(lost)


def _vision(front: str, back: str) -> tuple[str, ...]:
    built, _ = exchange(front, back, pairs.requests(back)["vision"])
    assert pairs.PNG.encode() in msgspec.json.encode(built.fields), built
    return built.dropped


def _thinking(front: str, back: str) -> tuple[str, ...]:
    wish = Reasoning(effort="high", visible=True, summary="auto")
    built, answer = exchange(front, back, pairs.ask(pairs.user(HELLO), reasoning=wish, max_tokens=4096))
    if back in _SILENT:
        answer = pairs.carried(front, back, pairs.answers(back)["thinking"])
    assert pairs.said(answer).thinking, answer
    return built.dropped


def _structured(front: str, back: str) -> tuple[str, ...]:
    built, answer = exchange(front, back, pairs.requests(back)["structured"])
    assert msgspec.json.decode(pairs.said(answer).text) == {"city": "sample", "days": 1}, answer
    return built.dropped


def _errors(front: str, back: str) -> tuple[str, ...]:
    error = UpstreamOverloaded("too busy", stage=Stage.STREAM, upstream_status=503)
    for body in (DIALECTS[back].render_error(error, "r"), DIALECTS[front].render_error(error, "r")):
        assert any(DIALECTS[name].read_error(body)[0] == "too busy" for name in (front, back)), body
    between = pairs.transcoder(front, back)
    assert any("too busy" in repr(event) for event in pairs.heard(front, between.fail(error)))
    return ()


FEATURES: Mapping[str, Callable[[str, str], tuple[str, ...]]] = {
    "request": _request,
    "stream": _stream,
    "tools": _tools,
    "vision": _vision,
    "thinking": _thinking,
    "structured output": _structured,
    "errors": _errors,
}
"""Column → tries it and gives what relay told as dropped; fails where it does not work."""


def _words(request: ChatRequest) -> str:
    return "".join(part.text for part in request.messages[-1].parts if isinstance(part, Text))


# ── settings ──────────────────────────────────────────────────────────────────────────

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "max_tokens": {"max_tokens": 100},
    "temperature": {"temperature": 0.5},
    "top_p": {"top_p": 0.5},
    "top_k": {"top_k": 5},
    "min_p": {"min_p": 0.1},
    "stop": {"stop": ("END",)},
    "seed": {"seed": 1},
    "n": {"n": 2},
    "presence_penalty": {"presence_penalty": 0.5},
    "frequency_penalty": {"frequency_penalty": 0.5},
    "logit_bias": {"logit_bias": b'{"1":1}'},
    "logprobs": {"logprobs": True},
    "top_logprobs": {"logprobs": True, "top_logprobs": 2},
    "tool choice": {"tools": (pairs.WEATHER,), "tool_choice": ToolChoice("required")},
    "no parallel calls": {"tools": (pairs.WEATHER,), "parallel": False},
    "user": {"user": "u-1"},
    "metadata": {"metadata": b'{"a":"b"}'},
    "service tier": {"tier": "priority"},
    "verbosity": {"verbosity": "low"},
    "cache key": {"cache_key": "k-1"},
    "cache markers": {"messages": (pairs.user(Text("Hello", cache="")),)},
}
"""What a request may ask besides its words: the caller's name of it → the hub's fields."""


def settings() -> str:
    """The table of settings: for which of them a provider has a place."""
    rows = ["| setting | " + " | ".join(pairs.BACKS) + " |", "|---|" + "---|" * len(pairs.BACKS)]
    for name, fields in SETTINGS.items():
        marks = []
        for back in pairs.BACKS:
            request = ChatRequest(**{"model": "m", "messages": (pairs.user("Hello"),), **fields})
            built = DIALECTS[back].backs[Operation.CHAT].build(request, target(back, stream=False))
            marks.append("" if built.dropped else "yes")
        rows.append(f"| {name} | {' | '.join(marks)} |")
    return "\n".join(rows)


# ── proofs ────────────────────────────────────────────────────────────────────────────


_SAID: Mapping[str, tuple[str, Callable[[Any], list[Any]]]] = {
    "openai": ("messages", lambda answer: [answer["choices"][0]["message"]]),
    "responses": ("input", lambda answer: answer["output"]),
    "anthropic": ("messages", lambda answer: [{"role": "assistant", "content": answer["content"]}]),
    "gemini": ("contents", lambda answer: [answer["candidates"][0]["content"]]),
    "cohere": ("messages", lambda answer: [answer["message"]]),
    "ollama": ("messages", lambda answer: [answer["message"]]),
}
"""Front → the field of the conversation, and what a client puts there for the answer it got."""


def comes_home(front: str, back: str) -> bool:
    """Whether a provider's proof, shown to a client and sent back by it, reaches the provider again."""
    seal = Seal(back, "c2lnbmF0dXJlLW9mLWEtdGhvdWdodA==")
    call = ToolCall(
        "call_a1b2c3d4e", "get_weather", '{"city":"Rome","days":2}', seal=seal if back == "gemini" else None
    )
    choice = Choice((Thinking("Hm.", seal), call), Finish.TOOL_CALLS)
    answer = Completion("answer-1", "m", (choice,), pairs.USAGE, 1_700_000_000)
    shown = msgspec.json.decode(pairs.front_of(front).render(answer, pairs.plain(front)))
    understood: Completion = (
        DIALECTS[front].backs[Operation.CHAT].parse(msgspec.json.encode(shown), pairs.target_of(front))
    )
    made = next(part for part in understood.choices[0].parts if isinstance(part, ToolCall))
    result = ToolResult(made.id, (Text("sunny"),), "get_weather")
    request = pairs.ask(
        *(pairs.user("Think."), Message("assistant", (made,)), Message("tool", (result,))),
        tools=(pairs.WEATHER,),
        reasoning=Reasoning(effort="high"),
        max_tokens=4096,
    )
    codec = DIALECTS[front].backs[Operation.CHAT]
    fields = msgspec.json.decode(msgspec.json.encode(codec.build(request, target(front, stream=False)).fields))
    place, said = _SAID[front]
    fields[place][1:-1] = said(shown)
    sent = pairs.parse(front, fields)
    built = DIALECTS[back].backs[Operation.CHAT].build(sent, target(back, stream=False))
    return seal.value.encode() in msgspec.json.encode(built.fields)


# ── the page ──────────────────────────────────────────────────────────────────────────


def cell(front: str, back: str, feature: str) -> str:
    """``yes``, and what is lost on the way."""
    lost = dict.fromkeys(FEATURES[feature](front, back))
    return "yes" + "".join(f", without `{name}`" for name in lost)


def features() -> str:
    """The table of features."""
    rows = [f"| front | back | {' | '.join(FEATURES)} |", "|---|---|" + "---|" * len(FEATURES)]
    rows += [
        f"| {front} | {back} | {' | '.join(cell(front, back, feature) for feature in FEATURES)} |"
        for front in pairs.CHATS
        for back in pairs.BACKS
    ]
    return "\n".join(rows)


def proofs() -> str:
    """The table of proofs."""
    rows = [f"| front | {' | '.join(PROVERS)} |", "|---|" + "---|" * len(PROVERS)]
    for front in pairs.CHATS:
        marks = ["yes" if comes_home(front, back) else "no" for back in PROVERS]
        rows.append(f"| {front} | {' | '.join(marks)} |")
    return "\n".join(rows)


def fronts() -> str:
    """The table of endpoints."""
    rows = ["| front | endpoints that are translated |", "|---|---|"]
    for name, dialect in DIALECTS.items():
        if dialect.fronts:
            rows.append(f"| {name} | {', '.join(f'`{path}`' for path in dialect.fronts)} |")
    return "\n".join(rows)


def backs() -> str:
    """The table of operations."""
    rows = [
        "| back | " + " | ".join(operation.value for operation in Operation) + " |",
        "|---|" + "---|" * len(Operation),
    ]
    for name, dialect in DIALECTS.items():
        marks = ["yes" if operation in dialect.backs else "" for operation in Operation]
        rows.append(f"| {name} | {' | '.join(marks)} |")
    return "\n".join(rows)


TABLES: Mapping[str, Callable[[], str]] = {
    "fronts": fronts,
    "backs": backs,
    "features": features,
    "settings": settings,
    "proofs": proofs,
}
"""Name of a marked place in the page → the table that stands there."""


def filled(page: str) -> str:
    """The page with today's tables between its marks."""
    for name, table in TABLES.items():
        before, begin, rest = page.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"\n<!-- /{name} -->")
        page = f"{before}{begin}{table()}{end}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
