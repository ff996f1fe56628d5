"""What a provider's error answer means: from status and body to a typed error."""

from __future__ import annotations

import math

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


def classify(
    request: UpstreamRequest,
    status: int,
    headers: Headers,
    body: bytes,
    redactor: Redactor,
    said: str,
) -> UpstreamError:
    """Make the typed error for an answer whose status is not 2xx.

    Args:
        request: what was sent.
        status: the provider's status, 400 to 599.
        headers: all its header fields.
        body: its body.
        redactor: masks every key that the provider may have echoed.
        said: the provider's message as its dialect reads it, "" if there is none.

    Returns:
        The error. It carries the provider's own answer when that is JSON: an HTML page
        is never passed on.
    """
    if status in (401, 403) and request.own_credential:
        return UpstreamCredential(
            f"The provider {request.provider!r} refused relay's credential (status {status}).",
            stage=Stage.FIRST_BYTE,
            deployment=request.deployment,
            upstream_status=status,
            should_retry=False,
        )
    head = read_head(headers)
    is_json = body.lstrip()[:1] in (b"{", b"[") and head.media != "text/html"
    answer = Answer(status, head.kept, redactor.data(body)) if is_json else None
    return _kind(status)(
        redactor.text(said)[:_LONGEST] or f"The provider answered with status {status}.",
        stage=Stage.FIRST_BYTE,
        deployment=request.deployment,
        upstream_status=status,
        retry_after=retry_after(headers),
        answer=answer,
    )


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
