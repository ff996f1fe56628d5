"""The way to all providers: treq over an agent over one pool of connections.

No redirects, no cookies, no decoding, no retries but one over a dead kept connection.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from twisted.internet._sslverify import IOpenSSLTrustRoot
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.client import HostnameCachingHTTPSPolicy
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from relay.exchange import UpstreamRequest
from relay.interfaces import IUpstream, IUpstreamResponse
from relay.provider import Origin
from relay.runtime.trust import Peer, Trust
from relay.upstream.pool import Pool
from relay.upstream.sending import Means, Sending, no_cookies

_TLS_HOSTS = 256
"""Hosts whose TLS settings are kept; making one reads all trusted certificates."""


def _itself(origin: Origin) -> Origin:
    return origin


@implementer(IPolicyForHTTPS)
class _Verified:
    """TLS that verifies; Twisted's own policy lets certificates without names pass (see `relay.runtime.trust`)."""

    def __init__(self, root: IOpenSSLTrustRoot | None) -> None:
        self._root = root

    @functools.cached_property
    def _trust(self) -> Trust:
        """Read when the first ``https`` origin asks: it reads all trusted certificates."""
        return Trust(self._root)

    def creatorForNetloc(self, hostname: bytes, port: int) -> Peer:
        """Settings for connections to a host."""
        return self._trust.peer(hostname.decode("ascii"))


@implementer(IUpstream)
class Upstream:
    """Sends requests to providers.

    Args:
        reactor: opens sockets and runs deadlines.
        locate: an origin → where it really is; answers for origins that have no host, such as ``echo``.
        trust: the authorities to trust instead of the platform's, or None.
        idle_limit: idle connections kept for one origin.
        idle_seconds: how long an idle connection is kept.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        *,
        locate: Callable[[Origin], Origin] = _itself,
        trust: IOpenSSLTrustRoot | None = None,
        idle_limit: int = 1000,
        idle_seconds: float = 55.0,
    ) -> None:
        policy = HostnameCachingHTTPSPolicy(_Verified(trust), _TLS_HOSTS)
        self._locate = locate
        self._pool = Pool(reactor, idle_limit, idle_seconds)
        self._means = Means(reactor, self._pool, policy, no_cookies())

    def send(self, request: UpstreamRequest) -> Deferred[IUpstreamResponse]:
        """Send a request; fires when the answer's head is complete.

        Fails with `UpstreamError`, or with the `RelayError` that reading the request's own
        body failed with. Cancelling aborts the connection in any phase.
        """
        return Sending(self._means, request, self._locate(request.origin)).start()

    def close(self) -> Deferred[None]:
        """Close idle connections, and let no other become idle; fires when they are closed."""
        return self._pool.close()
