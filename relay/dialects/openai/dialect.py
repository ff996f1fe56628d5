"""The dialect ``openai``: Chat, Completions, Embeddings, Audio, Images, Moderations, and rerank beside them."""

from __future__ import annotations

from relay.dialects.base import Dialect, Listener
from relay.dialects.codec import Back, Front
from relay.dialects.faults import read_error
from relay.dialects.lenient import count, load, mapping
from relay.dialects.openai import answer, completions, embeddings, request, rerank, sending, understanding
from relay.dialects.openai.errors import render_error, stream_error
from relay.dialects.openai.listening import ChatListener, MediaListener, read_chunk
from relay.dialects.openai.reading import ChatReader
from relay.dialects.openai.writing import ChatWriter
from relay.dialects.tokens import read_usage
from relay.endpoints import Endpoint, Operation
from relay.exchange import Usage
from relay.wire.sse import SSEDecoder

_CHAT = frozenset({"/v1/chat/completions", "/v1/completions"})


def listener(endpoint: Endpoint) -> Listener:
    """Make the listener for a streamed answer of an endpoint."""
    return ChatListener() if endpoint.path in _CHAT else MediaListener()


def usage(endpoint: Endpoint, body: bytes) -> tuple[Usage, str, str]:
    """Usage, finish reason and model of a whole answer; "" where absent. Never raises."""
    said = read_chunk(body)
    finish = ""
    for choice in said.choices or ():
        if choice.finish_reason:
            finish = choice.finish_reason
            break
    counts = said.usage or mapping(mapping(said.x_groq).get("usage"))
    found = read_usage(counts) if counts else Usage()
    if endpoint.path == "/v1/rerank" and not counts:
        found = _rerank(body)
    return found, finish, said.model or ""


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
    fronts={
        "/v1/chat/completions": Front(request.parse, answer.render, ChatWriter),
        "/v1/completions": Front(completions.parse, completions.render, completions.CompletionsWriter),
        "/v1/embeddings": Front(embeddings.parse, embeddings.render),
        "/v1/rerank": Front(rerank.parse, rerank.render),
    },
    backs={
        Operation.CHAT: Back("/v1/chat/completions", sending.build, understanding.parse, ChatReader),
        Operation.EMBED: Back("/v1/embeddings", embeddings.build, embeddings.understand),
        Operation.RANK: Back("/v1/rerank", rerank.build, rerank.understand),
    },
)
