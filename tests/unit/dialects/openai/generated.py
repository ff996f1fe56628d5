"""Generated requests, answers, streams and chunks."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from relay.chat import (
    ChatRequest,
    Choice,
    Citation,
    Completion,
    Finish,
    Media,
    Message,
    Native,
    Refusal,
    Seal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from relay.dialects.assembly import disassemble
from relay.events import Closed, Counted, Event, Finished, Grew, Opened, Sealed
from relay.exchange import Usage

FIELDS = [
    *("messages", "role", "content", "type", "text", "image_url", "url", "tools", "function", "name", "tool_calls"),
    *("arguments", "tool_choice", "response_format", "json_schema", "reasoning", "thinking", "stop", "functions", "id"),
]
"""Names that mean something in a request."""

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
said = words.filter(str.strip)
names = st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True).filter(lambda name: "__" not in name)
ids = st.from_regex(r"[a-zA-Z0-9]{9}", fullmatch=True)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | words,
    lambda inner: st.lists(inner) | st.dictionaries(words, inner),
)
arguments = st.dictionaries(words, jsons, max_size=3).map(json.dumps)

texts = st.builds(Text, said)
images = st.builds(Media, st.just("image"), url=st.just("https://h/x"), detail=st.sampled_from(["", "low"]))
calls = st.builds(ToolCall, ids, names, arguments)
user = st.builds(Message, st.just("user"), st.lists(texts | images, min_size=1, max_size=3).map(tuple))
system = st.builds(Message, st.sampled_from(["system", "developer"]), st.tuples(texts))
result = st.builds(Message, st.just("tool"), st.tuples(st.builds(ToolResult, ids, st.tuples(texts))))
assistant = st.builds(
    lambda text, called: Message("assistant", (*text, *called)),
    st.lists(texts, min_size=1, max_size=1),
    st.lists(calls, max_size=3),
)
tools = st.builds(Tool, names, words, st.just(b'{"type":"object"}'), st.none() | st.booleans())
whole_requests = st.builds(
    ChatRequest,
    st.just("up"),
    st.lists(user | system | result | assistant, min_size=1, max_size=5).map(tuple),
    tools=st.lists(tools, min_size=1, max_size=3, unique_by=lambda tool: tool.name).map(tuple),
    tool_choice=st.none() | st.builds(ToolChoice, st.sampled_from(["auto", "none", "required"])),
    parallel=st.none() | st.booleans(),
    max_tokens=st.none() | st.integers(1, 9),
    temperature=st.none() | st.floats(0, 2),
    stop=st.lists(said, max_size=2).map(tuple),
    seed=st.none() | st.integers(0, 9),
    user=words,
)

seals = st.none() | st.builds(Seal, st.sampled_from(["anthropic", "gemini", "responses"]), said)
sources = st.lists(st.builds(Citation, url=st.just("https://h/x"), title=words), max_size=2).map(tuple)
parts = (
    st.builds(Text, words, citations=sources, seal=seals)
    | st.builds(Thinking, words, seals)
    | st.builds(lambda seal: Thinking("", seal, redacted=True), st.builds(Seal, st.just("anthropic"), said))
    | st.builds(ToolCall, ids, names, arguments | st.just(""), seal=seals)
    | st.builds(Refusal, words)
    | st.builds(Media, st.sampled_from(["image", "audio"]), data=st.just("AAAA"))
    | st.just(Native("anthropic", "x", b"{}"))
)
choices = st.lists(
    st.tuples(st.lists(parts, max_size=4), st.sampled_from(["stop", "length", "content_filter"])), max_size=2
)
completions = choices.map(
    lambda found: Completion(
        "",
        "",
        tuple(Choice(tuple(held), finish, index=index) for index, (held, finish) in enumerate(found or [([], "")])),
    )
)


@st.composite
def legal_events(draw: st.DrawFn) -> list[Event]:
    """Any legal order of events: blocks that overlap, usage anywhere, choices that never finish."""
    events: list[Event] = []
    opened: dict[int, Any] = {}
    number = 0
    for _ in range(draw(st.integers(0, 20))):
        step = draw(st.integers(0, 5))
        if step <= 1:
            part = draw(parts)
            bare = disassemble(Completion("", "", (Choice((part,)),)))[1]
            assert isinstance(bare, Opened)
            events.append(Opened(number, bare.part, draw(st.integers(0, 1))))
            opened[number] = bare.part
            number += 1
        elif step == 2 and opened:
            block = draw(st.sampled_from(sorted(opened)))
            if isinstance(opened[block], Text | Thinking | ToolCall | Refusal) and not getattr(
                opened[block], "redacted", False
            ):
                events.append(Grew(block, draw(words)))
        elif step == 3 and opened:
            block = draw(st.sampled_from(sorted(opened)))
            events.append(Closed(block))
            del opened[block]
        elif step == 4 and opened:
            block = draw(st.sampled_from(sorted(opened)))
            if isinstance(opened[block], Text | Thinking | ToolCall):
                events.append(Sealed(block, Seal("gemini", "s")))
        else:
            events.append(Counted(Usage(input=draw(st.integers(0, 9)), output=1)))
    events += [Closed(block) for block in sorted(opened) if draw(st.booleans())]
    if draw(st.booleans()):
        events.append(Finished(Finish.STOP))
    return events


odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 5),
    words,
    st.lists(jsons, max_size=2),
    st.dictionaries(words, jsons, max_size=2),
)
functions = st.fixed_dictionaries({}, optional={"name": st.sampled_from(["", "f", "g__freetext"]), "arguments": odd})
deltas = st.fixed_dictionaries(
    {},
    optional={
        "content": odd | st.just([{"type": "text", "text": "a"}, {"type": "thinking", "thinking": "b"}]),
        "reasoning": odd,
        "reasoning_content": odd,
        "reasoning_details": odd | st.just([{"type": "reasoning.text", "text": "a", "index": 0, "signature": "s"}]),
        "thinking_blocks": odd | st.just([{"type": "thinking", "thinking": "", "signature": "s"}]),
        "refusal": odd,
        "annotations": odd | st.just([{"type": "url_citation", "url_citation": {"url": "u"}}]),
        "images": odd | st.just([{"image_url": {"url": "data:image/png;base64,AAAA"}}]),
        "audio": odd | st.just({"data": "AAAA", "transcript": "a"}),
        "function_call": odd | st.just({"name": "f", "arguments": "{"}),
        "extra_content": odd | st.just({"google": {"thought_signature": "s"}}),
        "tool_calls": odd
        | st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "index": odd,
                    "id": st.sampled_from(["", "x", "y", None]),
                    "extra_content": odd,
                    "function": odd
                    | st.fixed_dictionaries(
                        {}, optional={"name": st.sampled_from(["", "f", "g__freetext"]), "arguments": odd}
                    ),
                },
            ),
            max_size=2,
        ),
    },
)
chunks = st.fixed_dictionaries(
    {},
    optional={
        "id": odd,
        "created": odd,
        "usage": odd | st.just({"prompt_tokens": 1, "completion_tokens": 2}),
        "x_groq": odd,
        "citations": odd | st.just(["u"]),
        "choices": odd
        | st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "index": st.sampled_from([0, 0, 1, "0", None]),
                    "delta": odd | deltas,
                    "message": odd | deltas,
                    "finish_reason": odd | st.sampled_from(["stop", "length"]),
                    "logprobs": odd | st.just({"content": [{"token": "a"}]}),
                },
            ),
            max_size=2,
        ),
    },
)
