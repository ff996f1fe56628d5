"""The dialect's record: passing streams through, errors, usage; and the SDK's reading of what relay writes."""

from __future__ import annotations

import json

import ollama

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Choice, Completion, Finish, Seal, Text, Thinking, ToolCall
from relay.dialects.assembly import disassemble
from relay.dialects.base import Listener
from relay.dialects.ollama.dialect import OLLAMA
from relay.dialects.passthrough import Passthrough
from relay.dialects.registry import DIALECTS
from relay.endpoints import ENDPOINTS
from relay.errors import InvalidRequest, TruncatedStream, UpstreamOverloaded
from relay.exchange import Usage
from relay.outcome import Stage
from relay.vectors import Embeddings, EmbedRequest
from tests.unit.dialects.ollama.lines import CHAT, EMBED, GENERATE, asked, written
from tests.unit.dialects.streams import FIXTURES, run, singly, slices

ERROR = UpstreamOverloaded("too busy", stage=Stage.STREAM)

ANSWER = Completion(
    "id",
    "theirs",
    (
        Choice(
            (
                Thinking("Hm.", Seal("anthropic", "s")),
                Text("I look."),
                ToolCall("call_1", "look", '{"a":[1,{"b":null}]}', seal=Seal("gemini", "p")),
            ),
            Finish.TOOL_CALLS,
            logprobs=b'{"content":[{"token":"I","logprob":-0.5,"bytes":null,"top_logprobs":[]}]}',
        ),
    ),
    Usage(input=9, output=5),
)


def hear(*lines: bytes) -> Listener:
    """A listener that has heard these lines."""
    listener = OLLAMA.listener(ENDPOINTS[CHAT])
    decoder = OLLAMA.decoder(1 << 20)
    for line in decoder.feed(b"".join(line + b"\n" for line in lines)):
        assert listener.hear(line) is False
    return listener


class ListenerTests(SynchronousTestCase):
    """Passing streams through."""

    def test_words(self) -> None:
        """Words, thoughts, calls and images are content; an empty line is not."""
        for line, content in (
            (b'{"model":"m","message":{"content":"a"},"done":false}', True),
            (b'{"model":"m","message":{"content":"","thinking":"a"},"done":false}', True),
            (b'{"model":"m","message":{"content":"","tool_calls":[{}]},"done":false}', True),
            (b'{"model":"m","message":{"content":"","images":["QUJD"]},"done":false}', True),
            (b'{"model":"m","response":"a","done":false}', True),
            (b'{"model":"m","response":"","thinking":"a","done":false}', True),
            (b'{"model":"m","message":{"content":""},"done":false}', False),
            (b'{"model":"m","message":null,"done":false}', False),
            (b"", False),
            (b"<html>", False),
        ):
            listener = hear(line)
            self.assertEqual((listener.content, listener.chunks), (content, int(content)), line)
            self.assertEqual(listener.model, "m" if b'"m"' in line else "", line)
            self.assertEqual((listener.done, listener.finish, listener.usage), (False, "", Usage()))

    def test_end(self) -> None:
        """The last line has reason and counts; without it nothing may be added, so the stream is cut."""
        listener = hear(b'{"message":{"content":"a"},"done":false}')
        self.assertIsNone(listener.closing())
        listener = hear(b'{"message":{"content":"b"},"done":true,"prompt_eval_count":3,"eval_count":4}')
        self.assertEqual((listener.done, listener.finish, listener.usage), (True, "stop", Usage(input=3, output=4)))
        self.assertTrue(listener.content)
        self.assertEqual(hear(b'{"done":true,"done_reason":"length"}').finish, "length")

    def test_error(self) -> None:
        """An error line ends the stream."""
        listener = hear(b'{"error":"out of memory"}')
        self.assertEqual((listener.error, listener.done, listener.content), (("out of memory", ""), True, False))
        self.assertEqual(listener.fail(ERROR, "r"), b'{"error":"too busy"}\n')


