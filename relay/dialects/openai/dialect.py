"""The dialect ``openai``: Chat, Completions, Embeddings, Audio, Images, Moderations, and rerank beside them."""

from __future__ import annotations

from relay.dialects.base import Dialect, Listener
from relay.dialects.faults import read_error
from relay.dialects.lenient import count, load, mapping
from relay.dialects.openai.errors import render_error, stream_error
from relay.dialects.openai.listening import ChatListener, MediaListener, read_chunk
from relay.dialects.tokens import read_usage
from relay.endpoints import Endpoint
from relay.exchange import Usage
from relay.wire.sse import SSEDecoder

_CHAT = frozenset({"/v1/chat/completions", "/v1/completions"})


def listener(endpoint: Endpoint) -> Listener:
    """Make the listener for a streamed answer of an endpoint."""
    return ChatListener() if endpoint.path in _CHAT else MediaListener()


def usage(endpoint: Endpoint, body: bytes) -> tuple[Usage, str, str]:
    """Usage, finish reason and model of a whole answer; "" where absent. Never raises."""
    answer = read_chunk(body)
    finish = ""
    for choice in answer.choices or ():
        if choice.finish_reason:
            finish = choice.finish_reason
            break
    counts = answer.usage or mapping(mapping(answer.x_groq).get("usage"))
    found = read_usage(counts) if counts else Usage()
    if endpoint.path == "/v1/rerank" and not counts:
        found = _rerank(body)
    return found, finish, answer.model or ""


def _rerank(body: bytes) -> Usage:
    """Usage of a rerank answer in Cohere's form, ``meta.tokens``.

    See: https://docs.cohere.com/reference/rerank (read 2026-11).
    """
    tokens = mapping(mapping(mapping(load(body)).get("meta")).get("tokens"))
    return Usage(input=count(tokens, "input_tokens"), output=count(tokens, "output_tokens"))


OPENAI = Dialect(
    name="openai",
    heartbeat=b": ping\n",  # no blank line: some clients take a blank line for an empty event
    decoder=SSEDecoder,
    listener=listener,
    render_error=render_error,
    stream_error=stream_error,
    usage=usage,
    read_error=read_error,
)
