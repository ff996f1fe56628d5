"""Counting tokens, both ways."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Message, Text, Tool, ToolChoice
from relay.dialects.codec import Call
from relay.dialects.gemini.dialect import COUNT, GEMINI
from relay.endpoints import Operation
from relay.errors import InvalidRequest
from relay.vectors import TokenCount
from tests.unit.dialects.gemini.generations import FOLDER, ask, asked, cases, target

FRONT = GEMINI.fronts[COUNT]
BACK = GEMINI.backs[Operation.COUNT]
CONTENTS = [{"role": "user", "parts": [{"text": "Hi"}]}]


class FrontTests(SynchronousTestCase):
    """What clients ask and get."""

    def parse(self, body: Any) -> Any:
        """The hub's request."""
        return FRONT.parse(json.dumps(body).encode(), Call(COUNT, "m"))

    def test_bothForms(self) -> None:
        """Bare contents, a whole request, and Vertex AI's form."""
        whole = {"contents": CONTENTS, "systemInstruction": {"parts": [{"text": "S"}]}, "tools": [{"googleSearch": {}}]}
        self.assertEqual(self.parse({"contents": CONTENTS}).messages, (Message("user", (Text("Hi"),)),))
        self.assertEqual(self.parse({"generateContentRequest": whole}), self.parse(whole))
        self.assertEqual(self.parse({"generate_content_request": whole}).messages[0].role, "system")

    def test_mistakes(self) -> None:
        """Nothing to count, and wrong types."""
        self.assertEqual(self.assertRaises(InvalidRequest, self.parse, {}).param, "contents")
        error = self.assertRaises(InvalidRequest, self.parse, {"generateContentRequest": {"contents": [5]}})
        self.assertEqual(error.param, "generateContentRequest.contents[0]")

    def test_render(self) -> None:
        """The count, with the cached tokens where they are known."""
        self.assertEqual(FRONT.render(TokenCount(7), asked()), b'{"totalTokens":7}')
        found = json.loads(FRONT.render(TokenCount(7, cached=3), asked()))
        self.assertEqual(found, {"totalTokens": 7, "cachedContentTokenCount": 3})


class BackTests(SynchronousTestCase):
    """What providers are asked and say."""

    def test_build(self) -> None:
        """The prompt alone counts: a request inside of a request, on Vertex AI bare."""
        request = ask(
            Message("system", (Text("S"),)),
            Message("user", (Text("Hi"),)),
            tools=(Tool("f"),),
            tool_choice=ToolChoice("required"),
            max_tokens=5,
        )
        prompt = {
            "contents": CONTENTS,
            "systemInstruction": {"parts": [{"text": "S"}]},
            "tools": [{"functionDeclarations": [{"name": "f"}]}],
        }
        built = BACK.build(request, target("g"))
        fields = json.loads(msgspec.json.encode(built.fields))
        self.assertEqual(fields, {"generateContentRequest": {"model": "models/g", **prompt}})
        self.assertEqual(built.dropped, ())
        self.assertEqual(json.loads(msgspec.json.encode(BACK.build(request, target("g", vertex=True)).fields)), prompt)

    def test_parse(self) -> None:
        """A count; one of 0 is left out by protobuf; what is none raises."""
        self.assertEqual(
            BACK.parse(b'{"totalTokens":7,"cachedContentTokenCount":2}', target()), TokenCount(7, cached=2)
        )
        self.assertEqual(BACK.parse(b'{"promptTokensDetails":[]}', target()), TokenCount(0))
        for body in (b"", b"{}", b'{"error":{}}', b'{"totalTokens":"x"}'):
            self.assertRaises(ValueError, BACK.parse, body, target())

    def test_recordings(self) -> None:
        """Recorded questions are understood, and recorded answers counted."""
        seen = 0
        for case in cases("gemini-count-tokens"):
            body, answer = case.file("request.json"), case.file("response.json")
            assert body is not None
            assert answer is not None
            BACK.build(FRONT.parse(body, Call(COUNT, "m")), case.target)
            self.assertEqual(BACK.parse(answer, case.target).tokens, json.loads(answer)["totalTokens"], case.name)
            seen += 1
        self.assertGreater(seen, 2)

    if not FOLDER:
        test_recordings.skip = "RELAY_FIXTURES names no folder of recordings"  # type: ignore[attr-defined]  # trial's way
