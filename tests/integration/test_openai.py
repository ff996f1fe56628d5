"""The real openai SDK, through the real ``twistd relay``, to the embedded echo."""

from __future__ import annotations

import asyncio
import io
import json
import time
from pathlib import Path
from typing import Any

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.servers import CLIENT_KEY, chained, echo, guarded
from tests.integration.twistd import Twistd

MODEL = "echo-1"
WORDS = "one two three four"


class City(BaseModel):
    """What a structured answer is parsed into."""

    name: str
    population: int


class OpenAICase(SynchronousTestCase):
    """A client of the shared echo."""

    def client(self, server: Twistd, key: str = "no-key-is-needed", retries: int = 0) -> OpenAI:
        """A client as users make it."""
        client = OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=retries, timeout=30)
        self.addCleanup(client.close)
        return client

    def setUp(self) -> None:
        """Connect to the shared echo."""
        self.openai = self.client(echo())

    def say(self, client: OpenAI | None = None, model: str = MODEL, **knobs: object) -> str | None:
        """One chat call; ``knobs`` are those of the echo."""
        completion = (client or self.openai).chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": WORDS}],
            extra_body={"echo": knobs} if knobs else None,
        )
        return completion.choices[0].message.content

    def stream(self, client: OpenAI | None = None, **knobs: object) -> openai.Stream[Any]:
        """One streamed chat call."""
        return (client or self.openai).chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": WORDS}],
            stream=True,
            extra_body={"echo": knobs} if knobs else None,
        )


class ChatTests(OpenAICase):
    """Chat completions, whole and streamed."""

    def test_create(self) -> None:
        """A whole answer with its usage."""
        completion = self.openai.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": WORDS}], temperature=0.5, seed=1
        )
        self.assertEqual(completion.choices[0].message.content, WORDS)
        self.assertEqual(completion.choices[0].finish_reason, "stop")
        assert completion.usage is not None
        self.assertEqual((completion.usage.prompt_tokens, completion.usage.completion_tokens), (4, 4))

    def test_stream(self) -> None:
        """Word by word; without asking for it the client sees no usage chunk."""
        chunks = list(self.stream())
        self.assertEqual("".join(chunk.choices[0].delta.content or "" for chunk in chunks), WORDS)
        self.assertTrue(len(chunks) > 4)
        self.assertEqual([chunk.usage for chunk in chunks if chunk.usage], [])

    def test_streamWithUsage(self) -> None:
        """Who asks for usage gets it, in a last chunk without choices."""
        stream = self.openai.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": WORDS}],
            stream=True,
            stream_options={"include_usage": True},
        )
        last = list(stream)[-1]
        assert last.usage is not None
        self.assertEqual((last.choices, last.usage.total_tokens), ([], 8))

    def test_streamHelper(self) -> None:
        """``client.chat.completions.stream`` gathers the same answer from the events."""
        with self.openai.chat.completions.stream(model=MODEL, messages=[{"role": "user", "content": WORDS}]) as stream:
            deltas = [event.delta for event in stream if event.type == "content.delta"]
            final = stream.get_final_completion()
        self.assertEqual("".join(deltas), WORDS)
        self.assertEqual(final.choices[0].message.content, WORDS)

    def test_parse(self) -> None:
        """A structured answer becomes the asked type."""
        completion = self.openai.chat.completions.parse(
            model=MODEL, messages=[{"role": "user", "content": WORDS}], response_format=City
        )
        self.assertIsInstance(completion.choices[0].message.parsed, City)

    def test_streamedParse(self) -> None:
        """The same from a stream."""
        with self.openai.chat.completions.stream(
            model=MODEL, messages=[{"role": "user", "content": WORDS}], response_format=City
        ) as stream:
            final = stream.get_final_completion()
        self.assertIsInstance(final.choices[0].message.parsed, City)

    def test_toolCalls(self) -> None:
        """A tool call arrives whole and streamed with JSON arguments."""
        schema: dict[str, object] = {
            "type": "object",
            "properties": {"place": {"type": "string"}},
            "required": ["place"],
        }
        function: Any = {"name": "weather", "parameters": schema}
        request: Any = {
            "model": MODEL,
            "messages": [{"role": "user", "content": WORDS}],
            "tools": [{"type": "function", "function": function}],
            "tool_choice": "required",
        }
        whole = self.openai.chat.completions.create(**request)
        call = whole.choices[0].message.tool_calls[0]
        self.assertEqual((call.function.name, whole.choices[0].finish_reason), ("weather", "tool_calls"))
        self.assertIsInstance(json.loads(call.function.arguments)["place"], str)
        with self.openai.chat.completions.stream(**request) as stream:
            final = stream.get_final_completion()
        assert final.choices[0].message.tool_calls is not None
        self.assertEqual(final.choices[0].message.tool_calls[0].function.arguments, call.function.arguments)

    def test_rawHeaders(self) -> None:
        """Raw answers show the request's id, relay's and the provider's; ids of clients are kept."""
        raw = self.openai.chat.completions.with_raw_response.create(
            model=MODEL,
            messages=[{"role": "user", "content": WORDS}],
            extra_headers={"x-request-id": "mine-1"},
        )
        self.assertEqual(raw.headers["content-type"], "application/json")
        self.assertEqual((raw.headers["x-request-id"], raw.headers["request-id"]), ("mine-1", "mine-1"))
        self.assertTrue(raw.headers["x-upstream-request-id"].startswith("req_"))
        completion = raw.parse()
        self.assertEqual((completion._request_id, completion.choices[0].message.content), ("mine-1", WORDS))

    def test_rawStream(self) -> None:
        """So do streamed ones."""
        with self.openai.chat.completions.with_streaming_response.create(
            model=MODEL, messages=[{"role": "user", "content": WORDS}], stream=True
        ) as raw:
            lines = [line for line in raw.iter_lines() if line]
        self.assertTrue(raw.headers["content-type"].startswith("text/event-stream"))
        self.assertRegex(raw.headers["x-request-id"], r"^[0-9a-f]{32}$")
        self.assertEqual((lines[-1], lines.count("data: [DONE]")), ("data: [DONE]", 1))

    def test_withoutThePrefix(self) -> None:
        """A base URL without /v1 serves the same."""
        client = OpenAI(base_url=echo().url, api_key="any", max_retries=0)
        self.addCleanup(client.close)
        self.assertEqual(self.say(client), WORDS)

    def test_completions(self) -> None:
        """The older endpoint, whole and streamed."""
        whole = self.openai.completions.create(model=MODEL, prompt=WORDS)
        self.assertEqual(whole.choices[0].text, WORDS)
        pieces = self.openai.completions.create(model=MODEL, prompt=WORDS, stream=True)
        self.assertEqual("".join(piece.choices[0].text for piece in pieces if piece.choices), WORDS)


