"""Understanding a whole answer of Chat Completions: it is read as a stream of one chunk."""

from __future__ import annotations

from relay.chat import Completion
from relay.dialects.assembly import assemble
from relay.dialects.codec import Target
from relay.dialects.faults import read_error
from relay.dialects.openai.chunks import read
from relay.dialects.openai.reading import ChatReader


def parse(body: bytes, target: Target) -> Completion:
    """Read an answer.

    Raises:
        ValueError: it is an error under a good status, or it has no choices.
    """
    answer, sound = read(body)
    if answer.error:
        message, _ = read_error(body)
        raise ValueError(message or "the answer is an error without a message")
    if not answer.choices:
        raise ValueError("the answer has no choices")
    for choice in answer.choices:
        if choice.message is not None:
            choice.delta = None  # Perplexity sends an empty one beside the message
    reader = ChatReader(target)
    events = reader.take(answer, sound=sound, seed=body)
    return assemble([*events, *reader.finish()])
