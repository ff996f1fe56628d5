"""Exchanges between a client and a provider that speak different dialects, through the whole middle."""

from __future__ import annotations

import json
from typing import Any

from relay.errors import DialectUnsupported, InvalidRequest, RelayError, UpstreamOverloaded, UpstreamRefused, WouldDrop
from relay.exchange import ClientRequest, Usage
from relay.outcome import Outcome, Stage
from relay.provider import AuthScheme, ParamRule, Quirk
from tests.unit.test_gateway import EVENTS, JSON, GatewayCase
from tests.unit.values import make_provider, make_request, make_snapshot

MESSAGES = "/v1/messages"
GENERATE = "/v1beta/models/{model}:generateContent"
ASK = b'{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"hi"}],"seed":7}'
MESSAGE = (
    b'{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"hello"}],'
    b'"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}}'
)
START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
    b'"model":"claude","content":[],"stop_reason":null,"stop_sequence":null,'
    b'"usage":{"input_tokens":3,"output_tokens":1}}}\n\n'
)
OPEN = (
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n'
)
WORD = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"hello"}}\n\n'
)
CLOSE = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
LAST = (
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"output_tokens":2}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
)
FAULT = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"too busy"}}\n\n'
STREAMED = ASK.replace(b'"seed":7', b'"stream":true,"stream_options":{"include_usage":true}')


class TranslatedCase(GatewayCase):
    """A provider that speaks Anthropic on every path."""

    def setUp(self) -> None:
        """Replace the provider."""
        super().setUp()
        self.speak("anthropic")

    def speak(self, dialect: str, **settings: Any) -> None:
        """Let the provider speak a dialect everywhere."""
        self.build(make_snapshot(make_provider(scheme=AuthScheme.NONE, dialect=dialect, **settings)))

    def sent(self) -> dict[str, Any]:
        """The JSON that went upstream."""
        body = self.upstream.requests[-1].body
        assert isinstance(body, bytes)
        document: dict[str, Any] = json.loads(body)
        return document

    def chunks(self) -> list[dict[str, Any]]:
        """The client's events, but for the terminal one."""
        lines = self.sink.body.decode().split("\n\n")
        return [json.loads(line.removeprefix("data: ")) for line in lines if line and line != "data: [DONE]"]


class WholeTests(TranslatedCase):
    """Answers that come whole."""

    def test_requestAndAnswer(self) -> None:
        """The provider is asked in its words at its path, the client answered in its own."""
        done = self.call(make_request(body=ASK))
        self.upstream.answer(200, {**JSON, "request-id": "up-1"}, MESSAGE)
        self.successResultOf(done)
        self.assertEqual(self.upstream.requests[-1].target, MESSAGES)
        sent = self.sent()
        self.assertEqual((sent["model"], sent["system"]), ("m", "Be brief."))
        self.assertEqual(sent["messages"], [{"role": "user", "content": [{"type": "text", "text": "hi"}]}])
        self.assertNotIn("seed", sent)
        answer = json.loads(self.sink.body)
        self.assertEqual(answer["object"], "chat.completion")
        self.assertEqual(answer["choices"][0]["message"]["content"], "hello")
        self.assertEqual((answer["model"], answer["usage"]["total_tokens"]), ("m", 5))

    def test_head(self) -> None:
        """Losses are named, the length is the new body's, and the provider's id is kept."""
        done = self.call(make_request(body=ASK))
        self.upstream.answer(200, {**JSON, "request-id": "up-1"}, MESSAGE)
        self.successResultOf(done)
        head = dict(self.sink.headers)
        self.assertEqual(head[b"x-relay-dropped"], b"seed")
        self.assertEqual(head[b"content-length"], b"%d" % len(self.sink.body))
        self.assertEqual((head[b"content-type"], head[b"x-upstream-request-id"]), (b"application/json", b"up-1"))

    def test_record(self) -> None:
        """The record tells both dialects, the tokens, the reason and what was lost."""
        done = self.call(make_request(body=ASK))
        self.upstream.answer(200, JSON, MESSAGE)
        self.successResultOf(done)
        record = self.record()
        self.assertEqual((record.front, record.back, record.dropped), ("openai", "anthropic", ("seed",)))
        self.assertEqual((record.usage.input, record.usage.output, record.finish), (3, 2, "stop"))
        self.assertEqual((record.outcome, record.bytes_out), (Outcome.COMPLETE, len(self.sink.body)))

    def test_strict(self) -> None:
        """Strict mode, by header or configuration, refuses what would be lost and asks nobody."""
        error = self.refused(WouldDrop, make_request(body=ASK, headers=((b"x-relay-strict", b"1"),)))
        self.assertEqual((error.param, error.http_status), ("seed", 400))
        self.assertIn("`seed`", error.message)

    def test_params(self) -> None:
        """The provider's rows count for translated requests, too."""
        self.speak("anthropic", params=(ParamRule("temperature", drop=True), ParamRule("max_tokens", maximum=10)))
        self.call(make_request(body=ASK[:-1] + b',"temperature":1,"max_tokens":50}'))
        sent = self.sent()
        self.assertEqual((sent["max_tokens"], "temperature" in sent), (10, False))

    def test_garbage(self) -> None:
        """What is no answer of the provider's dialect is a 502."""
        done = self.call(make_request(body=ASK))
        self.upstream.answer(200, JSON, b"[1]")
        error = self.failureResultOf(done, RelayError).value
        self.assertEqual((error.http_status, error.code), (502, "upstream_protocol_error"))

    def test_error(self) -> None:
        """The provider's words in the client's form; its own body stays behind."""
        done = self.call(make_request(body=ASK))
        self.upstream.answer(400, JSON, b'{"type":"error","error":{"type":"invalid_request_error","message":"no way"}}')
        error = self.failureResultOf(done, UpstreamRefused).value
        self.assertEqual((error.message, error.answer, error.http_status), ("no way", None, 400))

    def test_badRequest(self) -> None:
        """What cannot be read is told by the caller's field name, before anything is sent."""
        error = self.refused(
            InvalidRequest, make_request(body=b'{"model":"m","messages":[{"role":"user","content":[{"type":5}]}]}')
        )
        self.assertIn("messages[0]", str(error.param))

    def test_normalise(self) -> None:
        """A sloppy imitator's answers are put right even for clients of its own dialect."""
        self.speak("openai", quirks=frozenset({Quirk.NORMALISE}))
        done = self.call(make_request(body=ASK))
        self.upstream.answer(
            200,
            JSON,
            b'{"choices":[{"message":{"content":"hello"},"finish_reason":"eos"}],"usage":{}}',
        )
        self.successResultOf(done)
        answer = json.loads(self.sink.body)
        self.assertEqual(answer["choices"][0]["finish_reason"], "stop")
        self.assertEqual((answer["object"], answer["model"]), ("chat.completion", "m"))


