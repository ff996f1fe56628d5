"""Blocking file work in threads of its own, its results back in the reactor thread."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from io import FileIO
from typing import TypeVar

from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

_T = TypeVar("_T")


class Disk:
    """Makes temporary files, and runs what may block on them outside the reactor thread.

    Args:
        reactor: where results are delivered.
        threads: a started pool that serves nothing else; whoever started it stops it.
        directory: where temporary files go; None for the system's choice (``TMPDIR``).
    """

    _log = Logger()

    def __init__(self, reactor: IReactorFromThreads, threads: ThreadPool, directory: str | None = None) -> None:
        self._reactor = reactor
        self._threads = threads
        self._directory = directory

    def run(self, work: Callable[[], _T], done: Callable[[_T | Failure], None]) -> None:
        """Call ``work`` in a thread, then ``done`` with what it returned or raised in the reactor thread."""

        def finished(_: bool, result: _T | Failure) -> None:
            self._reactor.callFromThread(done, result)

        self._threads.callInThreadWithCallback(finished, work)

    def create(self) -> FileIO:
        """Make a temporary file without a name, for this process only (mode 0600). Blocks.

        Raises:
            OSError: there is no place for it.
        """
        return tempfile.TemporaryFile("w+b", 0, dir=self._directory)

    def close(self, file: FileIO) -> None:
        """Close a file, which frees its space, without waiting for it."""
        self.run(file.close, self._closed)

    def _closed(self, result: Failure | None) -> None:
        if isinstance(result, Failure):
            self._log.error("closing a spooled upload failed: {reason}", reason=result.getErrorMessage())


def write_all(file: FileIO, data: bytes) -> None:
    """Append all of the data. Blocks.

    Raises:
        OSError: the disk is full or broken.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file.fileno(), rest) :]


def read_all(file: FileIO, offset: int, size: int) -> bytes:
    """Read exactly ``size`` bytes at an offset. Blocks.

    Raises:
        OSError: the file is shorter than that, or the disk is broken.
    """
    pieces: list[bytes] = []
    while size:
        piece = os.pread(file.fileno(), size, offset)
        if not piece:
            raise OSError("a temporary file is shorter than what was written to it")
        pieces.append(piece)
        offset += len(piece)
        size -= len(piece)
    return b"".join(pieces)
