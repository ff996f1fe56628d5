"""A client that takes everything and keeps nothing."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from relay.exchange import Headers
from relay.interfaces import ISink


@implementer(ISink)
class Nobody:
    """Stands in for a client that has left, or that never was.

    Args:
        gone: whether it is known to be nobody; then an answer's end says that the client left.
        pieces: pieces of body after which ``enough`` is called; 0 for never.
        enough: see ``pieces``.
    """

    def __init__(self, *, gone: bool = False, pieces: int = 0, enough: Callable[[], object] | None = None) -> None:
        self.started = gone
        self.gone = gone
        self._left = pieces
        self._enough = enough

    def on_gone(self, callback: Callable[[], object] | None) -> None:
        """It does not leave any more."""

    def start(self, status: int, headers: Headers) -> None:
        """The head."""
        self.started = True

    def write(self, data: bytes) -> None:
        """A piece of the body."""
        self._left -= 1
        if self._left == 0 and self._enough is not None:
            self._enough()

    def end(self) -> None:
        """The end."""

    def abort(self) -> None:
        """The end, all the same."""

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        """It is as fast as the upstream."""

    def unregisterProducer(self) -> None:
        """See `registerProducer`."""
