"""Rate limits and client keys of one process, in its memory."""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable, Mapping
from hashlib import sha256
from heapq import heappop, heappush, heapreplace

import attrs

from twisted.logger import Logger
from zope.interface import implementer

from relay.config import Snapshot
from relay.errors import RateLimited, Unauthenticated
from relay.exchange import ANONYMOUS, KeyInfo, LimitState
from relay.interfaces import IConfiguration, IKeyStore, ILimiter
from relay.policy.limits import Bucket, take
from relay.provider import RateLimit
from relay.secret import Secret

_Id = tuple[str, str]
_SWEEP = 4
"""Full buckets looked for at each request; more than one, so that the sweep overtakes the growth."""

_TELL_EVERY = 60.0
_MET = 1024
"""Keys whose owners are remembered."""


@implementer(ILimiter)
class MemoryLimiter:
    """One token bucket per endpoint and client key.

    A full bucket is as good as none, so it is dropped: each request sweeps a few of those
    that are due. Every bucket has exactly one entry in a heap, under a time before which
    it cannot be full; an entry whose bucket has been used since goes back under the new
    time. Beyond ``cap`` buckets the one that is nearest to full goes, which forgives the
    least; the log tells of that once a minute.

    Args:
        clock: monotonic seconds.
        cap: most buckets kept.

    Attributes:
        dropped: buckets given up for the cap before they were full.
    """

    _log = Logger()

    def __init__(self, clock: Callable[[], float], cap: int = 100_000) -> None:
        self._clock = clock
        self._cap = cap
        self._buckets: dict[_Id, Bucket] = {}
        self._active: dict[str, int] = {}
        self._due: list[tuple[float, _Id]] = []
        self._told = -math.inf
        self.dropped = 0

    def check(self, endpoint: str, key: str, rule: RateLimit) -> LimitState | None:
        """Count one request; see `ILimiter`."""
        if rule.requests_per_minute <= 0:
            return None
        now = self._clock()
        where = (endpoint, key)
        known = self._buckets.get(where)
        decision = take(known, rule, now)
        if known is None:
            self._add(where, decision.bucket, now)
        else:
            self._buckets[where] = decision.bucket
        if self._due[0][0] <= now:
            self._sweep(now, _SWEEP)
        if not decision.admitted:
            raise RateLimited(
                f"Rate limit exceeded: {rule.requests_per_minute} requests per minute, at most {rule.burst} at once.",
                retry_after=decision.retry_after,
                limit=rule.burst,
                reset=decision.reset,
            )
        return LimitState(limit=rule.burst, remaining=decision.remaining, reset=decision.reset)

    def active(self) -> Mapping[str, int]:
        """Buckets in use by endpoint: those that are not full."""
        self._sweep(self._clock(), len(self._due))
        return dict(self._active)

    def _add(self, where: _Id, bucket: Bucket, now: float) -> None:
        if len(self._buckets) >= self._cap:
            self._sweep(now, _SWEEP)
        if len(self._buckets) >= self._cap:
            self._give_up_one()
            if now - self._told >= _TELL_EVERY:
                self._told = now
                self._log.warn("more clients than rate limit buckets", buckets=self._cap, dropped=self.dropped)
        self._buckets[where] = bucket
        self._active[where[0]] = self._active.get(where[0], 0) + 1
        heappush(self._due, (bucket.full_at, where))

    def _sweep(self, now: float, most: int) -> None:
        """Drop up to ``most`` buckets that are full by now."""
        for _ in range(most):
            if not self._due or self._due[0][0] > now:
                return
            where = self._due[0][1]
            full_at = self._buckets[where].full_at
            if full_at <= now:
                heappop(self._due)
                self._remove(where)
            else:
                heapreplace(self._due, (full_at, where))

    def _give_up_one(self) -> None:
        """Drop a bucket although it is not full: the first whose entry in the heap is exact."""
        while True:
            noted, where = heappop(self._due)
            full_at = self._buckets[where].full_at
            if full_at <= noted:
                break
            heappush(self._due, (full_at, where))
        self._remove(where)
        self.dropped += 1

    def _remove(self, where: _Id) -> None:
        del self._buckets[where]
        left = self._active[where[0]] - 1
        if left:
            self._active[where[0]] = left
        else:
            del self._active[where[0]]


@attrs.frozen
class _Entry:
    """A configured key: what it hashes to and who owns it."""

    digest: bytes
    owner: KeyInfo


_NOBODY = _Entry(bytes(32), ANONYMOUS)


@implementer(IKeyStore)
class StaticKeys:
    """The client keys of the configuration.

    Keys are found by their SHA-256, so neither the place nor the length of a difference
    shows in the time, and every wrong key costs and reads the same. Where no keys are
    configured everybody may call; a presented key then only tells clients apart.

    Args:
        configuration: where the snapshot in force is.
    """

    def __init__(self, configuration: IConfiguration) -> None:
        self._configuration = configuration
        self._read: Snapshot | None = None
        self._entries: dict[bytes, _Entry] = {}
        self._met: dict[Secret | None, KeyInfo] = {}  # by identity: one that a connection sends with each request

    def required(self) -> bool:
        """Whether client keys are configured."""
        return bool(self._configuration.snapshot.client_keys)

    def lookup(self, credential: Secret | None) -> KeyInfo:
        """The owner of a key.

        Raises:
            Unauthenticated: keys are configured, and this is none of them.
        """
        snapshot = self._configuration.snapshot
        if snapshot is not self._read:
            self._entries = _entries(snapshot)
            self._met = {}
            self._read = snapshot
        owner = self._met.get(credential)
        if owner is not None:
            return owner
        if not credential:
            return self._nobody()
        owner = self._owner(credential)
        if len(self._met) >= _MET:
            self._met.clear()
        self._met[credential] = owner
        return owner

    def _nobody(self) -> KeyInfo:
        if self._entries:
            raise Unauthenticated(
                "No API key was sent. Send relay's client key as 'Authorization: Bearer KEY' or 'x-api-key: KEY'."
            )
        return ANONYMOUS

    def _owner(self, credential: Secret) -> KeyInfo:
        digest = _digest(credential)
        if not self._entries:
            return KeyInfo(id=f"key-{digest.hex()[:12]}", name=ANONYMOUS.name, configured=False)
        entry = self._entries.get(digest, _NOBODY)
        if not hmac.compare_digest(entry.digest, digest):
            raise Unauthenticated("The API key is not one of relay's client keys.")
        return entry.owner


def _entries(snapshot: Snapshot) -> dict[bytes, _Entry]:
    entries = (
        _Entry(_digest(key.secret), KeyInfo(id=key.name, name=key.name, configured=True))
        for key in snapshot.client_keys
    )
    return {entry.digest: entry for entry in entries}


def _digest(secret: Secret) -> bytes:
    """SHA-256 of a key; keys may hold any character that a header can carry."""
    return sha256(secret.reveal().encode("utf-8", "surrogatepass")).digest()
