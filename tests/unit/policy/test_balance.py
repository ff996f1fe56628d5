"""The order of a route's deployments: each strategy, and what health does to all of them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.config import BreakerPolicy, Deployment, Route, Strategy
from relay.policy.balance import Balance, order
from relay.policy.health import Health, Result
from tests.unit.values import make_provider

POLICY = BreakerPolicy(cooldown=15.0, slow_start=30.0)
PROVIDER = make_provider()
STRATEGIES: tuple[Strategy, ...] = ("weighted", "round-robin", "least-busy", "latency", "cheapest", "ordered")


def make_route(count: int, strategy: Strategy = "weighted", **columns: tuple[int, ...]) -> Route:
    """Deployments ``a``, ``b``, ``c`` …, with columns such as ``weight`` given one value each."""
    deployments = tuple(
        Deployment(chr(97 + n), PROVIDER, "m", **{field: values[n] for field, values in columns.items()})  # type: ignore[arg-type]  # numbers and flags only
        for n in range(count)
    )
    return Route("r", deployments, strategy=strategy)


def well(route: Route) -> dict[str, Health]:
    """Everybody as on the first day."""
    return {deployment.name: Health(POLICY) for deployment in route.deployments}


def die(health: Health, now: float = 0.0) -> None:
    """Five failures."""
    for _ in range(5):
        health.ended(now, Result.FAILURE, spell=health.began(now))


def recover(health: Health, now: float) -> None:
    """Die a cool-down ago, and answer the probe now."""
    die(health, now - 15.0)
    assert health.claim(now)
    health.ended(now, Result.OK, spell=health.began(now))


class Turns:
    """One route under many exchanges."""

    def __init__(self, route: Route, healths: Mapping[str, Health] | None = None, seed: int = 1) -> None:
        self.balance = Balance(route)
        self.healths = well(route) if healths is None else healths
        self.random = random.Random(seed).random
        self.counter = -1

    def names(self, now: float = 0.0, key: bytes = b"", price: Mapping[str, int] | None = None) -> str:
        """The order of the next exchange, as one word."""
        self.counter += 1
        prices = price or {}
        found = self.balance.order(
            self.healths, now, self.random, key, self.counter, lambda deployment: prices.get(deployment.name, 0)
        )
        return "".join(deployment.name for deployment in found)

    def firsts(self, times: int, now: float = 0.0) -> Counter[str]:
        """How often each is the first choice."""
        return Counter(self.names(now)[0] for _ in range(times))


class SharesTestCase(SynchronousTestCase):
    """Compares shares that chance gives with those that are due."""

    def near(self, found: Counter[str], expected: Mapping[str, float], within: float = 0.02) -> None:
        total = sum(found.values())
        for name, share in expected.items():
            self.assertLessEqual(abs(found[name] / total - share), within, f"{name} in {found}")


class StrategyTests(SharesTestCase):
    """Each strategy while everybody is well."""

    def test_weighted(self) -> None:
        """The first choice by weight, also for a canary of one in a thousand."""
        self.near(Turns(make_route(3, weight=(6, 3, 1))).firsts(20_000), {"a": 0.6, "b": 0.3, "c": 0.1})
        canary = Turns(make_route(2, weight=(999, 1))).firsts(50_000)
        self.assertTrue(20 <= canary["b"] <= 90, canary)

    def test_weightedWithoutReplacement(self) -> None:
        """The second choice is by weight among those that are left."""
        turns = Turns(make_route(4, weight=(10, 6, 3, 1)))
        seconds = Counter(word[1] for word in (turns.names() for _ in range(40_000)) if word[0] == "a")
        self.near(seconds, {"b": 0.6, "c": 0.3, "d": 0.1}, within=0.06)

    def test_roundRobin(self) -> None:
        """In turns, whatever the weights."""
        turns = Turns(make_route(3, "round-robin", weight=(9, 1, 1)))
        self.assertEqual([turns.names() for _ in range(4)], ["abc", "bca", "cab", "abc"])

    def test_ordered(self) -> None:
        """As the file has them."""
        turns = Turns(make_route(3, "ordered", weight=(1, 5, 9)))
        self.assertEqual([turns.names() for _ in range(3)], ["abc"] * 3)

    def test_leastBusyOfTwo(self) -> None:
        """With two the less busy one is always first; with more the busiest never is."""
        turns = Turns(make_route(2, "least-busy"))
        turns.healths["a"].began(0.0)
        self.assertEqual(turns.firsts(200), {"b": 200})
        more = Turns(make_route(4, "least-busy"))
        for name, busy in (("a", 1), ("b", 2), ("c", 3)):
            for _ in range(busy):
                more.healths[name].began(0.0)
        found = more.firsts(6000)
        self.near(found, {"d": 3 / 6, "a": 2 / 6, "b": 1 / 6, "c": 0.0})

    def test_leastBusyByWeight(self) -> None:
        """One that weighs three times as much may be three times as busy."""
        turns = Turns(make_route(2, "least-busy", weight=(3, 1)))
        for _ in range(400):
            turns.healths[turns.names()[0]].began(0.0)
        self.assertIn(turns.healths["a"].busy, range(298, 303))

    def test_leastBusyEvensOut(self) -> None:
        """Power of two choices: a thousand exchanges on ten differ by a few only."""
        turns = Turns(make_route(10, "least-busy"))
        for _ in range(1000):
            turns.healths[turns.names()[0]].began(0.0)
        busy = [health.busy for health in turns.healths.values()]
        self.assertLessEqual(max(busy) - min(busy), 8)

    def learn(self, turns: Turns, **latencies: float) -> None:
        for name, latency in latencies.items():
            health = turns.healths[name]
            health.ended(0.0, Result.OK, latency, None, health.began(0.0))

    def test_latency(self) -> None:
        """The quicker of two is first, until it has so much to do that the other is."""
        turns = Turns(make_route(2, "latency"))
        self.learn(turns, a=0.5, b=1.8)
        self.assertEqual(turns.firsts(100), {"a": 100})
        for _ in range(3):
            turns.healths["a"].began(0.0)
        self.assertEqual(turns.firsts(100), {"b": 100})

    def test_latencyOfTheUntried(self) -> None:
        """One that nobody knows is tried by one exchange, not by all until it has answered."""
        turns = Turns(make_route(2, "latency"))
        self.learn(turns, a=0.5)
        self.assertEqual(turns.names()[0], "b")
        turns.healths["b"].began(0.0)
        for _ in range(50):
            turns.healths["a"].began(0.0)
        self.assertEqual(turns.firsts(100), {"a": 100})

    def test_latencyAtTheStart(self) -> None:
        """While nobody is known the less busy is first."""
        turns = Turns(make_route(2, "latency"))
        for _ in range(10):
            turns.healths[turns.names()[0]].began(0.0)
        self.assertEqual([health.busy for health in turns.healths.values()], [5, 5])

    def test_cheapest(self) -> None:
        """By price, then by how busy they are, then as in the file."""
        turns = Turns(make_route(4, "cheapest"))
        turns.healths["b"].began(0.0)
        self.assertEqual(turns.names(price={"a": 30, "b": 10, "c": 10, "d": 10}), "cdba")


class PriorityTests(SynchronousTestCase):
    """Tiers, and who is in none."""

    def test_lowerOnesFirst(self) -> None:
        """Chance decides inside a tier only."""
        turns = Turns(make_route(4, priority=(1, 0, 1, 0)))
        words = {turns.names() for _ in range(200)}
        self.assertEqual(words, {first + second for first in ("bd", "db") for second in ("ac", "ca")})

    def test_theNextTierWhenOneIsAway(self) -> None:
        """A tier that is not available is passed over."""
        turns = Turns(make_route(3, "ordered", priority=(0, 0, 1)))
        die(turns.healths["a"])
        self.assertEqual(turns.names(1.0), "bc")
        die(turns.healths["b"])
        self.assertEqual(turns.names(1.0), "c")

    def test_drained(self) -> None:
        """Who is drained is never a candidate, nor is health asked for it."""
        route = make_route(3, "ordered", drained=(True, False, True))
        self.assertEqual(Turns(route, {"b": Health(POLICY)}).names(), "b")
        self.assertEqual(Turns(make_route(1, drained=(True,)), {}).names(), "")

    def test_oneByItself(self) -> None:
        """A route of one gives that one, by every strategy, dead or alive."""
        for strategy in STRATEGIES:
            turns = Turns(make_route(1, strategy))
            self.assertEqual((turns.names(), turns.names(key=b"k")), ("a", "a"))
            die(turns.healths["a"])
            self.assertEqual((turns.names(1.0), turns.names(1.0, b"k")), ("a", "a"))


class HealthTests(SharesTestCase):
    """What the health of some does to the order."""

    def test_theDeadAreLeftOut(self) -> None:
        """By every strategy, until a probe is due; the share goes to the others by their weights."""
        for strategy in STRATEGIES:
            turns = Turns(make_route(3, strategy))
            die(turns.healths["b"])
            self.assertEqual({*turns.names(1.0)}, {"a", "c"}, strategy)
            self.assertEqual({*turns.names(15.0)}, {"a", "b", "c"}, strategy)
            self.assertTrue(turns.healths["b"].claim(15.0))
            self.assertEqual({*turns.names(15.0)}, {"a", "c"}, strategy)
        weighted = Turns(make_route(3, weight=(6, 3, 1)))
        die(weighted.healths["a"])
        self.near(weighted.firsts(8000, 1.0), {"a": 0.0, "b": 0.75, "c": 0.25})

    def test_roundRobinPassesThem(self) -> None:
        """The others take turns evenly: nobody gets the dead one's share besides its own."""
        turns = Turns(make_route(4, "round-robin"))
        die(turns.healths["b"])
        self.assertEqual(turns.firsts(300, 1.0), {"a": 100, "c": 100, "d": 100})

    def test_whoRests(self) -> None:
        """A deployment that said 429 is left out as long as it asked."""
        turns = Turns(make_route(2, "ordered"))
        health = turns.healths["a"]
        health.ended(0.0, Result.LIMITED, None, 20.0, health.began(0.0))
        self.assertEqual((turns.names(19.0), turns.names(20.0)), ("b", "ab"))

    def test_allAreAway(self) -> None:
        """Then all are candidates, the soonest back first, by every strategy and also by key."""
        for strategy in STRATEGIES:
            turns = Turns(make_route(3, strategy, priority=(0, 0, 1)))
            for name, now in (("a", 3.0), ("b", 1.0), ("c", 2.0)):
                die(turns.healths[name], now)
            self.assertEqual((turns.names(4.0), turns.names(4.0, b"key")), ("bca", "bca"), strategy)

    def test_whatAnOperatorForces(self) -> None:
        """Forced open it is no candidate even as the last; forced closed it is one though it fails."""
        turns = Turns(make_route(2, "ordered"))
        turns.healths["a"].forced = "open"
        self.assertEqual(turns.names(), "b")
        die(turns.healths["b"])
        self.assertEqual(turns.names(1.0), "b")
        turns.healths["b"].forced = "open"
        self.assertEqual(turns.names(1.0), "")
        die(turns.healths["a"])
        turns.healths["a"].forced = "closed"
        self.assertEqual(turns.names(1.0), "a")

    def test_slowStart(self) -> None:
        """After a recovery it is first as often as its share says, and behind all others else."""
        for strategy in ("ordered", "cheapest"):
            turns = Turns(make_route(3, strategy, priority=(0, 0, 1)))
            recover(turns.healths["a"], 100.0)
            words = Counter(turns.names(109.0) for _ in range(5000))
            self.near(words, {"abc": 0.3, "bca": 0.7})
            self.assertEqual({turns.names(130.0) for _ in range(50)}, {"abc"})

    def test_slowStartOfAll(self) -> None:
        """Nobody is refused because everybody has just recovered."""
        turns = Turns(make_route(2, "ordered"))
        recover(turns.healths["a"], 100.0)
        recover(turns.healths["b"], 100.0)
        self.assertEqual({turns.names(100.0) for _ in range(500)}, {"ab", "ba"})


