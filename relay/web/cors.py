"""Cross-origin requests of browsers: off until ``server.corsOrigins`` names origins.

See: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from relay.exchange import Headers
from relay.web.hosts import allows

_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, \t-]{1,4096}")
_MAX_AGE = b"7200"
"""Seconds; the longest that browsers heed."""

EXPOSED = b", ".join(
    (
        b"x-request-id",
        b"request-id",
        b"x-upstream-request-id",
        b"retry-after",
        b"retry-after-ms",
        b"x-should-retry",
        *(b"x-ratelimit-%s-requests" % what for what in (b"limit", b"remaining", b"reset")),
        *(b"x-ratelimit-%s-tokens" % what for what in (b"limit", b"remaining", b"reset")),
    )
)
"""The answer headers that scripts may read."""


def fields(origins: Sequence[str], origin: str | None) -> Headers:
    """What every answer carries, errors included: without it a browser hides even the status.

    Args:
        origins: ``server.corsOrigins``.
        origin: the request's ``Origin``, or None.
    """
    if not origins:
        return ()
    vary = ((b"vary", b"Origin"),)
    if origin is None or not allows(origins, origin):
        return vary
    named = b"*" if "*" in origins else origin.strip().encode("latin-1")
    return ((b"access-control-allow-origin", named), (b"access-control-expose-headers", EXPOSED), *vary)


def preflight(methods: Sequence[bytes], asked: bytes | None) -> Headers:
    """What the answer to a preflight carries besides `fields`.

    Args:
        methods: what the endpoint takes.
        asked: ``Access-Control-Request-Headers``; echoed if it is a list of field names.
    """
    allowed = ((b"access-control-allow-methods", b", ".join(methods)), (b"access-control-max-age", _MAX_AGE))
    if asked is None or not _NAMES.fullmatch(asked):
        return allowed
    return (*allowed, (b"access-control-allow-headers", asked))
