"""Rate limits: four places may set one, and each of its two numbers is looked up on its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import UNSET, UnsetType

from relay.errors import ConfigError
from relay.provider import RateLimit
from relay.schema.provider import RateLimitFile

_LARGEST = 1_000_000_000


def from_environment(environ: Mapping[str, str]) -> RateLimitFile:
    """What ``RATE_LIMIT_REQUESTS_PER_MINUTE`` and ``RATE_LIMIT_BURST`` say.

    Raises:
        ConfigError: one of them is no whole number, or out of range.
    """
    return RateLimitFile(
        requests_per_minute=_number(environ, "RATE_LIMIT_REQUESTS_PER_MINUTE"),
        burst=_number(environ, "RATE_LIMIT_BURST"),
    )


def _number(environ: Mapping[str, str], name: str) -> int | UnsetType:
    text = environ.get(name, "").strip()
    if not text:
        return UNSET
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(_LARGEST)) or int(text) > _LARGEST:
        raise ConfigError(f"environment variable {name}: expected a whole number from 0 to {_LARGEST}")
    return int(text)


def rate_limit(levels: Sequence[RateLimitFile | UnsetType]) -> RateLimit:
    """The limit in force: for each number the first level that sets it.

    Args:
        levels: strongest first: endpoint, provider, config file, environment.

    Returns:
        The limit. Without a rate, or with rate 0, requests are unlimited; without a burst
        it is the rate; a burst of 0 counts as 1.
    """
    given = [level for level in levels if level is not UNSET]
    rate = next((level.requests_per_minute for level in given if level.requests_per_minute is not UNSET), 0)
    burst = next((level.burst for level in given if level.burst is not UNSET), rate)
    return RateLimit(rate, max(1, burst))
