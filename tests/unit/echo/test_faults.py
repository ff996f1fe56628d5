"""Tests of `relay.echo.faults`."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from relay.echo.faults import Shape, asked_error, error_body
from relay.echo.knobs import Knobs
from tests.unit.echo.asking import value


class FaultTests(SynchronousTestCase):
    """Errors as the providers write them."""

    def test_openAIsErrors(self) -> None:
        """Type and code depend on the status, param is the field."""
        for status, kind, code in (
            (400, "invalid_request_error", None),
            (401, "invalid_request_error", "invalid_api_key"),
            (404, "invalid_request_error", "model_not_found"),
            (429, "requests", "rate_limit_exceeded"),
            (500, "server_error", None),
            (503, "server_error", None),
        ):
            error = {"message": "no", "type": kind, "param": "model", "code": code}
            body = error_body(Shape.OPENAI, status, "no", "req_1", "model")
            self.assertEqual(json.loads(body), {"error": error})

    def test_anthropicsErrors(self) -> None:
        """Type depends on the status, the request's id is repeated."""
        for status, kind in (
            (400, "invalid_request_error"),
            (401, "authentication_error"),
            (403, "permission_error"),
            (404, "not_found_error"),
            (413, "request_too_large"),
            (429, "rate_limit_error"),
            (500, "api_error"),
            (529, "overloaded_error"),
        ):
            error = {"type": kind, "message": "no"}
            body = error_body(Shape.ANTHROPIC, status, "no", "req_1")
            self.assertEqual(json.loads(body), {"type": "error", "error": error, "request_id": "req_1"})

    def test_askedErrorHasItsHeader(self) -> None:
        """Status, message and ``retry-after`` come from the knobs, and the first delay holds."""
        knobs = Knobs(status=429, error="slow down", retry_after=1.5, first_delay_ms=20, delay_ms=30)
        reply = asked_error(Shape.OPENAI, knobs, 429, "req_1")
        self.assertEqual((reply.status, reply.headers), (429, ((b"retry-after", b"1.5"),)))
        self.assertEqual(reply.knobs, Knobs(first_delay_ms=20))
        self.assertEqual(value(reply)["error"]["message"], "slow down")
        self.assertEqual(asked_error(Shape.OPENAI, Knobs(status=500), 500, "req_1").headers, ())
