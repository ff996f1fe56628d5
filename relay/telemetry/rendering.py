"""The JSON line of an exchange, in the quick way where all in it is plain.

Most of a line is the same as in many before it. Those parts are kept, checked and quoted;
only what is new is looked at, and only numbers are formatted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from relay.exchange import ExchangeRecord, KeyInfo
from relay.telemetry.lines import LONGEST, timestamp

_MOST = 1024
_LARGEST = 2**53
"""The largest number that every reader of JSON has exactly."""

_SURELY_SHORT = LONGEST // 4

_Common = tuple[KeyInfo, str, str, str, str, str, str, str, str, bool]


class QuickJSON:
    """Renders exchange lines.

    Args:
        careful: renders any record; used where a text is not plain or long.
        levels: outcome → level, where that is not ``info``.
    """

    def __init__(self, careful: Callable[[ExchangeRecord], bytes], levels: Mapping[str, str]) -> None:
        self._careful = careful
        self._level = levels.get
        self._known: dict[_Common, str] = {}
        self._second = -1
        self._stamp = ""

    def __call__(self, record: ExchangeRecord) -> bytes:
        """The line."""
        key = (
            record.key,
            record.method,
            record.endpoint,
            record.front,
            record.back,
            record.provider,
            record.deployment,
            record.model,
            record.upstream_model,
            record.stream,
        )
        common = self._known.get(key) or self._common(key)
        new = f"{record.id}{record.upstream_id}{record.client}{record.error}{record.finish}"
        if not common or record.dropped or not _is_plain(new):
            return self._careful(record)
        milliseconds = int((record.time + record.duration) * 1000)
        second = milliseconds // 1000
        if second != self._second:
            self._second, self._stamp = second, timestamp(second)[:-4]
        outcome, usage, ttft = record.outcome._value_, record.usage, record.ttft
        read, cached, written = usage.input, usage.cached, usage.cache_write
        output, reasoning = usage.output, usage.reasoning
        if (read or 0) + (cached or 0) + (written or 0) + (output or 0) + (reasoning or 0) > _LARGEST:
            return self._careful(record)
        return (
            f'{{"ts":"{self._stamp}{milliseconds - 1000 * second:03d}Z","level":"{self._level(outcome, "info")}",'
            f'"event":"exchange","request_id":"{record.id}","upstream_request_id":"{record.upstream_id}",'
            f'"client":"{record.client}",{common},"status":{record.status},"outcome":"{outcome}",'
            f'"error":"{record.error}","duration_ms":{record.duration * 1000:.3f},'
            f'"upstream_ms":{record.upstream_duration * 1000:.3f},'
            f'"ttft_ms":{"null" if ttft is None else f"{ttft * 1000:.3f}"},'
            f'"attempts":{record.attempts},"chunks":{record.chunks},"bytes_in":{record.bytes_in},'
            f'"bytes_out":{record.bytes_out},"input_tokens":{"null" if read is None else read},'
            f'"cached_tokens":{"null" if cached is None else cached},'
            f'"cache_write_tokens":{"null" if written is None else written},'
            f'"output_tokens":{"null" if output is None else output},'
            f'"reasoning_tokens":{"null" if reasoning is None else reasoning},'
            f'"estimated":{"true" if record.estimated else "false"},'
            f'"finish":"{record.finish}","generation":{record.generation},"dropped":""}}\n'
        ).encode("ascii")

    def _common(self, key: _Common) -> str:
        """The part of a line that many have in common; "" if not all of it is plain."""
        caller, *texts, stream = key
        method, endpoint, front, back, provider, deployment, model, upstream_model = texts
        name = caller.name if caller.configured else caller.id
        if not _is_plain(name + "".join(texts)):
            return ""
        common = (
            f'"key":"{name}","method":"{method}","endpoint":"{endpoint}","front":"{front}","back":"{back}",'
            f'"provider":"{provider}","deployment":"{deployment}","model":"{model}",'
            f'"upstream_model":"{upstream_model}","stream":{"true" if stream else "false"}'
        )
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = common
        return common


def _is_plain(text: str) -> bool:
    """Whether a text stands in JSON as it is, and is not so long that a line would have to be cut."""
    return len(text) < _SURELY_SHORT and text.isascii() and text.isprintable() and '"' not in text and "\\" not in text
