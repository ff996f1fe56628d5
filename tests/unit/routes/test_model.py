"""Any sequence of faults, waits, departures and reloads: what must hold of every exchange on a route, all the same."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from relay.config import (
    BreakerPolicy,
    Deployment,
    DisconnectPolicy,
    HedgePolicy,
    MirrorPolicy,
    QueuePolicy,
    RetryPolicy,
    Route,
    Snapshot,
    Sticky,
)
from relay.errors import RelayError, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from relay.exchange import UpstreamRequest
from relay.gateway import Gateway
from relay.interfaces import IUpstream, IUpstreamResponse
from relay.outcome import Outcome, Stage
from relay.policy.retry import RetryBudget
from relay.provider import AuthScheme, Provider, ProviderKey, StreamConfig
from relay.routes.fleet import Fleet
from relay.secret import Redactor, Secret
from tests.unit.doubles import (
    FixedCatalog,
    FixedConfiguration,
    MemoryObserver,
    MemorySink,
    NoLimits,
    NoSigner,
    OpenKeys,
    ScriptedResponse,
)
from tests.unit.values import make_provider, make_request, make_snapshot

JSON = ((b"content-type", b"application/json"),)
HTML = ((b"content-type", b"text/html"),)
EVENTS = ((b"content-type", b"text/event-stream"),)
DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"
FAR = 3600.0
"""Seconds after which everything that has a deadline of relay's own is over."""

STATUSES = (400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 501, 503, 529)
REFUSALS = {
    "context": b'{"error":{"message":"maximum context length is 8 tokens","code":"context_length_exceeded"}}',
    "policy": b'{"error":{"message":"no","code":"content_filter"}}',
}
INSTANT = ("unreachable", "503", "400", "429", "whole", "rubbish", "nothing")
"""What a provider may do in the moment in which it is asked."""


def said(text: str) -> bytes:
    """A piece of a stream in OpenAI's dialect, that says something."""
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode() + b"\n\n"


ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
FAULT = b'data: {"error":{"message":"overloaded","type":"server_error","code":"overloaded"}}\n\n'


class Try:
    """One request that reached a provider.

    Attributes:
        exchange: number of the exchange, or -1 for a mirror's copy.
        number: its own.
        deferred: the answer's head.
        response: the answer, or None before its head.
        over: whether the request was answered whole, failed, or was given up.
    """

    def __init__(self, number: int, request: UpstreamRequest, exchange: int) -> None:
        self.number = number
        self.request = request
        self.exchange = exchange
        self.deferred: Deferred[IUpstreamResponse] = Deferred(self._cancel)
        self.response: ScriptedResponse | None = None
        self.cancelled = False
        self.failed = False

    def _cancel(self, _: object) -> None:
        self.cancelled = True

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it."""
        response = self.response
        if response is None:
            return self.cancelled or self.failed
        return response.aborted or response._done.called

    @property
    def mark(self) -> str:
        """What only its answer says."""
        return f"<try {self.number}>"

    @property
    def translated(self) -> bool:
        """Whether its provider speaks Anthropic's dialect."""
        return self.request.target == "/v1/messages"

    def answer(self, status: int, headers: Any, body: bytes | None = None) -> ScriptedResponse:
        """Send the head; with a body, all."""
        response = self.response = ScriptedResponse(status, headers)
        if body is not None:
            response.feed(body)
            response.close()
        self.deferred.callback(response)
        return response

    def fail(self, error: UpstreamError) -> None:
        """Have no answer."""
        self.failed = True
        self.deferred.errback(error)

    def whole(self) -> bytes:
        """A good answer that is not streamed."""
        if self.translated:
            content = [{"type": "text", "text": self.mark}]
            message = {"id": "m", "type": "message", "role": "assistant", "model": "x", "content": content}
            usage = {"input_tokens": 3, "output_tokens": 2}
            return json.dumps({**message, "stop_reason": "end_turn", "usage": usage}).encode()
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": self.mark}}
        return json.dumps({"id": "c", "object": "chat.completion", "model": "x", "choices": [choice]}).encode()


