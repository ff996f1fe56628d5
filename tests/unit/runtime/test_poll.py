"""Tests of the lean turn of the epoll loop: the same script through Twisted's turn and through ours."""

from __future__ import annotations

from collections.abc import Callable
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableDescriptor
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.selectreactor import SelectReactor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from relay.runtime import poll
from relay.runtime.outbox import outbox_of

Turn = Callable[[float | None], None]


class ScriptedPoller:
    """What the kernel reports, written down beforehand."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, int]] | BaseException] = []
        self.timeouts: list[float] = []

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        """The next batch."""
        self.timeouts.append(timeout)
        batch = self.batches.pop(0)
        if isinstance(batch, BaseException):
            raise batch
        return batch

    def register(self, fd: int, flags: int) -> None:
        """Nothing is watched."""

    modify = register

    def unregister(self, fd: int) -> None:
        """Nothing is watched."""


class NothingPolled:
    """No plain files."""

    def isReading(self, fd: object) -> bool:
        return False

    isWriting = isReading


def quiet_reactor() -> Any:
    """A real epoll reactor without epoll: it has the attributes that its turn needs, and no descriptor."""
    reactor: Any = EPollReactor.__new__(EPollReactor)
    reactor._poller = ScriptedPoller()
    reactor._reads, reactor._writes, reactor._selectables = set(), set(), {}
    reactor._continuousPolling = NothingPolled()
    return reactor


class Journal:
    """A descriptor that writes down what happens to it.

    Args:
        log: shared with the others of a test.
        name: in the log.
        fd: its number; -1 once it is closed.
        read: does what ``doRead`` shall do.
    """

    def __init__(self, log: list[str], name: str, fd: int, read: Callable[[], object] = lambda: None) -> None:
        self.log, self.name, self.fd, self.read = log, name, fd, read
        self.broken = False

    def fileno(self) -> int:
        if self.broken:
            self.broken = False  # taking it out asks again
            raise ZeroDivisionError
        return self.fd

    def logPrefix(self) -> str:
        return self.name

    def doRead(self) -> object:
        self.log.append(f"{self.name} reads")
        return self.read()

    def doWrite(self) -> object:
        self.log.append(f"{self.name} writes")
        return None

    def connectionLost(self, reason: Failure) -> None:
        self.log.append(f"{self.name} lost {type(reason.value).__name__}")
        self.fd = -1


@implementer(IHalfCloseableDescriptor)
class HalfCloseable(Journal):
    """One that hears of the end of what it reads."""

    def readConnectionLost(self, reason: Failure) -> None:
        self.log.append(f"{self.name} read lost {type(reason.value).__name__}")

    def writeConnectionLost(self, reason: Failure) -> None:
        self.log.append(f"{self.name} write lost")


def fail(error: BaseException) -> Callable[[], object]:
    """A read that raises."""

    def read() -> object:
        raise error

    return read


class SameAsTwistedTests(SynchronousTestCase):
    """Each case runs twice, through Twisted's ``doPoll`` and the lean turn; both write the same journal."""

    def both(self, build: Callable[[Any, list[str]], list[tuple[int, int]]], *errors: type[Exception]) -> list[str]:
        """Run a case both ways.

        Args:
            build: adds descriptors to the reactor, and tells the batch of events.
            errors: what is logged in passing.

        Returns:
            The journal.
        """
        journals = []
        for lean in (False, True):
            reactor = quiet_reactor()
            journal: list[str] = []
            batch = build(reactor, journal)
            reactor._poller.batches = [batch]
            if lean:
                self.assertTrue(poll.install_lean_poll(reactor))
            reactor.doIteration(0)
            self.assertEqual(len(self.flushLoggedErrors(*errors)) if errors else 0, len(errors))
            journal.append(f"reading {sorted(reactor._reads)} writing {sorted(reactor._writes)}")
            journals.append(journal)
        self.assertEqual(journals[0], journals[1])
        return journals[1]

    def test_reads(self) -> None:
        """What can be read is read, in the order of events."""

        def build(reactor: Any, log: list[str]) -> list[tuple[int, int]]:
            for fd in (3, 4, 5):
                reactor.addReader(Journal(log, f"d{fd}", fd))
            return [(5, EPOLLIN), (3, EPOLLIN)]

        self.assertEqual(self.both(build), ["d5 reads", "d3 reads", "reading [3, 4, 5] writing []"])

    def test_ends(self) -> None:
        """A reader that ends or breaks is disconnected for the reason it gives."""
        for why in (CONNECTION_DONE, CONNECTION_LOST, ValueError("odd")):
            for kind in (Journal, HalfCloseable):

                def build(
                    reactor: Any, log: list[str], kind: type[Journal] = kind, why: Exception = why
                ) -> list[tuple[int, int]]:
                    reactor.addReader(kind(log, "it", 3, lambda: why))
                    reactor.addReader(Journal(log, "other", 4))
                    return [(3, EPOLLIN), (4, EPOLLIN)]

                journal = self.both(build)
                self.assertIn("other reads", journal)
                half = kind is HalfCloseable and isinstance(why, ConnectionDone)
                self.assertIn(f"it {'read lost' if half else 'lost'} {type(why).__name__}", journal)

    def test_raises(self) -> None:
        """An exception while reading is logged and disconnects; the rest of the batch is dealt with."""
        for kind in (Journal, HalfCloseable):

            def build(reactor: Any, log: list[str], kind: type[Journal] = kind) -> list[tuple[int, int]]:
                reactor.addReader(kind(log, "it", 3, fail(ZeroDivisionError("mistake"))))
                reactor.addReader(kind(log, "clean", 5, fail(ConnectionDone())))
                reactor.addReader(Journal(log, "other", 4))
                return [(3, EPOLLIN), (5, EPOLLIN), (4, EPOLLIN)]

            journal = self.both(build, ZeroDivisionError, ConnectionDone)
            self.assertIn("it lost ZeroDivisionError", journal)
            self.assertIn("clean lost ConnectionDone", journal)
            self.assertIn("other reads", journal)

    def test_raisesWhenLost(self) -> None:
        """An exception out of ``connectionLost`` is logged, and the rest of the batch is dealt with."""

        class Clumsy(Journal):
            def connectionLost(self, reason: Failure) -> None:
                super().connectionLost(reason)
                raise ZeroDivisionError

        def build(reactor: Any, log: list[str]) -> list[tuple[int, int]]:
            reactor.addReader(Clumsy(log, "it", 3, lambda: CONNECTION_LOST))
            reactor.addReader(Journal(log, "other", 4))
            return [(3, EPOLLIN), (4, EPOLLIN)]

        self.assertIn("other reads", self.both(build, ZeroDivisionError))

    def test_disappearsWithinABatch(self) -> None:
        """A descriptor that an earlier event has closed is passed over."""

        def build(reactor: Any, log: list[str]) -> list[tuple[int, int]]:
            other = Journal(log, "other", 4)
            reactor.addReader(other)
            reactor.addReader(Journal(log, "first", 3, lambda: reactor.removeReader(other)))
            return [(3, EPOLLIN), (4, EPOLLIN)]

        self.assertEqual(self.both(build), ["first reads", "reading [3] writing []"])

    def test_numberReusedWithinABatch(self) -> None:
        """When an earlier event has closed a descriptor and opened another of that number, the new one is asked."""

        def build(reactor: Any, log: list[str]) -> list[tuple[int, int]]:
            old = Journal(log, "old", 4)
            reactor.addReader(old)

            def replace() -> None:
                reactor.removeReader(old)
                reactor.addReader(Journal(log, "new", 4))

            reactor.addReader(Journal(log, "first", 3, replace))
            return [(3, EPOLLIN), (4, EPOLLIN)]

        self.assertEqual(self.both(build), ["first reads", "new reads", "reading [3, 4] writing []"])

    def test_closedBehindTheReactor(self) -> None:
        """A descriptor that was closed without telling is disconnected, and not read."""

        def build(reactor: Any, log: list[str]) -> list[tuple[int, int]]:
            it = Journal(log, "it", 3)
            reactor.addReader(it)
            it.fd = -1
            return [(3, EPOLLIN)]

        self.assertEqual(self.both(build), ["it lost ConnectionFdescWentAway", "reading [] writing []"])

    def test_numberFails(self) -> None:
        """A descriptor whose number cannot be had is logged and disconnected."""

        def build(reactor: Any, log: list[str]) -> list[tuple[int, int]]:
            it = Journal(log, "it", 3)
            reactor.addReader(it)
            it.broken = True
            return [(3, EPOLLIN)]

        self.assertIn("it lost ZeroDivisionError", self.both(build, ZeroDivisionError))

    def test_everyOtherEvent(self) -> None:
        """What is not plain reading goes Twisted's way: writing, both, hanging up, errors."""
        for event in (EPOLLOUT, EPOLLIN | EPOLLOUT, EPOLLHUP, EPOLLERR, EPOLLIN | EPOLLHUP, EPOLLOUT | EPOLLERR):

            def build(reactor: Any, log: list[str], event: int = event) -> list[tuple[int, int]]:
                it = Journal(log, "it", 3)
                reactor.addReader(it)
                reactor.addWriter(it)
                return [(3, event)]

            journal = self.both(build)
            self.assertEqual("it writes" in journal, bool(event & EPOLLOUT and not event & EPOLLERR))
            self.assertEqual("it reads" in journal, bool(event & EPOLLIN))


