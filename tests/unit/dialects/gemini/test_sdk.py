"""What relay writes, in the hands of Google's own client: ``google-genai`` reads it with its pydantic models.

Installed with the other clients for the tests; without it these are skipped.
"""

from __future__ import annotations

import importlib
import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Choice, Completion, Finish, Text, Tool, ToolChoice
from relay.dialects.assembly import disassemble
from relay.dialects.codec import Asked, Call
from relay.dialects.gemini.dialect import COUNT, EMBED, GEMINI
from relay.vectors import Embeddings, EmbedRequest, TokenCount
from tests.unit.dialects.gemini.generations import FRONT, ask, asked, build, chunks, written
from tests.unit.dialects.gemini.test_writing import ANSWER

try:
    types: Any = importlib.import_module("google.genai.types")
except ImportError:
    types = None


class SDKTests(SynchronousTestCase):
    """Google's types accept what relay writes."""

    if types is None:
        skip = "google-genai is not installed"

    def test_answer(self) -> None:
        """A whole answer: text, thoughts, calls, proofs as bytes, tokens."""
        found = types.GenerateContentResponse.model_validate(json.loads(FRONT.render(ANSWER, asked())))
        assert found.candidates is not None
        assert found.usage_metadata is not None
        assert found.function_calls is not None
        self.assertEqual([(call.name, call.args) for call in found.function_calls], [("f", {"a": 1}), ("g", {})])
        self.assertEqual(found.candidates[0].finish_reason, types.FinishReason.STOP)
        self.assertEqual(found.usage_metadata.thoughts_token_count, 5)
        parts = found.candidates[0].content.parts if found.candidates[0].content else None
        assert parts is not None
        self.assertEqual(parts[2].thought_signature, b"sig")
        self.assertTrue(parts[0].thought)

    def test_stream(self) -> None:
        """Each chunk of a stream."""
        pieces = [
            types.GenerateContentResponse.model_validate(one) for one in chunks(written(disassemble(ANSWER)[:-1]))
        ]
        parts = [part for piece in pieces if (found := piece.parts) for part in found]
        self.assertEqual("".join(part.text or "" for part in parts if not part.thought), "Hel\u00e9")
        assert pieces[-1].candidates is not None
        self.assertEqual(pieces[-1].candidates[0].finish_reason, types.FinishReason.STOP)
        for finish in (Finish.LENGTH, Finish.FILTER, Finish.FAULT, Finish.REFUSAL):
            answer = Completion("", "m", (Choice((Text("a"),), finish),))
            types.GenerateContentResponse.model_validate(json.loads(FRONT.render(answer, asked())))

    def test_others(self) -> None:
        """Counts and vectors."""
        count = GEMINI.fronts[COUNT].render(TokenCount(7, cached=2), asked())
        self.assertEqual(types.CountTokensResponse.model_validate(json.loads(count)).total_tokens, 7)
        batch = Asked(Call(EMBED), "r", "m", 0, EmbedRequest("m", ("a",)))
        vectors = GEMINI.fronts[EMBED].render(Embeddings("m", ((1.0, 2.0),)), batch)
        found = types.EmbedContentResponse.model_validate(json.loads(vectors))
        assert found.embeddings is not None
        self.assertEqual(found.embeddings[0].values, [1.0, 2.0])

    def test_requests(self) -> None:
        """What is sent to Google is made of fields that Google's client knows."""
        tools = (Tool("f", "d", b'{"type":"object","properties":{"a":{"type":"string"}}}', strict=True),)
        request = ask(
            tools=tools, tool_choice=ToolChoice("required"), max_tokens=5, temperature=0.5, stop=("x",), seed=1
        )
        fields: dict[str, Any] = build(request)[0]
        for content in fields["contents"]:
            types.Content.model_validate(content)
        for tool in fields["tools"]:
            types.Tool.model_validate(tool)
        types.ToolConfig.model_validate(fields["toolConfig"])
        types.GenerationConfig.model_validate(fields["generationConfig"])
