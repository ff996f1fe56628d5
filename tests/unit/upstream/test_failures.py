"""Tests of what becomes of Twisted's failures."""

from __future__ import annotations

from typing import Any, cast

from OpenSSL.SSL import Error as TLSError
from service_identity import VerificationError

from twisted.internet.error import (
    ConnectError,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,  # noqa: A004  # Twisted's name
    DNSLookupError,
    NoRouteError,
    TCPTimedOutError,
    TimeoutError,  # noqa: A004  # Twisted's name
)
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web._newclient import ParseError, RequestNotSent
from twisted.web.client import (
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http import PotentialDataLoss, _DataLoss, _MalformedChunkedDataError

from relay.errors import (
    Overloaded,
    TruncatedStream,
    UpstreamError,
    UpstreamProtocol,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from relay.outcome import Stage
from relay.upstream.connection import Lease
from relay.upstream.failures import at_body_end, before_body, timed_out, unanswered

LOST = [Failure(ConnectionLost())]
DONE = [Failure(ConnectionDone())]


def connected(fault: str = "", lost: Exception | None = None) -> Lease:
    """A lease that has a connection."""
    lease = Lease(b"/")
    lease.connection = cast("Any", object())
    lease.fault = fault
    lease.lost = Failure(lost) if lost else None
    return lease


class BeforeBodyTests(SynchronousTestCase):
    """Up to the end of the head."""

    def check(self, table: tuple[tuple[Exception, type[UpstreamError]], ...], lease: Lease, stage: Stage) -> None:
        """Each failure becomes its class, at the stage."""
        for raised, kind in table:
            error = before_body(raised, lease, "p/m")
            assert isinstance(error, UpstreamError)
            self.assertEqual((type(error), error.stage, error.deployment), (kind, stage, "p/m"), repr(raised))
            self.assertNotIn("secret.example", error.message)

    def test_connecting(self) -> None:
        """Without a connection, everything happened while connecting, and names no address."""
        table: tuple[tuple[Exception, type[UpstreamError]], ...] = (
            (DNSLookupError("no secret.example"), UpstreamUnreachable),
            (ConnectionRefusedError("secret.example"), UpstreamUnreachable),
            (NoRouteError(), UpstreamUnreachable),
            (ConnectError("secret.example"), UpstreamUnreachable),
            (TCPTimedOutError(), UpstreamUnreachable),
            (TLSError([("secret.example", "", "")]), UpstreamUnreachable),
            (VerificationError(errors=[]), UpstreamUnreachable),
            (ConnectionLost(), UpstreamUnreachable),
            (TimeoutError(), UpstreamTimeout),
        )
        self.check(table, Lease(b"/"), Stage.CONNECT)

    def test_unexpectedWhileConnecting(self) -> None:
        """What nobody foresaw is logged, with its traceback, and unreachable for the client."""
        self.check(((ZeroDivisionError("secret.example"), UpstreamUnreachable),), Lease(b"/"), Stage.CONNECT)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_sending(self) -> None:
        """A connection that fails before the request is out."""
        table: tuple[tuple[Exception, type[UpstreamError]], ...] = (
            (RequestTransmissionFailed(LOST), UpstreamUnreachable),
            (RequestNotSent(), UpstreamUnreachable),
        )
        self.check(table, connected(), Stage.SEND)
        self.check(((RequestGenerationFailed([Failure(EOFError())]), UpstreamUnreachable),), connected(), Stage.SEND)
        self.assertEqual(len(self.flushLoggedErrors(RequestGenerationFailed)), 1)

    def test_ownBody(self) -> None:
        """An error of the request's own body comes back as it is."""
        own = Overloaded("the disk is gone")
        self.assertIs(before_body(RequestGenerationFailed([Failure(own)]), connected(), "p/m"), own)
        self.assertIs(before_body(own, connected(), "p/m"), own)

    def test_head(self) -> None:
        """No byte is unreachable; a part of a head, or what is none, is a malformed answer."""
        table: tuple[tuple[Exception, type[UpstreamError]], ...] = (
            (ResponseNeverReceived(LOST), UpstreamUnreachable),
            (ResponseFailed(LOST), UpstreamProtocol),
            (ResponseFailed(DONE), UpstreamProtocol),
            (ResponseFailed([Failure(ParseError("wrong", b"secret.example"))]), UpstreamProtocol),
        )
        self.check(table, connected(), Stage.FIRST_BYTE)

    def test_fault(self) -> None:
        """What relay itself found fault with explains whatever came of that."""
        for raised in (ResponseNeverReceived(LOST), RequestTransmissionFailed(LOST)):
            error = before_body(raised, connected("too large a head"), "p/m")
            self.assertEqual((type(error), error.message), (UpstreamProtocol, "too large a head"))

    def test_unanswered(self) -> None:
        """Only failures without one byte of an answer allow a second try on a fresh connection."""
        good = (RequestNotSent(), RequestTransmissionFailed(LOST), ResponseNeverReceived(LOST))
        bad = (ResponseFailed(LOST), RequestGenerationFailed(LOST), ConnectionLost(), ValueError())
        self.assertEqual([unanswered(each) for each in (*good, *bad)], [True] * 3 + [False] * 4)

    def test_deadlines(self) -> None:
        """Each deadline has its name and a sentence."""
        for name in ("connect", "first_byte", "idle", "total"):
            error = timed_out(name, Stage.STREAM, "p/m")
            self.assertEqual((error.deadline, error.stage, error.http_status), (name, Stage.STREAM, 504))


class BodyEndTests(SynchronousTestCase):
    """How a body ended."""

    def test_ends(self) -> None:
        """Whole, cut, or malformed."""
        table: tuple[tuple[Exception, Exception | None, type[UpstreamError] | None], ...] = (
            (ResponseDone(), None, None),
            (PotentialDataLoss(), ConnectionDone(), None),
            (PotentialDataLoss(), ConnectionLost(), TruncatedStream),
            (PotentialDataLoss(), None, TruncatedStream),
            (ResponseFailed([*LOST, Failure(_DataLoss())]), ConnectionLost(), TruncatedStream),
            (ResponseFailed([*DONE, Failure(_DataLoss())]), ConnectionDone(), TruncatedStream),
            (ResponseFailed([Failure(_MalformedChunkedDataError()), Failure(_DataLoss())]), None, UpstreamProtocol),
        )
        for reason, lost, kind in table:
            error = at_body_end(Failure(reason), connected(lost=lost), "p/m")
            self.assertIs(type(error) if error else None, kind, repr((reason, lost)))
            if error is not None:
                self.assertEqual((error.stage, error.deployment), (Stage.STREAM, "p/m"))

    def test_unexpected(self) -> None:
        """An error of relay's own that broke the body off is logged, and a malformed answer for the client."""
        reason = Failure(ResponseFailed([Failure(ZeroDivisionError()), Failure(_DataLoss())]))
        self.assertIsInstance(at_body_end(reason, connected(), "p/m"), UpstreamProtocol)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
