"""One request on its way to a provider over the engine, until the answer's head is there."""

from __future__ import annotations

from math import inf
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer

from relay.errors import RelayError, UpstreamProtocol, UpstreamUnreachable
from relay.exchange import Body, Headers, UpstreamRequest
from relay.outcome import Stage
from relay.runtime.wheel import Deadline, Wheel
from relay.upstream.body import producer_for
from relay.upstream.engine.connection import Connection
from relay.upstream.engine.failures import before_head
from relay.upstream.engine.head import UnsafeHead
from relay.upstream.engine.origins import OriginPool, Search
from relay.upstream.engine.taker import Break, Taker
from relay.upstream.failures import connecting, timed_out
from relay.wire.answer import AnswerHead

AT_ONCE = 64 * 1024
"""Bytes of a body that are written together with the head; a larger one goes at the provider's pace."""

_LEFT_OUT = frozenset({b"content-encoding", b"set-cookie", b"set-cookie2"})
"""Fields of an answer that the caller does not see: nothing is encoded, and no cookie is kept or passed on."""

_CODINGS = (b"", b"identity")


class Sending:
    """The first half of an exchange with a provider: sends the request, and takes the answer's head.

    If a kept connection proves dead, it sends once more over a fresh one: when the
    connection had been used before, and not one byte of an answer came. It is the `Seeker`
    of a connection, and the connection's `Taker`; `EngineResponse` is both halves in one.

    Args:
        pool: the connections to the request's origin.
        wheel: runs the deadlines.
        request: what to send; let go once the head is there.

    Attributes:
        status: HTTP status; 0 before the head is there.
        headers: its fields, but for those that are nobody's business.
    """

    __slots__ = (
        "_connection",
        "_deadline",
        "_deployment",
        "_end",
        "_pool",
        "_request",
        "_search",
        "_sent",
        "_streamed",
        "_timeouts",
        "_wheel",
        "headers",
        "status",
    )

    _log = Logger()

    def __init__(self, pool: OriginPool, wheel: Wheel, request: UpstreamRequest) -> None:
        self.status = 0
        self.headers: Headers = ()
        self._pool: OriginPool | None = pool
        self._wheel = wheel
        self._request: UpstreamRequest | None = request
        self._deployment = request.deployment
        self._timeouts = request.timeouts
        self._streamed = request.stream  # whether a streamed answer was asked for; decides which deadlines hold
        self._end = inf  # when the whole has to be over
        self._sent: Deferred[Any] | None = None
        self._search: Search | None = None
        self._deadline: Deadline | None = None  # of the search; the connection that is found watches for the rest
        self._connection: Connection | None = None

    def start(self) -> Deferred[Any]:
        """Send; fires with this object when the answer's head is complete. Cancelling aborts."""
        sent: Deferred[Any] = Deferred(self._cancelled)
        self._sent = sent
        pool, request = self._pool, self._request
        if pool is None or request is None:
            raise RuntimeError("A sending can be started once.")
        now = self._wheel.seconds()
        timeouts = self._timeouts
        total = timeouts.stream_total if self._streamed else timeouts.total
        if total is not None:
            self._end = now + total
        connection = pool.take()
        if connection is None:
            self._seek(pool, fresh=False)
        else:
            self._ask(connection, pool, request, now)
        return sent

    # ── a connection ──────────────────────────────────────────────────────────────────

    def _seek(self, pool: OriginPool, *, fresh: bool) -> None:
        wheel = self._wheel
        self._deadline = wheel.arm(min(self._timeouts.connect, self._end - wheel.seconds()), self._late_in_search)
        try:
            search = pool.seek(self, fresh=fresh)
        except RelayError as error:
            self._fail(error)
            return
        self._search = None if search.over else search

    def found(self, connection: Connection) -> None:
        """Here is a connection."""
        self._stop_searching()
        pool, request = self._pool, self._request
        if pool is None or request is None:
            raise RuntimeError("A connection was found for nobody.")
        self._ask(connection, pool, request, self._wheel.seconds())

    def unreachable(self, error: Exception) -> None:
        """There is none."""
        self._stop_searching()
        self._fail(connecting(error, self._deployment))

    def _late_in_search(self) -> None:
        search = self._search
        self._stop_searching()
        if search is not None:
            search.cancel()
        deadline = "total" if self._wheel.seconds() >= self._end else "connect"
        self._fail(timed_out(deadline, Stage.CONNECT, self._deployment))

    def _stop_searching(self) -> None:
        self._search = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _ask(self, connection: Connection, pool: OriginPool, request: UpstreamRequest, now: float) -> None:
        self._connection = connection
        body = request.body
        length: int | None
        if isinstance(body, bytes):
            length, small = len(body), body
        else:
            length, small = body.length, None
        try:
            data = pool.heads.compose(request, length)
        except UnsafeHead as error:
            self._give_up()
            self._log.failure("a request cannot be sent as it is", Failure(error))
            text = "The request to the provider could not be built."
            self._fail(UpstreamUnreachable(text, stage=Stage.SEND, deployment=self._deployment))
            return
        due = self._end
        if self._streamed and now + self._timeouts.first_byte < due:
            due = now + self._timeouts.first_byte
        connection.watch.set(due, self._expired)
        method = b"POST" if request.method == "POST" else request.method.encode("ascii")
        if small is not None and len(small) <= AT_ONCE:
            connection.ask(self, method, data + small)
        else:
            connection.ask(self, method, data, self._producer(body))

    def _producer(self, body: bytes | Body) -> IBodyProducer | None:
        """What writes a body that does not go out with the head."""
        return producer_for(body)

    # ── the answer, told by the connection ────────────────────────────────────────────

    def answered(self, head: AnswerHead) -> Taker | None:
        """The head is here: refuse it, or make it an answer."""
        status, fields = head.status, head.fields
        if head.sets_apart or 300 <= status <= 399:
            refusal, fields = _admit(head)
            if refusal:
                self._give_up()
                self._fail(
                    UpstreamProtocol(
                        refusal, stage=Stage.FIRST_BYTE, deployment=self._deployment, upstream_status=status
                    )
                )
                return None
        self.status = status
        self.headers = fields
        self._request = self._pool = None
        self._await_body()
        return self

    def _await_body(self) -> None:
        """Become an answer whose body is to come."""

    def announced(self) -> None:
        """There is nothing here to announce."""

    def took(self, data: bytes) -> None:
        """There is no body before the head."""

    def ended(self) -> None:
        """There is no end before the head."""

    def broken(self, how: Break, cause: Exception) -> None:
        """The connection brought no answer; if it was a kept one that had died, use a fresh one."""
        connection, self._connection = self._connection, None
        dead = how is Break.UNANSWERED or how is Break.UNSENT
        if dead and connection is not None and connection.reused and self._pool is not None:
            self._seek(self._pool, fresh=True)
        else:
            self._fail(before_head(how, cause, self._deployment))

    # ── the end ───────────────────────────────────────────────────────────────────────

    def _expired(self) -> None:
        """The deadline that is being watched has passed."""
        connection = self._connection
        over = self._wheel.seconds() >= self._end
        if self.status:
            deadline, stage = "idle", Stage.STREAM
        else:
            sending = connection is not None and connection.sending
            deadline, stage = "first_byte", Stage.SEND if sending else Stage.FIRST_BYTE
        self._give_up()
        self._fail(timed_out("total" if over else deadline, stage, self._deployment))

    def _cancelled(self, _: object) -> None:
        """Nobody waits any more."""
        self._give_up()
        self._release()

    def _give_up(self) -> None:
        """Drop what is under way."""
        connection, self._connection = self._connection, None
        search = self._search
        self._stop_searching()
        if connection is not None:
            connection.drop()
        if search is not None:
            search.cancel()

    def _fail(self, error: RelayError) -> None:
        sent = self._sent
        self._release()
        if sent is not None:
            sent.errback(error)

    def _release(self) -> None:
        """Let go of everything."""
        self._connection = self._request = self._pool = self._sent = None
        self._stop_searching()


def _admit(head: AnswerHead) -> tuple[str, Headers]:
    """Judge a head: why it is refused, or "", and the fields that the caller may see."""
    fields, refusal = head.fields, ""
    codings = b",".join(value for name, value in fields if name == b"content-encoding")
    if any(coding.strip().lower() not in _CODINGS for coding in codings.split(b",")):
        refusal = "The provider's answer is compressed, which relay did not ask for."
    if 300 <= head.status <= 399:
        refusal = "The provider answered with a redirect, which relay does not follow."
    return refusal, tuple(field for field in fields if field[0] not in _LEFT_OUT)
