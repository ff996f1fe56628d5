"""`relay.dialects.losses` and `relay.dialects.estimate`: what is told of a request."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import ChatRequest, Media, Message, Native, Refusal, Text, Thinking, Tool, ToolCall, ToolResult
from relay.dialects.estimate import tokens
from relay.dialects.losses import dropped
from relay.vectors import EmbedRequest, RankRequest


def asked(**settings: object) -> ChatRequest:
    """A request with one message."""
    return ChatRequest("m", (Message("user", (Text("hello"),)),), **settings)  # type: ignore[arg-type]  # passed on


class DroppedTests(SynchronousTestCase):
    """Fields without a place are named."""

    def test_namesOfTheCaller(self) -> None:
        """What is set and not carried is told in the caller's words; what is not set is not."""
        request = asked(seed=0, max_tokens=5, top_k=3, stop=(), extra={"store": b"true"}, names={"top_k": "topK"})
        self.assertEqual(dropped(request, frozenset({"max_tokens"})), ["topK", "seed", "store"])

    def test_nothing(self) -> None:
        """A request that says nothing more than its messages loses nothing."""
        self.assertEqual(dropped(asked(stream=True, wants_usage=True), frozenset({"stream"})), [])

    def test_otherOperations(self) -> None:
        """Embeddings and rankings, too."""
        embed = EmbedRequest("m", ("a",), dimensions=3, user="u")
        self.assertEqual(dropped(embed, frozenset({"dimensions", "encoding", "single"})), ["user"])
        rank = RankRequest("m", "q", ("a",), top=1, extra={"x": b"1"})
        self.assertEqual(dropped(rank, frozenset({"top"})), ["x"])


class TokensTests(SynchronousTestCase):
    """A rough count, never zero, that grows with what is sent."""

    def test_everyPart(self) -> None:
        """Each kind of part adds to the count."""
        least = tokens(asked())
        parts = (
            Text("some words"),
            Media("image", "image/png", "AAAA"),
            ToolCall("c", "f", '{"a":1}'),
            ToolResult("c", (Text("sunny"),)),
            Thinking("hmm, let me see"),
            Refusal("no, thanks"),
            Native("gemini", "x", b'{"some":"json text"}'),
        )
        for part in parts:
            request = ChatRequest("m", (Message("user", (Text("hello"), part)),))
            self.assertGreater(tokens(request), least, part)
        self.assertGreater(tokens(asked(tools=(Tool("f", "does", b'{"type":"object"}'),))), least)
        self.assertGreaterEqual(tokens(ChatRequest("m", ())), 1)

    def test_scale(self) -> None:
        """About four letters of English a token, about one token a Chinese character."""
        english = ChatRequest("m", (Message("user", (Text("word " * 800),)),))
        chinese = ChatRequest("m", (Message("user", (Text("你" * 1000),)),))
        self.assertTrue(800 <= tokens(english) <= 1200, tokens(english))
        self.assertTrue(800 <= tokens(chinese) <= 1200, tokens(chinese))
        self.assertGreater(tokens(ChatRequest("m", (Message("user", (Text("\ud83d"),)),))), 0)
