"""The real anthropic SDK, through the real ``twistd relay``, to the embedded echo."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import TextBlock, ToolUseBlock

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.servers import CLIENT_KEY, chained, echo, guarded
from tests.integration.twistd import Twistd

MODEL = "echo-1"
WORDS = "one two three four"


class AnthropicCase(SynchronousTestCase):
    """A client of the shared echo."""

    def client(self, server: Twistd, key: str = "no-key-is-needed", retries: int = 0) -> Anthropic:
        """A client as users make it: the base URL has no /v1."""
        client = Anthropic(base_url=server.url, api_key=key, max_retries=retries, timeout=30)
        self.addCleanup(client.close)
        return client

    def setUp(self) -> None:
        """Connect to the shared echo."""
        self.anthropic = self.client(echo())

    def request(self, **knobs: object) -> Any:
        """Arguments of a call; ``knobs`` are those of the echo."""
        extra: dict[str, object] = {"extra_body": {"echo": knobs}} if knobs else {}
        return {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": WORDS}], **extra}


class MessagesTests(AnthropicCase):
    """Messages, whole and streamed."""

    def test_create(self) -> None:
        """A whole answer with its usage and the request's id."""
        message = self.anthropic.messages.create(**self.request())
        block = message.content[0]
        assert isinstance(block, TextBlock)
        self.assertEqual((block.text, message.stop_reason), (WORDS, "end_turn"))
        self.assertEqual((message.usage.input_tokens, message.usage.output_tokens), (4, 4))
        self.assertRegex(str(message._request_id), r"^[0-9a-f]{32}$")

    def test_stream(self) -> None:
        """The helper's text and its final message."""
        with self.anthropic.messages.stream(**self.request()) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        self.assertEqual((text, final.stop_reason, final.usage.output_tokens), (WORDS, "end_turn", 4))

    def test_rawEvents(self) -> None:
        """``stream=True`` gives the events themselves, from the first to the last."""
        events = [event.type for event in self.anthropic.messages.create(**self.request(), stream=True)]
        self.assertEqual((events[0], events[-1]), ("message_start", "message_stop"))

    def test_tools(self) -> None:
        """A tool call, whole and streamed."""
        schema = {"type": "object", "properties": {"place": {"type": "string"}}}
        more: Any = {"tools": [{"name": "weather", "input_schema": schema}], "tool_choice": {"type": "any"}}
        message = self.anthropic.messages.create(**self.request(), **more)
        with self.anthropic.messages.stream(**self.request(), **more) as stream:
            streamed = stream.get_final_message()
        for answer in (message, streamed):
            block = answer.content[-1]
            assert isinstance(block, ToolUseBlock)
            self.assertEqual((block.name, answer.stop_reason), ("weather", "tool_use"))

    def test_countTokens(self) -> None:
        """Tokens are counted without an answer."""
        count = self.anthropic.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": WORDS}])
        self.assertEqual(count.input_tokens, 4)

    def test_models(self) -> None:
        """Models are listed in Anthropic's shape to who speaks it."""
        listed = list(self.anthropic.models.list())
        self.assertIn(MODEL, [model.id for model in listed])
        self.assertEqual({model.type for model in listed}, {"model"})
        self.assertEqual(self.anthropic.models.retrieve(MODEL).id, MODEL)

    def test_rawHeaders(self) -> None:
        """The request's id is where the SDK looks for it."""
        raw = self.anthropic.messages.with_raw_response.create(**self.request())
        self.assertEqual(raw.headers["request-id"], raw.headers["x-request-id"])
        self.assertEqual(raw.headers["content-type"], "application/json")


class ErrorTests(AnthropicCase):
    """Error classes, in Anthropic's shape."""

    def test_badRequest(self) -> None:
        """400 for a body without a model, refused by relay itself."""
        with self.assertRaises(anthropic.BadRequestError) as caught:
            self.anthropic.post("/v1/messages", body={"messages": []}, cast_to=object)
        body: Any = caught.exception.body
        self.assertEqual((body["type"], body["error"]["type"]), ("error", "invalid_request_error"))
        self.assertEqual(body["request_id"], caught.exception.request_id)

    def test_statuses(self) -> None:
        """The provider's statuses raise the SDK's classes."""
        for status, kind in (
            (400, anthropic.BadRequestError),
            (404, anthropic.NotFoundError),
            (413, anthropic.APIStatusError),
            (422, anthropic.UnprocessableEntityError),
            (429, anthropic.RateLimitError),
            (500, anthropic.InternalServerError),
            (529, anthropic.InternalServerError),
        ):
            with self.assertRaises(kind) as caught:
                self.anthropic.messages.create(**self.request(status=status))
            self.assertEqual(caught.exception.status_code, status)

    def test_retryAfter(self) -> None:
        """A 429's retry-after comes through."""
        with self.assertRaises(anthropic.RateLimitError) as caught:
            self.anthropic.messages.create(**self.request(status=429, retry_after=7))
        self.assertEqual(caught.exception.response.headers["retry-after"], "7")

    def test_keys(self) -> None:
        """401 for a key that relay does not know; the right one serves as x-api-key and as a token."""
        wrong = self.client(guarded(), "wrong")
        self.assertRaises(anthropic.AuthenticationError, wrong.messages.create, **self.request())
        right = self.client(guarded(), CLIENT_KEY)
        self.assertEqual(right.messages.create(**self.request()).stop_reason, "end_turn")
        token = Anthropic(base_url=guarded().url, auth_token=CLIENT_KEY, api_key=None, max_retries=0)
        self.addCleanup(token.close)
        self.assertEqual(token.messages.create(**self.request()).stop_reason, "end_turn")

    def test_ownKeyRefusedUpstream(self) -> None:
        """The client's own key, refused by the provider, stays a 401 in the same shape."""
        with self.assertRaises(anthropic.AuthenticationError) as caught:
            self.client(chained(), "wrong").messages.create(**self.request())
        body: Any = caught.exception.body
        self.assertEqual(body["error"]["type"], "authentication_error")

    def test_cut(self) -> None:
        """A cut stream raises, with and without the helper."""
        with self.assertRaises(anthropic.APIError), self.anthropic.messages.stream(**self.request(cut_after=2)) as one:
            one.until_done()
        with self.assertRaises(anthropic.APIError):
            list(self.anthropic.messages.create(**self.request(cut_after=2), stream=True))

    def test_errorInAStream(self) -> None:
        """The provider's in-stream error raises with its words."""
        with self.assertRaises(anthropic.APIError) as caught:
            list(self.anthropic.messages.create(**self.request(error_after=2, error="lost the thread"), stream=True))
        self.assertIn("lost the thread", str(caught.exception))

    def test_errorBeforeAStream(self) -> None:
        """An error before the first content is a status."""
        with self.assertRaises(anthropic.RateLimitError):
            self.anthropic.messages.create(**self.request(status=429), stream=True)


class AsyncTests(AnthropicCase):
    """The asynchronous client."""

    def test_many(self) -> None:
        """Many streams at once, each with its own content."""

        async def one(client: AsyncAnthropic, number: int) -> str:
            request = self.request()
            request["messages"] = [{"role": "user", "content": f"this is number {number}"}]
            async with client.messages.stream(**request) as stream:
                return "".join([text async for text in stream.text_stream])

        async def all_of_them() -> list[str]:
            async with AsyncAnthropic(base_url=echo().url, api_key="any", max_retries=0) as client:
                return await asyncio.gather(*(one(client, number) for number in range(20)))

        self.assertEqual(asyncio.run(all_of_them()), [f"this is number {number}" for number in range(20)])