class ResponsesTests(OpenAICase):
    """The Responses API."""

    def test_create(self) -> None:
        """A whole answer."""
        response = self.openai.responses.create(model=MODEL, input=WORDS)
        self.assertEqual((response.output_text, response.status), (WORDS, "completed"))
        assert response.usage is not None
        self.assertEqual(response.usage.output_tokens, 4)

    def test_stream(self) -> None:
        """Events in order, numbered without gaps, to the completed one."""
        events = list(self.openai.responses.create(model=MODEL, input=WORDS, stream=True))
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        self.assertEqual((text, events[-1].type), (WORDS, "response.completed"))
        self.assertEqual([event.sequence_number for event in events], list(range(len(events))))

    def test_streamHelper(self) -> None:
        """The helper's final response."""
        with self.openai.responses.stream(model=MODEL, input=WORDS) as stream:
            list(stream)
            self.assertEqual(stream.get_final_response().output_text, WORDS)

    def test_parse(self) -> None:
        """A structured answer."""
        response = self.openai.responses.parse(model=MODEL, input=WORDS, text_format=City)
        self.assertIsInstance(response.output_parsed, City)

    def test_cut(self) -> None:
        """A cut upstream raises."""
        stream = self.openai.responses.create(
            model=MODEL, input=WORDS, stream=True, extra_body={"echo": {"cut_after": 2}}
        )
        self.assertRaises(openai.APIError, list, stream)


