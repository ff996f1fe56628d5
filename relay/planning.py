"""From a client's request to the request that goes upstream: every decision before the first byte."""

from __future__ import annotations

import attrs

from relay.dialects.base import Dialect
from relay.dialects.form import FormRequest, read_form
from relay.dialects.registry import DIALECTS
from relay.dialects.request import JSONRequest, read_request
from relay.endpoints import BodyKind
from relay.errors import DialectUnsupported, InvalidRequest, UnsupportedMedia
from relay.exchange import ClientRequest, LimitState, UpstreamRequest
from relay.interfaces import IKeyStore, ILimiter
from relay.policy import credentials, forward, routing
from relay.provider import ProviderEndpoint, Quirk
from relay.running import RunningExchange

_CHAT = ("/v1/chat/completions", "/v1/completions")
"""Endpoints whose streams report usage only when ``stream_options.include_usage`` asks for it."""


@attrs.frozen
class Plan:
    """What an attempt needs.

    Attributes:
        front: dialect of the client and, here, of the upstream.
        upstream: the request to send.
        strip_usage: whether relay asked for a usage report that the client did not ask for.
        limit: state of the rate limit after this request, None when there is none.
        heartbeat: seconds of silence before a heartbeat; 0 sends none.
    """

    front: Dialect
    upstream: UpstreamRequest
    strip_usage: bool
    limit: LimitState | None
    heartbeat: float


def plan(running: RunningExchange, keys: IKeyStore, limiter: ILimiter, known: routing.Known) -> Plan:
    """Decide everything about an exchange whose caller is known.

    Args:
        running: the exchange; its key is set, its model, deployment and stream flag get set.
        keys: tells whether client keys are required.
        limiter: counts the request.
        known: what providers are known to list.

    Raises:
        RequestError: the request is at fault.
        UpstreamCredential: there is no key for the provider.
    """
    request, snapshot = running.request, running.snapshot
    parsed = _read(request)
    running.stream = parsed.stream
    deployment = routing.resolve(snapshot, request.endpoint, parsed.model, known)
    provider = deployment.provider
    served = provider.endpoints[request.endpoint.path]
    running.chose(deployment, parsed.model, routing.label(provider, parsed.model, known))
    limit = limiter.check(
        request.endpoint.path, f"{provider.name}/{running.key.id}", provider.rate_limits[request.endpoint.path]
    )
    _check_served(request, served, provider.name, stream=parsed.stream)
    credential = credentials.upstream_credential(
        provider,
        first=deployment.first,
        keys_required=keys.required(),
        client=request.credential,
        default=snapshot.default_key,
    )
    ask_usage = (
        parsed.stream
        and request.endpoint.path in _CHAT
        and not parsed.wants_usage
        and Quirk.NO_STREAM_USAGE not in provider.quirks
    )
    body = parsed.encode(deployment.model, provider.params, ask_usage=ask_usage)
    return Plan(
        front=DIALECTS[request.endpoint.front],
        upstream=forward.build(deployment, request, body, credential, stream=parsed.stream),
        strip_usage=ask_usage,
        limit=limit,
        heartbeat=served.stream.heartbeat,
    )


def _read(request: ClientRequest) -> JSONRequest | FormRequest:
    if forward.is_form(request):
        return read_form(request.endpoint, request.body, request.fields)
    if not isinstance(request.body, bytes):
        raise InvalidRequest("The body is too large for this endpoint's content type.")
    return read_request(request.endpoint, request.body)


def _check_served(request: ClientRequest, served: ProviderEndpoint, provider: str, *, stream: bool) -> None:
    endpoint = request.endpoint
    if served.dialect != endpoint.front:
        raise DialectUnsupported(
            f"Provider {provider!r} speaks {served.dialect!r} on {endpoint.path}, and this endpoint takes "
            f"{endpoint.front!r} requests. Choose an endpoint or a provider that match."
        )
    if stream and not served.stream_support:
        raise InvalidRequest(f"Provider {provider!r} does not stream on {endpoint.path}.", param="stream")
    if served.requires_multipart and endpoint.body is not BodyKind.MULTIPART and not forward.is_form(request):
        raise UnsupportedMedia(f"Provider {provider!r} takes multipart/form-data on {endpoint.path}.")
