"""The limiter and the key store that live in memory."""

from __future__ import annotations

import attrs

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from relay.config import ClientKey, Snapshot
from relay.errors import RateLimited, Unauthenticated
from relay.exchange import ANONYMOUS, LimitState
from relay.interfaces import IConfiguration, IKeyStore, ILimiter
from relay.provider import RateLimit
from relay.secret import Secret
from relay.store.memory import MemoryLimiter, StaticKeys

CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"


class MemoryLimiterTests(SynchronousTestCase):
    """Buckets come, are counted, and go."""

    def setUp(self) -> None:
        """A limiter on a clock that the test moves."""
        self.clock = Clock()
        self.limiter = MemoryLimiter(self.clock.seconds)
        self.rule = RateLimit(requests_per_minute=60, burst=2)

    def test_interface(self) -> None:
        """It is an `ILimiter`."""
        verifyObject(ILimiter, self.limiter)

    def test_unlimitedIsNotCounted(self) -> None:
        """A rate of 0 admits everything and keeps nothing."""
        for _ in range(100):
            self.assertIsNone(self.limiter.check(CHAT, "a", RateLimit(0, 1)))
        self.assertEqual(self.limiter.active(), {})

    def test_stateOfAnAdmittedRequest(self) -> None:
        """An admitted request learns its limit, what remains and when all is back."""
        self.assertEqual(self.limiter.check(CHAT, "a", self.rule), LimitState(limit=2, remaining=1, reset=1.0))

    def test_refusalCarriesTheNumbers(self) -> None:
        """A refused request learns when to come back."""
        self.limiter.check(CHAT, "a", self.rule)
        self.limiter.check(CHAT, "a", self.rule)
        error = self.assertRaises(RateLimited, self.limiter.check, CHAT, "a", self.rule)
        self.assertEqual((error.retry_after, error.limit, error.reset, error.http_status), (1.0, 2, 2.0, 429))

    def test_keysAndEndpointsAreApart(self) -> None:
        """One client's requests on one endpoint use up nobody else's rate."""
        for _ in range(2):
            self.limiter.check(CHAT, "a", self.rule)
        self.assertRaises(RateLimited, self.limiter.check, CHAT, "a", self.rule)
        self.limiter.check(CHAT, "b", self.rule)
        self.limiter.check(EMBEDDINGS, "a", self.rule)
        self.assertEqual(self.limiter.active(), {CHAT: 2, EMBEDDINGS: 1})

    def test_fullBucketsAreDropped(self) -> None:
        """A bucket is kept until it is full again, and no longer."""
        self.limiter.check(CHAT, "a", self.rule)
        self.limiter.check(CHAT, "b", self.rule)
        self.limiter.check(CHAT, "b", self.rule)
        self.clock.advance(1.5)
        self.assertEqual(self.limiter.active(), {CHAT: 1})
        self.clock.advance(0.5)
        self.assertEqual(self.limiter.active(), {})

    def test_usedBucketIsKept(self) -> None:
        """A bucket that is used again in time is not dropped when it would first have been full."""
        self.limiter.check(CHAT, "a", self.rule)
        self.clock.advance(0.5)
        self.limiter.check(CHAT, "a", self.rule)
        self.clock.advance(0.7)
        self.assertEqual(self.limiter.check(CHAT, "a", self.rule), LimitState(2, 0, 1.8))

    def test_requestsSweep(self) -> None:
        """Clients that never come back leave nothing behind, without anybody asking for the count."""
        for number in range(1000):
            self.limiter.check(CHAT, f"once-{number}", self.rule)
            self.clock.advance(0.01)
        self.assertLess(len(self.limiter._buckets), 110)
        self.assertEqual(len(self.limiter._due), len(self.limiter._buckets))
        self.assertEqual(self.limiter.dropped, 0)

    def test_cap(self) -> None:
        """The number of buckets is bounded; the one nearest to full goes first, and that is told."""
        limiter = MemoryLimiter(self.clock.seconds, cap=3)
        slow = RateLimit(requests_per_minute=1, burst=2)
        limiter.check(CHAT, "victim", slow)
        limiter.check(CHAT, "victim", slow)
        with capturedLogs() as logged:
            for number in range(20):
                limiter.check(CHAT, f"junk-{number}", self.rule)
        self.assertEqual([event["log_format"] for event in logged], ["more clients than rate limit buckets"])
        self.assertRaises(RateLimited, limiter.check, CHAT, "victim", slow)
        self.assertEqual((limiter.active(), limiter.dropped), ({CHAT: 3}, 18))

    def test_capForgetsFullBucketsFirst(self) -> None:
        """A bucket that is full by now is none that was given up."""
        limiter = MemoryLimiter(self.clock.seconds, cap=2)
        for key in "ab":
            limiter.check(CHAT, key, self.rule)
        self.clock.advance(10.0)
        limiter.check(CHAT, "c", self.rule)
        self.assertEqual((limiter.active(), limiter.dropped), ({CHAT: 1}, 0))

    def test_capLooksAtTheBucketsAsTheyAre(self) -> None:
        """A bucket that has been used since is judged by its present state, not by its first."""
        limiter = MemoryLimiter(self.clock.seconds, cap=2)
        rule = RateLimit(requests_per_minute=60, burst=5)
        limiter.check(CHAT, "busy", rule)
        limiter.check(CHAT, "idle", rule)
        for _ in range(4):
            limiter.check(CHAT, "busy", rule)
        limiter.check(CHAT, "new", rule)
        self.assertRaises(RateLimited, limiter.check, CHAT, "busy", rule)


