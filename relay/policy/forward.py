"""What crosses the gateway: the request that goes upstream, and the headers that come back."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote

import attrs
import msgspec

from relay.config import Deployment
from relay.dialects.registry import DIALECTS
from relay.exchange import Body, ClientRequest, Headers, LimitState, UpstreamRequest
from relay.policy.credentials import Credential
from relay.provider import Auth, AuthScheme, Provider, ProviderEndpoint, Timeouts
from relay.secret import Secret
from relay.version import VERSION

_JSON = b"application/json"
_EVENTS = b"text/event-stream"

_AGENT = f"relay/{VERSION}".encode()

_ANTHROPIC = frozenset({b"anthropic-version", b"anthropic-beta"})
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
_REQUEST_IDS = frozenset({b"x-request-id", b"request-id", b"apim-request-id", b"x-amzn-requestid", b"cf-ray"})


@attrs.frozen
class Template:
    """What is the same in all requests of one endpoint to one deployment with one key.

    Attributes:
        deployment: the deployment's name.
        provider: the provider's name.
        served: how the provider serves the endpoint.
        target: path and query, model and key in place.
        stream_target: the same for requests that ask for a stream.
        accept: what is accepted of a streamed answer.
        headers: configured fields and the key's.
        names: their names; what a client sends under them stays behind.
        anthropic: whether Anthropic's own fields go along.
        timeouts: the deadlines.
        credential: the key in it.
    """

    deployment: str
    provider: str
    served: ProviderEndpoint
    target: str
    stream_target: str
    accept: bytes
    headers: Headers
    names: frozenset[bytes]
    anthropic: bool
    timeouts: Timeouts
    credential: Credential


def prepare(deployment: Deployment, path: str, credential: Credential) -> Template:
    """Do once what is the same in every request.

    Args:
        deployment: where requests go.
        path: canonical path of the endpoint.
        credential: the key to use.
    """
    provider = deployment.provider
    served = provider.endpoints[path]
    target, streamed = (
        served.target_for(stream=stream).replace("{model}", _segment(deployment.model)) for stream in (False, True)
    )
    headers = {name.encode(): value.encode("latin-1") for name, value in served.headers}
    if credential.secret:
        target, added = authorize(provider.auth, credential.secret, target)
        streamed, _ = authorize(provider.auth, credential.secret, streamed)
        headers.update(added)
    return Template(
        deployment=deployment.name,
        provider=provider.name,
        served=served,
        target=target,
        stream_target=streamed,
        accept=_accept(served.dialect),
        headers=tuple(headers.items()),
        names=frozenset(headers),
        anthropic=served.dialect == "anthropic",
        timeouts=deployment.timeouts or provider.timeouts,
        credential=credential,
    )


def fill(template: Template, request: ClientRequest, body: bytes | Body, *, stream: bool) -> UpstreamRequest:
    """Put together the request for one attempt; nothing it is made from changes.

    Args:
        template: from `prepare`.
        request: what the client sent.
        body: the body to send, model already replaced.
        stream: whether a streamed answer was asked for.
    """
    served, names, headers = template.served, template.names, template.headers
    accept, agent = (template.accept if stream else b"*/*"), _AGENT
    target = template.stream_target if stream else template.target
    for name, value in request.headers:
        if name == b"user-agent":
            agent = value
        elif name == b"accept" and not stream:
            accept = value
        elif template.anthropic and name in _ANTHROPIC:
            headers = (*(field for field in headers if field[0] != name), (name, value))
    if b"accept" not in names:
        headers = (*headers, (b"accept", accept))
    if b"user-agent" not in names:
        headers = (*headers, (b"user-agent", agent))
    content_type = request.content_type.encode("latin-1") if is_form(request) else _JSON
    return UpstreamRequest(
        deployment=template.deployment,
        provider=template.provider,
        method=served.method,
        origin=served.origin,
        target=_with_query(target, request.query) if request.query else target,
        headers=(*headers, (b"content-type", content_type)),
        body=body,
        stream=stream,
        timeouts=template.timeouts,
        credential=template.credential.secret,
        own_credential=template.credential.own,
    )


def with_fields(request: UpstreamRequest, fields: Headers) -> UpstreamRequest:
    """The request with header fields of a translation; lists that are there already are lengthened."""
    if not fields:
        return request
    own = dict(fields)
    kept = []
    for name, value in request.headers:
        added = own.pop(name, None)
        kept.append((name, value if added is None else b"%b,%b" % (value, added)))
    return msgspec.structs.replace(request, headers=(*kept, *own.items()))


def _accept(dialect: str) -> bytes:
    """The media type of a dialect's streams; events where it is not known."""
    known = DIALECTS.get(dialect)
    return known.stream_type.encode() if known else _EVENTS


