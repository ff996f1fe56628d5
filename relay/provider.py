"""A provider as a value: one file of ``transformer/``, resolved and checked.

`loader` makes these from JSON; nothing here reads a file, the environment or a clock.
Durations are seconds, sizes bytes, money nano-dollars.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

from relay.secret import Secret

CREDENTIAL_HEADERS = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key"})
"""Header names that carry a credential; where a provider file sets one, that is the credential."""


class AuthScheme(enum.Enum):
    """How a provider wants its credential."""

    NONE = "none"
    BEARER = "bearer"
    X_API_KEY = "x-api-key"
    API_KEY = "api-key"
    X_GOOG_API_KEY = "x-goog-api-key"
    QUERY = "query"
    SIGV4 = "sigv4"
    GCP = "gcp"


SIGNED_SCHEMES = frozenset({AuthScheme.SIGV4, AuthScheme.GCP})
"""Schemes whose credential is not sent itself: each request is signed, or gets a token that is fetched with it."""


@attrs.frozen
class Signature:
    """What AWS's Signature V4 needs beside the secret access key.

    Attributes:
        key_id: the access key's id.
        token: session token of temporary credentials, or None.
        region: region of the endpoint.
        service: the service's signing name.
    """

    key_id: Secret
    token: Secret | None
    region: str
    service: str


@attrs.frozen
class TokenSource:
    """Where Google's access tokens come from.

    Attributes:
        url: the token endpoint, or the metadata server's address of a token.
        email: the service account whose key, the provider's credential, proves who asks; "" at the metadata server.
        key_id: id of that key, or "".
    """

    url: str
    email: str = ""
    key_id: str = ""


@attrs.frozen
class ProviderKey:
    """One of the keys that relay has for a provider.

    Attributes:
        secret: the key.
        source: where it comes from, for messages (``environment variable OPENAI_API_KEY``).
    """

    secret: Secret
    source: str


@attrs.frozen
class Auth:
    """A provider's credential and how it travels.

    Attributes:
        scheme: where the credential goes in a request.
        credential: the provider's own key, the first of them if it has several; None when no source is set.
        source: where the key comes from, for messages (``environment variable OPENAI_API_KEY``); "" if none is named.
        parameter: name of the query parameter for `AuthScheme.QUERY`.
        signature: for `AuthScheme.SIGV4`, unless its credential is not set.
        tokens: for `AuthScheme.GCP`.
        others: further keys, to be used when the first is refused or exhausted.
    """

    scheme: AuthScheme
    credential: Secret | None = None
    source: str = ""
    parameter: str = "key"
    signature: Signature | None = None
    tokens: TokenSource | None = None
    others: tuple[ProviderKey, ...] = ()

    def secrets(self) -> tuple[Secret, ...]:
        """Every secret in it."""
        found = [self.credential, *(key.secret for key in self.others)]
        if self.signature is not None:
            found += [self.signature.key_id, self.signature.token]
        return tuple(secret for secret in found if secret)


@attrs.frozen(cache_hash=True)
class Origin:
    """Scheme, host and port of an upstream; connections are pooled by it.

    Scheme ``echo`` names the embedded echo upstream; it has no host of its own.
    """

    scheme: str
    host: str
    port: int

    @property
    def netloc(self) -> str:
        """Host and, unless it is the scheme's default, port: what the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = {"http": 80, "https": 443}.get(self.scheme)
        return host if self.port == default else f"{host}:{self.port}"


@attrs.frozen
class RateLimit:
    """A token bucket's settings.

    Attributes:
        requests_per_minute: refill rate; 0 means unlimited.
        burst: capacity, at least 1.
    """

    requests_per_minute: int
    burst: int


@attrs.frozen
class StreamConfig:
    """How a streamed answer is carried.

    Attributes:
        buffer_size: bytes that may wait for a slow client before the upstream is paused.
        heartbeat: seconds of silence after which a heartbeat is sent; 0 sends none.
    """

    buffer_size: int = 65536
    heartbeat: float = 15.0


