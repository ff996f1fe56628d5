"""The dialect's record: passing streams through, errors, usage; and the SDK's reading of what relay writes."""

from __future__ import annotations

import json
from typing import Any

from cohere.core.unchecked_base_model import construct_type
from cohere.types import EmbedByTypeResponse
from cohere.v2.types.v2chat_response import V2ChatResponse
from cohere.v2.types.v2chat_stream_response import V2ChatStreamResponse
from cohere.v2.types.v2rerank_response import V2RerankResponse

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Choice, Citation, Completion, Finish, Text, Thinking, ToolCall
from relay.dialects.assembly import disassemble
from relay.dialects.base import Listener
from relay.dialects.cohere.dialect import COHERE
from relay.dialects.registry import DIALECTS
from relay.endpoints import ENDPOINTS
from relay.errors import InvalidRequest, UpstreamOverloaded
from relay.exchange import Usage
from relay.outcome import Stage
from relay.vectors import Embeddings, EmbedRequest, Ranking, RankRequest
from relay.wire.sse import SSEDecoder
from tests.unit.dialects.cohere.events import CHAT, EMBED, FRONT, RERANK, asked, checked, delta, stream, written

ERROR = UpstreamOverloaded("too busy", stage=Stage.STREAM)
END = {"type": "message-end", "delta": {"finish_reason": "MAX_TOKENS", "usage": {"tokens": {"input_tokens": 3}}}}

ANSWER = Completion(
    "id",
    "theirs",
    (
        Choice(
            (
                Thinking("Hm."),
                Text("I look.", citations=(Citation(url="https://e.com", title="T", quote="I", start=0, end=1),)),
                ToolCall("1", "look", '{"a":1}'),
            ),
            Finish.TOOL_CALLS,
            logprobs=b'{"content":[{"token":"I","logprob":-0.5,"bytes":null,"top_logprobs":[]}]}',
        ),
    ),
    Usage(input=9, output=5),
)


def hear(data: bytes) -> Listener:
    """A listener that has heard this stream."""
    listener = COHERE.listener(ENDPOINTS[CHAT])
    for frame in SSEDecoder(1 << 20).feed(data):
        assert listener.hear(frame) is False
    return listener


class ListenerTests(SynchronousTestCase):
    """Passing streams through."""

    def test_content(self) -> None:
        """Words, plans, calls and citations are content; beginnings and ends are not."""
        for kind, content in (
            ("content-delta", True),
            ("tool-plan-delta", True),
            ("tool-call-start", True),
            ("tool-call-delta", True),
            ("citation-start", True),
            ("message-start", False),
            ("content-start", False),
            ("content-end", False),
            ("debug", False),
        ):
            data = stream(delta(kind, 0))
            for form in (data, data[data.index(b"\n") + 1 :]):
                listener = hear(form)
                self.assertEqual((listener.content, listener.chunks), (content, int(content)), kind)
                self.assertEqual((listener.done, listener.finish), (False, ""), kind)

    def test_end(self) -> None:
        """``message-end`` has reason and usage; a missing ``[DONE]`` may be added behind it, and not before."""
        self.assertIsNone(hear(stream(delta("content-delta", 0))).closing())
        listener = hear(stream(END))
        self.assertEqual((listener.finish, listener.usage, listener.done), ("MAX_TOKENS", Usage(input=3), False))
        self.assertEqual(listener.closing(), b"data: [DONE]\n\n")
        self.assertTrue(hear(stream(END) + b"data: [DONE]\n\n").done)

    def test_error(self) -> None:
        """Errors come in ``message-end``, or on their own."""
        failed = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "broken"}}
        listener = hear(stream(failed))
        self.assertEqual((listener.error, listener.done), (("broken", "ERROR"), True))
        listener = hear(b'data: {"message":"rate limited"}\n\n')
        self.assertEqual((listener.error, listener.done), (("rate limited", ""), True))
        self.assertIn(b'"error":"too busy"', listener.fail(ERROR, "r"))

    def test_odd(self) -> None:
        """What is no event is nothing."""
        listener = hear(b': ping\n\ndata: {\n\ndata: 5\n\nevent: new\ndata: {"type":"new"}\n\n')
        self.assertEqual((listener.content, listener.error, listener.done), (False, None, False))


