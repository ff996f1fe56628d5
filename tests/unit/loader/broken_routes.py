"""Routes that are wrong, one fault each, and what the error must say."""

from __future__ import annotations

import json

from tests.unit.loader.broken import Broken, config, odd_config

_ONE = {"provider": "good", "model": "m"}
_TWO = {"provider": "good", "model": "n"}


def _plain(**members: object) -> dict[str, object]:
    return {"deployments": [_ONE], **members}


def shape(where: str, says: str, near: str | None = None, /, **members: object) -> Broken:
    """A route ``r`` with a fault that the schema sees."""
    return config(f"$.routes.r{where}", says, near, routes={"r": _plain(**members)})


def odd(where: str, says: str, near: str | None = None, /, **members: object) -> Broken:
    """The same, but only the loader can see that it makes no sense."""
    return odd_config(f"$.routes.r{where}", says, near, routes={"r": _plain(**members)})


def odd_routes(where: str, says: str, near: str | None = None, /, **routes: object) -> Broken:
    """Several routes that do not go together."""
    return odd_config(f"$.routes{where}", says, near, routes=routes)


def _deployment(**members: object) -> list[dict[str, object]]:
    return [{**_ONE, **members}]


SHAPE = {
    "routes list": config("$.routes", "expected an object, got an empty list", routes=[]),
    "route name blank": config('$.routes["a b"]', "expected as key a model's name, or a pattern", routes={"a b": {}}),
    "route name empty": config('$.routes[""]', "expected as key a model's name", routes={"": _plain()}),
    "route name long": config(f"$.routes.{'m' * 80}", "expected as key", routes={"m" * 257: _plain()}),
    "route text": config("$.routes.r", "expected an object, got a string", routes={"r": "good/m"}),
    "route no deployments": config("$.routes.r", "expected the key 'deployments'", routes={"r": {}}),
    "route empty": shape(".deployments", "expected a list that is not empty, got an empty list", deployments=[]),
    "route deployments object": shape(
        ".deployments", "expected a list that is not empty, got an object", deployments={}
    ),
    "route key": shape(".fallback", "unknown key", "fallbacks", fallback=["b"]),
    "route model": shape(".model", "unknown key", model="m"),
    "deployment text": shape(".deployments[0]", "expected an object, got a string", deployments=["good/m"]),
    "deployment key": shape(".deployments[0].modell", "unknown key", "model", deployments=_deployment(modell="a")),
    "deployment no provider": shape(".deployments[0]", "expected the key 'provider'", deployments=[{"model": "m"}]),
    "deployment weight zero": shape(".deployments[0].weight", "at least 1", deployments=_deployment(weight=0)),
    "deployment weight negative": shape(".deployments[0].weight", "got -2", deployments=_deployment(weight=-2)),
    "deployment weight fraction": shape(".deployments[0].weight", "got 0.5", deployments=_deployment(weight=0.5)),
    "deployment priority": shape(".deployments[0].priority", "at least 0", deployments=_deployment(priority=-1)),
    "deployment model empty": shape(".deployments[0].model", "not empty", deployments=_deployment(model="")),
    "deployment name": shape(
        ".deployments[0].name", "printable ASCII without blanks", deployments=_deployment(name="a b")
    ),
    "deployment drained": shape(".deployments[0].drained", "true or false", deployments=_deployment(drained="yes")),
    "deployment timeouts": shape(
        ".deployments[0].timeouts.first", "unknown key", "firstByte", deployments=_deployment(timeouts={"first": 1})
    ),
    "strategy": shape(".strategy", "expected one of weighted", "round-robin", strategy="roundrobin"),
    "strategy sticky": shape(".strategy", "expected one of weighted, round-robin", strategy="sticky"),
    "fallbacks text": shape(".fallbacks", "expected a list, got a string", fallbacks="b"),
    "fallbacks number": shape(".contextFallbacks[0]", "got 5", contextFallbacks=[5]),
    "retry attempts": shape(".retry.attempts", "at least 1 and at most 20, got 0", retry={"attempts": 0}),
    "retry key": shape(".retry.maxAttempts", "unknown key", retry={"maxAttempts": 2}),
    "breaker ratio": shape(".breaker.ratio", "above 0 and at most 1, got 50", breaker={"ratio": 50}),
    "breaker cooldown": shape(".breaker.cooldown", "at most 300", breaker={"cooldown": 301}),
    "breaker key": shape(".breaker.slow_start", "unknown key", "slowStart", breaker={"slow_start": 1}),
    "hedge true": shape(".hedge", "expected an object, got true", hedge=True),
    "hedge share": shape(".hedge.share", "got 0", hedge={"share": 0}),
    "mirror no share": shape(".mirror", "expected the key 'share'", mirror=_TWO),
    "mirror weight": shape(".mirror.weight", "unknown key", mirror={**_TWO, "share": 0.1, "weight": 2}),
    "disconnect text": shape(".disconnect", "expected an object, got a string", disconnect="drain"),
    "disconnect mode": shape(".disconnect.mode", "one of cancel, drain, finish", "drain", disconnect={"mode": "drian"}),
    "disconnect no mode": shape(".disconnect", "expected the key 'mode'", disconnect={"seconds": 3}),
    "queue size": shape(".queue.size", "at least 0", queue={"size": -1}),
    "queue wait": shape(".queue.wait", "above 0", queue={"wait": 0}),
    "sticky by": shape(".sticky.by", "one of none, prompt, header", "prompt", sticky={"by": "Prompt"}),
    "sticky header": shape(".sticky.header", "an HTTP field name", sticky={"by": "header", "header": "a b"}),
    "deadline": shape(".deadline", "above 0 and at most 86400, got 0", deadline=0),
    "aliases": shape(".aliases[0]", "or a pattern with one *", aliases=["a b"]),
    "default list": config("$.defaultRoute", "expected a model's name", defaultRoute=["r"]),
}
"""Routes that a JSON Schema refuses, too."""

