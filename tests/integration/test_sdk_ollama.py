"""The ollama SDK, through a real ``twistd relay``, with providers of every dialect."""

from __future__ import annotations

import functools
from typing import Any

import ollama

from tests.integration.backs import BACKS, CITY, SCHEMA, THINKERS, WORDS, BacksCase, embedder, everything, model, shown

HELLO: Any = [{"role": "system", "content": "Repeat."}, {"role": "user", "content": WORDS}]
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "description": "Weather.", "parameters": SCHEMA}}]


@functools.cache
def client() -> ollama.Client:
    """A client as users make it."""
    return ollama.Client(host=everything().url)


class ChatTests(BacksCase):
    """``/api/chat``."""

    def test_chat(self) -> None:
        """Text, reason and tokens."""

        def work(back: str) -> None:
            answer = client().chat(model=model(back), messages=HELLO, options={"num_predict": 50})
            self.assertEqual((answer.message.content, answer.done, answer.done_reason), (WORDS, True, "stop"))
            self.assertEqual((answer.eval_count, answer.model), (3, shown(back, "ollama")))

        self.each(work)

    def test_stream(self) -> None:
        """Line by line; the last one is done and has the tokens."""

        def work(back: str) -> None:
            lines = list(client().chat(model=model(back), messages=HELLO, stream=True))
            self.assertEqual("".join(line.message.content or "" for line in lines), WORDS)
            self.assertEqual([line.done for line in lines], [False] * (len(lines) - 1) + [True])
            self.assertGreater(len(lines), 3)
            self.assertEqual(lines[-1].eval_count, 3)

        self.each(work)

    def test_toolLoop(self) -> None:
        """A call, whole and streamed, its result, and an answer in words."""

        def work(back: str) -> None:
            ask: Any = {"model": model(back, "calls"), "tools": TOOLS}
            answer = client().chat(messages=HELLO, **ask)
            call = (answer.message.tool_calls or [])[0]
            self.assertEqual((call.function.name, call.function.arguments), ("weather", CITY))
            lines = list(client().chat(messages=HELLO, stream=True, **ask))
            calls = [call.function.arguments for line in lines for call in line.message.tool_calls or []]
            self.assertEqual((calls, lines[-1].done), ([CITY], True))
            more = [*HELLO, answer.message, {"role": "tool", "tool_name": "weather", "content": "12 degrees"}]
            self.assertEqual(client().chat(messages=more, **ask).message.content, "12 degrees")

        self.each(work)

    def test_structured(self) -> None:
        """JSON by a schema."""

        def work(back: str) -> None:
            answer = client().chat(model=model(back), messages=HELLO, format=SCHEMA)
            self.assertIn('"city"', answer.message.content or "")

        self.each(work)

    def test_thinking(self) -> None:
        """Thoughts are apart from the words."""

        def work(back: str) -> None:
            answer = client().chat(model=model(back), messages=HELLO, think=True)
            self.assertIn("Someone wants to hear", answer.message.thinking or "")
            self.assertEqual(answer.message.content, WORDS)

        self.each(work, backs=THINKERS)


class OtherTests(BacksCase):
    """Everything else that the SDK calls."""

    def test_generate(self) -> None:
        """A prompt instead of messages, whole and streamed."""

        def work(back: str) -> None:
            answer = client().generate(model=model(back), prompt=WORDS, system="Repeat.")
            self.assertEqual((answer.response, answer.done), (WORDS, True))
            lines = list(client().generate(model=model(back), prompt=WORDS, stream=True))
            self.assertEqual(("".join(line.response or "" for line in lines), lines[-1].done), (WORDS, True))

        self.each(work)

    def test_embed(self) -> None:
        """One vector a text."""

        def work(back: str) -> None:
            vectors = client().embed(model=embedder(back), input=["a", "b"]).embeddings
            self.assertEqual((len(vectors), len(vectors[0]) > 1), (2, True))

        self.each(work, "embeddings")

    def test_listAndShow(self) -> None:
        """The models that relay lists can be shown."""
        names = {item.model for item in client().list().models}
        for back in BACKS:
            self.assertIn(model(back), names)
            self.assertIn("completion", client().show(model(back)).capabilities or [], back)
