"""The official SDK's own types read what clients are sent, and its stream helper puts streams together."""

from __future__ import annotations

import json

from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types import Completion as OldCompletion
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Choice, Citation, Completion, Refusal, Seal, Text, Thinking, ToolCall
from relay.dialects.assembly import disassemble
from relay.dialects.openai import answer, completions, embeddings
from relay.dialects.openai.writing import ChatWriter
from relay.exchange import Usage
from relay.vectors import Embeddings, EmbedRequest
from tests.unit.dialects.openai.talk import asked, payloads, read, streams, written

RICH = Completion(
    "msg_1",
    "up",
    (
        Choice(
            (
                Thinking("one", Seal("anthropic", "s1")),
                Thinking("", Seal("anthropic", "enc"), redacted=True),
                Thinking("two", Seal("anthropic", "s2")),
                Text("Hello ", citations=(Citation("https://h/x", "t"),)),
                Text("world"),
                ToolCall("x", "f", '{"a":1}', seal=Seal("gemini", "g")),
                ToolCall("y", "g", ""),
            ),
            "tool_calls",
        ),
    ),
    Usage(input=10, cached=4, output=5, reasoning=2),
)
SILENT = Completion("", "", (Choice((Refusal("no"),), "refusal"),))


def put_together(sent: bytes) -> ChatCompletion:
    """What the SDK's helper makes of a stream."""
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for payload in payloads(sent):
        state.handle_chunk(ChatCompletionChunk.model_validate(payload, strict=True))
    return state.get_final_completion()


class SDKTests(SynchronousTestCase):
    """``openai`` for Python."""

    def test_whole(self) -> None:
        """Whole answers are valid."""
        for completion in (RICH, SILENT, Completion("", "", (Choice(()),))):
            found = ChatCompletion.model_validate(json.loads(answer.render(completion, asked())), strict=True)
            self.assertEqual(found.choices[0].message.role, "assistant")
        OldCompletion.model_validate(json.loads(completions.render(RICH, asked())), strict=True)

    def test_streamed(self) -> None:
        """Streams are valid, and the helper makes the whole answer of them, proofs included."""
        message = put_together(written(ChatWriter(asked()), disassemble(RICH))).choices[0].message
        whole = ChatCompletion.model_validate(json.loads(answer.render(RICH, asked()))).choices[0].message
        self.assertEqual(message.content, "Hello world")
        assert message.tool_calls is not None
        assert whole.tool_calls is not None
        self.assertEqual([call.id for call in message.tool_calls], [call.id for call in whole.tool_calls])
        extra, expected = message.model_extra or {}, whole.model_extra or {}
        self.assertEqual(extra["reasoning_content"], expected["reasoning_content"])
        blocks = [{name: block[name] for name in block if name != "index"} for block in extra["thinking_blocks"]]
        self.assertEqual(blocks, expected["thinking_blocks"])

    def test_recordings(self) -> None:
        """Every recorded stream, shown to a client, is put together by the helper."""
        for name, data in streams():
            found = put_together(written(ChatWriter(asked()), read([data])))
            self.assertIsNotNone(found.choices[0].finish_reason, name)

    def test_embeddings(self) -> None:
        """Numbers and base64 are valid."""
        for form in ("float", "base64"):
            asking = asked(EmbedRequest("m", ("a",), encoding=form))
            body = json.loads(embeddings.render(Embeddings("up", ((0.5, 1.0),), Usage(input=2)), asking))
            if form == "float":
                CreateEmbeddingResponse.model_validate(body, strict=True)
            self.assertEqual(body["data"][0]["object"], "embedding")
