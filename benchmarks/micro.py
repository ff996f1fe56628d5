"""Microseconds of single functions of relay's hot path, each by itself: for finding what became slower."""

from __future__ import annotations

import gc
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from benchmarks import figures, report
from benchmarks.questions import Question, client_key, raw
from benchmarks.report import Table

if TYPE_CHECKING:
    from benchmarks.instant import Middle
    from relay.exchange import ClientRequest

Action = Callable[[], object]

ROUNDS = 7
SECONDS = 0.05
"""CPU time of one round, about."""

JSON_TYPE = (b"content-type", b"application/json")
EVENT_TYPE = (b"content-type", b"text/event-stream; charset=utf-8")


def main(words: Sequence[str]) -> int:
    """Time the functions whose names hold one of the words, or all, and print a table."""
    chosen = {name: make for name, make in ACTIONS.items() if not words or any(word in name for word in words)}
    rows = [("function", "µs", "range")]
    gc.collect()
    gc.freeze()
    for name, make in chosen.items():
        found = timed(make())
        rows.append((name, figures.number(found[0]), f"{figures.number(found[1])}–{figures.number(found[2])}"))
    print(report.plain(Table("CPU µs a call, median of rounds", tuple(rows))))
    return 0 if chosen else 1


def timed(action: Action, rounds: int = ROUNDS, seconds: float = SECONDS) -> tuple[float, float, float]:
    """CPU microseconds of a call: median, least and most of some rounds."""
    calls = 1
    while (spent := _round(action, calls)) < seconds / 2:
        calls *= 2
    calls = max(1, round(calls * seconds / spent))
    found = [_round(action, calls) / calls * 1e6 for _ in range(rounds)]
    return statistics.median(found), min(found), max(found)


def _round(action: Action, calls: int) -> float:
    began = time.process_time()
    for _ in itertools.repeat(None, calls):
        action()
    return time.process_time() - began


# ── wire ──────────────────────────────────────────────────────────────────────────────


def _split(question: Question) -> tuple[bytes, bytes]:
    text = raw(question, client_key(7))
    end = text.index(b"\r\n\r\n") + 4
    return text[:end], text[end:]


def _request_head(*, remembered: bool) -> Action:
    from relay.wire.http import FieldMemo, find_head_end, parse_request_head

    head, memo = _split(Question())[0], FieldMemo() if remembered else None

    def action() -> object:
        return parse_request_head(head[: find_head_end(head, 0)], memo)

    return action


def _response_head() -> Action:
    from benchmarks.instant import ANSWER_FIELDS
    from relay.wire.http import FieldMemo, parse_response_head

    fields = (JSON_TYPE, *ANSWER_FIELDS, (b"content-length", b"1024"))
    head = b"HTTP/1.1 200 OK\r\n" + b"".join(b"%b: %b\r\n" % field for field in fields) + b"\r\n"
    memo = FieldMemo()
    return lambda: parse_response_head(head, b"POST", memo)


def _chunked_body() -> Action:
    from benchmarks.instant import event
    from relay.wire.http import ChunkedBody

    data, body = event("#0123456789abcdef#"), ChunkedBody()
    framed = b"%x\r\n%b\r\n" % (len(data), data)
    return lambda: body.feed(framed)


# ── dialects ──────────────────────────────────────────────────────────────────────────


def _read_request(size: int, *, stream: bool = False, edit: bool = False) -> Action:
    from benchmarks.questions import PATH
    from relay.dialects.request import read_request
    from relay.endpoints import FORWARDED

    body, endpoint = _split(Question(size=size, chunks=100 if stream else 0))[1], FORWARDED[PATH]
    if not edit:
        return lambda: read_request(endpoint, body)
    return lambda: read_request(endpoint, body).encode("bench-1-2026", (), ask_usage=stream)


def _passthrough(*, together: int = 1) -> Action:
    from benchmarks.instant import event
    from benchmarks.questions import PATH
    from relay.dialects.passthrough import Passthrough
    from relay.dialects.registry import DIALECTS
    from relay.endpoints import FORWARDED

    transcoder = Passthrough(DIALECTS["openai"], FORWARDED[PATH], "p000/bench-1", strip_usage=True)
    data = event("#0123456789abcdef#") * together
    return lambda: transcoder.feed(data)


def _translated(front: str) -> Action:
    from benchmarks.instant import event
    from benchmarks.questions import PATH
    from relay.chat import ChatRequest, Message, Text
    from relay.dialects.codec import Asked, Built, Call, Target
    from relay.dialects.registry import DIALECTS
    from relay.dialects.translation import Translation
    from relay.endpoints import ENDPOINTS, Operation

    path = next(path for path, each in ENDPOINTS.items() if (each.front, each.operation) == (front, Operation.CHAT))
    openai = DIALECTS["openai"]
    hub = ChatRequest("bench-1", (Message("user", (Text("hello"),)),), stream=True)
    asked = Asked(Call(path, "bench-1", stream=True), "id", "bench-1", 1_800_000_000, hub)
    target = Target("bench-1", "p000", stream=True, path=PATH)
    translation = Translation(
        openai, DIALECTS[front].fronts[path], openai.backs[Operation.CHAT], asked, target, Built({})
    )
    transcoder = translation.transcoder("p000/bench-1")
    data = event("#0123456789abcdef#")
    return lambda: transcoder.feed(data)


