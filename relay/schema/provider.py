"""What a provider file (``transformer/NAME.json``) may say."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

DialectName = Literal["openai", "responses", "anthropic", "gemini", "cohere", "ollama", "bedrock"]
SchemeName = Literal["none", "bearer", "x-api-key", "api-key", "x-goog-api-key", "query", "sigv4", "gcp"]
QuirkName = Literal[
    "no-stream-usage",
    "normalise",
    "max-completion-tokens",
    "no-developer-role",
    "no-json-schema",
    "no-named-tool",
    "no-null-content",
    "strict-fields",
    "string-content",
    "any-for-required",
    "nine-letter-ids",
    "reasoning-content",
    "reasoning-field",
    "no-reasoning-effort",
    "thinking-object",
    "enable-thinking",
    "cache-control",
    "vertex",
]

# Patterns end in (?!\n): Python's $ also matches before a last line feed.
Name = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$(?!\n)",
        description="A name of letters, digits, '.', '_' and '-', at most 64.",
    ),
]
PublicPath = Annotated[str, Meta(pattern=r"^/[!-~]*$(?!\n)", description="A public path such as /v1/chat/completions.")]
HeaderName = Annotated[str, Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$(?!\n)", description="An HTTP field name.")]
HeaderValue = Annotated[
    str,
    Meta(pattern=r"^[\t -~]*$(?!\n)", description="An HTTP field value in printable ASCII; ${VAR} comes from vars."),
]
HeaderMap = dict[HeaderName, HeaderValue]
Seconds = Annotated[float, Meta(gt=0, le=86400, description="Seconds.")]
SecondsOrNever = Annotated[float, Meta(ge=0, le=86400, description="Seconds; 0 turns it off.")]
EnvName = Annotated[
    str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$(?!\n)", description="The name of an environment variable.")
]
VarName = Annotated[
    str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$(?!\n)", description="A variable's name, used as ${NAME}.")
]
ModelName = Annotated[str, Meta(min_length=1, description="A model name.")]
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Port = Annotated[int, Meta(ge=1, le=65535)]
NanoDollars = Annotated[int, Meta(ge=0, description="Nano-dollars for one token (10 tokens at 0.02 $/M are 200).")]


class Strict(Struct, forbid_unknown_fields=True, rename="camel"):
    """A closed object: unknown keys are refused."""


class RateLimitFile(Strict):
    """A token bucket. 0 requests per minute means unlimited."""

    requests_per_minute: Annotated[Count, Meta(description="Refill rate; 0 is unlimited.")] | UnsetType = UNSET
    burst: Annotated[Count, Meta(description="Capacity; default requestsPerMinute, at least 1.")] | UnsetType = UNSET


class StreamConfigFile(Strict):
    """How streamed answers are carried."""

    buffer_size: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=67_108_864,
                description="Bytes that may wait for a slow client before the upstream is paused (65536).",
            ),
        ]
        | UnsetType
    ) = UNSET
    heartbeat_interval_secs: (
        Annotated[SecondsOrNever, Meta(description="Silence after which a heartbeat is sent (default 15; 0: none).")]
        | UnsetType
    ) = UNSET


class TimeoutsFile(Strict):
    """Deadlines towards a provider, in seconds."""

    connect: Annotated[Seconds, Meta(description="Until a connection with TLS stands (5).")] | UnsetType = UNSET
    first_byte: Annotated[Seconds, Meta(description="Streamed answers: until the first byte (300).")] | UnsetType = (
        UNSET
    )
    idle: Annotated[Seconds, Meta(description="Streamed answers: between two reads (300).")] | UnsetType = UNSET
    total: (
        Annotated[
            Seconds,
            Meta(description="The whole answer (900 for non-streamed ones; bounds streamed ones only if written)."),
        ]
        | UnsetType
    ) = UNSET


class KeyFile(Strict):
    """Where one key, or one more part of a credential, comes from."""

    env: Annotated[EnvName, Meta(description="Environment variable that holds it.")] | UnsetType = UNSET
    file: Annotated[str, Meta(min_length=1, description="File that holds it.")] | UnsetType = UNSET


class AuthFile(Strict):
    """Where a provider's credential comes from and how it is sent; never the credential itself."""

    scheme: Annotated[SchemeName, Meta(description="How the credential travels (default bearer).")] | UnsetType = UNSET
    env: Annotated[EnvName, Meta(description="Environment variable that holds the credential.")] | UnsetType = UNSET
    file: Annotated[str, Meta(min_length=1, description="File that holds the credential.")] | UnsetType = UNSET
    keys: (
        Annotated[
            list[KeyFile], Meta(min_length=1, description="Where several keys are kept, the one to use first first.")
        ]
        | UnsetType
    ) = UNSET
    parameter: (
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]+$(?!\n)", description="Query parameter for scheme query (key).")]
        | UnsetType
    ) = UNSET
    access_key_id: Annotated[KeyFile, Meta(description="For sigv4: where the access key id is kept.")] | UnsetType = (
        UNSET
    )
    session_token: (
        Annotated[KeyFile, Meta(description="For sigv4: where the session token of temporary credentials is kept.")]
        | UnsetType
    ) = UNSET
    region: (
        Annotated[str, Meta(min_length=1, description="For sigv4: the endpoint's region; ${VAR} comes from vars.")]
        | UnsetType
    ) = UNSET
    service: (
        Annotated[
            str,
            Meta(pattern=r"^[a-z0-9-]+$(?!\n)", description="For sigv4: the service's signing name (default bedrock)."),
        ]
        | UnsetType
    ) = UNSET


