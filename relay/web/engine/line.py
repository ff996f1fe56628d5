"""A client connection below its requests: what it is doing, how fast it takes bytes, and how it ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IProducer, IPushProducer, ISSLTransport, ITCPTransport
from zope.interface import implementer

from relay.exchange import Headers
from relay.runtime.wheel import Deadline
from relay.secret import Secret
from relay.web.engine.states import CLOSING, IDLE, LINGERING, LOST, MOVES, Pace, State, Transport
from relay.web.request import host_of

if TYPE_CHECKING:
    from relay.web.site import EngineSite

_CLOSE = b"connection: close\r\n"
_KEEP_ALIVE = b"connection: keep-alive\r\n"


@implementer(IPushProducer)
class Line(ABC):
    """One client connection.

    The transport tells whether its buffer is full, and the line passes that on to whoever
    is writing. A client that takes nothing for as long as ``timeouts.write`` is cut off.

    Args:
        site: what is served, and how long one may take.

    Attributes:
        keep: whether another request may follow the current one.
        is_full: whether the transport's buffer is; writers wait for it to be empty.
        peer: the client's address, "" on a Unix socket.
        local: the address that it connected to, "" on a Unix socket.
        key: the key that the client sent last, or None.
        key_fields: the fields in which it was.
    """

    __slots__ = (
        "_deadline",
        "_half_closes",
        "_pace",
        "_paused",
        "_stall",
        "_state",
        "_watching",
        "is_full",
        "keep",
        "key",
        "key_fields",
        "local",
        "peer",
        "site",
        "transport",
    )
    transport: Transport
    peer: str
    local: str

    def __init__(self, site: EngineSite) -> None:
        self.site = site
        self.keep = True
        self.is_full = False
        self.key: Secret | None = None
        self.key_fields: Headers = ()
        self._state = IDLE
        self._pace: Pace | None = None
        self._paused = False  # whether reading is
        self._watching = False  # whether the transport tells of its buffer
        self._half_closes = False  # whether the transport can close the way to the client alone
        self._deadline: Deadline | None = None  # of a head, a body, or a farewell
        self._stall: Deadline | None = None  # of a client that does not read

    def connectionMade(self) -> None:
        """A client is there."""
        transport = self.transport
        capable: object = transport
        if ITCPTransport.providedBy(capable):
            transport.setTcpNoDelay(True)
            self._half_closes = not ISSLTransport.providedBy(capable)
        self.peer, self.local = host_of(transport.getPeer()), host_of(transport.getHost())
        self._watch()

    def _watch(self) -> None:
        self._watching = True
        self.transport.registerProducer(self, True)

    def _unwatch(self) -> None:
        """A transport that tells of its buffer would not close while that is full."""
        if self._watching:
            self._watching = False
            self.transport.unregisterProducer()

    def _move(self, state: State) -> None:
        if state not in MOVES[self._state]:
            raise RuntimeError(f"A connection cannot go from {self._state!r} to {state!r}.")
        self._state = state

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    # ── the client's pace ─────────────────────────────────────────────────────────────

    def pace(self, writer: Pace) -> None:
        """Tell a writer of the client's pace until its answer has ended."""
        self._pace = writer

    def pauseProducing(self) -> None:
        """The transport's buffer is full. It says so on each further write, too."""
        if self.is_full:
            return
        self.is_full = True
        self._stall = self.site.wheel.arm(self.site.connections.timeouts.write, self.abort)
        if self._pace is not None:
            self._pace.full()

    def resumeProducing(self) -> None:
        """The transport's buffer is empty."""
        self.is_full = False
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        if self._pace is not None:
            self._pace.empty()
        else:
            self._emptied()

    @abstractmethod
    def stopProducing(self) -> None:
        """The transport is lost."""

    @abstractmethod
    def _emptied(self) -> None:
        """The client has taken all of an answer that had ended before."""

    def lend(self, producer: IProducer) -> None:
        """Let the transport pull from a producer."""
        self._unwatch()
        self.transport.registerProducer(producer, False)

    def take_back(self) -> None:
        """Undo `lend`."""
        if self._state < CLOSING:
            self.transport.unregisterProducer()
            self._watch()

    def persistence(self, version: tuple[int, int]) -> bytes:
        """The line of an answer's head that tells whether the connection goes on, where that has to be told."""
        if not self.keep:
            return _CLOSE
        return b"" if version == (1, 1) else _KEEP_ALIVE

    # ── reading ───────────────────────────────────────────────────────────────────────

    def _pause(self) -> None:
        """Read no more for now."""
        self._paused = True
        self.transport.pauseProducing()

    def _resume(self) -> None:
        """Read again."""
        if self._paused and self._state < CLOSING:
            self._paused = False
            self.transport.resumeProducing()

    # ── the end ───────────────────────────────────────────────────────────────────────

    def abort(self) -> None:
        """Break the connection."""
        self.transport.abortConnection()

    def close(self) -> None:
        """Close when everything is written, and break off if the client does not take it."""
        if self._state >= CLOSING:
            return
        self._move(CLOSING)
        self._stop_deadline()
        if self._stall is None:
            self._stall = self.site.wheel.arm(self.site.connections.timeouts.write, self.abort)
        self._unwatch()
        self.transport.loseConnection()

    def _linger(self, seconds: float) -> None:
        """From now on drop what comes, for so long; the running answer is the last."""
        self._stop_deadline()
        self._move(LINGERING)
        self.keep = False
        self._resume()
        self._deadline = self.site.wheel.arm(seconds, self._linger_over)

    def _say_goodbye(self) -> None:
        """The last answer is written: say so, and let the client close."""
        if self._deadline is None:
            self.close()
        elif self._half_closes:
            self._unwatch()
            self.transport.loseWriteConnection()

    @abstractmethod
    def _linger_over(self) -> None:
        """The client had its time."""

    def _lost(self) -> None:
        """Nobody is there any more: let go of everything."""
        self._move(LOST)
        self._stop_deadline()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        pace, self._pace = self._pace, None
        if pace is not None:
            pace.lost()
