"""What a provider's error says, and which of relay's errors it is."""

from __future__ import annotations

from collections.abc import Mapping

from relay.dialects.lenient import load, mapping, sequence, text
from relay.dialects.refusals import meaning
from relay.errors import (
    UpstreamCredential,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamRefused,
)
from relay.outcome import Stage

LONGEST = 2000
"""Characters of a provider's message that are kept."""

_STATUS: Mapping[str, int] = {
    "invalid_request_error": 400,
    "invalid_request": 400,
    "invalid_prompt": 400,
    "invalid_argument": 400,
    "failed_precondition": 400,
    "bad_request": 400,
    "context_length_exceeded": 400,
    "content_filter": 400,
    "content_policy_violation": 400,
    "tool_use_failed": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "unauthenticated": 401,
    "billing_error": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "not_found": 404,
    "model_not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "ratelimitreached": 429,
    "too_many_requests": 429,
    "resource_exhausted": 429,
    "insufficient_quota": 429,
    "requests": 429,
    "tokens": 429,
    "api_error": 500,
    "server_error": 500,
    "internal": 500,
    "internal_error": 500,
    "internal_server_error": 500,
    "bad_gateway": 502,
    "overloaded": 503,
    "unavailable": 503,
    "service_unavailable": 503,
    "server_overloaded": 503,
    "server_is_overloaded": 503,
    "slow_down": 503,
    "timeout_error": 504,
    "deadline_exceeded": 504,
    "overloaded_error": 529,
    "validationexception": 400,
    "servicequotaexceededexception": 400,
    "unrecognizedclientexception": 403,
    "accessdeniedexception": 403,
    "resourcenotfoundexception": 404,
    "throttlingexception": 429,
    "modelnotreadyexception": 429,
    "internalserverexception": 500,
    "modelerrorexception": 502,
    "modelstreamerrorexception": 502,
    "serviceunavailableexception": 503,
    "modeltimeoutexception": 504,
}
"""Error codes and types of the providers, in lower case, and the status each would have had before the stream.

See: https://platform.openai.com/docs/guides/error-codes, https://docs.claude.com/en/api/errors,
https://cloud.google.com/apis/design/errors,
https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html (read 2026-11).
"""


def read_error(body: bytes) -> tuple[str, str]:
    """Message and code of an error answer or error event; "" where absent. Never raises.

    Reads the forms of every dialect, because an OpenAI-compatible provider may answer in any of them:
    ``{"error": {...}}``, ``{"error": "text"}``, ``{"message": ...}``, ``{"detail": ...}``, and a list of one.
    """
    value = load(body)
    if isinstance(value, list) and value:
        value = value[0]
    return describe(mapping(value))


def describe(body: Mapping[str, object]) -> tuple[str, str]:
    """Message and code of a decoded error answer; "" where absent."""
    error = body.get("error")
    if isinstance(error, dict):
        return _message(error), _code(error)
    if isinstance(error, str) and error:
        return error, _code(body)
    code = _code(body)
    return _message(body), "" if code == "error" else code  # "type": "error" names the event, not the fault


def upstream_error(message: str, code: str, deployment: str) -> UpstreamError:
    """The error for what a provider reported inside a stream.

    Args:
        message: the provider's words, cut to `LONGEST` characters.
        code: its code or type; a status in digits counts as one.
        deployment: the deployment's name.
    """
    said = message[:LONGEST] or "The provider reported an error in its stream."
    status = int(code) if len(code) == 3 and code.isascii() and code.isdigit() else _STATUS.get(code.lower())
    if status in (401, 403):
        return UpstreamCredential(said, stage=Stage.STREAM, deployment=deployment, upstream_status=status)
    kind: type[UpstreamError] = UpstreamError
    if status == 429:
        kind = UpstreamRateLimited
    elif status is not None and 400 <= status <= 499:
        kind = UpstreamRefused
    elif status is not None and 500 <= status <= 599:
        kind = UpstreamOverloaded
    about = meaning(message, code, status)
    return kind(said, stage=Stage.STREAM, deployment=deployment, upstream_status=status, code=about)


def _message(error: Mapping[str, object]) -> str:
    """The human-readable part, wherever it is."""
    for name in ("message", "detail", "msg"):
        value = error.get(name)
        if isinstance(value, str) and value:
            return value
        for item in sequence(value):  # a validation report: one object a fault
            found = text(item) or _message(mapping(item))
            if found:
                return found
    return ""


def _code(error: Mapping[str, object]) -> str:
    """The most telling machine-readable part: a word before a number."""
    code = error.get("code")
    number = str(code) if isinstance(code, int) and not isinstance(code, bool) else ""
    return text(code) or text(error.get("status")) or text(error.get("type")) or number
