"""An error as an HTTP answer: status, header fields and body in the caller's dialect."""

from __future__ import annotations

import math

import attrs

from twisted.web.http import RESPONSES

from relay.dialects.base import Dialect
from relay.errors import MethodNotAllowed, RateLimited, RelayError
from relay.exchange import Headers
from relay.outcome import Answer

_BUSY = frozenset({429, 503, 529})
_SOON = 1.0
"""Seconds to wait where relay has no better figure; SDKs would guess half of it."""


@attrs.frozen
class Rendered:
    """An error answer, complete but for the fields that every answer carries."""

    status: int
    headers: Headers
    body: bytes


def render(error: RelayError, front: Dialect, request_id: str) -> Rendered:
    """Turn an error into an answer.

    A provider's own error answer is passed on as it came where front and back are equal;
    unless relay gives another status than the provider did, or the answer is not JSON.
    """
    answer = error.answer
    if answer is not None and answer.status == error.http_status and _is_json(answer):
        names = {name for name, _ in answer.headers}
        added = tuple((name, value) for name, value in _advice(error, error.retry_after) if name not in names)
        return Rendered(answer.status, (*answer.headers, *added, *error.way), answer.body)
    wait = error.retry_after
    if wait is None and error.http_status in _BUSY and error.retryable and error.should_retry is not False:
        wait = _SOON
    headers = ((b"content-type", b"application/json"), *_advice(error, wait), *_rate(error), *_allow(error), *error.way)
    return Rendered(error.http_status, headers, front.render_error(error, request_id))


def as_bytes(rendered: Rendered, request_id: str) -> bytes:
    """The answer as it goes over the wire, for a connection that is closed after it."""
    fields = (
        *rendered.headers,
        (b"content-length", b"%d" % len(rendered.body)),
        (b"server", b"relay"),
        (b"x-request-id", request_id.encode()),
        (b"request-id", request_id.encode()),
        (b"connection", b"close"),
    )
    phrase = RESPONSES.get(rendered.status, b"Error")
    lines = (b"HTTP/1.1 %d %s" % (rendered.status, phrase), *(b"%s: %s" % field for field in fields))
    return b"\r\n".join(lines) + b"\r\n\r\n" + rendered.body


def _is_json(answer: Answer) -> bool:
    value = next((value for name, value in answer.headers if name == b"content-type"), b"")
    media = value.split(b";")[0].strip().lower()
    return media == b"application/json" or media.endswith(b"+json")


def _advice(error: RelayError, wait: float | None) -> Headers:
    """Whether, and after how many seconds, to try again; SDKs read the milliseconds first."""
    fields: Headers = ()
    if error.should_retry is not None:
        fields = ((b"x-should-retry", b"true" if error.should_retry else b"false"),)
    if wait is not None and math.isfinite(wait):
        seconds, millis = max(1, math.ceil(wait)), max(1, math.ceil(wait * 1000))
        fields += ((b"retry-after", b"%d" % seconds), (b"retry-after-ms", b"%d" % millis))
    return fields


def _rate(error: RelayError) -> Headers:
    if not isinstance(error, RateLimited) or error.limit <= 0:
        return ()
    return (
        (b"x-ratelimit-limit-requests", b"%d" % error.limit),
        (b"x-ratelimit-remaining-requests", b"0"),
        (b"x-ratelimit-reset-requests", f"{error.reset:.3f}s".encode()),
    )


def _allow(error: RelayError) -> Headers:
    if not isinstance(error, MethodNotAllowed):
        return ()
    return ((b"allow", ", ".join(error.allowed).encode("ascii")),)
