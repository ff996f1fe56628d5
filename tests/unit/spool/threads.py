"""Threads that run when the test says so, in the test's own thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from io import FileIO
from typing import cast

from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from relay.spool.disk import Disk


class HeldThreads:
    """Stands for a thread pool and for the reactor that its results go to."""

    def __init__(self) -> None:
        self.jobs: deque[Callable[[], None]] = deque()
        self.files: list[FileIO] = []

    def callInThreadWithCallback(
        self, done: Callable[[bool, object], object], work: Callable[..., object], *args: object
    ) -> None:
        """Keep a job for `step`."""

        def job() -> None:
            try:
                result = work(*args)
            except Exception:
                done(False, Failure())
            else:
                done(True, result)

        self.jobs.append(job)

    def callFromThread(self, call: Callable[..., object], *args: object) -> None:
        """There is one thread only."""
        call(*args)

    def step(self) -> None:
        """Run the oldest job to its end."""
        self.jobs.popleft()()

    def run(self) -> None:
        """Run jobs until none is left."""
        while self.jobs:
            self.step()

    @property
    def open(self) -> int:
        """How many of the temporary files are open."""
        return sum(not file.closed for file in self.files)


class HeldDisk(Disk):
    """A disk on held threads, which can be full or broken, and whose files can be counted.

    Attributes:
        error: what creating a file raises, or None.
    """

    def __init__(self, threads: HeldThreads) -> None:
        super().__init__(cast("IReactorFromThreads", threads), cast("ThreadPool", threads))
        self.threads = threads
        self.error: OSError | None = None

    def create(self) -> FileIO:
        if self.error is not None:
            raise self.error
        file = super().create()
        self.threads.files.append(file)
        return file
