"""Tests of `relay.echo.hub` and `relay.echo.bedrock`: Gemini's, Cohere's, Ollama's and Bedrock's shapes.

The requests are what relay builds for such a provider, and the answers are read by what relay reads such a
provider with; where the wire itself matters it is looked at as it is.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import msgspec

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import (
    ChatRequest,
    Completion,
    Finish,
    Message,
    Reasoning,
    ResponseFormat,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from relay.dialects.assembly import assemble
from relay.dialects.base import Dialect
from relay.dialects.codec import Target
from relay.dialects.registry import DIALECTS
from relay.echo.bedrock import answer_converse, answer_count
from relay.echo.hub import answerer
from relay.echo.reading import Call
from relay.echo.reply import Reply
from relay.endpoints import Operation
from relay.errors import InvalidRequest
from relay.events import Erred, Event
from relay.policy import translating
from relay.provider import ParamRule
from relay.vectors import EmbedRequest, RankRequest
from tests.unit.echo.asking import WEATHER_CALL, WEATHER_SCHEMA, call, sent
from tests.unit.values import make_provider

GEMINI = "/v1beta/models/{model}:"
CHATS: Mapping[str, Callable[[Call], Reply]] = {
    "gemini": answerer("gemini", f"{GEMINI}generateContent"),
    "cohere": answerer("cohere", "/v2/chat"),
    "ollama": answerer("ollama", "/api/chat"),
    "bedrock": answer_converse,
}
STREAMS = {
    "gemini": b"text/event-stream",
    "cohere": b"text/event-stream",
    "ollama": b"application/x-ndjson",
    "bedrock": b"application/vnd.amazon.eventstream",
}
IN_PATH = ("gemini", "bedrock")
"""Dialects whose paths name model and framing."""

PLAIN = Target("m")
CLAUDE = Target("us.anthropic.claude-sonnet-4-5-20250929-v1:0")
FLASH = Target("gemini-2.5-flash")
"""Models of families that relay knows; of others it does not know what they take."""

SCHEMA = json.dumps(WEATHER_SCHEMA).encode()
WEATHER = Tool("weather", "tells the weather", SCHEMA)
HELLO = ChatRequest(
    "m", (Message("system", (Text("be brief"),)), Message("user", (Text("hello big world"),))), max_tokens=50
)
RESULT = msgspec.structs.replace(
    HELLO,
    messages=(
        *HELLO.messages,
        Message("assistant", (ToolCall("call_1", "weather", "{}"),)),
        Message("tool", (ToolResult("call_1", (Text("12 degrees"),), "weather"),)),
    ),
    tools=(WEATHER,),
)


@attrs.frozen
class Exchange:
    """One dialect's chat with the echo.

    Attributes:
        name: the dialect.
        target: where relay believes it to go.
    """

    name: str
    target: Target = PLAIN

    @property
    def dialect(self) -> Dialect:
        """The dialect."""
        return DIALECTS[self.name]

    def ask(self, request: ChatRequest, *, stream: bool = False, array: bool = False, **knobs: Any) -> Reply:
        """The echo's reply to a request as relay builds it, with knobs."""
        asked = msgspec.structs.replace(request, stream=stream, wants_usage=stream)
        target = msgspec.structs.replace(self.target, stream=stream)
        fields = dict(self.dialect.backs[Operation.CHAT].build(asked, target).fields)
        if knobs:
            fields["echo"] = knobs
        asking = call(msgspec.json.encode(fields))
        if self.name in IN_PATH:
            asking = attrs.evolve(asking, model=target.model, stream=stream, array=array)
        return CHATS[self.name](asking)

    def whole(self, request: ChatRequest, **knobs: Any) -> Completion:
        """The answer as relay understands it."""
        reply = self.ask(request, **knobs)
        body = sent(reply)
        assert (reply.length, reply.content_type) == (len(body), b"application/json"), reply
        completion: Completion = self.dialect.backs[Operation.CHAT].parse(body, self.target)
        return completion

    def events(self, data: bytes) -> list[Event]:
        """A stream as relay understands it."""
        decoder, reader = self.dialect.decoder(1 << 20), self.dialect.backs[Operation.CHAT].reader(self.target)
        frames = [*decoder.feed(data), *decoder.end()]
        return [*(event for frame in frames for event in reader.read(frame)), *reader.end()]

    def streamed(self, request: ChatRequest, **knobs: Any) -> Completion:
        """The streamed answer, put together."""
        reply = self.ask(request, stream=True, **knobs)
        assert (reply.length, reply.content_type) == (None, STREAMS[self.name]), reply
        return assemble(self.events(sent(reply)))


