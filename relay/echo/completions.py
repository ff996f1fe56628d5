"""OpenAI Completions, the older endpoint: a prompt and its continuation.

See: https://platform.openai.com/docs/api-reference/completions (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import msgspec

from relay.echo.answer import Answer, Finish, Wish, decide
from relay.echo.chat import Choices, Limit, StreamOptions, stops, usage_of
from relay.echo.knobs import NONE, Knobs
from relay.echo.reading import Call, Inputs, inputs_of
from relay.echo.reply import DONE, Piece, Reply, data, data_error, streamed, whole_json

_FINISH = {Finish.STOP: "stop", Finish.LENGTH: "length"}


class _Request(msgspec.Struct, frozen=True):
    """The fields that matter here.

    Attributes:
        echo: the knobs; or, as OpenAI has it, whether the prompt comes before the answer.
    """

    model: str
    prompt: Inputs
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Choices = None
    max_tokens: Limit = None
    stop: str | list[str] | None = None
    echo: bool | Knobs | None = None


def answer_completion(call: Call) -> Reply:
    """Answer ``POST /v1/completions``.

    Raises:
        InvalidRequest: the body is not what the endpoint takes.
    """
    request = call.read(_Request)
    knobs = request.echo if isinstance(request.echo, Knobs) else NONE
    prompts = inputs_of(request.prompt)
    answers = tuple(
        decide(Wish(knobs, prompt, (prompt,), request.max_tokens, stops(request.stop)))
        for prompt in prompts
        for _ in range(request.n or 1)
    )
    prefixes = prompts if request.echo is True else ()
    writer = _Writer(call.mint("cmpl-"), call.now, request.model, answers, prefixes, request.n or 1)
    if not request.stream:
        return whole_json(writer.completion(), knobs)
    options = request.stream_options
    return streamed(writer.stream(usage=options is not None and options.include_usage), data_error, knobs)


@attrs.frozen
class _Writer:
    """Writes the answers of one request, whole or streamed.

    Attributes:
        id: the completion's id.
        created: Unix seconds.
        model: the model that was asked for.
        answers: one for each choice.
        prefixes: the prompts to repeat before the answers; empty if that was not asked for.
        each: choices for one prompt.
    """

    id: str
    created: int
    model: str
    answers: tuple[Answer, ...]
    prefixes: tuple[str, ...]
    each: int

    def completion(self) -> dict[str, object]:
        """The whole answer."""
        choices = [
            self._choice(index, self._prefix(index) + answer.text, _FINISH[answer.finish])
            for index, answer in enumerate(self.answers)
        ]
        return {**self._head(), "choices": choices, "usage": self._usage()}

    def stream(self, *, usage: bool) -> Iterator[Piece]:
        """The answers one after the other, in chunks."""
        extra: dict[str, object] = {"usage": None} if usage else {}
        head = {**self._head(), **extra}
        for index, answer in enumerate(self.answers):
            if self.prefixes:
                yield data({**head, "choices": [self._choice(index, self._prefix(index), None)]}), True
            for piece in answer.stream():
                yield data({**head, "choices": [self._choice(index, piece, None)]}), True
            yield data({**head, "choices": [self._choice(index, "", _FINISH[answer.finish])]}), False
        if usage:
            yield data({**head, "choices": [], "usage": self._usage()}), False
        yield DONE, False

    def _head(self) -> dict[str, object]:
        """What every object begins with."""
        return {"id": self.id, "object": "text_completion", "created": self.created, "model": self.model}

    def _prefix(self, index: int) -> str:
        """The prompt of a choice, if it is to be repeated."""
        return self.prefixes[index // self.each] if self.prefixes else ""

    def _usage(self) -> dict[str, object]:
        """Words in (each prompt once) and out."""
        prompts = sum(answer.input_tokens for answer in self.answers[:: self.each])
        return usage_of(prompts, sum(answer.output_tokens for answer in self.answers))

    @staticmethod
    def _choice(index: int, text: str, finish: str | None) -> dict[str, object]:
        """One choice of a chunk, or of the whole."""
        return {"text": text, "index": index, "logprobs": None, "finish_reason": finish}
