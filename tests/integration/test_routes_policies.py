"""What a route's policies promise, through the real ``twistd relay`` to upstreams that fail on command."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.integration.lab_faults import Scene
from tests.integration.routing import DONE, MESSAGES, Got, RoutesCase, ask, deployments, good, together
from tests.integration.test_operation import Reader
from tests.integration.twistd import wait_until

KEYS = {"KEY_A": "key-a-of-the-lab-0001", "KEY_B": "key-b-of-the-lab-0002", "KEY_C": "key-c-of-the-lab-0003"}
CLIENTS = {"CLIENT_A": "client-key-a-000001", "CLIENT_B": "client-key-b-000002"}
QUICK: Mapping[str, object] = {"window": 2, "cooldown": 1, "slowStart": 0}


class PolicyCase(RoutesCase):
    """Waiting, and looking at what came."""

    def pause(self, seconds: float) -> Deferred[None]:
        """Let time pass."""
        return deferLater(reactor, seconds, lambda: None)

    def assertGood(self, got: Got, name: str = "two", model: str = "ok", *, stream: bool = False) -> None:
        """The answer is the good one of this upstream."""
        expected = (200, good(name, model, stream=stream), f"{name}-{model}")
        self.assertEqual((got.status, got.body, got.deployment), expected)


class BreakerTests(PolicyCase):
    """A deployment that fails is left alone, and comes back."""

    async def test_opensAndRecovers(self) -> None:
        """It is asked no more than five times, and serves again within the window and a second."""
        await self.start({"m": {"deployments": deployments("one", "two"), "breaker": QUICK}})
        self.one.repeat("500")
        began = time.monotonic()
        for _ in range(12):
            self.assertGood(await self.ask("m"))
        self.assertEqual(self.one.attempts, 5)
        self.assertEqual((await self.health("one-ok"))["state"], "open")
        self.one.repeat("ok")
        while (await self.ask("m")).deployment != "one-ok":
            self.assertLess(time.monotonic() - began, 3.0)
            await self.pause(0.05)
        self.assertEqual((await self.health("one-ok"))["state"], "closed")

    async def test_flapping(self) -> None:
        """One that fails every second time changes its state at most twice in four cool-downs, and nobody notices."""
        breaker = {**QUICK, "cooldown": 0.5, "least": 4}
        await self.start({"m": {"deployments": deployments("one", "two"), "breaker": breaker}})
        self.one.repeat("ok", "500")
        states = ["closed"]
        until = time.monotonic() + 4.0
        while time.monotonic() < until:
            self.assertEqual((await self.ask("m")).status, 200)
            state = (await self.health("one-ok"))["state"]
            closed = "closed" if state == "closed" else "open"
            if closed != states[-1]:
                states.append(closed)
        self.assertGreater(len(states), 1)
        self.assertLessEqual(len(states) - 1, 2 * (4.0 / (4 * 0.5) + 1))


class DeadlineTests(PolicyCase):
    """One deadline over everything."""

    async def test_threeThatHang(self) -> None:
        """With three deployments that hang the client waits for its deadline, and no longer."""
        self.lab("three")
        for lab in self.labs.values():
            lab.repeat("never-answers")
        route = {"deployments": deployments("one", "two", "three"), "deadline": 1, "retry": {"attempts": 3}}
        await self.start({"m": route})
        for headers, least, most in (({}, 1.0, 1.5), ({"x-relay-timeout": "0.5"}, 0.5, 1.0)):
            began = time.monotonic()
            got = await self.ask("m", headers=headers)
            self.assertEqual(got.status, 504)
            self.assertTrue(least <= time.monotonic() - began <= most, (time.monotonic() - began, headers))
        await self.one.until(lambda: not self.one.hanging)


class StormTests(PolicyCase):
    """Everything is down, and clients ask as fast as they can."""

    async def storm(self, command: str, breaker: Mapping[str, object]) -> tuple[int, int]:
        """Requests and attempts of a second and a half, with 16 clients."""
        route = {"deployments": deployments("one", "two"), "breaker": breaker, "retry": {"attempts": 3}}
        await self.start({"m": route})
        for lab in self.labs.values():
            lab.repeat(command)
        until = time.monotonic() + 1.5

        def load() -> int:
            count = 0
            while time.monotonic() < until:
                self.assertGreaterEqual(ask(self.relay.port, "m").status, 429)
                count += 1
            return count

        requests = sum(await together(16, *[load] * 16))
        return requests, self.one.attempts + self.two.attempts

    async def test_errors(self) -> None:
        """Attempts stay within 1.2 times the requests."""
        requests, attempts = await self.storm("503", {})
        self.assertGreater(requests, 50)
        self.assertLessEqual(attempts, 1.2 * requests + 3)

    async def test_limits(self) -> None:
        """The same where providers say 429, which opens no breaker."""
        requests, attempts = await self.storm("429", {})
        self.assertLessEqual(attempts, 1.2 * requests + 3)


class KeyTests(PolicyCase):
    """Several keys of one provider."""

    async def test_rotation(self) -> None:
        """401, 402, 403 and 429 move a request to the next key, and the key that works stays."""
        auth = {"scheme": "bearer", "keys": [{"env": name} for name in KEYS]}
        names = ("401", "402", "403", "429")
        routes = {name: {"deployments": deployments("one", "two"), "retry": {"attempts": 4}} for name in names}
        await self.start(routes, KEYS, providers={"one": {"auth": auth}})
        secrets = list(KEYS.values())
        works = 0
        for name in names:
            works = (works + 2) % 3
            self.one.repeat(partial(self.only, secrets[works], int(name)))
            before = self.one.attempts
            self.assertGood(await self.ask(name), "one")
            self.assertEqual(self.one.log[-1].key, secrets[works])
            self.assertEqual(self.one.attempts - before, 3)
            self.assertGood(await self.ask(name), "one")
            self.assertEqual(self.one.attempts - before, 4)
        self.assertEqual(self.two.attempts, 0)

    def only(self, key: str, status: int, scene: Scene) -> None:
        """Take one key only."""
        if scene.asked.header(b"authorization") == [f"Bearer {key}".encode()]:
            scene.serve()
        else:
            scene.refuse(status)


class FallbackTests(PolicyCase):
    """Other routes."""

    async def test_everyKind(self) -> None:
        """A prompt that is too long, one that is forbidden, and a route that is exhausted go where they should."""
        fallbacks = {"fallbacks": ["rest"], "contextFallbacks": ["long"], "policyFallbacks": ["free"]}
        routes: dict[str, Any] = {"m": {"deployments": deployments("one"), "retry": {"attempts": 1}, **fallbacks}}
        routes |= {
            name: {"deployments": deployments(("two", name)), "hidden": True} for name in ("rest", "long", "free")
        }
        await self.start(routes)
        self.two.repeat("ok")
        for command, model in (("context", "long"), ("policy", "free"), ("503", "rest"), ("resets", "rest")):
            for stream in (False, True):
                self.one.repeat(command)
                got = await self.ask("m", stream=stream)
                self.assertGood(got, "two", model, stream=stream)
                self.assertEqual(got.attempts, 2)


class StickyTests(PolicyCase):
    """Conversations stay where they are."""

    async def test_onlyItsOwnMove(self) -> None:
        """Each session keeps its deployment; when one dies, only its sessions move, and afterwards they are back."""
        self.lab("three")
        members = [{**each, "priority": 0} for each in deployments("one", "two", "three")]
        sticky = {"by": "header", "header": "x-session"}
        breaker = {**QUICK, "failures": 1}
        await self.start({"m": {"deployments": members, "sticky": sticky, "breaker": breaker}})
        before = await self.places()
        self.assertEqual(await self.places(), before)
        self.assertEqual(set(before), {"one-ok", "two-ok", "three-ok"})
        await self.one.die()
        during = await self.places()
        self.assertNotIn("one-ok", during)
        moved = [old for old, new in zip(before, during, strict=True) if old != new]
        self.assertEqual(moved, [old for old in before if old == "one-ok"])
        await self.one.revive()
        await self.pause(1.1)
        await self.places()  # a probe
        self.assertEqual(await self.places(), before)

    async def places(self) -> list[str]:
        """Where 24 sessions are served."""
        work = [partial(ask, self.relay.port, "m", headers={"x-session": str(number)}) for number in range(24)]
        got: list[Got] = await together(4, *work)
        self.assertEqual({each.status for each in got}, {200})
        return [each.deployment for each in got]


class HedgeTests(PolicyCase):
    """A second attempt beside a slow one."""

    async def test_theFasterOne(self) -> None:
        """Its answer comes, the other one is broken off, and of whole answers the same holds."""
        route = {"deployments": deployments("one", "two"), "hedge": {"after": 0.1, "share": 1}}
        await self.start({"m": route})
        self.one.repeat("never-answers")
        for stream in (False, True):
            began = time.monotonic()
            got = await self.ask("m", stream=stream)
            self.assertLess(time.monotonic() - began, 0.5)
            self.assertGood(got, "two", stream=stream)
            self.assertEqual(got.attempts, 2)
        await self.one.until(lambda: not self.one.hanging)
        self.assertEqual((await self.health("one-ok"))["busy"], 0)


class MirrorTests(PolicyCase):
    """Copies for another deployment."""

    async def test_nobodyNotices(self) -> None:
        """The client neither waits for the mirror, nor sees any of its answers or faults."""
        mirror = {"provider": "two", "model": "ok", "share": 1}
        await self.start({"m": {"deployments": deployments("one"), "mirror": mirror}})
        for command in ("ok", "never-answers", "503", "resets", "cut-after-content", "huge", "429"):
            self.two.repeat(command)
            before = self.two.attempts
            for stream in (False, True):
                began = time.monotonic()
                self.assertGood(await self.ask("m", stream=stream, text=f"for {command}"), "one", stream=stream)
                self.assertLess(time.monotonic() - began, 0.5, command)
            await self.two.until(partial(self.came, before + 2))
        self.assertEqual(self.two.log[1].json["messages"], [{"role": "user", "content": "for ok"}])
        await self.two.until(lambda: not self.two.hanging)
        self.assertEqual(self.one.attempts, 14)

    def came(self, number: int) -> bool:
        """Whether so many copies have come."""
        return self.two.attempts >= number


class PlaceTests(PolicyCase):
    """Bounded parallelism."""

    async def test_queue(self) -> None:
        """One is served, one waits and is served, one waits too long, one finds the line full; both are told when."""
        self.one.repeat("slow")
        self.one.delay = 0.6
        queue = {"size": 2, "wait": 0.9}
        await self.start({"m": {"deployments": deployments("one"), "concurrency": 1, "queue": queue}})
        waiting = []
        for _ in range(4):
            waiting.append(self.ask("m"))
            await self.pause(0.1)
        got = await gatherResults(waiting)
        self.assertEqual([each.status for each in got], [200, 200, 503, 503])
        for each in got[2:]:
            self.assertGreaterEqual(int(each.headers["retry-after"]), 1)
            self.assertIn(b"limit of 1 parallel", each.body)
        self.assertEqual(self.one.attempts, 2)

    async def test_fair(self) -> None:
        """Who asks once does not wait for all of another's requests."""
        self.one.repeat("slow")
        self.one.delay = 0.1
        keys = [{"name": name, "env": name} for name in CLIENTS]
        route = {"deployments": deployments("one"), "concurrency": 1, "queue": {"size": 20}}
        await self.start({"m": route}, CLIENTS, clientKeys=keys)
        first, second = ({"authorization": f"Bearer {key}"} for key in CLIENTS.values())
        waiting = [self.ask("m", headers=first, text="many") for _ in range(6)]
        await self.one.until(lambda: self.one.attempts == 1)
        await self.pause(0.05)
        waiting.append(self.ask("m", headers=second, text="once"))
        self.assertEqual({each.status for each in await gatherResults(waiting)}, {200})
        order = [seen.json["messages"][0]["content"] for seen in self.one.log]
        self.assertLessEqual(order.index("once"), 3, order)


