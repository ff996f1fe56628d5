"""Google's errors. Edge cases here: 80 and 106 (a bad key told as 400, RetryInfo), 120 (the wait passes on)."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.gemini.dialect import GEMINI
from relay.dialects.gemini.errors import retry_after
from relay.errors import InvalidRequest, RateLimited
from tests.unit.dialects.gemini.generations import FOLDER, cases

RETRY = "type.googleapis.com/google.rpc.RetryInfo"


def error(*details: dict[str, Any], **fields: Any) -> bytes:
    """An error answer."""
    return json.dumps(
        {"error": {"message": "m", "status": "INVALID_ARGUMENT", "details": list(details), **fields}}
    ).encode()


class ErrorTests(SynchronousTestCase):
    """Reading and rendering."""

    def test_retryAfter(self) -> None:
        """The wait of RetryInfo, in either form of a duration; nothing else is one."""
        table: list[tuple[bytes, float | None]] = [
            (error({"@type": RETRY, "retryDelay": "36s"}), 36.0),
            (error({"@type": RETRY, "retryDelay": "1.5s"}), 1.5),
            (error({"@type": "x"}, {"@type": RETRY, "retryDelay": {"seconds": 2, "nanos": 500000000}}), 2.5),
            (b"[" + error({"@type": RETRY, "retryDelay": "4s"}) + b"]", 4.0),
            (error({"@type": RETRY, "retryDelay": "soon"}), None),
            (error({"@type": RETRY, "retryDelay": {"seconds": "2"}}), None),
            (error({"@type": RETRY}), None),
            (error({"retryDelay": "36s"}), None),
            (error(), None),
            (b"", None),
            (b"[]", None),
            (b'{"error":"x"}', None),
        ]
        for body, expected in table:
            self.assertEqual(retry_after(body), expected, body)
        self.assertIs(GEMINI.retry_after, retry_after)

    def test_read(self) -> None:
        """Message and status; a refused key is told as such, though Google calls it an invalid argument."""
        self.assertEqual(GEMINI.read_error(error()), ("m", "INVALID_ARGUMENT"))
        self.assertEqual(GEMINI.read_error(b"[" + error() + b"]"), ("m", "INVALID_ARGUMENT"))
        self.assertEqual(GEMINI.read_error(error({"reason": "API_KEY_INVALID"})), ("m", "UNAUTHENTICATED"))
        self.assertEqual(GEMINI.read_error(b"<html>"), ("", ""))

    def test_render(self) -> None:
        """Google's shape: the status as number and as word."""
        limited = json.loads(GEMINI.render_error(RateLimited("slow", retry_after=3.0), "r"))
        self.assertEqual(limited, {"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}})
        self.assertEqual(
            json.loads(GEMINI.render_error(InvalidRequest("x"), "r"))["error"]["status"], "INVALID_ARGUMENT"
        )
        self.assertEqual(GEMINI.stream_error(InvalidRequest("\ud83d"), "r")[-4:], b"\r\n\r\n")

    def test_recordings(self) -> None:
        """Every recorded error has words; those that ask to wait are understood."""
        seen = waits = 0
        for dialect in ("gemini-generate", "gemini-count-tokens", "gemini-models"):
            for case in cases(dialect):
                body = case.file("response.json")
                if body is None or case.meta["status"] < 400:
                    continue
                seen += 1
                self.assertTrue(all(GEMINI.read_error(body)), case.name)
                waits += retry_after(body) is not None
        self.assertGreater(seen, 5)
        self.assertGreater(waits, 0)

    if not FOLDER:
        test_recordings.skip = "RELAY_FIXTURES names no folder of recordings"  # type: ignore[attr-defined]  # trial's way