SENSE = {
    "unknown provider": odd(
        ".deployments[0].provider",
        "expected one of the configured providers (good); add 'goood' to 'providers'",
        "good",
        deployments=[{"provider": "goood"}],
    ),
    "mirror provider": odd(".mirror.provider", "(good)", mirror={"provider": "other", "share": 0.1}),
    "model blank": odd(".deployments[0].model", "not blank", deployments=_deployment(model=" ")),
    "deployment twice": odd(".deployments[1]", "'good/m' is there twice", deployments=[_ONE, _ONE]),
    "deployment named twice": odd(
        ".deployments[1]", "'a' is there twice", deployments=[{**_ONE, "name": "a"}, {**_TWO, "name": "a"}]
    ),
    "limit without rate": odd(
        ".deployments[0].rateLimit", "the key 'requestsPerMinute'", deployments=_deployment(rateLimit={"burst": 5})
    ),
    "backoff": odd(".retry", "'backoff' (9) that is not above 'ceiling' (8)", retry={"backoff": 9}),
    "ceiling": odd(".retry", "not above 'ceiling' (0.1)", retry={"ceiling": 0.1}),
    "hedge alone": odd(".hedge", "needs a second deployment", hedge={}),
    "mirror itself": odd(".mirror", "'good/m' is a deployment of the route already", mirror={**_ONE, "share": 1}),
    "disconnect seconds": odd(".disconnect.seconds", "only mode drain", disconnect={"mode": "cancel", "seconds": 3}),
    "disconnect tokens": odd(".disconnect.tokens", "only mode drain", disconnect={"mode": "finish", "tokens": 3}),
    "queue without cap": odd(".queue", "nobody would ever wait: expected 'concurrency'", queue={"size": 5}),
    "sticky without header": odd(".sticky", "expected the key 'header'", sticky={"by": "header"}),
    "sticky with header": odd(".sticky.header", "only by header", sticky={"by": "prompt", "header": "x-a"}),
    "fallback unknown": odd_routes(
        ".a.fallbacks[0]", "expected a route (a, bee)", "bee", a=_plain(fallbacks=["be"]), bee=_plain()
    ),
    "fallback to a provider": odd(".policyFallbacks[0]", "expected a route (r)", policyFallbacks=["good/m"]),
    "fallback to itself": odd(".fallbacks[0]", "does not fall back to itself", fallbacks=["r"]),
    "fallback to its alias": odd(".fallbacks[0]", "does not fall back to itself", aliases=["s"], fallbacks=["s"]),
    "fallback twice": odd_routes(
        ".a.fallbacks[1]", "the route 'b' is listed twice", a=_plain(fallbacks=["b", "c"]), b=_plain(aliases=["c"])
    ),
    "fallback to an open pattern": odd_routes(
        ".a.fallbacks[0]",
        "'b-*' takes the model's name from the client",
        **{"a": _plain(fallbacks=["b-*"]), "b-*": {"deployments": [{"provider": "good"}]}},
    ),
    "circle": odd_routes(
        ".b.fallbacks[0]", "in a circle: a → b → a", a=_plain(fallbacks=["b"]), b=_plain(fallbacks=["a"])
    ),
    "circle of two kinds": odd_routes(
        ".c.policyFallbacks[0]",
        "in a circle: b → c → b",
        a=_plain(fallbacks=["b"]),
        b=_plain(contextFallbacks=["c"]),
        c=_plain(policyFallbacks=["b"]),
    ),
    "alias of a route": odd_routes(".b.aliases[0]", "'a' is taken by route 'a'", a=_plain(), b=_plain(aliases=["a"])),
    "alias twice": odd_routes(
        ".b.aliases[0]", "'x' is taken by route 'a'", a=_plain(aliases=["x"]), b=_plain(aliases=["x"])
    ),
    "alias of itself": odd(".aliases[1]", "'s' is taken by route 'r'", aliases=["s", "s"]),
    "alias pattern": odd(".aliases[0]", "a pattern is a route of its own", aliases=["gpt-*"]),
    "two stars": odd_routes('["*-*"]', "expected at most one '*'", **{"*-*": _plain()}),
    "provider as prefix": odd_routes('["good/m"]', "good/… addresses the provider", **{"good/m": _plain()}),
    "provider as prefix of a pattern": odd_routes('["good/*"]', "addresses the provider", **{"good/*": _plain()}),
    "provider as prefix of an alias": odd(".aliases[0]", "addresses the provider", aliases=["good/m"]),
    "two breakers": odd_routes(
        ".b.deployments[0]",
        "route 'a' has the deployment 'good/m' with another 'breaker'",
        a=_plain(),
        b=_plain(breaker={"failures": 2}),
    ),
    "two caps": odd_routes(
        ".b.deployments[0]",
        "with another 'concurrency'",
        a=_plain(),
        b=_plain(deployments=_deployment(concurrency=2)),
    ),
    "two limits": odd_routes(
        ".b.deployments[0]",
        "with another 'rateLimit'",
        a=_plain(),
        b=_plain(deployments=_deployment(rateLimit={"requestsPerMinute": 2})),
    ),
    "two models of one name": odd_routes(
        ".b.deployments[0]",
        "with another 'model'",
        a=_plain(deployments=[{**_ONE, "name": "x"}]),
        b=_plain(deployments=[{**_TWO, "name": "x"}]),
    ),
    "default unknown": odd_config(
        "$.defaultRoute", "expected a route (r)", "r", routes={"r": _plain()}, defaultRoute="R"
    ),
    "default without routes": odd_config("$.defaultRoute", "none is configured", defaultRoute="r"),
    "route twice": Broken(
        f'{{"providers": ["good"], "routes": {{"r": {json.dumps(_plain())}, "r": {json.dumps(_plain())}}}}}',
        ": $.routes.r: ",
        "the key is given twice",
    ),
}
"""Routes that are well formed and make no sense."""
