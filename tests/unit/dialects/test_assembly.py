"""`relay.dialects.assembly`: streams and whole answers say the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import (
    Choice,
    Citation,
    Completion,
    Finish,
    Media,
    Native,
    Part,
    Refusal,
    Seal,
    Text,
    Thinking,
    ToolCall,
)
from relay.dialects.assembly import assemble, disassemble, joined, merged
from relay.events import Began, Closed, Counted, Ended, Finished, Grew, Opened, Probable
from relay.exchange import Usage

SEALS = st.none() | st.builds(Seal, st.just("gemini"), st.text(min_size=1, max_size=5))
WORDS = st.text(max_size=20)
PARTS: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, WORDS, citations=st.lists(st.builds(Citation, WORDS), max_size=2).map(tuple), seal=SEALS),
    st.builds(Thinking, WORDS, seal=SEALS),
    st.just(Thinking(seal=Seal("anthropic", "x"), redacted=True)),
    st.builds(ToolCall, st.just("call_1"), st.just("f"), st.just('{"a":1}'), seal=SEALS),
    st.builds(Refusal, WORDS),
    st.just(Media("image", "image/png", "AAAA")),
    st.just(Native("anthropic", "server_tool_use", b"{}")),
)
COMPLETIONS = st.builds(
    Completion,
    st.just("id"),
    st.just("model"),
    st.lists(st.lists(PARTS, max_size=4), min_size=1, max_size=3).map(
        lambda choices: tuple(Choice(tuple(parts), Finish.STOP, index=index) for index, parts in enumerate(choices))
    ),
    st.builds(Usage, st.integers(0, 9), st.none(), st.none(), st.integers(0, 9)),
)


class AssembleTests(SynchronousTestCase):
    """Both ways, and streams as providers send them."""

    @given(COMPLETIONS)
    def test_thereAndBack(self, completion: Completion) -> None:
        """A whole answer taken apart and put together is the same answer."""
        self.assertEqual(assemble(disassemble(completion)), completion)

    def test_blocksInOrderOfOpening(self) -> None:
        """Blocks that grow at the same time keep their places; an empty call has an empty object."""
        answer = assemble(
            [
                Began("id", "m"),
                Opened(0, ToolCall("a", "f", "")),
                Opened(1, ToolCall("b", "g", "")),
                Grew(1, '{"x"'),
                Grew(1, ":1}"),
                Closed(1),
                Closed(0),
                Finished(Finish.TOOL_CALLS),
                Ended(),
            ]
        )
        self.assertEqual(answer.choices[0].parts, (ToolCall("a", "f", "{}"), ToolCall("b", "g", '{"x":1}')))
        self.assertEqual(answer.choices[0].finish, Finish.TOOL_CALLS)

    def test_usageIsReplacedFieldByField(self) -> None:
        """A later report corrects an earlier one and leaves alone what it does not mention."""
        answer = assemble([Counted(Usage(input=5, output=1)), Counted(Usage(output=9))])
        self.assertEqual(answer.usage, Usage(input=5, output=9))
        self.assertEqual(merged(Usage(), Usage(cached=1)), Usage(cached=1))

    def test_logprobs(self) -> None:
        """Pieces of log probabilities become one object."""
        answer = assemble([Probable(b'{"content":[{"t":1}]}'), Probable(b'{"content":[{"t":2}],"refusal":null}')])
        self.assertEqual(answer.choices[0].logprobs, b'{"content":[{"t":1},{"t":2}],"refusal":[]}')
        self.assertEqual(joined([]), b"")

    def test_nothing(self) -> None:
        """No event at all is an empty answer with one choice."""
        self.assertEqual(assemble([]), Completion("", "", (Choice(()),)))
