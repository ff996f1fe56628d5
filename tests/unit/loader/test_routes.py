"""From ``routes`` of the config file to routes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.config import (
    BreakerPolicy,
    DisconnectPolicy,
    HedgePolicy,
    QueuePolicy,
    RetryPolicy,
    Route,
    Snapshot,
    Sticky,
    Strategy,
)
from relay.errors import ConfigError
from relay.loader.snapshot import Sources, load
from relay.provider import RateLimit, Timeouts
from relay.schema.config import BreakerFile, HedgeFile, QueueFile, RetryFile, RouteFile
from tests.unit.loader.folder import BASE, FolderTestCase
from tests.unit.schema.documents import ANYTHING, ROUTED, changed, positions


class RouteTestCase(FolderTestCase):
    """Loads routes over the providers ``a``, ``b`` (which maps a name) and ``c``."""

    def setUp(self) -> None:
        """Write the provider files."""
        super().setUp()
        self.write("a.json", {"baseUrl": BASE, "auth": {"env": "A"}, "timeouts": {"connect": 1, "idle": 7}})
        self.write("b.json", {"baseUrl": BASE, "auth": {"env": "B"}, "modelMapping": {"gpt": "b-gpt"}})
        self.write("c.json", {"baseUrl": BASE, "auth": {"env": "C"}, "concurrency": 9})

    def config(self, config: Mapping[str, object], **environ: str) -> Snapshot:
        """What a config file with all three providers loads as."""
        return self.load(config={"providers": ["a", "b", "c"], **config}, environ=environ or {"DEFAULT_API_KEY": "k"})

    def routes(self, **specs: object) -> Snapshot:
        """The same for routes alone."""
        return self.config({"routes": specs})

    def route(self, **members: object) -> Route:
        """The route that these members make, with one deployment unless they say otherwise."""
        found = self.routes(r={"deployments": [{"provider": "a", "model": "m"}], **members}).route_for("r")
        assert found is not None
        return found


class PolicyTests(RouteTestCase):
    """Everything but deployments."""

    def test_defaults(self) -> None:
        """A route that says nothing has the defaults of the values."""
        route = self.route()
        self.assertEqual(route, Route("r", route.deployments))
        self.assertEqual((route.strategy, route.deadline, route.hidden), ("weighted", None, False))

    def test_emptyObjects(self) -> None:
        """Files and values agree about the defaults of each policy."""
        two = [{"provider": "a"}, {"provider": "b"}]
        route = self.route(deployments=two, retry={}, breaker={}, hedge={}, queue={}, disconnect={"mode": "drain"})
        self.assertEqual(
            (route.retry, route.breaker, route.hedge, route.queue, route.disconnect),
            (RetryPolicy(), BreakerPolicy(), HedgePolicy(), QueuePolicy(), DisconnectPolicy("drain")),
        )
        for file, value in (
            (RetryFile(), RetryPolicy()),
            (BreakerFile(), BreakerPolicy()),
            (QueueFile(), QueuePolicy()),
        ):
            for field in file.__struct_fields__:
                self.assertEqual(getattr(file, field), getattr(value, field), field)
        self.assertEqual(HedgeFile().share, HedgePolicy().share)
        self.assertEqual(RouteFile([]).strategy, Route("r", ()).strategy)

    def test_everything(self) -> None:
        """Each setting arrives where it belongs."""
        route = self.route(
            deployments=[{"provider": "a"}, {"provider": "b"}],
            strategy="latency",
            retry={"attempts": 4, "backoff": 0.25, "ceiling": 3},
            breaker={"failures": 2, "ratio": 0.3, "window": 9, "least": 4, "cooldown": 7, "slowStart": 0},
            hedge={"after": 1.5, "share": 0.05},
            mirror={"provider": "c", "model": "m", "share": 0.01},
            disconnect={"mode": "drain", "seconds": 5, "tokens": 100},
            concurrency=50,
            queue={"size": 20, "wait": 2.5},
            sticky={"by": "header", "header": "X-Session"},
            deadline=90,
            hidden=True,
            aliases=["s", "t"],
        )
        self.assertEqual(route.strategy, "latency")
        self.assertEqual(route.retry, RetryPolicy(4, 0.25, 3))
        self.assertEqual(route.breaker, BreakerPolicy(2, 0.3, 9, 4, 7, 0))
        self.assertEqual(route.hedge, HedgePolicy(1.5, 0.05))
        assert route.mirror is not None
        self.assertEqual((route.mirror.deployment.name, route.mirror.share), ("c/m", 0.01))
        self.assertFalse(route.mirror.deployment.first)
        self.assertEqual(route.disconnect, DisconnectPolicy("drain", 5, 100))
        self.assertEqual((route.concurrency, route.queue), (50, QueuePolicy(20, 2.5)))
        self.assertEqual(route.sticky, Sticky("header", "x-session"))
        self.assertEqual((route.deadline, route.hidden, route.aliases), (90, True, ("s", "t")))

    def test_strategies(self) -> None:
        """Each strategy can be named."""
        for strategy in get_args(Strategy):
            self.assertEqual(self.route(strategy=strategy).strategy, strategy)

    def test_modes(self) -> None:
        """Each policy that has modes has all of them."""
        for mode in ("cancel", "drain", "finish"):
            self.assertEqual(self.route(disconnect={"mode": mode}).disconnect, DisconnectPolicy(mode))
        self.assertEqual(self.route(sticky={"by": "prompt"}).sticky, Sticky("prompt"))
        self.assertEqual(self.route(sticky={"by": "none"}).sticky, Sticky())

    def test_queueOfAnyCap(self) -> None:
        """A queue is of use wherever there is a cap: at the route, a deployment or its provider."""
        queue = {"size": 3}
        self.assertEqual(self.route(queue=queue, concurrency=1).queue.size, 3)
        capped = [{"provider": "a", "concurrency": 1}]
        self.assertEqual(self.route(queue=queue, deployments=capped).queue.size, 3)
        self.assertEqual(self.route(queue=queue, deployments=[{"provider": "c"}]).queue.size, 3)


class DeploymentTests(RouteTestCase):
    """``deployments``."""

    def test_everything(self) -> None:
        """Each setting arrives; a name replaces the made one."""
        (deployment,) = self.route(
            deployments=[
                {
                    "provider": "a",
                    "model": "m",
                    "name": "main",
                    "weight": 3,
                    "priority": 2,
                    "concurrency": 8,
                    "rateLimit": {"requestsPerMinute": 60},
                    "drained": True,
                }
            ]
        ).deployments
        self.assertEqual((deployment.name, deployment.provider.name, deployment.model), ("main", "a", "m"))
        self.assertEqual((deployment.weight, deployment.priority, deployment.concurrency), (3, 2, 8))
        self.assertEqual((deployment.rate_limit, deployment.drained), (RateLimit(60, 60), True))

    def test_models(self) -> None:
        """A model that is given is the provider's; else it is the route's name, as the provider maps it."""
        snapshot = self.routes(
            gpt={"deployments": [{"provider": "a"}, {"provider": "b"}, {"provider": "b", "model": "gpt"}]}
        )
        route = snapshot.route_for("gpt")
        assert route is not None
        self.assertEqual([d.model for d in route.deployments], ["gpt", "b-gpt", "gpt"])
        self.assertEqual([d.name for d in route.deployments], ["a/gpt", "b/b-gpt", "b/gpt"])

    def test_modelsOfPatterns(self) -> None:
        """A pattern's deployment without a model takes the client's; its name does not depend on that."""
        route = self.routes(**{"g*": {"deployments": [{"provider": "a"}, {"provider": "b", "model": "m"}]}}).route_for(
            "gpt"
        )
        assert route is not None
        self.assertEqual([(d.name, d.model) for d in route.deployments], [("a/*", ""), ("b/m", "m")])

    def test_timeouts(self) -> None:
        """Each deadline is looked up on its own: deployment, route, provider; none written, none kept."""
        own, inherited = self.route(
            deployments=[
                {"provider": "a", "model": "m", "timeouts": {"connect": 2, "total": 50}},
                {"provider": "b", "model": "m"},
            ],
            timeouts={"connect": 3, "firstByte": 4},
        ).deployments
        self.assertEqual(own.timeouts, Timeouts(connect=2, first_byte=4, idle=7, total=50, stream_total=50))
        self.assertEqual(inherited.timeouts, Timeouts(connect=3, first_byte=4))
        self.assertIsNone(self.route().deployments[0].timeouts)

    def test_totalOfTheProvider(self) -> None:
        """A provider's bound on streams stays, unless the route writes another one."""
        self.write("a.json", {"baseUrl": BASE, "timeouts": {"total": 60}})
        (deployment,) = self.route(timeouts={"connect": 3}).deployments
        assert deployment.timeouts is not None
        self.assertEqual((deployment.timeouts.total, deployment.timeouts.stream_total), (60, 60))

    def test_unlimited(self) -> None:
        """A rate of 0 is no limit."""
        deployments = [{"provider": "a", "rateLimit": {"requestsPerMinute": 0, "burst": 3}}]
        self.assertIsNone(self.route(deployments=deployments).deployments[0].rate_limit)

    def test_first(self) -> None:
        """A client's own key is meant for one provider, that of the first deployment, in whatever order they come."""
        deployments = [{"provider": name, "model": model} for name, model in ("am", "bm", "an", "cm")]
        route = self.route(deployments=deployments)
        self.assertEqual([d.first for d in route.deployments], [True, False, True, False])

    def test_providerConcurrency(self) -> None:
        """A provider's own cap is read."""
        self.assertEqual([p.concurrency for p in self.routes().providers.values()], [0, 0, 9])

    def test_sharedDeployment(self) -> None:
        """Routes may have a deployment in common, with other weights, priorities and deadlines."""
        common = {"provider": "a", "model": "m", "concurrency": 3}
        snapshot = self.routes(
            x={"deployments": [common]},
            y={"deployments": [{**common, "weight": 5, "priority": 1, "timeouts": {"connect": 1.5}}]},
        )
        self.assertEqual({route.deployments[0].name for route in snapshot.routes.values()}, {"a/m"})

    def test_sameWithAnotherName(self) -> None:
        """Two settings of one deployment need two names."""
        one, other = self.route(
            deployments=[
                {"provider": "a", "model": "m"},
                {"provider": "a", "model": "m", "name": "a-slow", "weight": 2},
            ]
        ).deployments
        self.assertEqual((one.name, other.name, other.model), ("a/m", "a-slow", "m"))


