"""The older Completions, served by a chat."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import ChatRequest, Choice, Completion, Message, Text, Thinking
from relay.dialects.assembly import disassemble
from relay.dialects.codec import Call
from relay.dialects.openai.completions import CompletionsWriter, parse, render
from relay.dialects.openai.dialect import OPENAI
from relay.errors import InternalError, InvalidRequest
from relay.exchange import Usage
from tests.unit.dialects.openai.talk import asked, payloads, requests, written

PATH = Call("/v1/completions")
LOGPROBS = json.dumps(
    {
        "content": [
            {"token": "a", "logprob": -1.0, "top_logprobs": [{"token": "a", "logprob": -1.0}]},
            {"token": "bc", "logprob": -2.0},
        ]
    }
).encode()
ANSWER = Completion("", "up", (Choice((Thinking("t"), Text("abc")), "length"),), Usage(input=3, output=2))


def asking(**fields: Any) -> ChatRequest:
    """The hub's request for a body."""
    return parse(json.dumps({"model": "m", "prompt": "Say", **fields}).encode(), PATH)


def shown(answer: Completion, **fields: Any) -> dict[str, Any]:
    """The body that a client is sent."""
    body: dict[str, Any] = json.loads(render(answer, asked(asking(**fields), PATH.path)))
    return body


class RequestTests(SynchronousTestCase):
    """What clients ask."""

    def test_prompt(self) -> None:
        """A text, and a list of one, are a user's message."""
        for prompt in ("Say", ["Say"]):
            self.assertEqual(asking(prompt=prompt).messages, (Message("user", (Text("Say"),)),))

    def test_refused(self) -> None:
        """Token numbers and several prompts cannot be said in a chat."""
        prompts: list[Any] = [[1, 2], [[1], [2]], ["a", "b"], [], "", None, [None], [{}], 5]
        for prompt in prompts:
            error = self.assertRaises(InvalidRequest, asking, prompt=prompt)
            self.assertEqual(error.param, "prompt", str(prompt))

    def test_fields(self) -> None:
        """``logprobs`` is a number here; what a chat has not is told."""
        request = asking(logprobs=3, max_tokens=5, suffix="s", best_of=2, n=1, stop=["x"], echo=None)
        self.assertEqual((request.logprobs, request.top_logprobs, request.max_tokens), (True, 3, 5))
        self.assertEqual(dict(request.extra), {"suffix": b'"s"', "best_of": b"2"})
        self.assertEqual(asking(best_of=1).extra, {})

    def test_recordings(self) -> None:
        """Every recorded request is read."""
        for case, data in requests("openai-completions"):
            self.assertIsInstance(parse(data, PATH), ChatRequest, case.name)


class AnswerTests(SynchronousTestCase):
    """What clients are shown."""

    def test_whole(self) -> None:
        """Text, no reasoning."""
        body = shown(ANSWER)
        self.assertEqual(body["object"], "text_completion")
        self.assertEqual(body["choices"], [{"text": "abc", "index": 0, "logprobs": None, "finish_reason": "length"}])
        self.assertEqual(body["usage"]["total_tokens"], 5)

    def test_echo(self) -> None:
        """The prompt stands in front, if that is wanted."""
        self.assertEqual(shown(ANSWER, echo=True)["choices"][0]["text"], "Sayabc")
        sent = written(CompletionsWriter(asked(asking(echo=True), PATH.path)), disassemble(ANSWER))
        self.assertEqual("".join(chunk["choices"][0]["text"] for chunk in payloads(sent)), "Sayabc")

    def test_logprobs(self) -> None:
        """Log probabilities have the older form, with offsets in the text."""
        answer = Completion("", "", (Choice((Text("abc"),), "stop", logprobs=LOGPROBS),))
        self.assertEqual(
            shown(answer, echo=True)["choices"][0]["logprobs"],
            {
                "tokens": ["a", "bc"],
                "token_logprobs": [-1.0, -2.0],
                "top_logprobs": [{"a": -1.0}, {}],
                "text_offset": [3, 4],
            },
        )

    def test_streamedLogprobs(self) -> None:
        """In a stream the offsets are those of the text just sent."""
        answer = Completion("", "", (Choice((Text("xabc"),), "stop", logprobs=LOGPROBS),))
        chunks = payloads(written(CompletionsWriter(asked(asking(echo=True))), disassemble(answer)))
        found = [chunk["choices"][0]["logprobs"] for chunk in chunks if chunk["choices"][0]["logprobs"]]
        self.assertEqual([each["text_offset"] for each in found], [[4, 5]])

    def test_stream(self) -> None:
        """The streamed text is the whole text; finish, usage and ``[DONE]`` come last."""
        sent = written(CompletionsWriter(asked(asking(stream_options={"include_usage": True}))), disassemble(ANSWER))
        *chunks, usage = payloads(sent)
        self.assertTrue(sent.endswith(b"data: [DONE]\n\n"))
        self.assertEqual([chunk["choices"][0]["finish_reason"] for chunk in chunks], [None, "length"])
        self.assertEqual("".join(chunk["choices"][0]["text"] for chunk in chunks), "abc")
        self.assertEqual((usage["choices"], usage["usage"]["total_tokens"]), ([], 5))
        self.assertEqual(len({(chunk["id"], chunk["model"], chunk["created"]) for chunk in chunks}), 1)

    def test_empty(self) -> None:
        """An answer of nothing still finishes."""
        chunks = payloads(written(CompletionsWriter(asked(asking())), []))
        self.assertEqual([chunk["choices"][0]["finish_reason"] for chunk in chunks], ["stop"])

    def test_fail(self) -> None:
        """An error ends the stream."""
        writer = CompletionsWriter(asked(asking()))
        sent = writer.write(disassemble(ANSWER)[:4]) + writer.fail(InternalError("broken"))
        self.assertEqual(payloads(sent)[-1]["error"]["message"], "broken")
        self.assertNotIn(b"[DONE]", sent)

    def test_served(self) -> None:
        """The endpoint has this front."""
        self.assertIs(OPENAI.fronts[PATH.path].parse, parse)
