"""What one attempt of a route must not do to the next, or to the one beside it."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail

from relay.config import HedgePolicy, RetryPolicy
from relay.dialects.registry import DIALECTS
from relay.errors import RelayError, UpstreamTimeout, UpstreamUnreachable
from relay.exchange import UpstreamRequest
from relay.interfaces import IUpstreamResponse
from relay.outcome import Outcome, Stage
from relay.web.failures import render
from tests.unit.routes.test_course import RouteCase, open_provider
from tests.unit.test_gateway import ANSWER, DONE, EVENTS, FINISH, JSON, ROLE, WORD
from tests.unit.values import make_request

SLOW = UpstreamTimeout("slow", deadline="first_byte", stage=Stage.FIRST_BYTE)
MESSAGE = (
    b'{"id":"msg_1","type":"message","role":"assistant","model":"x","content":[{"type":"text","text":"hello"}],'
    b'"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}'
)


class BodyTests(RouteCase):
    """The request is kept until there is content."""

    def test_translatedAfterAStreamThatBroke(self) -> None:
        """A stream that ends before content does not keep a deployment of another dialect from answering."""
        self.providers = (open_provider("a"), open_provider("b", dialect="anthropic"))
        self.route()
        self.stream()
        response = self.upstream.answer(200, EVENTS)
        response.feed(ROLE)
        response.close()
        self.assertEqual(self.asked, ["a", "b"])
        body = self.upstream.requests[-1].body
        assert isinstance(body, bytes)
        self.assertIn(b'"hi"', body)

    def test_unreadableTranslation(self) -> None:
        """An answer that cannot be translated is no answer: the next deployment is asked, and its answer shown."""
        self.providers = (open_provider("a", dialect="anthropic"), open_provider("b"))
        self.route()
        done = self.call()
        self.upstream.answer(200, JSON, b'{"type":"message","content":7}')
        self.assertEqual(self.asked, ["a", "b"])
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(done)
        self.assertEqual((self.sink.body, self.record().deployment), (ANSWER, "b/x"))

    def test_halfAnAnswer(self) -> None:
        """JSON that breaks off is no answer, though HTTP calls it whole; blanks behind a whole one do no harm."""
        done = self.call()
        self.upstream.answer(200, JSON, ANSWER[:60])
        self.assertEqual(self.asked, ["a", "b"])
        self.upstream.answer(200, JSON, ANSWER + b" \n")
        self.successResultOf(done)
        self.assertEqual((self.sink.body, self.record().deployment), (ANSWER + b" \n", "b/x"))


class WayTests(RouteCase):
    """Errors tell what was tried before them."""

    def test_errors(self) -> None:
        """Who was asked last, how many tries there were, and where the time went."""
        done = self.call()
        self.clock.advance(0.5)
        for _ in "abc":
            self.refuse()
        error = self.failureResultOf(done, RelayError).value
        assert isinstance(error, RelayError)
        told = {b"x-relay-deployment": b"c/x", b"x-relay-attempts": b"3"}
        told[b"server-timing"] = b"relay;dur=0.0, upstream;dur=500.0"
        self.assertEqual(dict(error.way), told)
        self.assertEqual(set(told.items()) - set(render(error, DIALECTS["openai"], "r").headers), set())

    def test_nothingWasTried(self) -> None:
        """Errors before the first try tell nothing."""
        error = self.failureResultOf(self.call(make_request(body=b"{}")), RelayError).value
        assert isinstance(error, RelayError)
        self.assertEqual(error.way, ())


class RivalTests(RouteCase):
    """Two attempts beside each other: heartbeats go to the client once, and end with the answer."""

    def setUp(self) -> None:
        """Hedge after one second."""
        super().setUp()
        self.route(hedge=HedgePolicy(after=1.0, share=1.0))

    def hedged(self) -> None:
        """A stream with two attempts under way."""
        self.done = self.stream()
        self.clock.advance(1.1)
        self.assertEqual(self.asked, ["a", "b"])

    def test_theFirstFailsTheSecondAnswers(self) -> None:
        """Nothing of the first one's is written into the answer of the second, or behind it."""
        self.hedged()
        second = self.upstream._waiting.pop()
        self.upstream.fail(SLOW)
        self.upstream._waiting.append(second)
        response = self.upstream.answer(200, EVENTS)
        response.feed(ROLE + WORD)
        self.clock.advance(10)
        response.feed(FINISH + DONE)
        self.successResultOf(self.done)
        self.assertEqual(self.sink.body, ROLE + WORD + FINISH + DONE)
        self.assertEqual(self.record().outcome, Outcome.COMPLETE)

    def test_theSecondFails(self) -> None:
        """What it has set up ends with it."""
        self.hedged()
        self.upstream.fail(SLOW)
        self.upstream.answer(200, EVENTS).feed(ROLE + WORD + FINISH + DONE)
        self.successResultOf(self.done)
        self.assertEqual(self.record().deployment, "a/x")

    def test_theClientLeaves(self) -> None:
        """Both are given up, and no timer stays."""
        self.hedged()
        self.sink.leave()
        self.assertEqual((self.upstream.cancelled, self.record().outcome), (2, Outcome.CLIENT_GONE))

    def test_theSecondAnswersWhole(self) -> None:
        """The same where the answer is no stream."""
        self.hedged()
        second = self.upstream._waiting.pop()
        self.upstream.fail(SLOW)
        self.upstream._waiting.append(second)
        self.upstream.answer(200, JSON, ANSWER)
        self.successResultOf(self.done)
        self.assertEqual((self.sink.body, self.record().outcome), (ANSWER, Outcome.COMPLETE))

    def test_aFailureAtOnce(self) -> None:
        """An attempt that ended in the moment in which it began is not hedged."""
        self.route(hedge=HedgePolicy(after=1.0, share=1.0), retry=RetryPolicy(attempts=1))

        def send(_: UpstreamRequest) -> Deferred[IUpstreamResponse]:
            return fail(UpstreamUnreachable("no route", stage=Stage.CONNECT))

        self.patch(self.upstream, "send", send)
        self.failureResultOf(self.stream(), UpstreamUnreachable)
        self.assertEqual(self.record().attempts, 1)

    def test_noRivalBetweenTwoAttempts(self) -> None:
        """While nothing is under way, the next attempt is the one that waits for its turn."""
        self.route(hedge=HedgePolicy(after=1.0, share=1.0), retry=RetryPolicy(attempts=3, backoff=8.0))
        self.stream()
        self.clock.advance(0.9)
        self.upstream.fail(SLOW)
        self.upstream.fail(SLOW)
        self.clock.advance(1.5)
        self.assertEqual(self.asked, ["a", "b"])