@implementer(IUpstream)
class Providers:
    """Every provider: keeps what is asked, and may answer in the same moment.

    Attributes:
        tries: all, in order.
        instant: what happens to the next requests at once.
    """

    def __init__(self, model: RoutesMachine) -> None:
        self._model = model
        self.tries: list[Try] = []
        self.instant: list[str] = []

    def send(self, request: UpstreamRequest) -> Deferred[IUpstreamResponse]:
        """Take a request."""
        assert isinstance(request.body, bytes)
        found = re.search(rb"exchange-(\d+)\.", request.body)
        assert found is not None, request.body
        asked = Try(len(self.tries), request, int(found[1]))
        self.tries.append(asked)
        self._model.sent(asked)
        what = self.instant.pop(0) if self.instant else "nothing"
        if what == "unreachable":
            asked.fail(UpstreamUnreachable("no route", stage=Stage.CONNECT))
        elif what == "whole":
            asked.answer(200, JSON, asked.whole())
        elif what == "rubbish":
            asked.answer(200, JSON, b'{"x":1}')
        elif what != "nothing":
            asked.answer(int(what), JSON, b'{"error":{"message":"no"}}')
        return asked.deferred

    def close(self) -> Deferred[None]:
        """Nothing to close."""
        raise AssertionError("not called here")


class StrictBudget(RetryBudget):
    """Fails when more is taken than there is."""

    active = 0

    def may(self, active: int) -> bool:
        """Remember how many exchanges run."""
        self.active = active
        return super().may(active)

    def took(self) -> None:
        """Check before taking."""
        assert super().may(self.active), "more retries than the budget has"
        super().took()


@attrs.define(eq=False)
class Call:
    """One exchange as its client sees it."""

    number: int
    model: str
    stream: bool
    began: float
    deadline: float | None
    sink: MemorySink
    most: int
    done: list[object] = attrs.Factory(list)
    tries: list[Try] = attrs.Factory(list)

    @property
    def over(self) -> bool:
        """Whether the exchange has ended."""
        return bool(self.done)

    @property
    def marks(self) -> set[bytes]:
        """Which answers the client has seen of."""
        return set(re.findall(rb"<try \d+>", self.sink.body))


NAMES = ("plain", "hedged", "falling", "narrow", "sticky", "finishing", "draining", "strict")
PROVIDERS = ("a", "b", "c")