def build(
    deployment: Deployment, request: ClientRequest, body: bytes | Body, credential: Credential, *, stream: bool
) -> UpstreamRequest:
    """`prepare` and `fill` in one, for a request that is one of its kind."""
    return fill(prepare(deployment, request.endpoint.path, credential), request, body, stream=stream)


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
    headers.update({b"accept": _JSON, b"user-agent": _AGENT})
    target = provider.models.target or ""
    if secret is not None:
        target, added = authorize(provider.auth, secret, target)
        headers.update(added)
    return tuple(headers.items()), target


def is_form(request: ClientRequest) -> bool:
    """Whether the body is a multipart form."""
    content_type = request.content_type
    return content_type != "application/json" and content_type.lower().startswith("multipart/")


def _with_query(target: str, query: bytes) -> str:
    asked = query.decode("latin-1").split("&")
    for parameter in _QUERY:
        if parameter in asked and parameter not in target:
            target += ("&" if "?" in target else "?") + parameter
    return target


class Head(msgspec.Struct, frozen=True):
    """What relay makes of an answer's head.

    Attributes:
        kept: the fields that a client may see.
        media: the media type without parameters, in lower case; "" if none is given.
        id: the provider's own request id, "" if it sent none that is safe to show.
    """

    kept: Headers
    media: str
    id: str


def read_head(headers: Headers) -> Head:
    """Choose the provider's header fields that a client may see, and read what relay needs.

    An allow-list: rate limits, retry hints, content type. The provider's request id comes
    out as ``x-upstream-request-id``; cookies, organisation ids, redirects, framing and
    fields that a proxy in front of relay would obey stay behind.
    """
    kept = []
    media, own = b"", ""
    for field in headers:
        name = field[0]
        if name in _ANSWER:
            kept.append(field)
            if name == b"content-type":
                media = field[1]
        elif name in _REQUEST_IDS:
            own = own or _safe_id(field[1])
        elif name.startswith(_ANSWER_PREFIXES):
            kept.append(field)
    if own:
        kept.append((b"x-upstream-request-id", own.encode("ascii")))
    return Head(tuple(kept), _media(media), own)


@lru_cache(maxsize=64)
def _media(value: bytes) -> str:
    """The media type in a ``Content-Type``."""
    return value.partition(b";")[0].strip().lower().decode("latin-1")


def _safe_id(value: bytes) -> str:
    text = value.decode("latin-1")
    return text if len(value) <= 128 and text.isascii() and text.isprintable() else ""


_OWN_LIMIT = frozenset(
    {b"x-ratelimit-limit-requests", b"x-ratelimit-remaining-requests", b"x-ratelimit-reset-requests"}
)


def with_limit(headers: Headers, limit: LimitState | None) -> Headers:
    """The answer's headers with relay's own request limit in place of the provider's, if it has one.

    The fields are OpenAI's.
    See: https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
    """
    if limit is None:
        return headers
    fields = [field for field in headers if field[0] not in _OWN_LIMIT]
    fields.append((b"x-ratelimit-limit-requests", b"%d" % limit.limit))
    fields.append((b"x-ratelimit-remaining-requests", b"%d" % limit.remaining))
    fields.append((b"x-ratelimit-reset-requests", b"%.3fs" % limit.reset))
    return tuple(fields)
