"""What a good upstream of the fault lab says, piece by piece, in the dialects of OpenAI and Anthropic."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import attrs

JSON = b"Content-Type: application/json"
EVENTS = b"Content-Type: text/event-stream"


@attrs.frozen
class Words:
    """One answer, ready to be cut anywhere.

    Attributes:
        whole: the body of an answer that is not streamed.
        opening: frames without content that begin a stream.
        content: frames with content, one a word.
        ending: frames that end the stream well.
        broken: an error event.
        refusal: status, code and message → the body of an error answer.
    """

    whole: bytes
    opening: bytes
    content: tuple[bytes, ...]
    ending: bytes
    broken: bytes
    refusal: Callable[[int, str, str], bytes]


def words_for(target: str, model: str, text: str) -> Words:
    """The answer to a request.

    Args:
        target: the request's path.
        model: the model it asks for.
        text: what is to be said.
    """
    path = target.partition("?")[0]
    return _anthropic(model, text) if path.endswith("/messages") else _openai(model, text)


def _pieces(text: str) -> list[str]:
    first, *rest = text.split(" ")
    return [first, *(f" {word}" for word in rest)]


def _data(value: object) -> bytes:
    return b"data: %b\n\n" % json.dumps(value).encode()


def _openai(model: str, text: str) -> Words:
    def frame(delta: Mapping[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _data({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]})

    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}

    def refusal(status: int, code: str, message: str) -> bytes:
        kind = "invalid_request_error" if status < 500 else "server_error"
        return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code or None}}).encode()

    return Words(
        whole=json.dumps(whole).encode(),
        opening=frame({"role": "assistant", "content": ""}),
        content=tuple(frame({"content": piece}) for piece in _pieces(text)),
        ending=frame({}, "stop") + b"data: [DONE]\n\n",
        broken=_data({"error": {"message": "the model has failed", "type": "server_error", "code": "server_error"}}),
        refusal=refusal,
    )


_ANTHROPIC_KINDS: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def _anthropic(model: str, text: str) -> Words:
    def frame(kind: str, **values: object) -> bytes:
        return b"event: %b\n" % kind.encode() + _data({"type": kind, **values})

    message = {"id": "msg", "type": "message", "role": "assistant", "model": model, "stop_sequence": None}
    used = {"input_tokens": 3, "output_tokens": 5}
    whole = {**message, "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "usage": used}
    begun: dict[str, object] = {**message, "content": [], "stop_reason": None, "usage": {**used, "output_tokens": 0}}

    def refusal(status: int, code: str, message: str) -> bytes:
        kind = _ANTHROPIC_KINDS.get(status, "invalid_request_error" if status < 500 else "api_error")
        return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()

    return Words(
        whole=json.dumps(whole).encode(),
        opening=frame("message_start", message=begun)
        + frame("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        content=tuple(
            frame("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
            for piece in _pieces(text)
        ),
        ending=frame("content_block_stop", index=0)
        + frame("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage=used)
        + frame("message_stop"),
        broken=frame("error", error={"type": "overloaded_error", "message": "the model has failed"}),
        refusal=refusal,
    )
