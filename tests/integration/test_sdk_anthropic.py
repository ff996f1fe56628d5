"""The anthropic SDK, through a real ``twistd relay``, with providers of every dialect."""

from __future__ import annotations

import functools
from typing import Any

import anthropic
from pydantic import BaseModel

from tests.integration.backs import (
    CITY,
    LIMIT,
    LONG,
    SCHEMA,
    THINKERS,
    WORDS,
    BacksCase,
    calling,
    everything,
    model,
    shown,
)

HELLO: Any = [{"role": "user", "content": WORDS}]
TOOLS: Any = [{"name": "weather", "description": "Weather.", "input_schema": SCHEMA}]


class Trip(BaseModel):
    """What a structured answer is parsed into."""

    city: str
    days: int


@functools.cache
def client() -> anthropic.Anthropic:
    """A client that takes no answer that breaks its types."""
    return anthropic.Anthropic(
        base_url=everything().url, api_key="none", max_retries=0, timeout=30, _strict_response_validation=True
    )


class MessagesTests(BacksCase):
    """Messages."""

    def test_create(self) -> None:
        """A whole answer with its tokens and its reason."""

        def work(back: str) -> None:
            answer = client().messages.create(model=model(back), max_tokens=50, system="Repeat.", messages=HELLO)
            self.assertEqual([block.to_dict()["text"] for block in answer.content], [WORDS])
            self.assertEqual(
                (answer.stop_reason, answer.role, answer.model), ("end_turn", "assistant", shown(back, "anthropic"))
            )
            self.assertEqual(answer.usage.output_tokens, 3)
            self.assertGreater(answer.usage.input_tokens, 2)

        self.each(work)

    def test_limit(self) -> None:
        """The reason tells that the limit ended the answer."""

        def work(back: str) -> None:
            long: Any = [{"role": "user", "content": LONG}]
            cut = client().messages.create(model=model(back), max_tokens=LIMIT, messages=long)
            self.assertEqual(cut.stop_reason, "max_tokens")

        self.each(work)

    def test_stream(self) -> None:
        """The SDK's own accumulator comes to the answer that comes whole, tokens included."""

        def work(back: str) -> None:
            ask: Any = {"model": model(back), "max_tokens": 50, "messages": HELLO}
            whole = client().messages.create(**ask)
            with client().messages.stream(**ask) as stream:
                pieces = list(stream.text_stream)
                final = stream.get_final_message()
            self.assertEqual(pieces, ["one", " two", " three"])
            self.assertEqual((final.stop_reason, final.content[0].to_dict()["text"]), ("end_turn", WORDS))
            self.assertEqual(final.usage.output_tokens, whole.usage.output_tokens)
            self.assertEqual(final.usage.input_tokens, whole.usage.input_tokens)

        self.each(work)

    def test_events(self) -> None:
        """One beginning, blocks opened and closed in turn, one end."""

        def work(back: str) -> None:
            events = list(client().messages.create(model=model(back), max_tokens=50, messages=HELLO, stream=True))
            kinds = [event.type for event in events if event.type != "content_block_delta"]
            self.assertEqual(
                kinds, ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"]
            )

        self.each(work)

    def test_toolLoop(self) -> None:
        """A streamed use, its result, and an answer in words."""

        def work(back: str) -> None:
            ask: Any = {"model": calling(back), "max_tokens": 50, "tools": TOOLS, "tool_choice": {"type": "any"}}
            with client().messages.stream(messages=HELLO, **ask) as stream:
                first = stream.get_final_message()
            use: Any = first.content[-1]
            self.assertEqual((first.stop_reason, use.name, use.input), ("tool_use", "weather", CITY))
            self.assertEqual(client().messages.create(messages=HELLO, **ask).content[-1].to_dict()["input"], CITY)
            result: Any = {"type": "tool_result", "tool_use_id": use.id, "content": "12 degrees"}
            messages: Any = [*HELLO, first.to_param(), {"role": "user", "content": [result]}]
            second = client().messages.create(messages=messages, **ask)
            self.assertEqual((second.stop_reason, second.content[0].to_dict()["text"]), ("end_turn", "12 degrees"))

        self.each(work)

    def test_parse(self) -> None:
        """A structured answer is an instance of the client's class."""

        def work(back: str) -> None:
            answer = client().messages.parse(model=model(back), max_tokens=50, messages=HELLO, output_format=Trip)
            self.assertEqual(answer.parsed_output, Trip(city="sample", days=1))

        self.each(work)

    def test_thinking(self) -> None:
        """Thoughts come before the words with a proof, and both can be sent back."""

        def work(back: str) -> None:
            thinking: Any = {"type": "enabled", "budget_tokens": 1024}
            ask: Any = {"model": model(back), "max_tokens": 2000, "thinking": thinking}
            with client().messages.stream(messages=HELLO, **ask) as stream:
                first = stream.get_final_message()
            thought, words = (block.to_dict() for block in first.content)
            self.assertEqual((thought["type"], words["text"]), ("thinking", WORDS))
            self.assertIn("Someone wants to hear", str(thought["thinking"]))
            more: Any = [*HELLO, first.to_param(), {"role": "user", "content": "four five"}]
            second = client().messages.create(messages=more, **ask)
            self.assertEqual(second.content[-1].to_dict()["text"], "four five")

        self.each(work, backs=THINKERS)

    def test_countTokens(self) -> None:
        """Counted by the provider, or estimated."""

        def work(back: str) -> None:
            count = client().messages.count_tokens(model=model(back), system="Repeat.", messages=HELLO, tools=TOOLS)
            self.assertGreater(count.input_tokens, 2)

        self.each(work)
