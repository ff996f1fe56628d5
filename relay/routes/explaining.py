"""``x-relay-explain: 1``: an answer that tells what relay would do, and calls nobody."""

from __future__ import annotations

import msgspec

from relay.config import Deployment, Route
from relay.errors import RelayError
from relay.exchange import UpstreamRequest
from relay.interfaces import ISink
from relay.planning import Estimate, Plan, Read, Way
from relay.policy import deadline, stickiness
from relay.provider import CREDENTIAL_HEADERS
from relay.routes.helm import Helm
from relay.running import RunningExchange
from relay.secret import Redactor

EXPLAIN = b"x-relay-explain"
"""The request header field that asks for it."""

_HIDDEN = "***"
_LARGEST = 64 * 1024
"""Bytes of a body that are shown."""


def answer(
    helm: Helm, running: RunningExchange, parsed: Read, where: Way | Route, sink: ISink, redactor: Redactor
) -> None:
    """Answer with the plan as JSON: route, candidates with their state, and the request that would go out.

    Raises:
        RelayError: the request could not be served at all.
    """
    told: dict[str, object] = {"model": parsed.model, "stream": parsed.stream, "key": running.key.name}
    if isinstance(where, Route):
        told |= _route(helm, running, parsed, where, redactor)
    else:
        told["route"] = None
        told["candidates"] = [_candidate(helm, where.deployment)]
        told["request"] = _request(helm.planner.plan(running, parsed, where), redactor)
    body = redactor.data(msgspec.json.encode(told))
    sink.start(200, ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))))
    sink.write(body)
    sink.end()
    running.bytes_out = len(body)
    running.ended(200)


def _route(helm: Helm, running: RunningExchange, parsed: Read, route: Route, redactor: Redactor) -> dict[str, object]:
    request = running.request
    order = helm.fleet.order(route, stickiness.key(route.sticky, request))
    told: dict[str, object] = {
        "route": route.name,
        "strategy": route.strategy,
        "deadline": deadline.asked(request.headers, route.deadline),
        "attempts": route.retry.attempts,
        "fallbacks": list(route.fallbacks),
        "candidates": [_candidate(helm, deployment) for deployment in order],
        "request": None,
    }
    for deployment in order:
        way = helm.planner.way(running.snapshot, request.endpoint, route, deployment, parsed.model)
        try:
            told["request"] = _request(helm.planner.plan(running, parsed, way), redactor)
            break
        except RelayError as error:
            told["refused"] = {"deployment": deployment.name, "code": error.code, "message": error.message}
    return told


def _candidate(helm: Helm, deployment: Deployment) -> dict[str, object]:
    health = helm.fleet.healths.get(deployment.name)
    now = helm.clock.seconds()
    told: dict[str, object] = {
        "deployment": deployment.name,
        "provider": deployment.provider.name,
        "weight": deployment.weight,
        "priority": deployment.priority,
        "drained": deployment.drained,
        "state": "closed" if health is None else health.state(now).value,
    }
    if health is not None:
        told |= {"busy": health.busy, "latency": health.ewma(now)}
    return told


def _request(planned: Plan | Estimate, redactor: Redactor) -> dict[str, object] | None:
    """The request that would go out, every key in it masked; None where relay answers itself."""
    if isinstance(planned, Estimate):
        return None
    request = planned.upstream
    translation = planned.translation
    return {
        "method": request.method,
        "url": redactor.text(_url(request)),
        "headers": {name.decode("latin-1"): _shown(name, value, redactor) for name, value in request.headers},
        "body": _body(request, redactor),
        "dialect": planned.back.name,
        "dropped": list(translation.built.dropped) if translation is not None else [],
        "limit": None if planned.limit is None else msgspec.structs.asdict(planned.limit),
    }


def _url(request: UpstreamRequest) -> str:
    path, mark, _ = request.target.partition("?")
    return f"{request.origin.scheme}://{request.origin.netloc}{path}{'?…' if mark else ''}"


def _shown(name: bytes, value: bytes, redactor: Redactor) -> str:
    if name.decode("latin-1") in CREDENTIAL_HEADERS:
        return _HIDDEN
    return redactor.text(value.decode("latin-1"))


def _body(request: UpstreamRequest, redactor: Redactor) -> object:
    """The body as JSON; how many bytes it has where it is large, or no JSON."""
    if isinstance(request.body, bytes) and len(request.body) <= _LARGEST:
        try:
            shown: object = msgspec.json.decode(redactor.data(request.body))
        except msgspec.MsgspecError:
            return {"bytes": len(request.body)}
        return shown
    return {"bytes": len(request.body) if isinstance(request.body, bytes) else request.body.length}