@implementer(IConfiguration)
@attrs.define
class Fixed:
    """A configuration that tests replace."""

    snapshot: Snapshot


def snapshot(*keys: tuple[str, str], generation: int = 1) -> Snapshot:
    """A snapshot with client keys, given as name and key."""
    return Snapshot(
        providers={},
        client_keys=tuple(ClientKey(name, Secret(key)) for name, key in keys),
        generation=generation,
    )


class StaticKeysTests(SynchronousTestCase):
    """Who may call."""

    def setUp(self) -> None:
        """Two clients' keys are configured."""
        self.configuration = Fixed(snapshot(("ci", "key-of-the-ci-system"), ("web", "key-of-the-web-site")))
        self.keys = StaticKeys(self.configuration)

    def test_interface(self) -> None:
        """It is an `IKeyStore`."""
        verifyObject(IKeyStore, self.keys)

    def test_ownerIsFound(self) -> None:
        """A configured key has its owner's name, and an id that is no part of the key."""
        owner = self.keys.lookup(Secret("key-of-the-web-site"))
        self.assertEqual((owner.id, owner.name, owner.configured), ("web", "web", True))
        self.assertTrue(self.keys.required())

    def test_wrongKeysAreAllAlike(self) -> None:
        """Whatever is wrong with a key, the answer is the same."""
        messages = {
            str(self.assertRaises(Unauthenticated, self.keys.lookup, Secret(wrong)))
            for wrong in (
                "key-of-the-ci-syste",
                "key-of-the-ci-system ",
                "KEY-OF-THE-CI-SYSTEM",
                "ci",
                "é\udcff\x00",
                "x" * 9999,
            )
        }
        self.assertEqual(len(messages), 1)
        self.assertNotIn("ci-system", messages.pop())

    def test_missingKey(self) -> None:
        """No key, and an empty one, are refused with a hint how to send one."""
        for missing in (None, Secret("")):
            error = self.assertRaises(Unauthenticated, self.keys.lookup, missing)
            self.assertIn("Authorization: Bearer", error.message)
            self.assertEqual(error.http_status, 401)

    def test_reload(self) -> None:
        """A key is good as long as the snapshot in force has it."""
        self.keys.lookup(Secret("key-of-the-ci-system"))
        self.configuration.snapshot = snapshot(("new", "key-of-somebody-new"), generation=2)
        self.assertEqual(self.keys.lookup(Secret("key-of-somebody-new")).name, "new")
        self.assertRaises(Unauthenticated, self.keys.lookup, Secret("key-of-the-ci-system"))

    def test_metAgain(self) -> None:
        """A key that was good before is as good as the snapshot in force; one that was wrong stays wrong."""
        good, wrong = Secret("key-of-the-ci-system"), Secret("key-of-somebody-new")
        for _ in range(2):
            self.assertEqual(self.keys.lookup(good).name, "ci")
            self.assertRaises(Unauthenticated, self.keys.lookup, wrong)
        self.configuration.snapshot = snapshot(("new", "key-of-somebody-new"), generation=2)
        for _ in range(2):
            self.assertRaises(Unauthenticated, self.keys.lookup, good)
            self.assertEqual(self.keys.lookup(wrong).name, "new")

    def test_manyKeys(self) -> None:
        """However many keys are met, each has its own owner."""
        keys = StaticKeys(Fixed(snapshot()))
        met = [Secret(f"sk-{number}") for number in range(3000)]
        ids = [keys.lookup(secret).id for secret in met]
        self.assertEqual([keys.lookup(secret).id for secret in met], ids)
        self.assertEqual(len(set(ids)), len(ids))

    def test_withoutConfiguredKeysEverybodyMayCall(self) -> None:
        """A presented key then only tells clients apart; its id is stable and shows nothing of it."""
        keys = StaticKeys(Fixed(snapshot()))
        one, two = keys.lookup(Secret("sk-first-clients-own-key")), keys.lookup(Secret("sk-second"))
        self.assertFalse(keys.required())
        self.assertEqual(keys.lookup(None), ANONYMOUS)
        self.assertEqual(one, keys.lookup(Secret("sk-first-clients-own-key")))
        self.assertNotEqual(one.id, two.id)
        self.assertRegex(one.id, r"^key-[0-9a-f]{12}$")
        self.assertEqual((one.name, one.configured), ("anonymous", False))
