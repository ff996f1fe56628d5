"""The use case: one client request, from admission to its settled record.

admit → plan → attempt → settle. Everything that does I/O is behind an interface;
everything that decides is a pure function in `policy` or `dialects`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar, cast

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from relay.attempt import Attempt
from relay.config import Route
from relay.errors import ClientGone, InternalError, RelayError, RequestError, UpstreamError
from relay.exchange import ClientRequest, ExchangeRecord, ExchangeStarted, KeyInfo
from relay.interfaces import (
    IArrivingBody,
    IConfiguration,
    IKeyStore,
    ILimiter,
    IModelCatalog,
    IObserver,
    ISigner,
    ISink,
    IUpstream,
    of_no_interest,
)
from relay.planning import Plan, Planner, Read, Way
from relay.routes import explaining
from relay.routes.fleet import Fleet
from relay.routes.mirroring import Mirrors
from relay.running import RunningExchange
from relay.secret import Redactor, Secret
from relay.serving import Serving, draining

_Fact = TypeVar("_Fact")


class Gateway:
    """Runs exchanges and knows which are running.

    Args:
        configuration: the snapshot in force.
        upstream: the way to providers.
        signer: puts signatures and tokens into requests.
        catalog: what providers list.
        keys: who may call.
        limiter: request rates.
        observers: told of every exchange.
        redaction: gives the filter for every key that relay knows.
        clock: timers of heartbeats and drain; its ``seconds()`` is monotonic.
        wall: Unix seconds.
        fleet: what is known of deployments.
        chance: uniform numbers from 0 to 1.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        configuration: IConfiguration,
        upstream: IUpstream,
        signer: ISigner,
        catalog: IModelCatalog,
        keys: IKeyStore,
        limiter: ILimiter,
        observers: Sequence[IObserver],
        redaction: Callable[[], Redactor],
        clock: IReactorTime,
        wall: Callable[[], float],
        fleet: Fleet,
        chance: Callable[[], float],
    ) -> None:
        self._configuration = configuration
        self._upstream = upstream
        self._signer = signer
        self.planner = Planner(keys, limiter, catalog)
        self.fleet = fleet
        self.chance = chance
        self._mirrors = Mirrors(chance)
        self._keys = keys
        self._started = _interested(observer.exchange_started for observer in observers)
        self._attempted = _interested(observer.attempt_ended for observer in observers)
        self._settled = _interested(observer.exchange_settled for observer in observers)
        self._redaction = redaction
        self.clock = clock
        self._wall = wall
        self._running: dict[RunningExchange, Serving] = {}
        self._idle: Deferred[None] | None = None
        self.draining = False

    # ── what web/ and service call ────────────────────────────────────────────────────

    def exchange(self, request: ClientRequest, sink: ISink) -> Deferred[None]:
        """Serve one request and settle exactly one record.

        Returns:
            Fires when the answer has ended, however it did. Fails with `RelayError` only,
            and only while ``sink.started`` is False: the caller renders it.
        """
        running = RunningExchange(request, self._configuration.snapshot, self.clock.seconds, self._wall)
        self._tell(self._started, ExchangeStarted(request.id, request.endpoint.path))
        serving = Serving(self, running, sink)
        self._running[running] = serving
        sink.on_gone(serving.left)
        body = request.body
        if not isinstance(body, bytes) and IArrivingBody.providedBy(body):
            cast("IArrivingBody", body).watch(serving.broken_off)
        serving.start()
        return serving.done

    def identify(self, credential: Secret | None) -> KeyInfo | None:
        """The owner of a key, before a request's body is read; None where that takes a while.

        Raises:
            Unauthenticated: it is none of relay's, or there is none.
        """
        found = self._keys.lookup(credential)
        if isinstance(found, Deferred):
            found.addErrback(lambda _: None)  # the exchange asks again, and waits
            return None
        return found

    def authenticate(self, credential: Secret | None) -> Deferred[KeyInfo]:
        """The owner of a key; fails with `Unauthenticated`."""
        return Deferred.fromCoroutine(self._owner(credential))

    async def _owner(self, credential: Secret | None) -> KeyInfo:
        found = self._keys.lookup(credential)
        return await found if isinstance(found, Deferred) else found

    def note(self, record: ExchangeRecord) -> None:
        """Settle a request that web/ answered itself: a refusal, a model list."""
        self._tell(self._started, ExchangeStarted(record.id, record.endpoint))
        self._tell(self._settled, record)

    @property
    def active(self) -> int:
        """Exchanges running now."""
        return len(self._running)

    def drain(self, deadline: float) -> Deferred[None]:
        """Refuse new exchanges, let running ones end, and end the rest at the deadline.

        Args:
            deadline: seconds; what still runs then gets an in-stream error or a 503.

        Returns:
            Fires when nothing runs any more.
        """
        self.draining = True
        if not self._running:
            return succeed(None)
        self._idle = Deferred()
        timer = self.clock.callLater(deadline, self._interrupt)

        return self._idle.addCallback(lambda _: timer.cancel() if timer.active() else None)

    def _interrupt(self) -> None:
        for running, serving in list(self._running.items()):
            running.interruption = draining()
            serving.cancel()

    # ── one exchange ──────────────────────────────────────────────────────────────────

    def owner(self, request: ClientRequest) -> KeyInfo | Deferred[KeyInfo]:
        """Who calls.

        Raises:
            Unauthenticated: nobody that may.
        """
        return request.key or self._keys.lookup(request.credential)

    def attempt(
        self,
        running: RunningExchange,
        plan: Plan,
        sink: ISink,
        ended: Callable[[Failure | None], None],
        *,
        claim: Callable[[], bool] | None = None,
        survives: bool = False,
        rival: bool = False,
    ) -> Attempt:
        """Make an attempt; see `Attempt`."""
        return Attempt(
            running,
            plan,
            sink,
            self._upstream,
            self._signer,
            self._redaction,
            self.clock,
            ended,
            claim=claim,
            survives=survives,
            rival=rival,
        )

    def attempted(self, running: RunningExchange, sink: ISink, attempt: Attempt, reason: Failure | None) -> None:
        """Tell the observers how an attempt went."""
        result: UpstreamError | str = "ok"
        if reason is not None:
            error = reason.value
            result = error if isinstance(error, UpstreamError) else "internal_error"
            if isinstance(error, CancelledError):
                result = "client_gone" if sink.gone else "cancelled"
                why = running.interruption
                if why is not None:
                    result = why if isinstance(why, UpstreamError) else why.code
                    result = "client_gone" if isinstance(why, RequestError) else result  # its upload broke off
        self._tell(self._attempted, running.attempt_ended(result, attempt.deployment, attempt.began))

    def explained(self, running: RunningExchange, parsed: Read, where: Way | Route, sink: ISink) -> bool:
        """Answer with the plan, and call nobody, if that is what the client asks for."""
        if running.request.header(explaining.EXPLAIN) in (None, b"0", b"false"):
            return False
        explaining.answer(self, running, parsed, where, sink, self._redaction())
        return True

    def mirror(self, running: RunningExchange, parsed: Read, route: Route) -> None:
        """Send a copy of the request to a route's mirror, now and then."""
        try:
            self._mirrors.maybe(self, running, parsed, route)
        except Exception:
            self._log.failure("mirroring failed", route=route.name)

    def settle(self, running: RunningExchange, sink: ISink, reason: Failure | None) -> RelayError | None:
        """Whatever happened, end the answer truthfully and tell the observers once.

        Returns:
            The error that the caller has to render.
        """
        sink.on_gone(None)
        error = None if reason is None else self._error_of(reason, running, sink)
        render = None
        if error is not None:
            running.failed(error, visible=sink.started)
            if not sink.gone:
                if sink.started:
                    self._fail_visibly(running, sink, error)
                else:
                    render = error
                    error.way = running.way()
        if running.delivery is not None:
            running.delivery.close()
        self._tell(self._settled, running.record())
        self._forget(running)
        return render

    def _forget(self, running: RunningExchange) -> None:
        del self._running[running]
        if self._idle is not None and not self._running:
            idle, self._idle = self._idle, None
            idle.callback(None)

    def _error_of(self, reason: Failure, running: RunningExchange, sink: ISink) -> RelayError:
        if isinstance(reason.value, CancelledError | RelayError):
            if sink.gone:
                return ClientGone("The client left.")
            if running.interruption is not None:
                return running.interruption
        if isinstance(reason.value, RelayError):
            return reason.value
        deployment = running.deployment
        self._log.failure(
            "unexpected exception in an exchange",
            failure=reason,
            exchange=running.request.id,
            endpoint=running.request.endpoint.path,
            provider=deployment.provider.name if deployment else "",
        )
        return InternalError("relay failed; the request id tells its operator where to look.")

    def _fail_visibly(self, running: RunningExchange, sink: ISink, error: RelayError) -> None:
        """The head is out: an in-stream error, unless the provider's own has been passed on."""
        delivery = running.delivery
        if delivery is None:
            sink.abort()
        elif delivery.carries_error:
            delivery.finish()
        else:
            delivery.fail(error)

    def _tell(self, tellers: Sequence[Callable[[_Fact], None]], fact: _Fact) -> None:
        for tell in tellers:
            try:
                tell(fact)
            except Exception:
                self._log.failure("observer failed", observer=getattr(tell, "__qualname__", "?"))


def _interested(tellers: Iterable[Callable[[_Fact], None]]) -> Sequence[Callable[[_Fact], None]]:
    return tuple(tell for tell in tellers if tell is not of_no_interest)