class PassingTests(SynchronousTestCase):
    """Equal front and back."""

    def passing(self) -> Passthrough:
        """A transcoder for a chat."""
        return Passthrough(OLLAMA, ENDPOINTS[CHAT], "d", strip_usage=True)

    def test_unchanged(self) -> None:
        """Every byte goes through, however the stream is cut; the last line gets its end if it lacks one."""
        data = (FIXTURES / "ollama" / "text.ndjson").read_bytes()
        for number, pieces in enumerate(([data], singly(data), [data[:-1]], slices(data, 1))):
            transcoder = self.passing()
            self.assertEqual(run(transcoder, pieces), data, number)
            self.assertEqual((transcoder.usage, transcoder.stop), (Usage(input=17, output=63), "stop"))

    def test_cut(self) -> None:
        """Without the last line it is no whole answer."""
        data = (FIXTURES / "ollama" / "text.ndjson").read_bytes()
        transcoder = self.passing()
        transcoder.feed(data[:3000])
        self.assertRaises(TruncatedStream, transcoder.end)

    def test_error(self) -> None:
        """An error line is the first and last that is heard."""
        transcoder = self.passing()
        transcoder.feed(b'{"error":"out of memory"}\n')
        self.assertEqual((str(transcoder.error), transcoder.started, transcoder.end()), ("out of memory", False, b""))


class RecordTests(SynchronousTestCase):
    """What else a dialect is."""

    def test_registered(self) -> None:
        """It has a name, a stream type, no heartbeat, and all paths of its clients."""
        self.assertIs(DIALECTS["ollama"], OLLAMA)
        self.assertEqual((OLLAMA.heartbeat, OLLAMA.stream_type), (b"", "application/x-ndjson"))
        paths = {path for path, endpoint in ENDPOINTS.items() if endpoint.front == "ollama"}
        self.assertEqual(set(OLLAMA.fronts), paths)

    def test_errors(self) -> None:
        """Errors are one string, as an answer and as a line."""
        error = InvalidRequest("`x` is wrong.", param="x")
        self.assertEqual(json.loads(OLLAMA.render_error(error, "r")), {"error": "`x` is wrong."})
        self.assertEqual(OLLAMA.stream_error(ERROR, "r"), b'{"error":"too busy"}\n')
        self.assertEqual(OLLAMA.read_error(b'{"error":"model \'m\' not found"}'), ("model 'm' not found", ""))

    def test_usage(self) -> None:
        """Usage, reason and model of a whole answer; what is odd counts as absent."""
        body = b'{"model":"m","done_reason":"stop","prompt_eval_count":3,"eval_count":4}'
        self.assertEqual(OLLAMA.usage(ENDPOINTS[CHAT], body), (Usage(input=3, output=4), "stop", "m"))
        embedded = b'{"model":"m","embeddings":[],"prompt_eval_count":3}'
        self.assertEqual(OLLAMA.usage(ENDPOINTS[EMBED], embedded), (Usage(input=3), "", "m"))
        for odd in (b"", b"[]", b'{"eval_count":"4"}'):
            self.assertEqual(OLLAMA.usage(ENDPOINTS[CHAT], odd), (Usage(), "", ""))


class SDKTests(SynchronousTestCase):
    """The ``ollama`` package's own models read what is written."""

    def test_chat(self) -> None:
        """A whole chat: words, thoughts, calls, log probabilities, counts."""
        answer = ollama.ChatResponse.model_validate_json(OLLAMA.fronts[CHAT].render(ANSWER, asked()))
        self.assertEqual((answer.message.content, answer.message.thinking), ("I look.", "Hm."))
        (call,) = answer.message.tool_calls or ()
        self.assertEqual((call.function.name, call.function.arguments), ("look", {"a": [1, {"b": None}]}))
        self.assertEqual((answer.prompt_eval_count, answer.eval_count, answer.done_reason), (9, 5, "stop"))
        (token,) = answer.logprobs or ()
        self.assertEqual((token.token, token.logprob), ("I", -0.5))

    def test_stream(self) -> None:
        """Every line of a stream."""
        lines = written(disassemble(ANSWER)).splitlines()
        answers = [ollama.ChatResponse.model_validate_json(line) for line in lines]
        self.assertEqual("".join(answer.message.content or "" for answer in answers), "I look.")
        self.assertEqual(sum(len(answer.message.tool_calls or ()) for answer in answers), 1)
        self.assertTrue(answers[-1].done)

    def test_generate(self) -> None:
        """A generation, whole and in lines."""
        whole = OLLAMA.fronts[GENERATE].render(ANSWER, asked(GENERATE))
        lines = written(disassemble(ANSWER), GENERATE).splitlines()
        for data in (whole, *lines):
            ollama.GenerateResponse.model_validate_json(data)
        answer = ollama.GenerateResponse.model_validate_json(whole)
        self.assertEqual((answer.response, answer.thinking), ("I look.", "Hm."))

    def test_embed(self) -> None:
        """Vectors."""
        data = OLLAMA.fronts[EMBED].render(Embeddings("e", ((0.5,),)), asked(EMBED, EmbedRequest("m", ("a",))))
        self.assertEqual(ollama.EmbedResponse.model_validate_json(data).embeddings, [[0.5]])
