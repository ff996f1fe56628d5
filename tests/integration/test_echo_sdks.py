"""The real ``openai`` and ``anthropic`` SDKs against the echo, over a real socket.

Both check strictly that what they get is what their models describe.
"""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anthropic
import openai
from pydantic import BaseModel

from twisted.internet.threads import deferToThread

from tests.integration.echoing import HELLO, EchoCase

T = TypeVar("T")

WEATHER: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
CHAT_TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER, "strict": True}}]
RESPONSE_TOOLS: Any = [{"type": "function", "name": "weather", "parameters": WEATHER, "strict": True}]
ANTHROPIC_TOOLS: Any = [{"name": "weather", "input_schema": WEATHER}]


class Person(BaseModel):
    """What structured answers are to be."""

    name: str
    age: int
    tags: list[str]


class ChatTests(EchoCase):
    """OpenAI Chat Completions and Completions."""

    async def test_create(self) -> None:
        """A whole answer with usage, as a model object and with raw headers."""
        raw = await self.run_openai(
            lambda client: client.chat.completions.with_raw_response.create(model="m", messages=HELLO)
        )
        self.assertTrue(raw.headers["x-request-id"].startswith("req_"))
        answer = raw.parse()
        self.assertEqual(answer.choices[0].message.content, "hello big world")
        assert answer.usage is not None
        self.assertEqual(answer.usage.total_tokens, 6)

    async def test_stream(self) -> None:
        """Word by word, usage in the last chunk when asked for."""

        def work(client: openai.OpenAI) -> list[Any]:
            options: Any = {"include_usage": True}
            return list(client.chat.completions.create(model="m", messages=HELLO, stream=True, stream_options=options))

        chunks = await self.run_openai(work)
        words = [chunk.choices[0].delta.content for chunk in chunks[1:-2]]
        self.assertEqual(words, ["hello", " big", " world"])
        self.assertEqual((chunks[-1].choices, chunks[-1].usage.completion_tokens), ([], 3))

    async def test_streamHelper(self) -> None:
        """The SDK's own accumulator comes to the same answer, words and tools."""

        def work(client: openai.OpenAI) -> tuple[Any, Any]:
            with client.chat.completions.stream(model="m", messages=HELLO) as stream:
                words = stream.until_done().get_final_completion()
            with client.chat.completions.stream(
                model="m", messages=HELLO, tools=CHAT_TOOLS, tool_choice="required"
            ) as stream:
                call = stream.until_done().get_final_completion()
            return words, call

        words, call = await self.run_openai(work)
        self.assertEqual(words.choices[0].message.content, "hello big world")
        self.assertEqual(call.choices[0].finish_reason, "tool_calls")
        function = call.choices[0].message.tool_calls[0].function
        self.assertEqual((function.name, function.parsed_arguments), ("weather", {"city": "sample"}))

    async def test_parse(self) -> None:
        """A structured answer is an instance of the client's class."""
        answer = await self.run_openai(
            lambda client: client.chat.completions.parse(model="m", messages=HELLO, response_format=Person)
        )
        self.assertEqual(answer.choices[0].message.parsed, Person(name="sample", age=1, tags=[]))

    async def test_toolLoop(self) -> None:
        """A call, its result, and an answer in words."""

        def work(client: openai.OpenAI) -> str | None:
            message = (
                client.chat.completions.create(model="m", messages=HELLO, tools=CHAT_TOOLS, tool_choice="required")
                .choices[0]
                .message
            )
            assert message.tool_calls is not None
            result: Any = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "12 degrees"}
            messages: Any = [*HELLO, message, result]
            return (
                client.chat.completions.create(model="m", messages=messages, tools=CHAT_TOOLS, tool_choice="required")
                .choices[0]
                .message.content
            )

        self.assertEqual(await self.run_openai(work), "12 degrees")

    async def test_completions(self) -> None:
        """The older endpoint."""

        def work(client: openai.OpenAI) -> tuple[str, str]:
            whole = client.completions.create(model="m", prompt="one two", echo=True, max_tokens=1)
            stream = self.openai_client(strict=False).completions.create(model="m", prompt="one two", stream=True)
            return whole.choices[0].text, "".join(chunk.choices[0].text for chunk in stream)

        self.assertEqual(await self.run_openai(work), ("one twoone", "one two"))

    async def test_asyncClient(self) -> None:
        """The asynchronous client streams, too."""

        async def work() -> str:
            async with openai.AsyncOpenAI(
                base_url=f"{self.base}/v1", api_key="none", _strict_response_validation=True
            ) as client:
                stream = await client.chat.completions.create(model="m", messages=HELLO, stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        self.assertEqual(await deferToThread(_finish, work), "hello big world")


class ResponsesTests(EchoCase):
    """OpenAI Responses."""

    async def test_create(self) -> None:
        """Text, usage and the settings of the request."""
        answer = await self.run_openai(
            lambda client: client.responses.create(
                model="m", input="hello world", instructions="be brief", tools=RESPONSE_TOOLS
            )
        )
        self.assertEqual(
            (answer.output_text, answer.status, answer.instructions), ("hello world", "completed", "be brief")
        )
        assert answer.usage is not None
        self.assertEqual(answer.usage.total_tokens, 6)

    async def test_stream(self) -> None:
        """Every event is one that the SDK knows; the last holds the whole."""
        events: list[Any] = await self.run_openai(
            lambda client: list(client.responses.create(model="m", input="hello world", stream=True))
        )
        self.assertEqual([event.sequence_number for event in events], list(range(len(events))))
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        self.assertEqual(deltas, ["hello", " world"])
        self.assertEqual((events[-1].type, events[-1].response.output_text), ("response.completed", "hello world"))

    async def test_streamHelper(self) -> None:
        """The SDK's own accumulator comes to the same answer, words and tools."""

        def work(client: openai.OpenAI) -> tuple[Any, Any]:
            with client.responses.stream(model="m", input="hello world") as stream:
                words = stream.until_done().get_final_response()
            with client.responses.stream(model="m", input="a", tools=RESPONSE_TOOLS, tool_choice="required") as stream:
                call = stream.until_done().get_final_response()
            return words, call

        words, call = await self.run_openai(work)
        self.assertEqual(words.output_text, "hello world")
        self.assertEqual((call.output[0].type, call.output[0].arguments), ("function_call", '{"city": "sample"}'))

    async def test_parse(self) -> None:
        """A structured answer is an instance of the client's class."""
        answer = await self.run_openai(
            lambda client: client.responses.parse(model="m", input="hello", text_format=Person)
        )
        self.assertEqual(answer.output_parsed, Person(name="sample", age=1, tags=[]))

    async def test_toolLoop(self) -> None:
        """A call, its result, and an answer in words."""

        def work(client: openai.OpenAI) -> str:
            first = client.responses.create(model="m", input="a", tools=RESPONSE_TOOLS, tool_choice="required")
            call: Any = first.output[0]
            result = {"type": "function_call_output", "call_id": call.call_id, "output": "12 degrees"}
            items: Any = [{"role": "user", "content": "a"}, call.to_dict(), result]
            return client.responses.create(model="m", input=items, tools=RESPONSE_TOOLS).output_text

        self.assertEqual(await self.run_openai(work), "12 degrees")


class OtherEndpointTests(EchoCase):
    """OpenAI's endpoints that are not about chat."""

    async def test_embeddings(self) -> None:
        """The SDK asks for base64 by itself; the numbers are those of the other form."""

        def work(client: openai.OpenAI) -> tuple[list[float], list[float]]:
            coded = client.embeddings.create(model="m", input=["a", "b"], dimensions=256).data[1].embedding
            plain = client.embeddings.create(model="m", input="b", dimensions=256, encoding_format="float")
            return coded, plain.data[0].embedding

        # The strict check comes before the SDK decodes base64, and takes the text for a fault.
        coded, plain = await self.run_openai(work, strict=False)
        self.assertEqual(len(coded), 256)
        self.assertEqual(coded, plain)

    async def test_transcriptions(self) -> None:
        """An upload in every format, and streamed."""
        file = ("talk.wav", b"RIFF" * 50_000)

        def work(client: openai.OpenAI) -> list[Any]:
            create = client.audio.transcriptions.create
            granularities: Any = ["word"]
            return [
                create(model="m", file=file).text,
                create(model="m", file=file, response_format="text"),
                create(model="m", file=file, response_format="srt"),
                create(model="m", file=file, response_format="verbose_json", timestamp_granularities=granularities),
                list(create(model="m", file=file, prompt="one two", stream=True)),
                client.audio.translations.create(model="m", file=file, prompt="hello").text,
            ]

        plain, text, srt, verbose, events, translated = await self.run_openai(work)
        self.assertEqual((plain, text), ("talk.wav has 200000 bytes", "talk.wav has 200000 bytes\n"))
        self.assertIn("-->", srt)
        self.assertEqual([word.word for word in verbose.words], plain.split())
        self.assertEqual([getattr(event, "delta", None) for event in events], ["one", " two", None])
        self.assertEqual((events[-1].text, translated), ("one two", "hello"))

    async def test_speech(self) -> None:
        """A WAV file that opens, whole and streamed."""

        def work(client: openai.OpenAI) -> tuple[bytes, bytes]:
            whole = client.audio.speech.create(model="m", voice="alloy", input="one two", response_format="wav")
            with client.audio.speech.with_streaming_response.create(
                model="m", voice="alloy", input="one two", response_format="wav"
            ) as response:
                return whole.content, b"".join(response.iter_bytes())

        whole, streamed = await self.run_openai(work)
        self.assertEqual(whole, streamed)
        with wave.open(io.BytesIO(whole)) as sound:
            self.assertEqual(sound.getnframes(), 2400)

    async def test_images(self) -> None:
        """Generated, edited and streamed."""

        def work(client: openai.OpenAI) -> tuple[Any, Any, Any]:
            made = client.images.generate(prompt="a cat", n=2)
            edited = client.images.edit(prompt="a cat", image=[b"1", b"2"], model="m")
            return made, edited, list(client.images.generate(prompt="a cat", stream=True, partial_images=1))

        made, edited, events = await self.run_openai(work)
        self.assertEqual((len(made.data), len(edited.data)), (2, 1))
        names = ["image_generation.partial_image", "image_generation.completed"]
        self.assertEqual([event.type for event in events], names)

    async def test_moderationsAndModels(self) -> None:
        """Results, the list, and one model."""

        def work(client: openai.OpenAI) -> tuple[int, list[str], str]:
            results = client.moderations.create(input=["a", "b"]).results
            models = [model.id for model in client.models.list()]
            return len(results), models, client.models.retrieve(models[0]).id

        count, models, first = await self.run_openai(work)
        self.assertEqual((count, first), (2, models[0]))


class MessagesTests(EchoCase):
    """Anthropic Messages."""

    async def test_create(self) -> None:
        """A whole answer with usage and the request's id."""
        answer = await self.run_anthropic(
            lambda client: client.messages.create(model="m", max_tokens=50, messages=HELLO, stop_sequences=[" wor"])
        )
        self.assertEqual((answer.content[0].to_dict()["text"], answer.stop_sequence), ("hello big", " wor"))
        self.assertEqual((answer.usage.input_tokens, answer.usage.output_tokens), (3, 2))
        assert answer._request_id is not None
        self.assertTrue(answer._request_id.startswith("req_"))

    async def test_stream(self) -> None:
        """Raw events and the SDK's own accumulator, with thoughts before the words."""

        def work(client: anthropic.Anthropic) -> tuple[Any, Any]:
            events = list(client.messages.create(model="m", max_tokens=50, messages=HELLO, stream=True))
            thinking: Any = {"type": "enabled", "budget_tokens": 1024}
            with client.messages.stream(model="m", max_tokens=2000, messages=HELLO, thinking=thinking) as stream:
                return events, stream.get_final_message()

        events, message = await self.run_anthropic(work)
        words = [event.delta.text for event in events if event.type == "content_block_delta"]
        self.assertEqual(words, ["hello", " big", " world"])
        self.assertEqual([block.type for block in message.content], ["thinking", "text"])
        self.assertEqual(message.content[1].text, "hello big world")

    async def test_toolLoop(self) -> None:
        """A streamed use, its result, and an answer in words."""

        def work(client: anthropic.Anthropic) -> tuple[Any, Any]:
            choice: Any = {"type": "any"}
            with client.messages.stream(
                model="m", max_tokens=50, messages=HELLO, tools=ANTHROPIC_TOOLS, tool_choice=choice
            ) as stream:
                first = stream.get_final_message()
            use: Any = first.content[0]
            result: Any = {"type": "tool_result", "tool_use_id": use.id, "content": "12 degrees"}
            messages: Any = [*HELLO, first.to_param(), {"role": "user", "content": [result]}]
            second = client.messages.create(
                model="m", max_tokens=50, messages=messages, tools=ANTHROPIC_TOOLS, tool_choice=choice
            )
            return first, second

        first, second = await self.run_anthropic(work)
        self.assertEqual((first.stop_reason, first.content[0].input), ("tool_use", {"city": "sample"}))
        self.assertEqual((second.stop_reason, second.content[0].text), ("end_turn", "12 degrees"))

    async def test_parse(self) -> None:
        """A structured answer is an instance of the client's class."""
        answer = await self.run_anthropic(
            lambda client: client.messages.parse(model="m", max_tokens=50, messages=HELLO, output_format=Person)
        )
        self.assertEqual(answer.parsed_output, Person(name="sample", age=1, tags=[]))

    async def test_countAndModels(self) -> None:
        """Tokens as the usage counts them, models in Anthropic's shape."""

        def work(client: anthropic.Anthropic) -> tuple[int, list[str], str]:
            count = client.messages.count_tokens(model="m", messages=HELLO).input_tokens
            models = [model.id for model in client.models.list()]
            return count, models, client.models.retrieve(models[0]).id

        count, models, first = await self.run_anthropic(work)
        self.assertEqual((count, first), (3, models[0]))

    async def test_asyncClient(self) -> None:
        """The asynchronous client streams, too."""

        async def work() -> str:
            async with (
                anthropic.AsyncAnthropic(
                    base_url=self.base, api_key="none", _strict_response_validation=True
                ) as client,
                client.messages.stream(model="m", max_tokens=50, messages=HELLO) as stream,
            ):
                return await stream.get_final_text()

        self.assertEqual(await deferToThread(_finish, work), "hello big world")


def _finish(work: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine of asyncio to its end, in this thread."""

    async def run() -> T:
        return await work()

    return asyncio.run(run())
