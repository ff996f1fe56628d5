"""Tests of `relay.echo.messages`: Anthropic Messages, whole and streamed."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from relay.echo.messages import answer_count, answer_message
from relay.errors import InvalidRequest
from tests.unit.echo.asking import (
    WEATHER_CALL,
    WEATHER_SCHEMA,
    ask,
    content,
    events,
    frames,
    text_message,
    value,
)

HELLO = [text_message("hello world")]
TOOLS = [{"type": "web_search_20250305", "name": "search"}, {"name": "weather", "input_schema": WEATHER_SCHEMA}]
BASE: dict[str, object] = {"model": "m", "max_tokens": 100, "messages": HELLO}


class MessageTests(SynchronousTestCase):
    """``/v1/messages``."""

    def test_lastUserTextIsTheAnswer(self) -> None:
        """The whole answer has the shape and the usage of Anthropic's."""
        answer = value(ask(answer_message, **BASE, system=[{"type": "text", "text": "be brief"}]))
        self.assertEqual((answer["id"], answer["type"], answer["role"]), ("msg_1", "message", "assistant"))
        self.assertEqual(answer["content"], [{"type": "text", "text": "hello world"}])
        self.assertEqual((answer["stop_reason"], answer["stop_sequence"]), ("end_turn", None))
        usage = answer["usage"]
        self.assertEqual((usage["input_tokens"], usage["output_tokens"]), (4, 2))
        self.assertEqual((usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]), (0, 0))

    def test_streamedEventsAreInOrder(self) -> None:
        """From ``message_start`` to ``message_stop``, each named by its type, usage at the end."""
        found = events(ask(answer_message, **BASE, stream=True))
        self.assertEqual(
            [name for name, _ in found],
            [
                "message_start",
                "content_block_start",
                "ping",
                "content_block_delta",
                "content_block_delta",
                "content_block_stop",
                "message_delta",
                "message_stop",
            ],
        )
        self.assertEqual([event["type"] for _, event in found], [name for name, _ in found])
        start = found[0][1]["message"]
        self.assertEqual((start["content"], start["stop_reason"], start["usage"]["input_tokens"]), ([], None, 2))
        self.assertEqual(found[-2][1]["delta"]["stop_reason"], "end_turn")
        self.assertEqual(found[-2][1]["usage"]["output_tokens"], 2)

    def test_limitsAndStopsAreKept(self) -> None:
        """With Anthropic's names for why it stopped."""
        answer = value(ask(answer_message, **{**BASE, "max_tokens": 1}))
        self.assertEqual((answer["content"][0]["text"], answer["stop_reason"]), ("hello", "max_tokens"))
        answer = value(ask(answer_message, **BASE, stop_sequences=[" wor"]))
        self.assertEqual((answer["content"][0]["text"], answer["stop_reason"]), ("hello", "stop_sequence"))
        self.assertEqual(answer["stop_sequence"], " wor")

    def test_toolIsCalled(self) -> None:
        """When any is required, one is named, or asked for by the knob; the server's own tools are not."""
        for more in (
            {"tool_choice": {"type": "any"}},
            {"tool_choice": {"type": "tool", "name": "weather"}},
            {"echo": {"tool": "weather"}},
        ):
            answer = value(ask(answer_message, **BASE, tools=TOOLS, **more))
            use = {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": json.loads(WEATHER_CALL)}
            self.assertEqual((answer["content"], answer["stop_reason"]), ([use], "tool_use"))
            found = events(ask(answer_message, **BASE, tools=TOOLS, stream=True, **more))
            self.assertEqual(found[1][1]["content_block"], {**use, "input": {}})
            pieces = [event["delta"]["partial_json"] for name, event in found if name == "content_block_delta"]
            self.assertEqual("".join(pieces), WEATHER_CALL)

    def test_toolsMayBeLeftAlone(self) -> None:
        """``auto`` and ``none`` are answered in words."""
        for kind in ("auto", "none"):
            answer = value(ask(answer_message, **BASE, tools=TOOLS, tool_choice={"type": kind}))
            self.assertEqual(answer["stop_reason"], "end_turn")

    def test_resultIsRepeated(self) -> None:
        """After a tool's result that is the answer, or the text beside it."""
        result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "12 degrees"}]}
        for parts, text in (([result], "12 degrees"), ([result, {"type": "text", "text": "so?"}], "so?")):
            messages = [*HELLO, {"role": "user", "content": parts}]
            answer = value(
                ask(answer_message, **{**BASE, "messages": messages}, tools=TOOLS, tool_choice={"type": "any"})
            )
            self.assertEqual(answer["content"], [{"type": "text", "text": text}])

    def test_thinkingComesFirst(self) -> None:
        """Asked to think, it thinks in a signed block before the answer, and counts that."""
        thinking = {"type": "enabled", "budget_tokens": 1024}
        first, second = value(ask(answer_message, **BASE, thinking=thinking))["content"]
        self.assertEqual((first["type"], second["type"]), ("thinking", "text"))
        self.assertTrue(first["signature"])
        found = events(ask(answer_message, **BASE, thinking=thinking, stream=True))
        thoughts = [event["delta"] for name, event in found if name == "content_block_delta" and event["index"] == 0]
        self.assertEqual("".join(delta.get("thinking", "") for delta in thoughts), first["thinking"])
        self.assertEqual(thoughts[-1]["type"], "signature_delta")
        usage = found[-2][1]["usage"]
        self.assertEqual(usage["output_tokens"], 2 + usage["output_tokens_details"]["thinking_tokens"])

    def test_thinkingIsItsOwnChoice(self) -> None:
        """Where it may decide, it does not think."""
        answer = value(ask(answer_message, **BASE, thinking={"type": "adaptive"}))
        self.assertEqual(len(answer["content"]), 1)

    def test_structuredAnswers(self) -> None:
        """A schema's instance."""
        form = {"type": "json_schema", "schema": WEATHER_SCHEMA}
        answer = value(ask(answer_message, **BASE, output_config={"format": form}))
        self.assertEqual(answer["content"][0]["text"], WEATHER_CALL)

    def test_errorIsAnEvent(self) -> None:
        """The in-stream error is Anthropic's."""
        reply = ask(answer_message, **BASE, stream=True)
        assert reply.error is not None
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "no more"}}
        self.assertEqual(frames(reply.error("no more")), [("error", error)])

    def test_onlyDeltasAreContent(self) -> None:
        """Knobs count words; of a tool's use, its name as well."""
        self.assertEqual(len(content(ask(answer_message, **BASE, stream=True))), 2)
        reply = ask(answer_message, **BASE, tools=TOOLS, tool_choice={"type": "any"}, stream=True)
        self.assertIn(b"content_block_start", content(reply)[0])

    def test_faultsAreRefused(self) -> None:
        """Fields of the wrong type, or missing, are named."""
        for fields, param in (
            ({"model": "m", "messages": HELLO}, "max_tokens"),
            ({"model": "m", "max_tokens": 1}, "messages"),
            ({**BASE, "messages": [{"role": "user"}]}, "messages[0].content"),
            ({**BASE, "max_tokens": 0}, "max_tokens"),
        ):
            error = self.assertRaises(InvalidRequest, ask, answer_message, **fields)
            self.assertEqual(error.param, param)


class CountTests(SynchronousTestCase):
    """``/v1/messages/count_tokens``."""

    def test_countIsTheUsage(self) -> None:
        """It says what a message would say it used; no limit is needed."""
        fields = {"model": "m", "messages": HELLO, "system": "be brief"}
        usage = value(ask(answer_message, **fields, max_tokens=5))["usage"]
        self.assertEqual(value(ask(answer_count, **fields)), {"input_tokens": usage["input_tokens"]})

    def test_uselessKnobsAreRefused(self) -> None:
        """A count says nothing that knobs could change."""
        for name, knob in (("text", "a"), ("chunks", 2), ("tool", "t"), ("endless", True)):
            error = self.assertRaises(InvalidRequest, ask, answer_count, model="m", messages=HELLO, echo={name: knob})
            self.assertEqual(error.param, f"echo.{name}")
