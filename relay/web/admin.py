"""What operators and load balancers ask: how relay is, whether it is ready, and its figures."""

from __future__ import annotations

import msgspec

from relay.exchange import Headers
from relay.interfaces import IConfiguration
from relay.version import VERSION
from relay.web.base import Door, Leaf
from relay.web.request import RelayRequest
from relay.web.seams import Introspection, Phase

_JSON: Headers = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))


class HealthResource(Leaf):
    """``GET /health``: 200 as long as the process can answer at all."""

    endpoint = "/health"

    def __init__(self, door: Door, configuration: IConfiguration, introspection: Introspection) -> None:
        super().__init__(door)
        self._configuration = configuration
        self._introspection = introspection

    async def respond(self, request: RelayRequest) -> None:
        """Tell versions, providers, limits and configuration."""
        status, snapshot = self._introspection.status(), self._configuration.snapshot
        body = {
            "status": "ok",
            "message": "relay is running",
            "rateLimiter": {"activeBuckets": sum(status.buckets.values()), "routes": dict(status.buckets)},
            "version": VERSION,
            "uptimeSeconds": round(status.uptime, 3),
            "draining": status.phase is Phase.DRAINING,
            "activeRequests": status.active_requests,
            "providers": {
                name: {"dialect": provider.dialect, "state": status.providers.get(name, "unknown")}
                for name, provider in snapshot.providers.items()
            },
            "deployments": status.deployments,
            "config": {
                "generation": snapshot.generation,
                "failures": status.reload_failures,
                "lastError": status.reload_error or None,
            },
        }
        request.answer(200, _JSON, msgspec.json.encode(body))


class ReadyResource(Leaf):
    """``GET /ready``: 503 only while starting or draining; what is merely degraded is told."""

    endpoint = "/ready"

    def __init__(self, door: Door, introspection: Introspection) -> None:
        super().__init__(door)
        self._introspection = introspection

    async def respond(self, request: RelayRequest) -> None:
        """Tell whether new requests should come here."""
        status = self._introspection.status()
        ready = status.phase is Phase.SERVING
        body = {"status": "ready" if ready else status.phase.value, "degraded": list(status.degraded)}
        request.answer(200 if ready else 503, _JSON, msgspec.json.encode(body))


class MetricsResource(Leaf):
    """``GET /metrics``: the exposition for Prometheus."""

    endpoint = "/metrics"

    def __init__(self, door: Door, introspection: Introspection) -> None:
        super().__init__(door)
        self._introspection = introspection

    async def respond(self, request: RelayRequest) -> None:
        """Expose all metrics."""
        body, media = self._introspection.metrics()
        request.answer(200, ((b"content-type", media.encode("ascii")), (b"cache-control", b"no-store")), body)


class RootResource(Leaf):
    """``GET /``: says what this is to whoever found the port.

    Args:
        door: admits requests and answers errors.
        endpoints: canonical paths served.
    """

    endpoint = "/"

    def __init__(self, door: Door, endpoints: tuple[str, ...]) -> None:
        super().__init__(door)
        self._endpoints = endpoints

    async def respond(self, request: RelayRequest) -> None:
        """Name, version and endpoints."""
        body = {
            "name": "relay",
            "version": VERSION,
            "description": "An LLM gateway. Point the base URL of an OpenAI SDK to /v1 here, of an Anthropic SDK to /.",
            "endpoints": self._endpoints,
            "documentation": "docs/openapi.yaml in relay's source",
        }
        request.answer(200, _JSON, msgspec.json.encode(body))