class VarFile(Strict):
    """A variable for ${NAME}: from the environment, with a default, or fixed."""

    value: Annotated[str, Meta(description="A fixed value.")] | UnsetType = UNSET
    env: Annotated[EnvName, Meta(description="Environment variable to take it from.")] | UnsetType = UNSET
    default: Annotated[str, Meta(description="Used when the environment variable is not set.")] | UnsetType = UNSET


class ParamFile(Strict):
    """One row: what becomes of a top-level field of a JSON request."""

    name: Annotated[str, Meta(min_length=1, description="The field.")]
    to: Annotated[str, Meta(min_length=1, description="Its name at the provider.")] | UnsetType = UNSET
    drop: Annotated[bool, Meta(description="Remove it.")] = False
    min: Annotated[float, Meta(description="Smaller numbers become this.")] | UnsetType = UNSET
    max: Annotated[float, Meta(description="Larger numbers become this.")] | UnsetType = UNSET
    default: Annotated[object, Meta(description="Value used when the field is absent.")] = UNSET


class EndpointFile(Strict):
    """How one public path is served; everything is optional."""

    upstream_path: (
        Annotated[
            str,
            Meta(min_length=1, description="Path (or absolute URL) at the provider; {model} is the upstream model."),
        ]
        | UnsetType
    ) = UNSET
    stream_path: (
        Annotated[
            str,
            Meta(min_length=1, description="The same for requests that ask for a stream, where they go elsewhere."),
        ]
        | UnsetType
    ) = UNSET
    method: Annotated[str, Meta(pattern=r"^[A-Za-z]+$(?!\n)", description="An HTTP method (POST).")] | UnsetType = UNSET
    headers: HeaderMap | UnsetType = UNSET
    dialect: DialectName | UnsetType = UNSET
    stream_support: Annotated[bool, Meta(description="false refuses stream: true with a 400.")] = True
    requires_multipart: Annotated[bool, Meta(description="true refuses bodies that are not multipart/form-data.")] = (
        False
    )
    rate_limit: RateLimitFile | UnsetType = UNSET
    stream_config: StreamConfigFile | UnsetType = UNSET


class ModelsFile(Strict):
    """Where the provider lists its models."""

    path: Annotated[
        str, Meta(pattern=r"^/[!-~]*$(?!\n)", description="A path at the provider that answers a list of models.")
    ]


class TLSFile(Strict):
    """Trust and identity towards the provider: PEM files."""

    ca: str | UnsetType = UNSET
    cert: str | UnsetType = UNSET
    key: str | UnsetType = UNSET


class PriceFile(Strict):
    """What a model costs."""

    input: NanoDollars = 0
    cached: NanoDollars | UnsetType = UNSET
    cache_write: NanoDollars | UnsetType = UNSET
    output: NanoDollars = 0
    reasoning: NanoDollars | UnsetType = UNSET
    request: NanoDollars = 0


class ProviderBody(Strict):
    """What a provider file may say besides its address."""

    docs: Annotated[str, Meta(description="Link to the provider's documentation.")] | UnsetType = UNSET
    dialect: DialectName | UnsetType = UNSET
    port: Annotated[Port, Meta(description="Listen port, when this is the first provider.")] | UnsetType = UNSET
    headers: HeaderMap | UnsetType = UNSET
    auth: AuthFile | UnsetType = UNSET
    vars: dict[VarName, str | VarFile] | UnsetType = UNSET
    model_mapping: dict[ModelName, ModelName] | UnsetType = UNSET
    models: list[ModelName] | ModelsFile | UnsetType = UNSET
    endpoints: dict[PublicPath, EndpointFile] | UnsetType = UNSET
    params: list[ParamFile] | UnsetType = UNSET
    rate_limit: RateLimitFile | UnsetType = UNSET
    stream_config: StreamConfigFile | UnsetType = UNSET
    timeouts: TimeoutsFile | UnsetType = UNSET
    concurrency: (
        Annotated[Count, Meta(description="Parallel attempts at all of its models together; 0 is no cap (0).")]
        | UnsetType
    ) = UNSET
    prices: dict[str, PriceFile] | UnsetType = UNSET
    tls: TLSFile | UnsetType = UNSET
    proxy: (
        Annotated[str, Meta(pattern=r"^https?://", description="The http:// or https:// address of a proxy.")]
        | UnsetType
    ) = UNSET
    quirks: list[QuirkName] | UnsetType = UNSET


class ProviderFile(ProviderBody, kw_only=True):
    """A provider: ``transformer/NAME.json``."""

    schema: Annotated[str, Meta(description="Link to this schema, for editors.")] | UnsetType = msgspec.field(
        name="$schema", default=UNSET
    )
    name: (
        Annotated[
            str,
            Meta(
                min_length=1,
                description="How operators and clients address it (default: the file's name). "
                "Text that is not a name is only a title: the file's name is used.",
            ),
        ]
        | UnsetType
    ) = UNSET
    base_url: Annotated[
        str, Meta(min_length=1, description="An address; https:// when it has no scheme; ${VAR} comes from vars.")
    ]


class ProviderEntry(ProviderBody):
    """An entry of ``providers`` that starts from a provider file and overrides parts of it."""

    name: (
        Annotated[Name, Meta(description="How operators and clients address it (default: the file's name).")]
        | UnsetType
    ) = UNSET
    file: (
        Annotated[str, Meta(min_length=1, description="The provider, or path of the provider file, to start from.")]
        | UnsetType
    ) = UNSET
    base_url: Annotated[str, Meta(min_length=1, description="Replaces the file's address.")] | UnsetType = UNSET
