"""Tests of the model catalog."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from relay.dialects.transcode import Transcoder
from relay.errors import UpstreamUnreachable
from relay.exchange import Headers, UpstreamRequest
from relay.interfaces import IModelCatalog, ISink, IUpstream, IUpstreamResponse
from relay.outcome import Stage
from relay.provider import ModelSource, Origin, Provider
from relay.secret import Secret
from relay.upstream.catalog import ENTRIES, LIST_BYTES, PAGES, RETRY, ModelCatalog
from tests.unit.values import make_provider


@implementer(IUpstreamResponse)
class ListResponse:
    """An answer that is there."""

    headers: Headers = ()

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.aborted = False
        self._body = body

    def at_hand(self, limit: int) -> bytes | None:
        return None

    def read(self, limit: int) -> Deferred[bytes]:
        assert limit == LIST_BYTES
        return succeed(self._body)

    def stream(self, transcoder: Transcoder, sink: ISink) -> Deferred[None]:
        raise NotImplementedError

    def abort(self) -> None:
        self.aborted = True


@implementer(IUpstream)
class ListUpstream:
    """Answers list requests when the test says so."""

    def __init__(self) -> None:
        self.asked: list[UpstreamRequest] = []
        self.waiting: list[Deferred[IUpstreamResponse]] = []
        self.cancelled = 0

    def send(self, request: UpstreamRequest) -> Deferred[IUpstreamResponse]:
        def cancelled(_: object) -> None:
            self.cancelled += 1

        self.asked.append(request)
        self.waiting.append(Deferred(cancelled))
        return self.waiting[-1]

    def close(self) -> Deferred[None]:
        return succeed(None)

    def answer(self, *ids: str, status: int = 200, **more: object) -> ListResponse:
        """Answer the oldest request."""
        response = ListResponse(status, json.dumps({"data": [{"id": each} for each in ids], **more}).encode())
        self.waiting.pop(0).callback(response)
        return response

    def break_off(self) -> None:
        """Let the oldest request fail."""
        self.waiting.pop(0).errback(UpstreamUnreachable("no way", stage=Stage.CONNECT))


def authorize(provider: Provider, credential: Secret | None) -> tuple[Headers, str]:
    """As the assembly would, more or less."""
    key = credential.reveal() if credential else ""
    return ((b"authorization", key.encode()),), f"{provider.models.target}?limit=2"


PROVIDER = make_provider("first", key="own-key-of-first", models=ModelSource(target="/v1/models"))
OWN = PROVIDER.auth.credential
CLIENT = Secret("key-of-a-client")


class ModelCatalogTests(SynchronousTestCase):
    """Fetching, keeping, sharing, failing."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.upstream = ListUpstream()
        self.catalog = ModelCatalog(self.clock, self.upstream, authorize)
        self.logged = EventLoggingObserver()
        globalLogPublisher.addObserver(self.logged)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged)

    def logs(self) -> list[str]:
        """What was logged."""
        return [event["log_format"] for event in self.logged]

    def test_interface(self) -> None:
        """It is a catalog."""
        self.assertTrue(verifyObject(IModelCatalog, self.catalog))

    def test_fetched(self) -> None:
        """The list is asked for with the caller's credential, at the provider's origin, within bounds."""
        models = self.catalog.models(PROVIDER, OWN)
        self.upstream.answer("a", "b")
        self.assertEqual(self.successResultOf(models), ("a", "b"))
        request = self.upstream.asked[0]
        self.assertEqual(
            (request.method, request.target, request.origin), ("GET", "/v1/models?limit=2", PROVIDER.origin)
        )
        self.assertEqual(request.headers, ((b"authorization", b"own-key-of-first"),))
        self.assertEqual((request.stream, request.timeouts.connect, request.timeouts.total), (False, 5.0, 5.0))

    def test_noList(self) -> None:
        """A provider whose file names no list is not asked."""
        provider = make_provider(models=ModelSource(listed=("a",)))
        self.assertEqual(self.successResultOf(self.catalog.models(provider, OWN)), ())
        self.assertEqual(self.catalog.known(provider), frozenset())
        self.assertEqual(self.upstream.asked, [])

    def test_kept(self) -> None:
        """A list holds for 300 seconds, then it is fetched anew."""
        self.catalog.models(PROVIDER, OWN)
        self.upstream.answer("a")
        self.clock.advance(299)
        self.assertEqual(self.successResultOf(self.catalog.models(PROVIDER, OWN)), ("a",))
        self.assertEqual(len(self.upstream.asked), 1)
        self.clock.advance(1)
        models = self.catalog.models(PROVIDER, OWN)
        self.upstream.answer("b")
        self.assertEqual(self.successResultOf(models), ("b",))

    def test_oneAtATime(self) -> None:
        """Callers that come while a list is being fetched share it; one that gives up takes nothing from the others."""
        callers = [self.catalog.models(PROVIDER, OWN) for _ in range(3)]
        callers[0].cancel()
        self.failureResultOf(callers[0])
        self.upstream.answer("a")
        self.assertEqual([self.successResultOf(each) for each in callers[1:]], [("a",), ("a",)])
        self.assertEqual(len(self.upstream.asked), 1)

    def test_apart(self) -> None:
        """What one key may see is not shown to another; known is only what relay's own key sees."""
        models = {name: self.catalog.models(PROVIDER, key) for name, key in (("own", OWN), ("client", CLIENT))}
        self.upstream.answer("public")
        self.upstream.answer("public", "private")
        self.assertEqual(self.successResultOf(models["own"]), ("public",))
        self.assertEqual(self.successResultOf(models["client"]), ("public", "private"))
        self.assertEqual(self.catalog.known(PROVIDER), {"public"})
        self.assertEqual(self.successResultOf(self.catalog.models(PROVIDER, OWN)), ("public",))

    def test_known(self) -> None:
        """What was fetched with the provider's own key or none is known without waiting, until the address changes."""
        self.assertEqual(self.catalog.known(PROVIDER), frozenset())
        for key in (OWN, None):
            self.catalog.models(PROVIDER, key)
            self.upstream.answer(str(key))
            self.assertEqual(self.catalog.known(PROVIDER), {str(key)})
        for moved in (
            make_provider("first", origin=Origin("http", "other", 1), models=PROVIDER.models),
            make_provider("first", models=ModelSource(target="/other")),
            make_provider("second", models=PROVIDER.models),
        ):
            self.assertEqual(self.catalog.known(moved), frozenset())

    def test_pages(self) -> None:
        """Further pages are asked for where the list goes on."""
        models = self.catalog.models(PROVIDER, OWN)
        self.upstream.answer("a", "b", has_more=True, last_id="b")
        self.upstream.answer("b", "c", has_more=False, last_id="c")
        self.assertEqual(self.successResultOf(models), ("a", "b", "c"))
        self.assertEqual(
            [each.target for each in self.upstream.asked], ["/v1/models?limit=2", "/v1/models?limit=2&after_id=b"]
        )

    def test_endlessPages(self) -> None:
        """A list that never ends is left after a few pages."""
        models = self.catalog.models(PROVIDER, OWN)
        for page in range(PAGES):
            self.assertNoResult(models)
            self.upstream.answer(f"m{page}", has_more=True, last_id="x")
        self.assertEqual(len(self.successResultOf(models)), PAGES)
        self.assertEqual(len(self.upstream.asked), PAGES)

    def test_dead(self) -> None:
        """A provider that fails lists what it last did, and is left alone for 15 seconds."""
        self.catalog.models(PROVIDER, OWN)
        self.upstream.answer("a")
        self.clock.advance(300)
        models = self.catalog.models(PROVIDER, OWN)
        self.upstream.break_off()
        self.assertEqual(self.successResultOf(models), ("a",))
        self.clock.advance(RETRY - 1)
        self.assertEqual(self.successResultOf(self.catalog.models(PROVIDER, OWN)), ("a",))
        self.assertEqual(len(self.upstream.asked), 2)
        self.clock.advance(1)
        self.assertNoResult(self.catalog.models(PROVIDER, OWN))
        self.assertEqual(self.catalog.known(PROVIDER), {"a"})

    def test_neverFails(self) -> None:
        """Whatever goes wrong, the answer is a list."""
        faults: Mapping[str, Callable[[], object]] = {
            "unreachable": lambda: self.upstream.waiting[0].errback(UpstreamUnreachable("no", stage=Stage.CONNECT)),
            "refused": lambda: self.upstream.waiting[0].callback(ListResponse(401, b"")),
            "not a list": lambda: self.upstream.waiting[0].callback(ListResponse(200, b"<html>")),
            "too slow": lambda: self.clock.advance(5),
            "body cut": lambda: self.upstream.waiting[0].callback(CutResponse()),
        }
        for label, act in faults.items():
            self.setUp()
            models = self.catalog.models(PROVIDER, OWN)
            act()
            self.assertEqual(self.successResultOf(models), (), label)
            self.assertEqual(self.logs(), ["model list not available: {provider}: {reason}"], label)
            self.assertEqual(self.clock.getDelayedCalls(), [], label)

    def test_refusedAnswerIsDropped(self) -> None:
        """The body of an error answer is not taken."""
        self.catalog.models(PROVIDER, OWN)
        self.assertTrue(self.upstream.answer(status=500).aborted)

    def test_tooSlow(self) -> None:
        """The bound holds for all pages together, and drops the request under way."""
        models = self.catalog.models(PROVIDER, OWN)
        self.clock.advance(3)
        self.upstream.answer("a", has_more=True, last_id="a")
        self.clock.advance(2)
        self.assertEqual(self.successResultOf(models), ())
        self.assertEqual(self.upstream.cancelled, 1)

    def test_loggedOnChange(self) -> None:
        """Failing is logged once, and so is being back."""
        for _ in range(3):
            self.catalog.models(PROVIDER, OWN)
            self.upstream.break_off()
            self.clock.advance(RETRY)
        self.assertEqual(len(self.logs()), 1)
        for _ in range(2):
            self.catalog.models(PROVIDER, OWN)
            self.upstream.answer("a")
            self.clock.advance(300)
        self.assertEqual(self.logs()[1:], ["model list is back: {provider}"])
        self.assertNotIn("own-key", repr(list(self.logged)))

    def test_bounded(self) -> None:
        """Lists of keys that nobody uses any more make room for others."""
        for number in range(ENTRIES + 1):
            self.catalog.models(PROVIDER, Secret(f"key-{number}"))
            self.upstream.answer("a")
        asked = len(self.upstream.asked)
        self.catalog.models(PROVIDER, Secret(f"key-{ENTRIES}"))
        self.assertEqual(len(self.upstream.asked), asked)
        self.catalog.models(PROVIDER, Secret("key-0"))
        self.assertEqual(len(self.upstream.asked), asked + 1)


class CutResponse(ListResponse):
    """An answer whose body does not come."""

    def __init__(self) -> None:
        super().__init__(200, b"")

    def read(self, limit: int) -> Deferred[bytes]:
        return fail(UpstreamUnreachable("cut", stage=Stage.STREAM))