class RoutesMachine(RuleBasedStateMachine):
    """A gateway whose routes lead to providers that do what they like."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.observer = MemoryObserver()
        self.upstream = Providers(self)
        self.fleet = Fleet(self.clock, lambda: 0.37)
        self.fleet.budget = StrictBudget()
        self.configuration = FixedConfiguration(self.snapshot("none", 1))
        self.calls: list[Call] = []
        self.gateway = Gateway(
            configuration=self.configuration,
            upstream=self.upstream,
            signer=NoSigner(),
            catalog=FixedCatalog(),
            keys=OpenKeys(),
            limiter=NoLimits(),
            observers=[self.observer],
            redaction=lambda: Redactor(self.configuration.snapshot.secrets()),
            clock=self.clock,
            wall=self.clock.seconds,
            fleet=self.fleet,
            chance=lambda: 0.37,
        )

    # ── configuration ─────────────────────────────────────────────────────────────────

    def snapshot(self, without: str, narrow: int) -> Snapshot:
        """All routes, without one of the providers, some of them with so many places."""
        providers = {name: self.provider(name) for name in PROVIDERS}
        left = [name for name in PROVIDERS if name != without]

        def deployments(names: list[str], tag: str = "x", **settings: Any) -> tuple[Deployment, ...]:
            return tuple(
                Deployment(f"{name}/{tag}", providers[name], "x", priority=place, **settings)
                for place, name in enumerate(names)
            )

        retry = RetryPolicy(attempts=3, backoff=0.5, ceiling=4.0)
        breaker = BreakerPolicy(failures=2, cooldown=3.0, slow_start=2.0)
        common: dict[str, Any] = {"retry": retry, "breaker": breaker, "deadline": 40.0}
        last = left[-1:]
        routes = [
            Route("plain", deployments(left), **common),
            Route("hedged", deployments(left), strategy="latency", hedge=HedgePolicy(1.0, 1.0), **common),
            Route("falling", deployments(left[:1]), fallbacks=("narrow",), context_fallbacks=("plain",),
                  policy_fallbacks=("hedged",), **{**common, "retry": RetryPolicy(attempts=1)}),
            Route("narrow", deployments(last, tag="n", concurrency=narrow), concurrency=2 * narrow,
                  queue=QueuePolicy(1, 2.0), **common),
            Route("sticky", deployments(left), sticky=Sticky("prompt"), **common),
            Route("finishing", deployments(left), disconnect=DisconnectPolicy("finish"),
                  hedge=HedgePolicy(2.0, 1.0), **common),
            Route("draining", deployments(left), disconnect=DisconnectPolicy("drain", 5.0, 3),
                  mirror=MirrorPolicy(deployments(last, tag="mirror")[0], 1.0), **common),
            Route("strict", deployments(left, concurrency=narrow, tag="s"), **{**common, "deadline": 5.0}),
        ]  # fmt: skip
        return make_snapshot(*providers.values(), routes={route.name: route for route in routes})

    def provider(self, name: str) -> Provider:
        """The first has two keys, the last speaks another dialect."""
        if name == "a":
            provider = make_provider("a", key="key-number-one-1", stream=StreamConfig(heartbeat=4.0))
            second = ProviderKey(Secret("key-number-two-2"), "B")
            return attrs.evolve(provider, auth=attrs.evolve(provider.auth, others=(second,)))
        return make_provider(name, scheme=AuthScheme.NONE, dialect="anthropic" if name == "c" else None)

    # ── what clients do ───────────────────────────────────────────────────────────────

    @rule(model=st.sampled_from(NAMES), stream=st.booleans(), patience=st.sampled_from((None, None, 0.5, 3)))
    def ask(self, model: str, stream: bool, patience: float | None) -> None:
        """A request comes."""
        number = len(self.calls)
        route = self.configuration.snapshot.routes[model]
        limits = [limit for limit in (patience, route.deadline) if limit is not None]
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": f"exchange-{number}."}]}
        now = self.clock.seconds()
        request = make_request(
            body=json.dumps(body).encode(),
            headers=((b"x-relay-timeout", b"%g" % patience),) if patience else (),
            id=f"req-{number}",
            received=now,
        )
        routes = self.configuration.snapshot.routes
        falls = (*route.fallbacks, *route.context_fallbacks, *route.policy_fallbacks)
        most = sum(each.retry.attempts + (each.hedge is not None) for each in (route, *(routes[n] for n in falls)))
        call = Call(number, model, stream, now, min(limits, default=None), MemorySink(), most)
        self.calls.append(call)
        self.gateway.exchange(request, call.sink).addBoth(call.done.append)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """A client goes away."""
        data.draw(st.sampled_from(self.running)).sink.leave()

    @property
    def running(self) -> list[Call]:
        """Exchanges whose client is there."""
        return [call for call in self.calls if not call.over and not call.sink.gone]

    # ── what providers do ─────────────────────────────────────────────────────────────

    @property
    def asked(self) -> list[Try]:
        """Requests without any answer."""
        return [each for each in self.upstream.tries if each.response is None and not each.over]

    @property
    def answering(self) -> list[Try]:
        """Streams that are not at their end."""
        return [each for each in self.upstream.tries if each.response is not None and not each.over]

    @rule(what=st.lists(st.sampled_from(INSTANT), max_size=4))
    def at_once(self, what: list[str]) -> None:
        """Providers will answer in the moment in which they are asked."""
        self.upstream.instant[:] = what

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), stage=st.sampled_from(("connect", "reset", "slow")))
    def no_answer(self, data: st.DataObject, stage: str) -> None:
        """A request fails."""
        asked = data.draw(st.sampled_from(self.asked))
        if stage == "connect":
            asked.fail(UpstreamUnreachable("no route", stage=Stage.CONNECT))
        elif stage == "reset":
            asked.fail(UpstreamUnreachable("reset", stage=Stage.FIRST_BYTE))
        else:
            asked.fail(UpstreamTimeout("slow", deadline="first_byte", stage=Stage.FIRST_BYTE))

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), status=st.sampled_from(STATUSES), after=st.sampled_from((None, 0, 1, 60)))
    def refuse(self, data: st.DataObject, status: int, after: int | None) -> None:
        """A provider answers with an error."""
        headers = JSON if after is None else (*JSON, (b"retry-after", b"%d" % after))
        data.draw(st.sampled_from(self.asked)).answer(status, headers, b'{"error":{"message":"no"}}')

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), why=st.sampled_from(sorted(REFUSALS)))
    def refuse_the_prompt(self, data: st.DataObject, why: str) -> None:
        """A provider does not like the prompt."""
        data.draw(st.sampled_from(self.asked)).answer(400, JSON, REFUSALS[why])

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), kind=st.sampled_from(("good", "rubbish", "html", "empty", "cut")))
    def answer_whole(self, data: st.DataObject, kind: str) -> None:
        """An answer comes in one piece, whether a stream was asked for or not."""
        asked = data.draw(st.sampled_from(self.asked))
        bodies = {"good": asked.whole(), "rubbish": b'{"x":1}', "html": b"<html>", "empty": b"", "cut": b'{"id":'}
        asked.answer(200, HTML if kind == "html" else JSON, bodies[kind])

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """The head of a stream comes."""
        data.draw(st.sampled_from(self.asked)).answer(200, EVENTS)

    @precondition(lambda self: self.answering)
    @rule(data=st.data(), what=st.sampled_from(("role", "word", "word", "finish", "done", "fault", "garbage", "half")))
    def go_on(self, data: st.DataObject, what: str) -> None:
        """More of a stream."""
        asked = data.draw(st.sampled_from(self.answering))
        pieces = {
            "role": ROLE,
            "word": said(asked.mark),
            "finish": FINISH,
            "done": DONE,
            "fault": FAULT,
            "garbage": b"data: {{{\n\n",
            "half": b"data: {",
        }
        self.feed(asked, pieces[what])

    @precondition(lambda self: self.answering)
    @rule(data=st.data())
    def end_well(self, data: st.DataObject) -> None:
        """The rest of a stream."""
        asked = data.draw(st.sampled_from(self.answering))
        self.feed(asked, said(asked.mark) + FINISH + DONE)

    def feed(self, asked: Try, data: bytes) -> None:
        """Send bytes; what the transcoder cannot read breaks the stream, as the real upstream has it."""
        response = asked.response
        assert response is not None
        try:
            response.feed(data)
        except UpstreamError as error:
            if not response._done.called:
                response.fail(error)

    @precondition(lambda self: self.answering)
    @rule(data=st.data(), clean=st.booleans())
    def stop(self, data: st.DataObject, clean: bool) -> None:
        """A stream ends where it stands."""
        response = data.draw(st.sampled_from(self.answering)).response
        assert response is not None
        if clean:
            response.close()
        else:
            response.fail(UpstreamTimeout("slow", deadline="idle", stage=Stage.STREAM))

    # ── what the operator and time do ─────────────────────────────────────────────────

    @rule(without=st.sampled_from(("none", "a", "b", "c")), narrow=st.integers(1, 2))
    def reload(self, without: str, narrow: int) -> None:
        """Another configuration comes into force."""
        self.configuration.snapshot = self.snapshot(without, narrow)
        self.fleet.forget(self.configuration.snapshot)

    @rule(name=st.sampled_from(("a/x", "b/x", "c/n")), state=st.sampled_from(("open", "closed", None)))
    def force(self, name: str, state: Any) -> None:
        """An operator takes a deployment out, or keeps it in."""
        self.fleet.force(name, state)

    @rule(seconds=st.sampled_from((0.01, 0.3, 1.0, 3.0, 10.0, 50.0)))
    def wait(self, seconds: float) -> None:
        """Time passes, each timer in its moment."""
        end = self.clock.seconds() + seconds
        for _ in range(10_000):
            calls = self.clock.getDelayedCalls()
            first = min((call.getTime() for call in calls), default=end)
            if first >= end:
                break
            self.clock.advance(max(0.0, first - self.clock.seconds()) + 1e-9)
        else:
            raise AssertionError("timers without end")
        self.clock.advance(max(0.0, end - self.clock.seconds()))

    # ── what holds ────────────────────────────────────────────────────────────────────

    def sent(self, asked: Try) -> None:
        """A provider is asked: that may be so."""
        call = self.calls[asked.exchange]
        if asked.request.deployment.endswith("/mirror"):
            return
        assert not call.over, "an attempt after the end"
        assert not call.marks, "an attempt after content was seen"
        assert call.deadline is None or self.clock.seconds() <= call.began + call.deadline + 1e-6
        call.tries.append(asked)
        assert len(call.tries) <= call.most, "more attempts than the routes allow"

    @invariant()
    def at_most_one_answer(self) -> None:
        """A client sees content of one attempt only, and one end, which is true."""
        for call in self.calls:
            sink = call.sink
            assert len(call.marks) <= 1, sink.body
            assert not (sink.ended and sink.aborted)
            assert sink.body.count(DONE) <= 1
            if call.over and sink.started and not sink.gone:
                assert sink.ended or sink.aborted, "left open"
                if dict(sink.headers)[b"content-type"].startswith(b"text/event-stream") and sink.ended:
                    good = sink.body.endswith(DONE)
                    assert good != (b'"error"' in sink.body), sink.body

    @invariant()
    def one_record(self) -> None:
        """Whoever is over has one record, and no one else."""
        records = Counter(record.id for record in self.observer.records)
        over = {f"req-{call.number}" for call in self.calls if call.over}
        assert set(records) == over
        assert all(count == 1 for count in records.values())
        assert self.gateway.active == len(self.calls) - len(over)
        complete = {record.id for record in self.observer.records if record.outcome is Outcome.COMPLETE}
        for call in self.calls:
            if f"req-{call.number}" in complete:
                assert call.done == [None]
                assert call.sink.ended
            elif call.over and call.done != [None]:
                assert isinstance(getattr(call.done[0], "value", None), RelayError), call.done
        assert not any(record.outcome is Outcome.INTERNAL for record in self.observer.records)

    @invariant()
    def nothing_goes_on(self) -> None:
        """What was asked for an exchange that is over is given up or finished."""
        for call in self.calls:
            if call.over:
                assert all(each.over for each in call.tries), "an attempt goes on"

    @invariant()
    def deadlines(self) -> None:
        """Nobody waits longer than the deadline."""
        for call in self.calls:
            if not call.over and call.deadline is not None:
                limit = call.deadline if not call.marks else 40.0
                assert self.clock.seconds() <= call.began + limit + 1e-6

    @invariant()
    def everything_is_counted(self) -> None:
        """Attempts under way are what health and budget think."""
        flying = Counter(each.request.deployment for call in self.calls for each in call.tries if not each.over)
        for name, health in self.fleet.healths.items():
            assert 0 <= health.busy <= flying[name], name

    def teardown(self) -> None:
        """In the end everything is over and given back."""
        self.upstream.instant.clear()
        self.wait(FAR)
        for each in self.upstream.tries:
            if not each.over:  # without a deadline of relay's it waits for the provider's
                error = UpstreamTimeout("slow", deadline="idle", stage=Stage.STREAM)
                each.fail(error) if each.response is None else each.response.fail(error)
                self.wait(FAR)
        for check in (self.one_record, self.nothing_goes_on, self.at_most_one_answer):
            check()
        assert self.gateway.active == 0
        assert self.fleet.budget.running == 0
        assert self.clock.getDelayedCalls() == [], self.clock.getDelayedCalls()
        assert all(health.busy == 0 for health in self.fleet.healths.values())
        assert all((gate.inside, gate.waiting) == (0, 0) for gate in self.fleet._gates.values())


class ModelTests(SynchronousTestCase):
    """The model above, run by hypothesis."""

    def test_anySequence(self) -> None:
        """No sequence breaks an invariant."""
        run_state_machine_as_test(
            RoutesMachine,
            settings=settings(max_examples=150, stateful_step_count=30, deadline=None, database=None),
        )
        self.flushLoggedErrors()
