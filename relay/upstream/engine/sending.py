"""One request on its way to a provider over the engine, until the answer's head is there."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relay.errors import RelayError, UpstreamProtocol, UpstreamUnreachable
from relay.exchange import Headers, UpstreamRequest
from relay.interfaces import IUpstreamResponse
from relay.outcome import Stage
from relay.runtime.wheel import Deadline, Wheel
from relay.upstream.body import producer_for
from relay.upstream.engine.connection import Connection
from relay.upstream.engine.failures import before_head
from relay.upstream.engine.head import UnsafeHead, beginning, complete
from relay.upstream.engine.origins import OriginPool, Search
from relay.upstream.engine.response import EngineResponse
from relay.upstream.engine.taker import Break
from relay.upstream.failures import connecting, timed_out
from relay.wire.http import ResponseHead

AT_ONCE = 64 * 1024
"""Bytes of a body that are written together with the head; a larger one goes at the provider's pace."""

BEGINNINGS = 1024
"""Beginnings of heads kept for one origin; model names in targets come from clients, so there is a bound."""

_LEFT_OUT = frozenset({b"content-encoding", b"set-cookie", b"set-cookie2"})
"""Fields of an answer that the caller does not see: nothing is encoded, and no cookie is kept or passed on."""

_CODINGS = (b"", b"identity")