class StickyTests(SharesTestCase):
    """Rendezvous hashing."""

    keys = tuple(b"session-%d" % n for n in range(3000))

    def owners(self, turns: Turns, now: float = 0.0) -> list[str]:
        return [turns.names(now, key)[0] for key in self.keys]

    def test_aKeyStays(self) -> None:
        """The same key has the same order, in every process, by every strategy, whatever chance and the counter say."""
        for strategy in STRATEGIES:
            one, other = Turns(make_route(4, strategy), seed=1), Turns(make_route(4, strategy), seed=2)
            other.names()
            self.assertEqual([one.names(key=key) for key in self.keys], [other.names(key=key) for key in self.keys])

    def test_keysSpreadByWeight(self) -> None:
        """Each gets its part of the keys."""
        found = Counter(self.owners(Turns(make_route(3, weight=(6, 3, 1)))))
        self.near(found, {"a": 0.6, "b": 0.3, "c": 0.1}, within=0.04)

    def test_oneThatDiesMovesItsOwnKeys(self) -> None:
        """All others stay where they are; its own spread over all others; and return when it does."""
        turns = Turns(make_route(5))
        before = self.owners(turns)
        die(turns.healths["c"])
        after = self.owners(turns, 1.0)
        moved = Counter(new for old, new in zip(before, after, strict=True) if old != new)
        self.assertEqual({old for old, new in zip(before, after, strict=True) if old != new}, {"c"})
        self.assertEqual(set(moved), {"a", "b", "d", "e"})
        self.assertEqual(self.owners(turns, 15.0), before)

    def test_oneMoreTakesFromAll(self) -> None:
        """A new deployment takes keys, and moves none between the others."""
        before, after = self.owners(Turns(make_route(4))), self.owners(Turns(make_route(5)))
        self.assertEqual({new for old, new in zip(before, after, strict=True) if old != new}, {"e"})

    def test_slowStartMovesAKeyOnce(self) -> None:
        """While its share grows it gets its keys back one after the other, and each for good."""
        turns = Turns(make_route(3))
        home = self.owners(turns)
        recover(turns.healths["a"], 100.0)
        back: set[int] = set()
        for now in (100.0, 105.0, 110.0, 120.0, 129.0, 130.0):
            here = {n for n, owner in enumerate(self.owners(turns, now)) if owner == "a"}
            self.assertLessEqual(back, here)
            back = here
            self.assertLess(abs(len(here) / home.count("a") - max(0.1, (now - 100.0) / 30.0)), 0.06)


