"""Exchanges whose model has a route: failover, deadlines, hedging, on a simulated clock."""

from __future__ import annotations

import json
from typing import Any

import attrs

from relay.config import (
    BreakerPolicy,
    Deployment,
    DisconnectPolicy,
    HedgePolicy,
    MirrorPolicy,
    QueuePolicy,
    RetryPolicy,
    Route,
)
from relay.errors import (
    NoDeployment,
    Overloaded,
    RelayError,
    UpstreamOverloaded,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from relay.exchange import UpstreamRequest
from relay.outcome import Outcome, Stage
from relay.provider import AuthScheme, Provider, ProviderKey, RateLimit
from relay.secret import Secret
from relay.store.memory import MemoryLimiter
from tests.unit.doubles import MemorySink, ScriptedResponse
from tests.unit.test_gateway import ANSWER, DONE, EVENTS, FAULT, FINISH, JSON, ROLE, WORD, GatewayCase
from tests.unit.values import make_provider, make_request, make_snapshot

BUSY = b'{"error":{"message":"too busy","type":"server_error"}}'


def open_provider(name: str, **settings: Any) -> Provider:
    """A provider that needs no key."""
    return make_provider(name, scheme=AuthScheme.NONE, **settings)


class RouteCase(GatewayCase):
    """A route ``m`` over the providers a, b and c, tried in this order."""

    def setUp(self) -> None:
        """Build the gateway."""
        super().setUp()
        self.providers = tuple(open_provider(name) for name in "abc")
        self.route()

    def deployment(self, provider: Provider, **settings: Any) -> Deployment:
        """A deployment of a provider's model ``x``."""
        return Deployment(f"{provider.name}/x", provider, "x", **settings)

    def route(self, *others: Route, **settings: Any) -> None:
        """Replace the route."""
        values: dict[str, Any] = {"strategy": "ordered", "retry": RetryPolicy(attempts=3, backoff=0.0)}
        deployments = tuple(
            self.deployment(provider, priority=number) for number, provider in enumerate(self.providers)
        )
        route = Route("m", settings.pop("deployments", deployments), **{**values, **settings})
        routes = {each.name: each for each in (route, *others)}
        self.build(make_snapshot(*self.providers, routes=routes))

    @property
    def asked(self) -> list[str]:
        """Names of the providers that were asked, in order."""
        return [request.provider for request in self.upstream.requests]

    def refuse(self, status: int = 503, **headers: str) -> None:
        """The provider asked last answers with an error."""
        self.upstream.answer(status, {**JSON, **headers}, BUSY)


class FailoverTests(RouteCase):
    """Before the client has seen content, another deployment is tried."""

    def test_theNextDeployment(self) -> None:
        """The client sees one good answer, which tells of the way."""
        done = self.call()
        self.refuse()
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(done)
        self.assertEqual(self.asked, ["a", "b"])
        head = dict(self.sink.headers)
        self.assertEqual((self.sink.status, self.sink.body), (200, ANSWER))
        self.assertEqual((head[b"x-relay-deployment"], head[b"x-relay-attempts"]), (b"b/x", b"2"))
        record = self.record()
        self.assertEqual((record.attempts, record.deployment, record.outcome), (2, "b/x", Outcome.COMPLETE))
        results = [(attempt.provider, attempt.result) for attempt in self.observer.attempts]
        self.assertEqual(results, [("a", "upstream_overloaded"), ("b", "ok")])

    def test_everyFaultBeforeContent(self) -> None:
        """Refused connections, time-outs, resets and error statuses: the client notices nothing of any."""
        stage = Stage.FIRST_BYTE
        for error in (
            UpstreamUnreachable("no route", stage=Stage.CONNECT),
            UpstreamUnreachable("reset", stage=stage),
            UpstreamTimeout("slow", deadline="first_byte", stage=stage),
        ):
            self.setUp()
            done = self.call()
            self.upstream.fail(error)
            self.upstream.answer(200, JSON, ANSWER)
            self.successResultOf(done)
            self.assertEqual(self.sink.body, ANSWER)

    def test_theModelOfEachDeployment(self) -> None:
        """Each provider is asked for its own name of the model."""
        self.call()
        sent = json.loads(self.upstream.requests[0].body)  # type: ignore[arg-type]  # bytes
        self.assertEqual(sent["model"], "x")

    def test_theClientsFault(self) -> None:
        """What any deployment would refuse is asked of one only."""
        done = self.call()
        self.refuse(400)
        self.failureResultOf(done, UpstreamRefused)
        self.assertEqual(self.asked, ["a"])

    def test_allFail(self) -> None:
        """The last error is told."""
        done = self.call()
        for _ in "abc":
            self.refuse()
        error = self.failureResultOf(done, UpstreamOverloaded).value
        self.assertEqual((error.http_status, error.message), (503, "too busy"))
        self.assertEqual((self.asked, self.record().attempts), (["a", "b", "c"], 3))

    def test_attempts(self) -> None:
        """No more tries than the route allows."""
        self.route(retry=RetryPolicy(attempts=2, backoff=0.0))
        done = self.call()
        self.refuse()
        self.refuse()
        self.failureResultOf(done, UpstreamOverloaded)
        self.assertEqual(self.asked, ["a", "b"])

    def test_backoff(self) -> None:
        """A single deployment is asked again after a while."""
        self.route(deployments=(self.deployment(self.providers[0]),), retry=RetryPolicy(attempts=2, backoff=0.5))
        done = self.call()
        self.refuse()
        self.assertEqual(self.asked, ["a"])
        self.clock.advance(0.6)
        self.assertEqual(self.asked, ["a", "a"])
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(done)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_otherDialects(self) -> None:
        """Deployments may speak different dialects: the same request is translated for each."""
        self.providers = (open_provider("a"), open_provider("b", dialect="anthropic"))
        self.route()
        done = self.call()
        self.refuse()
        self.assertEqual(self.upstream.requests[-1].target, "/v1/messages")
        self.upstream.answer(
            200,
            JSON,
            b'{"id":"msg_1","type":"message","role":"assistant","model":"x","content":[{"type":"text","text":"hello"}],'
            b'"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}',
        )
        self.successResultOf(done)
        self.assertEqual(json.loads(self.sink.body)["choices"][0]["message"]["content"], "hello")
        self.assertEqual(self.record().back, "anthropic")

    def test_aDeploymentThatCannotTakeIt(self) -> None:
        """A deployment whose dialect has no such operation is passed over."""
        self.providers = (open_provider("a", dialect="anthropic"), open_provider("b"))
        self.route()
        self.call(make_request("/v1/embeddings", b'{"model":"m","input":"hi"}'))
        self.assertEqual(self.asked, ["b"])


class StreamTests(RouteCase):
    """The same for streams, where the moment of commitment counts."""

    def begin(self) -> ScriptedResponse:
        """A streamed exchange whose first answer has begun."""
        self.done = self.stream()
        return self.upstream.answer(200, EVENTS)

    def test_errorBeforeContent(self) -> None:
        """An error event before any content is not shown: the next deployment answers."""
        response = self.begin()
        response.feed(ROLE + FAULT)
        second = self.upstream.answer(200, EVENTS)
        second.feed(ROLE + WORD + FINISH + DONE)
        self.successResultOf(self.done)
        self.assertEqual(self.sink.body, ROLE + WORD + FINISH + DONE)
        self.assertEqual(self.asked, ["a", "b"])

    def test_cutBeforeContent(self) -> None:
        """So does a stream that ends too early."""
        response = self.begin()
        response.feed(ROLE)
        response.close()
        self.upstream.answer(200, EVENTS).feed(WORD + FINISH + DONE)
        self.successResultOf(self.done)
        self.assertEqual(self.sink.body, WORD + FINISH + DONE)

    def test_errorBehindContent(self) -> None:
        """After content nothing is tried again: the client sees an error, and no end."""
        response = self.begin()
        response.feed(ROLE + WORD)
        response.feed(FAULT)
        self.successResultOf(self.done)
        self.assertEqual(self.asked, ["a"])
        self.assertNotIn(DONE, self.sink.body)
        self.assertIn(b'"error"', self.sink.body)

    def test_heartbeatsDoNotCommit(self) -> None:
        """Also after the head and heartbeats have gone out, another deployment may answer."""
        response = self.begin()
        self.clock.advance(15)
        self.assertTrue(self.sink.body.startswith(b": ping"))
        response.fail(UpstreamTimeout("slow", deadline="idle", stage=Stage.STREAM))
        self.assertEqual(self.asked, ["a", "b"])
        self.upstream.answer(200, EVENTS).feed(WORD + FINISH + DONE)
        self.successResultOf(self.done)
        self.assertTrue(self.sink.body.endswith(WORD + FINISH + DONE))


class FallbackTests(RouteCase):
    """Other routes, for the case that is named."""

    def other(self) -> Route:
        """A route to provider c."""
        return Route("big", (self.deployment(self.providers[2]),), retry=RetryPolicy(attempts=1))

    def test_exhausted(self) -> None:
        """When all deployments have failed, the fallback is asked."""
        self.route(self.other(), deployments=(self.deployment(self.providers[0]),), fallbacks=("big",))
        done = self.call()
        self.refuse()
        self.clock.advance(10)
        if self.asked[-1] == "a":
            self.refuse()
            self.clock.advance(10)
        while self.asked[-1] != "c":
            self.refuse()
            self.clock.advance(10)
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(done)

    def test_context(self) -> None:
        """A prompt that is too long goes to the route named for that, at once."""
        self.route(self.other(), context_fallbacks=("big",))
        done = self.call()
        body = b'{"error":{"message":"maximum context length is 8 tokens","code":"context_length_exceeded"}}'
        self.upstream.answer(400, JSON, body)
        self.assertEqual(self.asked, ["a", "c"])
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(done)

    def test_withoutAName(self) -> None:
        """Without such a route the client is told, in the provider's words."""
        done = self.call()
        body = b'{"error":{"message":"maximum context length is 8 tokens","code":"context_length_exceeded"}}'
        self.upstream.answer(400, JSON, body)
        self.assertEqual(self.failureResultOf(done, UpstreamRefused).value.code, "context_length_exceeded")


class DeadlineTests(RouteCase):
    """One deadline for all attempts together."""

    def test_threeThatHang(self) -> None:
        """Five seconds are five seconds, however many deployments hang."""
        self.route(deadline=5.0)
        done = self.call()
        self.clock.advance(4.99)
        self.assertNoResult(done)
        self.clock.advance(0.02)
        error = self.failureResultOf(done, UpstreamTimeout).value
        self.assertEqual((error.deadline, error.http_status), ("total", 504))
        self.assertEqual((self.upstream.cancelled, self.record().outcome), (1, Outcome.TIMEOUT))

    def test_theClientsOwn(self) -> None:
        """A client may be less patient than the route."""
        self.route(deadline=60.0)
        done = self.call(make_request(headers=((b"x-relay-timeout", b"2"),)))
        self.clock.advance(2.01)
        self.failureResultOf(done, UpstreamTimeout)

    def test_withoutARoute(self) -> None:
        """A model with one deployment has the client's deadline, too."""
        self.build(make_snapshot(open_provider("a")))
        for _ in range(2):
            done = self.call(make_request(headers=((b"x-relay-timeout", b"2"),)))
            self.clock.advance(2.01)
            error = self.failureResultOf(done, UpstreamTimeout).value
            self.assertEqual((error.http_status, self.clock.getDelayedCalls()), (504, []))

    def test_behindContent(self) -> None:
        """A stream that is running gets an error event."""
        self.route(deadline=5.0)
        done = self.stream()
        self.upstream.answer(200, EVENTS).feed(ROLE + WORD)
        self.clock.advance(5.1)
        self.successResultOf(done)
        self.assertIn(b'"error"', self.sink.body)


class HealthTests(RouteCase):
    """What happened to one exchange counts for the next."""

    def test_theBreakerOpens(self) -> None:
        """After some failures a deployment is left alone."""
        self.route(breaker=BreakerPolicy(failures=2))
        for _ in range(2):
            done = self.call()
            self.refuse()
            self.upstream.answer(200, JSON, ANSWER)
            self.successResultOf(done)
        before = len(self.asked)
        done = self.call()
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(done)
        self.assertEqual(self.asked[before:], ["b"])

    def test_aProbeHealsIt(self) -> None:
        """After the cool-down one request is let through, and a good answer closes the breaker."""
        self.test_theBreakerOpens()
        self.clock.advance(60)
        before = len(self.asked)
        done = self.call()
        self.assertEqual(self.asked[before:], ["a"])
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(done)

    def test_theClientsFaultIsNotTheProviders(self) -> None:
        """Refused requests do not open a breaker."""
        self.route(breaker=BreakerPolicy(failures=2))
        for _ in range(4):
            done = self.call()
            self.refuse(400)
            self.failureResultOf(done, UpstreamRefused)
        self.assertEqual(set(self.asked), {"a"})

    def test_stormOfRetries(self) -> None:
        """With everything down and many requests running, retries stay a fifth of them."""
        total = 100
        running = [self.call() for _ in range(total)]
        rounds = 0
        while self.upstream._waiting and rounds < 5 * total:
            self.refuse()
            rounds += 1
        for done in running:
            self.failureResultOf(done, RelayError)
        self.assertLessEqual(len(self.asked), total * 1.25)


class GateTests(RouteCase):
    """Bounded parallelism."""

    def test_perDeployment(self) -> None:
        """A deployment that is full is passed over."""
        first, second = (
            self.deployment(self.providers[0], concurrency=1),
            self.deployment(self.providers[1], priority=1),
        )
        self.route(deployments=(first, second))
        self.call()
        self.call()
        self.assertEqual(self.asked, ["a", "b"])

    def test_perProvider(self) -> None:
        """A provider's places are shared by its deployments and by models without a route."""
        self.providers = (open_provider("a", concurrency=1), open_provider("b"))
        self.route()
        self.call()
        done = self.call(make_request(body=b'{"model":"a/other","messages":[{"role":"user","content":"hi"}]}'))
        self.failureResultOf(done, Overloaded)
        self.call()
        self.assertEqual(self.asked, ["a", "b"])

    def test_placesWithoutARoute(self) -> None:
        """They are given back."""
        self.build(make_snapshot(open_provider("a", concurrency=1)))
        for _ in range(3):
            done = self.call()
            self.upstream.answer(200, JSON, ANSWER)
            self.successResultOf(done)

    def test_rateOfADeployment(self) -> None:
        """A deployment whose own rate is used up is passed over."""
        first = self.deployment(self.providers[0], rate_limit=RateLimit(60, 1))
        self.route(deployments=(first, self.deployment(self.providers[1], priority=1)))
        self.gateway.planner._limiter = MemoryLimiter(self.clock.seconds)
        self.call()
        self.call()
        self.assertEqual(self.asked, ["a", "b"])

    def test_perRoute(self) -> None:
        """A route that is full lets requests wait, and turns away what does not fit."""
        self.route(concurrency=1, queue=QueuePolicy(size=1, wait=5.0))
        first = self.call()
        second = self.call()
        self.failureResultOf(self.call(), Overloaded)
        self.assertEqual(self.asked, ["a"])
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(first)
        self.assertEqual(self.asked, ["a", "a"])
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(second)

    def test_waitingTooLong(self) -> None:
        """Nobody waits for ever."""
        self.route(concurrency=1, queue=QueuePolicy(size=1, wait=5.0))
        self.call()
        second = self.call()
        self.clock.advance(5.1)
        self.failureResultOf(second, Overloaded)

    def test_everyPlaceIsGivenBack(self) -> None:
        """Whatever became of an attempt, its place is free again."""
        first = self.deployment(self.providers[0], concurrency=1)
        self.route(deployments=(first,), retry=RetryPolicy(attempts=1))
        for _ in range(3):
            done = self.call()
            self.refuse(400)
            self.failureResultOf(done, UpstreamRefused)
            self.call()
            self.sink.leave()
        self.assertEqual(len(self.asked), 6)


class HedgeTests(RouteCase):
    """A second attempt beside a slow one."""

    def setUp(self) -> None:
        """Hedge after one second, always."""
        super().setUp()
        self.route(hedge=HedgePolicy(after=1.0, share=1.0))

    def test_theFasterWins(self) -> None:
        """The first content that arrives is shown; the other attempt is cancelled."""
        done = self.stream()
        self.clock.advance(1.1)
        self.assertEqual(self.asked, ["a", "b"])
        self.upstream.answer(200, EVENTS).feed(ROLE + WORD + FINISH + DONE)
        self.successResultOf(done)
        self.assertEqual((self.sink.body, self.upstream.cancelled), (ROLE + WORD + FINISH + DONE, 1))
        record = self.record()
        self.assertEqual((record.deployment, record.attempts), ("b/x", 2))

    def test_theFirstMayStillWin(self) -> None:
        """The slow one is not given up before the other has content."""
        done = self.stream()
        self.clock.advance(1.1)
        second, first = self.upstream._waiting.pop(), self.upstream._waiting.pop()
        self.upstream._waiting += [second, first]
        self.upstream.answer(200, EVENTS).feed(ROLE + WORD + FINISH + DONE)
        self.successResultOf(done)
        self.assertEqual((self.record().deployment, self.upstream.cancelled), ("a/x", 1))

    def test_wholeAnswers(self) -> None:
        """The same for answers that come whole: one is shown, once."""
        done = self.call()
        self.clock.advance(1.1)
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(done)
        self.assertEqual((self.sink.body, self.upstream.cancelled), (ANSWER, 1))

    def test_notBehindContent(self) -> None:
        """A stream that has begun is not hedged."""
        self.stream()
        self.upstream.answer(200, EVENTS).feed(ROLE + WORD)
        self.clock.advance(5)
        self.assertEqual(self.asked, ["a"])

    def test_oneOfThemFails(self) -> None:
        """The other one goes on."""
        done = self.call()
        self.clock.advance(1.1)
        self.refuse()
        self.assertNoResult(done)
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(done)
        self.assertEqual(self.record().deployment, "a/x")


class DisconnectTests(RouteCase):
    """What becomes of an answer whose client has left."""

    def begin(self, mode: str, **settings: Any) -> ScriptedResponse:
        """A stream that has begun when the client leaves."""
        self.route(disconnect=DisconnectPolicy(mode=mode, **settings))  # type: ignore[arg-type]  # a word
        self.done = self.stream()
        response = self.upstream.answer(200, EVENTS)
        response.feed(ROLE + WORD)
        self.sink.leave()
        return response

    def test_cancel(self) -> None:
        """By default the provider is let go at once; tokens are an estimate."""
        response = self.begin("cancel")
        record = self.record()
        self.assertTrue(response.aborted)
        self.assertEqual((record.outcome, record.status, record.estimated), (Outcome.CLIENT_GONE, 499, True))
        self.assertEqual(record.usage.output, 1)

    def test_finish(self) -> None:
        """The answer is taken to its end, and its tokens are the provider's."""
        response = self.begin("finish")
        self.assertEqual(self.observer.records, [])
        response.feed(FINISH + b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n' + DONE)
        record = self.record()
        self.assertEqual((record.outcome, record.usage.output, record.estimated), (Outcome.CLIENT_GONE, 2, False))

    def test_drain(self) -> None:
        """For some seconds only."""
        response = self.begin("drain", seconds=5.0)
        self.clock.advance(4.9)
        self.assertEqual(self.observer.records, [])
        self.clock.advance(0.2)
        self.assertTrue(response.aborted)
        self.assertEqual(self.record().outcome, Outcome.CLIENT_GONE)

    def test_drainTokens(self) -> None:
        """Or for so many pieces."""
        response = self.begin("drain", seconds=5.0, tokens=2)
        response.feed(WORD)
        self.assertEqual(self.observer.records, [])
        response.feed(WORD)
        self.assertTrue(response.aborted)
        self.assertEqual((self.record().outcome, self.clock.getDelayedCalls()), (Outcome.CLIENT_GONE, []))


class ExplainTests(RouteCase):
    """What relay would do."""

    def test_plan(self) -> None:
        """Route, candidates and request are told; nobody is called."""
        done = self.call(make_request(headers=((b"x-relay-explain", b"1"),)))
        self.successResultOf(done)
        self.assertEqual(self.upstream.requests, [])
        told = json.loads(self.sink.body)
        self.assertEqual((told["route"], told["strategy"]), ("m", "ordered"))
        self.assertEqual([each["deployment"] for each in told["candidates"]], ["a/x", "b/x", "c/x"])
        self.assertEqual(told["request"]["body"]["model"], "x")
        self.assertEqual(self.record().outcome, Outcome.COMPLETE)

    def test_keysAreMasked(self) -> None:
        """No key in it, wherever it stands."""
        self.providers = (make_provider("a", key="a-secret-key-0001"),)
        self.route()
        self.successResultOf(self.call(make_request(headers=((b"x-relay-explain", b"1"),))))
        self.assertNotIn(b"a-secret-key", self.sink.body)
        self.assertEqual(json.loads(self.sink.body)["request"]["headers"]["authorization"], "***")

    def test_withoutARoute(self) -> None:
        """Models with one deployment are explained, too."""
        self.build(make_snapshot(open_provider("a")))
        self.successResultOf(self.call(make_request(headers=((b"x-relay-explain", b"1"),))))
        self.assertEqual(json.loads(self.sink.body)["candidates"][0]["provider"], "a")


class MirrorTests(RouteCase):
    """Copies for another deployment."""

    def test_aCopy(self) -> None:
        """The mirror gets the request, the client the first answer, and one exchange is recorded."""
        self.route(mirror=MirrorPolicy(self.deployment(self.providers[2]), 1.0))
        done = self.call()
        self.assertEqual(self.asked, ["c", "a"])
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(done)
        self.refuse(500)
        self.assertEqual((self.sink.body, self.record().deployment), (ANSWER, "a/x"))


class KeyTests(RouteCase):
    """Several keys of one provider."""

    def test_rotation(self) -> None:
        """A key that is refused gives way to the next in the same request, and stays away afterwards."""
        provider = make_provider("a", key="first-key-000001")
        others = (ProviderKey(Secret("second-key-00002"), "B"),)
        self.providers = (attrs.evolve(provider, auth=attrs.evolve(provider.auth, others=others)),)
        self.route()
        done = self.call()
        self.refuse(401)
        self.assertEqual(self.keys(), ["Bearer first-key-000001", "Bearer second-key-00002"])
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(done)
        self.call()
        self.assertEqual(self.keys()[-1], "Bearer second-key-00002")

    def keys(self) -> list[str]:
        """The credentials that were sent."""
        return [self.sent(request) for request in self.upstream.requests]

    def sent(self, request: UpstreamRequest) -> str:
        """One credential."""
        return dict(request.headers)[b"authorization"].decode()


class NobodyTests(RouteCase):
    """Nothing to choose from."""

    def test_allDrained(self) -> None:
        """Deployments that an operator has drained get nothing."""
        self.route(deployments=(self.deployment(self.providers[0], drained=True),))
        error = self.failureResultOf(self.call(), NoDeployment).value
        self.assertEqual((error.http_status, self.upstream.requests), (503, []))
        self.assertIsInstance(self.sink, MemorySink)


class SpareKeyTests(KeyTests):
    """A key that is limited says nothing about its deployment, as long as there is another one."""

    def test_limited(self) -> None:
        """The other key is tried at once, at the same deployment, though others stand in line."""
        provider = make_provider("a", key="first-key-000001")
        others = (ProviderKey(Secret("second-key-00002"), "B"),)
        first = attrs.evolve(provider, auth=attrs.evolve(provider.auth, others=others))
        self.providers = (first, open_provider("b"))
        self.route()
        done = self.call()
        self.refuse(429, **{"retry-after": "60"})
        self.assertEqual(self.keys(), ["Bearer first-key-000001", "Bearer second-key-00002"])
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(done)
