"""The older ``/v1/completions``, served by a chat: the prompt is a user's message, the answer's text comes back.

Token numbers as a prompt and several prompts in one request cannot be said in a chat and are refused; ``suffix``
and ``best_of`` are told as dropped; ``echo`` is done here. Reasoning is not shown: there is no place for it.
See: https://platform.openai.com/docs/api-reference/completions (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from relay.chat import ChatRequest, Choice, Completion, Message, Refusal, Text
from relay.dialects.assembly import merged
from relay.dialects.carry import made_id
from relay.dialects.codec import Asked, Call
from relay.dialects.lenient import load, mapping, sequence, text
from relay.dialects.openai.errors import stream_error
from relay.dialects.openai.finish import write_finish
from relay.dialects.openai.listening import DONE
from relay.dialects.openai.request import Sampling, shared, shared_names, unknown
from relay.dialects.openai.tools import read_format
from relay.dialects.openai.usage import write_usage
from relay.dialects.problems import told
from relay.errors import InvalidRequest, RelayError
from relay.events import Began, Counted, Event, Finished, Grew, Opened, Probable
from relay.exchange import Usage

_encode = msgspec.json.Encoder().encode


class _Completions(Sampling, kw_only=True):
    """The rest of Completions' fields."""

    prompt: str | list[Any] | None = None
    echo: bool | None = None
    logprobs: int | None = None
    best_of: int | None = None
    response_format: dict[str, Any] | None = None


_DECODER = msgspec.json.Decoder(_Completions)
_KNOWN = frozenset(_Completions.__struct_fields__)


def parse(body: bytes, call: Call) -> ChatRequest:
    """Read a request.

    Raises:
        InvalidRequest: it is malformed, or cannot be said in a chat; names the field.
    """
    with told():
        given = _DECODER.decode(body)
        extra = unknown(body, _KNOWN)
    if given.best_of is not None and given.best_of > (given.n or 1):
        extra["best_of"] = msgspec.json.encode(given.best_of)
    return ChatRequest(
        messages=(Message("user", (Text(_prompt(given)),)),),
        max_tokens=given.max_tokens,
        logprobs=None if given.logprobs is None else True,
        top_logprobs=given.logprobs or None,
        format=read_format(given.response_format),
        extra=extra,
        # the hub has no such field: the name alone reminds the answer of it
        names=shared_names(given, {"format": "response_format"} | ({"echo": "echo"} if given.echo else {})),
        **shared(given, call),
    )


def _prompt(given: _Completions) -> str:
    prompt = given.prompt
    if isinstance(prompt, list):
        if prompt and (isinstance(prompt[0], int | list)):
            raise InvalidRequest(
                "`prompt` must be text: this model is served by a chat, which takes no token numbers.", param="prompt"
            )
        if len(prompt) != 1:
            raise InvalidRequest(
                "`prompt` must be one text: this model is served by a chat, which takes one prompt.", param="prompt"
            )
        prompt = prompt[0]
    if not isinstance(prompt, str) or not prompt:
        raise InvalidRequest("`prompt` must be a non-empty text.", param="prompt")
    return prompt


def _echoed(asked: Asked) -> str:
    """The prompt, if the client wants it in front of the answer."""
    request = asked.request
    if request is None or "echo" not in request.names:
        return ""
    return "".join(part.text for part in request.messages[0].parts if isinstance(part, Text))


def _head(asked: Asked, answer: str, created: int) -> dict[str, Any]:
    return {
        "id": answer or made_id("cmpl-", asked.request_id),
        "object": "text_completion",
        "created": created or asked.created,
        "model": asked.model,
    }


def render(completion: Completion, asked: Asked) -> bytes:
    """The JSON body of an answer."""
    echoed = _echoed(asked)
    body = _head(asked, completion.id, completion.created)
    body["choices"] = [_choice(choice, echoed) for choice in completion.choices]
    if usage := write_usage(completion.usage):
        body["usage"] = usage
    if completion.fingerprint:
        body["system_fingerprint"] = completion.fingerprint
    return _encode(body)


