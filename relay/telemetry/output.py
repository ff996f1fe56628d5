"""The place that log lines go to: standard output, or a file that rotates."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile

from relay.errors import ConfigError

DEFAULT_FILE = "twistd.log"
"""Where a daemon logs that was not told where; twistd's own default."""

_ROTATE_AT = 100 * 1024 * 1024
_ROTATED_KEPT = 10
_MODE = 0o640


_Fact = TypeVar("_Fact")


class ByteStream(Protocol):
    """What `LogOutput` writes to: a binary stream or a `LogFile`."""

    def write(self, data: bytes, /) -> object:
        """Take all of ``data``."""

    def flush(self) -> object:
        """Pass on what has been taken."""


class LogOutput(Service):
    """Writes log lines, those of exchanges together, once a second.

    Lines that can wait are appended, and rendered when they are written: many in a row take
    a third of the time that each takes between other work. A line that cannot wait is
    written at once, after those that came before it. While the service does not run (before start, after stop)
    nothing waits. A line that cannot be written is counted and forgotten: a full disk
    stops no exchange. When writing works again, a line tells how many were. Threads may
    write, too: Twisted's loggers are used on all of them.

    Args:
        stream: where the bytes go.
        clock: its timer.
        interval: seconds that a line waits at most.
        limit: lines that wait at most.

    Attributes:
        lost: lines that could not be written.
    """

    _log = Logger()

    def __init__(self, stream: ByteStream, clock: IReactorTime, *, interval: float = 1.0, limit: int = 128) -> None:
        self._stream = stream
        self._interval = interval
        self._limit = limit
        self._waiting: deque[tuple[Callable[[Any], bytes], Any]] = deque()
        self._untold = 0
        self._lock = threading.RLock()
        self._timer = LoopingCall(self.flush)
        self._timer.clock = clock
        self.lost = 0

    def startService(self) -> None:
        """Begin to let lines wait."""
        super().startService()  # type: ignore[no-untyped-call]  # Twisted's
        self._timer.start(self._interval, now=False).addErrback(self._failed)

    def stopService(self) -> None:
        """Write what waits, and let nothing wait any more."""
        if self._timer.running:
            self._timer.stop()
        super().stopService()  # type: ignore[no-untyped-call]  # Twisted's
        self.flush()

    def append(self, render: Callable[[_Fact], bytes], fact: _Fact) -> None:
        """Take a line that may wait.

        Args:
            render: makes the line.
            fact: what the line tells; a value, which does not change.
        """
        waiting = self._waiting
        waiting.append((render, fact))  # without the lock, for it is one step; who flushes takes each line once
        if len(waiting) >= self._limit or not self.running:
            self.flush()

    def write(self, line: bytes) -> None:
        """Write a line, and those that wait before it."""
        with self._lock:
            self._waiting.append((_as_it_is, line))
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            lines = self._render()
            if not lines:
                return
            try:
                self._stream.write(b"".join(lines))
                self._stream.flush()
            except (OSError, ValueError):  # a full disk, a closed pipe, a closed file
                self.lost += len(lines)
                self._untold += len(lines)
                return
            if self._untold:
                untold, self._untold = self._untold, 0
                self._log.warn("log lines were lost", lines=untold)

    def _render(self) -> list[bytes]:
        """What waits, as lines; one that cannot be rendered keeps no other back."""
        waiting = self._waiting
        lines = []
        for _ in range(len(waiting)):
            render, fact = waiting.popleft()
            try:
                lines.append(render(fact))
            except Exception:
                self.lost += 1
                self._log.failure("a log line could not be made")
        return lines

    def rotate(self) -> None:
        """Put the file aside and begin a new one; where another program has done that already, only begin."""
        stream = self._stream
        with self._lock:
            self.flush()
            if not isinstance(stream, LogFile):
                return
            if Path(stream.path).exists():
                stream.rotate()
            else:
                stream.reopen()

    def _failed(self, failure: Failure) -> None:
        self._log.failure("log timer failed", failure)


def _as_it_is(line: bytes) -> bytes:
    return line


def open_log(logfile: str | None, *, nodaemon: bool, stdout: ByteStream, clock: IReactorTime) -> LogOutput:
    """Open the place that twistd's options name.

    Args:
        logfile: ``--logfile``: a path, ``-`` for standard output, or None.
        nodaemon: whether ``--nodaemon`` was given.
        stdout: standard output as bytes, before twistd redirects it.
        clock: timer of the lines that wait.

    Raises:
        ConfigError: a daemon cannot log to standard output; the file cannot be opened.
    """
    if logfile == "-" and not nodaemon:
        raise ConfigError("a daemon cannot log to standard output; name a file with --logfile, or stay with -n")
    if nodaemon and logfile in ("-", "", None):
        return LogOutput(stdout, clock)
    path = Path(logfile or DEFAULT_FILE).absolute()
    try:
        file = LogFile(
            path.name,
            str(path.parent),
            rotateLength=_ROTATE_AT,
            defaultMode=None if path.exists() else _MODE,
            maxRotatedFiles=_ROTATED_KEPT,
        )
    except OSError as error:
        raise ConfigError(f"the log file cannot be opened: {error.strerror}", file=str(path)) from error
    return LogOutput(file, clock)


def rotate_on_signal(output: LogOutput, reactor: IReactorFromThreads) -> None:
    """Rotate at SIGUSR1, as twistd does, unless the signal has a handler already.

    Call it on the main thread. Setting a log observer on an application replaces the one
    of twistd's that would have done this.
    See: https://docs.twisted.org/en/stable/core/howto/basics.html#twistd
    """
    if signal.getsignal(signal.SIGUSR1) not in (signal.SIG_DFL, None):
        return
    signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(output.rotate))
