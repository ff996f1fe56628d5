"""Tests of name resolution on its own threads."""

from __future__ import annotations

from collections.abc import Callable
from socket import gaierror
from typing import Any, cast

from twisted.internet._resolver import GAIResolver
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relay.upstream.dns import Resolution


class Threads:
    """A thread pool whose one thread is the test's."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.work: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")

    def callInThreadWithCallback(
        self, onResult: Callable[[bool, Any], None], func: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        name = func.__name__
        self.work.append(name)
        if name == "stop":
            onResult(True, func())
        else:
            onResult(False, Failure(gaierror("no network in tests")))


class Reactor(MemoryReactorClock):
    """Remembers its resolver; has threads of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.installed: list[IHostnameResolver] = [cast("Any", "before")]
        self.threads = Threads()

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        self.installed.append(resolver)
        return self.installed[-2]

    def getThreadPool(self) -> Threads:
        return self.threads

    def callFromThread(self, f: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        f(*args, **kwargs)


class Receiver:
    """Counts what a resolution tells."""

    def __init__(self) -> None:
        self.complete = False

    def resolutionBegan(self, resolution: object) -> None:
        pass

    def addressResolved(self, address: object) -> None:
        raise AssertionError("nothing resolves here")

    def resolutionComplete(self) -> None:
        self.complete = True


class ResolutionTests(SynchronousTestCase):
    """The service's life."""

    def test_life(self) -> None:
        """While it runs, names are resolved on its threads; then the former resolver is back, the threads ended."""
        reactor, threads = Reactor(), Threads()
        service = Resolution(cast("Any", reactor), cast("Any", threads))
        self.assertEqual(threads.calls, [])
        service.startService()
        resolver, receiver = reactor.installed[-1], Receiver()
        self.assertIsInstance(resolver, GAIResolver)
        resolver.resolveHostName(cast("Any", receiver), "name.example", 80)
        self.assertTrue(receiver.complete)
        self.assertEqual((threads.work, reactor.threads.work), (["getaddrinfo"], []))
        self.successResultOf(service.stopService())
        self.assertEqual(reactor.installed[-1], "before")
        self.assertEqual((threads.calls, reactor.threads.work), (["start", "stop"], ["stop"]))

    def test_stoppedTwice(self) -> None:
        """Stopping a service that never ran does not touch the resolver."""
        reactor, threads = Reactor(), Threads()
        self.successResultOf(Resolution(cast("Any", reactor), cast("Any", threads)).stopService())
        self.assertEqual(reactor.installed, ["before"])
