"""The hub's completion as a response that comes whole: what its stream would have ended with."""

from __future__ import annotations

from relay.chat import Completion
from relay.dialects.assembly import disassemble
from relay.dialects.codec import Asked
from relay.dialects.responses.writing import ResponsesWriter


def render(completion: Completion, asked: Asked) -> bytes:
    """Write a response.

    Raises:
        UpstreamProtocol: the output is larger than `relay.dialects.responses.writing.LARGEST`.
    """
    writer = ResponsesWriter(asked)
    writer.write(disassemble(completion))
    writer.end()
    return writer.body()