class ChatCase(SynchronousTestCase):
    """What all four have in common."""

    def both(self, name: str, request: ChatRequest, target: Target = PLAIN, **knobs: object) -> Completion:
        """The answer, which is the same whole and streamed."""
        exchange = Exchange(name, target)
        whole, streamed = exchange.whole(request, **knobs), exchange.streamed(request, **knobs)
        (first,), (second,) = whole.choices, streamed.choices
        shown = [
            [(part.name, json.loads(part.arguments)) if isinstance(part, ToolCall) else part for part in choice.parts]
            for choice in (first, second)
        ]
        self.assertEqual(shown[0], shown[1], name)
        self.assertEqual((first.finish, whole.usage), (second.finish, streamed.usage), name)
        return streamed


class ChatTests(ChatCase):
    """Answers."""

    def test_lastUserTextIsTheAnswer(self) -> None:
        """Words come back, counted, word by word in streams."""
        for name in CHATS:
            completion = self.both(name, HELLO)
            self.assertEqual(completion.choices[0].parts, (Text("hello big world"),), name)
            self.assertEqual(completion.choices[0].finish, Finish.STOP)
            self.assertEqual((completion.usage.input, completion.usage.output), (5, 3), name)
            pieces = [data for data, content in Exchange(name).ask(HELLO, stream=True).pieces if content]
            self.assertEqual(len(pieces), 3, name)

    def test_limitsAndStopsAreKept(self) -> None:
        """A limit cuts behind its words, a stop text ends before it."""
        limited = msgspec.structs.replace(HELLO, max_tokens=1)
        stopped = msgspec.structs.replace(HELLO, stop=(" world",))
        for name in CHATS:
            for request, text, finish in ((limited, "hello", Finish.LENGTH), (stopped, "hello big", Finish.STOP)):
                (choice,) = self.both(name, request).choices
                self.assertEqual(choice.parts, (Text(text),), name)
                self.assertEqual(choice.finish, finish, name)

    def test_toolIsCalled(self) -> None:
        """By the knob in every dialect; when the choice demands it where the dialect can say so."""
        asked = msgspec.structs.replace(HELLO, tools=(WEATHER,))
        for name in CHATS:
            self.called(self.both(name, asked, tool="weather"), name)
        for choice in (ToolChoice("required"), ToolChoice("named", ("weather",))):
            demanded = msgspec.structs.replace(asked, tool_choice=choice)
            for name, target in (("gemini", PLAIN), ("cohere", PLAIN), ("bedrock", CLAUDE)):
                self.called(self.both(name, demanded, target), name)
            # Neither Ollama nor Converse for models of unknown families has a place for it: words come back.
            for name in ("ollama", "bedrock"):
                self.assertEqual(self.both(name, demanded).choices[0].parts, (Text("hello big world"),), name)

    def called(self, completion: Completion, name: str) -> None:
        """The tool was called with an instance of its schema."""
        (choice,) = completion.choices
        (part,) = [part for part in choice.parts if isinstance(part, ToolCall)]
        self.assertEqual((part.name, json.loads(part.arguments)), ("weather", json.loads(WEATHER_CALL)), name)
        self.assertTrue(part.id)
        self.assertEqual(choice.finish, Finish.TOOL_CALLS, name)

    def test_resultIsRepeated(self) -> None:
        """A conversation that ends with a tool's result gets that in words, so that an agent's loop ends."""
        for name in CHATS:
            (choice,) = self.both(name, RESULT, tool="weather").choices
            self.assertEqual(choice.finish, Finish.STOP, name)
            self.assertIn("12 degrees", "".join(part.text for part in choice.parts if isinstance(part, Text)), name)

    def test_structuredAnswers(self) -> None:
        """A schema gets an instance; an object is asked for without one where the dialect knows that."""
        form = msgspec.structs.replace(HELLO, format=ResponseFormat("json_schema", SCHEMA, "weather"))
        for name, target in (
            ("gemini", PLAIN),
            ("cohere", PLAIN),
            ("ollama", PLAIN),
            ("bedrock", CLAUDE),
        ):
            (part,) = self.both(name, form, target).choices[0].parts
            self.assertEqual(json.loads(getattr(part, "text", "")), json.loads(WEATHER_CALL), name)
        form = msgspec.structs.replace(HELLO, format=ResponseFormat("json_object"))
        for name in ("gemini", "cohere", "ollama"):
            (part,) = self.both(name, form).choices[0].parts
            self.assertEqual(json.loads(getattr(part, "text", "")), {"echo": "hello big world"}, name)

    def test_thinking(self) -> None:
        """Asked to think the echo shows thoughts first, and counts them."""
        asked = msgspec.structs.replace(HELLO, max_tokens=4096, reasoning=Reasoning(budget=1024, visible=True))
        for name, target in (
            ("gemini", FLASH),
            ("cohere", PLAIN),
            ("ollama", PLAIN),
            ("bedrock", CLAUDE),
        ):
            completion = self.both(name, asked, target)
            thought, text = completion.choices[0].parts
            self.assertEqual(text, Text("hello big world"), name)
            self.assertTrue(isinstance(thought, Thinking) and thought.text.startswith("Someone wants"), name)
            self.assertGreater(completion.usage.output or 0, 3, name)
        off = msgspec.structs.replace(HELLO, reasoning=Reasoning(budget=0))
        for name in CHATS:
            self.assertEqual(self.both(name, off).choices[0].parts, (Text("hello big world"),), name)


