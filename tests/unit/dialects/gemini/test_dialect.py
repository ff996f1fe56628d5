"""Gemini's own dialect: chunks and whole answers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.registry import DIALECTS
from relay.exchange import Usage
from tests.unit.dialects.streams import GENERATE, hear

TEXT = '{"candidates":[{"content":{"parts":[{"text":"hi"}],"role":"model"}}],"modelVersion":"m"}'
LAST = (
    '{"candidates":[{"content":{"parts":[]},"finishReason":"STOP"}],"modelVersion":"m","usageMetadata":'
    '{"promptTokenCount":9,"toolUsePromptTokenCount":1,"cachedContentTokenCount":4,"candidatesTokenCount":3,'
    '"thoughtsTokenCount":5,"totalTokenCount":18}}'
)
USED = Usage(input=10, cached=4, output=8, reasoning=5)


class GenerateListenerTests(SynchronousTestCase):
    """There is no terminal event; a finish reason says that the answer is whole."""

    def test_stream(self) -> None:
        """Parts are content, the finish reason ends, the last usage counts and is not lost again."""
        listener = hear(GENERATE, TEXT)
        self.assertEqual((listener.content, listener.chunks, listener.model, listener.closing()), (True, 1, "m", None))
        listener = hear(GENERATE, TEXT, LAST, '{"candidates":[]}')
        self.assertEqual((listener.finish, listener.usage, listener.closing()), ("STOP", USED, b""))
        self.assertFalse(listener.done)

    def test_blocked(self) -> None:
        """A blocked prompt is an answer: there are no candidates, only the reason."""
        listener = hear(GENERATE, '{"promptFeedback":{"blockReason":"SAFETY"},"modelVersion":"m"}')
        self.assertEqual((listener.content, listener.finish, listener.closing()), (True, "SAFETY", b""))

    def test_nothing(self) -> None:
        """A chunk that only counts, or is not understood, is not content."""
        for data in ('{"usageMetadata":{"promptTokenCount":9}}', '{"candidates":[{"index":0}]}', "[]", "x"):
            self.assertFalse(hear(GENERATE, data).content, data)

    def test_error(self) -> None:
        """An error ends the stream."""
        listener = hear(GENERATE, '{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}')
        self.assertEqual((listener.error, listener.done), (("m", "UNAVAILABLE"), True))


class UsageTests(SynchronousTestCase):
    """Whole answers."""

    def test_answers(self) -> None:
        """An answer, an array of chunks, and what is neither."""
        usage = DIALECTS["gemini"].usage
        self.assertEqual(usage(GENERATE, LAST.encode()), (USED, "STOP", "m"))
        self.assertEqual(usage(GENERATE, f"[{TEXT},\n{LAST}]".encode()), (USED, "STOP", "m"))
        for body in (b"", b"[]", b"null", b"<html>", b'{"candidates":5,"usageMetadata":[]}'):
            self.assertEqual(usage(GENERATE, body), (Usage(), "", ""))
