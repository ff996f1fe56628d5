"""Counting the tokens of a prompt: ``countTokens``, both ways.

See: https://ai.google.dev/api/tokens and, for Vertex AI,
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/count-tokens (read 2026-11).
"""

from __future__ import annotations

from typing import Any

from relay.chat import ChatRequest
from relay.dialects import problems
from relay.dialects.codec import Asked, Built, Call, Target
from relay.dialects.gemini import thinking, turns
from relay.dialects.gemini.fields import load as load_fields
from relay.dialects.gemini.parts import dump
from relay.dialects.gemini.request import read_request
from relay.dialects.gemini.sending import prompt
from relay.dialects.gemini.toolbox import Toolbox
from relay.dialects.lenient import count, load, mapping
from relay.errors import InvalidRequest
from relay.provider import Quirk
from relay.vectors import TokenCount


def parse_request(body: bytes, call: Call) -> ChatRequest:
    """A client's question, with ``contents`` or a whole ``generateContentRequest``.

    Raises:
        InvalidRequest: a field is missing or of the wrong kind; ``param`` names it.
    """
    fields = load_fields(body)
    with problems.told():
        request = read_request(fields.member("generateContentRequest") or fields, call.model)
    if not request.messages:
        raise InvalidRequest("`contents` is required and must not be empty.", param="contents")
    return request


def render(answer: TokenCount, _asked: Asked) -> bytes:
    """The count as JSON."""
    body = {"totalTokens": answer.tokens}
    if answer.cached is not None:
        body["cachedContentTokenCount"] = answer.cached
    return dump(body)


def build(request: ChatRequest, target: Target) -> Built:
    """The prompt with its tools; Vertex AI takes it bare, the Gemini API as a request for an answer.

    Settings that do not change the count are not sent and not told.

    Raises:
        InvalidRequest: Gemini could only refuse the prompt.
    """
    model = thinking.family(target.model)
    toolbox = Toolbox(request, target, model)
    conversation = turns.Turns(target, model, toolbox.names)
    fields = prompt(request, conversation)
    toolbox.put(fields)
    fields.pop("toolConfig", None)
    dropped = tuple(dict.fromkeys([*toolbox.lost, *conversation.lost]))
    if Quirk.VERTEX in target.quirks:
        return Built(fields=fields, dropped=dropped)
    asked: dict[str, Any] = {"model": f"models/{target.model.removeprefix('models/')}", **fields}
    return Built(fields={"generateContentRequest": asked}, dropped=dropped)


def parse_answer(body: bytes, _target: Target) -> TokenCount:
    """The provider's count.

    Raises:
        ValueError: there is none.
    """
    answer = mapping(load(body))
    tokens = count(answer, "totalTokens")
    if tokens is None:
        if "promptTokensDetails" not in answer and "totalBillableCharacters" not in answer:
            raise ValueError("no answer of countTokens")
        tokens = 0  # protobuf leaves a count of 0 out
    return TokenCount(tokens, cached=count(answer, "cachedContentTokenCount"))
