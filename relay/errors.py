"""Every error that relay raises on purpose, in one tree.

::

    RelayError                      status, code, retryable, message safe for clients
    ├─ RequestError                 the client can fix it
    │  ├─ InvalidRequest 400   Unauthenticated 401   Forbidden 403
    │  ├─ UnknownModel, UnknownPath 404   MethodNotAllowed 405   RequestTimeout 408
    │  ├─ TooLarge 413   UnsupportedMedia 415   HeadTooLarge 431
    │  ├─ DialectUnsupported 400 (this provider does not speak it)   WouldDrop 400 (strict mode)
    │  └─ RateLimited 429 (retry_after)   BudgetExceeded 429
    ├─ UpstreamError                stage, deployment, upstream_status
    │  ├─ UpstreamUnreachable 502   UpstreamTimeout 504
    │  ├─ UpstreamOverloaded 503    UpstreamRateLimited 429
    │  ├─ UpstreamRefused           the provider rejected what the client sent: status kept
    │  ├─ UpstreamCredential        our key was refused: 502, never retried by the client
    │  └─ UpstreamProtocol 502      malformed answer
    │     └─ TruncatedStream        ended without its terminal event
    ├─ NoDeployment 503   Overloaded 503   Draining 503 (retry_after)
    ├─ ClientGone 499               not an error in logs; the upstream is aborted
    └─ ConfigError                  file, JSON path, what was expected, the nearest valid name

The message of an error may be shown to clients: it never holds a key, an upstream
address or a traceback. What a provider said travels in `Answer` and is passed on
only where front and back speak the same dialect.
"""

from __future__ import annotations

from typing import ClassVar

from relay.outcome import Answer, Outcome, Stage


class RelayError(Exception):
    """Base of all errors that relay raises on purpose.

    Args:
        message: one or two plain sentences, safe to show to a client.
        param: the request field at fault (``messages[0].role``), if one is.
        code: replaces the class's machine-readable code.
        retry_after: seconds after which trying again makes sense.
        should_retry: tells SDKs to repeat (True), not to (False), or to decide by status (None).
    """

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False
    outcome: ClassVar[Outcome] = Outcome.INTERNAL

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code if code is not None else self.default_code
        self.retry_after = retry_after
        self.should_retry = should_retry
        self.way: tuple[tuple[bytes, bytes], ...] = ()  # what the answer tells of the tries before it

    @property
    def http_status(self) -> int:
        """The status the client sees; differs from the class's where a provider's is kept."""
        return self.status

    @property
    def answer(self) -> Answer | None:
        """The provider's own answer, where there is one to pass on."""
        return None


# ── the client can fix it ────────────────────────────────────────────────────────────


class RequestError(RelayError):
    """The request is at fault; nothing has been sent to a provider."""

    status = 400
    default_code = "invalid_request"
    outcome = Outcome.REJECTED


class InvalidRequest(RequestError):
    """The body or a header is not what the endpoint takes."""


class Unauthenticated(RequestError):
    """No key, an unknown key, or two keys that disagree."""

    status = 401
    default_code = "invalid_api_key"


class Forbidden(RequestError):
    """The key is good but may not do this, or a foreign web page is asking."""

    status = 403
    default_code = "forbidden"


class UnknownModel(RequestError):
    """No configured provider has this model."""

    status = 404
    default_code = "model_not_found"


class UnknownPath(RequestError):
    """No endpoint has this path."""

    status = 404
    default_code = "unknown_path"


