"""Google's access tokens: fetched one at a time, kept while they hold, renewed before they do not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import urlencode

import msgspec

from treq.client import HTTPClient
from twisted.internet.defer import Deferred, succeed
from twisted.internet.defer import TimeoutError as TwistedTimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

from relay.errors import UpstreamCredential, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from relay.outcome import Stage
from relay.policy.assertion import GRANT, BadKeyError, assertion
from relay.provider import TokenSource
from relay.secret import Redactor, Secret

TIMEOUT = 10.0
"""Seconds for fetching a token: the deadline ``token``."""

EARLY = 300.0
"""Seconds before a token's end from which on it is renewed."""

RETRY = 30.0
"""Seconds for which renewing is not tried again while the old token still holds."""

LARGEST_ANSWER = 65536

_LONGEST_WORDS = 300
_METADATA = Headers({b"metadata-flavor": [b"Google"]})
_FORM = Headers({b"content-type": [b"application/x-www-form-urlencoded"], b"accept": [b"application/json"]})


class _Token(msgspec.Struct):
    """A token endpoint's answer."""

    access_token: str
    expires_in: float = 3600.0


class _Refusal(msgspec.Struct):
    """A token endpoint's error answer."""

    error: str = ""
    error_description: str = ""


class RefusedError(Exception):
    """The token endpoint said no.

    Args:
        status: the HTTP status.
        words: its own, "" if it gave none.
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(status, words)
        self.status = status
        self.words = words


class BrokenError(Exception):
    """The token endpoint answered something that is neither a token nor a refusal; the message says what."""


class TokenKeeper:
    """Keeps the token of one account.

    Args:
        source: where tokens come from.
        key: the account's private key, or None at the metadata server.
        http: the client for calls that are no exchange.
        wall: Unix seconds, for the assertion.
        clock: monotonic seconds, and the bound on a fetch.
        learn: told of each new token, for redaction.
    """

    _log = Logger()

    def __init__(
        self,
        source: TokenSource,
        key: Secret | None,
        http: HTTPClient,
        wall: Callable[[], float],
        clock: IReactorTime,
        learn: Callable[[Secret], object],
    ) -> None:
        self._source = source
        self._key = key
        self._http = http
        self._wall = wall
        self._clock = clock
        self._learn = learn
        self._token: Secret | None = None
        self._until = -math.inf  # monotonic seconds up to which it holds
        self._renew = -math.inf  # monotonic seconds from which on it is renewed
        self._waiting: list[Deferred[Secret]] | None = None  # None while no fetch is under way

    def token(self) -> Deferred[Secret]:
        """A token that holds. Cancelling leaves the fetch running, which others may wait for.

        Fails with `RefusedError`, `BrokenError`, or what treq fails with.
        """
        now = self._clock.seconds()
        held = self._token
        if held is not None and now < self._until:
            if now >= self._renew and self._waiting is None:
                self._fetch()
            return succeed(held)
        caller: Deferred[Secret] = Deferred(lambda _: None)
        first = self._waiting is None
        self._waiting = [*(self._waiting or ()), caller]
        if first:
            self._fetch()
        return caller

    def _fetch(self) -> None:
        self._waiting = self._waiting or []
        fetch = Deferred.fromCoroutine(self._ask())
        fetch.addTimeout(TIMEOUT, self._clock, _too_late)
        fetch.addCallbacks(self._keep, self._fail)

    async def _ask(self) -> _Token:
        """Ask for a token.

        See: https://developers.google.com/identity/protocols/oauth2/service-account#httprest and
        https://cloud.google.com/compute/docs/access/authenticate-workloads#applications (read 2026-11).
        """
        if self._key is None:
            response = await self._http.get(self._source.url, headers=_METADATA, allow_redirects=False)
        else:
            proof = assertion(self._source, self._key, int(self._wall()))
            form = urlencode({"grant_type": GRANT, "assertion": proof}).encode("ascii")
            response = await self._http.post(self._source.url, headers=_FORM, data=form, allow_redirects=False)
        body = bytearray()

        def take(data: bytes) -> None:
            body.extend(data)
            if len(body) > LARGEST_ANSWER:
                raise BrokenError("it is too large")

        await response.collect(take)
        return _read(response.code, bytes(body))

    def _keep(self, token: _Token) -> None:
        now = self._clock.seconds()
        self._token = Secret(token.access_token)
        self._until = now + token.expires_in
        self._renew = self._until - min(EARLY, token.expires_in / 2)
        self._learn(self._token)
        waiting, self._waiting = self._waiting or [], None
        for caller in waiting:
            if not caller.called:
                caller.callback(self._token)

    def _fail(self, failure: Failure) -> None:
        self._renew = self._clock.seconds() + RETRY
        waiting, self._waiting = self._waiting or [], None
        self._log.warn("no access token from {url}: {reason}", url=self._source.url, reason=describe(failure))
        for caller in waiting:
            if not caller.called:
                caller.errback(failure)


def _too_late(_: object, seconds: float) -> NoReturn:
    """Whatever the cancelled request failed with: the reason is that the time was over."""
    raise TwistedTimeoutError(seconds, "token")


def _read(status: int, body: bytes) -> _Token:
    if status == 200:
        try:
            token = msgspec.json.decode(body, type=_Token)
        except msgspec.MsgspecError as error:
            raise BrokenError("it holds no token") from error
        if token.access_token.isascii() and token.access_token.isprintable() and token.expires_in > 0:
            return token
        raise BrokenError("it holds no token that can be sent")
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except msgspec.MsgspecError:
        refusal = _Refusal()
    words = ": ".join(part for part in (refusal.error, refusal.error_description) if part)
    if 400 <= status <= 499 and status not in (408, 429):
        raise RefusedError(status, words[:_LONGEST_WORDS])
    raise BrokenError(f"its status is {status}")


def describe(failure: Failure) -> str:
    """Why there is no token, in words for the log."""
    error = failure.value
    if isinstance(error, RefusedError):
        return f"refused with status {error.status} ({error.words or 'no reason given'})"
    if isinstance(error, BrokenError):
        return f"the answer cannot be used: {error}"
    if isinstance(error, TwistedTimeoutError):
        return f"no answer within {TIMEOUT:g} seconds"
    return type(error).__name__


def upstream_error(error: BaseException, provider: str, deployment: str, redactor: Redactor) -> UpstreamError:
    """The error for an attempt that has no token.

    Args:
        error: what the fetch failed with.
        provider: the provider's name.
        deployment: the deployment's name.
        redactor: masks the key, should the endpoint repeat it.
    """
    stage = Stage.CONNECT
    if isinstance(error, (RefusedError, BadKeyError)):
        said = f": {redactor.text(error.words)}" if isinstance(error, RefusedError) and error.words else ""
        return UpstreamCredential(
            f"Google refused relay's credential for provider {provider!r}{said}.",
            stage=stage,
            deployment=deployment,
            upstream_status=error.status if isinstance(error, RefusedError) else None,
            should_retry=False,
        )
    if isinstance(error, TwistedTimeoutError):
        text = f"No access token for provider {provider!r} came within {TIMEOUT:g} seconds."
        return UpstreamTimeout(text, deadline="token", stage=stage, deployment=deployment)
    text = f"No access token for provider {provider!r} could be fetched."
    return UpstreamUnreachable(text, stage=stage, deployment=deployment)
