"""Error answers as the providers write them."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs
import msgspec

from relay.dialects.registry import DIALECTS
from relay.echo.knobs import Knobs
from relay.echo.reply import Reply, whole
from relay.errors import RelayError


class Shape(enum.Enum):
    """Whose errors an endpoint writes."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    COHERE = "cohere"
    OLLAMA = "ollama"
    BEDROCK = "bedrock"


_OPENAI_KINDS: Mapping[int, tuple[str, str | None]] = {
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
"""Status → type and code where they are not plain ones.

See: https://platform.openai.com/docs/guides/error-codes (read 2026-11).
"""

_BEDROCK_KINDS: Mapping[int, bytes] = {
    403: b"AccessDeniedException",
    404: b"ResourceNotFoundException",
    408: b"ModelTimeoutException",
    424: b"ModelErrorException",
    429: b"ThrottlingException",
    503: b"ServiceUnavailableException",
}
"""Status → type, which stands in a header.

See: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (Errors, read 2026-11).
"""

_ANTHROPIC_KINDS: Mapping[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Status → type. See: https://docs.anthropic.com/en/api/errors (read 2026-11)."""


class _Said(RelayError):
    """An error of any status, for the renderers of relay's dialects."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self._status = status

    @property
    def http_status(self) -> int:
        """The status asked for."""
        return self._status


def error_body(shape: Shape, status: int, message: str, request_id: str, param: str | None = None) -> bytes:
    """The JSON body of an error answer.

    Args:
        shape: whose.
        status: HTTP status, 400 to 599.
        message: what to say.
        request_id: id of the request, which Anthropic repeats in the body.
        param: the field at fault, which OpenAI names.
    """
    plain = "invalid_request_error" if status < 500 else "server_error"
    if shape is Shape.OPENAI:
        kind, code = _OPENAI_KINDS.get(status, (plain, None))
        return msgspec.json.encode({"error": {"message": message, "type": kind, "param": param, "code": code}})
    if shape is not Shape.ANTHROPIC:
        return DIALECTS[shape.value].render_error(_Said(message, status), request_id)
    kind = _ANTHROPIC_KINDS.get(status, "invalid_request_error" if status < 500 else "api_error")
    error = {"type": kind, "message": message}
    return msgspec.json.encode({"type": "error", "error": error, "request_id": request_id})


def error_headers(shape: Shape, status: int) -> tuple[tuple[bytes, bytes], ...]:
    """What an error answer tells in its head."""
    if shape is not Shape.BEDROCK:
        return ()
    plain = b"ValidationException" if status < 500 else b"InternalServerException"
    return ((b"x-amzn-errortype", _BEDROCK_KINDS.get(status, plain)),)


def asked_error(shape: Shape, knobs: Knobs, status: int, request_id: str) -> Reply:
    """The error answer that the knobs ask for."""
    body = error_body(shape, status, knobs.message, request_id)
    reply = whole(body, Knobs(first_delay_ms=knobs.first_delay_ms))
    headers = error_headers(shape, status)
    if knobs.retry_after is not None:
        headers = (*headers, (b"retry-after", b"%g" % knobs.retry_after))
    return attrs.evolve(reply, status=status, headers=headers)