def _choice(choice: Choice, echoed: str) -> dict[str, Any]:
    said = "".join(part.text for part in choice.parts if isinstance(part, Text | Refusal))
    return {
        "text": echoed + said,
        "index": choice.index,
        "logprobs": old_logprobs(choice.logprobs, len(echoed)) if choice.logprobs else None,
        "finish_reason": write_finish(choice.finish, called=False, refused=False),
    }


def old_logprobs(logprobs: bytes, start: int) -> dict[str, Any]:
    """Log probabilities of Chat in the form of Completions: parallel lists.

    Args:
        logprobs: JSON text in Chat's form.
        start: characters before the first token.
    """
    out: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for item in map(mapping, sequence(mapping(load(logprobs)).get("content"))):
        token = text(item.get("token"))
        out["tokens"].append(token)
        out["token_logprobs"].append(item.get("logprob"))
        tops = map(mapping, sequence(item.get("top_logprobs")))
        out["top_logprobs"].append({text(top.get("token")): top.get("logprob") for top in tops})
        out["text_offset"].append(start)
        start += len(token)
    return out


class CompletionsWriter:
    """Writes a streamed answer; see `relay.dialects.codec.Writer`."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._began = Began()
        self._head = b""
        self._echoed = _echoed(asked)
        self._texts: dict[int, int] = {}
        self._finished: dict[int, str] = {}
        self._lengths: dict[int, int] = {}
        self._usage = Usage()

    def write(self, events: Sequence[Event]) -> bytes:
        """Take events; return complete frames."""
        return b"".join(map(self._one, events))

    def end(self) -> bytes:
        """Finish reasons, usage if asked for, ``[DONE]``."""
        out = [self._chunk(index, "", finish) for index, finish in sorted(self._finished.items())]
        if not out:
            out = [self._chunk(index, "", "") for index in sorted(self._lengths) or (0,)]
        usage = write_usage(self._usage)
        if usage and self._asked.request is not None and self._asked.request.wants_usage:
            out.append(self._start() + b'"choices":[],"usage":' + _encode(usage) + b"}\n\n")
        return b"".join((*out, DONE))

    def fail(self, error: RelayError) -> bytes:
        """The in-stream error."""
        return stream_error(error, self._asked.request_id)

    def _one(self, event: Event) -> bytes:
        match event:
            case Grew() if event.block in self._texts:
                return self._say(self._texts[event.block], event.text)
            case Opened(part=Text(text=words) | Refusal(text=words)):
                self._texts[event.block] = event.choice
                return self._say(event.choice, words) if words else b""
            case Probable():
                return self._chunk(event.choice, "", None, _encode(self._logprobs(event)))
            case Counted():
                self._usage = merged(self._usage, event.usage)
            case Finished():
                self._finished[event.choice] = event.reason
            case Began():
                self._began = event
        return b""

    def _say(self, choice: int, said: str) -> bytes:
        if choice not in self._lengths:
            said = self._echoed + said
        self._lengths[choice] = self._lengths.get(choice, 0) + len(said)
        return self._chunk(choice, said, None)

    def _logprobs(self, event: Probable) -> dict[str, Any]:
        """Log probabilities of the text that has just been sent, whose tokens end where it ends."""
        found = old_logprobs(event.logprobs, 0)
        start = self._lengths.get(event.choice, 0) - sum(map(len, found["tokens"]))
        found["text_offset"] = [max(start + offset, 0) for offset in found["text_offset"]]
        return found

    def _start(self) -> bytes:
        if not self._head:
            head = _head(self._asked, self._began.id, self._began.created)
            self._head = b"data: " + _encode(head)[:-1] + b","
        return self._head

    def _chunk(self, choice: int, said: str, finish: str | None, logprobs: bytes = b"null") -> bytes:
        reason = b"null"
        if finish is not None:
            reason = _encode(write_finish(finish, called=False, refused=False))
        if finish is not None and choice not in self._lengths:
            said = self._echoed
        tail = b',"logprobs":%b,"finish_reason":%b}]}\n\n' % (logprobs, reason)
        return self._start() + b'"choices":[{"index":%d,"text":%b' % (choice, _encode(said)) + tail
