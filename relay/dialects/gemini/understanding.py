"""Understanding whole answers of ``generateContent``: one chunk, or a list of them."""

from __future__ import annotations

from relay.chat import Completion
from relay.dialects.assembly import assemble
from relay.dialects.codec import Target
from relay.dialects.gemini.reading import GenerateReader
from relay.dialects.lenient import load, mapping, sequence
from relay.events import Erred, Event

_ANSWER = frozenset({"candidates", "promptFeedback", "usageMetadata", "responseId"})


def parse(body: bytes, target: Target) -> Completion:
    """A whole answer; a stream without ``alt=sse`` is a list of chunks.

    Raises:
        ValueError: it is no answer.
    """
    value = load(body)
    chunks = [mapping(chunk) for chunk in sequence(value) or [value]]
    if not any(chunk.keys() & _ANSWER for chunk in chunks):
        raise ValueError("no answer of generateContent")
    reader = GenerateReader(target)
    events: list[Event] = []
    for chunk in chunks:
        reader.take(events, chunk)
        if events and isinstance(events[-1], Erred):
            raise ValueError("an error instead of an answer")
    return assemble([*events, *reader.end()])
