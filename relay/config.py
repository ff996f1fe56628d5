"""All configuration as one value: what the rest of relay sees of files and options.

A `Snapshot` is one validated reading of everything; an exchange keeps the one it began with.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from relay.provider import Provider, Timeouts
from relay.secret import Secret


@attrs.frozen
class ServerTimeouts:
    """Deadlines of the client side.

    Attributes:
        request_head: until a request's head is complete.
        request_body: until a request's body is complete.
        write: until a client that stopped reading is cut off.
        drain: after SIGTERM, until running exchanges are ended with an error.
    """

    request_head: float = 10.0
    request_body: float = 60.0
    write: float = 300.0
    drain: float = 120.0


@attrs.frozen
class Deployment:
    """One place where a model runs: provider, upstream model, credential, limits.

    Attributes:
        name: ``provider/upstream-model``, for logs and headers.
        provider: the provider.
        model: the upstream model; "" when the request names none.
        weight: share among the deployments of its route.
        first: whether it is the first choice for its exchange; a client's own key goes to no
            other.
    """

    name: str
    provider: Provider
    model: str
    weight: int = 1
    first: bool = True


@attrs.frozen
class RetryPolicy:
    """How often and how long a route tries again.

    Attributes:
        attempts: tries in all, at least 1.
        backoff: seconds before the second try, doubled for each further one.
    """

    attempts: int = 1
    backoff: float = 0.5


@attrs.frozen
class Route:
    """A public model name, or pattern, and the deployments that serve it.

    Attributes:
        name: the model name or pattern (``gpt-*``).
        deployments: ordered candidates.
        strategy: name of a function in `policy.routing`.
        fallbacks: routes to try when this one is exhausted.
        retry: how often to try.
        timeouts: deadlines, or None for the provider's.
        hidden: whether ``/v1/models`` leaves it out.
    """

    name: str
    deployments: tuple[Deployment, ...]
    strategy: str = "weighted"
    fallbacks: tuple[str, ...] = ()
    retry: RetryPolicy = RetryPolicy()
    timeouts: Timeouts | None = None
    hidden: bool = False


@attrs.frozen
class ClientKey:
    """A static key that lets a client in.

    Attributes:
        name: shown in logs, metrics and limits instead of the key.
        secret: the key.
    """

    name: str
    secret: Secret


@attrs.frozen
class ServerConfig:
    """The client side's bounds.

    Attributes:
        body: largest request body.
        connections: largest number of open client connections.
        cors_origins: web origins that may call; ``*`` allows any.
        hosts: names besides loopback ones that a ``Host`` header may carry on loopback without keys.
        strict: whether a field that a translation cannot carry is refused instead of dropped.
    """

    body: int = 32 * 1024 * 1024
    connections: int = 10_000
    cors_origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    strict: bool = False


@attrs.frozen
class Snapshot:
    """One validated, immutable reading of all configuration.

    Attributes:
        providers: name → provider, in the order of choice; never empty.
        client_keys: keys that clients must bring; empty lets anyone in.
        default_key: ``DEFAULT_API_KEY``, or None.
        routes: model name or pattern → route.
        server: the client side's bounds.
        server_timeouts: the client side's deadlines.
        listen: endpoint strings from the config file, may be empty.
        warnings: what an operator should know of, one sentence each.
        files: every file that was read, absolute, for the watch.
        generation: counts good readings, from 1.
    """

    providers: Mapping[str, Provider]
    client_keys: tuple[ClientKey, ...] = ()
    default_key: Secret | None = None
    routes: Mapping[str, Route] = attrs.field(factory=dict)
    server: ServerConfig = ServerConfig()
    server_timeouts: ServerTimeouts = ServerTimeouts()
    listen: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    generation: int = 1

    @property
    def first(self) -> Provider:
        """The first chosen provider: where models go that no other claims."""
        return next(iter(self.providers.values()))

    def secrets(self) -> tuple[Secret, ...]:
        """Every credential in it, for the redactor."""
        own = [secret for p in self.providers.values() for secret in p.auth.secrets()]
        own += [secret for p in self.providers.values() for secret in p.header_credentials()]
        own += [key.secret for key in self.client_keys]
        if self.default_key:
            own.append(self.default_key)
        return tuple(own)
