"""A provider's whole response, as the hub's completion."""

from __future__ import annotations

from relay.chat import Completion
from relay.dialects.assembly import assemble
from relay.dialects.codec import Target
from relay.dialects.faults import upstream_error
from relay.dialects.lenient import load, mapping
from relay.dialects.responses.reading import ResponsesReader
from relay.events import Erred


def parse(data: bytes, target: Target) -> Completion:
    """Read a response.

    Raises:
        ValueError: it is none.
        UpstreamError: the response failed, though its HTTP status says that it did not.
    """
    body = mapping(load(data))
    if not isinstance(body.get("output"), list) and body.get("object") != "response":
        raise ValueError("no response object")
    events = ResponsesReader().whole(body)
    if isinstance(events[-1], Erred):
        raise upstream_error(events[-1].message, events[-1].code, target.provider)
    return assemble(events)