class AnyRouteTests(SynchronousTestCase):
    """What holds whatever the route, the healths and chance."""

    @settings(max_examples=300, deadline=None, database=None)
    @given(st.data())
    def test_whoIsACandidate(self, data: st.DataObject) -> None:
        """Each available one exactly once, by priority but for those that recover; when there is none, the others."""
        count = data.draw(st.integers(1, 12))
        numbers = st.tuples(*[st.integers(0, 2)] * count)
        route = make_route(
            count,
            data.draw(st.sampled_from(STRATEGIES)),
            priority=data.draw(numbers),
            weight=tuple(number * 7 + 1 for number in data.draw(numbers)),
            drained=data.draw(st.tuples(*[st.sampled_from([False, False, True])] * count)),
        )
        healths, now = well(route), 100.0
        for health in healths.values():
            self.treat(
                health, data.draw(st.sampled_from(["", "", "dead", "due", "probed", "back", "rest", "off", "on"]))
            )
        turns = Turns(route, healths, data.draw(st.integers(0, 99)))
        serving = [d for d in route.deployments if not d.drained]
        for key in (b"", b"key"):
            names = turns.names(now, key)
            available = {d.name for d in serving if healths[d.name].available(now)}
            rest = {d.name for d in serving if healths[d.name].forced is None}
            self.assertEqual(sorted(names), sorted(available or rest))
            priority = {d.name: d.priority for d in serving}
            settled = [priority[name] for name in names if healths[name].share(now) == 1.0]
            if available:
                self.assertEqual(settled, sorted(settled))
            else:
                self.assertEqual([healths[n].until for n in names], sorted(healths[n].until for n in names))

    def treat(self, health: Health, how: str) -> None:
        if how in ("dead", "due", "probed"):
            die(health, 99.0 if how == "dead" else 80.0)
        if how == "probed":
            health.claim(99.0)
        if how == "back":
            recover(health, 95.0)
        if how == "rest":
            health.ended(99.0, Result.LIMITED, None, 60.0, health.began(99.0))
        if how in ("off", "on"):
            health.forced = "open" if how == "off" else "closed"

    def test_theSameChanceGivesTheSameOrder(self) -> None:
        """What a `Balance` keeps ready changes nothing: asked afresh each time the answers are the same."""
        for strategy in STRATEGIES:
            route = make_route(7, strategy, weight=(1, 2, 3, 4, 5, 6, 7), priority=(0, 0, 0, 0, 1, 1, 1))
            kept, chance = Turns(route), random.Random(1).random
            recover(kept.healths["b"], 100.0)
            die(kept.healths["c"], 100.0)
            for turn in range(200):
                key = b"%d" % turn if turn % 3 == 0 else b""
                afresh = order(route, kept.healths, 104.0, chance, key, turn, lambda _: 0)
                self.assertEqual("".join(d.name for d in afresh), kept.names(104.0, key))

    def test_manyThatAreAwayByTurns(self) -> None:
        """What it keeps ready for reduced tiers is bounded, and right after it has been dropped."""
        route = make_route(8, "ordered")
        turns = Turns(route)
        for mask in [*range(256), *range(255, 0, -1)]:
            for n, deployment in enumerate(route.deployments):
                turns.healths[deployment.name].forced = "open" if mask >> n & 1 else "closed"
            self.assertEqual(turns.names(), "".join(chr(97 + n) for n in range(8) if not mask >> n & 1))
        self.assertLessEqual(len(turns.balance._tiers[0]._reduced), 16)
