"""The record of a request that the web layer answers itself: a refusal, a model list."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from relay.errors import RelayError
from relay.exchange import ANONYMOUS, ExchangeRecord, KeyInfo
from relay.interfaces import IConfiguration
from relay.outcome import Outcome
from relay.web.request import RelayRequest
from relay.web.seams import Gateway

_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})


class Reporter:
    """Writes such records and has the gateway settle them.

    Args:
        gateway: takes the records.
        configuration: tells the generation.
        clock: the clock of durations.
        wall: Unix seconds.
    """

    def __init__(
        self, gateway: Gateway, configuration: IConfiguration, clock: IReactorTime, wall: Callable[[], float]
    ) -> None:
        self._gateway = gateway
        self._configuration = configuration
        self._clock = clock
        self._wall = wall

    def refused(self, request: RelayRequest, endpoint: str, front: str, error: RelayError) -> None:
        """A request was answered with an error before it became an exchange."""
        status = 499 if request.gone else error.http_status
        outcome = Outcome.CLIENT_GONE if request.gone else error.outcome
        self._note(request, endpoint, front, status=status, outcome=outcome, error=error.code)

    def served(self, request: RelayRequest, endpoint: str, front: str, key: KeyInfo, size: int) -> None:
        """A request was answered well, with so many bytes."""
        self._note(request, endpoint, front, status=200, outcome=Outcome.COMPLETE, key=key, size=size)

    def _note(
        self,
        request: RelayRequest,
        endpoint: str,
        front: str,
        *,
        status: int,
        outcome: Outcome,
        error: str = "",
        key: KeyInfo = ANONYMOUS,
        size: int = 0,
    ) -> None:
        duration = self._clock.seconds() - request.arrived
        self._gateway.note(
            ExchangeRecord(
                id=request.id,
                time=self._wall() - duration,
                method=request.method.decode("ascii") if request.method in _METHODS else "other",
                endpoint=endpoint,
                front=front,
                key=key,
                client=request.peer,
                status=status,
                outcome=outcome,
                error=error,
                duration=duration,
                bytes_out=size,
                generation=self._configuration.snapshot.generation,
            )
        )
