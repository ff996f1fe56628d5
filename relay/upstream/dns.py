"""Name resolution on threads of its own, so that a slow resolver holds up nothing else.

Twisted resolves names on the reactor's ten threads, which everything that blocks shares.
"""

from __future__ import annotations

from typing import cast

from twisted.application.service import Service
from twisted.internet._resolver import GAIResolver
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHostnameResolver, IReactorPluggableNameResolver, IReactorThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool


class Resolution(Service):
    """While it runs, host names are resolved on the given threads.

    Args:
        reactor: whose resolver is exchanged; an `IReactorThreads`, too.
        threads: started and stopped with this service; nothing else should use them.
    """

    def __init__(self, reactor: IReactorPluggableNameResolver, threads: ThreadPool) -> None:
        self._reactor = reactor
        self._workers = cast("IReactorThreads", reactor)
        self._threads = threads
        self._before: IHostnameResolver | None = None

    def startService(self) -> None:
        """Start the threads and put the resolver in."""
        super().startService()  # type: ignore[no-untyped-call]  # Twisted leaves it untyped
        self._threads.start()
        resolver = GAIResolver(self._workers, lambda: self._threads)
        self._before = self._reactor.installNameResolver(resolver)

    def stopService(self) -> Deferred[None]:
        """Put the former resolver back; fires when the threads have ended.

        A lookup cannot be called off, so that is waited for on another thread.
        """
        if self._before is not None:
            self._reactor.installNameResolver(self._before)
            self._before = None
        super().stopService()  # type: ignore[no-untyped-call]  # Twisted leaves it untyped
        return deferToThreadPool(self._workers, self._workers.getThreadPool(), self._threads.stop)
