"""Every recorded exchange of this dialect in every role that it can play here."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Completion, Finish, Refusal, Text, Thinking, ToolCall
from relay.dialects.assembly import assemble
from relay.dialects.codec import Target
from relay.dialects.openai import answer, request, sending, understanding
from relay.dialects.openai.writing import ChatWriter
from relay.dialects.tokens import read_usage
from relay.errors import InvalidRequest
from relay.events import Erred
from relay.exchange import Usage
from relay.provider import Quirk
from tests.unit.dialects.openai.talk import (
    CALL,
    FOLDER,
    answers,
    asked,
    judge,
    payloads,
    read,
    requests,
    streams,
    target,
    written,
)
from tests.unit.dialects.streams import ends, singly, slices


def texts(completion: Completion, kind: type[Any] = Text) -> str:
    """All words of a kind in the first choice."""
    return "".join(part.text for part in completion.choices[0].parts if isinstance(part, kind))


def calls(completion: Completion) -> list[tuple[str, str, Any]]:
    """Id, name and arguments of each call."""
    found = [part for part in completion.choices[0].parts if isinstance(part, ToolCall)]
    return [(part.id, part.name, json.loads(part.arguments)) for part in found]


def plain_calls(message: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """The same, found without relay."""
    return [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"] or "{}"))
        for call in message.get("tool_calls") or ()
    ]


def plain_text(content: Any) -> str:
    """The words of a message's content, found without relay; thoughts between tags are not among them."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    text = content or ""
    if text.lstrip().startswith("<think>"):
        text = text.partition("</think>")[2].lstrip()
    return str(text)


def finish_of(reason: str | None, completion: Completion) -> str:
    """The finish reason that a recording plainly holds, in the hub's words."""
    if any(isinstance(part, ToolCall) for part in completion.choices[0].parts):
        return Finish.TOOL_CALLS
    if texts(completion, Refusal):
        return Finish.REFUSAL
    return reason or Finish.STOP


def unmarked(completion: Completion) -> Completion:
    """An answer without what a front replaces: the model's name, and places that a source did not tell."""
    choices = []
    for choice in completion.choices:
        parts = [
            msgspec.structs.replace(
                part, citations=tuple(msgspec.structs.replace(each, start=None, end=None) for each in part.citations)
            )
            if isinstance(part, Text)
            else part
            for part in choice.parts
        ]
        choices.append(msgspec.structs.replace(choice, parts=tuple(parts)))
    return msgspec.structs.replace(completion, id="", model="", created=0, choices=tuple(choices))


class AnswerTests(SynchronousTestCase):
    """Whole answers."""

    if not FOLDER:
        skip = "RELAY_FIXTURES names no folder of recordings"

    def test_understood(self) -> None:
        """Text, calls, finish reason and usage are what the recording plainly holds."""
        seen = 0
        for case, data in answers():
            seen += 1
            body = json.loads(data)
            completion = understanding.parse(data, target())
            choice, message = completion.choices[0], body["choices"][0].get("message") or {}
            if "message" in body["choices"][0]:
                self.assertEqual(texts(completion), plain_text(message.get("content")), case.name)
            if message.get("tool_calls"):
                self.assertEqual(calls(completion), plain_calls(message), case.name)
            self.assertEqual(texts(completion, Refusal), message.get("refusal") or "", case.name)
            self.assertEqual(choice.finish, finish_of(body["choices"][0]["finish_reason"], completion), case.name)
            self.assertEqual(completion.usage, read_usage(body["usage"]), case.name)
            self.assertEqual(len(completion.choices), len(body["choices"]), case.name)
            said = message.get("reasoning_content") or message.get("reasoning")
            if said:
                self.assertEqual(texts(completion, Thinking), said, case.name)
        self.assertGreater(seen, 160)

    def test_thereAndBack(self) -> None:
        """An answer that a client is shown reads as the same answer."""
        seen = 0
        for case, data in answers():
            seen += 1
            completion = understanding.parse(data, target())
            again = understanding.parse(answer.render(completion, asked()), target())
            self.assertEqual(unmarked(again), unmarked(completion), case.name)
        self.assertGreater(seen, 160)


