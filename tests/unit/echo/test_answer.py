"""Tests of `relay.echo.answer`."""

from __future__ import annotations

import itertools
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.echo.answer import Finish, Tool, Wish, decide, split
from relay.echo.knobs import NONE, Knobs
from relay.errors import InvalidRequest
from tests.unit.echo.asking import WEATHER_CALL, WEATHER_SCHEMA

TOOLS = (Tool("weather", WEATHER_SCHEMA), Tool("time", None))


def wish(prompt: str = "one two three", knobs: Knobs = NONE, **more: object) -> Wish:
    """A request."""
    return Wish(knobs, prompt, (prompt,), **more)  # type: ignore[arg-type] # passed on as given


class SplitTests(SynchronousTestCase):
    """Words."""

    def test_eachWordKeepsTheBlanksBeforeIt(self) -> None:
        """As tokens do: blanks belong to the word behind them, those at the end to the last."""
        self.assertEqual(split("one  two\nthree "), ("one", "  two", "\nthree "))
        self.assertEqual(split(""), ())
        self.assertEqual(split(" \n"), (" \n",))

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(st.text())
    def test_nothingIsLost(self, text: str) -> None:
        """The words joined are the text, whatever it is."""
        self.assertEqual("".join(split(text)), text)


class WordsTests(SynchronousTestCase):
    """Answers in words."""

    def test_thePromptIsTheAnswer(self) -> None:
        """Word by word, with tokens counted as words."""
        answer = decide(wish("one two three"))
        self.assertEqual(answer.pieces, ("one", " two", " three"))
        self.assertEqual((answer.text, answer.finish), ("one two three", Finish.STOP))
        self.assertEqual((answer.input_tokens, answer.output_tokens), (3, 3))

    def test_somethingIsSaidToNothing(self) -> None:
        """A request without text has an answer as well."""
        self.assertEqual(decide(wish("")).text, "echo")

    def test_textKnobIsTheAnswer(self) -> None:
        """The knob goes before the prompt, and before a schema."""
        self.assertEqual(decide(wish("a", Knobs(text="other"))).text, "other")
        self.assertEqual(decide(wish("a", Knobs(text="other"), schema={"type": "null"})).text, "other")
        self.assertEqual(decide(wish("a", Knobs(text=""))).pieces, ())

    def test_limitCutsTheAnswer(self) -> None:
        """One word too many is one that is not said, and the finish tells."""
        for limit, text, finish in ((2, "one two", Finish.LENGTH), (3, "one two three", Finish.STOP)):
            answer = decide(wish(limit=limit))
            self.assertEqual((answer.text, answer.finish), (text, finish))

    def test_theFirstStopTextEndsTheAnswer(self) -> None:
        """What comes first in the text counts, not what comes first in the list."""
        answer = decide(wish("one two three", stops=("three", " two", "four", "")))
        self.assertEqual((answer.text, answer.finish, answer.stop), ("one", Finish.STOP, " two"))
        self.assertEqual(decide(wish(stops=("four",))).stop, None)

    def test_limitBeforeStopTextIsALimit(self) -> None:
        """An answer that is cut before the stop text does not claim that it met it."""
        answer = decide(wish("one two three four", stops=("four",), limit=1))
        self.assertEqual((answer.text, answer.finish, answer.stop), ("one", Finish.LENGTH, None))

    def test_chunksKnobRepeatsAndCuts(self) -> None:
        """The answer has exactly so many words."""
        self.assertEqual(decide(wish("a b", Knobs(chunks=5))).pieces, ("a", " b", " a", " b", " a"))
        self.assertEqual(decide(wish("a b", Knobs(chunks=1))).pieces, ("a",))

    def test_endlessAnswersRepeat(self) -> None:
        """They go on for ever, whatever the limit."""
        answer = decide(wish("a b", Knobs(endless=True), limit=1))
        self.assertEqual("".join(itertools.islice(answer.stream(), 5)), "a b a b a")

    def test_endlessNothingEnds(self) -> None:
        """Nothing, repeated, would never come to a chunk."""
        self.assertEqual(list(decide(wish("a", Knobs(endless=True, text=""))).stream()), [])

    def test_jsonIsAnInstance(self) -> None:
        """A schema gets its instance, a JSON object the prompt in one."""
        self.assertEqual(json.loads(decide(wish(schema=WEATHER_SCHEMA)).text), {"city": "sample"})
        self.assertEqual(json.loads(decide(wish('say "hi"', json=True)).text), {"echo": 'say "hi"'})


class ToolTests(SynchronousTestCase):
    """Answers that call a tool."""

    def test_toolsAreNotCalledUnasked(self) -> None:
        """Tools that may be called are not."""
        self.assertEqual(decide(wish(tools=TOOLS)).tool, None)

    def test_requiredToolIsTheFirst(self) -> None:
        """Any tool means the first; its arguments fit its schema."""
        answer = decide(wish(tools=TOOLS, must_call=True))
        self.assertEqual((answer.tool, answer.text, answer.finish), ("weather", WEATHER_CALL, Finish.TOOL))

    def test_namedToolIsCalled(self) -> None:
        """By the choice of the request or by the knob, and without a schema with no arguments."""
        self.assertEqual(decide(wish(tools=TOOLS, must_call=True, choice="time")).tool, "time")
        answer = decide(wish(knobs=Knobs(tool="time"), tools=TOOLS))
        self.assertEqual((answer.tool, answer.text), ("time", "{}"))

    def test_wordsFollowAResult(self) -> None:
        """After a tool's result no tool is called, so that an agent's loop ends."""
        answer = decide(wish("12 degrees", Knobs(tool="time"), tools=TOOLS, after_result=True))
        self.assertEqual((answer.tool, answer.text), (None, "12 degrees"))

    def test_unknownToolIsRefused(self) -> None:
        """The error names the field that asks for it."""
        for given_wish, param in (
            (wish(tools=TOOLS, must_call=True, choice="news"), "tool_choice"),
            (wish(knobs=Knobs(tool="news"), tools=TOOLS), "echo.tool"),
            (wish(knobs=Knobs(tool="weather")), "echo.tool"),
        ):
            error = self.assertRaises(InvalidRequest, decide, given_wish)
            self.assertEqual(error.param, param)

    def test_requiredToolWithoutToolsIsWords(self) -> None:
        """Where only tools are offered that the echo cannot call, it talks."""
        self.assertEqual(decide(wish(must_call=True)).text, "one two three")