class DisconnectTests(PolicyCase):
    """What becomes of an answer whose client has left."""

    async def test_modes(self) -> None:
        """It is broken off, read on for a while, or read to its end; tokens are in the log in each case."""
        modes: dict[str, dict[str, object]] = {
            "cancel": {"mode": "cancel"},
            "drain": {"mode": "drain", "seconds": 0.3},
            "finish": {"mode": "finish"},
        }
        routes = {name: {"deployments": deployments(("one", name)), "disconnect": mode} for name, mode in modes.items()}
        await self.start(routes)
        self.one.pace = 0.15
        self.one.repeat(self.with_usage)
        for mode in modes:
            reader = await deferToThread(self.begin, mode)
            await deferToThread(reader.leave)
        await self.one.until(lambda: not self.one.hanging)
        await deferToThread(wait_until, lambda: len(self.exchanges()) == 3, "the log has all", 10.0)
        lines = {line["model"]: line for line in self.exchanges()}
        self.assertEqual({line["outcome"] for line in lines.values()}, {"client_gone"})
        told = {mode: (lines[mode]["output_tokens"], lines[mode]["estimated"]) for mode in modes}
        self.assertEqual(told["finish"], (5, False))
        for mode in ("cancel", "drain"):
            self.assertTrue(told[mode][1], told)
        self.assertLess(told["cancel"][0], told["drain"][0])
        self.assertLess(told["drain"][0], 5)
        took = {mode: lines[mode]["duration_ms"] for mode in modes}
        self.assertLess(took["cancel"], took["drain"])
        self.assertLess(took["drain"], took["finish"])

    def with_usage(self, scene: Scene) -> None:
        """Serve well, and tell the tokens."""
        usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
        report = b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"
        ending = scene.words.ending.replace(DONE, report + DONE)
        attrs.evolve(scene, words=attrs.evolve(scene.words, ending=ending)).serve()

    def begin(self, model: str) -> Reader:
        """A client that has seen a word."""
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        reader = Reader(self.relay, json.dumps(body).encode())
        self.addCleanup(reader.close)
        for data in reader.events():
            if '"content": "one"' in data:
                return reader
        raise AssertionError("no content came")