class Sending:
    """Sends one request, and once more over a fresh connection if a kept one proved dead.

    That is the case when the connection had been used before and not one byte of an answer
    came. It is the `Seeker` of a connection, and the `Taker` of the answer's head.

    Args:
        pool: the connections to the request's origin.
        wheel: runs the deadlines.
        request: what to send.
    """

    __slots__ = ("_connection", "_deadline", "_pool", "_request", "_response", "_result", "_search", "_total", "_wheel")

    _log = Logger()

    def __init__(self, pool: OriginPool, wheel: Wheel, request: UpstreamRequest) -> None:
        self._pool = pool
        self._wheel = wheel
        self._request: UpstreamRequest | None = request
        self._result: Deferred[IUpstreamResponse] | None = None
        self._search: Search | None = None
        self._connection: Connection | None = None
        self._response: EngineResponse | None = None
        self._deadline: Deadline | None = None  # for the connection, then for the first byte
        self._total: Deadline | None = None

    def start(self) -> Deferred[IUpstreamResponse]:
        """Send; fires when the answer's head is complete. Cancelling aborts."""
        result: Deferred[IUpstreamResponse] = Deferred(self._cancelled)
        self._result = result
        request = self._request
        if request is None:
            raise RuntimeError("A sending can be started once.")
        total = request.timeouts.stream_total if request.stream else request.timeouts.total
        if total is not None:
            self._total = self._wheel.arm(total, self._late_in_total)
        connection = self._pool.take()
        if connection is None:
            self._seek(request, fresh=False)
        else:
            self._ask(request, connection)
        return result

    # ── a connection ──────────────────────────────────────────────────────────────────

    def _seek(self, request: UpstreamRequest, *, fresh: bool) -> None:
        self._deadline = self._wheel.arm(request.timeouts.connect, self._late_in_connect)
        try:
            search = self._pool.seek(self, fresh=fresh)
        except RelayError as error:
            self._fail(error)
            return
        self._search = None if search.over else search

    def found(self, connection: Connection) -> None:
        """Here is a connection."""
        self._search = None
        self._stop_deadline()
        if self._request is None:
            raise RuntimeError("A connection was found for nobody.")
        self._ask(self._request, connection)

    def unreachable(self, error: Exception) -> None:
        """There is none."""
        self._search = None
        self._fail(connecting(error, self._deployment))

    def _ask(self, request: UpstreamRequest, connection: Connection) -> None:
        self._connection = connection
        try:
            data = self._head(request)
        except UnsafeHead as error:
            connection.drop()
            self._log.failure("a request cannot be sent as it is", Failure(error))
            text = "The request to the provider could not be built."
            self._fail(UpstreamUnreachable(text, stage=Stage.SEND, deployment=request.deployment))
            return
        if request.stream:
            self._deadline = self._wheel.arm(request.timeouts.first_byte, self._late_in_first_byte)
        body, method = request.body, request.method.encode("ascii")
        if isinstance(body, bytes) and len(body) <= AT_ONCE:
            connection.ask(self, method, data + body)
        else:
            connection.ask(self, method, data, producer_for(body))

    def _head(self, request: UpstreamRequest) -> bytes:
        heads = self._pool.heads
        key = (request.method, request.target)
        begun = heads.get(key)
        if begun is None:
            begun = beginning(*key, self._pool.origin.netloc)
            if len(heads) >= BEGINNINGS:
                heads.clear()
            heads[key] = begun
        body = request.body
        length = len(body) if isinstance(body, bytes) else body.length
        return complete(begun, request.method, request.headers, length)

    # ── the answer, told by the connection ────────────────────────────────────────────

    def answered(self, head: ResponseHead) -> EngineResponse | None:
        """The head is here: refuse it, or make it an answer."""
        request, connection, result = self._request, self._connection, self._result
        if request is None or connection is None or result is None:
            return None
        refusal, fields = _admit(head)
        if refusal:
            connection.drop()
            self._fail(
                UpstreamProtocol(
                    refusal, stage=Stage.FIRST_BYTE, deployment=request.deployment, upstream_status=head.status
                )
            )
            return None
        if self._deadline is not None:
            self._stop_deadline()
        response = EngineResponse(
            connection,
            head.status,
            fields,
            self._wheel,
            request.deployment,
            request.timeouts,
            self._total,
            result,
            streamed=request.stream,
        )
        self._response = None if self._total is None else response  # `_late_in_total` hands on
        self._request = self._connection = self._result = self._total = None
        return response

    def announced(self) -> None:
        """There is nothing here to announce."""

    def took(self, data: bytes) -> None:
        """There is no body before the head."""

    def ended(self) -> None:
        """There is no end before the head."""

    def broken(self, how: Break, cause: Exception) -> None:
        """The connection brought no answer; if it was a kept one that had died, use a fresh one."""
        connection, self._connection = self._connection, None
        self._stop_deadline()
        dead = how is Break.UNANSWERED or how is Break.UNSENT
        if dead and connection is not None and connection.reused and self._request is not None:
            self._seek(self._request, fresh=True)
        else:
            self._fail(before_head(how, cause, self._deployment))

    # ── the end ───────────────────────────────────────────────────────────────────────

    @property
    def _deployment(self) -> str:
        return "" if self._request is None else self._request.deployment

    def _late_in_connect(self) -> None:
        self._expired("connect")

    def _late_in_first_byte(self) -> None:
        self._expired("first_byte")

    def _late_in_total(self) -> None:
        if self._response is not None:
            self._response.late_in_total()
        else:
            self._expired("total")

    def _expired(self, deadline: str) -> None:
        connection = self._connection
        stage = Stage.FIRST_BYTE
        if connection is None:
            stage = Stage.CONNECT
        elif connection.sending:
            stage = Stage.SEND
        self._give_up()
        self._fail(timed_out(deadline, stage, self._deployment))

    def _cancelled(self, _: object) -> None:
        """Nobody waits any more."""
        self._result = None
        self._give_up()
        self._release()

    def _give_up(self) -> None:
        """Drop what is under way."""
        connection, self._connection = self._connection, None
        search, self._search = self._search, None
        if connection is not None:
            connection.drop()
        if search is not None:
            search.cancel()

    def _fail(self, error: RelayError) -> None:
        result, self._result = self._result, None
        self._release()
        if result is not None:
            result.errback(error)

    def _release(self) -> None:
        """Let go of everything."""
        self._connection = self._request = None
        self._stop_deadline()
        if self._total is not None:
            self._total.cancel()
            self._total = None

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _admit(head: ResponseHead) -> tuple[str, Headers]:
    """Judge a head: why it is refused, or "", and the fields that the caller may see."""
    fields, refusal = head.fields, ""
    if not _LEFT_OUT.isdisjoint(dict(fields)):
        codings = b",".join(value for name, value in fields if name == b"content-encoding")
        if any(coding.strip().lower() not in _CODINGS for coding in codings.split(b",")):
            refusal = "The provider's answer is compressed, which relay did not ask for."
        fields = tuple(field for field in fields if field[0] not in _LEFT_OUT)
    if 300 <= head.status <= 399:
        refusal = "The provider answered with a redirect, which relay does not follow."
    return refusal, fields
