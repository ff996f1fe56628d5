"""Tests of names and their addresses."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IHostnameResolver, IResolutionReceiver
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from relay.upstream.engine.addresses import KEEP, LOST, NAMES, AddressBook, Addresses, in_turn


@implementer(IHostnameResolver)
class Resolver:
    """Answers when the test says so.

    Attributes:
        asked: names, in order.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._receivers: list[IResolutionReceiver] = []

    def resolveHostName(self, resolutionReceiver: IResolutionReceiver, hostName: str, *_: Any, **__: Any) -> Any:
        self.asked.append(hostName)
        self._receivers.append(resolutionReceiver)
        return None

    def answer(self, *addresses: str) -> None:
        """Answer the oldest question."""
        receiver = self._receivers.pop(0)
        for address in addresses:
            kind = IPv6Address if ":" in address else IPv4Address
            receiver.addressResolved(kind("TCP", address, 0))
        receiver.resolutionComplete()


class Resolving(Clock):
    """A reactor that has nothing but a clock and a resolver."""

    def __init__(self) -> None:
        super().__init__()
        self.nameResolver: Any = Resolver()


class InTurnTests(SynchronousTestCase):
    """The order of addresses."""

    def test_order(self) -> None:
        """Families take turns, beginning with the first; each keeps its order."""
        for given, ordered in (
            ((), ()),
            (("1",), ("1",)),
            (("1", "2"), ("1", "2")),
            (("a:", "b:", "1", "2", "3"), ("a:", "1", "b:", "2", "3")),
            (("1", "a:", "b:"), ("1", "a:", "b:")),
        ):
            self.assertEqual(in_turn(given), ordered)


class AddressBookTests(SynchronousTestCase):
    """What is kept, and for how long."""

    def setUp(self) -> None:
        self.reactor = Resolving()
        self.resolver: Resolver = self.reactor.nameResolver
        self.book = AddressBook(self.reactor, self.reactor.seconds)
        self.found: list[Addresses] = []

    def test_kept(self) -> None:
        """An answer holds for its time."""
        self.book.find("a", self.found.append)
        self.assertEqual(self.found, [])
        self.resolver.answer("1.1.1.1", "::1", "1.1.1.1")
        self.reactor.advance(KEEP - 1)
        self.book.find("a", self.found.append)
        self.assertEqual((self.found, self.resolver.asked), ([("1.1.1.1", "::1")] * 2, ["a"]))
        self.reactor.advance(1)
        self.book.find("a", self.found.append)
        self.assertEqual((len(self.found), self.resolver.asked), (2, ["a", "a"]))

    def test_together(self) -> None:
        """Those who ask at the same time share one question."""
        for _ in range(3):
            self.book.find("a", self.found.append)
        self.book.find("b", self.found.append)
        self.assertEqual(self.resolver.asked, ["a", "b"])
        self.resolver.answer("1.1.1.1")
        self.assertEqual(self.found, [("1.1.1.1",)] * 3)

    def test_takenBack(self) -> None:
        """Who has taken the question back is not told; the others are."""
        other: list[Addresses] = []
        forget = self.book.find("a", self.found.append)
        self.book.find("a", other.append)
        forget()
        forget()
        self.resolver.answer("1.1.1.1")
        self.assertEqual((self.found, other), ([], [("1.1.1.1",)]))
        self.book.find("a", self.found.append)()
        self.assertEqual(self.found, [("1.1.1.1",)])

    def test_lost(self) -> None:
        """A question that got no answer does not hold up later ones for ever; its late answer is taken, too."""
        self.book.find("a", self.found.append)
        self.reactor.advance(LOST - 1)
        self.book.find("a", self.found.append)
        self.assertEqual(self.resolver.asked, ["a"])
        self.reactor.advance(1)
        self.book.find("a", self.found.append)
        self.assertEqual(self.resolver.asked, ["a", "a"])
        self.resolver.answer("1.1.1.1")
        self.assertEqual(self.found, [("1.1.1.1",)] * 2)
        self.resolver.answer("2.2.2.2")
        self.assertEqual(self.found, [("1.1.1.1",)] * 2 + [("2.2.2.2",)])

    def test_failure(self) -> None:
        """That a name does not resolve is not kept."""
        self.book.find("a", self.found.append)
        self.resolver.answer()
        self.book.find("a", self.found.append)
        self.resolver.answer("1.1.1.1")
        self.assertEqual(self.found, [(), ("1.1.1.1",)])

    def test_forgotten(self) -> None:
        """An answer of which no address was good is asked for anew."""
        self.book.find("a", self.found.append)
        self.resolver.answer("1.1.1.1")
        self.book.forget("a")
        self.book.find("a", self.found.append)
        self.assertEqual(self.resolver.asked, ["a", "a"])

    def test_bounded(self) -> None:
        """Only so many names are kept."""
        for number in range(NAMES + 1):
            self.book.find(str(number), self.found.append)
            self.resolver.answer("1.1.1.1")
        asked = len(self.resolver.asked)
        self.book.find(str(NAMES), self.found.append)
        self.assertEqual(len(self.resolver.asked), asked)
        self.book.find("0", self.found.append)
        self.assertEqual(len(self.resolver.asked), asked + 1)
