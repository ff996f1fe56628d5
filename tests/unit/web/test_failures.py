"""The error door's shapes: each error of relay in each dialect that a client may speak."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping

from twisted.trial.unittest import SynchronousTestCase

from relay import errors
from relay.dialects.registry import DIALECTS
from relay.errors import RateLimited, RelayError, UpstreamError, UpstreamTimeout
from relay.outcome import Answer, Stage
from relay.web.failures import Rendered, as_bytes, render
from tests.unit.web.client import parse

FRONTS = tuple(DIALECTS)
WORDS = "Some words."
SPECIAL: Mapping[type[RelayError], Callable[[], RelayError]] = {
    errors.MethodNotAllowed: lambda: errors.MethodNotAllowed(WORDS, ("POST", "OPTIONS")),
    RateLimited: lambda: RateLimited(WORDS, retry_after=1.2, limit=60, reset=59.25),
    UpstreamTimeout: lambda: UpstreamTimeout(WORDS, deadline="idle", stage=Stage.STREAM),
    errors.ConfigError: lambda: errors.ConfigError(WORDS),
}


def family(root: type[RelayError]) -> Iterator[type[RelayError]]:
    """A class and all below it in the tree; others make classes for themselves, which never get to the door."""
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from family(child)


def make(kind: type[RelayError]) -> RelayError:
    """An error of a class."""
    if kind in SPECIAL:
        return SPECIAL[kind]()
    if issubclass(kind, UpstreamError):
        return kind(WORDS, stage=Stage.FIRST_BYTE, deployment="p/m")
    return kind(WORDS)


def shown(body: bytes, front: str) -> tuple[str, str]:
    """Message and type of an error body, its shape checked key by key."""
    value = json.loads(body)
    if front == "anthropic":
        assert set(value) == {"type", "error", "request_id"}, value
        assert value["type"] == "error", value
        assert value["request_id"] == "req-1", value
        return value["error"]["message"], value["error"]["type"]
    if front == "cohere":
        assert value == {"id": "req-1", "message": value["message"]}, value
        return value["message"], front
    if front == "bedrock":
        assert set(value) == {"message"}, value
        return value["message"], front
    assert set(value) == {"error"}, value
    if front == "ollama":
        assert type(value["error"]) is str, value
        return value["error"], front
    error = value["error"]
    if front == "gemini":
        assert type(error["code"]) is int, value
        return error["message"], error["status"]
    assert set(error) == {"message", "type", "param", "code"}, value
    assert error["code"] is None or type(error["code"]) is str, value
    return error["message"], error["type"]


class MatrixTests(SynchronousTestCase):
    """Every class of error, every front."""

    def test_everyErrorInEveryShape(self) -> None:
        """Status by class, JSON in the front's shape, the message in it, and the right content type."""
        for kind in family(RelayError):
            for front in FRONTS:
                error = make(kind)
                rendered = render(error, DIALECTS[front], "req-1")
                self.assertEqual(rendered.status, kind.status, kind)
                self.assertEqual(dict(rendered.headers)[b"content-type"], b"application/json")
                message, type_ = shown(rendered.body, front)
                self.assertIn(WORDS, message)
                self.assertTrue(type_)

    def test_namesAreLowerCase(self) -> None:
        """Header names are lower-case bytes, values have no line ends."""
        for kind in family(RelayError):
            for name, value in render(make(kind), DIALECTS["openai"], "r").headers:
                self.assertEqual(name, name.lower())
                self.assertNotIn(b"\n", value)

    def test_hostileMessages(self) -> None:
        """Whatever a message holds, the body stays JSON and one answer."""
        for words in ('"}\r\n\r\n<script>', "é\x00\x1b[2J"):
            for front in FRONTS:
                body = render(errors.InvalidRequest(words, param=words), DIALECTS[front], "req-1").body
                shown(body, front)
                self.assertNotIn(b"\n", body.strip())