class KnobTests(ChatCase):
    """Knobs, turned in the dialect's own requests."""

    def test_text(self) -> None:
        """The answer is what the knob says, so often as the other one says."""
        for name in CHATS:
            self.assertEqual(self.both(name, HELLO, text="a b").choices[0].parts, (Text("a b"),), name)
            self.assertEqual(self.both(name, HELLO, text="a b", chunks=3).choices[0].parts, (Text("a b a"),), name)

    def test_endless(self) -> None:
        """A stream goes on for ever; a whole answer cannot."""
        for name in CHATS:
            pieces = Exchange(name).ask(HELLO, stream=True, endless=True).pieces
            seen = b"".join(next(pieces)[0] for _ in range(100))
            text = "".join(getattr(event, "text", "") for event in Exchange(name).events(seen))
            self.assertTrue(text.startswith("hello big world hello big world hello"), name)
            with self.assertRaises(InvalidRequest):
                Exchange(name).ask(HELLO, endless=True)

    def test_whatDoesNothingIsRefused(self) -> None:
        """Wrong names, tools that are not offered, and knobs of streams in whole answers are 400."""
        for name in CHATS:
            for knobs in ({"dely_ms": 3}, {"tool": "nope"}, {"error_after": 1}, {"cut_after": 2}, {"chunks": 0}):
                error = self.assertRaises(InvalidRequest, Exchange(name).ask, HELLO, **knobs)
                self.assertTrue((error.param or "").startswith("echo"), (name, knobs, error.param))

    def test_rowsOfProviderFiles(self) -> None:
        """Translated requests have no ``echo`` field, but a row of the provider's ``params`` puts one in."""
        provider = make_provider(params=(ParamRule("echo", default=b'{"text": "by row"}'),))
        for name, chat in CHATS.items():
            asked = msgspec.structs.replace(HELLO, extra={"echo": b'{"text": "by field"}'})
            built = DIALECTS[name].backs[Operation.CHAT].build(asked, PLAIN)
            self.assertIn("echo", built.dropped, name)
            asking = attrs.evolve(call(translating.body(built, provider)), model="m")
            if name in IN_PATH:
                asking = attrs.evolve(asking, stream=False)
            completion = DIALECTS[name].backs[Operation.CHAT].parse(sent(chat(asking)), PLAIN)
            self.assertEqual(completion.choices[0].parts, (Text("by row"),), name)

    def test_errorsInStreams(self) -> None:
        """An in-stream error says what the knob says, in words that relay reads as an error; nothing follows."""
        for name in CHATS:
            reply = Exchange(name).ask(HELLO, stream=True, error_after=2, error="as you wish")
            assert reply.error is not None
            taken, content = [], 0
            for data, carries in reply.pieces:
                content += carries
                if content > 2:
                    break
                taken.append(data)
            events = Exchange(name).events(b"".join(taken) + reply.error("as you wish"))
            erred = [event for event in events if isinstance(event, Erred)]
            self.assertEqual([event.message for event in erred], ["as you wish"], name)
            self.assertEqual("".join(getattr(event, "text", "") for event in events), "hello big", name)

    def test_arraysStayWhole(self) -> None:
        """A Gemini stream that is one JSON array is one also when it fails, wherever it does."""
        for after in range(3):
            reply = Exchange("gemini").ask(HELLO, stream=True, array=True, error_after=after)
            assert reply.error is not None
            self.assertEqual(reply.content_type, b"application/json")
            taken = [next(reply.pieces)[0] for _ in range(after + 1)]
            items = json.loads(b"".join(taken[:-1]) + reply.error("no"))
            self.assertEqual((len(items), items[-1]["error"]["message"]), (after + 1, "no"))
        whole = json.loads(sent(Exchange("gemini").ask(HELLO, stream=True, array=True)))
        self.assertEqual(
            "".join(item["candidates"][0]["content"]["parts"][0]["text"] for item in whole[:3]), "hello big world"
        )


