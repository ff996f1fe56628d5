"""The hub's completion as a response that comes whole: what its stream would have ended with."""

from __future__ import annotations

from relay.chat import Completion, Refusal, Text
from relay.dialects.assembly import disassemble
from relay.dialects.codec import Asked
from relay.dialects.responses.writing import ResponsesWriter
from relay.events import Closed, Event, Opened, Probable


def render(completion: Completion, asked: Asked) -> bytes:
    """Write a response.

    Raises:
        UpstreamProtocol: the output is larger than `relay.dialects.responses.writing.LARGEST`.
    """
    writer = ResponsesWriter(asked)
    writer.write(_arranged(disassemble(completion)))
    writer.end()
    return writer.body()


def _arranged(events: list[Event]) -> list[Event]:
    """Log probabilities directly behind the text that they belong to, the last one."""
    probable = [event for event in events if isinstance(event, Probable)]
    texts = {event.block for event in events if isinstance(event, Opened) and isinstance(event.part, Text | Refusal)}
    last = max((at for at, event in enumerate(events) if isinstance(event, Closed) and event.block in texts), default=0)
    if not probable or not last:
        return events
    rest = [event for event in events[last + 1 :] if not isinstance(event, Probable)]
    return [*events[: last + 1], *probable, *rest]
