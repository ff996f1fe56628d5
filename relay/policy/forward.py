"""What crosses the gateway: the request that goes upstream, and the headers that come back."""

from __future__ import annotations

from urllib.parse import quote

from relay.config import Deployment
from relay.exchange import Body, ClientRequest, Headers, LimitState, UpstreamRequest
from relay.policy.credentials import Credential
from relay.provider import Auth, AuthScheme, Provider
from relay.secret import Secret
from relay.version import VERSION

_JSON = b"application/json"
_EVENTS = b"text/event-stream"

_ANTHROPIC = (b"anthropic-version", b"anthropic-beta")
"""Opaque to relay, and meant for Anthropic only. See: https://docs.anthropic.com/en/api/versioning"""

_QUERY = ("beta=true",)
"""Client query parameters that go upstream: Anthropic's SDKs send this with beta features."""

_ANSWER = frozenset(
    {
        b"content-type",
        b"content-disposition",
        b"retry-after",
        b"retry-after-ms",
        b"x-should-retry",
        b"openai-processing-ms",
        b"openai-version",
        b"openai-model",
    }
)
_ANSWER_PREFIXES = (b"x-ratelimit-", b"anthropic-ratelimit-")
_REQUEST_IDS = (b"x-request-id", b"request-id", b"apim-request-id", b"x-amzn-requestid", b"cf-ray")


def build(
    deployment: Deployment,
    request: ClientRequest,
    body: bytes | Body,
    credential: Credential,
    *,
    stream: bool,
) -> UpstreamRequest:
    """Put together the request for one attempt; nothing it is made from changes.

    Args:
        deployment: where it goes.
        request: what the client sent.
        body: the body to send, model already replaced.
        credential: the key to use.
        stream: whether a streamed answer was asked for.
    """
    provider = deployment.provider
    served = provider.endpoints[request.endpoint.path]
    target = served.target.replace("{model}", _segment(deployment.model))
    target = _with_query(target, request.query)
    headers = {name.encode(): value.encode("latin-1") for name, value in served.headers}
    headers[b"content-type"] = request.content_type.encode("latin-1") if is_form(request) else _JSON
    headers.setdefault(b"accept", _EVENTS if stream else (request.header(b"accept") or b"*/*"))
    headers.setdefault(b"user-agent", request.header(b"user-agent") or f"relay/{VERSION}".encode())
    if served.dialect == "anthropic":
        headers.update({name: value for name in _ANTHROPIC if (value := request.header(name))})
    if credential.secret:
        target, added = authorize(provider.auth, credential.secret, target)
        headers.update(added)
    return UpstreamRequest(
        deployment=deployment.name,
        provider=provider.name,
        method=served.method,
        origin=served.origin,
        target=target,
        headers=tuple(headers.items()),
        body=body,
        stream=stream,
        timeouts=provider.timeouts,
        credential=credential.secret,
        own_credential=credential.own,
    )


def authorize(auth: Auth, secret: Secret, target: str) -> tuple[str, Headers]:
    """Say how a key travels.

    Args:
        auth: the provider's scheme.
        secret: the key.
        target: path and query.

    Returns:
        The target, with the key in its query where the scheme wants that, and the header
        fields to add, maybe none.
    """
    value = secret.reveal().encode("utf-8")
    match auth.scheme:
        case AuthScheme.BEARER:
            return target, ((b"authorization", b"Bearer " + value),)
        case AuthScheme.X_API_KEY | AuthScheme.API_KEY | AuthScheme.X_GOOG_API_KEY:
            return target, ((auth.scheme.value.encode(), value),)
        case AuthScheme.QUERY:
            joint = "&" if "?" in target else "?"
            return f"{target}{joint}{auth.parameter}={quote(secret.reveal(), safe='')}", ()
        case _:
            return target, ()


def _segment(model: str) -> str:
    """A model's name as one segment of a path, from which it cannot climb out."""
    return "%2E" * len(model) if model in (".", "..") else quote(model, safe="")


def list_request(provider: Provider, secret: Secret | None) -> tuple[Headers, str]:
    """Header fields and target of the request for a provider's model list.

    Args:
        provider: has a list (``provider.models.target``).
        secret: the key to use, or None.
    """
    headers = {name.encode(): value.encode("latin-1") for name, value in provider.headers}
    headers.update({b"accept": _JSON, b"user-agent": f"relay/{VERSION}".encode()})
    target = provider.models.target or ""
    if secret is not None:
        target, added = authorize(provider.auth, secret, target)
        headers.update(added)
    return tuple(headers.items()), target


def is_form(request: ClientRequest) -> bool:
    """Whether the body is a multipart form."""
    return request.content_type.lower().startswith("multipart/")


def _with_query(target: str, query: bytes) -> str:
    asked = query.decode("latin-1").split("&")
    for parameter in _QUERY:
        if parameter in asked and parameter not in target:
            target += ("&" if "?" in target else "?") + parameter
    return target


def answer_headers(headers: Headers) -> Headers:
    """Choose the provider's header fields that a client may see.

    An allow-list: rate limits, retry hints, content type. The provider's request id comes
    out as ``x-upstream-request-id``; cookies, organisation ids, redirects, framing and
    fields that a proxy in front of relay would obey stay behind.
    """
    kept = [(name, value) for name, value in headers if name in _ANSWER or name.startswith(_ANSWER_PREFIXES)]
    own = upstream_id(headers)
    if own:
        kept.append((b"x-upstream-request-id", own.encode("latin-1")))
    return tuple(kept)


def limit_headers(limit: LimitState | None) -> Headers:
    """OpenAI's rate-limit fields for relay's own limit; none where there is none.

    See: https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
    """
    if limit is None:
        return ()
    return (
        (b"x-ratelimit-limit-requests", b"%d" % limit.limit),
        (b"x-ratelimit-remaining-requests", b"%d" % limit.remaining),
        (b"x-ratelimit-reset-requests", f"{limit.reset:.3f}s".encode()),
    )


def with_limit(headers: Headers, limit: LimitState | None) -> Headers:
    """The answer's headers with relay's own request limit in place of the provider's, if it has one."""
    own = limit_headers(limit)
    names = {name for name, _ in own}
    return (*(field for field in headers if field[0] not in names), *own)


def upstream_id(headers: Headers) -> str:
    """The provider's own request id, "" if it sent none; at most 128 printable characters."""
    fields = dict(headers)
    for name in _REQUEST_IDS:
        value = fields.get(name, b"").decode("latin-1")
        if value and len(value) <= 128 and value.isascii() and value.isprintable():
            return value
    return ""


def content_type(headers: Headers) -> str:
    """The media type without parameters, in lower case; "" if none is given."""
    return dict(headers).get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
