"""What Twisted says of a failed exchange, in relay's words: error class, stage, deadline.

No message names a host, an address or a key: clients may read them.
"""

from __future__ import annotations

from OpenSSL.SSL import Error as TLSError
from service_identity import CertificateError, VerificationError

from twisted.internet.error import (
    ConnectError,
    ConnectionAborted,
    ConnectionClosed,
    ConnectionDone,
    ConnectionRefusedError,  # noqa: A004  # Twisted's name
    DNSLookupError,
    TimeoutError,  # noqa: A004  # Twisted's name
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web._newclient import ConnectionAborted as AnswerAborted
from twisted.web._newclient import RequestNotSent
from twisted.web.client import (
    RequestTransmissionFailed,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http import PotentialDataLoss, _DataLoss, _MalformedChunkedDataError

from relay.errors import (
    RelayError,
    TruncatedStream,
    UpstreamError,
    UpstreamProtocol,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from relay.outcome import Stage
from relay.upstream.connection import Lease

_log = Logger()

_LOSSES = (ConnectionClosed, ConnectionAborted, AnswerAborted, _DataLoss)

_DEADLINES = {
    "connect": "The provider did not accept a connection in time.",
    "first_byte": "The provider did not begin to answer in time.",
    "idle": "The provider stopped sending in the middle of its answer.",
    "total": "The provider did not finish its answer in time.",
}


def timed_out(deadline: str, stage: Stage, deployment: str) -> UpstreamTimeout:
    """The error for a deadline that has passed."""
    return UpstreamTimeout(_DEADLINES[deadline], deadline=deadline, stage=stage, deployment=deployment)


def unanswered(error: Exception) -> bool:
    """Whether a request failed before one byte of an answer came."""
    return isinstance(error, (RequestNotSent, RequestTransmissionFailed, ResponseNeverReceived))


def before_body(error: Exception, lease: Lease, deployment: str) -> RelayError:
    """The error for a request that got no complete answer head.

    Args:
        error: what the agent failed with.
        lease: the request's hold on its connection.
        deployment: the deployment's name.

    Returns:
        An `UpstreamError`; a `RelayError` that the request's own body failed with comes back as it is.
    """
    if isinstance(error, RelayError):
        return error
    if lease.connection is None:
        return connecting(error, deployment)
    if lease.fault:
        return UpstreamProtocol(lease.fault, stage=Stage.FIRST_BYTE, deployment=deployment)
    causes = [cause.value for cause in getattr(error, "reasons", ())]
    if isinstance(error, ResponseNeverReceived):
        text = "The provider closed the connection without an answer."
        return UpstreamUnreachable(text, stage=Stage.FIRST_BYTE, deployment=deployment)
    if isinstance(error, ResponseFailed):
        cut = all(isinstance(cause, _LOSSES) for cause in causes)
        text = "The provider broke off its answer." if cut else "The provider's answer is not valid HTTP."
        return UpstreamProtocol(text, stage=Stage.FIRST_BYTE, deployment=deployment)
    for cause in causes:
        if isinstance(cause, RelayError):
            return cause
    if not isinstance(error, (RequestTransmissionFailed, RequestNotSent)):
        _log.failure("a request could not be sent", Failure(error))
    text = "The connection to the provider was lost while the request was being sent."
    return UpstreamUnreachable(text, stage=Stage.SEND, deployment=deployment)


def connecting(error: Exception, deployment: str) -> UpstreamError:
    """The error for a connection that did not come about."""
    stage = Stage.CONNECT
    if isinstance(error, TimeoutError):
        return timed_out("connect", stage, deployment)
    if isinstance(error, DNSLookupError):
        text = "The provider's host name could not be resolved."
    elif isinstance(error, (TLSError, CertificateError, VerificationError)):
        text = "No secure connection to the provider: its TLS certificate was not accepted, or TLS failed."
    elif isinstance(error, ConnectionRefusedError):
        text = "The provider refused the connection."
    else:
        if not isinstance(error, (ConnectError, ConnectionClosed)):
            _log.failure("connecting failed", Failure(error))
        text = "The provider could not be reached."
    return UpstreamUnreachable(text, stage=stage, deployment=deployment)


def at_body_end(reason: Failure, lease: Lease, deployment: str) -> UpstreamError | None:
    """Judge the end of a body.

    A body without a length ends with the connection: only a tidy close counts.

    Args:
        reason: what Twisted says of the end.
        lease: the request's hold on its connection.
        deployment: the deployment's name.

    Returns:
        None if the body is whole, else what is wrong with it.
    """
    if reason.check(ResponseDone):
        return None
    if reason.check(PotentialDataLoss) and lease.lost is not None and lease.lost.check(ConnectionDone):
        return None
    causes = [cause.value for cause in getattr(reason.value, "reasons", ())]
    strange = [cause for cause in causes if not isinstance(cause, _LOSSES)]
    if strange:
        if not isinstance(strange[0], _MalformedChunkedDataError):
            _log.failure("an answer's body could not be taken", Failure(strange[0]))
        text = "The provider's answer is not valid HTTP."
        return UpstreamProtocol(text, stage=Stage.STREAM, deployment=deployment)
    text = "The provider broke off its answer."
    return TruncatedStream(text, stage=Stage.STREAM, deployment=deployment)
