"""Embeddings and ranking, both ways."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Media, Text
from relay.dialects.codec import Call
from relay.dialects.cohere.dialect import COHERE
from relay.endpoints import Operation
from relay.errors import InvalidRequest
from relay.exchange import Usage
from relay.vectors import Embeddings, EmbedRequest, Ranking, RankRequest
from tests.unit.dialects.cohere.events import EMBED, PNG, RERANK, TARGET, asked

IMAGE = f"data:image/png;base64,{PNG}"


def embed(**body: Any) -> EmbedRequest:
    """The hub's request to embed."""
    request: EmbedRequest = COHERE.fronts[EMBED].parse(json.dumps({"model": "m", **body}).encode(), Call(EMBED))
    return request


def rerank(**body: Any) -> RankRequest:
    """The hub's request to rank."""
    some = {"model": "m", "query": "q", "documents": ["a"]}
    request: RankRequest = COHERE.fronts[RERANK].parse(json.dumps({**some, **body}).encode(), Call(RERANK))
    return request


def built(operation: Operation, request: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The provider's body, and what was lost."""
    made = COHERE.backs[operation].build(request, TARGET)
    return dict(made.fields), made.dropped


class EmbedTests(SynchronousTestCase):
    """``/v2/embed``."""

    def test_parse(self) -> None:
        """Texts, images and mixed inputs; what they are for; how long and in which form the vectors are."""
        request = embed(
            texts=["a"],
            images=[IMAGE],
            inputs=[{"content": [{"type": "text", "text": "b"}, {"type": "image_url", "image_url": {"url": IMAGE}}]}],
            input_type="search_query",
            output_dimension=3,
            truncate="end",
            embedding_types=["base64"],
            max_tokens=5,
            priority=None,
        )
        image = Media("image", "image/png", PNG)
        self.assertEqual(request.inputs, ("a", (image,), (Text("b"), image)))
        self.assertEqual((request.task, request.dimensions, request.truncate), ("query", 3, "END"))
        self.assertEqual((request.encoding, request.extra), ("base64", {"max_tokens": b"5"}))
        several = embed(texts=["a"], embedding_types=["int8", "float"])
        self.assertEqual((several.encoding, several.extra), ("float", {"embedding_types": b'["int8", "float"]'}))
        self.assertEqual((embed(texts=["a"]).encoding, embed(texts=["a"], input_type="image").task), ("float", ""))

    def test_wrong(self) -> None:
        """A mistake is told with the field's name."""
        for body, param in (
            ({}, "texts"),
            ({"texts": []}, "texts"),
            ({"texts": [5]}, "texts[0]"),
            ({"texts": ["a"], "input_type": "poem"}, "input_type"),
            ({"texts": ["a"], "embedding_types": ["int8"]}, "embedding_types"),
            ({"images": ["data:x"]}, "images[0].url"),
            ({"inputs": [{"content": [{"type": "sound"}]}]}, "inputs[0].content[0]"),
        ):
            error = self.assertRaises(InvalidRequest, embed, **body)
            self.assertEqual(error.param, param)

    def test_render(self) -> None:
        """Vectors in the form that was asked for, whatever the provider sent."""
        answer = Embeddings("e", ((1.0, -2.0), "AACAPwAAAMA="), Usage(input=3), "id")
        for encoding, expected in (("float", [[1.0, -2.0]] * 2), ("base64", ["AACAPwAAAMA="] * 2)):
            request = EmbedRequest("m", ("a", "b"), encoding=encoding)
            body = json.loads(COHERE.fronts[EMBED].render(answer, asked(EMBED, request)))
            self.assertEqual(body["embeddings"], {encoding: expected})
            self.assertEqual((body["texts"], body["response_type"]), (["a", "b"], "embeddings_by_type"))
            self.assertEqual(body["meta"]["billed_units"], {"input_tokens": 3})

    def test_build(self) -> None:
        """Texts as texts, mixed inputs as inputs; the purpose is always said."""
        request = EmbedRequest("m", ("a",), dimensions=3, encoding="base64", task="similarity", truncate="START")
        body, lost = built(Operation.EMBED, request)
        self.assertEqual(
            body,
            {
                "model": "command",
                "input_type": "clustering",
                "embedding_types": ["float"],
                "texts": ("a",),
                "output_dimension": 3,
                "truncate": "START",
            },
        )
        self.assertEqual(lost, ())
        request = EmbedRequest(
            "m", ("a", (Text("b"), Media("image", data=PNG))), title="t", user="u", extra={"x": b"1"}
        )
        body, lost = built(Operation.EMBED, request)
        self.assertEqual(body["input_type"], "search_document")
        self.assertEqual(body["inputs"][0], {"content": [{"type": "text", "text": "a"}]})
        self.assertEqual(body["inputs"][1]["content"][1]["image_url"], {"url": IMAGE})
        self.assertEqual(lost, ("title", "user", "x"))
        for item in ((1, 2), (Media("image", url="https://e.com/a"),)):
            self.assertRaises(InvalidRequest, built, Operation.EMBED, EmbedRequest("m", (item,)))

    def test_answer(self) -> None:
        """Vectors by type, and as version 1 gives them."""
        parse = COHERE.backs[Operation.EMBED].parse
        meta = {"billed_units": {"input_tokens": 10}}
        for found in ({"float": [[0.5, 1]]}, [[0.5, 1]]):
            answer = parse(json.dumps({"id": "i", "embeddings": found, "meta": meta}).encode(), TARGET)
            self.assertEqual((answer.vectors, answer.usage, answer.id), (((0.5, 1.0),), Usage(input=10), "i"))
        for body in (b"", b"[]", b'{"embeddings":{"int8":[[1]]}}', b'{"embeddings":[[1' + b"0" * 400 + b"]]}"):
            self.assertRaises(ValueError, parse, body, TARGET)


class RerankTests(SynchronousTestCase):
    """``/v2/rerank``."""

    def test_parse(self) -> None:
        """Documents as strings, or as objects with a text, or as any object."""
        request = rerank(
            documents=["a", {"text": "b", "x": 1}, {"title": "c"}, {"text": 5}],
            top_n=2,
            return_documents=True,
            max_tokens_per_doc=9,
            rank_fields=None,
        )
        self.assertEqual(request.documents, ("a", "b", '{"title":"c"}', '{"text":5}'))
        self.assertEqual((request.top, request.return_documents), (2, True))
        self.assertEqual(request.extra, {"max_tokens_per_doc": b"9"})

    def test_wrong(self) -> None:
        """A mistake is told with the field's name."""
        for body, param in (({"documents": []}, "documents"), ({"query": 5}, "query"), ({"top_n": "x"}, "top_n")):
            error = self.assertRaises(InvalidRequest, rerank, **body)
            self.assertEqual(error.param, param)

    def test_render(self) -> None:
        """Best first, no more than asked for, documents where they are wanted."""
        answer = Ranking("r", ((1, 0.9), (0, 0.1), (7, 0.0)), Usage(input=3), 1, "id")
        request = RankRequest("m", "q", ("a", "b"), top=2, return_documents=True)
        body = json.loads(COHERE.fronts[RERANK].render(answer, asked(RERANK, request)))
        self.assertEqual(
            body["results"],
            [
                {"index": 1, "relevance_score": 0.9, "document": {"text": "b"}},
                {"index": 0, "relevance_score": 0.1, "document": {"text": "a"}},
            ],
        )
        self.assertEqual((body["id"], body["meta"]["billed_units"]), ("id", {"search_units": 1}))
        body = json.loads(COHERE.fronts[RERANK].render(answer, asked(RERANK, RankRequest("m", "q", ("a", "b")))))
        self.assertEqual((len(body["results"]), "document" in body["results"][0]), (3, False))

    def test_build(self) -> None:
        """Query, documents, and how many; relay itself gives documents back, Cohere does not."""
        request = RankRequest("m", "q", ("a", "b"), 1, return_documents=True, extra={"x": b"1"})
        self.assertEqual(
            built(Operation.RANK, request),
            ({"model": "command", "query": "q", "documents": ("a", "b"), "top_n": 1}, ("x",)),
        )

    def test_answer(self) -> None:
        """Results as Cohere gives them, and as those who follow it do."""
        parse = COHERE.backs[Operation.RANK].parse
        cohere = {
            "id": "i",
            "results": [{"index": 1, "relevance_score": 0.5}, {"index": 0, "relevance_score": 0}],
            "meta": {"billed_units": {"search_units": 1}},
        }
        answer = parse(json.dumps(cohere).encode(), TARGET)
        self.assertEqual(answer, Ranking("", ((1, 0.5), (0, 0.0)), Usage(), 1, "i"))
        jina = {
            "model": "j",
            "results": [{"index": 0, "relevance_score": 0.5, "document": {"text": "a"}}, {"index": None}, 5],
            "usage": {"total_tokens": 7},
        }
        self.assertEqual(parse(json.dumps(jina).encode(), TARGET), Ranking("j", ((0, 0.5),), Usage(input=7)))
        voyage = {"data": [{"index": 0, "score": 0.5}], "model": "v"}
        self.assertEqual(parse(json.dumps(voyage).encode(), TARGET).results, ((0, 0.5),))
        for body in (b"", b"[]", b'{"results":5}', b'{"message":"no"}'):
            self.assertRaises(ValueError, parse, body, TARGET)
