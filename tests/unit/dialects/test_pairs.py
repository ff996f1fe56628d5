"""Every front with every back, by feature; see `tests.unit.dialects.pairs`."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import attrs

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import ChatRequest, Completion, Finish
from relay.dialects.assembly import assemble
from relay.dialects.registry import DIALECTS
from relay.errors import TruncatedStream, UpstreamOverloaded
from relay.outcome import Stage
from tests.unit.dialects import pairs
from tests.unit.dialects.streams import singly, slices

FRONTS = tuple(pairs.CHATS)
TWO_WAY = tuple(name for name in pairs.BACKS if name in pairs.CHATS)
"""Backs whose answers can be written here, because clients speak them, too."""

CANNOT: dict[tuple[str, str], str] = {
    ("cohere", "thinking"): "Cohere's thinking has no signature to give back",
}
"""(dialect, feature) → why it is not asked of it."""


def both() -> Iterator[tuple[str, str]]:
    """Every front with every back that can be read back here."""
    return itertools.product(FRONTS, TWO_WAY)


class RequestTests(SynchronousTestCase):
    """What a client says reaches the provider."""

    def test_meaning(self) -> None:
        """A request in a client's words means the same in the provider's, but for what is told as dropped."""
        wrong = []
        for front, back in both():
            for feature, request in pairs.requests(back).items():
                sent = pairs.parse(front, pairs.build(front, request).fields, stream=request.stream)
                built = pairs.build(back, sent)
                arrived = pairs.parse(back, built.fields, stream=request.stream)
                lost = self.difference(sent, arrived)
                if lost and not built.dropped:
                    wrong.append((front, back, feature, lost))
        self.assertEqual(wrong, [])

    def difference(self, sent: ChatRequest, arrived: ChatRequest) -> dict[str, tuple[object, object]]:
        """What differs in the meaning of two requests."""
        one, two = attrs.asdict(pairs.meant(sent)), attrs.asdict(pairs.meant(arrived))
        return {name: (one[name], two[name]) for name in one if one[name] != two[name]}

    def test_everyBackTakesEveryRequest(self) -> None:
        """Bedrock, too: each builder makes JSON of each feature, and says so when something is lost."""
        for front in FRONTS:
            for back in pairs.BACKS:
                for request in pairs.requests(back).values():
                    sent = pairs.parse(front, pairs.build(front, request).fields, stream=request.stream)
                    json.dumps({name: str(value) for name, value in pairs.build(back, sent).fields.items()})


class AnswerTests(SynchronousTestCase):
    """What a provider says reaches the client."""

    def test_whole(self) -> None:
        """Text, calls, thinking, reason and tokens of a whole answer arrive."""
        for front, back in both():
            for feature, completion in pairs.answers(back).items():
                where = f"{back} → {front}: {feature}"
                self.same(completion, pairs.carried(front, back, completion), front, back, where)

    def test_streamed(self) -> None:
        """The same answer as a stream says the same, however it is cut."""
        for number, (front, back) in enumerate(both()):
            for feature, completion in pairs.answers(back).items():
                where = f"{back} → {front}: {feature}"
                data = pairs.streamed(back, completion)
                for pieces in ([data], slices(data, number)):
                    arrived = pairs.carried_streamed(front, back, pieces)
                    self.same(completion, arrived, front, back, where)

    def test_byteByByte(self) -> None:
        """One byte at a time changes nothing in what comes out."""
        for front, back in both():
            data = pairs.streamed(back, pairs.answers(back)["tools"])
            whole, single = pairs.transcoder(front, back), pairs.transcoder(front, back)
            expected = whole.feed(data) + whole.end()
            arrived = b"".join(map(single.feed, singly(data))) + single.end()
            self.assertEqual(
                pairs.said(assemble(pairs.heard(front, arrived))),
                pairs.said(assemble(pairs.heard(front, expected))),
                f"{back} → {front}",
            )

    def test_cut(self) -> None:
        """A stream that stops before its end is never taken for a whole one."""
        for front, back in both():
            data = pairs.streamed(back, pairs.answers(back)["request"])
            transcoder = pairs.transcoder(front, back)
            transcoder.feed(data[: len(data) // 3])
            self.assertRaises(TruncatedStream, transcoder.end)

    def test_fail(self) -> None:
        """An error in mid-stream is one of the client's dialect, and nothing in it looks like a good end."""
        error = UpstreamOverloaded("too busy", stage=Stage.STREAM, upstream_status=503)
        for front, back in both():
            data = pairs.streamed(back, pairs.answers(back)["request"])
            transcoder = pairs.transcoder(front, back)
            seen = transcoder.feed(data[: len(data) // 2]) + transcoder.fail(error)
            events = pairs.heard(front, seen)
            self.assertTrue(any("too busy" in repr(event) for event in events), f"{back} → {front}: {seen!r}")
            self.assertNotIn(b"[DONE]", seen)

    def same(self, sent: Completion, arrived: Completion, front: str, back: str, where: str) -> None:
        """Hold what arrived against what was sent."""
        one, two = pairs.said(sent), pairs.said(arrived)
        if two.finish in (Finish.STOP, Finish.TOOL_CALLS) and one.finish != two.finish:
            self.assertEqual((front, one.finish), (front, two.finish), where)
        if "thinking" in where and not two.thinking:
            two = attrs.evolve(two, thinking=one.thinking) if ("" + front, "thinking") in CANNOT else two
        self.assertEqual(two, one, where)


class RegistryTests(SynchronousTestCase):
    """Nothing is left out."""

    def test_everyChatEndpointIsInTheTable(self) -> None:
        """A dialect with a chat front is tried here."""
        chats = {name for name, dialect in DIALECTS.items() if pairs.CHATS.get(name) in dialect.fronts}
        self.assertEqual(chats, set(pairs.CHATS))
