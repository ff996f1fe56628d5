"""The configuration in force: read again on a signal or when a file changes, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from relay.config import Snapshot
from relay.errors import ConfigError
from relay.interfaces import IConfiguration
from relay.loader.files import Files, mark
from relay.loader.snapshot import load
from relay.loader.sources import Sources


@implementer(IConfiguration)
class Configuration(Service):
    """Holds the last good reading and replaces it as a whole.

    Attributes:
        snapshot: the last good reading.
        failures: readings that were refused so far.
        last_error: why the last reading was refused; "" when it was good.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        sources: Sources,
        environ: Mapping[str, str],
        snapshot: Snapshot,
        interval: float = 2.0,
        check: Callable[[Snapshot], None] = lambda _: None,
    ) -> None:
        """Keep a snapshot that was read already.

        Args:
            reactor: times the watch.
            sources: what the command line asks for.
            environ: the environment.
            snapshot: the reading that relay starts with.
            interval: seconds between two looks at the files.
            check: raises `ConfigError` for a reading that must not come into force.
        """
        self.snapshot = snapshot
        self.failures = 0
        self.last_error = ""
        self._started_with = snapshot
        self._sources = sources.anchored()
        self._environ = environ
        self._interval = interval
        self._check = check
        self._subscribers: list[Callable[[Snapshot], None]] = []
        self._files = Files()
        self._loop = LoopingCall(self.poll)
        self._loop.clock = reactor

    def subscribe(self, callback: Callable[[Snapshot], None]) -> None:
        """Call back with every good reading from now on, in order of subscription."""
        self._subscribers.append(callback)

    def startService(self) -> None:
        """Begin to watch the files."""
        super().startService()  # type: ignore[no-untyped-call] # twisted.application is untyped
        self._files = self._looked_at()
        self._loop.start(self._interval, now=False).addErrback(self._watch_failed)

    def stopService(self) -> None:
        """Stop watching."""
        if self._loop.running:
            self._loop.stop()
        super().stopService()  # type: ignore[no-untyped-call] # twisted.application is untyped

    def poll(self) -> None:
        """Read again if a file that the last reading looked at has changed, appeared or gone."""
        changed = [str(path) for path, seen in self._files.marks.items() if mark(path) != seen]
        if changed:
            self.log.info("configuration files changed", files=changed)
            self.reload()

    def reload(self) -> bool:
        """Read everything again; a bad reading changes nothing.

        Returns:
            Whether the reading was good and is in force.
        """
        files = Files()
        try:
            snapshot = load(self._sources, self._environ, self.snapshot.generation + 1, files)
            self._check(snapshot)
        except ConfigError as error:
            self._refuse(error.message)
            return False
        except Exception as error:  # an operator's typing must not stop a server that runs
            self.log.failure("reading the configuration failed unexpectedly")
            self._refuse(f"internal error: {type(error).__name__}")
            return False
        finally:
            self._files = files
        self._accept(snapshot)
        return True

    def _looked_at(self) -> Files:
        """The files that a reading looks at now, also in vain: those whose change matters."""
        files = Files()
        try:
            load(self._sources, self._environ, files=files)
        except ConfigError as error:
            self._refuse(error.message)
        return files

    def _refuse(self, reason: str) -> None:
        self.failures += 1
        self.last_error = reason
        self.log.error(
            "configuration refused, the last good one stays in force: {error}",
            error=reason,
            generation=self.snapshot.generation,
            failures=self.failures,
        )

    def _accept(self, snapshot: Snapshot) -> None:
        snapshot = attrs.evolve(snapshot, warnings=(*snapshot.warnings, *self._needs_restart(snapshot)))
        self.snapshot = snapshot
        self.last_error = ""
        self.log.info("configuration reloaded", generation=snapshot.generation, providers=list(snapshot.providers))
        for notice in snapshot.warnings:
            self.log.warn("configuration: {notice}", notice=notice)
        for callback in self._subscribers:
            try:
                callback(snapshot)
            except Exception:  # one subscriber must not keep the others from the news
                self.log.failure("a subscriber failed on the new configuration")

    def _needs_restart(self, snapshot: Snapshot) -> tuple[str, ...]:
        before = self._started_with
        if (snapshot.listen, snapshot.first.port) == (before.listen, before.first.port):
            return ()
        return ("'listen' or 'port' has changed; relay goes on listening where it does until it is restarted",)

    def _watch_failed(self, failure: Failure) -> None:
        self.log.failure("the watch on configuration files has stopped", failure)
