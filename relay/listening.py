"""Accepting connections on one endpoint."""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from relay.errors import ConfigError

BACKLOG = 1024
"""Connections that may wait to be accepted: with Twisted's 50, a burst of clients waits a second or is reset."""

_QUEUING = ("tcp:", "tcp4:", "tcp6:", "ssl:", "unix:")
"""Kinds of endpoint that can be told so."""


class Listener(Service):
    """Listens while it runs; an address that cannot be had is one plain sentence.

    Args:
        reactor: makes the port.
        endpoint: a Twisted endpoint string.
        factory: makes protocols.
    """

    _log = Logger()

    def __init__(self, reactor: Any, endpoint: str, factory: IProtocolFactory) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        self._factory = factory
        self._port: IListeningPort | None = None
        self._failure: Failure | None = None

    def privilegedStartService(self) -> None:
        """Listen, before twistd gives up its privileges.

        Raises:
            ConfigError: the address is taken, not ours, or forbidden.
        """
        super().privilegedStartService()  # type: ignore[no-untyped-call]  # Twisted's
        listening = serverFromString(self._reactor, _with_backlog(self._endpoint)).listen(self._factory)
        listening.addCallbacks(self._listening, self._failed)
        if self._failure is not None:
            error = self._failure.value
            reason = error.socketError if isinstance(error, CannotListenError) else error
            raise ConfigError(f"cannot listen on {self._endpoint!r}: {getattr(reason, 'strerror', None) or reason}")

    def _listening(self, port: IListeningPort) -> None:
        self._port = port
        self._log.info("listening on {address}", address=self._endpoint)

    def _failed(self, failure: Failure) -> None:
        self._failure = failure

    def stopService(self) -> Deferred[None]:
        """Accept nothing more; running connections stay."""
        super().stopService()  # type: ignore[no-untyped-call]  # Twisted's
        port, self._port = self._port, None
        return (port is not None and port.stopListening()) or succeed(None)


def _with_backlog(endpoint: str) -> str:
    """The endpoint string with relay's backlog, unless it has one of its own."""
    if not endpoint.startswith(_QUEUING) or ":backlog=" in endpoint:
        return endpoint
    return f"{endpoint}:backlog={BACKLOG}"
