"""Ollama's answers, whole and streamed, as a provider sends them.

Edge cases 71 (``stop`` though tools were called), 76, 77 (no ids, no index), 88 (slicing, the last line without its
end), 114 and 125.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Choice, Completion, Finish, Media, Text, Thinking, ToolCall
from relay.dialects.assembly import assemble
from relay.dialects.ollama.dialect import OLLAMA
from relay.endpoints import Operation
from relay.events import Began, Closed, Counted, Ended, Erred, Event, Finished, Grew, Opened
from relay.exchange import Usage
from tests.unit.dialects.ollama.lines import BACK, PNG, TARGET, read

HEAD = {"model": "llama3.2", "created_at": "2023-12-12T14:13:43.416799Z"}
END = {"message": {"role": "assistant", "content": ""}, "done": True}


def stream(*lines: dict[str, Any]) -> bytes:
    """The lines of an answer."""
    return b"".join(json.dumps({**HEAD, **line}).encode() + b"\n" for line in lines)


def said(done: bool = False, **message: Any) -> dict[str, Any]:
    """A line with something in its message."""
    return {"message": {"role": "assistant", "content": "", **message}, "done": done}


def parsed(body: Any) -> Completion:
    """A whole answer."""
    completion: Completion = BACK.parse(json.dumps(body).encode(), TARGET)
    return completion


class ParseTests(SynchronousTestCase):
    """Whole answers."""

    def test_whole(self) -> None:
        """Thoughts, words, images, calls, counts and time."""
        call = {"function": {"name": "look", "arguments": {"a": 1.0}}}
        message = {"content": "Hi", "thinking": "Hm.", "images": [PNG], "tool_calls": [call]}
        completion = parsed({**HEAD, **said(True, **message), "prompt_eval_count": 3, "eval_count": 4})
        (choice,) = completion.choices
        thinking, text, image, called = choice.parts
        self.assertEqual((thinking, text, image), (Thinking("Hm."), Text("Hi"), Media("image", "image/png", PNG)))
        assert isinstance(called, ToolCall)
        self.assertEqual((called.name, called.arguments), ("look", '{"a":1.0}'))
        self.assertTrue(called.id.startswith("call_"))
        self.assertEqual((completion.model, completion.created), ("llama3.2", 1702390423))
        self.assertEqual(completion.usage, Usage(input=3, output=4))
        self.assertEqual(choice.finish, Finish.TOOL_CALLS)

    def test_reasons(self) -> None:
        """``stop`` with calls means the calls; older versions give no reason at all (71)."""
        words = {"stop": Finish.STOP, "length": Finish.LENGTH, "load": Finish.STOP, "": Finish.STOP, "x": Finish.STOP}
        for word, finish in words.items():
            self.assertEqual(parsed({**said(True, content="a"), "done_reason": word}).choices[0].finish, finish, word)
        self.assertEqual(parsed({"message": {"content": "a"}}).choices[0].finish, Finish.STOP)
        self.assertEqual(parsed(said(False, content="a")).choices[0].finish, "")

    def test_ids(self) -> None:
        """Calls of one answer, and equal calls of two answers, have different ids; given ones stay (76, 77)."""
        call = {"function": {"name": "look", "arguments": {}}}
        one = parsed({**HEAD, **said(True, tool_calls=[call, call, {"id": "own", **call}])})
        two = parsed({**HEAD, "created_at": "2023-12-12T14:13:44Z", **said(True, tool_calls=[call])})
        ids = [part.id for part in (*one.choices[0].parts, *two.choices[0].parts) if isinstance(part, ToolCall)]
        self.assertEqual((len(set(ids)), ids[2]), (4, "own"))

    def test_lenient(self) -> None:
        """What is odd counts as absent."""
        odd: tuple[Any, ...] = (
            {"message": None},
            {"message": {"content": 5, "tool_calls": {"a": 1}, "images": [1, None]}, "done": "yes"},
            {"message": {"tool_calls": [None, {}, {"function": {"name": ""}}, 3]}, "eval_count": -1},
            {"response": None, "created_at": 5, "model": []},
        )
        for body in odd:
            self.assertEqual(parsed(body).choices, (Choice((), Finish.STOP),), body)
        (call,) = (
            parsed({"message": {"tool_calls": [{"function": {"name": "f", "arguments": '{"a":1}'}}]}}).choices[0].parts
        )
        assert isinstance(call, ToolCall)
        self.assertEqual(call.arguments, '{"a":1}')

    def test_none(self) -> None:
        """What is no answer is none."""
        for body in (b"", b"[]", b"null", b"{}", b'{"error":"x"}', b"<html>", b"5"):
            self.assertRaises(ValueError, BACK.parse, body, TARGET)

    def test_embeddings(self) -> None:
        """Vectors and their count of tokens."""
        parse = OLLAMA.backs[Operation.EMBED].parse
        answer = parse(b'{"model":"e","embeddings":[[0.5,1],[-2e-3,0]],"prompt_eval_count":3}', TARGET)
        self.assertEqual(answer.vectors, ((0.5, 1.0), (-0.002, 0.0)))
        self.assertEqual((answer.model, answer.usage), ("e", Usage(input=3)))
        for body in (b"{}", b"[]", b'{"embeddings":5}', b'{"embeddings":[[1' + b"0" * 400 + b"]]}"):
            self.assertRaises(ValueError, parse, body, TARGET)


STREAMS: dict[str, tuple[bytes, list[Event]]] = {
    "text": (
        stream(said(content="Hi"), said(content=" you"), {**END, "done_reason": "stop", "eval_count": 2}),
        [
            Opened(0, Text("")),
            Grew(0, "Hi"),
            Grew(0, " you"),
            Closed(0),
            Finished(Finish.STOP),
            Counted(Usage(output=2)),
            Ended(),
        ],
    ),
    "thoughts, then words": (
        stream(said(thinking="H"), said(thinking="m"), said(content="Hi"), END),
        [
            Opened(0, Thinking("")),
            Grew(0, "H"),
            Grew(0, "m"),
            Closed(0),
            Opened(1, Text("")),
            Grew(1, "Hi"),
            Closed(1),
            Finished(Finish.STOP),
            Ended(),
        ],
    ),
    "both in one line": (
        stream(said(thinking="a", content="b"), {**said(content="c"), "done": True}),
        [
            Opened(0, Thinking("")),
            Grew(0, "a"),
            Closed(0),
            Opened(1, Text("")),
            Grew(1, "b"),
            Grew(1, "c"),
            Closed(1),
            Finished(Finish.STOP),
            Ended(),
        ],
    ),
    "an image": (
        stream(said(content="a"), said(images=[PNG]), END),
        [
            Opened(0, Text("")),
            Grew(0, "a"),
            Closed(0),
            Opened(1, Media("image", "image/png", PNG)),
            Closed(1),
            Finished(Finish.STOP),
            Ended(),
        ],
    ),
    "an error": (
        stream(said(content="a")) + b'{"error":"out of memory"}\n' + stream(END),
        [Opened(0, Text("")), Grew(0, "a"), Erred("out of memory")],
    ),
    "cut off": (stream(said(content="a")), [Opened(0, Text("")), Grew(0, "a"), Closed(0)]),
    "null in place of words": (
        stream(said(content=None, thinking=None, tool_calls=None), said(content="a"), said(content=None), END),
        [Opened(0, Text("")), Grew(0, "a"), Closed(0), Finished(Finish.STOP), Ended()],
    ),
}


class ReaderTests(SynchronousTestCase):
    """Streamed answers."""

    def test_streams(self) -> None:
        """Each stream is understood, whole, byte by byte, and cut anywhere in two."""
        began = Began(model="llama3.2", created=1702390423)
        for name, (data, expected) in STREAMS.items():
            self.assertEqual(read(data), [began, *expected], name)
            self.assertEqual(read(data, [data[at : at + 1] for at in range(len(data))]), [began, *expected], name)
            for cut in range(0, len(data), 7):
                self.assertEqual(read(data, [data[:cut], data[cut:]]), [began, *expected], name)

    def test_lastLineUnterminated(self) -> None:
        """The last line may lack its end (88)."""
        data = stream(said(content="a"), END)
        self.assertEqual(read(data[:-1]), read(data))

    def test_calls(self) -> None:
        """Calls come whole, several in a line or a line each; ``stop`` means them (71, 76, 77)."""
        one, two = ({"function": {"name": name, "arguments": {"n": name}}} for name in "ab")
        data = stream(said(content="I look."), said(tool_calls=[one, two]), said(tool_calls=[one]), END)
        (choice,) = assemble(read(data)).choices
        calls = [part for part in choice.parts if isinstance(part, ToolCall)]
        self.assertEqual([call.arguments for call in calls], ['{"n":"a"}', '{"n":"b"}', '{"n":"a"}'])
        self.assertEqual(len({call.id for call in calls}), 3)
        self.assertEqual(choice.finish, Finish.TOOL_CALLS)

    def test_generate(self) -> None:
        """A server that answers in the shape of a generation is understood, too."""
        data = stream({"response": "Hi", "done": False}, {"response": "", "done": True, "done_reason": "length"})
        (choice,) = assemble(read(data)).choices
        self.assertEqual(choice, Choice((Text("Hi"),), Finish.LENGTH))

    def test_logprobs(self) -> None:
        """Log probabilities are OpenAI's, whole."""
        entry = {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -1}]}
        (choice,) = assemble(read(stream({**said(content="a"), "logprobs": [entry]}, END))).choices
        self.assertEqual(
            json.loads(choice.logprobs)["content"],
            [
                {
                    "token": "a",
                    "logprob": -0.5,
                    "bytes": None,
                    "top_logprobs": [{"token": "b", "logprob": -1, "bytes": None}],
                }
            ],
        )

    def test_halves(self) -> None:
        """Half an emoji in a line is passed on, not lost (125)."""
        data = stream(said(content="a")) + rb'{"message":{"content":"\ud83d"},"done":false}' + b"\n"
        self.assertIn(Grew(0, "\ud83d"), read(data))

    @settings(max_examples=100, deadline=None, database=None)
    @given(
        st.lists(
            st.binary(max_size=12)
            | st.sampled_from(
                [
                    b"{}",
                    b"null",
                    b'{"message":5}',
                    b'{"message":{"content":{}},"done":1}',
                    b'{"message":{"tool_calls":[5,{"function":{"name":"f","arguments":[]}}]},"done":false}',
                    b'{"message":{"content":"a"},"done":false}',
                    b'{"message":{"thinking":"a"},"done":false}',
                    b'{"error":{"message":5}}',
                    b'{"done":true,"eval_count":1e99}',
                ]
            ),
            max_size=8,
        )
    )
    def test_anyBytes(self, lines: list[bytes]) -> None:
        """Whatever comes: no exception, and the rules of the hub's streams hold."""
        events = read(b"\n".join(lines))
        opened, closed = [], []
        for event in events:
            if isinstance(event, Opened):
                opened.append(event.block)
            elif isinstance(event, Closed):
                closed.append(event.block)
        self.assertEqual(opened, sorted(set(opened)))
        self.assertLessEqual(set(closed), set(opened))
        ends = [event for event in events if isinstance(event, Ended | Erred)]
        self.assertTrue(not ends or ends == [events[-1]])

    def test_afterTheEnd(self) -> None:
        """Nothing follows the last line."""
        data = stream(said(content="a"), END)
        self.assertEqual(read(data + stream(said(content="b"))), read(data))
        self.assertEqual(len(list(itertools.filterfalse(lambda event: isinstance(event, Ended), read(data)))), 5)
