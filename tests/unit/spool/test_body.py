"""The spooled body: any range of it, of views of it, and the file closed exactly when nobody reads."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from relay.errors import Overloaded
from relay.exchange import StoredBody
from relay.spool.body import SpooledBody, SpooledFile
from relay.spool.disk import write_all
from tests.unit.spool.threads import HeldDisk, HeldThreads

CONTENT = b"0123456789"


class SpooledBodyTests(SynchronousTestCase):
    """Each test runs the threads by hand."""

    def setUp(self) -> None:
        """A body of ten digits in a file."""
        self.threads = HeldThreads()
        disk = HeldDisk(self.threads)
        file = disk.create()
        write_all(file, CONTENT)
        self.body = SpooledBody.whole(SpooledFile(disk, file), len(CONTENT))

    def tearDown(self) -> None:
        """Closing the body gives back the file."""
        self.body.close()
        self.threads.run()
        self.assertEqual(self.threads.open, 0)

    def begin(self, body: StoredBody, offset: int = 0, size: int = 1000) -> Deferred[bytes]:
        """Begin to read."""
        return Deferred.fromCoroutine(body.read(offset, size))

    def read(self, body: StoredBody, offset: int = 0, size: int = 1000) -> bytes:
        """Read a range."""
        reading = self.begin(body, offset, size)
        self.threads.run()
        return self.successResultOf(reading)

    def test_ranges(self) -> None:
        """Each range is what slicing gives; beyond the end there is nothing."""
        for start in range(12):
            for size in range(12):
                self.assertEqual(self.read(self.body, start, size), CONTENT[start : start + size])

    def test_readInAThread(self) -> None:
        """The reactor thread reads nothing itself."""
        reading = self.begin(self.body)
        self.assertNoResult(reading)
        self.threads.step()
        self.assertEqual(self.successResultOf(reading), CONTENT)

    def test_replaced(self) -> None:
        """A view has the range exchanged, its own length, and leaves the body as it was."""
        view = self.body.replaced(2, 5, b"abcdef")
        self.assertEqual(view.length, 13)
        self.assertEqual(self.read(view), b"01abcdef56789")
        self.assertEqual(self.read(view, 4, 6), b"cdef56")
        self.assertEqual(self.read(self.body), CONTENT)

    def test_insertedBytesNeedNoThread(self) -> None:
        """A range inside the inserted bytes is there at once."""
        view = self.body.replaced(0, 10, b"abc")
        self.assertEqual(self.successResultOf(self.begin(view, 1, 5)), b"bc")

    @settings(derandomize=True, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15), st.binary(max_size=4)), max_size=4))
    def test_viewsOfViews(self, changes: list[tuple[int, int, bytes]]) -> None:
        """Any changes one upon another are what slicing and joining gives, in every range."""
        body, expected = self.body, CONTENT
        for first, second, data in changes:
            start, end = sorted((first % (len(expected) + 1), second % (len(expected) + 1)))
            body, expected = body.replaced(start, end, data), expected[:start] + data + expected[end:]
        self.assertEqual(body.length, len(expected))
        self.assertEqual(self.read(body), expected)
        for offset in range(len(expected)):
            self.assertEqual(self.read(body, offset, 3), expected[offset : offset + 3])

    def test_closingAView(self) -> None:
        """A closed view reads no more; the body that it came from does."""
        view = self.body.replaced(0, 1, b"a")
        view.close()
        self.failureResultOf(self.begin(view), ValueError)
        self.assertEqual(self.read(self.body), CONTENT)

    def test_closingTheBody(self) -> None:
        """Closing the body ends its views too, and closes the file, once."""
        view = self.body.replaced(0, 1, b"a")
        self.body.close()
        self.body.close()
        self.assertEqual(len(self.threads.jobs), 1)
        self.threads.run()
        self.assertEqual(self.threads.open, 0)
        self.failureResultOf(self.begin(self.body), ValueError)
        self.failureResultOf(self.begin(view), ValueError)

    def test_closingWhileReading(self) -> None:
        """A file is not closed under its readers: the last one's end closes it."""
        first, second = self.begin(self.body, 0, 2), self.begin(self.body.replaced(0, 1, b"a"), 0, 2)
        self.body.close()
        self.threads.step()
        self.assertEqual(self.threads.open, 1)
        self.threads.step()
        self.assertEqual([self.successResultOf(first), self.successResultOf(second)], [b"01", b"a1"])
        self.threads.step()
        self.assertEqual(self.threads.open, 0)

    def test_cancelledReading(self) -> None:
        """A reader that goes away does not bring the close forward either."""
        reading = self.begin(self.body)
        reading.cancel()
        self.failureResultOf(reading, CancelledError)
        self.body.close()
        self.assertEqual(self.threads.open, 1)
        self.threads.step()
        self.threads.step()
        self.assertEqual(self.threads.open, 0)

    def test_brokenDisk(self) -> None:
        """A file that does not give what was put into it is an error that a client may see."""
        self.threads.files[0].truncate(5)
        reading = self.begin(self.body)
        self.threads.run()
        failure = self.failureResultOf(reading, Overloaded)
        self.assertNotIn("shorter", str(failure.value))