class MethodNotAllowed(RequestError):
    """The endpoint exists, the method does not.

    Args:
        message: as in `RelayError`.
        allowed: the methods that the endpoint takes, for the ``Allow`` header.
    """

    status = 405
    default_code = "method_not_allowed"

    def __init__(self, message: str, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class RequestTimeout(RequestError):
    """The client did not send its request in time."""

    status = 408
    default_code = "request_timeout"
    outcome = Outcome.TIMEOUT


class TooLarge(RequestError):
    """The body is larger than `server.body` allows."""

    status = 413
    default_code = "request_too_large"


class UnsupportedMedia(RequestError):
    """The content type or content encoding is not one the endpoint takes."""

    status = 415
    default_code = "unsupported_media_type"


class HeadTooLarge(RequestError):
    """The request's head has too many bytes or fields."""

    status = 431
    default_code = "head_too_large"


class DialectUnsupported(RequestError):
    """The chosen provider does not speak the dialect of this endpoint."""

    default_code = "dialect_unsupported"


class WouldDrop(RequestError):
    """Strict mode: a translation could not carry a field."""

    default_code = "would_drop"


class RateLimited(RequestError):
    """A configured request or token rate is used up.

    Args:
        message: as in `RelayError`.
        retry_after: seconds until one more request is allowed.
        limit: capacity of the bucket, for ``x-ratelimit-limit-requests``.
        reset: seconds until the bucket is full again.
    """

    status = 429
    default_code = "rate_limit_exceeded"
    retryable = True
    outcome = Outcome.LIMITED

    def __init__(self, message: str, *, retry_after: float, limit: int = 0, reset: float = 0.0) -> None:
        super().__init__(message, retry_after=retry_after)
        self.limit = limit
        self.reset = reset


class BudgetExceeded(RequestError):
    """A configured amount of money is used up; waiting a moment does not help."""

    status = 429
    default_code = "budget_exceeded"
    outcome = Outcome.LIMITED


# ── the provider, or the way to it ──────────────────────────────────────────────────


class UpstreamError(RelayError):
    """An attempt failed.

    Args:
        message: as in `RelayError`.
        stage: how far the attempt got.
        deployment: the deployment's name.
        upstream_status: the provider's HTTP status, if one came.
        retry_after: seconds the provider asked to wait.
        should_retry: as in `RelayError`.
        answer: the provider's own answer, if it may be passed on.
        code: as in `RelayError`.
    """

    status = 502
    default_code = "upstream_error"
    retryable = True
    outcome = Outcome.UPSTREAM_ERROR

    def __init__(
        self,
        message: str,
        *,
        stage: Stage,
        deployment: str = "",
        upstream_status: int | None = None,
        retry_after: float | None = None,
        should_retry: bool | None = None,
        answer: Answer | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, code=code, retry_after=retry_after, should_retry=should_retry)
        self.stage = stage
        self.deployment = deployment
        self.upstream_status = upstream_status
        self._answer = answer

    @property
    def answer(self) -> Answer | None:
        """The provider's own answer, where there is one to pass on."""
        return self._answer


class UpstreamUnreachable(UpstreamError):
    """No connection: name, route, TLS, or a connection lost before the answer began."""

    default_code = "upstream_unreachable"


class UpstreamTimeout(UpstreamError):
    """A named deadline passed: connect, first byte, idle or total.

    Args:
        message: as in `RelayError`.
        deadline: which deadline passed.
        stage: as in `UpstreamError`.
        deployment: as in `UpstreamError`.
    """

    status = 504
    default_code = "upstream_timeout"
    outcome = Outcome.TIMEOUT

    def __init__(self, message: str, *, deadline: str, stage: Stage, deployment: str = "") -> None:
        super().__init__(message, stage=stage, deployment=deployment)
        self.deadline = deadline


class _StatusKept(UpstreamError):
    """The client sees the status that the provider gave."""

    @property
    def http_status(self) -> int:
        """The provider's status if it is a valid error status, else the class's."""
        status = self.upstream_status
        return status if status is not None and 400 <= status <= 599 else self.status


class UpstreamOverloaded(_StatusKept):
    """The provider answered 5xx (500, 502, 503, 504, 529 …)."""

    status = 503
    default_code = "upstream_overloaded"


class UpstreamRateLimited(_StatusKept):
    """The provider answered 429."""

    status = 429
    default_code = "upstream_rate_limited"


class UpstreamRefused(_StatusKept):
    """The provider rejected what the client sent (4xx); repeating it is no use."""

    default_code = "upstream_refused"
    retryable = False


class UpstreamCredential(UpstreamError):
    """The provider refused relay's own credential; the client cannot mend that."""

    default_code = "upstream_credential_refused"
    retryable = False


class UpstreamProtocol(UpstreamError):
    """The answer is not what HTTP or the dialect allows: garbage, too large, compressed."""

    default_code = "upstream_protocol_error"


class TruncatedStream(UpstreamProtocol):
    """The stream ended without its terminal event and without a finish reason."""

    default_code = "upstream_stream_cut"
    outcome = Outcome.UPSTREAM_CUT


# ── relay's own state ────────────────────────────────────────────────────────────────


class NoDeployment(RelayError):
    """Every candidate is open, exhausted or excluded."""

    status = 503
    default_code = "no_deployment"
    retryable = True
    outcome = Outcome.OVERLOADED


class Overloaded(RelayError):
    """relay sheds load: too many connections, requests, or a full queue."""

    status = 503
    default_code = "overloaded"
    retryable = True
    outcome = Outcome.OVERLOADED


class Draining(RelayError):
    """relay is shutting down; another instance, or a later try, will serve."""

    status = 503
    default_code = "draining"
    retryable = True
    outcome = Outcome.OVERLOADED


class ClientGone(RelayError):
    """The client left; nobody reads this error, and logs do not call it one."""

    status = 499
    default_code = "client_gone"
    outcome = Outcome.CLIENT_GONE


class InternalError(RelayError):
    """What a client is told of an unexpected exception: that it happened, not what it was."""

    default_code = "internal_error"


class ConfigError(RelayError):
    """A provider file, the config file, an option or the environment is wrong.

    Args:
        expected: what is wrong and what was expected, one sentence.
        file: the file at fault as the operator named it, or None for options.
        path: JSON path inside it (``$.endpoints["/v1/x"].method``), or None.
        nearest: the nearest valid name, if something is close.
    """

    default_code = "config_error"

    def __init__(
        self,
        expected: str,
        *,
        file: str | None = None,
        path: str | None = None,
        nearest: str | None = None,
    ) -> None:
        where = ": ".join(part for part in (file, path) if part)
        hint = f" (did you mean {nearest!r}?)" if nearest else ""
        super().__init__(f"{where}: {expected}{hint}" if where else f"{expected}{hint}")
        self.expected = expected
        self.file = file
        self.path = path
        self.nearest = nearest
