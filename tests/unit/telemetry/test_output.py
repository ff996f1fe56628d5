"""Where log lines go, when they go, and what happens when they cannot."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from relay.errors import ConfigError
from relay.telemetry.output import LogOutput, open_log, rotate_on_signal


class FullDisk:
    """A stream that fails while it is full."""

    def __init__(self) -> None:
        self.full = True
        self.data = b""

    def write(self, data: bytes) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.data += data

    def flush(self) -> None:
        pass


class LogOutputTests(SynchronousTestCase):
    """Buffering."""

    def setUp(self) -> None:
        """An output into memory, running."""
        self.clock = Clock()
        self.stream = BytesIO()
        self.output = LogOutput(self.stream, self.clock, limit=10)
        self.output.startService()
        self.addCleanup(self.output.stopService)

    def test_linesWaitASecond(self) -> None:
        """Appended lines are written together, at the latest after a second."""
        self.output.append(bytes, b"one\n")
        self.output.append(bytes, b"two\n")
        self.clock.advance(0.9)
        self.assertEqual(self.stream.getvalue(), b"")
        self.clock.advance(0.1)
        self.assertEqual(self.stream.getvalue(), b"one\ntwo\n")

    def test_whatWaitsIsBounded(self) -> None:
        """No more than the limit waits, however much is logged in a second."""
        for _ in range(30):
            self.output.append(bytes, b"0123456789\n")
        self.assertGreater(len(self.stream.getvalue().splitlines()), 30 - 10)

    def test_aLineThatCannotBeMade(self) -> None:
        """It is told of and counted, and keeps no other line back."""

        def fail(_: int) -> bytes:
            raise ValueError("bad")

        self.output.append(bytes, b"one\n")
        self.output.append(fail, 1)
        self.output.append(bytes, b"two\n")
        self.output.flush()
        self.assertEqual((self.stream.getvalue(), self.output.lost), (b"one\ntwo\n", 1))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_madeWhenWritten(self) -> None:
        """A line that waits is made when it is written."""
        made: list[int] = []

        def make(number: int) -> bytes:
            made.append(number)
            return b"%d\n" % number

        self.output.append(make, 1)
        self.assertEqual(made, [])
        self.output.write(b"two\n")
        self.assertEqual((made, self.stream.getvalue()), ([1], b"1\ntwo\n"))

    def test_writingKeepsTheOrder(self) -> None:
        """A line that cannot wait goes out at once, after those before it."""
        self.output.append(bytes, b"one\n")
        self.output.write(b"two\n")
        self.assertEqual(self.stream.getvalue(), b"one\ntwo\n")

    def test_stopWritesWhatWaits(self) -> None:
        """Nothing is lost at the end, and afterwards nothing waits."""
        self.output.append(bytes, b"one\n")
        self.output.stopService()
        self.assertEqual(self.stream.getvalue(), b"one\n")
        self.output.append(bytes, b"two\n")
        self.assertEqual(self.stream.getvalue(), b"one\ntwo\n")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_beforeStartNothingWaits(self) -> None:
        """Lines of the start-up are seen although the service does not run yet."""
        stream = BytesIO()
        LogOutput(stream, self.clock).append(bytes, b"early\n")
        self.assertEqual(stream.getvalue(), b"early\n")

    def test_fullDisk(self) -> None:
        """Lines that cannot be written are counted and do not pile up; later ones are written, and one tells."""
        disk = FullDisk()
        output = LogOutput(disk, self.clock)
        with capturedLogs() as logged:
            for _ in range(3):
                output.write(b"lost\n")
            self.assertEqual(list(logged), [])
            disk.full = False
            output.write(b"kept\n")
            output.write(b"kept\n")
        self.assertEqual((output.lost, disk.data), (3, b"kept\nkept\n"))
        self.assertEqual([(event["log_format"], event["lines"]) for event in logged], [("log lines were lost", 3)])

    def test_closedStream(self) -> None:
        """A stream that somebody closed stops nothing."""
        self.stream.close()
        self.output.write(b"lost\n")
        self.assertEqual(self.output.lost, 1)

    def test_threads(self) -> None:
        """Lines of many threads all arrive, each whole and once."""
        lines = [f"{number:04}\n".encode() for number in range(800)]

        def write(part: list[bytes]) -> None:
            for line in part:
                self.output.write(line)

        threads = [threading.Thread(target=write, args=(lines[start::8],)) for start in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(self.stream.getvalue().splitlines(keepends=True)), lines)

    def test_streamsDoNotRotate(self) -> None:
        """Rotating standard output only writes what waits."""
        self.output.append(bytes, b"one\n")
        self.output.rotate()
        self.assertEqual(self.stream.getvalue(), b"one\n")


class ImmediateReactor:
    """Calls from threads at once."""

    def callFromThread(self, call: Callable[..., object], *args: object, **kwargs: object) -> None:
        call(*args, **kwargs)


class OpenLogTests(SynchronousTestCase):
    """twistd's options."""

    def setUp(self) -> None:
        """A directory of the test's own, and a standard output."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.stdout = BytesIO()

    def open(self, logfile: str | None, *, nodaemon: bool) -> LogOutput:
        """Open it as the options say, with a file that is closed at the end."""
        output = open_log(logfile, nodaemon=nodaemon, stdout=self.stdout, clock=Clock())
        close = getattr(output._stream, "close", None)
        if output._stream is not self.stdout and close:
            self.addCleanup(close)
        return output

    def test_standardOutput(self) -> None:
        """In the foreground lines go to standard output, unless a file is named."""
        for logfile in ("-", "", None):
            self.open(logfile, nodaemon=True).write(b"x\n")
        self.assertEqual(self.stdout.getvalue(), b"x\nx\nx\n")

    def test_file(self) -> None:
        """A named file is created for its owner and group, and continued by the next start."""
        path = self.folder / "relay.log"
        for nodaemon in (True, False):
            self.open(str(path), nodaemon=nodaemon).write(b"line\n")
        self.assertEqual(path.read_bytes(), b"line\nline\n")
        self.assertEqual(path.stat().st_mode & 0o777, 0o640)

    def test_modeOfAnExistingFileStays(self) -> None:
        """An operator's own permissions are kept."""
        path = self.folder / "relay.log"
        path.touch(0o600)
        path.chmod(0o604)
        self.open(str(path), nodaemon=True).write(b"line\n")
        self.assertEqual(path.stat().st_mode & 0o777, 0o604)

    def test_daemonWithoutAFile(self) -> None:
        """A daemon logs into twistd's default file, in the directory it was started in."""
        before = Path.cwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.folder)
        self.open(None, nodaemon=False).write(b"line\n")
        os.chdir(before)
        self.assertEqual((self.folder / "twistd.log").read_bytes(), b"line\n")

    def test_daemonOnStandardOutput(self) -> None:
        """A daemon has no standard output, and is told so."""
        error = self.assertRaises(ConfigError, self.open, "-", nodaemon=False)
        self.assertIn("--logfile", str(error))

    def test_fileThatCannotBeOpened(self) -> None:
        """The error names the file and the reason."""
        error = self.assertRaises(ConfigError, self.open, str(self.folder / "no" / "such.log"), nodaemon=True)
        self.assertIn("such.log: the log file cannot be opened: No such file or directory", str(error))

    def test_rotation(self) -> None:
        """Rotating puts the file aside, complete, and begins a new one."""
        path = self.folder / "relay.log"
        output = self.open(str(path), nodaemon=True)
        output.startService()
        output.append(bytes, b"old\n")
        output.rotate()
        output.write(b"new\n")
        output.stopService()
        self.assertEqual((path.with_name("relay.log.1").read_bytes(), path.read_bytes()), (b"old\n", b"new\n"))

    def test_rotationByAnotherProgram(self) -> None:
        """Where the file has been moved away already, a new one is begun under the old name."""
        path = self.folder / "relay.log"
        output = self.open(str(path), nodaemon=True)
        output.write(b"old\n")
        moved = path.rename(self.folder / "moved.log")
        output.rotate()
        output.write(b"new\n")
        self.assertEqual((moved.read_bytes(), path.read_bytes()), (b"old\n", b"new\n"))

    def test_signal(self) -> None:
        """SIGUSR1 rotates, as it does for twistd's own log."""
        before = signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        path = self.folder / "relay.log"
        output = self.open(str(path), nodaemon=True)
        output.write(b"old\n")
        rotate_on_signal(output, ImmediateReactor())  # type: ignore[arg-type]  # the one method it needs
        signal.raise_signal(signal.SIGUSR1)
        output.write(b"new\n")
        self.assertEqual((path.with_name("relay.log.1").read_bytes(), path.read_bytes()), (b"old\n", b"new\n"))

    def test_signalThatIsTaken(self) -> None:
        """A handler that somebody else has set stays."""

        def theirs(*_: object) -> None:
            """Do nothing."""

        before = signal.signal(signal.SIGUSR1, theirs)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        rotate_on_signal(self.open("-", nodaemon=True), ImmediateReactor())  # type: ignore[arg-type]  # as above
        self.assertIs(signal.getsignal(signal.SIGUSR1), theirs)