class NameTests(RouteTestCase):
    """Names, patterns, fallbacks."""

    def test_index(self) -> None:
        """A route is found by each of its names; the index holds one object for all."""
        one = [{"provider": "a"}]
        snapshot = self.routes(**{"r": {"deployments": one, "aliases": ["s", "t/u"]}, "g*": {"deployments": one}})
        self.assertEqual(list(snapshot.routes), ["r", "g*", "s", "t/u"])
        self.assertIs(snapshot.routes["s"], snapshot.routes["r"])
        found = snapshot.route_for("gpt")
        assert found is not None
        self.assertEqual((found.name, found.pattern), ("g*", True))

    def test_fallbacks(self) -> None:
        """Fallbacks hold the names of routes, whichever name the file uses; a route may serve several."""
        one = {"deployments": [{"provider": "a", "model": "m"}]}
        snapshot = self.routes(
            **{
                "r": {**one, "fallbacks": ["alias", "z-*"], "contextFallbacks": ["y"], "policyFallbacks": ["y"]},
                "y": {**one, "aliases": ["alias"], "fallbacks": ["z-*"]},
                "z-*": one,
            }
        )
        route = snapshot.routes["r"]
        self.assertEqual(
            (route.fallbacks, route.context_fallbacks, route.policy_fallbacks), (("y", "z-*"), ("y",), ("y",))
        )

    def test_longChain(self) -> None:
        """However long a chain of fallbacks is, it is followed; its circle is found."""
        one = {"deployments": [{"provider": "a", "model": "m"}]}
        specs: dict[str, Any] = {f"r{n}": {**one, "fallbacks": [f"r{n + 1}"]} for n in range(2000)}
        specs["r2000"] = one
        self.assertEqual(len(self.routes(**specs).routes), 2001)
        specs["r2000"] = {**one, "fallbacks": ["r1999"]}
        line = self.refused(config={"providers": ["a"], "routes": specs})
        self.assertIn("$.routes.r2000.fallbacks[0]: fallbacks lead in a circle: r1999 → r2000 → r1999", line)

    def test_default(self) -> None:
        """The default route is named by any of its names."""
        snapshot = self.config(
            {"routes": {"main": {"deployments": [{"provider": "a"}], "aliases": ["m"]}}, "defaultRoute": "m"}
        )
        self.assertEqual(snapshot.default_route, "main")
        found = snapshot.route_for("anything")
        assert found is not None
        self.assertEqual((found.name, found.deployments[0].model), ("main", "main"))

    def test_none(self) -> None:
        """Without routes everything is as before."""
        configs: tuple[dict[str, object], ...] = ({}, {"routes": {}})
        for config in configs:
            snapshot = self.config(config)
            self.assertEqual((snapshot.routes, snapshot.default_route), ({}, None))
            self.assertIsNone(snapshot.route_for("gpt"))


