"""Request rates as a token bucket: a value in, a value out, the time an argument.

A bucket holds at most ``burst`` tokens and gains ``requests_per_minute / 60`` of them
per second; a request takes one. Between the calls nothing runs: the tokens gained since
are counted when the next request asks.
"""

from __future__ import annotations

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
        return self.updated + (self.rule.burst - self.tokens) * 60 / self.rule.requests_per_minute


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
    rate, burst = rule.requests_per_minute / 60, rule.burst
    if bucket is None:
        tokens = float(burst)
    else:
        if now < bucket.updated:
            now = bucket.updated
        tokens = _refilled(bucket, now)
        if rule is not bucket.rule and rule != bucket.rule:
            tokens *= burst / bucket.rule.burst
    admitted = tokens >= 1 - _SLACK
    if admitted:
        tokens -= 1
    return Decision(
        bucket=Bucket(rule, tokens, now),
        admitted=admitted,
        remaining=int(tokens + _SLACK),
        retry_after=0.0 if tokens >= 1 else (1 - tokens) / rate,
        reset=(burst - tokens) / rate,
    )


def _refilled(bucket: Bucket, now: float) -> float:
    """Tokens with those gained since, under the settings that it was counted under."""
    rule = bucket.rule
    tokens = bucket.tokens + (now - bucket.updated) * rule.requests_per_minute / 60
    return tokens if tokens < rule.burst else float(rule.burst)
