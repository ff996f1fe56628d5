"""Converse as the echo speaks it, beyond what every dialect has."""

from __future__ import annotations

import json
from typing import Any

import attrs

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Seal, Text, Thinking
from relay.dialects.assembly import assemble
from relay.dialects.codec import Target
from relay.dialects.registry import DIALECTS
from relay.echo.bedrock import THOUGHTS, answer_converse
from relay.endpoints import Operation
from relay.errors import InvalidRequest
from tests.unit.echo.asking import call, sent

ASK: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": "one two"}]}]}
THINK: dict[str, Any] = {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}
BACK = DIALECTS["bedrock"].backs[Operation.CHAT]


class ConverseTests(SynchronousTestCase):
    """Thinking and structured output."""

    def answer(self, *, stream: bool = False, **more: Any) -> bytes:
        """The body of an answer."""
        body = json.dumps({**ASK, **more}).encode()
        return sent(answer_converse(attrs.evolve(call(body), model="m", stream=stream)))

    def test_thinking(self) -> None:
        """Signed thoughts come first and count as output, whole and streamed."""
        target = Target("m")
        whole = BACK.parse(self.answer(**THINK), target)
        decoder, reader = DIALECTS["bedrock"].decoder(1 << 20), BACK.reader(target)
        frames = decoder.feed(self.answer(stream=True, **THINK))
        streamed = assemble([event for frame in frames for event in reader.read(frame)])
        for completion in (whole, streamed):
            thought = Thinking("".join(THOUGHTS), Seal("bedrock", "ZWNobw=="))
            self.assertEqual(completion.choices[0].parts, (thought, Text("one two")))
            self.assertEqual(completion.usage.output, len(THOUGHTS) + 2)

    def test_structured(self) -> None:
        """A schema gets an instance; one that is no JSON is refused."""
        schema = '{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}'
        form = {"type": "json_schema", "structure": {"jsonSchema": {"name": "n", "schema": schema}}}
        answer = BACK.parse(self.answer(outputConfig={"textFormat": form}), Target("m"))
        self.assertEqual(json.loads(answer.choices[0].parts[0].text), {"a": 1})
        form["structure"] = {"jsonSchema": {"name": "n", "schema": "{"}}
        self.assertRaises(InvalidRequest, self.answer, outputConfig={"textFormat": form})
