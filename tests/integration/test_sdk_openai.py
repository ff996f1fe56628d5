"""The openai SDK, through a real ``twistd relay``, with providers of every dialect."""

from __future__ import annotations

import functools
import json
from typing import Any

import openai
from pydantic import BaseModel

from tests.integration.backs import (
    CITY,
    LIMIT,
    LONG,
    SCHEMA,
    WORDS,
    BacksCase,
    calling,
    embedder,
    everything,
    model,
    shown,
)

HELLO: Any = [{"role": "system", "content": "Repeat."}, {"role": "user", "content": WORDS}]
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "description": "Weather.", "parameters": SCHEMA}}]
RESPONSE_TOOLS: Any = [
    {"type": "function", "name": "weather", "description": "Weather.", "parameters": SCHEMA, "strict": False}
]


class Trip(BaseModel):
    """What a structured answer is parsed into."""

    city: str
    days: int


@functools.cache
def client() -> openai.OpenAI:
    """A client as users make it."""
    return openai.OpenAI(base_url=f"{everything().url}/v1", api_key="none", max_retries=0, timeout=30)


class ChatTests(BacksCase):
    """Chat completions."""

    def test_create(self) -> None:
        """A whole answer: text, reason, tokens, and the client's own name of the model."""

        def work(back: str) -> None:
            answer = client().chat.completions.create(model=model(back), messages=HELLO, max_tokens=50)
            choice = answer.choices[0]
            self.assertEqual((choice.message.content, choice.finish_reason, choice.index), (WORDS, "stop", 0))
            self.assertEqual((answer.model, answer.object), (shown(back, "openai"), "chat.completion"))
            assert answer.usage is not None
            self.assertEqual((answer.usage.completion_tokens, answer.usage.total_tokens > 3), (3, True))

        self.each(work)

    def test_limit(self) -> None:
        """An answer that the limit cuts says so, whole and streamed."""

        def work(back: str) -> None:
            ask: Any = {"model": model(back), "messages": [{"role": "user", "content": LONG}], "max_tokens": LIMIT}
            choice = client().chat.completions.create(**ask).choices[0]
            self.assertEqual((len((choice.message.content or "").split()), choice.finish_reason), (LIMIT, "length"))
            chunks = list(client().chat.completions.create(stream=True, **ask))
            self.assertEqual(chunks[-1].choices[0].finish_reason, "length")

        self.each(work)

    def test_stream(self) -> None:
        """Word by word, one role, one reason, and the tokens of the whole answer at the end."""

        def work(back: str) -> None:
            ask: Any = {"model": model(back), "messages": HELLO}
            whole = client().chat.completions.create(**ask)
            options: Any = {"include_usage": True}
            *chunks, last = client().chat.completions.create(stream=True, stream_options=options, **ask)
            deltas = [chunk.choices[0].delta for chunk in chunks]
            self.assertEqual([delta.content for delta in deltas if delta.content], ["one", " two", " three"])
            self.assertEqual([delta.role for delta in deltas if delta.role], ["assistant"])
            self.assertEqual([c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason], ["stop"])
            self.assertEqual(len({chunk.id for chunk in chunks}), 1)
            assert last.usage is not None
            assert whole.usage is not None
            self.assertEqual((last.choices, last.usage.total_tokens), ([], whole.usage.total_tokens))

        self.each(work)

    def test_noUsageUnlessAsked(self) -> None:
        """Who does not ask for tokens gets no chunk without choices."""

        def work(back: str) -> None:
            chunks = list(client().chat.completions.create(model=model(back), messages=HELLO, stream=True))
            self.assertEqual([chunk for chunk in chunks if not chunk.choices], [])

        self.each(work)

    def test_toolLoop(self) -> None:
        """A call, its result, and an answer in words."""

        def work(back: str) -> None:
            ask: Any = {"model": calling(back), "tools": TOOLS, "tool_choice": "required"}
            first = client().chat.completions.create(messages=HELLO, **ask).choices[0]
            call: Any = (first.message.tool_calls or [])[0]
            self.assertEqual(
                (first.finish_reason, call.type, call.function.name), ("tool_calls", "function", "weather")
            )
            self.assertEqual(json.loads(call.function.arguments), CITY)
            result = {"role": "tool", "tool_call_id": call.id, "content": "12 degrees"}
            messages = [*HELLO, first.message.to_dict(), result]
            second = client().chat.completions.create(messages=messages, **ask).choices[0]
            self.assertEqual((second.message.content, second.finish_reason), ("12 degrees", "stop"))

        self.each(work)

    def test_streamedToolLoop(self) -> None:
        """The same with the SDK's own accumulator of streams."""

        def work(back: str) -> None:
            ask: Any = {"model": calling(back), "tools": TOOLS, "tool_choice": "required"}
            with client().chat.completions.stream(messages=HELLO, **ask) as stream:
                first = stream.get_final_completion().choices[0]
            call: Any = (first.message.tool_calls or [])[0]
            self.assertEqual((first.finish_reason, json.loads(call.function.arguments)), ("tool_calls", CITY))
            said = {"id": call.id, "type": "function", "function": {"name": "weather", "arguments": "{}"}}
            messages: Any = [
                *HELLO,
                {"role": "assistant", "content": None, "tool_calls": [said]},
                {"role": "tool", "tool_call_id": call.id, "content": [{"type": "text", "text": "12 degrees"}]},
            ]
            with client().chat.completions.stream(messages=messages, **ask) as stream:
                second = stream.get_final_completion().choices[0]
            self.assertEqual((second.message.content, second.finish_reason), ("12 degrees", "stop"))

        self.each(work)

    def test_namedTool(self) -> None:
        """One of several tools is demanded by its name."""
        other: Any = {"type": "function", "function": {"name": "time", "parameters": {"type": "object"}}}

        def work(back: str) -> None:
            choice: Any = {"type": "function", "function": {"name": "weather"}}
            answer = client().chat.completions.create(
                model=calling(back), messages=HELLO, tools=[other, *TOOLS], tool_choice=choice
            )
            call: Any = (answer.choices[0].message.tool_calls or [])[0]
            self.assertEqual(call.function.name, "weather")

        self.each(work)

    def test_parse(self) -> None:
        """A structured answer is an instance of the client's class, whole and streamed."""

        def work(back: str) -> None:
            ask: Any = {"model": model(back), "messages": HELLO, "response_format": Trip}
            whole = client().chat.completions.parse(**ask).choices[0]
            self.assertEqual((whole.message.parsed, whole.finish_reason), (Trip(city="sample", days=1), "stop"))
            with client().chat.completions.stream(**ask) as stream:
                streamed: Any = stream.get_final_completion().choices[0].message.parsed
            self.assertEqual(streamed, whole.message.parsed)

        self.each(work)


