"""Request rates as a token bucket: a value in, a value out, the time an argument.

A bucket holds at most ``burst`` tokens and gains ``requests_per_minute / 60`` of them
per second; a request takes one. Between the calls nothing runs: the tokens gained since
are counted when the next request asks.
"""

from __future__ import annotations

import math

import msgspec

from relay.provider import RateLimit

_SLACK = 1e-6
"""Tokens that rounding may cost: a clock read as a float is no finer than that."""


class Bucket(msgspec.Struct, frozen=True):
    """What is left of one client's rate on one endpoint.

    Attributes:
        rule: the settings that the tokens were counted under.
        tokens: requests left at ``updated``, up to ``rule.burst``; below 0 by no more than rounding.
        updated: monotonic seconds at which they were counted.
    """

    rule: RateLimit
    tokens: float
    updated: float

    @property
    def full_at(self) -> float:
        """Monotonic seconds at which nothing will be missing: from then on the bucket need not be kept."""
        return self.updated + (self.rule.burst - self.tokens) / _rate(self.rule)


class Decision(msgspec.Struct, frozen=True):
    """What became of one request.

    Attributes:
        bucket: the bucket afterwards.
        admitted: whether a token was there to be taken.
        remaining: whole requests left.
        retry_after: seconds until one token is there; 0 where one is.
        reset: seconds until the bucket is full.
    """

    bucket: Bucket
    admitted: bool
    remaining: int
    retry_after: float
    reset: float


def take(bucket: Bucket | None, rule: RateLimit, now: float) -> Decision:
    """Ask for one request.

    Args:
        bucket: the client's bucket, not changed; None when it has none and so has everything left.
        rule: the settings in force, with a rate above 0. Where they are not those of the
            bucket, it keeps its proportion: half full stays half full, so that touching
            a file gives nobody a new burst and a full bucket need not be remembered.
        now: monotonic seconds. A time before the bucket's own counts as the bucket's own.

    Returns:
        The decision and the bucket to keep. A refusal takes nothing.
    """
    bucket = Bucket(rule, float(rule.burst), now) if bucket is None else _refill(bucket, rule, now)
    admitted = bucket.tokens >= 1 - _SLACK
    if admitted:
        bucket = Bucket(rule, bucket.tokens - 1, bucket.updated)
    rate = _rate(rule)
    return Decision(
        bucket=bucket,
        admitted=admitted,
        remaining=math.floor(bucket.tokens + _SLACK),
        retry_after=max(0.0, 1 - bucket.tokens) / rate,
        reset=(rule.burst - bucket.tokens) / rate,
    )


def _refill(bucket: Bucket, rule: RateLimit, now: float) -> Bucket:
    """Count the tokens gained since, under the old settings, and carry them over to the new."""
    old, now = bucket.rule, max(now, bucket.updated)
    tokens = min(float(old.burst), bucket.tokens + (now - bucket.updated) * _rate(old))
    if rule is not old and rule != old:
        tokens *= rule.burst / old.burst
    return Bucket(rule, tokens, now)


def _rate(rule: RateLimit) -> float:
    """Tokens gained per second."""
    return rule.requests_per_minute / 60