class GenerateTests(SynchronousTestCase):
    """Ollama's ``/api/generate``."""

    def ask(self, **fields: object) -> list[dict[str, Any]]:
        """The lines of the answer."""
        reply = answerer("ollama", "/api/generate")(call(json.dumps({"model": "m", **fields}).encode()))
        return [json.loads(line) for line in sent(reply).splitlines()]

    def test_generate(self) -> None:
        """The prompt comes back, line by line unless the client wants it whole."""
        (line,) = self.ask(prompt="one two", stream=False)
        self.assertEqual((line["response"], line["done"], line["done_reason"]), ("one two", True, "stop"))
        self.assertEqual((line["prompt_eval_count"], line["eval_count"]), (2, 2))
        lines = self.ask(prompt="one two")
        self.assertEqual([line["response"] for line in lines], ["one", " two", ""])
        self.assertEqual([line["done"] for line in lines], [False, False, True])

    def test_knobs(self) -> None:
        """They are where they are on every endpoint."""
        (line,) = self.ask(prompt="one two", stream=False, echo={"text": "other"})
        self.assertEqual(line["response"], "other")


class CountTests(SynchronousTestCase):
    """Tokens are words."""

    def test_counts(self) -> None:
        """Both count every text of the request, and take no knob that would do nothing."""
        endpoints = {"gemini": answerer("gemini", f"{GEMINI}countTokens"), "bedrock": answer_count}
        for name, endpoint in endpoints.items():
            back = DIALECTS[name].backs[Operation.COUNT]
            fields = dict(back.build(HELLO, PLAIN).fields)
            reply = endpoint(attrs.evolve(call(msgspec.json.encode(fields)), model="m", stream=False))
            self.assertEqual(back.parse(sent(reply), PLAIN).tokens, 5, name)
            fields["echo"] = {"text": "x"}
            wrong = attrs.evolve(call(msgspec.json.encode(fields)), model="m", stream=False)
            self.assertEqual(self.assertRaises(InvalidRequest, endpoint, wrong).param, "echo.text", name)


class VectorTests(SynchronousTestCase):
    """Embeddings and rankings."""

    PLACES: Mapping[str, str] = {
        "gemini": f"{GEMINI}batchEmbedContents",
        "cohere": "/v2/embed",
        "ollama": "/api/embed",
    }

    def test_embeddings(self) -> None:
        """One unit vector for each text, as long as is asked, the same for the same text in every dialect."""
        found = []
        for name, path in self.PLACES.items():
            back = DIALECTS[name].backs[Operation.EMBED]
            target = Target("m", path=back.path)
            request = EmbedRequest("m", ("one two", "three", "one two"), dimensions=8)
            fields = dict(back.build(request, target).fields)
            reply = answerer(name, path)(attrs.evolve(call(msgspec.json.encode(fields)), model="m"))
            vectors = back.parse(sent(reply), target).vectors
            self.assertEqual([len(vector) for vector in vectors], [8, 8, 8], name)
            self.assertEqual(vectors[0], vectors[2])
            self.assertNotEqual(vectors[0], vectors[1])
            self.assertAlmostEqual(sum(number**2 for number in vectors[0]), 1.0, places=5)
            found.append(struct.pack("<8f", *vectors[0]))
        self.assertEqual(len(set(found)), 1)

    def test_oneContent(self) -> None:
        """Gemini's ``embedContent`` embeds one."""
        body = {"content": {"parts": [{"text": "one"}]}, "outputDimensionality": 4}
        reply = answerer("gemini", f"{GEMINI}embedContent")(attrs.evolve(call(json.dumps(body).encode()), model="m"))
        self.assertEqual(len(json.loads(sent(reply))["embedding"]["values"]), 4)

    def test_ranking(self) -> None:
        """Documents by the share of the query's words in them, the best first, no more than are asked for."""
        back = DIALECTS["cohere"].backs[Operation.RANK]
        request = RankRequest("m", "red fox", ("a dog", "a red fox", "a red dog"), top=2)
        fields = msgspec.json.encode(back.build(request, PLAIN).fields)
        ranking = back.parse(sent(answerer("cohere", "/v2/rerank")(call(fields))), PLAIN)
        self.assertEqual([(index, score) for index, score in ranking.results], [(1, 1.0), (2, 0.5)])