class TurnTests(SynchronousTestCase):
    """The lean turn around the events."""

    def setUp(self) -> None:
        self.reactor = quiet_reactor()
        self.assertTrue(poll.install_lean_poll(self.reactor))

    def test_timeout(self) -> None:
        """The reactor's timeout is handed on; None waits for ever."""
        self.reactor._poller.batches = [[], [], []]
        for timeout in (None, 0, 1.5):
            self.reactor.doIteration(timeout)
        self.assertEqual(self.reactor._poller.timeouts, [-1, 0, 1.5])

    def test_interrupted(self) -> None:
        """A signal while waiting ends the turn without ado."""
        self.reactor._poller.batches = [InterruptedError()]
        self.reactor.doIteration(0)
        self.assertEqual(self.reactor._poller.batches, [])

    def test_brokenPoller(self) -> None:
        """Any other failure of the poller comes out, as with Twisted's turn."""
        self.reactor._poller.batches = [OSError(9, "bad")]
        self.assertRaises(OSError, self.reactor.doIteration, 0)

    def test_outbox(self) -> None:
        """Writes may wait while there are several events, until all are dealt with, whatever happens to one."""
        outbox, seen = outbox_of(self.reactor), []

        def read() -> None:
            seen.append(outbox.is_open)
            raise RuntimeError("broken")

        for fd in (7, 8):
            self.reactor._selectables[fd] = Journal([], "it", fd, read)
        self.reactor._poller.batches = [[(7, EPOLLIN)], [(7, EPOLLIN), (8, EPOLLIN)]]
        self.reactor.doIteration(0)
        self.reactor._selectables[7] = Journal([], "it", 7, read)
        self.reactor.doIteration(0)
        self.assertEqual((seen, outbox.is_open), ([False, True, True], False))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 3)


class InstallTests(SynchronousTestCase):
    """Where the lean turn is put in."""

    def test_otherReactor(self) -> None:
        """Another kind of reactor is left as it is."""
        reactor = SelectReactor.__new__(SelectReactor)
        self.assertFalse(poll.install_lean_poll(reactor))
        self.assertNotIn("doIteration", vars(reactor))

    def test_childOfTheReactor(self) -> None:
        """A class derived from Twisted's may have a turn of its own, and keeps it."""

        class Own(EPollReactor):
            pass

        self.assertFalse(poll.install_lean_poll(Own.__new__(Own)))

    def test_changedInside(self) -> None:
        """Where an attribute that is needed is missing, nothing is changed."""
        for name in ("_poller", "_selectables"):
            reactor = quiet_reactor()
            delattr(reactor, name)
            self.assertFalse(poll.install_lean_poll(reactor))
            self.assertNotIn("doIteration", vars(reactor))

    def test_changedClass(self) -> None:
        """The same when a method is missing."""
        self.patch(poll, "_NEEDED", (*poll._NEEDED, "_gone"))
        reactor = quiet_reactor()
        self.assertFalse(poll.install_lean_poll(reactor))
        self.assertNotIn("doIteration", vars(reactor))
