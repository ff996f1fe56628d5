"""The use case, with every adapter replaced by a small double and time by a clock."""

from __future__ import annotations

import json

import msgspec

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relay.config import Snapshot
from relay.endpoints import FORWARDED
from relay.errors import (
    DialectUnsupported,
    Draining,
    InvalidRequest,
    RateLimited,
    RelayError,
    TruncatedStream,
    Unauthenticated,
    UnsupportedMedia,
    UpstreamCredential,
    UpstreamOverloaded,
    UpstreamProtocol,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamUnreachable,
)
from relay.exchange import ClientRequest, ExchangeRecord, FormField, LimitState, UpstreamRequest, Usage
from relay.gateway import Gateway
from relay.interfaces import IKeyStore, ILimiter
from relay.outcome import Outcome, Stage
from relay.provider import AuthScheme, Provider, Quirk, RateLimit, StreamConfig
from relay.routes.fleet import Fleet
from relay.secret import Redactor, Secret
from relay.store.memory import MemoryLimiter, StaticKeys
from tests.unit.doubles import (
    FixedCatalog,
    FixedConfiguration,
    MemoryObserver,
    MemorySink,
    NoLimits,
    NoSigner,
    OpenKeys,
    ScriptedUpstream,
)
from tests.unit.values import make_endpoint, make_provider, make_request, make_snapshot

JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}
CHAT = "/v1/chat/completions"
STREAMED = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'
ANSWER = (
    b'{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"hello"}}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'
)
ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
WORD = b'data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}\n\n'
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'
DONE = b"data: [DONE]\n\n"
KEY = "a-key-that-is-sent-upstream"
FAULT = b'data: {"error":{"message":"overloaded","type":"server_error","code":"overloaded"}}\n\n'


