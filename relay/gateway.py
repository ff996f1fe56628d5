"""The use case: one client request, from admission to its settled record.

admit → plan → attempt → settle. Everything that does I/O is behind an interface;
everything that decides is a pure function in `policy` or `dialects`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from relay.attempt import Attempt, answer_alone
from relay.errors import ClientGone, Draining, InternalError, RelayError, UpstreamError
from relay.exchange import ClientRequest, ExchangeRecord, ExchangeStarted, KeyInfo
from relay.interfaces import IConfiguration, IKeyStore, ILimiter, IModelCatalog, IObserver, ISink, IUpstream
from relay.planning import Estimate, Plan, Planner
from relay.running import RunningExchange
from relay.secret import Redactor, Secret

_Fact = TypeVar("_Fact")


class Gateway:
    """Runs exchanges and knows which are running.

    Args:
        configuration: the snapshot in force.
        upstream: the way to providers.
        catalog: what providers list.
        keys: who may call.
        limiter: request rates.
        observers: told of every exchange.
        redaction: gives the filter for every key that relay knows.
        clock: timers of heartbeats and drain; its ``seconds()`` is monotonic.
        wall: Unix seconds.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        configuration: IConfiguration,
        upstream: IUpstream,
        catalog: IModelCatalog,
        keys: IKeyStore,
        limiter: ILimiter,
        observers: Sequence[IObserver],
        redaction: Callable[[], Redactor],
        clock: IReactorTime,
        wall: Callable[[], float],
    ) -> None:
        self._configuration = configuration
        self._upstream = upstream
        self._planner = Planner(keys, limiter, catalog)
        self._keys = keys
        self._started = [observer.exchange_started for observer in observers]
        self._attempted = [observer.attempt_ended for observer in observers]
        self._settled = [observer.exchange_settled for observer in observers]
        self._redaction = redaction
        self._clock = clock
        self._wall = wall
        self._running: dict[RunningExchange, Deferred[None]] = {}
        self._idle: Deferred[None] | None = None
        self.draining = False

    # ── what web/ and service call ────────────────────────────────────────────────────

    def exchange(self, request: ClientRequest, sink: ISink) -> Deferred[None]:
        """Serve one request and settle exactly one record.

        Returns:
            Fires when the answer has ended, however it did. Fails with `RelayError` only,
            and only while ``sink.started`` is False: the caller renders it.
        """
        running = RunningExchange(request, self._configuration.snapshot, self._clock.seconds, self._wall)
        self._tell(self._started, ExchangeStarted(request.id, request.endpoint.path))
        done = Deferred.fromCoroutine(self._run(running, sink))
        self._running[running] = done
        sink.on_gone(done.cancel)
        return done.addBoth(self._settle, running, sink)

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
        timer = self._clock.callLater(deadline, self._interrupt)

        return self._idle.addCallback(lambda _: timer.cancel() if timer.active() else None)

    def _interrupt(self) -> None:
        for running, done in list(self._running.items()):
            running.interruption = _draining()
            done.cancel()

    # ── one exchange ──────────────────────────────────────────────────────────────────

    async def _run(self, running: RunningExchange, sink: ISink) -> None:
        try:
            if self.draining:
                raise _draining()
            running.key = running.request.key or await self._owner(running.request.credential)
            planned = self._planner.plan(running)
            if isinstance(planned, Estimate):
                answer_alone(running, planned, sink)
            else:
                await self._attempt(running, planned, sink)
        except (CancelledError, RelayError) as error:
            if sink.gone:
                raise ClientGone("The client left.") from error
            if running.interruption is not None:
                raise running.interruption from error
            raise

    async def _attempt(self, running: RunningExchange, planned: Plan, sink: ISink) -> None:
        running.attempt_began()
        result: UpstreamError | str = "internal_error"
        try:
            await Attempt(running, planned, sink, self._upstream, self._redaction(), self._clock).run()
            result = "ok"
        except UpstreamError as error:
            result = error
            raise
        except CancelledError:
            result = "client_gone" if sink.gone else "draining"
            raise
        finally:
            self._tell(self._attempted, running.attempt_ended(result))

    def _settle(self, result: Failure | None, running: RunningExchange, sink: ISink) -> Failure | None:
        """Whatever happened, end the answer truthfully and tell the observers once."""
        error = self._error_of(result, running)
        sink.on_gone(None)
        render = False
        if error is not None:
            running.failed(error, visible=sink.started)
            render = not sink.started and not sink.gone
            if sink.started and not sink.gone:
                self._fail_visibly(running, sink, error)
        if running.delivery is not None:
            running.delivery.close()
        self._tell(self._settled, running.record())
        self._forget(running)
        return Failure(error) if error is not None and render else None

    def _forget(self, running: RunningExchange) -> None:
        del self._running[running]
        if self._idle is not None and not self._running:
            idle, self._idle = self._idle, None
            idle.callback(None)

    def _error_of(self, result: Failure | None, running: RunningExchange) -> RelayError | None:
        if result is None:
            return None
        if isinstance(result.value, RelayError):
            return result.value
        deployment = running.deployment
        self._log.failure(
            "unexpected exception in an exchange",
            failure=result,
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


def _draining() -> Draining:
    return Draining("relay is shutting down; try again in a moment.", retry_after=1.0)
