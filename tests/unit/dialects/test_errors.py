"""How relay's errors look in each dialect."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.registry import DIALECTS
from relay.errors import (
    BudgetExceeded,
    Draining,
    Forbidden,
    HeadTooLarge,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    RateLimited,
    RelayError,
    TooLarge,
    TruncatedStream,
    Unauthenticated,
    UnknownModel,
    UpstreamCredential,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamTimeout,
)
from relay.outcome import Stage
from relay.wire.sse import SSEDecoder

CASES: list[tuple[RelayError, str, str, str]] = [
    (InvalidRequest("m", param="p"), "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
    (Unauthenticated("m"), "invalid_request_error", "authentication_error", "UNAUTHENTICATED"),
    (Forbidden("m"), "invalid_request_error", "permission_error", "PERMISSION_DENIED"),
    (UnknownModel("m"), "invalid_request_error", "not_found_error", "NOT_FOUND"),
    (MethodNotAllowed("m", ("POST",)), "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
    (TooLarge("m"), "invalid_request_error", "request_too_large", "INVALID_ARGUMENT"),
    (HeadTooLarge("m"), "invalid_request_error", "request_too_large", "INVALID_ARGUMENT"),
    (RateLimited("m", retry_after=1.0), "requests", "rate_limit_error", "RESOURCE_EXHAUSTED"),
    (BudgetExceeded("m"), "insufficient_quota", "rate_limit_error", "RESOURCE_EXHAUSTED"),
    (UpstreamRateLimited("m", stage=Stage.SEND), "rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED"),
    (InternalError("m"), "server_error", "api_error", "INTERNAL"),
    (UpstreamCredential("m", stage=Stage.SEND), "server_error", "api_error", "UNAVAILABLE"),
    (Draining("m"), "server_error", "overloaded_error", "UNAVAILABLE"),
    (UpstreamOverloaded("m", stage=Stage.SEND, upstream_status=529), "server_error", "overloaded_error", "UNAVAILABLE"),
    (UpstreamTimeout("m", deadline="idle", stage=Stage.STREAM), "server_error", "timeout_error", "DEADLINE_EXCEEDED"),
]
"""An error and its kind in OpenAI's, Anthropic's and Gemini's words."""

CUT = TruncatedStream('ended "early"\n', stage=Stage.STREAM)


class RenderErrorTests(SynchronousTestCase):
    """One error tree, three shapes."""

    def test_openai(self) -> None:
        """OpenAI's shape has exactly four members, and code and param are text or null."""
        for name in ("openai", "responses"):
            for error, kind, _, _ in CASES:
                body = json.loads(DIALECTS[name].render_error(error, "id"))
                expected = {"message": "m", "type": kind, "param": error.param, "code": error.code}
                self.assertEqual(body, {"error": expected})

    def test_anthropic(self) -> None:
        """Anthropic's shape carries the request id, or null when there is none."""
        for error, _, kind, _ in CASES:
            body = json.loads(DIALECTS["anthropic"].render_error(error, "id"))
            self.assertEqual(
                body, {"type": "error", "error": {"type": kind, "message": "m"}, "request_id": "id"}, str(type(error))
            )
        self.assertIsNone(json.loads(DIALECTS["anthropic"].render_error(CASES[0][0], ""))["request_id"])

    def test_gemini(self) -> None:
        """Gemini's shape has the status as a number and as a word."""
        for error, _, _, word in CASES:
            body = json.loads(DIALECTS["gemini"].render_error(error, "id"))
            self.assertEqual(body, {"error": {"code": error.http_status, "message": "m", "status": word}})


class StreamErrorTests(SynchronousTestCase):
    """An in-stream error is whole frames, and the dialect's own listener hears it."""

    def test_forms(self) -> None:
        """OpenAI has no event name, the others' names are what their SDKs look for."""
        names = {"openai": b"", "responses": b"error", "anthropic": b"error", "gemini": b""}
        for name, event in names.items():
            frames = SSEDecoder(10000).feed(DIALECTS[name].stream_error(CUT, "id"))
            self.assertEqual([frame.event for frame in frames], [event], name)
            self.assertEqual(frames[0].raw.strip().count(b"\n"), 1 if event else 0, name)
            self.assertIn(CUT.message, (body := json.loads(frames[0].data))["error"]["message"], name)
            if name == "responses":
                self.assertEqual(
                    (body["type"], body["code"], body["message"], body["param"], body["sequence_number"]),
                    ("error", CUT.code, CUT.message, None, 0),
                )

    def test_registry(self) -> None:
        """Every dialect is registered under its own name."""
        self.assertEqual({name: dialect.name for name, dialect in DIALECTS.items()}, {name: name for name in DIALECTS})

    def test_heartbeats(self) -> None:
        """OpenAI's heartbeat ends no event; Anthropic's is a whole event without content."""
        self.assertEqual([frame.data for frame in SSEDecoder(99).feed(DIALECTS["openai"].heartbeat)], [])
        ping = SSEDecoder(99).feed(DIALECTS["anthropic"].heartbeat)
        self.assertEqual([(frame.event, frame.data) for frame in ping], [(b"ping", b'{"type":"ping"}')])
