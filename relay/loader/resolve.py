"""From what a provider file says to a `Provider` in which every default is filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import msgspec
from msgspec import UNSET, UnsetType

from relay.endpoints import ENDPOINTS, BodyKind, Endpoint
from relay.loader.address import Address, base_address, default_target, explicit_target
from relay.loader.credential import KeySource
from relay.loader.headers import read_headers
from relay.loader.limits import rate_limit
from relay.loader.place import Place, endpoint_path, nearest
from relay.loader.timeouts import timeouts
from relay.loader.variables import Variables
from relay.provider import (
    CREDENTIAL_HEADERS,
    Auth,
    ModelSource,
    Origin,
    ParamRule,
    Provider,
    ProviderEndpoint,
    Quirk,
    RateLimit,
    StreamConfig,
    Timeouts,
)
from relay.schema.provider import (
    AuthFile,
    EndpointFile,
    ModelsFile,
    ParamFile,
    ProviderFile,
    RateLimitFile,
    StreamConfigFile,
    TimeoutsFile,
)

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_OWN_FIELDS = ("model", "stream")


@attrs.frozen
class Surroundings:
    """What a provider is resolved with, besides its file.

    Attributes:
        keys: where keys are taken from.
        environ: the environment.
        rate_limits: levels weaker than the provider's, strongest first.
        timeouts: the config file's, used where the provider says nothing.
        warnings: takes what the operator should know.
    """

    keys: KeySource
    environ: Mapping[str, str]
    rate_limits: tuple[RateLimitFile | UnsetType, ...]
    timeouts: TimeoutsFile | UnsetType
    warnings: list[str]


def resolve(name: str, file: str, spec: ProviderFile, place: Place, around: Surroundings) -> Provider:
    """Resolve a provider.

    Args:
        name: its name.
        file: the file it came from, as the operator named it.
        spec: what the file says, structurally valid.
        place: where it says so.
        around: what else counts.

    Raises:
        ConfigError: something in it makes no sense, or a key file cannot be read.
    """
    variables = Variables({} if spec.vars is UNSET else spec.vars, around.environ, place.at("vars"))
    variables.check()
    base_place = place.at("baseUrl")
    base = base_address(variables.expand(spec.base_url, base_place), base_place)
    headers = read_headers(_given(spec.headers), variables, place.at("headers"), around.warnings)
    auth = around.keys.auth(AuthFile() if spec.auth is UNSET else spec.auth, place.at("auth"), variables)
    endpoints = _Endpoints(spec, place, base, headers, variables, around.warnings).all()
    _one_credential(auth, headers, endpoints, place)
    return Provider(
        name=name,
        file=file,
        dialect=_dialect(spec),
        origin=base.origin,
        base_path=base.path,
        headers=tuple(headers.items()),
        auth=auth,
        model_mapping=_mapping(_given(spec.model_mapping), place.at("modelMapping")),
        models=_models(spec.models, base, variables, place.at("models")),
        endpoints=endpoints,
        rate_limits=_rate_limits(spec, around.rate_limits),
        stream=_stream(spec.stream_config),
        timeouts=timeouts((spec.timeouts, around.timeouts), Timeouts()),
        params=_params([] if spec.params is UNSET else spec.params, place.at("params")),
        quirks=frozenset(Quirk(name) for name in ([] if spec.quirks is UNSET else spec.quirks)),
        concurrency=0 if spec.concurrency is UNSET else spec.concurrency,
        port=None if spec.port is UNSET else spec.port,
        docs="" if spec.docs is UNSET else spec.docs,
    )


def _given(members: Mapping[str, str] | UnsetType) -> Mapping[str, str]:
    return {} if members is UNSET else members


def _dialect(spec: ProviderFile) -> str:
    return "openai" if spec.dialect is UNSET else spec.dialect


@attrs.frozen
class _Endpoints:
    """Resolves the endpoints of one provider."""

    spec: ProviderFile
    place: Place
    base: Address
    headers: Mapping[str, str]
    variables: Variables
    warnings: list[str]

    def all(self) -> Mapping[str, ProviderEndpoint]:
        """Canonical path → endpoint, for every path that relay forwards."""
        written = self._written()
        return {path: self._one(ENDPOINTS[path], *written.get(path, (None, EndpointFile()))) for path in ENDPOINTS}

    def _written(self) -> Mapping[str, tuple[Place, EndpointFile]]:
        found: dict[str, tuple[Place, EndpointFile]] = {}
        for key, spec in ({} if self.spec.endpoints is UNSET else self.spec.endpoints).items():
            place = self.place.at("endpoints", key)
            path = endpoint_path(key)
            if path not in ENDPOINTS:
                raise place.error("expected a path that relay serves", nearest(path, ENDPOINTS))
            if path in found:
                raise place.error(f"{path} is given twice; paths count with and without /v1")
            found[path] = (place, spec)
        return found

    def _one(self, endpoint: Endpoint, place: Place | None, spec: EndpointFile) -> ProviderEndpoint:
        origin, target, streamed = self._targets(endpoint, place, spec)
        headers, method = self.headers, "POST"
        if place is not None:
            own = read_headers(_given(spec.headers), self.variables, place.at("headers"), self.warnings)
            headers = {**self.headers, **own}
            method = _method(spec.method, place.at("method"))
            if spec.requires_multipart and endpoint.body is BodyKind.JSON:
                raise place.at("requiresMultipart").error(f"{endpoint.path} takes JSON only; expected false")
        return ProviderEndpoint(
            path=endpoint.path,
            origin=origin,
            target=target,
            stream_target=streamed,
            method=method,
            headers=tuple(headers.items()),
            dialect=_dialect(self.spec) if spec.dialect is UNSET else spec.dialect,
            stream_support=spec.stream_support,
            requires_multipart=spec.requires_multipart,
            stream=_stream(self.spec.stream_config if spec.stream_config is UNSET else spec.stream_config),
        )

    def _targets(self, endpoint: Endpoint, place: Place | None, spec: EndpointFile) -> tuple[Origin, str, str]:
        """Origin, target, and target of streamed requests ("" where it is the same)."""
        origin, target = self.base.origin, default_target(self.base, endpoint.path)
        streamed = default_target(self.base, endpoint.stream_path) if endpoint.stream_path else ""
        if place is not None and spec.upstream_path is not UNSET:
            here = place.at("upstreamPath")
            origin, target = explicit_target(self.base, self.variables.expand(spec.upstream_path, here), here)
            streamed = ""
        if place is not None and spec.stream_path is not UNSET:
            here = place.at("streamPath")
            elsewhere, streamed = explicit_target(self.base, self.variables.expand(spec.stream_path, here), here)
            if elsewhere != origin:
                raise here.error("expected the same scheme, host and port as 'upstreamPath'")
        return origin, target, streamed


def _method(method: str | UnsetType, place: Place) -> str:
    if method is UNSET:
        return "POST"
    if method.upper() not in _METHODS:
        raise place.error(f"expected one of {', '.join(_METHODS)}", nearest(method.upper(), _METHODS))
    return method.upper()


def _one_credential(
    auth: Auth, headers: Mapping[str, str], endpoints: Mapping[str, ProviderEndpoint], place: Place
) -> None:
    """Refuse a key in a header beside a key named in ``auth``: nobody could tell which one counts."""
    if not auth.source:
        return
    places = [(place.at("headers"), headers)]
    places += [(place.at("endpoints", path, "headers"), dict(served.headers)) for path, served in endpoints.items()]
    for where, fields in places:
        for name in CREDENTIAL_HEADERS & fields.keys():
            raise where.at(name).error("expected one credential: this header field, or the source that 'auth' names")


def _stream(spec: StreamConfigFile | UnsetType) -> StreamConfig:
    plain = StreamConfig()
    if spec is UNSET:
        return plain
    return StreamConfig(
        buffer_size=plain.buffer_size if spec.buffer_size is UNSET else spec.buffer_size,
        heartbeat=plain.heartbeat if spec.heartbeat_interval_secs is UNSET else spec.heartbeat_interval_secs,
    )


def _rate_limits(spec: ProviderFile, weaker: Sequence[RateLimitFile | UnsetType]) -> Mapping[str, RateLimit]:
    endpoints = {} if spec.endpoints is UNSET else spec.endpoints
    own = {endpoint_path(key): endpoint.rate_limit for key, endpoint in endpoints.items()}
    return {path: rate_limit((own.get(path, UNSET), spec.rate_limit, *weaker)) for path in ENDPOINTS}


def _mapping(mapping: Mapping[str, str], place: Place) -> Mapping[str, str]:
    for model, upstream in mapping.items():
        if not model.strip() or not upstream.strip():
            raise place.at(model).error("expected model names that are not blank")
    return dict(mapping)


def _models(
    spec: Sequence[str] | ModelsFile | UnsetType, base: Address, variables: Variables, place: Place
) -> ModelSource:
    if spec is UNSET:
        return ModelSource()
    if isinstance(spec, ModelsFile):
        here = place.at("path")
        path = variables.expand(spec.path, here)
        explicit_target(base, path, here)
        return ModelSource(target=default_target(base, path))
    for index, model in enumerate(spec):
        if not model.strip():
            raise place.at(index).error("expected a model name that is not blank")
        if model in spec[:index]:
            raise place.at(index).error("the model is listed twice")
    return ModelSource(listed=tuple(spec))


def _params(rows: Sequence[ParamFile], place: Place) -> tuple[ParamRule, ...]:
    names: set[str] = set()
    for index, row in enumerate(rows):
        here = place.at(index)
        if row.name in names:
            raise here.at("name").error("the field has a row already; expected one row for each field")
        names.add(row.name)
        _check_row(row, here)
    return tuple(_rule(row) for row in rows)


def _check_row(row: ParamFile, place: Place) -> None:
    for key, field in (("name", row.name), ("to", row.to)):
        if field in _OWN_FIELDS:
            raise place.at(key).error(f"relay sets the field {field!r} itself; expected another one")
    others = [name for name in ("to", "min", "max", "default") if getattr(row, name) is not UNSET]
    if row.drop and others:
        raise place.at(others[0]).error("a field that is dropped has no other rule; remove it or 'drop'")
    if not row.drop and not others:
        raise place.error("expected at least one of drop, to, min, max, default")
    if row.min is not UNSET and row.max is not UNSET and row.min > row.max:
        raise place.at("min").error("expected a number that is not above 'max'")


def _rule(row: ParamFile) -> ParamRule:
    return ParamRule(
        name=row.name,
        to=None if row.to is UNSET else row.to,
        drop=row.drop,
        minimum=None if row.min is UNSET else row.min,
        maximum=None if row.max is UNSET else row.max,
        default=None if row.default is UNSET else msgspec.json.encode(row.default),
    )