class TellingTests(PolicyCase):
    """What relay tells of a route."""

    async def test_explain(self) -> None:
        """The plan comes without anybody being asked, and without a key in it."""
        auth = {"scheme": "bearer", "keys": [{"env": name} for name in KEYS]}
        await self.start({"m": {"deployments": deployments("one", "two")}}, KEYS, providers={"one": {"auth": auth}})
        headers = {"x-relay-explain": "1", "authorization": "Bearer a-key-of-the-clients"}
        got = await self.ask("m", headers=headers)
        told = json.loads(got.body)
        self.assertEqual([each["deployment"] for each in told["candidates"]], ["one-ok", "two-ok"])
        self.assertEqual((told["route"], told["request"]["body"]["model"]), ("m", "ok"))
        for secret in (*KEYS.values(), "a-key-of-the-clients"):
            self.assertNotIn(secret, got.body.decode())
        self.assertEqual((self.one.attempts, self.two.attempts), (0, 0))

    async def test_everyAnswer(self) -> None:
        """Every answer says who served it, after how many tries, and where the time went; errors too."""
        patient = {"failures": 1000, "ratio": 1, "least": 1000}
        await self.start({"m": {"deployments": deployments("one", "two"), "breaker": patient}})
        self.one.repeat("503")
        for command, status, expected in (("ok", 200, "two-ok"), ("503", 503, "two-ok"), ("400", 400, "two-ok")):
            for stream in (False, True):
                self.two.repeat(command)
                got = await self.ask("m", stream=stream)
                self.assertEqual((got.status, got.deployment, got.attempts), (status, expected, 2), command)
                self.assertRegex(got.headers["server-timing"], r"^relay;dur=\d+\.\d, upstream;dur=\d+\.\d$")


