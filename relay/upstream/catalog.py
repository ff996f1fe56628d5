"""What the providers list, fetched, checked and kept for a while."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from relay.errors import RelayError
from relay.exchange import Headers, UpstreamRequest
from relay.interfaces import IModelCatalog, IUpstream
from relay.provider import Origin, Provider, Timeouts
from relay.secret import Secret
from relay.upstream.lists import MOST_IDS, read_page

Authorize = Callable[[Provider, Secret | None], tuple[Headers, str]]
"""Provider and key → header fields and target of the request for its list."""

LIST_BYTES = 8 * 1024 * 1024
"""Largest answer taken."""

PAGES = 10
"""Most pages asked for."""

RETRY = 15.0
"""Seconds for which a provider that did not answer is not asked again."""

ENTRIES = 256
"""Lists kept; beyond that, the one not asked for the longest goes."""

_Key = tuple[str, Origin, str, bytes]


class _Entry:
    """One provider's list as one key sees it.

    Attributes:
        ids: what it last listed.
        until: monotonic seconds up to which that holds.
        failing: whether the last fetch failed.
        waiting: callers of the fetch that is under way; None while none is.
    """

    def __init__(self) -> None:
        self.ids: tuple[str, ...] = ()
        self.until = float("-inf")
        self.failing = False
        self.waiting: list[Deferred[Sequence[str]]] | None = None


@implementer(IModelCatalog)
class ModelCatalog:
    """Fetches model lists, at most one at a time for each provider and key.

    Lists are kept by provider and digest of the key, so that what one client's own key
    may see is not shown to another.

    Args:
        clock: monotonic seconds and the bound on a fetch.
        upstream: the way to the providers.
        authorize: how a list is asked for.
        ttl: seconds for which a list holds.
        timeout: seconds for a whole fetch.

    Attributes:
        version: grows with each list that comes to be known.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        upstream: IUpstream,
        authorize: Authorize,
        ttl: float = 300.0,
        timeout: float = 5.0,
    ) -> None:
        self._clock = clock
        self._upstream = upstream
        self._authorize = authorize
        self._ttl = ttl
        self._timeout = timeout
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self.version = 0
        self._known: dict[str, tuple[Origin, str | None, frozenset[str]]] = {}

    def models(self, provider: Provider, credential: Secret | None) -> Deferred[Sequence[str]]:
        """Upstream model ids of a provider; none if its file names no list.

        Never fails: a dead provider lists its last known ids, or none. Cancelling leaves
        a fetch running that others may wait for.
        """
        target = provider.models.target
        if target is None:
            return succeed(())
        entry = self._entry((provider.name, provider.origin, target, _digest(credential)))
        if self._clock.seconds() < entry.until:
            return succeed(entry.ids)
        caller: Deferred[Sequence[str]] = Deferred(lambda _: None)
        if entry.waiting is not None:
            entry.waiting.append(caller)
            return caller
        entry.waiting = [caller]
        fetch = Deferred.fromCoroutine(self._fetch(provider, credential))
        fetch.addTimeout(self._timeout, self._clock)
        fetch.addCallbacks(
            lambda ids: self._learn(entry, provider, credential, ids),
            lambda failure: self._fail(entry, provider, failure),
        )
        fetch.addBoth(lambda _: self._release(entry))
        return caller

    def known(self, provider: Provider) -> frozenset[str]:
        """Upstream model ids fetched so far with the provider's own key, or with none; without waiting."""
        found = self._known.get(provider.name)
        if found is None or found[:2] != (provider.origin, provider.models.target):
            return frozenset()
        return found[2]

    def _entry(self, key: _Key) -> _Entry:
        entry = self._entries.setdefault(key, _Entry())
        self._entries.move_to_end(key)
        if len(self._entries) > ENTRIES:
            self._entries.popitem(last=False)
        return entry

    async def _fetch(self, provider: Provider, credential: Secret | None) -> tuple[str, ...]:
        headers, target = self._authorize(provider, credential)
        ids: dict[str, None] = {}
        cursor = ""
        for _ in range(PAGES):
            joint = ("&" if "?" in target else "?") if cursor else ""
            page = read_page(await self._get(provider, credential, headers, f"{target}{joint}{cursor}"))
            ids.update(dict.fromkeys(page.ids))
            cursor = page.cursor
            if not cursor or len(ids) >= MOST_IDS:
                break
        return tuple(ids)[:MOST_IDS]

    async def _get(self, provider: Provider, credential: Secret | None, headers: Headers, target: str) -> bytes:
        request = UpstreamRequest(
            deployment=provider.name,
            provider=provider.name,
            method="GET",
            origin=provider.origin,
            target=target,
            headers=headers,
            body=b"",
            stream=False,
            timeouts=Timeouts(connect=self._timeout, total=self._timeout),
            credential=credential,
        )
        response = await self._upstream.send(request)
        if response.status != 200:
            response.abort()
            raise ValueError(f"status {response.status}")
        return await response.read(LIST_BYTES)

    def _learn(self, entry: _Entry, provider: Provider, credential: Secret | None, ids: tuple[str, ...]) -> None:
        entry.ids = ids
        entry.until = self._clock.seconds() + self._ttl
        own = provider.auth.credential
        if credential is None or (own is not None and own.matches(credential)):
            self._known[provider.name] = (provider.origin, provider.models.target, frozenset(ids))
        if entry.failing:
            entry.failing = False
            self._log.info("model list is back: {provider}", provider=provider.name)

    def _fail(self, entry: _Entry, provider: Provider, failure: Failure) -> None:
        entry.until = self._clock.seconds() + RETRY
        if entry.failing:
            return
        entry.failing = True
        error = failure.value
        reason = error.message if isinstance(error, RelayError) else f"{type(error).__name__}: {error}"
        self._log.warn("model list not available: {provider}: {reason}", provider=provider.name, reason=reason)

    def _release(self, entry: _Entry) -> None:
        waiting, entry.waiting = entry.waiting or [], None
        for caller in waiting:
            if not caller.called:
                caller.callback(entry.ids)


def _digest(credential: Secret | None) -> bytes:
    return hashlib.sha256(credential.reveal().encode("utf-8")).digest() if credential else b""