class WarningTests(RouteTestCase):
    """What an operator is told of."""

    def warnings(self, *keys: str, **specs: object) -> list[str]:
        """Warnings about routes, the keys of these providers being set."""
        environ = {name: f"key-of-{name}" for name in keys} or {"DEFAULT_API_KEY": "key-of-all"}
        return [text for text in self.config({"routes": specs}, **environ).warnings if "route" in text]

    def test_nothing(self) -> None:
        """A route without oddities has none."""
        self.assertEqual(self.warnings(r={"deployments": [{"provider": "a"}, {"provider": "b"}]}), [])

    def test_drained(self) -> None:
        """A route that serves nobody."""
        specs = {"deployments": [{"provider": "a", "drained": True}]}
        (line,) = self.warnings(r=specs)
        self.assertTrue(line.endswith("config.json: $.routes.r.deployments: every deployment is drained"), line)

    def test_cheapest(self) -> None:
        """A strategy that has nothing to go by."""
        (line,) = self.warnings(r={"deployments": [{"provider": "a"}], "strategy": "cheapest"})
        self.assertIn("$.routes.r.strategy: no provider of the route has prices", line)

    def test_outOfReach(self) -> None:
        """A client's own key goes to the first deployment's provider only; the others need one of relay's."""
        specs = {"deployments": [{"provider": "a"}, {"provider": "b"}, {"provider": "c"}]}
        fallen = {"deployments": [{"provider": "a"}], "fallbacks": ["s"]}
        mirrored = {"deployments": [{"provider": "a"}], "mirror": {"provider": "b", "share": 1}}
        last = {"deployments": [{"provider": "b"}]}
        wanted = "route 'r' cannot use provider 'b', which has no key: set environment variable B or DEFAULT_API_KEY"
        self.assertEqual(self.warnings("C", r=specs), [wanted])
        self.assertEqual(self.warnings("C", r=fallen, s=last), [wanted])
        self.assertEqual(self.warnings("C", r=mirrored), [wanted])
        self.assertEqual(self.warnings("B", "C", r=specs), [])
        self.assertEqual(self.warnings(r=specs), [])