class StreamTests(TranslatedCase):
    """Answers that come as a stream."""

    def begin(self) -> Any:
        """A streamed exchange."""
        self.done = self.call(make_request(body=STREAMED))
        return self.upstream.answer(200, EVENTS)

    def test_whole(self) -> None:
        """The client gets its own dialect's stream, usage and terminal event included."""
        response = self.begin()
        for piece in (START, OPEN, WORD, CLOSE, LAST):
            response.feed(piece)
        self.successResultOf(self.done)
        self.assertTrue(self.sent()["stream"])
        chunks = self.chunks()
        self.assertEqual(
            "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]), "hello"
        )
        self.assertEqual(chunks[-1]["usage"]["total_tokens"], 5)
        self.assertTrue(self.sink.body.endswith(b"data: [DONE]\n\n"))
        self.assertEqual(dict(self.sink.headers)[b"content-type"], b"text/event-stream; charset=utf-8")
        record = self.record()
        self.assertEqual((record.usage.input, record.usage.output, record.outcome), (3, 2, Outcome.COMPLETE))

    def test_nothingBeforeContent(self) -> None:
        """The provider's opening is no content: an error behind it is still an HTTP status."""
        response = self.begin()
        response.feed(START + FAULT)
        self.failureResultOf(self.done, UpstreamOverloaded)
        self.assertFalse(self.sink.started)

    def test_errorBehindContent(self) -> None:
        """An error in mid-stream reaches the client once, in its form, without a terminal event."""
        response = self.begin()
        response.feed(START + OPEN + WORD)
        response.feed(FAULT)
        self.successResultOf(self.done)
        self.assertEqual(self.chunks()[-1]["error"]["message"], "too busy")
        self.assertNotIn(b"[DONE]", self.sink.body)
        self.assertEqual(self.sink.body.count(b"too busy"), 1)
        self.assertNotEqual(self.record().outcome, Outcome.COMPLETE)

    def test_cut(self) -> None:
        """A stream that ends without its end is an error for the client."""
        response = self.begin()
        response.feed(START + OPEN + WORD)
        response.close()
        self.successResultOf(self.done)
        self.assertIn("error", self.chunks()[-1])
        self.assertNotIn(b"[DONE]", self.sink.body)
        self.assertEqual(self.record().outcome, Outcome.UPSTREAM_CUT)

    def test_answeredWhole(self) -> None:
        """A provider that ignores ``stream`` is streamed all the same."""
        self.done = self.call(make_request(body=STREAMED))
        self.upstream.answer(200, JSON, MESSAGE)
        self.successResultOf(self.done)
        self.assertTrue(self.sink.body.endswith(b"data: [DONE]\n\n"))
        self.assertIn(b"hello", self.sink.body)
        self.assertEqual(self.record().usage.output, 2)

    def test_errorAsJSONUnderAStreamsType(self) -> None:
        """Some providers answer so; it is a status as long as nothing was sent."""
        response = self.begin()
        response.feed(b'{"type":"error","error":{"type":"overloaded_error","message":"too busy"}}')
        response.close()
        self.assertEqual(self.failureResultOf(self.done, UpstreamOverloaded).value.message, "too busy")

    def test_lostConnection(self) -> None:
        """A connection that breaks is told in the client's dialect."""
        response = self.begin()
        response.feed(START + OPEN + WORD)
        response.fail(UpstreamOverloaded("gone", stage=Stage.STREAM))
        self.successResultOf(self.done)
        self.assertEqual(self.chunks()[-1]["error"]["message"], "gone")


