"""What the SDKs make of the failures that knobs ask for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import anthropic
import openai

from twisted.internet.threads import deferToThread

from tests.integration.echoing import HELLO, PATIENCE, EchoCase


class KnobTests(EchoCase):
    """What SDKs make of the failures that knobs ask for."""

    async def test_errorClasses(self) -> None:
        """Each status raises the class that the SDKs have for it, for streams as well."""
        names = {
            400: "BadRequestError",
            401: "AuthenticationError",
            403: "PermissionDeniedError",
            404: "NotFoundError",
            409: "ConflictError",
            422: "UnprocessableEntityError",
            429: "RateLimitError",
            500: "InternalServerError",
        }
        for status, name in names.items():
            for stream in (False, True):
                knobs = {"echo": {"status": status, "error": "as you wish", "retry_after": 7}}
                for error in (await self.openai_failure(knobs, stream), await self.anthropic_failure(knobs, stream)):
                    self.assertEqual((type(error).__name__, error.status_code), (name, status))
                    self.assertIn("as you wish", str(error))
                    self.assertEqual(error.response.headers["retry-after"], "7")

    async def test_wrongKnobsAreExplained(self) -> None:
        """A misspelt knob is a 400 that lists the right ones."""
        knobs = {"echo": {"dely_ms": 3}}
        for error in (await self.openai_failure(knobs, stream=True), await self.anthropic_failure(knobs, stream=True)):
            self.assertIn("delay_ms", str(error))

    async def test_retryAfterIsHeard(self) -> None:
        """The SDK waits as long as it is told before it tries again."""

        def work() -> tuple[float, int]:
            began = time.monotonic()
            with self.openai_client(retries=1) as client, self.assertRaises(openai.RateLimitError):
                client.chat.completions.create(
                    model="m", messages=HELLO, extra_body={"echo": {"status": 429, "retry_after": 0.3}}
                )
            return time.monotonic() - began, self.echo.streams_started

        waited, tries = await deferToThread(work)
        self.assertEqual(tries, 2)
        self.assertTrue(0.3 <= waited < 0.5 + PATIENCE, waited)

    async def test_cutsRaise(self) -> None:
        """A stream that is cut raises in both SDKs, after the words that came, and in Responses."""

        def chat(client: openai.OpenAI) -> list[str]:
            stream = client.chat.completions.create(
                model="m", messages=HELLO, stream=True, extra_body={"echo": {"cut_after": 2}}
            )
            return _until(openai.APIConnectionError, (chunk.choices[0].delta.content or "" for chunk in stream))

        def response(client: openai.OpenAI) -> list[str]:
            stream = client.responses.create(
                model="m", input="hello big world", stream=True, extra_body={"echo": {"cut_after": 2}}
            )
            return _until(openai.APIConnectionError, (getattr(event, "delta", "") for event in stream))

        def message(client: anthropic.Anthropic) -> list[str]:
            stream = client.messages.create(
                model="m", max_tokens=50, messages=HELLO, stream=True, extra_body={"echo": {"cut_after": 2}}
            )
            deltas = (getattr(getattr(event, "delta", None), "text", "") for event in stream)
            return _until(Exception, deltas)

        for words in (await self.run_openai(chat), await self.run_openai(response), await self.run_anthropic(message)):
            self.assertEqual("".join(words), "hello big")

    async def test_errorEventsRaise(self) -> None:
        """An in-stream error raises in both SDKs, with its message."""
        knobs = {"echo": {"error_after": 1, "error": "as you wish"}}

        def chat(client: openai.OpenAI) -> str:
            stream = client.chat.completions.create(model="m", messages=HELLO, stream=True, extra_body=knobs)
            with self.assertRaises(openai.APIError) as caught:
                list(stream)
            return str(caught.exception)

        def message(client: anthropic.Anthropic) -> str:
            stream = client.messages.create(model="m", max_tokens=50, messages=HELLO, stream=True, extra_body=knobs)
            with self.assertRaises(anthropic.APIStatusError) as caught:
                list(stream)
            return str(caught.exception)

        self.assertIn("as you wish", await self.run_openai(chat))
        self.assertIn("as you wish", await self.run_anthropic(message))

    async def test_responsesErrorEventIsOne(self) -> None:
        """In Responses the error is an event that the SDK knows."""
        events: list[Any] = await self.run_openai(
            lambda client: list(
                client.responses.create(
                    model="m", input="a b", stream=True, extra_body={"echo": {"error_after": 1, "error": "as you wish"}}
                )
            )
        )
        self.assertEqual((events[-1].type, events[-1].message), ("error", "as you wish"))

    async def test_disconnectIsAConnectionError(self) -> None:
        """No answer at all is the SDKs' connection error."""
        self.assertIsInstance(
            await self.openai_failure({"echo": {"disconnect": True}}, stream=False), openai.APIConnectionError
        )
        self.assertIsInstance(
            await self.anthropic_failure({"echo": {"disconnect": True}}, stream=False), anthropic.APIConnectionError
        )

    async def test_stallsTimeOut(self) -> None:
        """A stream that stalls runs into the client's timeout."""

        def work(client: openai.OpenAI) -> list[str]:
            stream = client.with_options(timeout=0.3).chat.completions.create(
                model="m", messages=HELLO, stream=True, extra_body={"echo": {"stall_after": 1}}
            )
            return _until(openai.APITimeoutError, (chunk.choices[0].delta.content or "" for chunk in stream))

        self.assertEqual("".join(await self.run_openai(work)), "hello")

    async def test_uploadsHaveKnobs(self) -> None:
        """A form field with JSON in it."""

        def work(client: openai.OpenAI) -> str:
            with self.assertRaises(openai.RateLimitError):
                client.audio.transcriptions.create(
                    model="m", file=("a.wav", b"1"), extra_body={"echo": '{"status": 429}'}
                )
            return client.audio.transcriptions.create(
                model="m", file=("a.wav", b"1"), extra_body={"echo": '{"text": "other"}'}
            ).text

        self.assertEqual(await self.run_openai(work), "other")

    async def openai_failure(self, knobs: Mapping[str, object], stream: bool) -> Any:  # of any class
        """What a chat raises."""

        def work(client: openai.OpenAI) -> object:
            with self.assertRaises(openai.APIError) as caught:
                client.chat.completions.create(model="m", messages=HELLO, stream=stream, extra_body=knobs)
            return caught.exception

        return await self.run_openai(work)

    async def anthropic_failure(self, knobs: Mapping[str, object], stream: bool) -> Any:  # of any class
        """What a message raises."""

        def work(client: anthropic.Anthropic) -> object:
            with self.assertRaises(anthropic.APIError) as caught:
                client.messages.create(model="m", max_tokens=5, messages=HELLO, stream=stream, extra_body=knobs)
            return caught.exception

        return await self.run_anthropic(work)


def _until(error: type[Exception], items: Any) -> list[str]:  # any iterable
    """The items before an error that must come.

    Raises:
        AssertionError: it did not.
    """
    found: list[str] = []
    try:
        found.extend(items)
    except error:
        return found
    raise AssertionError(f"{error} was not raised after {found}")
