"""From a client's request to the request that goes upstream: every decision before the first byte."""

from __future__ import annotations

import attrs
import msgspec

from relay.config import Deployment, Route, Snapshot
from relay.dialects.base import Dialect
from relay.dialects.form import FormRequest, read_form
from relay.dialects.openai.adapt import ADAPTED, adapt
from relay.dialects.registry import DIALECTS
from relay.dialects.request import LONGEST_MODEL, JSONRequest, read_request
from relay.dialects.translation import Translation
from relay.endpoints import BodyKind, Endpoint
from relay.errors import InvalidRequest, RelayError, UnsupportedMedia
from relay.exchange import ANONYMOUS, Body, ClientRequest, Headers, LimitState, UpstreamRequest
from relay.interfaces import IKeyStore, ILimiter, IModelCatalog
from relay.policy import forward, routing, translating
from relay.policy.credentials import depends_on_client, upstream_credential
from relay.policy.forward import Template
from relay.provider import SIGNED_SCHEMES, Provider, ProviderEndpoint, Quirk, RateLimit
from relay.running import RunningExchange, named

_CHAT = ("/v1/chat/completions", "/v1/completions")
"""Endpoints whose streams report usage only when ``stream_options.include_usage`` asks for it."""

_REMEMBERED = 4096
"""Model names whose way is remembered; junk names from clients make no difference beyond that."""

_OWN = b"x-relay-"
"""Beginning of request header fields that are meant for relay."""

_HEADS = 32
"""Clients' heads that are remembered for a way."""


class Plan(msgspec.Struct, frozen=True):
    """What an attempt needs.

    Attributes:
        deployment: where it goes.
        served: the answer's header field that names it.
        front: dialect of the client.
        back: dialect of the provider.
        upstream: the request to send; None where relay answers itself.
        strip_usage: whether relay asked for a usage report that the client did not ask for.
        limit: state of the rate limit after this request, None when there is none.
        heartbeat: seconds of silence before a heartbeat; 0 sends none.
        translation: how the answer is translated, None where front and back are one.
        notes: header fields of relay's own for the answer.
        signs: the provider whose credential is a signature or a token, made for each attempt; else None.
    """

    deployment: Deployment
    served: tuple[bytes, bytes]
    front: Dialect
    back: Dialect
    upstream: UpstreamRequest
    strip_usage: bool
    limit: LimitState | None
    heartbeat: float
    translation: Translation | None = None
    notes: Headers = ()
    signs: Provider | None = None

    def stream_error(self, error: RelayError, request_id: str) -> bytes:
        """An in-stream error for a client that has seen no content yet."""
        if self.translation is None:
            return self.front.stream_error(error, request_id)
        return self.translation.front.writer(self.translation.asked).fail(error)


class Estimate(msgspec.Struct, frozen=True):
    """A plan for a request that relay answers itself: the JSON body of the answer."""

    body: bytes
    limit: LimitState | None


class Way:
    """Where an endpoint's requests for one model go, and what is the same in all of them.

    Attributes:
        deployment: the deployment.
        served: how its provider serves the endpoint.
        tells: the answer's header field that names the deployment.
        signs: the provider, where each of its requests has to be signed; else None.
        label: the model for metric labels.
        limit: the rate limit in force.
        adapts: whether requests in the provider's own dialect need changes for its deviations.
        asks_usage: whether usage has to be asked for in streams.
        clients_keys: whether clients bring their own keys for the provider.
        translated: whether front and back differ.
        template: the common part of the upstream requests where all use the same key, made
            with the first of them; None before.
        key: number of the provider's key in it.
        requests: what goes upstream, but for the body, for heads that clients send again and again; by
            identity of the client's header fields.
    """

    __slots__ = (
        "adapts",
        "asks_usage",
        "clients_keys",
        "deployment",
        "key",
        "label",
        "limit",
        "requests",
        "served",
        "signs",
        "tells",
        "template",
        "translated",
    )

    def __init__(self, deployment: Deployment, endpoint: Endpoint, label: str, *, keys_required: bool) -> None:
        provider = deployment.provider
        self.deployment = deployment
        self.served: ProviderEndpoint = provider.endpoints[endpoint.path]
        self.translated = translating.needed(endpoint, provider)
        self.tells = named(deployment)
        self.signs = provider if provider.auth.scheme in SIGNED_SCHEMES else None
        self.label = label
        self.limit: RateLimit = provider.rate_limits[endpoint.path]
        self.adapts = endpoint.path == _CHAT[0] and bool(provider.quirks & ADAPTED)
        self.asks_usage = endpoint.path in _CHAT and Quirk.NO_STREAM_USAGE not in provider.quirks
        self.clients_keys = depends_on_client(provider, first=deployment.first, keys_required=keys_required)
        self.template: Template | None = None
        self.key = 0
        self.requests: dict[tuple[int, bool], tuple[Headers, UpstreamRequest]] = {}

    def is_special(self, fields: Headers) -> bool:
        """Whether a client asks relay for something in its header fields; remembered for heads that come again."""
        known = self.requests.get((id(fields), False)) or self.requests.get((id(fields), True))
        if known is not None and known[0] is fields:
            return False
        return any(name.startswith(_OWN) for name, _ in fields)

    def upstream(
        self, template: Template, request: ClientRequest, body: bytes | Body, *, stream: bool
    ) -> UpstreamRequest:
        """Put together the request for one attempt."""
        fields = request.headers
        if self.template is None or request.query or not isinstance(body, bytes) or forward.is_form(request):
            return forward.fill(template, request, body, stream=stream)
        known = self.requests.get((id(fields), stream))
        if known is not None and known[0] is fields:
            return msgspec.structs.replace(known[1], body=body)
        made = forward.fill(template, request, b"", stream=stream)
        if any(name.startswith(_OWN) for name, _ in fields):
            return msgspec.structs.replace(made, body=body)
        if len(self.requests) >= _HEADS:
            self.requests.clear()
        self.requests[id(fields), stream] = fields, made
        return msgspec.structs.replace(made, body=body)


