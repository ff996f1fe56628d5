"""What the file that ``--config`` names may say."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from relay.schema.provider import (
    AuthFile,
    EnvName,
    Name,
    ProviderEntry,
    RateLimitFile,
    Seconds,
    SecondsOrNever,
    Strict,
    TimeoutsFile,
)


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


class DeploymentFile(Strict):
    """One candidate of a route."""

    provider: Name
    model: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    weight: Annotated[int, Meta(ge=0, le=1_000_000)] = 1


class RetryFile(Strict):
    """How often and how long a route tries again."""

    attempts: Annotated[int, Meta(ge=1, le=20)] = 1
    backoff: SecondsOrNever = 0.5


class RouteFile(Strict):
    """Deployments that serve one public model name or pattern."""

    deployments: Annotated[list[DeploymentFile], Meta(min_length=1)]
    strategy: Literal["weighted", "round-robin", "least-busy", "latency", "cheapest", "sticky"] = "weighted"
    fallbacks: list[str] | UnsetType = UNSET
    retry: RetryFile | UnsetType = UNSET
    timeouts: TimeoutsFile | UnsetType = UNSET
    hidden: bool = False


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
    routes: dict[Annotated[str, Meta(min_length=1)], RouteFile] | UnsetType = UNSET
    store: StoreFile | UnsetType = UNSET
    redis: RedisFile | UnsetType = UNSET
    admin: AdminFile | UnsetType = UNSET
