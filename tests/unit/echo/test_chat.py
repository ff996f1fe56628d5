"""Tests of `relay.echo.chat` and `relay.echo.completions`: OpenAI's shapes, whole and streamed."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relay.echo.chat import answer_chat
from relay.echo.completions import answer_completion
from relay.errors import InvalidRequest
from tests.unit.echo.asking import NOW, WEATHER_CALL, WEATHER_SCHEMA, ask, content, events, text_message, value

HELLO = [text_message("be brief", "system"), text_message("hello big world")]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER_SCHEMA}}]


def deltas(found: list[tuple[str, Any]], index: int = 0) -> list[dict[str, Any]]:
    """The deltas of one choice."""
    chunks = [chunk for _, chunk in found if chunk != "[DONE]"]
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]


class ChatTests(SynchronousTestCase):
    """``/v1/chat/completions``."""

    def test_lastUserTextIsTheAnswer(self) -> None:
        """The whole answer has the shape and the usage of OpenAI's."""
        answer = value(ask(answer_chat, model="m", messages=[*HELLO, text_message("yes?", "assistant")]))
        self.assertEqual(answer["id"], "chatcmpl-1")
        self.assertEqual((answer["object"], answer["model"], answer["created"]), ("chat.completion", "m", NOW))
        (choice,) = answer["choices"]
        self.assertEqual((choice["index"], choice["finish_reason"], choice["logprobs"]), (0, "stop", None))
        self.assertEqual((choice["message"]["role"], choice["message"]["content"]), ("assistant", "hello big world"))
        usage = answer["usage"]
        self.assertEqual((usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]), (6, 3, 9))
        self.assertEqual(usage["prompt_tokens_details"]["cached_tokens"], 0)
        self.assertEqual(usage["completion_tokens_details"]["reasoning_tokens"], 0)

    def test_streamIsWordByWord(self) -> None:
        """Role, one chunk a word, finish, ``[DONE]``; no usage where none was asked for."""
        found = events(ask(answer_chat, model="m", messages=HELLO, stream=True))
        self.assertEqual(found[-1], ("", "[DONE]"))
        self.assertEqual(
            deltas(found),
            [
                {"role": "assistant", "content": "", "refusal": None},
                {"content": "hello"},
                {"content": " big"},
                {"content": " world"},
                {},
            ],
        )
        chunks = [chunk for _, chunk in found[:-1]]
        self.assertEqual([chunk["choices"][0]["finish_reason"] for chunk in chunks], [None] * 4 + ["stop"])
        self.assertEqual({chunk["id"] for chunk in chunks}, {"chatcmpl-1"})
        self.assertFalse(any("usage" in chunk for chunk in chunks))

    def test_usageIsAChunkOfItsOwn(self) -> None:
        """Asked for, it is null on all chunks but the last, which has no choices."""
        options = {"include_usage": True}
        found = events(ask(answer_chat, model="m", messages=HELLO, stream=True, stream_options=options))
        *others, last = [chunk for _, chunk in found[:-1]]
        self.assertEqual({chunk["usage"] for chunk in others}, {None})
        self.assertEqual((last["choices"], last["usage"]["total_tokens"]), ([], 8))
        self.assertEqual(found[-1], ("", "[DONE]"))

    def test_onlyWordsAreContent(self) -> None:
        """Knobs count the chunks with words, not what is around them."""
        self.assertEqual(len(content(ask(answer_chat, model="m", messages=HELLO, stream=True))), 3)

    def test_choicesAreAsMany(self) -> None:
        """``n`` answers, each whole, streamed in turn, and all counted."""
        answer = value(ask(answer_chat, model="m", messages=HELLO, n=2))
        self.assertEqual([choice["index"] for choice in answer["choices"]], [0, 1])
        self.assertEqual(answer["usage"]["completion_tokens"], 6)
        found = events(ask(answer_chat, model="m", messages=HELLO, n=2, stream=True))
        for index in (0, 1):
            text = "".join(delta.get("content", "") for delta in deltas(found, index))
            self.assertEqual(text, "hello big world")

    def test_limitsAndStopsAreKept(self) -> None:
        """Either name of the limit, and stops as a text or a list."""
        for field in ("max_tokens", "max_completion_tokens"):
            (choice,) = value(ask(answer_chat, model="m", messages=HELLO, **{field: 1}))["choices"]
            self.assertEqual((choice["message"]["content"], choice["finish_reason"]), ("hello", "length"))
        for stop in (" world", ["nothing", " world"]):
            (choice,) = value(ask(answer_chat, model="m", messages=HELLO, stop=stop))["choices"]
            self.assertEqual((choice["message"]["content"], choice["finish_reason"]), ("hello big", "stop"))

    def test_toolIsCalled(self) -> None:
        """When it is required, named, or asked for by the knob."""
        choices = ("required", {"type": "function", "function": {"name": "weather"}})
        for more in ({"tool_choice": choice} for choice in choices):
            self.called(**more)
        self.called(echo={"tool": "weather"})

    def called(self, **more: object) -> None:
        """The tool is called, streamed and whole."""
        (choice,) = value(ask(answer_chat, model="m", messages=HELLO, tools=TOOLS, **more))["choices"]
        self.assertEqual((choice["finish_reason"], choice["message"]["content"]), ("tool_calls", None))
        function = {"name": "weather", "arguments": WEATHER_CALL}
        self.assertEqual(choice["message"]["tool_calls"], [{"id": "call_2", "type": "function", "function": function}])
        found = events(ask(answer_chat, model="m", messages=HELLO, tools=TOOLS, stream=True, **more))
        calls = [call for delta in deltas(found) for call in delta.get("tool_calls", ())]
        self.assertEqual(calls[0]["function"], {"name": "weather", "arguments": ""})
        self.assertEqual("".join(call["function"]["arguments"] for call in calls), WEATHER_CALL)
        self.assertEqual(found[-2][1]["choices"][0]["finish_reason"], "tool_calls")

    def test_resultIsRepeated(self) -> None:
        """After a tool's result, that is the answer."""
        messages = [*HELLO, {"role": "assistant", "tool_calls": []}, text_message("12 degrees", "tool")]
        answer = value(ask(answer_chat, model="m", messages=messages, tools=TOOLS, tool_choice="required"))
        self.assertEqual(answer["choices"][0]["message"]["content"], "12 degrees")

    def test_structuredAnswers(self) -> None:
        """A schema's instance, or an object with the prompt."""
        schema = {"type": "json_schema", "json_schema": {"name": "w", "schema": WEATHER_SCHEMA}}
        for form, text in ((schema, WEATHER_CALL), ({"type": "json_object"}, '{"echo": "hello big world"}')):
            answer = value(ask(answer_chat, model="m", messages=HELLO, response_format=form))
            self.assertEqual(answer["choices"][0]["message"]["content"], text)

    def test_faultsAreRefused(self) -> None:
        """Fields of the wrong type, or missing, are named."""
        for fields, param in (
            ({"messages": HELLO}, "model"),
            ({"model": "m"}, "messages"),
            ({"model": "m", "messages": []}, "messages"),
            ({"model": "m", "messages": [{"content": "a"}]}, "messages[0].role"),
            ({"model": "m", "messages": HELLO, "n": 0}, "n"),
            ({"model": "m", "messages": HELLO, "max_tokens": 0}, "max_tokens"),
            ({"model": "m", "messages": HELLO, "echo": {"endless": True}}, "echo.endless"),
            ({"model": "m", "messages": HELLO, "echo": {"error_after": 0}}, "echo.error_after"),
            ({"model": "m", "messages": HELLO, "echo": {"cut_after": 2}}, "echo.cut_after"),
        ):
            error = self.assertRaises(InvalidRequest, ask, answer_chat, **fields)
            self.assertEqual(error.param, param)


