"""One HTTP/1.1 connection to a provider, from relay's side.

It carries one exchange at a time, for a `Taker` that is told of the answer by plain method
calls. Whatever cannot be read in exactly one way ends the connection; it goes back to its
`Home` only when the parser saw the end of the message, nothing behind it, and the request
had been sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHandshakeListener, IProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from relay.runtime.wheel import Watch, Wheel
from relay.upstream.engine.answer import AnswerReader
from relay.upstream.engine.states import CHUNKED, CLOSED, EOF, HEAD, IDLE, LENGTH, OPENING, State
from relay.upstream.engine.taker import NOBODY, Break, Taker
from relay.wire.answer import AnswerHead, AnswerShapes
from relay.wire.http import ChunkedBody, Framing, FramingError, HeadError

LINGER = 5.0
"""Seconds that a connection may take to close tidily before it is aborted."""


class Home(Protocol):
    """Where a connection belongs.

    Attributes:
        shapes: reads the heads of its answers.
    """

    shapes: AnswerShapes

    def release(self, connection: Connection) -> None:
        """It can carry the next request."""

    def gone(self, connection: Connection) -> None:
        """It carries nothing any more; its place is free."""

    def lost(self, connection: Connection) -> None:
        """Its socket is closed."""


Opened = Callable[["Connection | Exception"], None]
"""Told once: the connection that stands, or why there is none."""

_BY_LENGTH = Framing.LENGTH


@implementer(IProtocol, IHandshakeListener)
class Connection:
    """One connection; see `State`.

    Args:
        wheel: runs the deadlines.
        home: takes it back.
        opened: told when it stands; for TLS that is when the certificate is good.
        secure: whether TLS is on top.

    Attributes:
        state: where it stands.
        reused: whether the present exchange is not its first.
        transport: TCP or TLS below, while that is open.
        watch: the one deadline that holds at a time; set by who has the connection, and resting when it is given back.
    """

    __slots__ = (
        "_chunks",
        "_head",
        "_home",
        "_keep",
        "_left",
        "_opened",
        "_paused",
        "_producer",
        "_secure",
        "_taker",
        "_upload",
        "_wheel",
        "_whole",
        "reused",
        "state",
        "transport",
        "watch",
    )

    def __init__(self, wheel: Wheel, home: Home, opened: Opened, *, secure: bool) -> None:
        self.state = OPENING
        self.reused = False
        self.transport: Any = None
        self._wheel = wheel
        self._home = home
        self._opened: Opened | None = opened
        self._secure = secure
        self._taker: Taker = NOBODY
        self._head = AnswerReader(home.shapes)
        self._chunks: ChunkedBody | None = None
        self._left = 0  # bytes of a body of known length that are to come
        self._keep = False
        self._whole = False  # the end of the message has been read
        self._paused = False
        self._producer: IBodyProducer | None = None
        self._upload: Deferred[None] | None = None
        self.watch: Watch = wheel.watch()

    # ── coming up ─────────────────────────────────────────────────────────────────────

    def makeConnection(self, transport: Any) -> None:
        """TCP stands."""
        self.transport = transport
        self.connectionMade()

    def connectionMade(self) -> None:
        """TCP stands."""
        self.transport.setTcpNoDelay(True)
        if not self._secure:
            self._stands()

    def handshakeCompleted(self) -> None:
        """TLS stands; called, too, right after the certificate was refused."""
        if self.state is OPENING and not self.transport.disconnecting:
            self._stands()

    def _stands(self) -> None:
        opened, self._opened = self._opened, None
        self.state = IDLE
        if opened is not None:
            opened(self)

    # ── one exchange ──────────────────────────────────────────────────────────────────

    @property
    def sending(self) -> bool:
        """Whether the request's body is still being written."""
        return self._upload is not None

    def ask(self, taker: Taker, method: bytes, data: bytes, producer: IBodyProducer | None = None) -> None:
        """Send a request; the connection is idle.

        Args:
            taker: is told what becomes of it.
            method: the request's method.
            data: its head, and its body where that is small.
            producer: writes the rest of the body, at the provider's pace.
        """
        self.state = HEAD
        self._taker = taker
        self._head.expect(method)
        self.transport.write(data)
        if producer is not None and self.state is HEAD:
            self._producer = producer
            self.transport.registerProducer(producer, True)
            self.upload(producer.startProducing(self.transport))

    def begin(self, taker: Taker, method: bytes) -> None:
        """Expect the answer to a request that the taker writes to `transport` itself."""
        self.state = HEAD
        self._taker = taker
        self._head.expect(method)

    def upload(self, written: Deferred[None]) -> None:
        """The request is being written until this fires."""
        self._upload = written
        written.addCallbacks(self._uploaded, self._upload_failed)

    def _uploaded(self, _: None) -> None:
        self._upload = None
        if self._producer is not None:
            self._producer = None
            if self.transport is not None:
                self.transport.unregisterProducer()

    def _upload_failed(self, reason: Failure) -> None:
        if self._upload is not None:
            self._upload = None
            self._break(Break.UPLOAD, _exception(reason))

    def pause(self) -> None:
        """Read no more for now."""
        if not self._paused and self.transport is not None:
            self._paused = True
            self.transport.pauseProducing()

    def resume(self) -> None:
        """Read on."""
        if self._paused and self.transport is not None:
            self._paused = False
            self.transport.resumeProducing()

    # ── the answer ────────────────────────────────────────────────────────────────────

    def dataReceived(self, data: bytes) -> None:
        """Take bytes from the provider."""
        chunks = self._chunks
        if chunks is not None:
            try:
                pieces = chunks.feed(data)
            except FramingError as error:
                self._break(Break.MALFORMED, error)
                return
            if chunks.done:
                self._take_last_chunks(pieces, chunks.rest)
            elif pieces:
                self._taker.took(pieces[0] if len(pieces) == 1 else b"".join(pieces))
            return
        state = self.state
        if state is HEAD:
            self._take_head(data)
        elif state is LENGTH:
            self._take_length(data)
        elif state is EOF:
            self._taker.took(data)
        elif state is IDLE:
            self.drop()  # nobody asked: whatever it is, it must not become the next answer

    def _take_head(self, data: bytes) -> None:
        reader = self._head
        try:
            head = reader.feed(data)
        except HeadError as error:
            self._break(Break.MALFORMED, error)
            return
        if head is None:
            return
        taker = self._taker.answered(head)
        if taker is None or self.state is not HEAD:
            return
        self._taker = taker
        self._keep = head.keep_alive
        rest = reader.rest
        if rest:
            reader.rest = b""
        if head.framing is _BY_LENGTH and len(rest) == head.length:  # all in one read, as most answers that are small
            self._whole = True
            taker.took(rest)
            if self.state is HEAD:
                self._end(b"")
        else:
            self._whole = False
            self._take_body(head, rest)
        taker.announced()

    def _take_body(self, head: AnswerHead, data: bytes) -> None:
        """Begin with the body, whose first bytes came along with the head."""
        framing = head.framing
        if framing is _BY_LENGTH:
            self.state = LENGTH
            self._left = head.length
            if data:
                self._take_length(data)
        elif framing is Framing.CHUNKED:
            self.state = CHUNKED
            self._chunks = ChunkedBody()
            if data:
                self.dataReceived(data)
        elif framing is Framing.EOF:
            self.state = EOF
            if data:
                self._taker.took(data)
        else:
            self._end(data)

    def _take_length(self, data: bytes) -> None:
        left = self._left - len(data)
        if left > 0:
            self._left = left
            self._taker.took(data)
            return
        self._whole = True
        rest = b""
        if left:
            data, rest = data[:left], data[left:]
        self._taker.took(data)
        if self.state is LENGTH:
            self._end(rest)

    def _take_last_chunks(self, pieces: list[bytes], rest: bytes) -> None:
        self._whole = True
        if pieces:
            self._taker.took(b"".join(pieces))
        if self.state is CHUNKED:
            self._end(rest)

    def _end(self, rest: bytes) -> None:
        """The message is whole: decide whether the connection may be used again."""
        taker, self._taker = self._taker, NOBODY
        self._chunks = None
        self.watch.rest()
        if rest or self._upload is not None:
            # Bytes that nobody asked for, or an upload that the provider does not want.
            self.drop()
        elif self._keep:
            self.state = IDLE
            self.reused = True
            if self._paused:
                self.resume()
            self._home.release(self)
        else:
            self.close()
        taker.ended()

    def _break(self, how: Break, cause: Exception) -> None:
        taker = self._taker
        self.drop()
        taker.broken(how, cause)

    # ── going down ────────────────────────────────────────────────────────────────────

    def drain(self, seconds: float) -> None:
        """Nobody waits for the rest of the message; if it ends in time, the connection is kept."""
        self._taker = NOBODY
        if not self._whole and self.state is not CLOSED:
            self.resume()
            self.watch.set(self._wheel.seconds() + seconds, self.drop)

    def close(self) -> None:
        """Close tidily, within `LINGER`."""
        self._leave()
        if self.transport is not None:
            self.watch.set(self._wheel.seconds() + LINGER, self.cut)
            self.transport.loseConnection()

    def drop(self) -> None:
        """Abort, and tell the taker nothing. Idempotent."""
        self._leave()
        self.cut()

    def cut(self) -> None:
        """Abort; the taker is told in a later turn of the reactor. Idempotent."""
        if self.transport is not None:
            self.transport.abortConnection()

    def _leave(self) -> None:
        """Carry nothing from now on."""
        before, self.state = self.state, CLOSED
        self._taker = NOBODY
        self._opened = None
        self._chunks = None
        self.watch.cancel()
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.cancel()
        if before is not CLOSED and before is not OPENING:
            self._home.gone(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The socket is closed."""
        state, taker, opened = self.state, self._taker, self._opened
        cause = _exception(reason)
        how = self._how(state)
        tidy = state is EOF and isinstance(cause, ConnectionDone)
        self.transport = None
        if tidy:
            taker.ended()
        elif state is not CLOSED:
            taker.broken(how, cause)
        self._leave()  # behind the taker, which may at once ask for a connection in place of this one
        self._home.lost(self)
        if opened is not None and state is OPENING:
            opened(cause)

    def _how(self, state: State) -> Break:
        if state is not HEAD:
            return Break.CUT
        if self._head.begun:
            return Break.CUT
        return Break.UNSENT if self._upload is not None else Break.UNANSWERED


def _exception(reason: Failure) -> Exception:
    error = reason.value
    return error if isinstance(error, Exception) else ConnectionLost(str(error))