class OtherEndpointTests(OpenAICase):
    """Everything else that the SDK calls."""

    def test_embeddings(self) -> None:
        """The SDK asks for base64 by itself; asked for floats it gets the same numbers."""
        packed = self.openai.embeddings.create(model=MODEL, input=["one", "two"])
        plain = self.openai.embeddings.create(model=MODEL, input=["one", "two"], encoding_format="float")
        self.assertEqual([item.index for item in packed.data], [0, 1])
        for one, other in zip(packed.data, plain.data, strict=True):
            self.assertEqual(len(one.embedding), 1536)
            self.assertTrue(all(abs(a - b) < 1e-6 for a, b in zip(one.embedding, other.embedding, strict=True)))

    def test_transcription(self) -> None:
        """An upload arrives with all its bytes, in memory and spooled to disk alike."""
        for size in (1000, 1 << 20, (1 << 20) + 1, 5_000_001):
            told = self.openai.audio.transcriptions.create(model=MODEL, file=("talk.wav", b"\x00\r\n" * size))
            self.assertEqual(told.text, f"talk.wav has {3 * size} bytes")

    def test_transcriptionOfAFile(self) -> None:
        """An open file, with the other formats and fields."""
        path = Path(self.mktemp())
        path.write_bytes(b"RIFF" + bytes(2_000_000))
        for form, part in (("text", "hello you"), ("srt", "-->"), ("vtt", "WEBVTT")):
            with path.open("rb") as file:
                told: object = self.openai.audio.transcriptions.create(
                    model=MODEL,
                    file=file,
                    response_format=form,  # type: ignore[call-overload] # one of the literals
                    prompt="hello you",
                )
            self.assertIn(part, str(told))

    def test_streamedTranscription(self) -> None:
        """A transcript word by word."""
        events = list(
            self.openai.audio.transcriptions.create(
                model=MODEL, file=("talk.wav", b"RIFF"), prompt="hello you", stream=True
            )
        )
        self.assertEqual(events[-1].type, "transcript.text.done")

    def test_translation(self) -> None:
        """The sister endpoint."""
        told = self.openai.audio.translations.create(model=MODEL, file=("talk.wav", b"RIFF"))
        self.assertEqual(told.text, "talk.wav has 4 bytes")

    def test_speech(self) -> None:
        """Sound comes back byte for byte, also streamed into a file."""
        spoken = self.openai.audio.speech.create(model=MODEL, voice="alloy", input=WORDS, response_format="wav")
        self.assertEqual(spoken.content[:4], b"RIFF")
        path = Path(self.mktemp())
        with self.openai.audio.speech.with_streaming_response.create(
            model=MODEL, voice="alloy", input=WORDS, response_format="wav"
        ) as streamed:
            streamed.stream_to_file(path)
        self.assertEqual(path.read_bytes(), spoken.content)

    def test_images(self) -> None:
        """Generated and edited pictures."""
        made = self.openai.images.generate(model=MODEL, prompt="a red square", n=2)
        assert made.data is not None
        self.assertEqual(len(made.data), 2)
        picture = io.BytesIO(bytes(1_500_000))
        picture.name = "picture.png"
        edited = self.openai.images.edit(model=MODEL, image=picture, prompt="a blue square")
        assert edited.data is not None
        self.assertTrue(edited.data[0].b64_json)

    def test_moderations(self) -> None:
        """A verdict for each input."""
        self.assertEqual(len(self.openai.moderations.create(model=MODEL, input=["a", "b"]).results), 2)

    def test_models(self) -> None:
        """What is listed can be retrieved; what is not raises NotFoundError."""
        listed = [model.id for model in self.openai.models.list()]
        self.assertIn(MODEL, listed)
        self.assertEqual(self.openai.models.retrieve(MODEL).id, MODEL)
        with self.assertRaises(openai.NotFoundError):
            self.openai.models.retrieve("not/there")