class AnyRouteTests(FolderTestCase):
    """Whatever the file holds."""

    def test_rich(self) -> None:
        """The file that the next test spoils is a good one."""
        self.assertEqual(len(self.load(config=ROUTED).routes), 5)

    @settings(max_examples=200, deadline=None, database=None, derandomize=True)
    @given(
        keys=st.sampled_from(positions(ROUTED)),
        value=ANYTHING | st.sampled_from(("main", "small", "gpt-*", "*", "echo", "echo/m", "cancel", "header", "a b")),
    )
    def test_nothingButConfigError(self, keys: tuple[Any, ...], value: object) -> None:
        """Whatever stands anywhere in it, it loads, every name then being known, or is refused in one line."""
        path = self.folder / "config.json"
        path.write_text(json.dumps(changed(ROUTED, keys, value)), "utf-8")
        try:
            snapshot = load(Sources((), (), str(path)), {})
        except ConfigError as error:
            self.assertTrue(str(error).isprintable(), str(error))
            self.assertTrue(str(error).startswith((f"{path}: $", "no provider is chosen")), str(error))
            return
        for route in snapshot.routes.values():
            self.assertTrue(route.deployments)
            for name in (*route.fallbacks, *route.context_fallbacks, *route.policy_fallbacks):
                self.assertEqual(snapshot.routes[name].name, name)
            for deployment in route.everywhere():
                self.assertIs(deployment.provider, snapshot.providers[deployment.provider.name])
                self.assertTrue(deployment.model or route.pattern)
