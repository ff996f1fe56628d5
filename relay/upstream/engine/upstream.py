"""The way to all providers over relay's own connections.

No redirects, no cookies, no decoding, no retries but one over a dead kept connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from treq.client import HTTPClient
from twisted.internet._sslverify import IOpenSSLTrustRoot
from twisted.internet.defer import Deferred
from zope.interface import implementer

from relay.exchange import UpstreamRequest
from relay.interfaces import IArrivingBody, IUpstream, IUpstreamResponse
from relay.provider import Origin
from relay.runtime.transport import eager
from relay.runtime.wheel import Wheel
from relay.upstream.engine.agent import make_client
from relay.upstream.engine.dial import Dialer, Verified
from relay.upstream.engine.pool import Pool
from relay.upstream.engine.response import EngineResponse
from relay.upstream.engine.uploading import UploadResponse


def _itself(origin: Origin) -> Origin:
    return origin


@implementer(IUpstream)
class EngineUpstream:
    """Sends requests to providers.

    Args:
        reactor: opens sockets and resolves names.
        wheel: runs all deadlines.
        locate: an origin → where it really is; answers for origins that have no host, such as ``echo``.
        trust: the authorities to trust instead of the platform's, or None.
        connections: most connections to one origin; by default as many as clients may have to relay.
        queue: requests that may wait when an origin has that many.
        idle_seconds: how long an idle connection is kept.
    """

    def __init__(
        self,
        reactor: Any,
        wheel: Wheel,
        *,
        locate: Callable[[Origin], Origin] = _itself,
        trust: IOpenSSLTrustRoot | None = None,
        connections: int = 10_000,
        queue: int = 1000,
        idle_seconds: float = 55.0,
    ) -> None:
        dialer = Dialer(eager(reactor), wheel, Verified(trust))
        self._reactor = reactor
        self._wheel = wheel
        self._locate = locate
        self._pool = Pool(reactor, wheel, dialer, connections, queue, idle_seconds)

    def send(self, request: UpstreamRequest) -> Deferred[IUpstreamResponse]:
        """Send a request; fires when the answer's head is complete.

        Fails with `UpstreamError`, with `Overloaded` when too many requests wait for the
        origin, or with the `RelayError` that reading the request's own body failed with.
        Cancelling aborts the connection in any phase.
        """
        pool = self._pool.find(request.origin) or self._pool.at(self._locate(request.origin))
        if isinstance(request.body, bytes) or not IArrivingBody.providedBy(request.body):
            return EngineResponse(pool, self._wheel, request).start()
        return UploadResponse(pool, self._wheel, request).start()

    def client(self) -> HTTPClient:
        """Make a treq client over the same connections, for calls off the hot path.

        It knows only ``http`` and ``https``, keeps no cookies, and bounds nothing but
        connecting: callers give ``timeout`` and ``allow_redirects=False``.
        """
        return make_client(self._reactor, self._pool)

    def close(self) -> Deferred[None]:
        """Close idle connections, and let no other become idle; fires when they are closed."""
        return self._pool.close()