class ErrorTests(OpenAICase):
    """Error classes, and what the SDK does about them."""

    def test_badRequest(self) -> None:
        """400: a body without messages never reaches the provider's answer; the message helps."""
        with self.assertRaises(openai.BadRequestError) as caught:
            self.openai.chat.completions.create(model=MODEL, messages=[])
        self.assertEqual(caught.exception.status_code, 400)
        with self.assertRaises(openai.BadRequestError) as caught:
            self.openai.post("/chat/completions", body={"messages": []}, cast_to=object)
        self.assertEqual((caught.exception.param, caught.exception.type), ("model", "invalid_request_error"))
        self.assertTrue(caught.exception.request_id)

    def test_notFound(self) -> None:
        """404 for a path that is none, and for the provider's own 404."""
        with self.assertRaises(openai.NotFoundError):
            self.openai.post("/nothing", body={}, cast_to=object)
        self.assertRaises(openai.NotFoundError, self.say, status=404)

    def test_missingKey(self) -> None:
        """401 where relay wants a key and none comes."""
        client = self.client(guarded())
        with self.assertRaises(openai.AuthenticationError):
            client.chat.completions.create(
                model=MODEL,
                messages=[{"role": "user", "content": WORDS}],
                extra_headers={"authorization": openai.Omit()},
            )

    def test_wrongKey(self) -> None:
        """401 for a key that relay does not know, on every endpoint; the right one is served."""
        client = self.client(guarded(), "wrong")
        self.assertRaises(openai.AuthenticationError, self.say, client)
        self.assertRaises(openai.AuthenticationError, client.models.list)
        self.assertEqual(self.say(self.client(guarded(), CLIENT_KEY)), WORDS)

    def test_ownKeyRefusedUpstream(self) -> None:
        """401 on the client's own key stays a 401, with the provider's words."""
        with self.assertRaises(openai.AuthenticationError) as caught:
            self.say(self.client(chained(), "wrong"))
        self.assertEqual(caught.exception.code, "invalid_api_key")
        self.assertEqual(self.say(self.client(chained(), CLIENT_KEY)), WORDS)

    def test_relaysKeyRefusedUpstream(self) -> None:
        """A 401 on relay's own key is not the client's fault, and not worth a repetition: 502 at once."""
        client = self.client(chained(), CLIENT_KEY, retries=2)
        began = time.monotonic()
        with self.assertRaises(openai.InternalServerError) as caught:
            self.say(client, model="ours/echo-1")
        self.assertEqual(caught.exception.status_code, 502)
        self.assertEqual(caught.exception.response.headers["x-should-retry"], "false")
        self.assertLess(time.monotonic() - began, 0.5)

    def test_rateLimit(self) -> None:
        """429 of the provider, with its retry-after."""
        with self.assertRaises(openai.RateLimitError) as caught:
            self.say(status=429, retry_after=7)
        self.assertEqual(caught.exception.response.headers["retry-after"], "7")

    def test_retryAfterIsHonoured(self) -> None:
        """The SDK waits as long as relay's own 429 says, and is served then."""
        server = Twistd(
            directory=Path(self.mktemp()).absolute(),
            environ={"RATE_LIMIT_REQUESTS_PER_MINUTE": "60", "RATE_LIMIT_BURST": "1"},
        )
        self.addCleanup(server.stop)
        client = self.client(server.start(), retries=1)
        self.say(client)
        began = time.monotonic()
        self.assertEqual(self.say(client), WORDS)
        self.assertTrue(0.8 < time.monotonic() - began < 5)
        raw = client.chat.completions.with_raw_response.create(
            model=MODEL, messages=[{"role": "user", "content": WORDS}]
        )
        self.assertEqual(raw.headers["x-ratelimit-limit-requests"], "1")

    def test_serverError(self) -> None:
        """500 of the provider."""
        with self.assertRaises(openai.InternalServerError) as caught:
            self.say(status=500, error="its own words")
        self.assertEqual(caught.exception.status_code, 500)
        self.assertIn("its own words", str(caught.exception))

    def test_errorBeforeAStream(self) -> None:
        """For a streamed request, too, an error before the first content is a status."""
        with self.assertRaises(openai.RateLimitError):
            self.stream(status=429)

    def test_cut(self) -> None:
        """A stream that is cut raises, after what came; it is never taken for the end."""
        seen: list[object] = []
        with self.assertRaises(openai.APIError):
            seen.extend(iter(self.stream(chunks=10, cut_after=3)))
        self.assertTrue(seen)

    def test_errorInAStream(self) -> None:
        """The provider's own in-stream error raises with its words."""
        stream = self.stream(error_after=2, error="lost the thread")
        with self.assertRaises(openai.APIError) as caught:
            list(stream)
        self.assertIn("lost the thread", str(caught.exception))

    def test_disconnect(self) -> None:
        """An upstream that closes without an answer is a 502."""
        with self.assertRaises(openai.InternalServerError) as caught:
            self.say(disconnect=True)
        self.assertEqual(caught.exception.status_code, 502)


class AsyncTests(SynchronousTestCase):
    """The asynchronous client."""

    def test_many(self) -> None:
        """Streams and whole answers at once, each with its own content."""

        async def one(client: AsyncOpenAI, number: int) -> str:
            words = f"this is number {number}"
            request: Any = {"model": MODEL, "messages": [{"role": "user", "content": words}]}
            if number % 2:
                return str((await client.chat.completions.create(**request)).choices[0].message.content)
            stream = await client.chat.completions.create(**request, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        async def all_of_them() -> list[str]:
            async with AsyncOpenAI(base_url=f"{echo().url}/v1", api_key="any", max_retries=0) as client:
                return await asyncio.gather(*(one(client, number) for number in range(20)))

        self.assertEqual(asyncio.run(all_of_them()), [f"this is number {number}" for number in range(20)])

    def test_cut(self) -> None:
        """A cut raises here, too."""

        async def cut() -> None:
            async with AsyncOpenAI(base_url=f"{echo().url}/v1", api_key="any", max_retries=0) as client:
                stream = await client.chat.completions.create(
                    model=MODEL,
                    messages=[{"role": "user", "content": WORDS}],
                    stream=True,
                    extra_body={"echo": {"cut_after": 2}},
                )
                async for _ in stream:
                    pass

        with self.assertRaises(openai.APIError):
            asyncio.run(cut())