# ── policy, store, telemetry ──────────────────────────────────────────────────────────


def _credential() -> Action:
    from benchmarks.instant import client_request
    from relay.policy.credentials import client_credential

    headers = client_request(Question()).headers
    return lambda: client_credential(headers)


def _key() -> Action:
    middle, request = _settled()
    return lambda: middle.keys.lookup(request.credential)


def _limit() -> Action:
    middle, request = _settled()
    rule = middle.snapshot.first.rate_limits[request.endpoint.path]
    return lambda: middle.limiter.check(request.endpoint.path, "p000/c7", rule)


def _answer_head() -> Action:
    from benchmarks.instant import ANSWER_FIELDS
    from relay.policy.forward import read_head

    headers = (JSON_TYPE, *ANSWER_FIELDS)
    return lambda: read_head(headers)


def _upstream_head() -> Action:
    from benchmarks.instant import upstream_request
    from relay.upstream.engine.head import RequestHeads

    heads, request = RequestHeads("127.0.0.1:9000"), upstream_request()
    return lambda: heads.compose(request, 1024)


def _metrics() -> Action:
    from relay.exchange import ExchangeStarted

    middle, _ = _settled()
    record, metrics = middle.records.last, middle.metrics
    started = ExchangeStarted(record.id, record.endpoint)

    def action() -> None:
        metrics.exchange_started(started)
        metrics.exchange_settled(record)

    return action


def _log_line() -> Action:
    middle, _ = _settled()
    return lambda: middle.log.exchange_settled(middle.records.last)


def _deadline() -> Action:
    from twisted.internet.task import Clock

    from relay.runtime.wheel import Wheel

    wheel = Wheel(Clock())
    wheel.arm(60.0, lambda: None)
    return lambda: wheel.arm(30.0, lambda: None).cancel()


# ── the middle ────────────────────────────────────────────────────────────────────────


def _settled() -> tuple[Middle, ClientRequest]:
    """The middle after one whole exchange, and its request."""
    from benchmarks.instant import ANSWER_FIELDS, Drain, Middle, Whole, client_request

    body = b'{"id":"1","choices":[],"usage":{"prompt_tokens":210,"completion_tokens":100,"total_tokens":310}}'
    middle, request = Middle(Whole((JSON_TYPE, *ANSWER_FIELDS), (body,))), client_request(Question())
    middle.gateway.exchange(request, Drain())
    return middle, request


def _exchange() -> Action:
    from benchmarks.instant import Drain

    middle, request = _settled()
    return lambda: middle.gateway.exchange(request, Drain())


def _streamed_exchange(count: int) -> Action:
    from benchmarks.instant import ANSWER_FIELDS, Drain, Middle, Whole, client_request, events

    middle = Middle(Whole((EVENT_TYPE, *ANSWER_FIELDS), tuple(events(count))))
    request = client_request(Question(chunks=count))
    return lambda: middle.gateway.exchange(request, Drain())


def _served(*, engine: bool) -> Action:
    from benchmarks.instant import connection

    middle, _ = _settled()
    (protocol, line), request = connection(middle, engine=engine), raw(Question(), client_key(7))

    def action() -> None:
        before = line.taken
        protocol.dataReceived(request)
        if line.taken == before:
            raise AssertionError("the request was not answered")

    return action


ACTIONS: dict[str, Callable[[], Action]] = {
    "wire: request head, 17 fields, remembered": lambda: _request_head(remembered=True),
    "wire: request head, 17 fields, new": lambda: _request_head(remembered=False),
    "wire: response head, 10 fields": _response_head,
    "wire: HTTP chunk with one event": _chunked_body,
    "dialects: read a body, 1 KB": lambda: _read_request(1024),
    "dialects: read and encode a body, 1 KB": lambda: _read_request(1024, edit=True),
    "dialects: read and encode a body, 1 KB, ask for usage": lambda: _read_request(1024, stream=True, edit=True),
    "dialects: read and encode a body, 1 MB": lambda: _read_request(1_000_000, edit=True),
    "dialects: passthrough of an event": _passthrough,
    "dialects: an event translated for an Anthropic client": lambda: _translated("anthropic"),
    "dialects: an event translated for a Gemini client": lambda: _translated("gemini"),
    "dialects: an event translated for a Responses client": lambda: _translated("responses"),
    "dialects: passthrough of 10 events in one read": lambda: _passthrough(together=10),
    "policy: the client's credential": _credential,
    "policy: an answer's head": _answer_head,
    "store: a client key": _key,
    "store: a rate limit": _limit,
    "upstream: a request's head": _upstream_head,
    "telemetry: metrics of an exchange": _metrics,
    "telemetry: log line of an exchange": _log_line,
    "runtime: a deadline set and taken back": _deadline,
    "gateway: an exchange, JSON": _exchange,
    "gateway: an exchange, stream of 2 chunks": lambda: _streamed_exchange(2),
    "gateway: an exchange, stream of 102 chunks": lambda: _streamed_exchange(102),
    "web and gateway: an exchange, JSON, from bytes to bytes": lambda: _served(engine=True),
    "web and gateway: the same on Twisted's channel": lambda: _served(engine=False),
}
"""What can be timed: layer and task → a function that prepares it. 100 chunks lie between the two streams."""
