"""What heads answers: content types, and answers that need no provider."""

from __future__ import annotations

from relay.dialects.base import EVENTS
from relay.interfaces import ISink
from relay.planning import Estimate, Plan
from relay.policy import forward
from relay.running import RunningExchange

JSON = (b"content-type", b"application/json")
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")


def content_type(plan: Plan) -> tuple[bytes, bytes]:
    """The content type of a streamed answer in the client's dialect."""
    translation = plan.translation
    if translation is not None and translation.asked.call.array:
        return JSON
    if plan.front.stream_type == EVENTS:
        return _EVENTS
    return b"content-type", plan.front.stream_type.encode()


def answer_alone(running: RunningExchange, plan: Estimate, sink: ISink) -> None:
    """Answer without any provider."""
    length = (b"content-length", b"%d" % len(plan.body))
    sink.start(200, forward.with_limit((JSON, length, (b"x-relay-estimated", b"true")), plan.limit))
    sink.write(plan.body)
    sink.end()
    running.bytes_out = len(plan.body)
    running.ended(200)
