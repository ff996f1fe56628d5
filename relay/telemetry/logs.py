"""What is logged: one line per exchange, and the events of relay's and Twisted's loggers.

Prompts, answers and keys are in neither: an exchange line holds only what its record
holds, an event only its message and plain values, and known secrets are masked in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import msgspec

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from relay.exchange import ExchangeRecord
from relay.interfaces import IObserver, of_no_interest
from relay.outcome import Outcome
from relay.secret import Redactor
from relay.telemetry.lines import LogFormat, Scalar, json_line, text_line, timestamp
from relay.telemetry.output import LogOutput
from relay.telemetry.rendering import QuickJSON

Redaction = Callable[[], Redactor]
"""Gives the redactor in force: secrets change with the configuration."""

_LEVELS = {
    Outcome.UPSTREAM_CUT.value: "warn",
    Outcome.UPSTREAM_ERROR.value: "warn",
    Outcome.TIMEOUT.value: "warn",
    Outcome.OVERLOADED.value: "warn",
    Outcome.INTERNAL.value: "error",
}
"""Levels other than info: a provider's fault is a warning, relay's own an error, a client's neither."""


class ExchangeLine(msgspec.Struct):
    """The data of an exchange's line, in the order in which it is written."""

    ts: str
    level: str
    event: str
    request_id: str
    upstream_request_id: str
    client: str
    key: str
    method: str
    endpoint: str
    front: str
    back: str
    provider: str
    deployment: str
    model: str
    upstream_model: str
    stream: bool
    status: int
    outcome: str
    error: str
    duration_ms: float
    upstream_ms: float
    ttft_ms: float | None
    attempts: int
    chunks: int
    bytes_in: int
    bytes_out: int
    input_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    estimated: bool
    finish: str
    generation: int
    dropped: str


def exchange_line(record: ExchangeRecord) -> ExchangeLine:
    """A record as the data of its line; the line's time is that of the exchange's end."""
    usage, key, outcome = record.usage, record.key, record.outcome.value
    return ExchangeLine(
        ts=timestamp(record.time + record.duration),
        level=_LEVELS.get(outcome, "info"),
        event="exchange",
        request_id=record.id,
        upstream_request_id=record.upstream_id,
        client=record.client,
        key=key.name if key.configured else key.id,
        method=record.method,
        endpoint=record.endpoint,
        front=record.front,
        back=record.back,
        provider=record.provider,
        deployment=record.deployment,
        model=record.model,
        upstream_model=record.upstream_model,
        stream=record.stream,
        status=record.status,
        outcome=outcome,
        error=record.error,
        duration_ms=round(record.duration * 1000, 3),
        upstream_ms=round(record.upstream_duration * 1000, 3),
        ttft_ms=None if record.ttft is None else round(record.ttft * 1000, 3),
        attempts=record.attempts,
        chunks=record.chunks,
        bytes_in=record.bytes_in,
        bytes_out=record.bytes_out,
        input_tokens=usage.input,
        cached_tokens=usage.cached,
        cache_write_tokens=usage.cache_write,
        output_tokens=usage.output,
        reasoning_tokens=usage.reasoning,
        estimated=record.estimated,
        finish=record.finish,
        generation=record.generation,
        dropped=",".join(record.dropped),
    )


@implementer(IObserver)
class ExchangeLog:
    """Writes one line per exchange.

    Args:
        output: where lines go.
        redaction: gives the redactor in force.
        style: JSON or text.
    """

    def __init__(self, output: LogOutput, redaction: Redaction, style: LogFormat) -> None:
        self._output = output
        self._redaction = redaction
        self._render = QuickJSON(_exchange_json, _LEVELS) if style is LogFormat.JSON else _exchange_text

    exchange_started = staticmethod(of_no_interest)

    attempt_ended = staticmethod(of_no_interest)

    def exchange_settled(self, record: ExchangeRecord) -> None:
        """Have the line written."""
        self._output.append(self._line, record)

    def _line(self, record: ExchangeRecord) -> bytes:
        return self._render(self._masked(record))

    def _masked(self, record: ExchangeRecord) -> ExchangeRecord:
        """The record without known secrets, which clients and providers can put into a few fields only."""
        redactor = self._redaction()
        said = f"{record.id}\n{record.upstream_id}\n{record.finish}"
        if record.model_label == "other":  # else these are names from the configuration
            said = f"{said}\n{record.model}\n{record.deployment}\n{record.upstream_model}"
        if not redactor.finds(said):
            return record
        text = redactor.text
        return msgspec.structs.replace(
            record,
            id=text(record.id),
            upstream_id=text(record.upstream_id),
            model=text(record.model),
            deployment=text(record.deployment),
            upstream_model=text(record.upstream_model),
            finish=text(record.finish),
            dropped=tuple(map(text, record.dropped)),
        )