@attrs.frozen
class Timeouts:
    """Deadlines of the upstream side.

    Attributes:
        connect: until a connection (with TLS) stands.
        first_byte: streamed answers: until the first byte of the answer's head.
        idle: streamed answers: between two reads of the body.
        total: non-streamed answers: until the whole answer is there.
        stream_total: streamed answers: until the end, or None for no bound (set when
            ``total`` is written in a file).
    """

    connect: float = 5.0
    first_byte: float = 300.0
    idle: float = 300.0
    total: float = 900.0
    stream_total: float | None = None


@attrs.frozen
class ParamRule:
    """One row of a provider's ``params``: what becomes of a top-level request field.

    Attributes:
        name: the field.
        to: its name at the provider, or None to keep it.
        drop: whether it is removed.
        minimum: smaller numbers become this.
        maximum: larger numbers become this.
        default: JSON text of the value used when the field is absent, or None.
    """

    name: str
    to: str | None = None
    drop: bool = False
    minimum: float | None = None
    maximum: float | None = None
    default: bytes | None = None


class Quirk(enum.Enum):
    """A deviation of a provider that rows cannot say. Each is listed in the schema.

    NO_STREAM_USAGE: refuses ``stream_options``; usage cannot be asked for.
    NORMALISE: answers so unlike its dialect that they are translated even for clients of the same one.
    MAX_COMPLETION_TOKENS: takes ``max_completion_tokens`` and not, or not for all models, ``max_tokens``.
    NO_DEVELOPER_ROLE: refuses the role ``developer``; such messages are sent as ``system``.
    NO_JSON_SCHEMA: has ``json_object`` but no ``json_schema``.
    NO_NAMED_TOOL: takes no tool by name in ``tool_choice``.
    NO_NULL_CONTENT: refuses ``content: null``.
    STRICT_FIELDS: refuses fields that it does not know.
    STRING_CONTENT: takes message content as a string only, not as parts.
    ANY_FOR_REQUIRED: calls the tool choice ``required`` ``any``.
    NINE_LETTER_IDS: takes tool call ids of exactly nine letters and digits only.
    REASONING_CONTENT: takes earlier reasoning back as ``reasoning_content``.
    REASONING_FIELD: takes earlier reasoning back as ``reasoning``.
    NO_REASONING_EFFORT: refuses ``reasoning_effort``.
    THINKING_OBJECT: reasoning is switched by ``thinking: {"type": "enabled"}`` or ``"disabled"``.
    ENABLE_THINKING: reasoning is switched by ``enable_thinking``, and bounded by ``thinking_budget``.
    CACHE_CONTROL: takes Anthropic's ``cache_control`` on content parts and tools.
    VERTEX: the provider's models as Google Cloud's Vertex AI serves them.
    """

    NO_STREAM_USAGE = "no-stream-usage"
    NORMALISE = "normalise"
    MAX_COMPLETION_TOKENS = "max-completion-tokens"
    NO_DEVELOPER_ROLE = "no-developer-role"
    NO_JSON_SCHEMA = "no-json-schema"
    NO_NAMED_TOOL = "no-named-tool"
    NO_NULL_CONTENT = "no-null-content"
    STRICT_FIELDS = "strict-fields"
    STRING_CONTENT = "string-content"
    ANY_FOR_REQUIRED = "any-for-required"
    NINE_LETTER_IDS = "nine-letter-ids"
    REASONING_CONTENT = "reasoning-content"
    REASONING_FIELD = "reasoning-field"
    NO_REASONING_EFFORT = "no-reasoning-effort"
    THINKING_OBJECT = "thinking-object"
    ENABLE_THINKING = "enable-thinking"
    CACHE_CONTROL = "cache-control"
    VERTEX = "vertex"


