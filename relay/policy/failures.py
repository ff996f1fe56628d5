"""What a provider's error answer means: from status and body to a typed error."""

from __future__ import annotations

import math
import re

from relay.dialects.base import Dialect
from relay.errors import (
    UpstreamCredential,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamRefused,
)
from relay.exchange import Headers, UpstreamRequest
from relay.outcome import Answer, Stage
from relay.policy.forward import read_head
from relay.secret import Redactor

_LONGEST = 2000

_BAD_KEY = re.compile(
    r"api[ _-]?key (is )?(not valid|invalid|incorrect|expired)|(invalid|incorrect) api[ _-]?key", re.IGNORECASE
)
"""What Gemini and xAI say of a bad key, with status 400."""

_OVERFLOW = re.compile(
    r"maximum context length|context[ _]length[ _]exceeded|prompt is too long|context window"
    r"|input token count .* exceeds|too many (input )?tokens|input is too long",
    re.IGNORECASE,
)
_OVERFLOW_CODE = "context_length_exceeded"
"""OpenAI's code for a prompt that does not fit; agents compact their conversation when they see it."""


def classify(
    request: UpstreamRequest,
    status: int,
    headers: Headers,
    body: bytes,
    redactor: Redactor,
    dialect: Dialect,
    *,
    translated: bool = False,
) -> UpstreamError:
    """Make the typed error for an answer whose status is not 2xx.

    Args:
        request: what was sent.
        status: the provider's status, 400 to 599.
        headers: all its header fields.
        body: its body.
        redactor: masks every key that the provider may have echoed.
        dialect: what the provider speaks.
        translated: whether the client speaks another dialect, so that the answer is not for its eyes.

    Returns:
        The error. It carries the provider's own answer when that is JSON: an HTML page
        is never passed on.
    """
    said, _ = dialect.read_error(body)
    if request.own_credential and (status in (401, 403) or (status == 400 and _BAD_KEY.search(said))):
        return UpstreamCredential(
            f"The provider {request.provider!r} refused relay's credential (status {status}).",
            stage=Stage.FIRST_BYTE,
            deployment=request.deployment,
            upstream_status=status,
            should_retry=False,
        )
    head = read_head(headers)
    is_json = body.lstrip()[:1] in (b"{", b"[") and head.media != "text/html"
    answer = Answer(status, head.kept, redactor.data(body)) if is_json and not translated else None
    return _kind(status)(
        redactor.text(said)[:_LONGEST] or f"The provider answered with status {status}.",
        stage=Stage.FIRST_BYTE,
        deployment=request.deployment,
        upstream_status=status,
        retry_after=_wait(headers, body, dialect),
        answer=answer,
        code=_OVERFLOW_CODE if _OVERFLOW.search(said) else None,
    )


def _wait(headers: Headers, body: bytes, dialect: Dialect) -> float | None:
    """Seconds that the provider asks to wait, in a header or in its own way in the body."""
    wait = retry_after(headers)
    return dialect.retry_after(body) if wait is None else wait


def _kind(status: int) -> type[UpstreamOverloaded | UpstreamRateLimited | UpstreamRefused]:
    if status == 429:
        return UpstreamRateLimited
    return UpstreamOverloaded if status >= 500 else UpstreamRefused


def retry_after(headers: Headers) -> float | None:
    """Seconds that the provider asks to wait: ``retry-after-ms``, else ``retry-after`` in seconds.

    HTTP dates are left to the client: they pass through with the header itself.
    """
    fields = dict(headers)
    for name, scale in ((b"retry-after-ms", 0.001), (b"retry-after", 1.0)):
        try:
            seconds = float(fields.get(name, b"").decode("latin-1")) * scale
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None
