"""What the file that ``--config`` names may say."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from relay.config import Strategy
from relay.schema.provider import (
    AuthFile,
    Count,
    EnvName,
    HeaderName,
    ModelName,
    Name,
    ProviderEntry,
    RateLimitFile,
    Seconds,
    SecondsOrNever,
    Strict,
    TimeoutsFile,
)

RouteName = Annotated[
    str,
    Meta(
        pattern=r"^[!-~]{1,256}$(?!\n)",
        description="A model's name, or a pattern with one *: printable ASCII without blanks, at most 256.",
    ),
]
Word = Annotated[str, Meta(pattern=r"^[!-~]{1,256}$(?!\n)", description="Printable ASCII without blanks, at most 256.")]
Share = Annotated[float, Meta(gt=0, le=1, description="A share, above 0 and at most 1.")]


class ConfigTimeoutsFile(TimeoutsFile):
    """Deadlines of both sides, in seconds."""

    request_head: Annotated[Seconds, Meta(description="Until a request's head is complete (10).")] | UnsetType = UNSET
    request_body: Annotated[Seconds, Meta(description="Until a request's body is complete (60).")] | UnsetType = UNSET
    write: Annotated[Seconds, Meta(description="Until a client that stopped reading is cut off (300).")] | UnsetType = (
        UNSET
    )
    drain: (
        Annotated[SecondsOrNever, Meta(description="After SIGTERM, until running exchanges are ended (120).")]
        | UnsetType
    ) = UNSET


class ClientKeyFile(Strict):
    """A static client key: its name, and where its value is kept."""

    name: Name
    env: Annotated[EnvName, Meta(description="Environment variable that holds the key.")] | UnsetType = UNSET
    file: Annotated[str, Meta(min_length=1, description="File that holds the key.")] | UnsetType = UNSET


class DeploymentFile(Strict, kw_only=True):
    """One candidate of a route."""

    provider: Annotated[Name, Meta(description="One of the configured providers.")]
    model: (
        Annotated[
            ModelName,
            Meta(
                description="The provider's name for the model (default: the route's name, or what its pattern met, by the provider's modelMapping)."
            ),
        ]
        | UnsetType
    ) = UNSET
    name: (
        Annotated[Word, Meta(description="What logs, headers and health call it (default: provider/model).")]
        | UnsetType
    ) = UNSET
    weight: Annotated[int, Meta(ge=1, le=1_000_000, description="Share among the deployments of its priority (1).")] = 1
    priority: Annotated[int, Meta(ge=0, le=1000, description="Lower ones are used first (0).")] = 0
    concurrency: Annotated[Count, Meta(description="Parallel attempts; 0 is no cap (0).")] = 0
    rate_limit: (
        Annotated[RateLimitFile, Meta(description="Limit of its own, for all clients together.")] | UnsetType
    ) = UNSET
    timeouts: (
        Annotated[TimeoutsFile, Meta(description="Deadlines; each one missing is the route's, else the provider's.")]
        | UnsetType
    ) = UNSET
    drained: Annotated[bool, Meta(description="true sends it no new requests (false).")] = False


class RetryFile(Strict):
    """How often and how long a route tries again."""

    attempts: Annotated[int, Meta(ge=1, le=20, description="Tries in all, over all deployments of the route (2).")] = 2
    backoff: Annotated[
        SecondsOrNever, Meta(description="Longest wait before the second try; doubled for each further one (0.5).")
    ] = 0.5
    ceiling: Annotated[SecondsOrNever, Meta(description="No wait is longer (8).")] = 8.0


class BreakerFile(Strict):
    """When a deployment is left alone, and for how long."""

    failures: Annotated[int, Meta(ge=1, le=1000, description="Consecutive failures that open the breaker (5).")] = 5
    ratio: Annotated[Share, Meta(description="Share of failures in the window that opens it (0.5).")] = 0.5
    window: Annotated[float, Meta(gt=0, le=3600, description="Seconds over which the share is taken (30).")] = 30.0
    least: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Results in the window below which the share says nothing (10).")
    ] = 10
    cooldown: Annotated[float, Meta(gt=0, le=300, description="Seconds until a probe is let through (15).")] = 15.0
    slow_start: Annotated[
        float,
        Meta(ge=0, le=3600, description="Seconds after a recovery until it has its whole share; 0: at once (30)."),
    ] = 30.0


class HedgeFile(Strict):
    """When a second attempt starts beside a slow one."""

    after: (
        Annotated[Seconds, Meta(description="Seconds without content (default: the p95 that was measured).")]
        | UnsetType
    ) = UNSET
    share: Annotated[Share, Meta(description="Share of all requests that may be hedged (0.1).")] = 0.1


class MirrorFile(Strict):
    """Another deployment that gets copies of requests; its answers are discarded."""

    provider: Annotated[Name, Meta(description="One of the configured providers.")]
    share: Annotated[Share, Meta(description="Share of requests that is copied.")]
    model: Annotated[ModelName, Meta(description="As of a deployment.")] | UnsetType = UNSET


class DisconnectFile(Strict):
    """What becomes of an answer whose client has left."""

    mode: Annotated[
        Literal["cancel", "drain", "finish"],
        Meta(description="cancel: abort at once; drain: read on up to the bounds; finish: read to the end."),
    ]
    seconds: Annotated[Seconds, Meta(description="For drain: the longest that is read on (30).")] | UnsetType = UNSET
    tokens: (
        Annotated[Count, Meta(description="For drain: the most output tokens read on; 0: no such bound (0).")]
        | UnsetType
    ) = UNSET


class QueueFile(Strict):
    """Where requests wait when all places are taken."""

    size: Annotated[int, Meta(ge=0, le=1_000_000, description="Requests that may wait; 0: none (0).")] = 0
    wait: Annotated[Seconds, Meta(description="The longest wait (10).")] = 10.0


class StickyFile(Strict):
    """What keeps requests that belong together on one deployment."""

    by: Annotated[
        Literal["none", "prompt", "header"],
        Meta(description="prompt: the stable beginning of the prompt; header: a header field's value."),
    ]
    header: Annotated[HeaderName, Meta(description="For header: its name.")] | UnsetType = UNSET


class RouteFile(Strict):
    """Deployments that serve one public model name or pattern."""

    deployments: Annotated[list[DeploymentFile], Meta(min_length=1, description="The candidates.")]
    strategy: Annotated[Strategy, Meta(description="How the candidates of one priority are ordered (weighted).")] = (
        "weighted"
    )
    aliases: Annotated[list[RouteName], Meta(description="Other names for the route.")] | UnsetType = UNSET
    hidden: Annotated[bool, Meta(description="true leaves it out of /v1/models (false).")] = False
    fallbacks: Annotated[list[RouteName], Meta(description="Routes to try when this one is exhausted.")] | UnsetType = (
        UNSET
    )
    context_fallbacks: (
        Annotated[list[RouteName], Meta(description="Routes to try when the prompt is too long.")] | UnsetType
    ) = UNSET
    policy_fallbacks: (
        Annotated[list[RouteName], Meta(description="Routes to try when the provider's content policy refuses.")]
        | UnsetType
    ) = UNSET
    retry: RetryFile | UnsetType = UNSET
    breaker: BreakerFile | UnsetType = UNSET
    hedge: HedgeFile | UnsetType = UNSET
    mirror: MirrorFile | UnsetType = UNSET
    disconnect: DisconnectFile | UnsetType = UNSET
    concurrency: Annotated[Count, Meta(description="Parallel requests; 0 is no cap (0).")] = 0
    queue: QueueFile | UnsetType = UNSET
    sticky: StickyFile | UnsetType = UNSET
    deadline: Annotated[Seconds, Meta(description="For a client's request in all (default: none).")] | UnsetType = UNSET
    timeouts: (
        Annotated[TimeoutsFile, Meta(description="Deadlines of its deployments; each one missing is the provider's.")]
        | UnsetType
    ) = UNSET


class ServerFile(Strict):
    """Bounds of the client side."""

    body: (
        Annotated[int, Meta(ge=1024, le=1_073_741_824, description="Largest request body in bytes (33554432).")]
        | UnsetType
    ) = UNSET
    connections: (
        Annotated[int, Meta(ge=1, le=1_000_000, description="Largest number of open client connections (10000).")]
        | UnsetType
    ) = UNSET
    cors_origins: Annotated[list[str], Meta(description="Web origins that may call; * allows any.")] | UnsetType = UNSET
    hosts: (
        Annotated[
            list[str],
            Meta(description="Host names, besides loopback ones, that clients may use on loopback without keys."),
        ]
        | UnsetType
    ) = UNSET
    strict: Annotated[
        bool, Meta(description="true refuses what a translation cannot carry, instead of dropping it.")
    ] = False


class StoreFile(Strict):
    """Where keys and usage are kept."""

    url: Annotated[str, Meta(pattern=r"^(sqlite|postgresql)://", description="sqlite:///FILE or postgresql://…")]


class RedisFile(Strict):
    """Where limits are shared between machines."""

    url: Annotated[str, Meta(pattern=r"^rediss?://", description="redis://… or rediss://…")]


class AdminFile(Strict):
    """The admin listener."""

    listen: Annotated[str, Meta(min_length=1)]
    auth: AuthFile


class ConfigFile(Strict):
    """The file that ``--config`` names; all parts are optional."""

    schema: Annotated[str, Meta(description="Link to this schema, for editors.")] | UnsetType = msgspec.field(
        name="$schema", default=UNSET
    )
    providers: list[Annotated[str, Meta(min_length=1)] | ProviderEntry] | UnsetType = UNSET
    client_keys: list[ClientKeyFile] | UnsetType = UNSET
    listen: list[Annotated[str, Meta(min_length=1, description="A Twisted endpoint string.")]] | UnsetType = UNSET
    timeouts: ConfigTimeoutsFile | UnsetType = UNSET
    server: ServerFile | UnsetType = UNSET
    rate_limit: RateLimitFile | UnsetType = UNSET
    routes: dict[RouteName, RouteFile] | UnsetType = UNSET
    default_route: (
        Annotated[RouteName, Meta(description="The route for models that no other route claims.")] | UnsetType
    ) = UNSET
    store: StoreFile | UnsetType = UNSET
    redis: RedisFile | UnsetType = UNSET
    admin: AdminFile | UnsetType = UNSET
