"""All configuration as one value: what the rest of relay sees of files and options.

A `Snapshot` is one validated reading of everything; an exchange keeps the one it began with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

from relay.provider import Provider, RateLimit, Timeouts
from relay.secret import Secret

Strategy = Literal["weighted", "round-robin", "least-busy", "latency", "cheapest", "ordered"]
"""How the candidates of one priority are ordered."""

WILD = "*"
"""Stands for any characters in the name of a route, and makes it a pattern."""


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
        name: ``provider/upstream-model``, for logs and headers; ``provider/*`` where the model is the client's, so
            that clients cannot create names. What is known of its health goes by it.
        provider: the provider.
        model: the upstream model; "" when the request names none, or when the client's name counts.
        weight: share among the deployments of its route, at least 1.
        priority: lower ones are used first.
        first: whether it may be the first choice for its exchange; a client's own key goes to no
            other.
        concurrency: parallel attempts allowed; 0 means no cap.
        rate_limit: limit of its own, or None.
        timeouts: deadlines, or None for the provider's.
        drained: whether it gets no new exchanges.
    """

    name: str
    provider: Provider
    model: str
    weight: int = 1
    priority: int = 0
    first: bool = True
    concurrency: int = 0
    rate_limit: RateLimit | None = None
    timeouts: Timeouts | None = None
    drained: bool = False


@attrs.frozen
class RetryPolicy:
    """How often and how long a route tries again.

    Attributes:
        attempts: tries in all, over all deployments of the route, at least 1.
        backoff: seconds before the second try at most, doubled for each further one.
        ceiling: the longest wait in seconds.
    """

    attempts: int = 2
    backoff: float = 0.5
    ceiling: float = 8.0


@attrs.frozen
class BreakerPolicy:
    """When a deployment is left alone, and for how long.

    Attributes:
        failures: consecutive failures that open the breaker.
        ratio: share of failures within the window that opens it, above 0 and at most 1.
        window: seconds over which the share is taken.
        least: results in the window below which the share says nothing.
        cooldown: seconds until a probe is let through.
        slow_start: seconds after a recovery until the deployment has its whole share again; 0 gives it at once.
    """

    failures: int = 5
    ratio: float = 0.5
    window: float = 30.0
    least: int = 10
    cooldown: float = 15.0
    slow_start: float = 30.0


@attrs.frozen
class HedgePolicy:
    """When a second attempt starts beside a slow one.

    Attributes:
        after: seconds without content, or None for the p95 that was measured.
        share: share of all requests that may be hedged, above 0 and at most 1.
    """

    after: float | None = None
    share: float = 0.1


@attrs.frozen
class MirrorPolicy:
    """Another deployment that gets copies of requests; its answers are discarded.

    Attributes:
        deployment: where copies go; never a first choice.
        share: share of requests that is copied, above 0 and at most 1.
    """

    deployment: Deployment
    share: float


@attrs.frozen
class DisconnectPolicy:
    """What becomes of an answer whose client has left.

    Attributes:
        mode: ``cancel`` aborts it at once, ``drain`` reads on up to the bounds, ``finish`` reads it to its end.
        seconds: the longest that ``drain`` reads on.
        tokens: the most output tokens that ``drain`` reads on; 0 means no such bound.
    """

    mode: Literal["cancel", "drain", "finish"] = "cancel"
    seconds: float = 30.0
    tokens: int = 0


@attrs.frozen
class QueuePolicy:
    """Where requests wait when all places are taken.

    Attributes:
        size: requests that may wait; 0 means that none does.
        wait: the longest wait in seconds.
    """

    size: int = 0
    wait: float = 10.0


@attrs.frozen
class Sticky:
    """What keeps requests that belong together on one deployment.

    Attributes:
        by: ``none``, ``prompt`` (the stable beginning of the prompt) or ``header``.
        header: name of the header field, in lower case; "" unless ``by`` is ``header``.
    """

    by: Literal["none", "prompt", "header"] = "none"
    header: str = ""


@attrs.frozen
class Route:
    """A public model name, or pattern, and the deployments that serve it.

    Attributes:
        name: the model name or pattern (``gpt-*``).
        deployments: candidates in the order of the file, never empty.
        strategy: how candidates of one priority are ordered.
        fallbacks: names of the routes to try when this one is exhausted.
        context_fallbacks: the same when the prompt is too long for it.
        policy_fallbacks: the same when the provider's content policy refuses.
        retry: how often to try.
        breaker: when a deployment is left alone.
        hedge: when a second attempt starts beside a slow one, or None.
        mirror: where copies of requests go, or None.
        disconnect: what becomes of an answer whose client has left.
        concurrency: parallel exchanges allowed; 0 means no cap.
        queue: where requests wait when all places are taken.
        sticky: what keeps requests on one deployment.
        deadline: seconds for a client's request in all, or None.
        hidden: whether ``/v1/models`` leaves it out.
        aliases: other names for it.
    """

    name: str
    deployments: tuple[Deployment, ...]
    strategy: Strategy = "weighted"
    fallbacks: tuple[str, ...] = ()
    context_fallbacks: tuple[str, ...] = ()
    policy_fallbacks: tuple[str, ...] = ()
    retry: RetryPolicy = RetryPolicy()
    breaker: BreakerPolicy = BreakerPolicy()
    hedge: HedgePolicy | None = None
    mirror: MirrorPolicy | None = None
    disconnect: DisconnectPolicy = DisconnectPolicy()
    concurrency: int = 0
    queue: QueuePolicy = QueuePolicy()
    sticky: Sticky = Sticky()
    deadline: float | None = None
    hidden: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def pattern(self) -> bool:
        """Whether the name is a pattern."""
        return WILD in self.name

    def everywhere(self) -> tuple[Deployment, ...]:
        """Every deployment that requests for it may reach, the mirror's included."""
        return self.deployments if self.mirror is None else (*self.deployments, self.mirror.deployment)


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
        routes: name, alias or pattern → route; a route is there once for each of its names.
        default_route: name of the route for models that nothing else claims, or None.
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
    default_route: str | None = None
    server: ServerConfig = ServerConfig()
    server_timeouts: ServerTimeouts = ServerTimeouts()
    listen: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    generation: int = 1
    _patterns: tuple[tuple[str, str, Route], ...] = attrs.field(init=False, eq=False, repr=False)

    @_patterns.default
    def _longest_first(self) -> tuple[tuple[str, str, Route], ...]:
        parts = [(name.partition(WILD), route) for name, route in self.routes.items() if WILD in name]
        found = [(begin, end, route) for (begin, _, end), route in parts]
        return tuple(sorted(found, key=lambda pattern: -len(pattern[0]) - len(pattern[1])))

    def route_for(self, model: str) -> Route | None:
        """The route of a model: the one of that name, else the longest pattern that fits, else the default.

        Args:
            model: the client's name for it.

        Returns:
            The route, or None where there is none, or where the name addresses a provider
            (``provider/model``), which no route does.
        """
        route = self.routes.get(model)
        if route is not None or not self.routes:
            return route
        prefix, slash, rest = model.partition("/")
        if slash and rest and prefix in self.providers:
            return None
        for begin, end, route in self._patterns:
            if len(model) >= len(begin) + len(end) and model.startswith(begin) and model.endswith(end):
                return route
        return self.routes[self.default_route] if self.default_route is not None else None

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
