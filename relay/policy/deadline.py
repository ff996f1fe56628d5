"""How long a client is willing to wait for its answer, all tries taken together."""

from __future__ import annotations

import re

from relay.errors import InvalidRequest
from relay.exchange import Headers

LONGEST = 86_400.0
"""Seconds that a request may ask for."""

_OWN = b"x-relay-timeout"
_SDK = (b"x-stainless-timeout", b"x-stainless-read-timeout")
"""What the SDKs tell of themselves: after so many seconds without a byte they give up.

Anthropic's sends both, OpenAI's for Python the second, the ones for Node the first.
"""

_KNOWN = frozenset((_OWN, *_SDK))

_SECONDS = re.compile(rb"[0-9]{1,6}(?:\.[0-9]{1,9})?")


def asked(headers: Headers, default: float | None = None) -> float | None:
    """Seconds until a client has its answer, or the first content of a streamed one.

    Args:
        headers: the request's fields, names in lower case.
        default: the route's, None where it sets none.

    Returns:
        The smaller of what the route and what the client gives, None where neither does. ``x-relay-timeout``
        counts before what an SDK says of itself, which is left aside where it makes no sense.

    Raises:
        InvalidRequest: ``x-relay-timeout`` is no number of seconds above 0 and up to `LONGEST`.
    """
    own = sdk = None
    for name, value in headers:
        if name not in _KNOWN:
            continue
        if name == _OWN:
            own = _checked(value)
        else:
            seconds = _seconds(value)
            if seconds is not None and (sdk is None or seconds < sdk):
                sdk = seconds
    return _smaller(sdk if own is None else own, default)


def whole(headers: Headers, default: float | None = None) -> float | None:
    """Seconds until a streamed answer must have ended.

    An SDK's own patience does not count here: each piece of a stream renews it.

    Args:
        headers: as in `asked`.
        default: as in `asked`.

    Raises:
        InvalidRequest: as in `asked`.
    """
    return _smaller(next((_checked(value) for name, value in headers if name == _OWN), None), default)


def _smaller(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)


def _seconds(value: bytes) -> float | None:
    """A number of seconds that makes sense, else None."""
    seconds = float(value) if _SECONDS.fullmatch(value) else 0.0
    return seconds if 0 < seconds <= LONGEST else None


def _checked(value: bytes) -> float:
    seconds = _seconds(value)
    if seconds is None:
        raise InvalidRequest(
            f"`x-relay-timeout` must be seconds, above 0 and at most {LONGEST:g}, such as 30 or 2.5.",
            param="x-relay-timeout",
        )
    return seconds