@attrs.frozen
class ProviderEndpoint:
    """How one public path is served by one provider; every default is resolved.

    Attributes:
        path: the canonical public path.
        origin: where the request goes; differs from the provider's for an absolute ``upstreamPath``.
        target: path and query sent upstream; may hold ``{model}``.
        stream_target: the same for requests that ask for a stream.
        method: HTTP method.
        headers: the provider's headers with the endpoint's on top, lower-case names.
        dialect: the dialect spoken there.
        stream_support: whether ``stream: true`` is allowed.
        requires_multipart: whether other bodies are refused.
        stream: heartbeat and buffer settings.
    """

    path: str
    origin: Origin
    target: str
    method: str
    headers: tuple[tuple[str, str], ...]
    dialect: str
    stream_support: bool
    requires_multipart: bool
    stream: StreamConfig
    stream_target: str = ""

    def target_for(self, *, stream: bool) -> str:
        """Path and query of a request."""
        return self.stream_target if stream and self.stream_target else self.target


@attrs.frozen
class ModelSource:
    """Which models a provider has.

    Attributes:
        listed: names given in the file.
        target: path where the provider lists them, or None.
    """

    listed: tuple[str, ...] = ()
    target: str | None = None


@attrs.frozen
class TLSConfig:
    """Trust and identity towards one provider.

    Attributes:
        ca: PEM file of the authorities to trust instead of the platform's.
        cert: PEM file of relay's own certificate chain.
        key: PEM file of its private key.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = None


@attrs.frozen
class Price:
    """What a model costs, in nano-dollars per token (per request: nano-dollars)."""

    input: int = 0
    cached: int | None = None
    cache_write: int | None = None
    output: int = 0
    reasoning: int | None = None
    request: int = 0


@attrs.frozen
class Provider:
    """One provider: a file in ``transformer/``, resolved and checked.

    Attributes:
        name: how operators and clients address it.
        file: the file it came from, as the operator would name it.
        dialect: the dialect of endpoints that name no other.
        origin: scheme, host and port of ``baseUrl``.
        base_path: path of ``baseUrl`` without a trailing slash.
        headers: sent upstream on every call, lower-case names.
        auth: credential and scheme.
        model_mapping: the client's model → the provider's.
        models: what it lists.
        endpoints: canonical path → settings; holds every forwarded path.
        rate_limits: canonical path → limit in force (endpoint over provider over environment).
        stream: default stream settings.
        timeouts: deadlines towards it.
        params: rows that rename, drop, clamp or default request fields.
        quirks: named deviations.
        concurrency: parallel attempts allowed; 0 means no cap.
        tls: trust and identity.
        proxy: URL of an HTTP proxy, or None.
        prices: upstream model → price.
        port: the listen port that this file asks for, or None.
        docs: link to the provider's documentation.
    """

    name: str
    file: str
    dialect: str
    origin: Origin
    base_path: str
    headers: tuple[tuple[str, str], ...]
    auth: Auth
    model_mapping: Mapping[str, str]
    models: ModelSource
    endpoints: Mapping[str, ProviderEndpoint]
    rate_limits: Mapping[str, RateLimit]
    stream: StreamConfig
    timeouts: Timeouts
    params: tuple[ParamRule, ...] = ()
    quirks: frozenset[Quirk] = frozenset()
    concurrency: int = 0
    tls: TLSConfig = TLSConfig()
    proxy: str | None = None
    prices: Mapping[str, Price] = attrs.field(factory=dict)
    port: int | None = None
    docs: str = ""

    @property
    def credentials(self) -> tuple[ProviderKey, ...]:
        """The provider's own keys in the order of choice; empty where none is set, or a header carries it."""
        first = self.auth.credential
        return (ProviderKey(first, self.auth.source), *self.auth.others) if first else ()

    def header_credentials(self) -> tuple[Secret, ...]:
        """Keys that stand in configured headers, without their scheme's word (``Bearer``)."""
        fields = [*self.headers, *(field for endpoint in self.endpoints.values() for field in endpoint.headers)]
        values = dict.fromkeys(value.rpartition(" ")[2] for name, value in fields if name in CREDENTIAL_HEADERS)
        return tuple(Secret(value) for value in values)

    def upstream_model(self, model: str) -> str:
        """The provider's name for a model; unknown names are its own already."""
        return self.model_mapping.get(model, model)

    def knows(self, model: str) -> bool:
        """Whether the file maps or lists the model."""
        return model in self.model_mapping or model in self.models.listed