class ResponsesTests(BacksCase):
    """Responses."""

    def test_create(self) -> None:
        """A whole answer with the fields that the SDK reads."""

        def work(back: str) -> None:
            answer = client().responses.create(model=model(back), instructions="Repeat.", input=WORDS)
            self.assertEqual((answer.output_text, answer.status, answer.error), (WORDS, "completed", None))
            assert answer.usage is not None
            self.assertEqual((answer.usage.output_tokens, answer.model), (3, shown(back, "responses")))

        self.each(work)

    def test_stream(self) -> None:
        """Numbered without a gap, opened and closed in order, and the last event holds the whole."""

        def work(back: str) -> None:
            events: list[Any] = list(client().responses.create(model=model(back), input=WORDS, stream=True))
            self.assertEqual([event.sequence_number for event in events], list(range(len(events))))
            deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
            self.assertEqual("".join(deltas), WORDS)
            self.assertGreater(len(deltas), 1)
            last = events[-1]
            self.assertEqual((events[0].type, last.type), ("response.created", "response.completed"))
            self.assertEqual((last.response.output_text, last.response.usage.output_tokens), (WORDS, 3))

        self.each(work)

    def test_toolLoop(self) -> None:
        """A streamed call, its result, and an answer in words."""

        def work(back: str) -> None:
            ask: Any = {"model": calling(back), "tools": RESPONSE_TOOLS, "tool_choice": "required"}
            with client().responses.stream(input=WORDS, **ask) as stream:
                first = stream.until_done().get_final_response()
            call: Any = next(item for item in first.output if item.type == "function_call")
            self.assertEqual((call.name, json.loads(call.arguments), call.status), ("weather", CITY, "completed"))
            replay = [item.to_dict(exclude_none=True) for item in first.output]
            for item in replay:
                item.pop("parsed_arguments", None)
            result = {"type": "function_call_output", "call_id": call.call_id, "output": "12 degrees"}
            items: Any = [{"role": "user", "content": WORDS}, *replay, result]
            self.assertEqual(client().responses.create(input=items, **ask).output_text, "12 degrees")

        self.each(work)

    def test_parse(self) -> None:
        """A structured answer is an instance of the client's class."""

        def work(back: str) -> None:
            answer = client().responses.parse(model=model(back), input=WORDS, text_format=Trip)
            self.assertEqual(answer.output_parsed, Trip(city="sample", days=1))

        self.each(work)


class OtherTests(BacksCase):
    """Embeddings, completions, models."""

    def test_embeddings(self) -> None:
        """The SDK asks for base64 by itself; the numbers are those of the other form."""

        def work(back: str) -> None:
            ask: Any = {"model": embedder(back), "input": ["a", "b"]}
            coded = client().embeddings.create(**ask).data
            plain = client().embeddings.create(encoding_format="float", **ask).data
            self.assertEqual([item.index for item in coded], [0, 1])
            for one, other in zip(coded, plain, strict=True):
                self.assertEqual(len(one.embedding), len(other.embedding))
                self.assertTrue(all(abs(a - b) < 1e-6 for a, b in zip(one.embedding, other.embedding, strict=True)))

        self.each(work, "embeddings")

    def test_completions(self) -> None:
        """The older endpoint, whole and streamed."""

        def work(back: str) -> None:
            whole = client().completions.create(model=model(back), prompt=WORDS, max_tokens=20)
            stream = client().completions.create(model=model(back), prompt=WORDS, max_tokens=20, stream=True)
            self.assertEqual((whole.choices[0].text, whole.choices[0].finish_reason), (WORDS, "stop"))
            self.assertEqual("".join(chunk.choices[0].text for chunk in stream), WORDS)

        self.each(work)