class GatewayCase(SynchronousTestCase):
    """Builds a gateway; `call` sends one request through it."""

    def setUp(self) -> None:
        """One provider that needs no key, nothing limited."""
        self.clock = Clock()
        self.upstream = ScriptedUpstream()
        self.observer = MemoryObserver()
        self.sink = MemorySink()
        self.build(make_snapshot())

    def build(
        self,
        snapshot: Snapshot,
        keys: IKeyStore | None = None,
        limiter: ILimiter | None = None,
        catalog: FixedCatalog | None = None,
    ) -> None:
        """Replace the gateway under test."""
        self.configuration = FixedConfiguration(snapshot)
        self.gateway = Gateway(
            configuration=self.configuration,
            upstream=self.upstream,
            signer=NoSigner(),
            catalog=catalog or FixedCatalog(),
            keys=keys or OpenKeys(),
            limiter=limiter or NoLimits(),
            observers=[self.observer],
            redaction=lambda: Redactor(self.configuration.snapshot.secrets()),
            clock=self.clock,
            wall=lambda: 1_700_000_000.0,
            fleet=Fleet(self.clock, lambda: 0.5),
            chance=lambda: 0.5,
        )

    def call(self, request: ClientRequest | None = None) -> Deferred[None]:
        """One exchange with a fresh sink."""
        self.sink = MemorySink()
        return self.gateway.exchange(request or make_request(), self.sink)

    def stream(self) -> Deferred[None]:
        """One streamed chat exchange."""
        return self.call(make_request(body=STREAMED))

    def refused(self, kind: type[RelayError], request: ClientRequest | None = None) -> RelayError:
        """The error of an exchange that must fail before anything goes upstream."""
        error = self.failureResultOf(self.call(request), kind).value
        assert isinstance(error, kind)
        self.assertEqual(self.upstream.requests, [])
        self.assertFalse(self.sink.started)
        return error

    def record(self) -> ExchangeRecord:
        """The one record that was settled."""
        self.assertEqual(len(self.observer.records), 1)
        self.assertEqual(len(self.observer.started), 1)
        self.assertEqual(self.gateway.active, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return self.observer.records[0]


class WholeAnswerTests(GatewayCase):
    """Non-streamed exchanges."""

    def test_theAnswerPassesUnchanged(self) -> None:
        """Status, body, allowed headers; usage is read on the way."""
        done = self.call()
        self.upstream.answer(200, {**JSON, "x-request-id": "up-1", "set-cookie": "a=b"}, ANSWER)
        self.successResultOf(done)
        self.assertEqual((self.sink.status, self.sink.body, self.sink.ended), (200, ANSWER, True))
        self.assertEqual(
            self.sink.headers,
            (
                (b"content-type", b"application/json"),
                (b"x-upstream-request-id", b"up-1"),
                (b"x-relay-deployment", b"first/m"),
                (b"x-relay-attempts", b"1"),
                (b"server-timing", b"relay;dur=0.0, upstream;dur=0.0"),
                (b"content-length", b"%d" % len(ANSWER)),
            ),
        )
        record = self.record()
        self.assertEqual((record.outcome, record.status, record.finish), (Outcome.COMPLETE, 200, "stop"))
        self.assertEqual((record.usage.input, record.usage.output), (3, 2))
        self.assertEqual((record.bytes_out, record.attempts, record.upstream_id), (len(ANSWER), 1, "up-1"))

    def test_theModelIsMapped(self) -> None:
        """The provider gets its own name for the model, and every other byte as it was."""
        self.build(make_snapshot(make_provider(scheme=AuthScheme.NONE, model_mapping={"m": "provider-m"})))
        self.call()
        sent = self.upstream.requests[0]
        self.assertEqual(json.loads(sent.body if isinstance(sent.body, bytes) else b"")["model"], "provider-m")
        self.assertEqual((sent.target, sent.method, sent.stream), (CHAT, "POST", False))

    def test_errorsKeepStatusAndBody(self) -> None:
        """What the provider refuses comes back in its own words."""
        for status, kind in ((429, UpstreamRateLimited), (500, UpstreamOverloaded)):
            self.setUp()
            done = self.call()
            self.upstream.answer(status, {**JSON, "retry-after": "7"}, b'{"error":{"message":"slow down"}}')
            error = self.failureResultOf(done, kind).value
            assert isinstance(error, RelayError)
            assert error.answer is not None
            self.assertEqual((error.http_status, error.retry_after), (status, 7.0))
            self.assertEqual(error.answer.body, b'{"error":{"message":"slow down"}}')
            record = self.record()
            self.assertEqual((record.status, record.outcome), (status, Outcome.UPSTREAM_ERROR))
            self.assertEqual(self.observer.attempts[0].upstream_status, status)

    def test_relaysKeyRefused(self) -> None:
        """The client is not blamed for the operator's key."""
        self.build(make_snapshot(make_provider(key="own-key-1234")))
        done = self.call()
        self.upstream.answer(401, JSON, b'{"error":{"message":"bad key own-key-1234"}}')
        error = self.failureResultOf(done, UpstreamCredential).value
        self.assertNotIn("own-key", str(error))

    def test_htmlIsNoAnswer(self) -> None:
        """A proxy's page with status 200 is a broken upstream."""
        done = self.call()
        self.upstream.answer(200, {"content-type": "text/html"}, b"<html>login</html>")
        self.failureResultOf(done, UpstreamProtocol)
        self.assertFalse(self.sink.started)

    def test_audioPassesAsItIs(self) -> None:
        """Bytes of other kinds are carried, not understood."""
        done = self.call(make_request("/v1/audio/speech", b'{"model":"m","input":"hi","voice":"v"}'))
        response = self.upstream.answer(200, {"content-type": "audio/mpeg"})
        response.feed(b"ID3")
        self.assertEqual((self.sink.status, self.sink.body), (200, b"ID3"))
        response.feed(b"more")
        response.close()
        self.successResultOf(done)
        self.assertEqual((self.sink.body, self.sink.ended), (b"ID3more", True))
        self.assertEqual(self.record().outcome, Outcome.COMPLETE)

    def test_cutAudioBreaksTheConnection(self) -> None:
        """There is no error event in audio; a tidy end would be a lie."""
        done = self.call(make_request("/v1/audio/speech", b'{"model":"m","input":"hi","voice":"v"}'))
        response = self.upstream.answer(200, {"content-type": "audio/mpeg"})
        response.feed(b"ID3")
        response.fail(TruncatedStream("cut", stage=Stage.STREAM))
        self.successResultOf(done)
        self.assertEqual((self.sink.ended, self.sink.aborted), (False, True))
        self.assertEqual(self.record().outcome, Outcome.UPSTREAM_CUT)


class StreamTests(GatewayCase):
    """Streamed exchanges."""

    def test_chunksPassUnchangedAndTheAskedUsageIsStripped(self) -> None:
        """Relay asks for usage, learns it, and takes exactly that chunk out again."""
        done = self.stream()
        sent = self.upstream.requests[0].body
        assert isinstance(sent, bytes)
        self.assertEqual(json.loads(sent)["stream_options"], {"include_usage": True})
        response = self.upstream.answer(200, EVENTS)
        for data in (ROLE, WORD, FINISH, USAGE, DONE):
            response.feed(data)
        self.successResultOf(done)
        self.assertEqual(self.sink.body, ROLE + WORD + FINISH + DONE)
        self.assertTrue(self.sink.ended)
        record = self.record()
        self.assertEqual((record.usage.input, record.usage.output), (3, 2))
        self.assertEqual((record.outcome, record.finish, record.stream), (Outcome.COMPLETE, "stop", True))

    def test_usageThatTheClientAskedForStays(self) -> None:
        """Then nothing at all is changed."""
        body = b'{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user"}]}'
        done = self.call(make_request(body=body))
        response = self.upstream.answer(200, EVENTS)
        for data in (WORD, FINISH, USAGE, DONE):
            response.feed(data)
        self.successResultOf(done)
        self.assertEqual(self.sink.body, WORD + FINISH + USAGE + DONE)

    def test_aQuirkForbidsAsking(self) -> None:
        """A provider that refuses ``stream_options`` is not sent any."""
        provider = make_provider(scheme=AuthScheme.NONE, quirks=frozenset({Quirk.NO_STREAM_USAGE}))
        self.build(make_snapshot(provider))
        self.stream()
        sent = self.upstream.requests[0].body
        assert isinstance(sent, bytes)
        self.assertNotIn("stream_options", json.loads(sent))

    def test_anErrorBeforeContentIsAStatus(self) -> None:
        """Whether it comes as a status or as the first event."""
        done = self.stream()
        self.upstream.answer(503, JSON, b'{"error":{"message":"busy"}}')
        self.failureResultOf(done, UpstreamOverloaded)
        self.assertFalse(self.sink.started)
        self.setUp()
        done = self.stream()
        response = self.upstream.answer(200, EVENTS)
        response.feed(ROLE)
        response.feed(FAULT)
        error = self.failureResultOf(done).value
        assert isinstance(error, RelayError)
        self.assertGreaterEqual(error.http_status, 500)
        self.assertFalse(self.sink.started)
        self.assertEqual(self.record().outcome, Outcome.UPSTREAM_ERROR)

    def test_anErrorAfterContentIsAnEvent(self) -> None:
        """The provider's own event passes; no finish and no ``[DONE]`` follow."""
        done = self.stream()
        response = self.upstream.answer(200, EVENTS)
        response.feed(WORD)
        response.feed(FAULT)
        self.successResultOf(done)
        self.assertEqual((self.sink.body, self.sink.ended), (WORD + FAULT, True))
        record = self.record()
        self.assertEqual((record.status, record.outcome), (200, Outcome.UPSTREAM_ERROR))

    def test_errorsNeverShowKeys(self) -> None:
        """The provider repeats the key it was sent, relay's or the client's, in an answer, an event, or late."""
        fault = b'data: {"error":{"message":"no %s","type":"server_error","code":"overloaded"}}\n\n' % KEY.encode()
        for own in (True, False):
            self.build(make_snapshot(make_provider(key=KEY if own else None)))
            asked = make_request(body=STREAMED, credential=None if own else KEY)
            done = self.call(asked)
            self.upstream.answer(400, JSON, b'{"error":{"message":"no %s"}}' % KEY.encode())
            answered = self.failureResultOf(done, UpstreamRefused).value
            done = self.call(asked)
            self.upstream.answer(200, EVENTS).feed(fault)
            early = self.failureResultOf(done, UpstreamOverloaded).value
            done = self.call(asked)
            response = self.upstream.answer(200, EVENTS)
            response.feed(WORD)
            response.feed(fault)
            self.successResultOf(done)
            self.assertEqual(self.sink.body, WORD + fault.replace(KEY.encode(), b"***"))
            assert answered.answer is not None
            self.assertEqual(answered.answer.body, b'{"error":{"message":"no ***"}}')
            self.assertEqual((str(answered), str(early)), ("no ***", "no ***"))

    def test_aCutIsAnErrorEvent(self) -> None:
        """A connection lost in mid-answer never looks like an end."""
        done = self.stream()
        response = self.upstream.answer(200, EVENTS)
        response.feed(WORD)
        response.fail(TruncatedStream("The provider's answer was cut.", stage=Stage.STREAM))
        self.successResultOf(done)
        self.assertTrue(self.sink.body.startswith(WORD + b'data: {"error":'))
        self.assertNotIn(b"[DONE]", self.sink.body)
        self.assertEqual(self.record().outcome, Outcome.UPSTREAM_CUT)

    def test_aCleanCloseWithoutAFinishIsACut(self) -> None:
        """A tidy end of the connection is not success."""
        done = self.stream()
        response = self.upstream.answer(200, EVENTS)
        response.feed(WORD)
        response.close()
        self.successResultOf(done)
        self.assertNotIn(b"[DONE]", self.sink.body)
        self.assertEqual(self.record().outcome, Outcome.UPSTREAM_CUT)

    def test_aMissingTerminalEventIsAddedAfterAFinish(self) -> None:
        """A finish reason and a clean close are an end."""
        done = self.stream()
        response = self.upstream.answer(200, EVENTS)
        response.feed(WORD + FINISH)
        response.close()
        self.successResultOf(done)
        self.assertEqual(self.sink.body, WORD + FINISH + DONE)
        self.assertEqual(self.record().outcome, Outcome.COMPLETE)

    def test_heartbeatsBeforeTheAnswer(self) -> None:
        """Silence opens the answer; an error after that is an event."""
        done = self.stream()
        self.clock.advance(15)
        self.assertEqual((self.sink.status, self.sink.body), (200, b": ping\n"))
        self.upstream.fail(UpstreamUnreachable("No connection to the provider.", stage=Stage.CONNECT))
        self.successResultOf(done)
        self.assertTrue(self.sink.body.startswith(b': ping\ndata: {"error":'))
        self.assertTrue(self.sink.ended)
        self.assertEqual(self.record().status, 200)

    def test_aPlainAnswerToAStreamedRequestPasses(self) -> None:
        """Some providers ignore ``stream``; before any heartbeat that is harmless."""
        done = self.stream()
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(done)
        self.assertEqual((self.sink.body, self.sink.ended), (ANSWER, True))
        self.assertEqual(self.record().usage.output, 2)

    def test_aPlainAnswerAfterHeartbeatsIsAnError(self) -> None:
        """JSON inside an event stream would be noise."""
        done = self.stream()
        self.clock.advance(15)
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(done)
        self.assertNotIn(ANSWER, self.sink.body)
        self.assertIn(b'"error"', self.sink.body)

    def test_timesAreMeasured(self) -> None:
        """TTFT counts from the request, gaps from the first content."""
        done = self.stream()
        response = self.upstream.answer(200, EVENTS)
        self.clock.advance(2)
        response.feed(WORD)
        self.clock.advance(0.02)
        response.feed(FINISH + DONE)
        self.successResultOf(done)
        record = self.record()
        self.assertEqual(record.ttft, 2.0)
        self.assertAlmostEqual(record.gap_sum, 0.02)
        self.assertAlmostEqual(record.duration, 2.02)


class RefusalTests(GatewayCase):
    """What never reaches a provider."""

    def test_badBodies(self) -> None:
        """Syntax, types and missing fields are the client's to mend."""
        for body in (
            b"",
            b"{",
            b"[]",
            b'{"messages":[]}',
            b'{"model":1,"messages":[{"role":"user"}]}',
            b'{"model":NaN}',
        ):
            self.setUp()
            self.refused(InvalidRequest, make_request(body=body))
            record = self.record()
            self.assertEqual((record.status, record.outcome, record.attempts), (400, Outcome.REJECTED, 0))

    def test_unknownKeys(self) -> None:
        """With keys configured, a key is needed."""
        self.build(make_snapshot(), keys=OpenKeys(only="right"))
        self.refused(Unauthenticated, make_request(credential="wrong"))
        self.assertEqual(self.record().status, 401)

    def test_limits(self) -> None:
        """A used-up rate is a 429 with its own outcome."""
        self.build(make_snapshot(), limiter=NoLimits(error=RateLimited("slow", retry_after=2.0)))
        self.refused(RateLimited)
        self.assertEqual(self.record().outcome, Outcome.LIMITED)

    def test_aKeyThatNobodyChecksMakesNoBucket(self) -> None:
        """Another invented key does not lift a limit, unless the key goes to the provider, which checks it."""
        limits = dict.fromkeys(FORWARDED, RateLimit(requests_per_minute=60, burst=1))
        for provider, apart in (
            (make_provider(scheme=AuthScheme.NONE, rate_limits=limits), False),
            (make_provider(key=KEY, rate_limits=limits), False),
            (make_provider(rate_limits=limits), True),
        ):
            snapshot = make_snapshot(provider)
            limiter = MemoryLimiter(self.clock.seconds)
            self.build(snapshot, keys=StaticKeys(FixedConfiguration(snapshot)), limiter=limiter)
            self.call(make_request(credential="an-invented-key-1"))
            second = self.call(make_request(credential="an-invented-key-2"))
            if apart:
                self.assertNoResult(second)
            else:
                self.failureResultOf(second, RateLimited)

    def test_aForeignDialect(self) -> None:
        """What no dialect of the provider has is refused; the error names dialect and endpoint."""
        self.build(make_snapshot(make_provider(scheme=AuthScheme.NONE, dialect="anthropic")))
        error = self.refused(DialectUnsupported, make_request("/v1/embeddings", b'{"model":"m","input":"hi"}'))
        self.assertIn("anthropic", str(error))
        self.assertIn("/v1/embeddings", str(error))

    def test_streamSupport(self) -> None:
        """``streamSupport: false`` refuses streams and nothing else."""
        served = {CHAT: make_endpoint(CHAT, stream_support=False)}
        self.build(make_snapshot(make_provider(scheme=AuthScheme.NONE, endpoints=served)))
        self.refused(InvalidRequest, make_request(body=STREAMED))
        self.call()
        self.assertEqual(len(self.upstream.requests), 1)

    def test_requiresMultipart(self) -> None:
        """A JSON body is refused where the provider takes forms only."""
        path = "/v1/images/edits"
        served = {path: make_endpoint(path, requires_multipart=True)}
        self.build(make_snapshot(make_provider(scheme=AuthScheme.NONE, endpoints=served)))
        self.refused(UnsupportedMedia, make_request(path, b'{"model":"m","prompt":"p"}'))


class FormTests(GatewayCase):
    """Multipart requests."""

    BODY = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n'

    def form(self) -> ClientRequest:
        """A transcription request whose model stands at its place in the body."""
        start = self.BODY.index(b"m\r\n--b--")
        return make_request(
            "/v1/audio/transcriptions",
            self.BODY,
            content_type="multipart/form-data; boundary=b",
            fields={"model": FormField("m", start, start + 1)},
        )

    def test_theModelPartIsMapped(self) -> None:
        """Only the bytes of the model's value change."""
        self.build(make_snapshot(make_provider(scheme=AuthScheme.NONE, model_mapping={"m": "whisper-large"})))
        self.call(self.form())
        sent = self.upstream.requests[0]
        self.assertEqual(sent.body, self.BODY.replace(b"\r\n\r\nm\r\n", b"\r\n\r\nwhisper-large\r\n"))
        self.assertEqual(dict(sent.headers)[b"content-type"], b"multipart/form-data; boundary=b")

    def test_aMissingModelIsRefused(self) -> None:
        """As in JSON."""
        request = make_request("/v1/audio/transcriptions", b"", content_type="multipart/form-data; boundary=b")
        self.assertEqual(self.refused(InvalidRequest, request).param, "model")


class LeavingTests(GatewayCase):
    """Clients that go, and the end of the process."""

    def test_beforeTheHead(self) -> None:
        """The upstream request is cancelled in the same turn."""
        done = self.stream()
        self.sink.leave()
        self.assertEqual(self.upstream.cancelled, 1)
        self.successResultOf(done)
        record = self.record()
        self.assertEqual((record.status, record.outcome), (499, Outcome.CLIENT_GONE))
        self.assertEqual(self.observer.attempts[0].result, "client_gone")

    def test_inMidStream(self) -> None:
        """What was seen so far is settled."""
        done = self.stream()
        response = self.upstream.answer(200, EVENTS)
        response.feed(WORD)
        self.sink.leave()
        self.assertTrue(response.cancelled)
        self.successResultOf(done)
        record = self.record()
        self.assertEqual((record.outcome, record.chunks), (Outcome.CLIENT_GONE, 1))

    def test_whileAWholeAnswerIsRead(self) -> None:
        """Non-streamed requests are cancelled as well."""
        self.call()
        response = self.upstream.answer(200, JSON)
        self.sink.leave()
        self.assertTrue(response.cancelled)
        self.assertEqual(self.record().outcome, Outcome.CLIENT_GONE)

    def test_drainWaits(self) -> None:
        """Running exchanges end in peace; new ones are refused."""
        done = self.stream()
        drained = self.gateway.drain(60.0)
        self.assertNoResult(drained)
        late = self.gateway.exchange(make_request(), MemorySink())
        self.failureResultOf(late, Draining)
        response = self.upstream.answer(200, EVENTS)
        response.feed(WORD + FINISH + DONE)
        self.successResultOf(done)
        self.successResultOf(drained)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_drainEndsWhatStays(self) -> None:
        """At the deadline a visible stream gets an error event, the rest a 503."""
        streaming = self.stream()
        streaming_sink = self.sink
        self.upstream.answer(200, EVENTS).feed(WORD)
        waiting = self.call()
        drained = self.gateway.drain(60.0)
        self.clock.advance(60)
        self.successResultOf(streaming)
        self.assertIn(b'"error"', streaming_sink.body)
        self.assertNotIn(b"[DONE]", streaming_sink.body)
        self.failureResultOf(waiting, Draining)
        self.successResultOf(drained)
        self.assertEqual({record.outcome for record in self.observer.records}, {Outcome.OVERLOADED})

    def test_drainWithNothingToDo(self) -> None:
        """An idle gateway is drained at once."""
        self.successResultOf(self.gateway.drain(60.0))


class HouseholdTests(GatewayCase):
    """What goes around an exchange."""

    def test_limitHeaders(self) -> None:
        """Relay's own limit is reported on the answer."""
        self.build(make_snapshot(), limiter=NoLimits(LimitState(10, 4, 1.0)))
        self.call()
        self.upstream.answer(200, JSON, ANSWER)
        self.assertEqual(dict(self.sink.headers)[b"x-ratelimit-remaining-requests"], b"4")

    def test_aFailingObserverHarmsNobody(self) -> None:
        """It is logged, and the others are still told."""

        class Broken(MemoryObserver):
            def exchange_settled(self, record: ExchangeRecord) -> None:
                raise RuntimeError("broken observer")

        self.gateway = Gateway(
            configuration=self.configuration,
            upstream=self.upstream,
            signer=NoSigner(),
            catalog=FixedCatalog(),
            keys=OpenKeys(),
            limiter=NoLimits(),
            observers=[Broken(), self.observer],
            redaction=lambda: Redactor(self.configuration.snapshot.secrets()),
            clock=self.clock,
            wall=lambda: 0.0,
            fleet=Fleet(self.clock, lambda: 0.5),
            chance=lambda: 0.5,
        )
        done = self.call()
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(done)
        self.assertEqual(self.record().outcome, Outcome.COMPLETE)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_unexpectedExceptionsTellNothing(self) -> None:
        """The client learns that relay failed; the log learns why."""
        self.build(make_snapshot(), limiter=NoLimits(error=ZeroDivisionError("secret detail")))
        error = self.failureResultOf(self.call(), RelayError).value
        self.assertNotIn("secret", str(error))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((self.record().status, self.record().outcome), (500, Outcome.INTERNAL))

    def test_anExchangeKeepsItsSnapshot(self) -> None:
        """A reload in the middle does not change what runs."""
        done = self.call()
        self.configuration.snapshot = make_snapshot(make_provider("other"), generation=2)
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(done)
        record = self.record()
        self.assertEqual((record.provider, record.generation), ("first", 1))

    def test_modelLabelsComeFromTheConfiguration(self) -> None:
        """Clients cannot mint metric series."""
        self.call()
        self.upstream.answer(200, JSON, ANSWER)
        record = self.record()
        self.assertEqual((record.model, record.model_label), ("m", "other"))
        self.assertEqual(record.usage, Usage(input=3, output=2))

    def test_heartbeatsFollowTheConfiguration(self) -> None:
        """``heartbeatIntervalSecs`` of the endpoint is what counts."""
        served = {CHAT: make_endpoint(CHAT, stream=StreamConfig(heartbeat=2.0))}
        self.build(make_snapshot(make_provider(scheme=AuthScheme.NONE, endpoints=served)))
        self.stream()
        self.clock.advance(2)
        self.assertEqual(self.sink.body, b": ping\n")


class SigningTests(GatewayCase):
    """Providers whose credential is a signature or a token, made for each attempt."""

    def setUp(self) -> None:
        """A provider that wants signatures, and a signer that the test plays."""
        super().setUp()
        self.signed: Deferred[UpstreamRequest] = Deferred()
        self.asked: list[UpstreamRequest] = []
        provider = make_provider(key="the-signing-key", scheme=AuthScheme.SIGV4)
        self.build(make_snapshot(provider))
        self.gateway._signer = self  # type: ignore[assignment]  # plays the part

    def sign(
        self, request: UpstreamRequest, provider: Provider, credential: Secret | None
    ) -> Deferred[UpstreamRequest]:
        """What the gateway calls."""
        self.asked.append(request)
        return self.signed

    def test_theSignedRequestIsSent(self) -> None:
        """Nothing goes out before the signature is there; then the signed request does."""
        done = self.call()
        self.assertEqual((len(self.asked), self.upstream.requests), (1, []))
        signed = msgspec.structs.replace(self.asked[0], headers=((b"authorization", b"AWS4-HMAC-SHA256 x"),))
        self.signed.callback(signed)
        self.assertEqual(self.upstream.requests, [signed])
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(done)

    def test_noSignature(self) -> None:
        """A signature that cannot be made fails the attempt."""
        done = self.call()
        self.signed.errback(UpstreamCredential("no token", stage=Stage.CONNECT))
        self.failureResultOf(done, UpstreamCredential)
        self.assertEqual((self.upstream.requests, self.record().attempts), ([], 1))

    def test_theClientLeavesMeanwhile(self) -> None:
        """Waiting for a token ends when the client goes."""
        self.call()
        self.sink.leave()
        self.assertEqual(self.record().outcome, Outcome.CLIENT_GONE)

    def test_theTokenIsMasked(self) -> None:
        """What the signer put in is masked in what the provider says."""
        done = self.call()
        token = Secret("the-token-of-this-hour")
        self.signed.callback(msgspec.structs.replace(self.asked[0], credential=token))
        self.upstream.answer(400, JSON, b'{"error":{"message":"bad the-token-of-this-hour"}}')
        error = self.failureResultOf(done, UpstreamRefused).value
        self.assertNotIn("the-token", str(error))