class RecordTests(SynchronousTestCase):
    """What else a dialect is."""

    def test_registered(self) -> None:
        """It has a name, a heartbeat that is a comment, and all paths of its clients."""
        self.assertIs(DIALECTS["cohere"], COHERE)
        self.assertEqual(COHERE.heartbeat, b": ping\n")
        paths = {path for path, endpoint in ENDPOINTS.items() if endpoint.front == "cohere"}
        self.assertEqual(set(COHERE.fronts), paths)

    def test_errors(self) -> None:
        """Errors have an id and a message."""
        error = InvalidRequest("`x` is wrong.", param="x")
        self.assertEqual(json.loads(COHERE.render_error(error, "r")), {"id": "r", "message": "`x` is wrong."})
        self.assertEqual(COHERE.read_error(b'{"id":"i","message":"no such model"}'), ("no such model", ""))
        (frame,) = SSEDecoder(1 << 20).feed(COHERE.stream_error(ERROR, "r"))
        self.assertEqual((frame.event, json.loads(frame.data)["delta"]["error"]), (b"message-end", "too busy"))

    def test_usage(self) -> None:
        """Usage of chats, embeddings and rankings; what is odd counts as absent."""
        body = b'{"finish_reason":"COMPLETE","usage":{"tokens":{"input_tokens":3,"output_tokens":4}}}'
        self.assertEqual(COHERE.usage(ENDPOINTS[CHAT], body), (Usage(input=3, output=4), "COMPLETE", ""))
        meta = b'{"meta":{"billed_units":{"input_tokens":3}}}'
        self.assertEqual(COHERE.usage(ENDPOINTS[EMBED], meta), (Usage(input=3), "", ""))
        for odd in (b"", b"[]", b'{"usage":5,"meta":[]}'):
            self.assertEqual(COHERE.usage(ENDPOINTS[CHAT], odd), (Usage(), "", ""))


class SDKTests(SynchronousTestCase):
    """The ``cohere`` package's own models read what is written."""

    def test_chat(self) -> None:
        """A whole chat: thoughts, words, calls, citations, usage, log probabilities."""
        answer = V2ChatResponse.model_validate(json.loads(FRONT.render(ANSWER, asked())))
        message = answer.message
        self.assertEqual([part.type for part in message.content or []], ["thinking", "text"])
        (call,) = message.tool_calls or []
        assert call.function is not None
        self.assertEqual((call.id, call.function.name, call.function.arguments), ("1", "look", '{"a":1}'))
        (citation,) = message.citations or []
        self.assertEqual((citation.start, citation.end, citation.content_index), (0, 1, 1))
        self.assertEqual((citation.sources or [])[0].type, "document")
        assert answer.usage is not None
        assert answer.usage.tokens is not None
        self.assertEqual((answer.finish_reason, answer.usage.tokens.output_tokens), ("TOOL_CALL", 5))
        self.assertEqual((answer.logprobs or [])[0].text, "I")

    def test_stream(self) -> None:
        """Every event of a stream, by its type."""
        kinds = []
        for payload in checked(written(disassemble(ANSWER))):
            event: Any = construct_type(type_=V2ChatStreamResponse, object_=payload)  # type: ignore[arg-type]  # a union
            self.assertEqual(event.type, payload["type"])
            type(event).model_validate(payload)
            kinds.append(event.type)
        self.assertEqual(
            kinds,
            [
                "message-start",
                "content-start",
                "content-delta",
                "content-end",
                "content-start",
                "content-delta",
                "citation-start",
                "citation-end",
                "content-end",
                "tool-call-start",
                "tool-call-delta",
                "tool-call-end",
                "message-end",
            ],
        )

    def test_vectors(self) -> None:
        """Embeddings and rankings."""
        data = COHERE.fronts[EMBED].render(Embeddings("e", ((0.5,),)), asked(EMBED, EmbedRequest("m", ("a",))))
        self.assertEqual(EmbedByTypeResponse.model_validate(json.loads(data)).embeddings.float_, [[0.5]])
        ranking = Ranking("r", ((0, 0.5),), units=1)
        data = COHERE.fronts[RERANK].render(ranking, asked(RERANK, RankRequest("m", "q", ("a",))))
        (result,) = V2RerankResponse.model_validate(json.loads(data)).results
        self.assertEqual((result.index, result.relevance_score), (0, 0.5))
