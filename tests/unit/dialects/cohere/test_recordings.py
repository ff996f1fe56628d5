"""Every recorded exchange with Cohere, in every role it can play: request, answer, both again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Finish, Text, Thinking, ToolCall
from relay.dialects.assembly import assemble, disassemble
from relay.dialects.codec import Call, Target
from relay.dialects.cohere.dialect import COHERE
from relay.endpoints import ENDPOINTS, Operation
from relay.events import Counted, Ended, Erred, Finished
from relay.exchange import Usage
from relay.wire.sse import SSEDecoder
from tests.unit.dialects.cohere.events import (
    BACK,
    CHAT,
    EMBED,
    FRONT,
    RERANK,
    TARGET,
    asked,
    checked,
    read,
    wired,
    written,
)
from tests.unit.dialects.stories import FOLDER, Recording, recordings
from tests.unit.dialects.streams import recording, singly, slices

FINISHES = {"COMPLETE": Finish.STOP, "TOOL_CALL": Finish.TOOL_CALLS, "MAX_TOKENS": Finish.LENGTH}


def files(dialect: str, name: str) -> Iterator[tuple[Recording, bytes]]:
    """The good exchanges that have a file."""
    for case in recordings(dialect):
        data = case.file(name)
        if data is not None and (case.meta["status"] < 400 or name == "request.json"):
            yield case, data


class KeptTests(SynchronousTestCase):
    """The recordings that travel with the tests."""

    def test_toolCalls(self) -> None:
        """A plan, then two calls, whose arguments come in pieces."""
        (choice,) = assemble(read(recording("cohere/tool-calls"))).choices
        text, *calls = choice.parts
        assert isinstance(text, Text)
        self.assertTrue(text.text.startswith("I will search for the current"))
        names = [(call.name, json.loads(call.arguments)) for call in calls if isinstance(call, ToolCall)]
        self.assertEqual(names, [("get_time", {"location": "Tokyo"}), ("get_weather", {"location": "Tokyo"})])
        self.assertEqual(choice.finish, Finish.TOOL_CALLS)

    def test_citations(self) -> None:
        """A text with the source that it names, and what it cost."""
        completion = assemble(read(recording("cohere/citations")))
        (text,) = completion.choices[0].parts
        assert isinstance(text, Text)
        self.assertEqual([citation.quote for citation in text.citations], ["Ruby"])
        self.assertEqual(completion.usage, Usage(input=1563, cached=1376, output=22))


class RecordingTests(SynchronousTestCase):
    """What real servers and clients sent."""

    if not FOLDER:
        skip = "RELAY_FIXTURES names no folder of recordings"

    def test_requests(self) -> None:
        """Every request is read, and built again it says the same."""
        seen = 0
        for case, data in files("cohere-v2-chat", "request.json"):
            seen += 1
            request = FRONT.parse(data, Call(CHAT))
            again, built = wired(request, Target(request.model, stream=request.stream))
            self.assertEqual(self.plain(again), self.plain(json.loads(data)), case.name)
            self.assertEqual(built.dropped, (), case.name)
        self.assertGreaterEqual(seen, 20)

    def plain(self, body: dict[str, Any]) -> dict[str, Any]:
        """A body whose content is strings where it can be, without what says nothing."""
        plain = {name: value for name, value in body.items() if value is not None}
        for message in plain["messages"]:
            content = message.get("content")
            if isinstance(content, list):
                content = [part for part in content if part != {"type": "text", "text": ""}]
                if len(content) == 1 and content[0]["type"] == "text":
                    content = content[0]["text"]
            message["content"] = content
            if not content:
                del message["content"]
        for document in plain.get("documents", ()):
            document.pop("id", None)
        return plain

    def test_answers(self) -> None:
        """Every whole answer is read, and written for a client says the same, whole and streamed."""
        seen = 0
        for case, data in files("cohere-v2-chat", "response.json"):
            seen += 1
            sent = json.loads(data)
            completion = BACK.parse(data, TARGET)
            (choice,) = completion.choices
            self.assertEqual(choice.finish, FINISHES[sent["finish_reason"]], case.name)
            message, tokens = sent["message"], sent["usage"]["tokens"]
            texts = [part["text"] for part in message.get("content") or () if part["type"] == "text"]
            texts += filter(None, [message.get("tool_plan")])
            self.assertEqual([part.text for part in choice.parts if isinstance(part, Text)], texts, case.name)
            calls = [one["function"] for one in message.get("tool_calls") or ()]
            made = [part for part in choice.parts if isinstance(part, ToolCall)]
            self.assertEqual([{"name": one.name, "arguments": one.arguments} for one in made], calls, case.name)
            self.assertEqual(completion.usage.output, tokens["output_tokens"], case.name)
            self.assertEqual(completion.usage.input, tokens["input_tokens"] + tokens.get("image_tokens", 0))
            self.assertEqual(completion.usage.cached, sent["usage"].get("cached_tokens"))
            usage, finish, _ = COHERE.usage(ENDPOINTS[CHAT], data)
            self.assertEqual((usage, finish), (completion.usage, sent["finish_reason"]))
            self.assertEqual(BACK.parse(FRONT.render(completion, asked()), TARGET), completion, case.name)
            stream = written(disassemble(completion))
            checked(stream)
            self.assertEqual(assemble(read(stream)), completion, case.name)
        self.assertGreaterEqual(seen, 19)

    def test_streams(self) -> None:
        """Every stream says what its events hold, however it is sliced, and again when it is written."""
        seen = 0
        for number, (case, data) in enumerate(files("cohere-v2-chat", "response.sse")):
            seen += 1
            events = read(data)
            for pieces in (singly(data), slices(data, number)):
                self.assertEqual(read(data, pieces), events, case.name)
            payloads = [json.loads(frame.data) for frame in SSEDecoder(1 << 24).feed(data) if frame.data[:1] == b"{"]
            completion = assemble(events)
            (choice,) = completion.choices
            last = payloads[-1]["delta"]
            self.assertEqual(choice.finish, FINISHES[last["finish_reason"]], case.name)
            self.assertEqual(completion.usage.output, last["usage"]["tokens"]["output_tokens"], case.name)
            messages = [payload["delta"]["message"] for payload in payloads if "message" in payload.get("delta", {})]
            contents = [one.get("content") or {} for one in messages[1:]]
            words = "".join(one.get("tool_plan") or "" for one in messages[1:])
            words += "".join(content.get("text") or "" for content in contents)
            thoughts = "".join(content.get("thinking") or "" for content in contents)
            said = "".join(part.text for part in choice.parts if isinstance(part, Text))
            thought = "".join(part.text for part in choice.parts if isinstance(part, Thinking))
            self.assertEqual((said, thought), (words, thoughts), case.name)
            cited = sum(len(part.citations) for part in choice.parts if isinstance(part, Text))
            self.assertEqual(cited, sum(payload["type"] == "citation-start" for payload in payloads), case.name)
            calls = sum(payload["type"] == "tool-call-start" for payload in payloads)
            self.assertEqual(sum(isinstance(part, ToolCall) for part in choice.parts), calls, case.name)
            again = written(events[:-1])
            checked(again)
            self.assertEqual(assemble(read(again)), completion, case.name)
            self.assertEqual(BACK.parse(FRONT.render(completion, asked()), TARGET), completion, case.name)
        self.assertGreaterEqual(seen, 7)

    def test_cuts(self) -> None:
        """A stream that is cut after any event before ``message-end`` has no end, no reason, and counts nothing."""
        for case, data in files("cohere-v2-chat", "response.sse"):
            frames = SSEDecoder(1 << 24).feed(data)
            last = next(index for index, frame in enumerate(frames) if frame.event == b"message-end")
            for count in {1, 2, last // 2, last}:
                events = read(b"".join(frame.raw for frame in frames[:count]))
                self.assertFalse(
                    any(isinstance(event, Ended | Finished | Counted | Erred) for event in events), case.name
                )

    def test_listening(self) -> None:
        """The listener finds what the reader finds."""
        for case, data in files("cohere-v2-chat", "response.sse"):
            listener = COHERE.listener(ENDPOINTS[CHAT])
            for frame in SSEDecoder(1 << 24).feed(data):
                listener.hear(frame)
            completion = assemble(read(data))
            self.assertEqual((listener.usage, listener.content), (completion.usage, True), case.name)
            self.assertEqual(FINISHES[listener.finish], completion.choices[0].finish, case.name)
            self.assertEqual(listener.done, b"[DONE]" in data, case.name)

    def test_vectors(self) -> None:
        """Embeddings and rankings are read, and written again say the same."""
        for path, operation, dialect in (
            (EMBED, Operation.EMBED, "cohere-embed"),
            (RERANK, Operation.RANK, "cohere-rerank"),
        ):
            seen = 0
            for case, data in files(dialect, "response.json"):
                seen += 1
                answer = COHERE.backs[operation].parse(data, TARGET)
                body = case.file("request.json")
                if body is None:
                    continue
                request = COHERE.fronts[path].parse(body, Call(path))
                rendered = COHERE.fronts[path].render(answer, asked(path, request))
                self.assertEqual(COHERE.backs[operation].parse(rendered, TARGET), answer, case.name)
                built = COHERE.backs[operation].build(request, Target(request.model))
                self.assertEqual(json.loads(json.dumps(built.fields)), json.loads(body), case.name)
            self.assertGreaterEqual(seen, 2)

    def test_errors(self) -> None:
        """Every error answer's words are read."""
        failed = [case for case in recordings("cohere-v2-chat") if case.meta["status"] >= 400]
        for case in failed:
            data = case.file("response.json") or b""
            self.assertEqual(COHERE.read_error(data)[0], json.loads(data)["message"])
        self.assertGreaterEqual(len(failed), 1)
