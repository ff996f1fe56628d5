"""The google-genai SDK, through a real ``twistd relay``, with providers of every dialect."""

from __future__ import annotations

import functools
from typing import Any

from google import genai
from google.genai import types

from tests.integration.backs import CITY, SCHEMA, THINKERS, WORDS, BacksCase, calling, embedder, everything, model

TOOLS = [
    types.Tool(
        function_declarations=[
            types.FunctionDeclaration(name="weather", description="Weather.", parameters_json_schema=SCHEMA)
        ]
    )
]
MUST = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY))


@functools.cache
def client() -> genai.Client:
    """A client as users make it."""
    return genai.Client(api_key="none", http_options=types.HttpOptions(base_url=everything().url))


class GenerateTests(BacksCase):
    """``generateContent`` and its streamed form."""

    def test_generate(self) -> None:
        """Text, reason and tokens."""

        def work(back: str) -> None:
            config = types.GenerateContentConfig(system_instruction="Repeat.", max_output_tokens=50, temperature=0.5)
            answer = client().models.generate_content(model=model(back), contents=WORDS, config=config)
            candidate = (answer.candidates or [])[0]
            self.assertEqual((answer.text, candidate.finish_reason), (WORDS, types.FinishReason.STOP))
            assert answer.usage_metadata is not None
            self.assertEqual(answer.usage_metadata.candidates_token_count, 3)

        self.each(work)

    def test_stream(self) -> None:
        """Word by word; the last chunk has the reason and the tokens."""

        def work(back: str) -> None:
            chunks = list(client().models.generate_content_stream(model=model(back), contents=WORDS))
            self.assertEqual("".join(chunk.text or "" for chunk in chunks), WORDS)
            self.assertGreater(len([chunk for chunk in chunks if chunk.text]), 1)
            last = chunks[-1]
            self.assertEqual((last.candidates or [])[0].finish_reason, types.FinishReason.STOP)
            assert last.usage_metadata is not None
            self.assertEqual(last.usage_metadata.candidates_token_count, 3)

        self.each(work)

    def test_toolLoop(self) -> None:
        """A call, its result, and an answer in words; whole and streamed."""

        def work(back: str) -> None:
            config = types.GenerateContentConfig(tools=[*TOOLS], tool_config=MUST)
            ask: Any = {"model": calling(back), "config": config}
            answer = client().models.generate_content(contents=WORDS, **ask)
            call = (answer.function_calls or [])[0]
            self.assertEqual((call.name, call.args), ("weather", CITY))
            streamed = [
                call
                for chunk in client().models.generate_content_stream(contents=WORDS, **ask)
                for call in chunk.function_calls or []
            ]
            self.assertEqual([(one.name, one.args) for one in streamed], [("weather", CITY)])
            result = types.FunctionResponse(id=call.id, name="weather", response={"output": "12 degrees"})
            contents: Any = [
                types.Content(role="user", parts=[types.Part(text=WORDS)]),
                (answer.candidates or [])[0].content,
                types.Content(role="user", parts=[types.Part(function_response=result)]),
            ]
            self.assertIn("12 degrees", client().models.generate_content(contents=contents, **ask).text or "")

        self.each(work)

    def test_chatSession(self) -> None:
        """Three turns with the SDK's memory of those before."""

        def work(back: str) -> None:
            chat = client().chats.create(model=model(back))
            self.assertEqual(chat.send_message(WORDS).text, WORDS)
            pieces = [chunk.text or "" for chunk in chat.send_message_stream("four five")]
            self.assertEqual("".join(pieces), "four five")
            self.assertEqual(chat.send_message("six").text, "six")

        self.each(work)

    def test_structured(self) -> None:
        """JSON by a schema."""

        def work(back: str) -> None:
            config = types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=SCHEMA)
            answer = client().models.generate_content(model=model(back), contents=WORDS, config=config)
            self.assertEqual(answer.parsed, CITY)

        self.each(work)

    def test_thinking(self) -> None:
        """Thoughts are marked, and keep their proof in a chat session."""

        def work(back: str) -> None:
            thinking = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
            config = types.GenerateContentConfig(thinking_config=thinking, max_output_tokens=2000)
            chat = client().chats.create(model=model(back), config=config)
            answer = chat.send_message(WORDS)
            thoughts = [part.text or "" for part in answer.parts or [] if part.thought]
            self.assertIn("Someone wants to hear", "".join(thoughts))
            self.assertEqual(answer.text, WORDS)
            self.assertEqual(chat.send_message("four").text, "four")

        self.each(work, backs=THINKERS)

    def test_countTokens(self) -> None:
        """Counted by the provider, or estimated."""

        def work(back: str) -> None:
            self.assertGreater(client().models.count_tokens(model=model(back), contents=WORDS).total_tokens or 0, 2)

        self.each(work)

    def test_embed(self) -> None:
        """One vector a text."""

        def work(back: str) -> None:
            answer = client().models.embed_content(model=embedder(back), contents=["a", "b"])
            vectors = [item.values or [] for item in answer.embeddings or []]
            self.assertEqual((len(vectors), len(vectors[0]) > 1), (2, True))

        self.each(work, "embeddings")
