"""The record of a request that the web layer answers itself: a refusal, a model list."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from twisted.internet.interfaces import IReactorTime

from relay.errors import RelayError
from relay.exchange import ExchangeRecord, KeyInfo
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
        status, outcome = (499, Outcome.CLIENT_GONE) if request.gone else (error.http_status, error.outcome)
        record = self._record(request, endpoint, front)
        self._gateway.note(msgspec.structs.replace(record, status=status, outcome=outcome, error=error.code))

    def served(self, request: RelayRequest, endpoint: str, front: str, key: KeyInfo, size: int) -> None:
        """A request was answered well, with so many bytes."""
        self._gateway.note(msgspec.structs.replace(self._record(request, endpoint, front), key=key, bytes_out=size))

    def turned_away(self, request_id: str, client: str, error: RelayError) -> None:
        """A connection was answered with an error although no request was understood on it."""
        self._gateway.note(
            ExchangeRecord(
                id=request_id,
                time=self._wall(),
                method="other",
                endpoint="other",
                client=client,
                status=error.http_status,
                outcome=error.outcome,
                error=error.code,
                duration=0.0,
                generation=self._configuration.snapshot.generation,
            )
        )

    def _record(self, request: RelayRequest, endpoint: str, front: str) -> ExchangeRecord:
        duration = self._clock.seconds() - request.arrived
        return ExchangeRecord(
            id=request.id,
            time=self._wall() - duration,
            method=request.method.decode("ascii") if request.method in _METHODS else "other",
            endpoint=endpoint,
            front=front,
            client=request.peer,
            status=200,
            outcome=Outcome.COMPLETE,
            duration=duration,
            generation=self._configuration.snapshot.generation,
        )
