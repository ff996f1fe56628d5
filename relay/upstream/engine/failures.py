"""How an exchange over the engine failed, in relay's words: the same errors, stages and messages as everywhere.

No message names a host, an address or a key: clients may read them.
"""

from __future__ import annotations

from twisted.logger import Logger
from twisted.python.failure import Failure

from relay.errors import RelayError, TruncatedStream, UpstreamProtocol, UpstreamUnreachable
from relay.outcome import Stage
from relay.upstream.engine.taker import Break
from relay.wire.http import HeadError

_log = Logger()


def before_head(how: Break, cause: Exception, deployment: str) -> RelayError:
    """The error for a request that got no complete answer head.

    Args:
        how: how the exchange broke off.
        cause: what the connection said.
        deployment: the deployment's name.

    Returns:
        An `UpstreamError`; a `RelayError` that the request's own body failed with comes back as it is.
    """
    if how is Break.UNANSWERED:
        text = "The provider closed the connection without an answer."
        return UpstreamUnreachable(text, stage=Stage.FIRST_BYTE, deployment=deployment)
    if how is Break.CUT:
        text = "The provider broke off its answer."
        return UpstreamProtocol(text, stage=Stage.FIRST_BYTE, deployment=deployment)
    if how is Break.MALFORMED:
        return malformed(cause, Stage.FIRST_BYTE, deployment)
    return _unsent(how, cause, deployment)


def in_body(how: Break, cause: Exception, deployment: str) -> RelayError:
    """The error for an answer that broke off behind its head; see `before_head`."""
    if how is Break.MALFORMED:
        return malformed(cause, Stage.STREAM, deployment)
    if how is Break.UPLOAD:
        return _unsent(how, cause, deployment)
    return cut_off(deployment)


def cut_off(deployment: str) -> TruncatedStream:
    """The error for a body that is not whole."""
    return TruncatedStream("The provider broke off its answer.", stage=Stage.STREAM, deployment=deployment)


def malformed(cause: Exception, stage: Stage, deployment: str) -> UpstreamProtocol:
    """The error for an answer that is not HTTP as relay accepts it."""
    why = cause.message if isinstance(cause, HeadError) else str(cause)
    text = f"The provider's answer is not valid HTTP. {why}"
    return UpstreamProtocol(text, stage=stage, deployment=deployment)


def _unsent(how: Break, cause: Exception, deployment: str) -> RelayError:
    if how is Break.UPLOAD:
        if isinstance(cause, RelayError):
            return cause
        _log.failure("a request's body could not be read", Failure(cause))
    text = "The connection to the provider was lost while the request was being sent."
    return UpstreamUnreachable(text, stage=Stage.SEND, deployment=deployment)
