"""The fault lab itself: each fault is what its table says, seen through relay's upstream side and a transcoder."""

from __future__ import annotations

import json
from typing import Any, cast

import msgspec

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from relay.dialects.passthrough import Passthrough
from relay.dialects.registry import DIALECTS
from relay.dialects.transcode import Transcoder
from relay.endpoints import ENDPOINTS
from relay.errors import RelayError, UpstreamTimeout, UpstreamUnreachable
from relay.exchange import UpstreamRequest
from relay.interfaces import IUpstream
from relay.outcome import Stage
from relay.provider import Timeouts
from relay.runtime.wheel import Wheel
from relay.upstream.client import Upstream
from relay.upstream.engine.upstream import EngineUpstream
from tests.integration.faults import Authority
from tests.integration.lab import DEATHS, LabUpstream
from tests.integration.lab_faults import FAULTS, Moment, find
from tests.integration.lab_words import words_for
from tests.integration.test_engine_upstream import Timers
from tests.unit.upstream.doubles import MemorySink

TEXT = "lab is here to help"
CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
SOON = Timeouts(connect=0.4, first_byte=0.4, idle=0.4, total=0.4)


def transcoder(path: str) -> Transcoder:
    """What reads a stream of this endpoint."""
    endpoint = ENDPOINTS[path]
    return Passthrough(DIALECTS[endpoint.front], endpoint, "d", strip_usage=False)


class WordsTests(SynchronousTestCase):
    """What good answers say."""

    def test_streams(self) -> None:
        """A stream has no content in its opening, content behind it, and its end; its error is one."""
        for path in (CHAT, MESSAGES):
            words = words_for(path, "m", TEXT)
            reader = transcoder(path)
            reader.feed(words.opening)
            self.assertFalse(reader.started, path)
            reader.feed(b"".join(words.content))
            self.assertEqual((reader.started, reader.done, reader.chunks), (True, False, 5), path)
            reader.feed(words.ending)
            self.assertTrue(reader.done, path)
            broken = transcoder(path)
            broken.feed(words.opening + words.broken)
            self.assertIsNotNone(broken.error, path)

    def test_wholes(self) -> None:
        """Answers and refusals are the dialect's."""
        for path in (CHAT, MESSAGES):
            words, dialect = words_for(path, "m", TEXT), DIALECTS[ENDPOINTS[path].front]
            usage, finish, _ = dialect.usage(ENDPOINTS[path], words.whole)
            self.assertEqual((usage.input, usage.output, bool(finish)), (3, 5, True), path)
            self.assertEqual(dialect.read_error(words.refusal(429, "", "slow down"))[0], "slow down", path)

    def test_commands(self) -> None:
        """Statuses are faults, other words are not."""
        for name in ("401", "429", "429-after", "429-after-ms", "503-after", "529"):
            self.assertIsNotNone(find(name), name)
        for name in ("200", "42", "429-later", "gpt-4o", ""):
            self.assertIsNone(find(name), name)


class LabCase(TestCase):
    """One upstream of the lab, and relay's way to it."""

    timeout = 60

    def setUp(self) -> None:
        self.lab = LabUpstream(reactor)
        self.upstream = self.make()

    def make(self) -> IUpstream:
        """Make relay's upstream side."""
        return Upstream(cast("Any", reactor))

    async def tearDown(self) -> None:  # type: ignore[override]  # trial waits for it
        await self.upstream.close()
        await self.lab.stop()

    def request(self, model: str = "m", *, stream: bool = False, target: str = CHAT) -> UpstreamRequest:
        """A request for an answer, with short deadlines."""
        return UpstreamRequest(
            deployment="d",
            provider="lab",
            method="POST",
            origin=self.lab.origin,
            target=target,
            headers=((b"content-type", b"application/json"), (b"authorization", b"Bearer key-1")),
            body=json.dumps({"model": model, "stream": stream}).encode(),
            stream=stream,
            timeouts=SOON,
        )

    async def ask(self, request: UpstreamRequest) -> tuple[object, bool]:
        """Send it; status (0 for a broken answer) and whether content was seen of a stream."""
        reader = transcoder(request.target)
        try:
            response = await self.upstream.send(request)
            if response.status != 200 or not request.stream:
                body = await response.read(1_000_000)
                return (0 if response.status == 200 and not self.good(body) else response.status), False
            if response.status == 200:
                await response.stream(reader, MemorySink())
            if reader.error is not None:
                raise reader.error
        except RelayError:
            return 0, reader.started
        return response.status, reader.started

    def good(self, body: bytes) -> bool:
        """Whether this is a good whole answer."""
        try:
            value = json.loads(body)
        except ValueError:
            return False
        return bool(value["choices"][0]["message"]["content"] == TEXT)


class FaultTests(LabCase):
    """Each fault of the table."""

    async def test_moments(self) -> None:
        """What a client may notice of a fault is what the table says."""
        for name, fault in FAULTS.items():
            for stream in (False, True):
                status, started = await self.ask(self.request(name, stream=stream))
                label = f"{name}, stream={stream}: {status}"
                self.assertEqual(status == 200, fault.moment is Moment.HARMLESS, label)
                if stream:
                    self.assertEqual(started, fault.moment is not Moment.BEFORE, label)
                await self.lab.until(lambda: not self.lab.hanging)
        self.assertGreaterEqual(set(self.lab.played), set(FAULTS))

    async def test_statuses(self) -> None:
        """Error answers have their status, and the wait that was set."""
        self.lab.wait = 2.5
        for name, status, field in (
            ("401", 401, None),
            ("529", 529, None),
            ("429-after", 429, (b"retry-after", b"2.5")),
            ("503-after", 503, (b"retry-after", b"2.5")),
            ("429-after-ms", 429, (b"retry-after-ms", b"2500")),
        ):
            response = await self.upstream.send(self.request(name))
            fields = [each for each in response.headers if each[0].startswith(b"retry-after")]
            self.assertEqual((response.status, fields), (status, [field] if field else []), name)
            await response.read(1000)

    async def test_reuse(self) -> None:
        """A connection that closes exactly on reuse has served before, and the request goes out on a fresh one."""
        self.lab.repeat("closes-on-reuse")
        for _ in range(3):
            self.assertEqual(await self.ask(self.request()), (200, False))
        self.assertEqual((self.lab.connections, self.lab.attempts), (3, 5))