class HeaderTests(SynchronousTestCase):
    """When and whether to try again, what is allowed, what is left."""

    def fields(self, error: RelayError) -> dict[bytes, bytes]:
        """The header fields of an error."""
        return dict(render(error, DIALECTS["openai"], "r").headers)

    def test_retryAfter(self) -> None:
        """Seconds are rounded up and at least one; milliseconds are exact."""
        for wait, *expected in ((0.0, b"1", b"1"), (0.2, b"1", b"200"), (1.2, b"2", b"1200"), (60.0, b"60", b"60000")):
            fields = self.fields(errors.Draining(WORDS, retry_after=wait))
            self.assertEqual([fields[b"retry-after"], fields[b"retry-after-ms"]], expected)

    def test_absurdWaits(self) -> None:
        """What is no number of seconds is not sent."""
        for wait in (math.inf, math.nan):
            self.assertNotIn(b"retry-after", self.fields(errors.InvalidRequest(WORDS, retry_after=wait)))

    def test_busyAnswersSayWhen(self) -> None:
        """429 and 503 that may be repeated always say when; others and hopeless ones do not."""
        self.assertEqual(self.fields(errors.NoDeployment(WORDS))[b"retry-after"], b"1")
        self.assertEqual(self.fields(errors.UpstreamRateLimited(WORDS, stage=Stage.FIRST_BYTE))[b"retry-after"], b"1")
        self.assertNotIn(b"retry-after", self.fields(errors.BudgetExceeded(WORDS)))
        self.assertNotIn(b"retry-after", self.fields(errors.NoDeployment(WORDS, should_retry=False)))
        self.assertNotIn(b"retry-after", self.fields(errors.UpstreamUnreachable(WORDS, stage=Stage.CONNECT)))

    def test_shouldRetry(self) -> None:
        """SDKs are told only where their rule by status would be wrong."""
        self.assertEqual(self.fields(errors.BudgetExceeded(WORDS, should_retry=False))[b"x-should-retry"], b"false")
        self.assertEqual(self.fields(errors.InvalidRequest(WORDS, should_retry=True))[b"x-should-retry"], b"true")
        self.assertNotIn(b"x-should-retry", self.fields(errors.InvalidRequest(WORDS)))

    def test_rateLimited(self) -> None:
        """The bucket's size and when it is full again."""
        fields = self.fields(RateLimited(WORDS, retry_after=1.2, limit=60, reset=59.25))
        self.assertEqual(fields[b"x-ratelimit-limit-requests"], b"60")
        self.assertEqual(fields[b"x-ratelimit-remaining-requests"], b"0")
        self.assertEqual(fields[b"x-ratelimit-reset-requests"], b"59.250s")
        self.assertEqual(fields[b"retry-after"], b"2")

    def test_allow(self) -> None:
        """A refused method comes with those that are taken."""
        self.assertEqual(self.fields(errors.MethodNotAllowed(WORDS, ("GET", "HEAD")))[b"allow"], b"GET, HEAD")


class AnswerTests(SynchronousTestCase):
    """A provider's own error answer."""

    def answer(self, status: int = 429, media: bytes = b"application/json") -> Answer:
        """An answer as a provider gave it."""
        return Answer(status, ((b"content-type", media), (b"retry-after", b"7"), (b"x-upstream", b"1")), b'{"odd": 1}')

    def render(self, error: RelayError) -> Rendered:
        """For a client that speaks the provider's dialect."""
        return render(error, DIALECTS["openai"], "r")

    def test_passedOn(self) -> None:
        """Status, fields and body are the provider's."""
        answer = self.answer()
        rendered = self.render(
            errors.UpstreamRateLimited(WORDS, stage=Stage.FIRST_BYTE, upstream_status=429, answer=answer)
        )
        self.assertEqual(rendered, Rendered(429, answer.headers, b'{"odd": 1}'))

    def test_adviceIsAdded(self) -> None:
        """What relay knows besides is added where the provider said nothing."""
        rendered = self.render(
            errors.UpstreamRateLimited(
                WORDS,
                stage=Stage.FIRST_BYTE,
                upstream_status=429,
                answer=self.answer(),
                retry_after=7,
                should_retry=True,
            )
        )
        names = [name for name, _ in rendered.headers]
        self.assertEqual(names.count(b"retry-after"), 1)
        self.assertEqual(dict(rendered.headers)[b"retry-after-ms"], b"7000")
        self.assertEqual(dict(rendered.headers)[b"x-should-retry"], b"true")

    def test_statusChanged(self) -> None:
        """Where relay's key was refused the provider's words about it are not the client's."""
        rendered = self.render(
            errors.UpstreamCredential(
                WORDS, stage=Stage.FIRST_BYTE, upstream_status=401, answer=self.answer(401), should_retry=False
            )
        )
        self.assertEqual(rendered.status, 502)
        self.assertEqual(shown(rendered.body, "openai")[0], WORDS)
        self.assertEqual(dict(rendered.headers)[b"x-should-retry"], b"false")

    def test_neverHTML(self) -> None:
        """A page of a provider's proxy is replaced by relay's own words; the status stays."""
        for media in (b"text/html", b"text/plain", b""):
            rendered = self.render(
                errors.UpstreamOverloaded(
                    WORDS, stage=Stage.FIRST_BYTE, upstream_status=429, answer=self.answer(media=media)
                )
            )
            self.assertEqual(rendered.status, 429)
            self.assertEqual(dict(rendered.headers)[b"content-type"], b"application/json")
            self.assertEqual(shown(rendered.body, "openai")[0], WORDS)

    def test_problemJSON(self) -> None:
        """Other JSON types are JSON."""
        error = errors.UpstreamRefused(
            WORDS,
            stage=Stage.FIRST_BYTE,
            upstream_status=422,
            answer=self.answer(422, b"application/problem+json; charset=utf-8"),
        )
        self.assertEqual(self.render(error).body, b'{"odd": 1}')


class BytesTests(SynchronousTestCase):
    """Answers for connections on which no request was understood."""

    def test_whole(self) -> None:
        """They parse as one HTTP answer that ends the connection."""
        reply = parse(as_bytes(render(errors.HeadTooLarge(WORDS), DIALECTS["openai"], "req-1"), "req-1"))
        self.assertEqual(reply.status, 431)
        self.assertEqual(reply.fields["connection"], "close")
        self.assertEqual(reply.fields["x-request-id"], "req-1")
        self.assertEqual(shown(reply.body, "openai")[0], WORDS)
        self.assertEqual(reply.rest, b"")
