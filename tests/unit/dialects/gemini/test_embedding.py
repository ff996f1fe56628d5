"""Vectors, both ways. Edge case here: 89 (floats and base64, token numbers, lengths)."""

from __future__ import annotations

import array
import base64
import json
from typing import Any

import msgspec

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Media, Text
from relay.dialects.codec import Asked, Call
from relay.dialects.gemini.dialect import EMBED, GEMINI
from relay.endpoints import Operation
from relay.errors import InvalidRequest
from relay.exchange import Usage
from relay.vectors import Embeddings, EmbedRequest
from tests.unit.dialects.gemini.generations import FOLDER, cases, target

ONE = GEMINI.fronts["/v1beta/models/{model}:embedContent"]
BATCH = GEMINI.fronts[EMBED]
BACK = GEMINI.backs[Operation.EMBED]
IMAGE = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}


def one(body: Any) -> EmbedRequest:
    """A request for one vector."""
    found: EmbedRequest = ONE.parse(json.dumps(body).encode(), Call("", "m"))
    return found


def batch(body: Any) -> EmbedRequest:
    """A request for several."""
    found: EmbedRequest = BATCH.parse(json.dumps(body).encode(), Call("", "m"))
    return found


def content(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """One input."""
    return {"model": "models/m", "content": {"parts": list(parts)}, **fields}


class FrontTests(SynchronousTestCase):
    """What clients ask and get."""

    def test_parse(self) -> None:
        """Texts, mixed parts, settings at either place."""
        given = content({"text": "a"}, taskType="RETRIEVAL_DOCUMENT", title="T", outputDimensionality=3)
        expected = EmbedRequest("m", ("a",), 3, task="document", title="T", single=True)
        self.assertEqual(one(given), expected)
        config = {"taskType": "RETRIEVAL_DOCUMENT", "title": "T", "output_dimensionality": 3}
        self.assertEqual(one(content({"text": "a"}, embedContentConfig=config)), expected)
        mixed = batch({"requests": [content({"text": "a"}, IMAGE), content({"text": "b"})]})
        self.assertEqual(mixed.inputs, ((Text("a"), Media("image", "image/png", "AAAA")), "b"))
        self.assertEqual((mixed.single, mixed.task), (False, ""))

    def test_unknown(self) -> None:
        """Fields and tasks without a place here are told."""
        request = batch({"requests": [content({"text": "a"}, taskType="FACT_VERIFICATION", odd=1)], "more": True})
        self.assertEqual(set(request.extra), {"requests[0].taskType", "requests[0].odd", "more"})

    def test_mistakes(self) -> None:
        """What is missing or differs is named."""
        two = [content({"text": "a"}), content({"text": "b"}, outputDimensionality=3)]
        for call, body, param in (
            (one, {}, "content"),
            (one, content(), "content.parts"),
            (batch, {}, "requests"),
            (batch, {"requests": two}, "requests[1]"),
            (batch, {"requests": [5]}, "requests[0]"),
        ):
            self.assertEqual(self.assertRaises(InvalidRequest, call, body).param, param)

    def test_render(self) -> None:
        """One vector or a list; base64 is read, because Gemini's clients want numbers."""
        packed = base64.b64encode(array.array("f", [1.0, -0.5]).tobytes()).decode()
        answer = Embeddings("m", ((1.0, 2.0), packed), Usage(input=4))
        asked = Asked(Call(""), "r", "m", 0, EmbedRequest("m", ("a", "b")))
        vectors = [{"values": [1.0, 2.0]}, {"values": [1.0, -0.5]}]
        self.assertEqual(
            json.loads(BATCH.render(answer, asked)), {"embeddings": vectors, "usageMetadata": {"promptTokenCount": 4}}
        )
        single = Asked(Call(""), "r", "m", 0, EmbedRequest("m", ("a",), single=True))
        self.assertEqual(json.loads(ONE.render(Embeddings("m", ((1.0,),)), single)), {"embedding": {"values": [1.0]}})
        broken = Embeddings("m", ("x",))
        self.assertEqual(json.loads(ONE.render(broken, single)), {"embedding": {"values": []}})


class BackTests(SynchronousTestCase):
    """What providers are asked and say."""

    def fields(self, request: EmbedRequest, *, vertex: bool = False) -> Any:
        """The JSON of a request."""
        return json.loads(msgspec.json.encode(BACK.build(request, target("models/e", vertex=vertex)).fields))

    def test_batch(self) -> None:
        """Every input repeats the model and the settings."""
        request = EmbedRequest("m", ("a", (Text("b"), Media("image", "image/png", "AAAA"))), 3, task="query", title="T")
        settings = {"taskType": "RETRIEVAL_QUERY", "title": "T", "outputDimensionality": 3}
        self.assertEqual(
            self.fields(request),
            {
                "requests": [
                    {**content({"text": "a"}, **settings), "model": "models/e"},
                    {**content({"text": "b"}, IMAGE, **settings), "model": "models/e"},
                ]
            },
        )

    def test_predict(self) -> None:
        """Vertex AI takes instances of one text, and settings of all beside them."""
        request = EmbedRequest("m", ("a", (Text("b"), Text("c"))), 3, task="query", title="T", truncate="NONE")
        each = {"task_type": "RETRIEVAL_QUERY", "title": "T"}
        self.assertEqual(
            self.fields(request, vertex=True),
            {
                "instances": [{"content": "a", **each}, {"content": "b\nc", **each}],
                "parameters": {"outputDimensionality": 3, "autoTruncate": False},
            },
        )
        self.assertEqual(self.fields(EmbedRequest("m", ("a",)), vertex=True), {"instances": [{"content": "a"}]})

    def test_lost(self) -> None:
        """What has no place is told; what cannot be read at all is refused."""
        request = EmbedRequest("m", ("a",), encoding="base64", user="u", truncate="START", extra={"x": b"1"})
        self.assertEqual(BACK.build(request, target()).dropped, ("truncate", "user", "x"))
        self.assertRaises(InvalidRequest, BACK.build, EmbedRequest("m", ((1, 2),)), target())
        image = EmbedRequest("m", ((Media("image", "image/png", "AAAA"),),))
        self.assertRaises(InvalidRequest, BACK.build, image, target(vertex=True))

    def test_parse(self) -> None:
        """A list of vectors, a single one, and Vertex AI's predictions with their tokens."""
        found = BACK.parse(b'{"embeddings":[{"values":[1,2.5]}],"usageMetadata":{"promptTokenCount":4}}', target("e"))
        self.assertEqual(found, Embeddings("e", ((1.0, 2.5),), Usage(input=4)))
        self.assertEqual(BACK.parse(b'{"embedding":{"values":[1]}}', target("e")).vectors, ((1.0,),))
        part = b'{"embeddings":{"values":[1],"statistics":{"token_count":3}}}'
        found = BACK.parse(b'{"predictions":[' + part + b"," + part + b"]}", target("e"))
        self.assertEqual((found.vectors, found.usage.input), (((1.0,), (1.0,)), 6))
        for body in (b"", b"{}", b'{"embeddings":[{}]}', b'{"embeddings":[{"values":["x"]}]}', b'{"error":{}}'):
            self.assertRaises(ValueError, BACK.parse, body, target())

    def test_recordings(self) -> None:
        """Recorded batches come out as they went in, and their vectors are all there."""
        seen = 0
        for case in cases("gemini-embed"):
            body, answer = case.file("request.json"), case.file("response.json")
            assert body is not None
            assert answer is not None
            request = BATCH.parse(body, Call(EMBED, "m"))
            model = json.loads(body)["requests"][0]["model"]
            self.assertEqual(
                json.loads(msgspec.json.encode(BACK.build(request, target(model)).fields)), json.loads(body), case.name
            )
            vectors = [list(vector) for vector in BACK.parse(answer, case.target).vectors]
            self.assertEqual(vectors, [item["values"] for item in json.loads(answer)["embeddings"]])
            seen += 1
        self.assertGreater(seen, 1)

    if not FOLDER:
        test_recordings.skip = "RELAY_FIXTURES names no folder of recordings"  # type: ignore[attr-defined]  # trial's way
