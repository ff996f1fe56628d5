"""What the users of each SDK see when a provider of another dialect fails."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import anthropic
import attrs
import cohere
import ollama
import openai
from cohere.core.api_error import ApiError
from google import genai
from google.genai import errors, types

from tests.integration.backs import FAULTS, WORDS, BacksCase, everything, model, status_of

HELLO: Any = [{"role": "user", "content": WORDS}]
ONCE: Any = {"max_retries": 0}


@functools.cache
def of_openai(retries: int = 0) -> openai.OpenAI:
    """The openai SDK."""
    return openai.OpenAI(base_url=f"{everything().url}/v1", api_key="none", max_retries=retries, timeout=30)


@functools.cache
def of_anthropic(retries: int = 0) -> anthropic.Anthropic:
    """The anthropic SDK."""
    return anthropic.Anthropic(base_url=everything().url, api_key="none", max_retries=retries, timeout=30)


@functools.cache
def of_google() -> genai.Client:
    """The google-genai SDK."""
    return genai.Client(api_key="none", http_options=types.HttpOptions(base_url=everything().url))


@functools.cache
def of_ollama() -> ollama.Client:
    """The ollama SDK."""
    return ollama.Client(host=everything().url)


@functools.cache
def of_cohere() -> cohere.ClientV2:
    """The cohere SDK."""
    return cohere.ClientV2(api_key="none", base_url=everything().url)


@attrs.frozen
class Client:
    """One way to ask.

    Attributes:
        name: for messages.
        whole: asks a model for a whole answer.
        stream: asks for a stream, and gives its pieces.
        classes: status → the class of its error.
        broken: class of an error in mid-stream.
    """

    name: str
    whole: Callable[[str], object]
    stream: Callable[[str], Iterator[object]]
    classes: Mapping[int, type[Exception]]
    broken: type[Exception]


def _classes(*classes: type[Exception]) -> dict[int, type[Exception]]:
    return dict(zip((400, 401, 404, 429, 500), classes, strict=True))


CLIENTS = (
    Client(
        "openai chat",
        lambda name: of_openai().chat.completions.create(model=name, messages=HELLO),
        lambda name: iter(of_openai().chat.completions.create(model=name, messages=HELLO, stream=True)),
        _classes(
            openai.BadRequestError,
            openai.AuthenticationError,
            openai.NotFoundError,
            openai.RateLimitError,
            openai.InternalServerError,
        ),
        openai.APIError,
    ),
    Client(
        "openai responses",
        lambda name: of_openai().responses.create(model=name, input=WORDS),
        lambda name: iter(of_openai().responses.create(model=name, input=WORDS, stream=True)),
        _classes(
            openai.BadRequestError,
            openai.AuthenticationError,
            openai.NotFoundError,
            openai.RateLimitError,
            openai.InternalServerError,
        ),
        openai.APIError,
    ),
    Client(
        "anthropic",
        lambda name: of_anthropic().messages.create(model=name, max_tokens=5000, messages=HELLO),
        lambda name: iter(of_anthropic().messages.create(model=name, max_tokens=5000, messages=HELLO, stream=True)),
        _classes(
            anthropic.BadRequestError,
            anthropic.AuthenticationError,
            anthropic.NotFoundError,
            anthropic.RateLimitError,
            anthropic.InternalServerError,
        ),
        anthropic.APIStatusError,
    ),
    Client(
        "google-genai",
        lambda name: of_google().models.generate_content(model=name, contents=WORDS),
        lambda name: of_google().models.generate_content_stream(model=name, contents=WORDS),
        _classes(errors.ClientError, errors.ClientError, errors.ClientError, errors.ClientError, errors.ServerError),
        errors.APIError,
    ),
    Client(
        "ollama",
        lambda name: of_ollama().chat(model=name, messages=HELLO),
        lambda name: of_ollama().chat(model=name, messages=HELLO, stream=True),
        _classes(*[ollama.ResponseError] * 5),
        ollama.ResponseError,
    ),
    Client(
        "cohere",
        lambda name: of_cohere().chat(model=name, messages=HELLO, request_options=ONCE),
        lambda name: of_cohere().chat_stream(model=name, messages=HELLO, request_options=ONCE),
        _classes(
            cohere.BadRequestError,
            cohere.UnauthorizedError,
            cohere.NotFoundError,
            cohere.TooManyRequestsError,
            cohere.InternalServerError,
        ),
        ApiError,
    ),
)


class ErrorTests(BacksCase):
    """Errors before the answer has begun."""

    def failure(self, ask: Callable[[], object]) -> Exception:
        """What a call raises."""
        try:
            ask()
        except Exception as error:
            return error
        raise AssertionError("no error")

    def told(self, client: Client, back: str, status: int, message: str) -> None:
        """A whole answer and a stream that fail say the same."""
        asks: tuple[Callable[[], object], ...] = (
            lambda: client.whole(model(back, str(status))),
            lambda: list(client.stream(model(back, str(status)))),
        )
        for ask in asks:
            error = self.failure(ask)
            self.assertEqual((type(error), status_of(error)), (client.classes[status], status), client.name)
            self.assertIn(message, str(error), client.name)

    def test_classes(self) -> None:
        """Each status is the SDK's own class for it, with the provider's words."""
        words = {status: str(FAULTS[str(status)]["error"]) for status in (400, 401, 404, 429, 500)}

        def work(back: str) -> None:
            for client in CLIENTS:
                for status, message in words.items():
                    self.told(client, back, status, message)

        self.each(work)

    def test_credentialOfRelay(self) -> None:
        """A key of relay's own that is refused is no fault of the client's, and not worth another try."""

        def work(back: str) -> None:
            for client in CLIENTS:
                error = self.failure(functools.partial(client.whole, model(back, "ours")))
                self.assertEqual(status_of(error), 502, client.name)
                self.assertNotIn("a-key-refused-there", str(error))
            error = self.failure(lambda: CLIENTS[0].whole(model(back, "ours")))
            assert isinstance(error, openai.APIStatusError)
            self.assertEqual(error.response.headers["x-should-retry"], "false")

        self.each(work)

    def test_brokenAnswer(self) -> None:
        """A whole answer that breaks off is an error of the gateway."""

        def work(back: str) -> None:
            for client in CLIENTS:
                error = self.failure(functools.partial(client.whole, model(back, "half")))
                self.assertEqual(status_of(error), 502, client.name)

        self.each(work)

    def test_retryAfter(self) -> None:
        """The provider's word on when to come back reaches the SDKs in the headers that they read."""

        def work(back: str) -> None:
            for client in (CLIENTS[0], CLIENTS[2]):
                error: Any = self.failure(functools.partial(client.whole, model(back, "429")))
                fields = error.response.headers
                self.assertEqual((fields["retry-after"], fields.get("retry-after-ms", "7000")), ("7", "7000"))

        self.each(work)

    def test_retryAfterIsHonoured(self) -> None:
        """The SDKs wait as long as the provider said before their second try, and not as long as they like."""
        asks: tuple[Callable[[], object], ...] = (
            lambda: of_openai(1).chat.completions.create(model=model("bedrock", "soon"), messages=HELLO),
            lambda: of_anthropic(1).messages.create(model=model("gemini", "soon"), max_tokens=9, messages=HELLO),
        )
        for ask in asks:
            began = time.monotonic()
            self.assertEqual(status_of(self.failure(ask)), 429)
            self.assertGreater(time.monotonic() - began, 0.95)


class StreamTests(BacksCase):
    """Errors when the answer has begun."""

    def broken(self, client: Client, back: str, fault: str, message: str) -> None:
        """Words arrive, then the error: raised, or told where the dialect has an event for it."""
        seen: list[Any] = []
        try:
            seen.extend(client.stream(model(back, fault)))
        except client.broken as error:
            self.assertIn(message, str(error), client.name)
        else:
            self.assertIn(message, told(seen[-1]), client.name)
        self.assertGreater(len(seen), 150, client.name)

    def test_errorInMidStream(self) -> None:
        """The provider's in-stream error in every SDK, with its words."""

        def work(back: str) -> None:
            for client in CLIENTS:
                self.broken(client, back, "broken", "that broke off")

        self.each(work)

    def test_cutStream(self) -> None:
        """A stream that just ends is never taken for a whole one."""

        def work(back: str) -> None:
            for client in CLIENTS:
                self.broken(client, back, "cut", "broke off its answer")

        self.each(work)


def told(last: Any) -> str:
    """The error in the last event of a stream, where the SDK gives it instead of raising."""
    match last.type:
        case "error":
            return str(last.message)
        case "message-end" if last.delta.finish_reason == "ERROR":
            return str(last.delta.error)
    return ""