class StreamTests(SynchronousTestCase):
    """Streamed answers; without a folder of recordings those of the repository."""

    def test_understood(self) -> None:
        """Text, calls, finish reason and usage are what the chunks plainly hold."""
        for name, data in streams():
            completion = assemble(read([data]))
            chunks = payloads(data)
            deltas = [(c.get("choices") or [{}])[0].get("delta") or {} for c in chunks]
            self.assertEqual(texts(completion), "".join(plain_text(member.get("content")) for member in deltas), name)
            plain = "".join(member.get("reasoning_content") or member.get("reasoning") or "" for member in deltas)
            if plain:
                self.assertEqual(texts(completion, Thinking), plain, name)
            names = [
                call["function"]["name"]
                for member in deltas
                for call in member.get("tool_calls") or ()
                if call["function"].get("name")
            ]
            self.assertEqual([called for _, called, _ in calls(completion)], names, name)
            reasons = [c["choices"][0].get("finish_reason") for c in chunks if c.get("choices")]
            if not any("error" in c for c in chunks):
                reason = next(filter(None, reasons), None)
                self.assertEqual(completion.choices[0].finish, finish_of(reason, completion), name)
            counts = [c.get("usage") or (c.get("x_groq") or {}).get("usage") for c in chunks]
            last = next(filter(None, reversed(counts)), None)
            self.assertEqual(completion.usage, read_usage(last) if last else Usage(), name)

    def test_slices(self) -> None:
        """However the bytes are cut, the answer is the same."""
        for number, (name, data) in enumerate(streams()):
            expected = assemble(read([data]))
            if number % 8 == 0 and len(data) < 30000:
                self.assertEqual(assemble(read(singly(data))), expected, name)
            for seed in range(2):
                self.assertEqual(assemble(read(slices(data, seed))), expected, name)

    def test_cut(self) -> None:
        """A stream cut at any frame says no more than it did, and no finish reason that had not come."""
        for name, data in streams():
            complete = assemble(read([data]))
            places = ends(data)
            for place in places[:: max(1, len(places) // 6)]:
                cut = assemble(read([data[:place]]))
                self.assertTrue(texts(complete).startswith(texts(cut)), name)
                self.assertIn(cut.choices[0].finish, ("", complete.choices[0].finish), name)

    def test_thereAndBack(self) -> None:
        """What a client is sent is well-formed, and reads as the same answer; so does the answer put together."""
        for name, data in streams():
            events = read([data])
            if any(isinstance(event, Erred) for event in events):
                continue
            completion = assemble(events)
            wants = msgspec.structs.replace(asked().request, wants_usage=True)
            sent = written(ChatWriter(asked(wants)), events)
            judge(sent, usage=True)
            again = assemble(read([sent]))
            self.assertEqual(unmarked(again), unmarked(completion), name)
            shown = understanding.parse(answer.render(completion, asked()), target())
            self.assertEqual(unmarked(shown), unmarked(completion), name)

    def test_usageUnasked(self) -> None:
        """A client that did not ask for usage is sent no chunk of it."""
        for name, data in streams():
            for chunk in judge(written(ChatWriter(asked()), read([data]))):
                self.assertNotIn("usage", chunk, name)


def meaning(sent: dict[str, Any]) -> dict[str, Any]:
    """A recorded request as relay would send it, by the normalisation that its modules document."""
    out = {name: value for name, value in sent.items() if value not in (None, [], {}) and name not in UNCARRIED}
    for name in ("stream", "store"):
        out.pop(name, None)
    if out.pop("stream_options", None) or sent.get("stream"):
        out["stream"], out["stream_options"] = True, {"include_usage": True}
    if "max_completion_tokens" in out:
        out["max_tokens"] = out.pop("max_completion_tokens")
    if isinstance(out.get("stop"), str):
        out["stop"] = [out["stop"]]
    if out.get("response_format") == {"type": "text"}:
        del out["response_format"]
    if functions := out.pop("functions", None):
        out["tools"] = [{"type": "function", "function": function} for function in functions]
        out["tool_choice"] = out.pop("function_call")
    if isinstance(out.get("tool_choice"), dict):
        out["tool_choice"] = {"type": "function", **out["tool_choice"]}
    if not out.get("tools"):
        out.pop("tool_choice", None)
    if "web_search_options" in sent:
        out["web_search_options"] = sent["web_search_options"]
    return out


def provider(sent: dict[str, Any], *, stream: bool) -> Target:
    """A provider like the one that a request was recorded from, as far as the request shows."""
    any_tool = (Quirk.ANY_FOR_REQUIRED,) if sent.get("tool_choice") == "any" else ()
    return target(Quirk.CACHE_CONTROL, *any_tool, model=sent["model"], stream=stream)


UNCARRIED = frozenset(
    {"clear_thinking", "enable_thinking", "provider", "reasoning_format", "thinking", "reasoning", "reasoning_effort"}
)


def simple(message: dict[str, Any]) -> dict[str, Any]:
    """A message's role, words, calls and what it answers."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}] if content else []
    words = [part["text"] for part in parts if part["type"] == "text" and part.get("text")]
    return {
        "role": message["role"],
        "words": "".join(words) if message["role"] == "assistant" else "\n\n".join(words),
        "media": [part["type"] for part in parts if part["type"] not in ("text", "thinking")],
        "calls": plain_calls(message),
        "answers": message.get("tool_call_id"),
    }


class RequestTests(SynchronousTestCase):
    """Requests, from the client and to the provider."""

    if not FOLDER:
        skip = "RELAY_FIXTURES names no folder of recordings"

    def test_thereAndBack(self) -> None:
        """A request that comes and goes in this dialect keeps its meaning."""
        seen = 0
        for case, data in requests():
            sent = json.loads(data)
            if case.meta["provider"] == "azure":
                sent["model"] = "up"
            given = request.parse(data, CALL)
            built = sending.build(given, provider(sent, stream=given.stream))
            fields = json.loads(msgspec.json.encode(built.fields))
            expected = meaning(sent)
            seen += 1
            for name in fields.keys() | expected.keys():
                if name in ("messages", "tools", *UNCARRIED):
                    continue
                self.assertEqual(fields.get(name), expected.get(name), f"{case.name} {name}")
            self.assertEqual(
                [simple(message) for message in fields["messages"]],
                [each for each in map(simple, sent["messages"]) if each != EMPTY],
                case.name,
            )
            self.assertEqual(bare(fields.get("tools", [])), bare(expected.get("tools", [])), case.name)
        self.assertGreater(seen, 200)

    def test_dropped(self) -> None:
        """What could not be carried is a field of some vendor, and is told."""
        told: set[str] = set()
        for _, data in requests():
            given = request.parse(data, CALL)
            told.update(sending.build(given, target(Quirk.CACHE_CONTROL)).dropped)
        vendors = {"clear_thinking", "enable_thinking", "provider", "reasoning_format", "thinking.clear_thinking"}
        self.assertEqual(told, vendors)

    def test_twice(self) -> None:
        """A request built for a provider of this dialect, read again, is the same request."""
        for case, data in requests():
            given = request.parse(data, CALL)
            built = sending.build(given, target(model=given.model, stream=given.stream))
            again = request.parse(msgspec.json.encode(built.fields), CALL)
            once_more = sending.build(again, target(model=given.model, stream=given.stream))
            self.assertEqual(
                json.loads(msgspec.json.encode(once_more.fields)),
                json.loads(msgspec.json.encode(built.fields)),
                case.name,
            )

    def test_failing(self) -> None:
        """Even the requests that a provider refused are read, or refused with the field's name."""
        for _, data in requests():
            try:
                request.parse(data, CALL)
            except InvalidRequest as error:
                self.assertTrue(error.param)


EMPTY: dict[str, Any] = {"role": "assistant", "words": "", "media": [], "calls": [], "answers": None}
"""An assistant's turn of which nothing is left, and which is left out."""


def bare(tools: list[dict[str, Any]]) -> list[Any]:
    """Tools by what matters."""
    out: list[Any] = []
    for tool in tools:
        function = tool.get("function")
        if function is None:
            out.append(tool)
            continue
        empty = {"type": "object", "properties": {}}
        out.append(
            (
                function["name"],
                function.get("description") or "",
                function.get("parameters") or empty,
                function.get("strict"),
                tool.get("cache_control"),
            )
        )
    return out