class PathTests(TranslatedCase):
    """Endpoints whose path tells model and kind of answer."""

    def gemini(self, **settings: Any) -> ClientRequest:
        """A request of Gemini's client."""
        body = b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'
        return make_request(GENERATE, body, path_model="org/m", **settings)

    def test_modelOfThePath(self) -> None:
        """The path's model goes upstream."""
        done = self.call(self.gemini())
        self.upstream.answer(200, JSON, MESSAGE)
        self.successResultOf(done)
        self.assertEqual(self.sent()["model"], "org/m")
        self.assertEqual(json.loads(self.sink.body)["candidates"][0]["content"]["parts"], [{"text": "hello"}])

    def test_array(self) -> None:
        """A stream can be one JSON array."""
        done = self.call(self.gemini(path_stream=True, path_array=True))
        response = self.upstream.answer(200, EVENTS)
        for piece in (START, OPEN, WORD, CLOSE, LAST):
            response.feed(piece)
        self.successResultOf(done)
        pieces = json.loads(self.sink.body)
        self.assertEqual(pieces[-1]["candidates"][0]["finishReason"], "STOP")
        self.assertEqual(dict(self.sink.headers)[b"content-type"], b"application/json")

    def test_arrayOfTheSameDialect(self) -> None:
        """Also where the provider is Gemini itself: it is asked for events."""
        self.speak("gemini")
        self.call(self.gemini(path_stream=True, path_array=True))
        self.assertIn("alt=sse", self.upstream.requests[-1].target)

    def test_passedThrough(self) -> None:
        """To Gemini itself the body goes as it came; the target names the model, escaped."""
        self.speak("gemini")
        self.call(self.gemini(path_stream=True))
        self.assertEqual(self.upstream.requests[-1].target, "/v1beta/models/org%2Fm:streamGenerateContent?alt=sse")
        self.assertEqual(self.sent(), {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})


class CountTests(TranslatedCase):
    """Counting tokens."""

    def test_byTheProvider(self) -> None:
        """A provider that counts is asked."""
        body = b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'
        done = self.call(make_request("/v1beta/models/{model}:countTokens", body, path_model="m"))
        self.assertEqual(self.upstream.requests[-1].target, "/v1/messages/count_tokens")
        self.upstream.answer(200, JSON, b'{"input_tokens":9}')
        self.successResultOf(done)
        self.assertEqual(json.loads(self.sink.body)["totalTokens"], 9)

    def test_byRelay(self) -> None:
        """Where the provider cannot, relay estimates and says so."""
        self.speak("openai")
        body = b'{"model":"m","messages":[{"role":"user","content":"hi there"}]}'
        self.successResultOf(self.call(make_request("/v1/messages/count_tokens", body)))
        self.assertEqual(self.upstream.requests, [])
        self.assertGreater(json.loads(self.sink.body)["input_tokens"], 0)
        self.assertEqual(dict(self.sink.headers)[b"x-relay-estimated"], b"true")
        self.assertEqual((self.record().usage, self.record().attempts), (Usage(), 0))


class OtherTests(TranslatedCase):
    """What is not chat."""

    def test_embeddings(self) -> None:
        """An OpenAI client gets Gemini's vectors."""
        self.speak("gemini")
        done = self.call(make_request("/v1/embeddings", b'{"model":"m","input":["a","b"]}'))
        self.upstream.answer(200, JSON, b'{"embeddings":[{"values":[1.0,0.0]},{"values":[0.0,1.0]}]}')
        self.successResultOf(done)
        self.assertEqual([item["embedding"] for item in json.loads(self.sink.body)["data"]], [[1.0, 0.0], [0.0, 1.0]])

    def test_whatNoDialectHas(self) -> None:
        """Speech cannot be asked of Anthropic."""
        self.refused(DialectUnsupported, make_request("/v1/audio/speech", b'{"model":"m","input":"a","voice":"v"}'))


class BedrockTests(TranslatedCase):
    """A provider of Claude that is not Anthropic."""

    def test_betas(self) -> None:
        """The betas that a client names in its header go into the body, where Bedrock wants them."""
        provider = make_provider(scheme=AuthScheme.NONE, dialect="bedrock")
        self.build(make_snapshot(provider))
        body = b'{"model":"anthropic.claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
        self.call(
            make_request(MESSAGES, body, headers=((b"anthropic-beta", b"context-1m-2025-08-07, effort-2025-11-24"),))
        )
        sent = self.sent()
        betas = ["context-1m-2025-08-07", "effort-2025-11-24"]
        self.assertEqual(sent["additionalModelRequestFields"]["anthropic_beta"], betas)
        self.assertEqual(self.upstream.requests[-1].target, "/model/anthropic.claude-sonnet-4-5/converse")