def _exchange_json(record: ExchangeRecord) -> bytes:
    return json_line(msgspec.structs.asdict(exchange_line(record)))


def _exchange_text(record: ExchangeRecord) -> bytes:
    line = exchange_line(record)
    shown: dict[str, Scalar] = {
        "provider": line.provider,
        "model": line.model,
        "upstream_model": line.upstream_model if line.upstream_model != line.model else "",
        "stream": line.stream or None,
        "ttft_ms": line.ttft_ms,
        "input_tokens": line.input_tokens,
        "output_tokens": line.output_tokens,
        "estimated": line.estimated or None,
        "error": line.error,
        "dropped": line.dropped,
        "key": line.key,
        "client": line.client,
        "request_id": line.request_id,
        "upstream_request_id": line.upstream_request_id,
    }
    message = f"{line.method} {line.endpoint} {line.status} {line.outcome} {line.duration_ms:.1f} ms"
    return text_line(line.ts, line.level, message, shown)


# ── events ────────────────────────────────────────────────────────────────────────────

_RESERVED = frozenset(("ts", "level", "event", "logger", "message", "traceback"))
_LEGACY = frozenset(("message", "time", "system", "format", "isError", "failure", "why", "logLevel"))
"""Fields that Twisted's legacy logging adds to every event; they repeat what the line has."""


@implementer(ILogObserver)
class EventLog:
    """Writes one line per event of `twisted.logger`, whoever logged it.

    Args:
        output: where lines go.
        redaction: gives the redactor in force.
        style: JSON or text.
    """

    def __init__(self, output: LogOutput, redaction: Redaction, style: LogFormat) -> None:
        self._output = output
        self._redaction = redaction
        self._render = _event_json if style is LogFormat.JSON else _event_text

    def __call__(self, event: LogEvent) -> None:
        """Write the event's line, unless it is one for debugging or says nothing."""
        if _event_level(event) is LogLevel.debug:
            return
        redactor = self._redaction()
        message = formatEvent(event)
        failure = cast("Failure | None", event.get("log_failure"))
        if not message and failure is None:
            return
        trace = "" if failure is None else redactor.text(failure.getTraceback())
        fields = {name: _masked(value, redactor) for name, value in _fields(event)}
        self._output.write(self._render(event, redactor.text(message), fields, trace))


def _event_level(event: LogEvent) -> Any:
    return event.get("log_level", LogLevel.info)


def _fields(event: LogEvent) -> Iterator[tuple[str, Scalar]]:
    """The event's plain values. Other objects stay out: their ``repr`` may show a request with its query."""
    for name, value in event.items():
        plain = value is None or isinstance(value, str | int | float | bool)
        if plain and not name.startswith("log_") and name not in _LEGACY:
            yield (f"{name}_" if name in _RESERVED else name), cast("Scalar", value)


def _masked(value: Scalar, redactor: Redactor) -> Scalar:
    return redactor.text(value) if isinstance(value, str) else value


def _event_json(event: LogEvent, message: str, fields: dict[str, Scalar], trace: str) -> bytes:
    head: dict[str, Scalar] = {
        "ts": timestamp(event.get("log_time", 0.0)),
        "level": _event_level(event).name,
        "event": "log",
        "logger": event.get("log_namespace", "-"),
        "message": message,
    }
    return json_line({**head, **fields}, trace)


def _event_text(event: LogEvent, message: str, fields: dict[str, Scalar], trace: str) -> bytes:
    """The line for people; what the message shows already is not repeated."""
    form = event.get("log_format") or ""
    rest = {name: value for name, value in fields.items() if f"{{{name}" not in form}
    namespace = event.get("log_namespace", "-")
    return text_line(
        timestamp(event.get("log_time", 0.0)), _event_level(event).name, f"[{namespace}] {message}", rest, trace
    )