class ReloadTests(PolicyCase):
    """Routes change while they are used."""

    async def test_underLoad(self) -> None:
        """Deployments come and go, and no request fails."""
        both, first = deployments("one", "two"), deployments("one")
        variants: Sequence[Mapping[str, Any]] = [
            {"deployments": both, "concurrency": 50},
            {"deployments": list(reversed(both)), "strategy": "least-busy"},
            {"deployments": first, "sticky": {"by": "prompt"}},
            {"deployments": both, "breaker": {"failures": 2}},
        ]
        await self.start({"m": variants[0]})
        over = threading.Event()
        self.addCleanup(over.set)

        def load(number: int) -> Counter[int]:
            seen: Counter[int] = Counter()
            while not over.is_set() and not seen[0]:
                got = ask(self.relay.port, "m", stream=(number + seen.total()) % 2 == 0)
                seen[got.status if got.whole else -1] += 1
            return seen

        loads = together(8, *(partial(load, number) for number in range(8)))
        for turn in range(1, 9):
            self.write(self.configuration({"m": variants[turn % len(variants)]}))
            self.relay.signal(signal.SIGHUP)
            await deferToThread(wait_until, partial(self.in_force, turn + 1), "the reload")
            await self.pause(0.1)
        over.set()
        seen = sum(await loads, Counter())
        self.assertEqual(set(seen), {200})
        self.assertGreater(seen[200], 50)

    def in_force(self, generation: int) -> bool:
        """Whether so many readings were good."""
        told: Any = self.relay.get("/health").json()
        return bool(told["config"]["generation"] >= generation)


class DialectTests(PolicyCase):
    """Deployments of one route that speak different dialects."""

    async def test_overTheDialects(self) -> None:
        """OpenAI's client: Anthropic's deployment dies, Gemini's answers; and the same for Anthropic's client."""
        gemini = {"name": "g", "baseUrl": "echo://local", "dialect": "gemini", "auth": {"scheme": "none"}}
        gemini |= {"models": ["gemini-2.5-flash"]}
        members = [*deployments(("one", "claude")), *deployments(("g", "gemini-2.5-flash"), priority=1)]
        await self.start({"m": {"deployments": members}}, providers={"one": {"dialect": "anthropic"}}, others=[gemini])
        for command in ("resets", "cut-before-content", "529", "never-answers"):
            for stream in (False, True):
                for path, kind in ((None, "chat.completion"), (MESSAGES, "message")):
                    self.one.then(command)
                    where = {"path": path} if path else {}
                    got = await self.ask("m", stream=stream, text="one two three", **where)
                    label = f"{command} {stream} {kind} {got}"
                    self.assertEqual((got.status, got.deployment), (200, "g-gemini-2.5-flash"), label)
                    said = got.body.decode()
                    for word in ("one", "two", "three"):
                        self.assertIn(word, said, label)
                    self.assertIn(kind, said)
        self.assertEqual({seen.asked.target for seen in self.one.log}, {"/v1/messages"})
