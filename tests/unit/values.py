"""Values that many tests need: a provider, a snapshot, a request, made with one call."""

from __future__ import annotations

from collections.abc import Mapping

from relay.config import Snapshot
from relay.endpoints import ENDPOINTS
from relay.exchange import ClientRequest, Headers
from relay.provider import (
    Auth,
    AuthScheme,
    ModelSource,
    Origin,
    Provider,
    ProviderEndpoint,
    RateLimit,
    StreamConfig,
    Timeouts,
)
from relay.secret import Secret

ORIGIN = Origin("https", "api.example", 443)
UNLIMITED = RateLimit(0, 1)


def make_endpoint(path: str, dialect: str | None = None, **settings: object) -> ProviderEndpoint:
    """How a provider serves one path; its own dialect by default is the path's front."""
    values: dict[str, object] = {
        "path": path,
        "origin": ORIGIN,
        "target": path,
        "stream_target": ENDPOINTS[path].stream_path,
        "method": "POST",
        "headers": (),
        "dialect": dialect or ENDPOINTS[path].front,
        "stream_support": True,
        "requires_multipart": False,
        "stream": StreamConfig(),
    }
    return ProviderEndpoint(**{**values, **settings})  # type: ignore[arg-type]  # a table of defaults


def make_provider(
    name: str = "first",
    *,
    key: str | None = None,
    scheme: AuthScheme = AuthScheme.BEARER,
    dialect: str | None = None,
    endpoints: Mapping[str, ProviderEndpoint] | None = None,
    **settings: object,
) -> Provider:
    """A provider that serves every path; ``dialect`` makes all of them speak one."""
    served = {path: make_endpoint(path, dialect) for path in ENDPOINTS}
    values: dict[str, object] = {
        "name": name,
        "file": f"{name}.json",
        "dialect": dialect or "openai",
        "origin": ORIGIN,
        "base_path": "",
        "headers": (),
        "auth": Auth(scheme, Secret(key) if key else None, "environment variable TEST_KEY"),
        "model_mapping": {},
        "models": ModelSource(),
        "endpoints": {**served, **(endpoints or {})},
        "rate_limits": dict.fromkeys(ENDPOINTS, UNLIMITED),
        "stream": StreamConfig(),
        "timeouts": Timeouts(),
    }
    return Provider(**{**values, **settings})  # type: ignore[arg-type]  # a table of defaults


def make_snapshot(*providers: Provider, **settings: object) -> Snapshot:
    """A snapshot of these providers, or of one that needs no key."""
    chosen = providers or (make_provider(scheme=AuthScheme.NONE),)
    return Snapshot(providers={p.name: p for p in chosen}, **settings)  # type: ignore[arg-type]  # passed on


def make_request(
    path: str = "/v1/chat/completions",
    body: bytes = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}',
    *,
    headers: Headers = (),
    credential: str | None = None,
    **settings: object,
) -> ClientRequest:
    """A client's request."""
    values: dict[str, object] = {
        "id": "req-1",
        "endpoint": ENDPOINTS[path],
        "query": b"",
        "headers": headers,
        "content_type": "application/json",
        "body": body,
        "client": "127.0.0.1",
        "credential": Secret(credential) if credential else None,
        "received": 0.0,
    }
    return ClientRequest(**{**values, **settings})  # type: ignore[arg-type]  # a table of defaults
