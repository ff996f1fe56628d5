"""One request on its way to a provider, until the answer's head is there."""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import Any

import attrs

from treq.client import HTTPClient
from treq.cookies import IndexableCookieJar
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.client import Agent
from twisted.web.http_headers import Headers as WebHeaders
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IBodyProducer, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from relay.errors import UpstreamProtocol
from relay.exchange import Headers, UpstreamRequest
from relay.interfaces import IUpstreamResponse
from relay.outcome import Stage
from relay.provider import Origin
from relay.upstream.body import producer_for
from relay.upstream.connection import Lease
from relay.upstream.failures import before_body, timed_out, unanswered
from relay.upstream.pool import Dial, Pool
from relay.upstream.response import Response
from relay.upstream.watch import Watch

_ANY_URL = "http://upstream/"
"""What treq is told. It rewrites URLs (``{}`` becomes ``%7B%7D``, an empty query goes) and
takes no IPv6 address; the true origin and target are put in below it."""

_BODYLESS = (204, 304)

_COOKIES = (b"Set-Cookie", b"Set-Cookie2")
"""Taken out before the cookie machinery sees them: it fails on values that are not ASCII."""


def no_cookies() -> IndexableCookieJar:
    """A cookie jar that takes nothing and gives nothing."""
    return IndexableCookieJar(DefaultCookiePolicy(allowed_domains=[]))


@attrs.frozen
class Means:
    """What every request is sent with.

    Attributes:
        reactor: opens sockets and runs deadlines.
        pool: the connections.
        policy: trust and verification for TLS.
        cookies: takes no cookie.
    """

    reactor: IReactorTime
    pool: Pool
    policy: IPolicyForHTTPS
    cookies: IndexableCookieJar


@implementer(IAgent)
class _Wire:
    """The innermost agent of one try: what goes on the wire, and what may come back.

    Args:
        means: what to send with.
        request: what to send.
        dial: where to.
    """

    def __init__(self, means: Means, request: UpstreamRequest, dial: Dial) -> None:
        self._means = means
        self._request = request
        self._dial = dial

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: WebHeaders | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """Send over a connection of the pool, asking for an answer that is not compressed."""
        headers = WebHeaders() if headers is None else headers.copy()
        headers.setRawHeaders(b"Accept-Encoding", [b"identity"])  # treq has put gzip there
        origin = self._dial.origin
        headers.setRawHeaders(b"Host", [origin.netloc.encode("ascii")])
        agent = Agent.usingEndpointFactory(self._means.reactor, self._dial, self._means.pool)
        answer: Deferred[IResponse] = agent.request(method, _url(origin), headers, bodyProducer)
        return answer.addCallback(self._check)

    def _check(self, answer: IResponse) -> IResponse:
        for name in _COOKIES:
            answer.headers.removeHeader(name)
        encodings = b",".join(answer.headers.getRawHeaders(b"Content-Encoding", [])).split(b",")
        if 300 <= answer.code <= 399:
            self._refuse("The provider answered with a redirect, which relay does not follow.", answer.code)
        if any(each.strip().lower() not in (b"", b"identity") for each in encodings):
            self._refuse("The provider's answer is compressed, which relay did not ask for.", answer.code)
        answer.headers.removeHeader(b"Content-Encoding")
        return answer

    def _refuse(self, text: str, status: int) -> None:
        deployment = self._request.deployment
        raise UpstreamProtocol(text, stage=Stage.FIRST_BYTE, deployment=deployment, upstream_status=status)


class _Dead(Exception):
    """A kept connection brought nothing; the request may go over a fresh one."""


class Sending:
    """Sends one request, and once more over a fresh connection if a kept one proved dead.

    That is the case when the connection had been used before and not one byte of an answer came.

    Args:
        means: what to send with.
        request: what to send.
        origin: where to connect; the request's origin, or what it stands for.
    """

    def __init__(self, means: Means, request: UpstreamRequest, origin: Origin) -> None:
        self._means = means
        self._request = request
        self._origin = origin
        self._watch = Watch(means.reactor, self._expired)
        self._lease = Lease(b"")
        self._pending: Deferred[Any] | None = None
        self._stopped: Exception | None = None

    def start(self) -> Deferred[IUpstreamResponse]:
        """Send; fires when the answer's head is complete. Cancelling aborts."""
        result: Deferred[IUpstreamResponse] = Deferred(lambda _: self._stop(CancelledError()))
        total = self._request.timeouts.stream_total if self._request.stream else self._request.timeouts.total
        if total is not None:
            self._watch.arm("total", total)
        Deferred.fromCoroutine(self._run()).addCallbacks(result.callback, result.errback)
        return result

    async def _run(self) -> Response:
        try:
            try:
                answer = await self._try(fresh=False)
            except _Dead:
                answer = await self._try(fresh=True)
        except BaseException:
            self._watch.stop()
            raise
        self._watch.disarm("first_byte")
        return Response(self._request, answer, _fields(answer), self._lease, self._watch)

    async def _try(self, *, fresh: bool) -> IResponse:
        """Try once.

        Raises:
            _Dead: a kept connection was closed at the other end before it brought anything.
            RelayError: as `Upstream.send` says.
            CancelledError: nobody waits any more.
        """
        lease = self._lease = Lease(self._request.target.encode("utf-8"))
        try:
            self._pending = self._send(lease, fresh=fresh)
            answer: IResponse = await self._pending
            return answer
        except Exception as error:
            lease.abort()
            if self._stopped is not None:
                raise self._stopped from error
            if lease.reused and not lease.received and unanswered(error):
                raise _Dead from error
            raise before_body(error, lease, self._request.deployment) from error
        finally:
            self._pending = None

    def _send(self, lease: Lease, *, fresh: bool) -> Deferred[Any]:
        means, request = self._means, self._request
        timeouts = request.timeouts
        self._watch.arm("connect", timeouts.connect)
        dial = Dial(means.reactor, means.policy, self._origin, timeouts.connect, lease, self._leased, fresh=fresh)
        headers = WebHeaders()
        for name, value in request.headers:
            headers.addRawHeader(name, value)
        return HTTPClient(_Wire(means, request, dial), means.cookies).request(
            request.method,
            _ANY_URL,
            headers=headers,
            data=producer_for(request.body),
            allow_redirects=False,
            unbuffered=True,
            reactor=means.reactor,  # type: ignore[arg-type]  # treq names more than it uses
        )

    def _leased(self) -> None:
        self._watch.disarm("connect")
        if self._request.stream:
            self._watch.arm("first_byte", self._request.timeouts.first_byte)

    def _expired(self, deadline: str) -> None:
        if self._lease.connection is None:
            stage = Stage.CONNECT
        else:
            stage = Stage.SEND if self._lease.sending else Stage.FIRST_BYTE
        self._stop(timed_out(deadline, stage, self._request.deployment))

    def _stop(self, error: Exception) -> None:
        self._stopped = error
        if self._pending is not None:
            self._pending.cancel()
        self._lease.abort()


def _url(origin: Origin) -> bytes:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return f"{origin.scheme}://{host}:{origin.port}/".encode("ascii")


def _fields(answer: IResponse) -> Headers:
    """All header fields of an answer, names in lower case, and its length if it is known."""
    fields = [(name.lower(), value) for name, values in answer.headers.getAllRawHeaders() for value in values]
    fields = [(name, value) for name, value in fields if name != b"content-encoding"]
    if answer.length is not UNKNOWN_LENGTH and answer.code not in _BODYLESS:
        fields = [(name, value) for name, value in fields if name != b"content-length"]
        fields.append((b"content-length", b"%d" % answer.length))
    return tuple(fields)
