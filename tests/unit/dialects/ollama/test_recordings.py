"""Every recorded exchange with Ollama, in every role it can play: request, answer, both again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Finish, Text
from relay.dialects.assembly import assemble, disassemble
from relay.dialects.codec import Call, Target
from relay.dialects.ollama.dialect import OLLAMA
from relay.endpoints import ENDPOINTS
from relay.errors import InvalidRequest
from relay.events import Counted, Ended, Erred
from relay.exchange import Usage
from relay.wire.ndjson import NDJSONDecoder
from tests.unit.dialects.ollama.lines import BACK, CHAT, GENERATE, TARGET, asked, checked, read, wired, written
from tests.unit.dialects.stories import FOLDER, Recording, recordings
from tests.unit.dialects.streams import FIXTURES, singly, slices

LOADS = frozenset({"ollama/ollama-chat/doc-load-a-model", "ollama/ollama-generate/doc-load-a-model"})
"""Requests that only load a model."""

QUIET: tuple[object, ...] = (None, "", [], {}, False)
"""Values that the SDK sends for fields that say nothing."""


def exchanges() -> Iterator[tuple[Recording, str]]:
    """Recordings with the path that they belong to."""
    for recording in recordings("ollama-chat", "ollama-generate"):
        yield recording, CHAT if recording.meta["dialect"] == "ollama-chat" else GENERATE


def streams() -> Iterator[tuple[str, str, bytes]]:
    """Name, path and bytes of the streams."""
    for recording, path in exchanges():
        data = recording.file("response.ndjson")
        if data is not None:
            yield recording.name, path, data


class KeptTests(SynchronousTestCase):
    """The recording that travels with the tests."""

    def test_text(self) -> None:
        """Sixty lines of a joke, and what they cost."""
        completion = assemble(read((FIXTURES / "ollama" / "text.ndjson").read_bytes()))
        (text,) = completion.choices[0].parts
        assert isinstance(text, Text)
        self.assertTrue(text.text.startswith("Here's one:\n\nWhy did the OpenTelemetry"))
        self.assertEqual((completion.usage, completion.model), (Usage(input=17, output=63), "llama3"))


class RecordingTests(SynchronousTestCase):
    """What real servers and clients sent."""

    if not FOLDER:
        skip = "RELAY_FIXTURES names no folder of recordings"

    def test_requests(self) -> None:
        """Every request is read, and built again it says the same; loading a model is refused in words."""
        seen = 0
        for recording, path in exchanges():
            body = recording.file("request.json")
            if body is None:
                continue
            seen += 1
            if recording.name in LOADS:
                self.assertRaises(InvalidRequest, OLLAMA.fronts[path].parse, body, Call(path))
                continue
            request = OLLAMA.fronts[path].parse(body, Call(path))
            again, built = wired(request, Target(request.model, stream=request.stream))
            self.assertEqual(self.plain(again), self.plain(json.loads(body)), recording.name)
            self.assertEqual(built.dropped, (), recording.name)
        self.assertGreaterEqual(seen, 13)

    def plain(self, body: dict[str, Any]) -> dict[str, Any]:
        """A body without what says nothing, in the form of a chat, streaming said, ids left out."""
        plain = {name: value for name, value in body.items() if value not in QUIET}
        if "prompt" in plain:
            plain["messages"] = [{"role": "user", "content": plain.pop("prompt")}]
        plain["stream"] = body.get("stream") is not False
        for message in plain["messages"]:
            message.pop("tool_call_id", None)
            for call in message.get("tool_calls", ()):
                call.pop("id", None)
        return plain

    def test_answers(self) -> None:
        """Every whole answer is read, and written for a client says the same, whole and streamed."""
        seen = 0
        for recording, path in exchanges():
            data = recording.file("response.json")
            if data is None or recording.meta["status"] >= 400:
                continue
            seen += 1
            sent = json.loads(data)
            completion = BACK.parse(data, TARGET)
            (choice,) = completion.choices
            words = sent["message"]["content"] if path == CHAT else sent["response"]
            self.assertEqual("".join(part.text for part in choice.parts if isinstance(part, Text)), words)
            usage = Usage(input=sent.get("prompt_eval_count"), output=sent.get("eval_count"))
            self.assertEqual((completion.usage, completion.model), (usage, sent["model"]), recording.name)
            self.assertEqual(OLLAMA.usage(ENDPOINTS[path], data)[0], usage)
            rendered = OLLAMA.fronts[path].render(completion, asked(path))
            again = BACK.parse(rendered, TARGET)
            self.assertEqual((again.choices, again.created), (completion.choices, completion.created), recording.name)
            lines = written(disassemble(completion), path)
            checked(lines, path)
            self.assertEqual(assemble(read(lines)).choices, completion.choices, recording.name)
        self.assertGreaterEqual(seen, 9)

    def test_streams(self) -> None:
        """Every stream says what its lines hold, however it is sliced, and again when it is written."""
        seen = 0
        for number, (name, path, data) in enumerate(streams()):
            seen += 1
            events = read(data)
            self.assertEqual(read(data, singly(data)), events, name)
            self.assertEqual(read(data, slices(data, number)), events, name)
            lines = [json.loads(line) for line in data.splitlines()]
            words = "".join(
                (line.get("message") or {}).get("content", "") or line.get("response", "") for line in lines
            )
            completion = assemble(events)
            (choice,) = completion.choices
            self.assertEqual("".join(part.text for part in choice.parts if isinstance(part, Text)), words, name)
            if "error" in lines[-1]:
                self.assertEqual(events[-1], Erred(lines[-1]["error"]))
                continue
            self.assertEqual((events[-1], choice.finish), (Ended(), Finish.STOP), name)
            self.assertEqual(completion.usage.output, lines[-1]["eval_count"], name)
            again = written(events[:-1], path)
            checked(again, path)
            self.assertEqual(assemble(read(again)).choices, completion.choices, name)
        self.assertGreaterEqual(seen, 5)

    def test_cuts(self) -> None:
        """A stream that is cut after any line has no end, and counts nothing."""
        for name, _, data in streams():
            lines = NDJSONDecoder(1 << 24).feed(data)
            for count in range(1, len(lines) - 1):
                events = read(b"".join(line.raw for line in lines[:count]))
                self.assertFalse(any(isinstance(event, Ended | Counted | Erred) for event in events), name)

    def test_listening(self) -> None:
        """The listener finds what the reader finds."""
        for name, path, data in streams():
            listener = OLLAMA.listener(ENDPOINTS[path])
            for line in NDJSONDecoder(1 << 24).feed(data):
                listener.hear(line)
            completion = assemble(read(data))
            self.assertEqual((listener.usage, listener.model), (completion.usage, completion.model), name)
            self.assertEqual((listener.done, listener.content), (True, True), name)
            self.assertEqual(bool(listener.error), "error" in name, name)

    def test_errors(self) -> None:
        """Every error answer's words are read."""
        failed = [recording for recording, _ in exchanges() if recording.meta["status"] >= 400]
        for recording in failed:
            data = recording.file("response.json") or b""
            self.assertEqual(OLLAMA.read_error(data)[0], json.loads(data)["error"])
        self.assertGreaterEqual(len(failed), 1)
