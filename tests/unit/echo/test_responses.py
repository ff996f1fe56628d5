"""Tests of `relay.echo.responses`: OpenAI Responses, whole and streamed."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.echo.responses import answer_response
from relay.errors import InvalidRequest
from tests.unit.echo.asking import NOW, WEATHER_CALL, WEATHER_SCHEMA, ask, content, events, frames, value

TOOLS = [{"type": "function", "name": "weather", "parameters": WEATHER_SCHEMA}]
ITEMS = [
    {"role": "user", "content": [{"type": "input_text", "text": "weather please"}]},
    {"type": "reasoning", "summary": [], "content": None},
    {"type": "function_call", "name": "weather", "arguments": "{}", "call_id": "c"},
]


class ResponseTests(SynchronousTestCase):
    """``/v1/responses``."""

    def test_inputIsTheAnswer(self) -> None:
        """The whole answer has the shape and the usage of OpenAI's."""
        answer = value(ask(answer_response, model="m", input="hello world", instructions="be brief"))
        self.assertEqual((answer["id"], answer["object"], answer["created_at"]), ("resp_2", "response", NOW))
        self.assertEqual((answer["status"], answer["completed_at"]), ("completed", NOW))
        (item,) = answer["output"]
        self.assertEqual((item["type"], item["status"], item["id"]), ("message", "completed", "msg_1"))
        self.assertEqual(item["content"][0]["text"], "hello world")
        usage = answer["usage"]
        self.assertEqual((usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]), (4, 2, 6))
        self.assertEqual(usage["input_tokens_details"]["cached_tokens"], 0)
        self.assertEqual(usage["output_tokens_details"]["reasoning_tokens"], 0)

    def test_settingsAreRepeated(self) -> None:
        """What the request set is in the answer, what it did not set has OpenAI's default."""
        settings = {"metadata": {"a": "b"}, "temperature": 0.0, "store": False, "parallel_tool_calls": False}
        answer = value(ask(answer_response, model="m", input="a", tools=TOOLS, **settings))
        for name, setting in settings.items():
            self.assertEqual(answer[name], setting, name)
        self.assertEqual((answer["top_p"], answer["tool_choice"]), (1.0, "auto"))
        self.assertEqual(answer["tools"][0]["strict"], True)

    def test_otherToolsAreRepeatedAndNotCalled(self) -> None:
        """Tools that the provider runs itself stay as they are, and are answered in words."""
        tools = [{"type": "web_search"}]
        answer = value(ask(answer_response, model="m", input="a", tools=tools, tool_choice="required"))
        self.assertEqual((answer["tools"], answer["output"][0]["type"]), (tools, "message"))

    def test_streamedEventsAreInOrder(self) -> None:
        """From ``response.created`` to ``response.completed``, numbered without gaps, names as types."""
        found = events(ask(answer_response, model="m", input="hello world", stream=True))
        self.assertEqual(
            [name for name, _ in found],
            [
                "response.created",
                "response.in_progress",
                "response.output_item.added",
                "response.content_part.added",
                "response.output_text.delta",
                "response.output_text.delta",
                "response.output_text.done",
                "response.content_part.done",
                "response.output_item.done",
                "response.completed",
            ],
        )
        self.assertEqual([event["sequence_number"] for _, event in found], list(range(10)))
        self.assertEqual([event["type"] for _, event in found], [name for name, _ in found])
        self.assertEqual(found[0][1]["response"]["usage"], None)
        self.assertEqual(found[2][1]["item"]["content"], [])
        self.assertEqual(found[-1][1]["response"], value(ask(answer_response, model="m", input="hello world")))

    def test_limitMakesItIncomplete(self) -> None:
        """Item, response and last event say so."""
        found = events(ask(answer_response, model="m", input="hello world", stream=True, max_output_tokens=1))
        name, last = found[-1]
        self.assertEqual((name, last["response"]["status"]), ("response.incomplete", "incomplete"))
        self.assertEqual(last["response"]["incomplete_details"], {"reason": "max_output_tokens"})
        self.assertEqual(last["response"]["output"][0]["status"], "incomplete")

    def test_toolIsCalled(self) -> None:
        """When it is required, named, or asked for by the knob; its arguments come in deltas."""
        for more in (
            {"tool_choice": "required"},
            {"tool_choice": {"type": "function", "name": "weather"}},
            {"echo": {"tool": "weather"}},
        ):
            (item,) = value(ask(answer_response, model="m", input="a", tools=TOOLS, **more))["output"]
            self.assertEqual(
                (item["type"], item["name"], item["arguments"]), ("function_call", "weather", WEATHER_CALL)
            )
            found = events(ask(answer_response, model="m", input="a", tools=TOOLS, stream=True, **more))
            pieces = [event["delta"] for name, event in found if name == "response.function_call_arguments.delta"]
            self.assertEqual("".join(pieces), WEATHER_CALL)
            done = [event for name, event in found if name == "response.function_call_arguments.done"]
            self.assertEqual(done[0]["arguments"], WEATHER_CALL)
            self.assertEqual(found[2][1]["item"]["arguments"], "")

    def test_resultIsRepeated(self) -> None:
        """After a tool's result, text or parts, that is the answer."""
        for output in ("12 degrees", [{"type": "input_text", "text": "12 degrees"}]):
            items = [*ITEMS, {"type": "function_call_output", "call_id": "c", "output": output}]
            answer = value(ask(answer_response, model="m", input=items, tools=TOOLS, tool_choice="required"))
            self.assertEqual(answer["output"][0]["content"][0]["text"], "12 degrees")
            self.assertEqual(answer["usage"]["input_tokens"], 4)

    def test_lastUserItemIsTheAnswer(self) -> None:
        """Items of other kinds do not matter."""
        answer = value(ask(answer_response, model="m", input=ITEMS))
        self.assertEqual(answer["output"][0]["content"][0]["text"], "weather please")

    def test_structuredAnswers(self) -> None:
        """A schema's instance, or an object with the prompt; the format is repeated."""
        schema = {"type": "json_schema", "name": "w", "schema": WEATHER_SCHEMA}
        for form, text in ((schema, WEATHER_CALL), ({"type": "json_object"}, '{"echo": "a"}')):
            answer = value(ask(answer_response, model="m", input="a", text={"format": form}))
            self.assertEqual(answer["output"][0]["content"][0]["text"], text)
            self.assertEqual(answer["text"]["format"]["type"], form["type"])

    def test_errorContinuesTheSequence(self) -> None:
        """An in-stream error is an event like the others."""
        reply = ask(answer_response, model="m", input="hello world", stream=True)
        before = [next(reply.pieces) for _ in range(5)]
        assert reply.error is not None
        ((name, error),) = frames(reply.error("no more"))
        self.assertEqual((name, error["type"], error["message"]), ("error", "error", "no more"))
        self.assertEqual(error["sequence_number"], len(before))

    def test_onlyDeltasAreContent(self) -> None:
        """Knobs count words, or pieces of a tool's arguments."""
        self.assertEqual(len(content(ask(answer_response, model="m", input="hello world", stream=True))), 2)
        reply = ask(answer_response, model="m", input="a", tools=TOOLS, tool_choice="required", stream=True)
        self.assertEqual(len(content(reply)), 2)

    def test_faultsAreRefused(self) -> None:
        """Fields of the wrong type, or missing, are named."""
        for fields, param in (
            ({"input": "a"}, "model"),
            ({"model": "m"}, "input"),
            ({"model": "m", "input": 3}, "input"),
            ({"model": "m", "input": [{"role": 3}]}, "input[0].role"),
            ({"model": "m", "input": "a", "max_output_tokens": 0}, "max_output_tokens"),
        ):
            error = self.assertRaises(InvalidRequest, ask, answer_response, **fields)
            self.assertEqual(error.param, param)
