"""What the web layer needs from the layers around it, and the facts that the assembly gives it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Protocol

import attrs

from twisted.internet.defer import Deferred

from relay.exchange import ClientRequest, ExchangeRecord, KeyInfo
from relay.interfaces import ISink
from relay.secret import Secret


class Gateway(Protocol):
    """The use case, as far as resources call it; `relay.gateway.Gateway` is one."""

    def exchange(self, request: ClientRequest, sink: ISink) -> Deferred[None]:
        """Serve one request; fails with `RelayError` only while ``sink.started`` is False."""

    def identify(self, credential: Secret | None) -> KeyInfo | None:
        """The owner of a key without waiting, None if that cannot be told; raises `Unauthenticated`."""

    def authenticate(self, credential: Secret | None) -> Deferred[KeyInfo]:
        """The owner of a key; fails with `Unauthenticated`."""

    def note(self, record: ExchangeRecord) -> None:
        """Settle a request that a resource has answered itself."""


class Phase(enum.Enum):
    """Where the process stands in its life."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


@attrs.frozen
class Status:
    """The state of the process, for ``/health`` and ``/ready``.

    Attributes:
        phase: starting, serving or draining.
        uptime: seconds since the start.
        active_requests: exchanges running now.
        buckets: rate limit buckets in use, by endpoint.
        providers: provider name → its state in a word (``ok``); names left out are ``unknown``.
        deployments: deployment name → what is known of its health, of those that have routes.
        reload_failures: readings of the configuration that were refused.
        reload_error: why the last reading was refused, "" when it was good.
        degraded: what does not work although requests are served, one phrase each.
    """

    phase: Phase
    uptime: float
    active_requests: int = 0
    buckets: Mapping[str, int] = attrs.field(factory=dict)
    providers: Mapping[str, str] = attrs.field(factory=dict)
    deployments: Mapping[str, Mapping[str, object]] = attrs.field(factory=dict)
    reload_failures: int = 0
    reload_error: str = ""
    degraded: tuple[str, ...] = ()


@attrs.frozen
class Introspection:
    """How the admin resources look into the running process.

    Attributes:
        status: the state now.
        metrics: exposition of all metrics and its content type.
    """

    status: Callable[[], Status]
    metrics: Callable[[], tuple[bytes, str]]