class EngineFaultTests(FaultTests):
    """The same through relay's own upstream connections."""

    def make(self) -> IUpstream:
        self.timers = Timers()
        return EngineUpstream(cast("Any", reactor), Wheel(self.timers, tick=0.01))

    async def tearDown(self) -> None:  # type: ignore[override]  # trial waits for it
        await super().tearDown()
        self.timers.stop()


class CommandTests(LabCase):
    """What is done when, and what is told of it."""

    async def test_order(self) -> None:
        """First what comes next, then what is repeated, then what the model says."""
        self.lab.then("503", lambda scene: scene.refuse(418))
        self.lab.repeat("ok", "500")
        statuses = [(await self.ask(self.request("404")))[0] for _ in range(6)]
        self.lab.repeat()
        statuses.append((await self.ask(self.request("404")))[0])
        self.assertEqual(statuses, [503, 418, 200, 500, 200, 500, 404])
        self.assertEqual([seen.command for seen in self.lab.log][:3], ["503", "function", "ok"])
        self.assertEqual(self.lab.played["500"], 2)

    async def test_unknown(self) -> None:
        """A command that is none is refused when it is given."""
        for give in (self.lab.then, self.lab.repeat):
            with self.assertRaises(ValueError):
                give("ok", "no-such-fault")

    async def test_log(self) -> None:
        """Requests are kept with model, key and body; connections are counted."""
        await self.ask(self.request("one"))
        await self.ask(self.request("two", target=MESSAGES, stream=True))
        seen = self.lab.log
        self.assertEqual(
            [(each.model, each.key, each.json["stream"]) for each in seen],
            [("one", "key-1", False), ("two", "key-1", True)],
        )
        self.assertEqual((self.lab.attempts, self.lab.connections, self.lab.open), (2, 1, 1))
        self.assertLessEqual(seen[0].at, seen[1].at)

    async def test_pace(self) -> None:
        """A stream may take its time; while it does, its connection hangs."""
        self.lab.pace = 0.02
        response = await self.upstream.send(self.request(stream=True))
        self.assertEqual(len(self.lab.hanging), 1)
        sink = MemorySink()
        await response.stream(transcoder(CHAT), sink)
        self.assertEqual(sink.data.count(b'"content": " '), 4)
        await self.lab.until(lambda: not self.lab.hanging)

    async def test_several(self) -> None:
        """Several run at once, and each says its own name."""
        labs = [LabUpstream(reactor, name) for name in ("one", "two")]
        requests = [msgspec.structs.replace(self.request(), origin=lab.origin) for lab in labs]
        responses = await gatherResults([self.upstream.send(request) for request in requests])
        bodies = [await response.read(10_000) for response in responses]
        self.assertEqual([b"one is here" in bodies[0], b"two is here" in bodies[1]], [True, True])
        self.assertEqual([lab.provider()["name"] for lab in labs], ["one", "two"])
        for lab in labs:
            await lab.stop()


class DeathTests(LabCase):
    """Dying and coming back."""

    async def test_everyWay(self) -> None:
        """Each death ends what runs and what comes, and afterwards the same port serves again."""
        self.lab.pace = 0.05
        for how in DEATHS:
            running = await self.upstream.send(self.request(stream=True))
            ended = running.stream(transcoder(CHAT), MemorySink())
            await self.moment()
            await self.lab.die(how)
            await self.fails(ended, how)
            attempts = self.lab.attempts
            error = await self.fails(self.upstream.send(self.request()), how)
            expected = UpstreamTimeout if how in ("vanishes", "hangs") else UpstreamUnreachable
            self.assertIsInstance(error, expected, how)
            if how in ("refuses", "vanishes"):
                self.assertIs(error.stage, Stage.CONNECT, how)
            self.assertEqual(self.lab.attempts, attempts, how)
            await self.lab.revive()
            await self.lab.all_closed()
            self.assertEqual(await self.ask(self.request()), (200, False), how)

    async def test_withTLS(self) -> None:
        """One that speaks TLS comes back doing so."""
        authority = Authority()
        lab = LabUpstream(reactor, tls=authority.server("127.0.0.1"))
        upstream = Upstream(cast("Any", reactor), trust=authority.trust)
        await lab.die()
        await lab.revive()
        response = await upstream.send(msgspec.structs.replace(self.request(), origin=lab.origin))
        self.assertIn(TEXT.encode(), await response.read(10_000))
        await upstream.close()
        await lab.stop()

    async def test_stoppedWhileDead(self) -> None:
        """A test may end with an upstream that is dead."""
        for how in DEATHS:
            lab = LabUpstream(reactor)
            await lab.die(how)
            await lab.stop()

    def moment(self) -> Deferred[None]:
        """A little later."""
        return deferLater(cast("Any", reactor), 0.08)

    async def fails(self, waiting: Deferred[Any], label: str) -> Any:
        """Wait for an error."""
        try:
            result = await waiting
        except RelayError as error:
            return error
        raise AssertionError(f"{label}: {result!r}")
