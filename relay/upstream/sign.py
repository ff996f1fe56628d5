"""Credentials that are more than a header field: AWS's signatures and Google's access tokens."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from relay.errors import TooLarge, UpstreamCredential
from relay.exchange import Headers, StoredBody, UpstreamRequest
from relay.interfaces import ISigner
from relay.outcome import Stage
from relay.policy import sigv4
from relay.provider import AuthScheme, Provider, TokenSource
from relay.secret import Redactor, Secret
from relay.upstream.tokens import TokenKeeper, upstream_error

ACCOUNTS = 64
"""Accounts whose tokens are kept; beyond that, the one not asked for the longest goes."""

_SLICE = 1024 * 1024
_SIGNED = frozenset({b"content-type"})
"""Fields that are signed besides ``host`` and AWS's own; others may be changed by proxies on the way."""

_REPLACED = frozenset({b"authorization", b"x-amz-date", b"x-amz-security-token"})


def _ignore(_: Secret) -> None:
    """Nobody wants to know of tokens."""


@implementer(ISigner)
class Signer:
    """Signs each attempt anew: a signature holds for minutes, a token for an hour.

    Args:
        http: treq over relay's own agent, for fetching tokens.
        wall: Unix seconds.
        clock: monotonic seconds and deadlines.
        learn: told of each new token, so that logs and answers are masked for it.
    """

    def __init__(
        self,
        http: HTTPClient,
        wall: Callable[[], float],
        clock: IReactorTime,
        learn: Callable[[Secret], object] = _ignore,
    ) -> None:
        self._http = http
        self._wall = wall
        self._clock = clock
        self._learn = learn
        self._keepers: OrderedDict[tuple[TokenSource, bytes], TokenKeeper] = OrderedDict()

    def sign(
        self, request: UpstreamRequest, provider: Provider, credential: Secret | None
    ) -> Deferred[UpstreamRequest] | UpstreamRequest:
        """Return the request signed, or with a token; as it is where its scheme needs neither."""
        if provider.auth.scheme is AuthScheme.SIGV4 and credential is not None:
            return self._sigv4(request, provider, credential)
        if provider.auth.scheme is AuthScheme.GCP and provider.auth.tokens is not None:
            return self._gcp(request, provider, provider.auth.tokens, credential)
        return request

    # ── AWS ───────────────────────────────────────────────────────────────────────────

    def _sigv4(
        self, request: UpstreamRequest, provider: Provider, key: Secret
    ) -> Deferred[UpstreamRequest] | UpstreamRequest:
        own = provider.auth.signature
        if own is None:
            raise UpstreamCredential(
                f"relay has no access key id for provider {provider.name!r}.",
                stage=Stage.CONNECT,
                deployment=request.deployment,
                should_retry=False,
                code="no_provider_key",
            )
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._wall()))
        signing = sigv4.Signing(own.key_id.reveal(), key, own.token, own.region, own.service, moment)
        body = request.body
        if isinstance(body, bytes):
            return _signed(request, signing, hashlib.sha256(body).hexdigest())
        if not isinstance(body, StoredBody):
            raise TooLarge(
                f"Provider {provider.name!r} takes signed requests only, and so no upload that cannot be read before "
                "it is sent. Send a smaller one, or its fields behind its file."
            )
        digest = Deferred.fromCoroutine(_digest(body))
        return digest.addCallback(lambda found: _signed(request, signing, found))

    # ── Google ────────────────────────────────────────────────────────────────────────

    def _gcp(
        self, request: UpstreamRequest, provider: Provider, source: TokenSource, key: Secret | None
    ) -> Deferred[UpstreamRequest]:
        def refused(failure: Failure) -> Secret:
            error = failure.value
            assert error is not None  # noqa: S101 - a failure has an error
            if isinstance(error, CancelledError):
                raise error
            redactor = Redactor((key,) if key else ())
            raise upstream_error(error, provider.name, request.deployment, redactor) from error

        token = self._keeper(source, key).token().addErrback(refused)
        return token.addCallback(lambda found: _with_token(request, found))

    def _keeper(self, source: TokenSource, key: Secret | None) -> TokenKeeper:
        mark = source, hashlib.sha256(key.reveal().encode()).digest() if key else b""
        keeper = self._keepers.get(mark)
        if keeper is None:
            keeper = TokenKeeper(source, key, self._http, self._wall, self._clock, self._learn)
            self._keepers[mark] = keeper
            if len(self._keepers) > ACCOUNTS:
                self._keepers.popitem(last=False)
        self._keepers.move_to_end(mark)
        return keeper


def _signed(request: UpstreamRequest, signing: sigv4.Signing, digest: str) -> UpstreamRequest:
    """The request with its signature; fields of an earlier one are replaced."""
    kept: Headers = tuple(field for field in request.headers if field[0] not in _REPLACED)
    host = (b"host", request.origin.netloc.encode("ascii"))
    signed = (host, *(field for field in kept if field[0] in _SIGNED or field[0].startswith(b"x-amz-")))
    added = sigv4.sign(signing, request.method, request.target, signed, digest)
    return msgspec.structs.replace(request, headers=(*kept, *added))


def _with_token(request: UpstreamRequest, token: Secret) -> UpstreamRequest:
    kept = tuple(field for field in request.headers if field[0] != b"authorization")
    field = (b"authorization", b"Bearer " + token.reveal().encode("ascii"))
    return msgspec.structs.replace(request, headers=(*kept, field), credential=token)


async def _digest(body: StoredBody) -> str:
    """SHA-256 of a body that is not in memory."""
    digest = hashlib.sha256()
    at = 0
    while at < body.length:
        data = await body.read(at, _SLICE)
        if not data:
            break
        digest.update(data)
        at += len(data)
    return digest.hexdigest()