class CompletionTests(SynchronousTestCase):
    """``/v1/completions``."""

    def test_promptsAreContinued(self) -> None:
        """One choice for each prompt and each ``n``, in OpenAI's order."""
        answer = value(ask(answer_completion, model="m", prompt=["a b", "c"], n=2))
        self.assertEqual((answer["id"], answer["object"]), ("cmpl-1", "text_completion"))
        self.assertEqual([choice["text"] for choice in answer["choices"]], ["a b", "a b", "c", "c"])
        self.assertEqual([choice["index"] for choice in answer["choices"]], [0, 1, 2, 3])
        usage = answer["usage"]
        self.assertEqual((usage["prompt_tokens"], usage["completion_tokens"]), (3, 6))

    def test_tokensAreAPrompt(self) -> None:
        """Tokens are repeated as numbers."""
        self.assertEqual(value(ask(answer_completion, model="m", prompt=[1, 2]))["choices"][0]["text"], "1 2")

    def test_streamIsWordByWord(self) -> None:
        """The words, the finish, the usage if asked for, ``[DONE]``."""
        options = {"include_usage": True}
        found = events(ask(answer_completion, model="m", prompt="a b", stream=True, stream_options=options))
        *chunks, usage = [chunk for _, chunk in found[:-1]]
        self.assertEqual([chunk["choices"][0]["text"] for chunk in chunks], ["a", " b", ""])
        self.assertEqual([chunk["choices"][0]["finish_reason"] for chunk in chunks], [None, None, "stop"])
        self.assertEqual((usage["choices"], usage["usage"]["total_tokens"]), ([], 4))
        self.assertEqual(found[-1], ("", "[DONE]"))

    def test_echoMayBeOpenAIs(self) -> None:
        """``echo: true`` repeats the prompt before the answer, as that field does at OpenAI."""
        answer = value(ask(answer_completion, model="m", prompt="a b", echo=True, max_tokens=1))
        self.assertEqual(answer["choices"][0]["text"], "a ba")
        self.assertEqual(answer["choices"][0]["finish_reason"], "length")
        found = events(ask(answer_completion, model="m", prompt="a b", echo=True, max_tokens=1, stream=True))
        texts = [chunk["choices"][0]["text"] for _, chunk in found[:-1]]
        self.assertEqual(texts, ["a b", "a", ""])

    def test_echoMayBeTheKnobs(self) -> None:
        """An object in that field holds the knobs."""
        answer = value(ask(answer_completion, model="m", prompt="a b", echo={"text": "c"}))
        self.assertEqual(answer["choices"][0]["text"], "c")
