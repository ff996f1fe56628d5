"""The spool: bytes in order, bounded in memory, and nothing left behind."""

from __future__ import annotations

import os

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from relay.errors import Overloaded
from relay.spool.body import SpooledBody
from relay.spool.writer import MEMORY, QUEUE, Spool
from tests.unit.spool.threads import HeldDisk, HeldThreads


class SpoolTests(SynchronousTestCase):
    """Each test runs the threads by hand."""

    def setUp(self) -> None:
        """A spool of 10 bytes in memory and 5 waiting, and a record of what it says."""
        self.threads = HeldThreads()
        self.disk = HeldDisk(self.threads)
        self.said: list[object] = []
        self.spool = self.make(memory=10, queue=5)

    def tearDown(self) -> None:
        """No test may leave a temporary file open."""
        self.threads.run()
        self.assertEqual(self.threads.open, 0)

    def make(self, memory: int = MEMORY, queue: int = QUEUE) -> Spool:
        """A new spool."""
        return Spool(
            self.disk,
            pause=lambda: self.said.append("pause"),
            resume=lambda: self.said.append("resume"),
            failed=self.said.append,
            memory=memory,
            queue=queue,
        )

    def spooled(self, finished: Deferred[bytes | SpooledBody]) -> SpooledBody:
        """The spooled body that the Deferred has fired with, closed at the end of the test."""
        body = self.successResultOf(finished)
        assert isinstance(body, SpooledBody)
        self.addCleanup(body.close)
        return body

    def content(self, body: SpooledBody) -> bytes:
        """All of a body, and the file is closed."""
        read = Deferred.fromCoroutine(body.read(0, 1000))
        self.threads.run()
        body.close()
        return self.successResultOf(read)

    def test_smallStaysInMemory(self) -> None:
        """A body up to the bound is handed over as bytes, and no thread is asked for anything."""
        self.spool.write(b"01234")
        self.spool.write(b"56789")
        self.assertEqual(self.successResultOf(self.spool.finish()), b"0123456789")
        self.assertEqual(len(self.threads.jobs), 0)

    def test_taken(self) -> None:
        """What is in memory can be had back; then nothing more is taken, and there is nothing to end."""
        self.spool.write(b"01234")
        self.spool.write(b"56789")
        self.assertEqual(self.spool.take(), b"0123456789")
        self.spool.write(b"x" * 100)
        self.spool.abandon()
        self.assertIsNone(self.spool.take())
        self.assertEqual((self.threads.open, self.said), (0, []))

    def test_notTaken(self) -> None:
        """What is on its way to disk cannot; that goes on as if nobody had asked."""
        self.spool.write(b"0123456789a")
        self.assertIsNone(self.spool.take())
        finished = self.spool.finish()
        self.threads.run()
        self.assertEqual(self.content(self.spooled(finished)), b"0123456789a")

    def test_nothing(self) -> None:
        """An empty body is no bytes."""
        self.assertEqual(self.successResultOf(self.spool.finish()), b"")

    def test_largeGoesToTheFileInOrder(self) -> None:
        """A body above the bound comes back whole and in order, however the writes fall between."""
        pieces = [b"%d," % i for i in range(200)]
        for number, piece in enumerate(pieces):
            self.spool.write(piece)
            if number % 7 == 0 and self.threads.jobs:
                self.threads.step()
        finished = self.spool.finish()
        self.assertNoResult(finished)
        self.threads.run()
        body = self.spooled(finished)
        self.assertEqual(body.length, len(b"".join(pieces)))
        self.assertEqual(self.content(body), b"".join(pieces))

    def test_oneWriteAtATime(self) -> None:
        """While a thread writes, the rest waits; then it is written in one piece."""
        for piece in (b"0123456789a", b"b", b"c", b"d"):
            self.spool.write(piece)
            self.assertEqual(len(self.threads.jobs), 1)
        self.threads.step()
        self.assertEqual(len(self.threads.jobs), 1)
        self.threads.step()
        self.assertEqual(len(self.threads.jobs), 0)
        self.spool.abandon()

    def test_pausesAndResumes(self) -> None:
        """The sender is paused once when too much waits, and resumed once when it is being written."""
        self.spool.write(b"0123456789a")
        self.spool.write(b"12345")
        self.assertEqual(self.said, [])
        self.spool.write(b"6")
        self.spool.write(b"7")
        self.assertEqual(self.said, ["pause"])
        self.threads.step()
        self.assertEqual(self.said, ["pause", "resume"])
        self.threads.step()
        self.assertEqual(self.said, ["pause", "resume"])
        self.spool.abandon()

    def test_file(self) -> None:
        """The file has no name and is readable by nobody else."""
        self.spool.write(b"0123456789a")
        self.threads.step()
        status = os.fstat(self.threads.files[0].fileno())
        self.assertEqual(status.st_nlink, 0)
        self.assertEqual(status.st_mode & 0o777, 0o600)
        self.spool.abandon()

    def test_finishWaitsForTheDisk(self) -> None:
        """`finish` fires only when the last byte is in the file."""
        self.spool.write(b"0123456789a")
        self.spool.write(b"b")
        finished = self.spool.finish()
        self.threads.step()
        self.assertNoResult(finished)
        self.threads.step()
        self.assertEqual(self.content(self.spooled(finished)), b"0123456789ab")

    def test_diskFull(self) -> None:
        """When the disk refuses, that is told once, the sender goes on, and the rest is dropped."""
        self.disk.error = OSError(28, "No space left on device")
        self.spool.write(b"0123456789a")
        self.spool.write(b"0123456")
        self.threads.step()
        self.assertEqual(self.said[:2], ["pause", "resume"])
        self.assertIsInstance(self.said[2], Overloaded)
        self.spool.write(b"more")
        self.assertEqual(len(self.threads.jobs), 0)
        self.failureResultOf(self.spool.finish(), Overloaded)
        self.assertEqual(len(self.said), 3)

    def test_diskFullLater(self) -> None:
        """The same in the middle: the file that there was is closed."""
        self.spool.write(b"0123456789a")
        self.threads.step()
        self.assertEqual(self.threads.open, 1)
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, self.threads.files[0].fileno())
        os.close(full)
        self.spool.write(b"b")
        self.threads.run()
        self.assertIsInstance(self.said[0], Overloaded)
        self.assertEqual(self.threads.open, 0)

    def test_diskFullAtTheEnd(self) -> None:
        """A write that fails after `finish` fails its Deferred, and tells nobody else."""
        self.disk.error = OSError(28, "No space left on device")
        self.spool.write(b"0123456789a")
        finished = self.spool.finish()
        self.threads.run()
        self.failureResultOf(finished, Overloaded)
        self.assertEqual(self.said, [])

    def test_abandonedWhileWriting(self) -> None:
        """The file is closed when the running write has ended, not under it."""
        self.spool.write(b"0123456789a")
        self.threads.step()
        self.spool.write(b"b")
        self.spool.abandon()
        self.assertEqual(self.threads.open, 1)
        self.threads.run()
        self.assertEqual(self.threads.open, 0)

    def test_abandonedBeforeTheFirstWrite(self) -> None:
        """Also when the file does not exist yet."""
        self.spool.write(b"0123456789a")
        self.spool.abandon()
        self.threads.run()
        self.assertEqual((len(self.threads.files), self.threads.open), (1, 0))

    def test_abandonedBetweenWrites(self) -> None:
        """Without a running write the file is closed at once, and only once."""
        self.spool.write(b"0123456789a")
        self.threads.step()
        self.spool.abandon()
        self.spool.abandon()
        self.assertEqual(len(self.threads.jobs), 1)
        self.threads.run()
        self.assertEqual(self.threads.open, 0)

    def test_abandonedWhileFinishing(self) -> None:
        """Nobody is told of a body that nobody wants any more; a paused sender is let go."""
        self.spool.write(b"0123456789a")
        self.spool.write(b"0123456")
        finished = self.spool.finish()
        self.spool.abandon()
        self.threads.run()
        self.assertNoResult(finished)
        self.assertEqual(self.said, ["pause", "resume"])

    def test_abandonAfterTheHandover(self) -> None:
        """What has been handed over is the receiver's."""
        self.spool.write(b"0123456789a")
        finished = self.spool.finish()
        self.threads.run()
        self.spool.abandon()
        self.assertEqual(self.content(self.spooled(finished)), b"0123456789a")

    def test_memoryIsBounded(self) -> None:
        """With the sender pausing when told, at most bound plus queue plus one piece are in memory."""
        spool = self.make()
        piece = bytes(64 * 1024)
        for _ in range(64):
            spool.write(piece)
            self.assertLessEqual(spool._size, MEMORY + QUEUE + len(piece))
            if self.said and self.said[-1] == "pause":
                self.threads.step()
        self.assertIn("pause", self.said)
        spool.abandon()
