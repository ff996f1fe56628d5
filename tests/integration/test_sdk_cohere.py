"""The cohere SDK, through a real ``twistd relay``, with providers of every dialect."""

from __future__ import annotations

import functools
import json
from typing import Any

import cohere

from tests.integration.backs import CITY, SCHEMA, THINKERS, WORDS, BacksCase, calling, embedder, everything, model

HELLO: Any = [{"role": "system", "content": "Repeat."}, {"role": "user", "content": WORDS}]
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "description": "Weather.", "parameters": SCHEMA}}]


@functools.cache
def client() -> cohere.ClientV2:
    """A client as users make it."""
    return cohere.ClientV2(api_key="none", base_url=everything().url)


class ChatTests(BacksCase):
    """``/v2/chat``."""

    def test_chat(self) -> None:
        """Text, reason and tokens."""

        def work(back: str) -> None:
            answer: Any = client().chat(model=model(back), messages=HELLO, max_tokens=50)
            self.assertEqual((answer.message.content[0].text, answer.finish_reason), (WORDS, "COMPLETE"))
            self.assertEqual(answer.usage.tokens.output_tokens, 3)

        self.each(work)

    def test_stream(self) -> None:
        """Events in the order that Cohere has them."""

        def work(back: str) -> None:
            events: list[Any] = list(client().chat_stream(model=model(back), messages=HELLO))
            words = [event.delta.message.content.text for event in events if event.type == "content-delta"]
            self.assertEqual(words, ["one", " two", " three"])
            kinds = [event.type for event in events if event.type != "content-delta"]
            self.assertEqual(kinds, ["message-start", "content-start", "content-end", "message-end"])
            last = events[-1].delta
            self.assertEqual((last.finish_reason, last.usage.tokens.output_tokens), ("COMPLETE", 3))

        self.each(work)

    def test_toolLoop(self) -> None:
        """A call, whole and streamed, its result, and an answer in words."""

        def work(back: str) -> None:
            ask: Any = {"model": calling(back), "tools": TOOLS, "tool_choice": "REQUIRED"}
            answer: Any = client().chat(messages=HELLO, **ask)
            call = answer.message.tool_calls[0]
            self.assertEqual((call.function.name, json.loads(call.function.arguments)), ("weather", CITY))
            self.assertEqual(answer.finish_reason, "TOOL_CALL")
            events: list[Any] = list(client().chat_stream(messages=HELLO, **ask))
            starts = [e.delta.message.tool_calls for e in events if e.type == "tool-call-start"]
            deltas = [e.delta.message.tool_calls.function.arguments for e in events if e.type == "tool-call-delta"]
            text = "".join([starts[0].function.arguments or "", *deltas])
            self.assertEqual((len(starts), json.loads(text)), (1, CITY))
            result = {"role": "tool", "tool_call_id": call.id, "content": "12 degrees"}
            more: Any = [*HELLO, {"role": "assistant", "tool_calls": [call]}, result]
            second: Any = client().chat(messages=more, **ask)
            self.assertEqual(second.message.content[0].text, "12 degrees")

        self.each(work)

    def test_structured(self) -> None:
        """JSON by a schema."""

        def work(back: str) -> None:
            form: Any = {"type": "json_object", "json_schema": SCHEMA}
            answer: Any = client().chat(model=model(back), messages=HELLO, response_format=form)
            self.assertEqual(json.loads(answer.message.content[0].text), CITY)

        self.each(work)

    def test_thinking(self) -> None:
        """Thoughts are content of their own kind."""

        def work(back: str) -> None:
            thinking: Any = {"type": "enabled", "token_budget": 1024}
            answer: Any = client().chat(model=model(back), messages=HELLO, thinking=thinking, max_tokens=2000)
            self.assertEqual([part.type for part in answer.message.content], ["thinking", "text"])

        self.each(work, backs=THINKERS)


class OtherTests(BacksCase):
    """Embeddings and reranking."""

    def test_embed(self) -> None:
        """One vector a text."""

        def work(back: str) -> None:
            answer = client().embed(
                model=embedder(back), texts=["a", "b"], input_type="search_query", embedding_types=["float"]
            )
            vectors = answer.embeddings.float_ or []
            self.assertEqual((len(vectors), len(vectors[0]) > 1), (2, True))

        self.each(work, "embeddings")

    def test_rerank(self) -> None:
        """The best document comes first."""

        def work(back: str) -> None:
            answer = client().rerank(model=model(back), query="red fox", documents=["a cow", "a red fox"], top_n=1)
            self.assertEqual([item.index for item in answer.results], [1])

        self.each(work, "rerank")
