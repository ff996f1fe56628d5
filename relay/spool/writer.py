"""Takes the bytes of one upload: a little in memory, the rest to a temporary file."""

from __future__ import annotations

import enum
from collections.abc import Callable
from io import FileIO

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from relay.errors import Overloaded
from relay.spool.body import SpooledBody, SpooledFile
from relay.spool.disk import Disk, write_all

MEMORY = 1024 * 1024
"""Bytes up to which an upload stays in memory."""

QUEUE = 1024 * 1024
"""Bytes that may wait for the disk before the sender is asked to pause."""


class _State(enum.Enum):
    """Where the bytes go.

    ``MEMORY → DISK`` when the upload outgrows memory; both end in ``DONE`` (handed
    over), ``FAILED`` (the disk refused) or ``ABANDONED`` (nobody wants it).
    """

    MEMORY = "memory"
    DISK = "disk"
    DONE = "done"
    FAILED = "failed"
    ABANDONED = "abandoned"


class Spool:
    """Receives one body in order and never holds much more than its two bounds of it.

    One thread at a time writes; what comes meanwhile waits, and is written in one piece
    after it.

    Args:
        disk: runs the writes.
        pause: called when more than ``queue`` bytes wait for the disk.
        resume: called when they have been written, once for each ``pause``.
        failed: called once, when the disk refuses. `write` then drops what it is given.
        memory: bytes up to which the body stays in memory.
        queue: bytes that may wait before ``pause`` is called.
    """

    _log = Logger()

    def __init__(
        self,
        disk: Disk,
        *,
        pause: Callable[[], None],
        resume: Callable[[], None],
        failed: Callable[[Overloaded], None],
        memory: int = MEMORY,
        queue: int = QUEUE,
    ) -> None:
        self._disk = disk
        self._pause = pause
        self._resume = resume
        self._failed = failed
        self._memory = memory
        self._queue = queue
        self._state = _State.MEMORY
        self._waiting: list[bytes] = []
        self._size = 0  # of what waits
        self._paused = False
        self._writing = False
        self._file: FileIO | None = None
        self._finished: Deferred[bytes | SpooledBody] | None = None
        self.length = 0

    def write(self, data: bytes) -> None:
        """Take the next bytes; dropped once the spool has failed or is abandoned."""
        if self._state not in (_State.MEMORY, _State.DISK):
            return
        self.length += len(data)
        self._waiting.append(data)
        self._size += len(data)
        if self._state is _State.MEMORY and self.length > self._memory:
            self._state = _State.DISK
        if self._state is _State.DISK:
            self._write_on()
            if self._size > self._queue and not self._paused:
                self._paused = True
                self._pause()

    def finish(self) -> Deferred[bytes | SpooledBody]:
        """Say that the body is complete. Call it once.

        Fires with its bytes, or, when all of it is in the file, with the spooled body,
        which is the caller's to close. Fails with `Overloaded` when the disk refused.
        Never fires for an abandoned spool.
        """
        if self._state is _State.MEMORY:
            self._state = _State.DONE
            return succeed(b"".join(self._waiting))
        if self._state is _State.FAILED:
            return fail(_refused())
        self._finished = Deferred()
        self._write_on()
        return self._finished

    def take(self) -> bytes | None:
        """Hand over what has come, and take no more; None, and nothing changes, once a part of it is on disk."""
        if self._state is not _State.MEMORY:
            return None
        self._state = _State.DONE
        data = b"".join(self._waiting)
        self._waiting.clear()
        return data

    def abandon(self) -> None:
        """Give back memory and file as soon as the running write allows. Idempotent; nothing after `finish` fired."""
        if self._state in (_State.MEMORY, _State.DISK):
            self._end(_State.ABANDONED)

    def _write_on(self) -> None:
        """Begin the next write, or hand over when nothing is left to write."""
        if self._writing:
            return
        if self._waiting:
            data = b"".join(self._waiting)
            self._waiting.clear()
            self._size = 0
            self._writing = True
            self._disk.run(lambda: self._append(data), self._written)
        elif self._finished is not None and self._file is not None:
            self._state = _State.DONE
            body = SpooledBody.whole(SpooledFile(self._disk, self._file), self.length)
            self._finished.callback(body)

    def _append(self, data: bytes) -> FileIO:
        """Write in a thread; only one runs at a time, so the file needs no lock."""
        if self._file is None:
            self._file = self._disk.create()
        write_all(self._file, data)
        return self._file

    def _written(self, result: FileIO | Failure) -> None:
        self._writing = False
        if self._state is _State.ABANDONED:
            self._drop_file()
        elif isinstance(result, Failure):
            self._log.error("spooling an upload failed: {reason}", reason=result.getErrorMessage())
            self._end(_State.FAILED)
            if self._finished is not None:
                self._finished.errback(_refused())
            else:
                self._failed(_refused())
        else:
            self._write_on()
            self._let_go_on()

    def _end(self, state: _State) -> None:
        self._state = state
        self._waiting.clear()
        self._size = 0
        self._let_go_on()
        if not self._writing:
            self._drop_file()

    def _let_go_on(self) -> None:
        if self._paused:
            self._paused = False
            self._resume()

    def _drop_file(self) -> None:
        if self._file is not None:
            self._disk.close(self._file)
            self._file = None


def _refused() -> Overloaded:
    return Overloaded("relay cannot store the uploaded body just now.")
