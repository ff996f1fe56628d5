"""What a provider's error answer means: from status and body to a typed error."""

from __future__ import annotations

import math
import re

from relay.dialects import refusals
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
    r"api[ _-]?key (is )?(not valid|invalid|incorrect|expired)|(invalid|incorrect) api[ _-]?key"
    r"|credit balance is too low",
    re.IGNORECASE,
)
"""What Gemini and xAI say of a bad key, and Anthropic of an account without money, with status 400."""


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
    said, code = dialect.read_error(body)
    about = refusals.meaning(said, code, status)
    if request.own_credential and about != refusals.POLICY and _blames_key(status, said):
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
        code=about,
    )


def _blames_key(status: int, said: str) -> bool:
    """Whether an answer is about the key or the account behind it, not about the request."""
    return status in (401, 402, 403) or (status == 400 and _BAD_KEY.search(said) is not None)


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