Read = JSONRequest | FormRequest
"""A client's request, read."""


class Planner:
    """Plans exchanges; remembers the ways of models until the configuration or a model list changes.

    Args:
        keys: tells whether client keys are required.
        limiter: counts requests.
        catalog: tells what providers are known to list.
    """

    def __init__(self, keys: IKeyStore, limiter: ILimiter, catalog: IModelCatalog) -> None:
        self._keys = keys
        self._limiter = limiter
        self._catalog = catalog
        self._ways: dict[tuple[str, str], Way | Route] = {}
        self._valid_for: tuple[Snapshot | None, int] = (None, 0)

    def read(self, running: RunningExchange) -> Read:
        """Read the request of an exchange whose caller is known.

        Raises:
            InvalidRequest: it cannot be read.
        """
        parsed = _read(running.request)
        running.stream = parsed.stream
        running.model = parsed.model[:LONGEST_MODEL]
        return parsed

    def where(self, snapshot: Snapshot, endpoint: Endpoint, model: str) -> Way | Route:
        """Where requests for a model go: the route of that name, or the one way there is."""
        self._refresh(snapshot)
        found = self._ways.get((endpoint.path, model))
        if found is None:
            found = snapshot.route_for(model) or self._only(snapshot, endpoint, model)
            self._keep((endpoint.path, model), found)
        return found

    def way(self, snapshot: Snapshot, endpoint: Endpoint, route: Route, deployment: Deployment, model: str) -> Way:
        """The way to one deployment of a route.

        Args:
            snapshot: the configuration.
            endpoint: where the request came in.
            route: the route.
            deployment: one of its deployments; without a model of its own it serves the client's.
            model: the client's name for the model.
        """
        self._refresh(snapshot)
        bare = "" if deployment.model else model
        key = (endpoint.path, f"{route.name}\n{deployment.name}\n{bare}")
        found = self._ways.get(key)
        if not isinstance(found, Way):
            if bare:
                deployment = attrs.evolve(deployment, model=deployment.provider.upstream_model(bare))
            label = route.name if route.name == model else "other"
            found = Way(deployment, endpoint, label, keys_required=self._keys.required())
            self._keep(key, found)
        return found

    def admit(self, running: RunningExchange, deployment: Deployment) -> None:
        """Count a request against a deployment's own rate.

        Raises:
            RateLimited: it has none left now.
        """
        if deployment.rate_limit is not None:
            self._limiter.check(running.request.endpoint.path, f"deployment/{deployment.name}", deployment.rate_limit)

    def plan(self, running: RunningExchange, parsed: Read, way: Way, key: int = 0) -> Plan | Estimate:
        """Decide everything about one attempt.

        Args:
            running: the exchange; its deployment and label get set.
            parsed: from `read`.
            way: from `where` or `way`.
            key: number of the provider's key.

        Raises:
            RequestError: the request is at fault.
            UpstreamCredential: there is no key for the provider.
        """
        request = running.request
        endpoint = request.endpoint
        running.chose(way.deployment, way.served.dialect, parsed.model, way.label)
        provider = way.deployment.provider
        caller = running.key if running.key.configured or way.clients_keys else ANONYMOUS
        limit = self._limiter.check(endpoint.path, f"{provider.name}/{caller.id}", way.limit)
        if way.translated or (request.path_array and parsed.stream):
            return self._translated(running, way, parsed.model, limit, key)
        _check_served(request, way.served, provider.name, stream=parsed.stream)
        template = self._template(running, way, way.served, key)
        if way.adapts and isinstance(parsed, JSONRequest):
            parsed = parsed.changed(lambda fields: adapt(fields, provider.quirks))
        ask_usage = way.asks_usage and parsed.stream and not parsed.wants_usage
        body = parsed.encode("" if request.path_model else way.deployment.model, provider.params, ask_usage=ask_usage)
        front = DIALECTS[endpoint.front]
        return Plan(
            deployment=way.deployment,
            served=way.tells,
            front=front,
            back=front,
            upstream=way.upstream(template, request, body, stream=parsed.stream),
            strip_usage=ask_usage,
            limit=limit,
            heartbeat=way.served.stream.heartbeat,
            signs=way.signs,
        )

    def _translated(
        self, running: RunningExchange, way: Way, model: str, limit: LimitState | None, key: int
    ) -> Plan | Estimate:
        """Plan an exchange whose provider speaks another dialect."""
        request, provider = running.request, way.deployment.provider
        passage = translating.passage(request.endpoint, provider)
        asked = translating.asked(passage, request, model, int(running.began))
        if passage.back is None:
            return Estimate(translating.counted(passage, asked), limit)
        served = passage.served
        strict = running.snapshot.server.strict or request.header(translating.STRICT) not in (None, b"0", b"false")
        translation = translating.translation(passage, asked, provider, way.deployment.model, strict=strict)
        running.back, running.dropped = served.dialect, translation.built.dropped
        stream = translation.target.stream
        if stream and not served.stream_support:
            raise InvalidRequest(f"Provider {provider.name!r} does not stream on {served.path}.", param="stream")
        template = self._template(running, way, served, key)
        front = DIALECTS[request.endpoint.front]
        upstream = way.upstream(template, request, translating.body(translation.built, provider), stream=stream)
        return Plan(
            deployment=way.deployment,
            served=way.tells,
            front=front,
            back=passage.dialect,
            upstream=forward.with_fields(upstream, translation.built.headers),
            strip_usage=False,
            limit=limit,
            heartbeat=served.stream.heartbeat if front.heartbeat or request.path_array else 0.0,
            translation=translation,
            notes=translating.note(translation.built),
            signs=way.signs,
        )

    def _refresh(self, snapshot: Snapshot) -> None:
        """Forget all ways when the configuration or a model list has changed."""
        known_for, version = self._valid_for
        if snapshot is not known_for or self._catalog.version != version:
            self._ways = {}
            self._valid_for = (snapshot, self._catalog.version)

    def _only(self, snapshot: Snapshot, endpoint: Endpoint, model: str) -> Way:
        known = self._catalog.known
        deployment = routing.resolve(snapshot, endpoint, model, known)
        label = routing.label(deployment.provider, model, known)
        return Way(deployment, endpoint, label, keys_required=self._keys.required())

    def _keep(self, key: tuple[str, str], found: Way | Route) -> None:
        if len(self._ways) >= _REMEMBERED:
            self._ways = {}
        self._ways[key] = found

    def _template(self, running: RunningExchange, way: Way, served: ProviderEndpoint, key: int) -> Template:
        if way.template is not None and way.key == key:
            return way.template
        credential = upstream_credential(
            way.deployment.provider,
            first=way.deployment.first and running.first == way.deployment.provider.name,
            keys_required=self._keys.required(),
            client=running.request.credential,
            default=running.snapshot.default_key,
            key=key,
        )
        template = forward.prepare(way.deployment, served.path, credential)
        if not way.clients_keys:
            way.template, way.key = template, key
            way.requests.clear()
        return template


def _read(request: ClientRequest) -> JSONRequest | FormRequest:
    if forward.is_form(request):
        return read_form(request.endpoint, request.body, request.fields)
    if not isinstance(request.body, bytes):
        raise InvalidRequest("The body is too large for this endpoint's content type.")
    parsed = read_request(request.endpoint, request.body)
    if request.path_model:
        return parsed.addressed(request.path_model, stream=bool(request.path_stream))
    return parsed


def _check_served(request: ClientRequest, served: ProviderEndpoint, provider: str, *, stream: bool) -> None:
    endpoint = request.endpoint
    if stream and not served.stream_support:
        raise InvalidRequest(f"Provider {provider!r} does not stream on {endpoint.path}.", param="stream")
    if served.requires_multipart and endpoint.body is not BodyKind.MULTIPART and not forward.is_form(request):
        raise UnsupportedMedia(f"Provider {provider!r} takes multipart/form-data on {endpoint.path}.")
