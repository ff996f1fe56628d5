"""Requests through the hub and back to the same dialect: nothing that is said is lost."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.anthropic.request import parse
from relay.dialects.anthropic.sending import build
from relay.dialects.codec import Target
from tests.unit.dialects.anthropic.messages import CALL, NEW, OLD, PNG

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(lambda text: text == text.strip())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
MARKER = st.sampled_from(({"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}))
NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)

TEXT = st.builds(lambda words: {"type": "text", "text": words}, WORDS)
MARKED = st.builds(lambda words, marker: {"type": "text", "text": words, "cache_control": marker}, WORDS, MARKER)
IMAGE = st.just({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}})
DOCUMENT = st.builds(
    lambda words, title: {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": words},
        "title": title,
        "citations": {"enabled": True},
    },
    WORDS,
    WORDS,
)
NATIVE = st.builds(lambda value: {"type": "of_tomorrow", "value": value}, JSON)
THINKING = st.builds(lambda words, proof: {"type": "thinking", "thinking": words, "signature": proof}, WORDS, NAMES)
REDACTED = st.builds(lambda proof: {"type": "redacted_thinking", "data": proof}, NAMES)
INPUT = st.dictionaries(st.text(max_size=3), JSON, max_size=2)


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Turns that alternate; calls are followed by their results, which come first."""
    turns: list[dict[str, Any]] = []
    calls: list[str] = []
    for number in range(draw(st.integers(1, 4))):
        said = draw(st.lists(st.one_of(TEXT, TEXT, IMAGE, DOCUMENT, NATIVE), min_size=1, max_size=2))
        content = draw(st.sampled_from(("answer", ["answer"], None)))
        results: list[dict[str, Any]] = [{"type": "tool_result", "tool_use_id": call} for call in calls]
        for result in results:
            if content is not None:
                blocks = [{"type": "text", "text": words} for words in content] + [draw(IMAGE)]
                result["content"] = blocks if isinstance(content, list) else content
            if draw(st.booleans()):
                result["is_error"] = True
        turns.append({"role": "user", "content": [*results, *said]})
        thinking = draw(st.lists(st.one_of(THINKING, REDACTED), max_size=1))
        uses: list[dict[str, Any]] = [
            {"type": "tool_use", "id": f"t{number}{index}", "name": draw(NAMES), "input": draw(INPUT)}
            for index in range(draw(st.integers(0, 2)))
        ]
        calls = [use["id"] for use in uses]
        turns.append({"role": "assistant", "content": [*thinking, draw(TEXT), *uses]})
    return [
        *turns,
        {"role": "user", "content": [*({"type": "tool_result", "tool_use_id": call} for call in calls), draw(MARKED)]},
    ]


TOOLS = st.lists(
    st.builds(
        lambda name, words, more: {
            "name": name,
            "description": words,
            "input_schema": {"type": "object", "properties": more, "additionalProperties": False},
        },
        NAMES,
        WORDS,
        st.dictionaries(NAMES, st.just({"type": "string"}), max_size=2),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda tool: tool["name"],
)
CHOICES = st.sampled_from(({"type": "auto"}, {"type": "any", "disable_parallel_tool_use": True}, {"type": "none"}))
COMMON: dict[str, st.SearchStrategy[Any]] = {
    "system": WORDS | st.lists(MARKED, min_size=1, max_size=2),
    "stop_sequences": st.lists(WORDS, min_size=1, max_size=3),
    "metadata": st.builds(lambda user: {"user_id": user}, WORDS),
    "service_tier": st.sampled_from(("auto", "standard_only")),
    "stream": st.just(True),
    "container": JSON.filter(lambda value: value is not None),
}
GENERATIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    OLD: {
        "temperature": st.floats(0, 1),
        "top_k": st.integers(1, 50),
        "top_p": st.floats(0, 1),
    },
    NEW: {
        "thinking": st.sampled_from(({"type": "adaptive"}, {"type": "adaptive", "display": "summarized"})),
        "output_config": st.fixed_dictionaries(
            {},
            optional={
                "effort": st.sampled_from(("low", "medium", "high", "xhigh", "max")),
                "format": st.just({"type": "json_schema", "schema": {"type": "object", "additionalProperties": False}}),
            },
        ).filter(bool),
    },
}


def bodies(model: str) -> st.SearchStrategy[dict[str, Any]]:
    """Requests for a model of one generation."""
    return st.fixed_dictionaries(
        {"model": st.just(model), "max_tokens": st.integers(1, 10**6), "messages": conversations()},
        optional=COMMON | GENERATIONS[model],
    )


class TripTests(SynchronousTestCase):
    """A → hub → A."""

    @settings(max_examples=60, deadline=None, database=None)
    @given(st.sampled_from((OLD, NEW)).flatmap(bodies), st.none() | TOOLS, CHOICES)
    def test_same(self, body: dict[str, Any], tools: list[Any] | None, choice: dict[str, Any]) -> None:
        """The request that is sent is the request that came."""
        if tools is not None:
            body = {**body, "tools": tools, "tool_choice": choice}
        request = parse(json.dumps(body).encode(), CALL)
        built = build(request, Target(body["model"], stream=request.stream))
        self.assertEqual(built.dropped, ())
        again = json.loads(msgspec.json.encode(built.fields))
        if isinstance(again.get("system"), str) and isinstance(body.get("system"), list):
            again["system"] = [{"type": "text", "text": again["system"]}]
        self.assertEqual(again, body)
