"""Embeddings and ranking, asked for and given (edge case D89)."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Media, Text
from relay.dialects.codec import Call
from relay.dialects.openai import embeddings, rerank
from relay.errors import InvalidRequest
from relay.exchange import Usage
from relay.vectors import Embeddings, EmbedRequest, Ranking, RankRequest
from tests.unit.dialects.openai.talk import answers, asked, cases, requests, target

EMBED, RANK = Call("/v1/embeddings"), Call("/v1/rerank")
B64 = base64.b64encode(struct.pack("<2f", 0.5, -1.0)).decode()


def asking(**fields: Any) -> EmbedRequest:
    """The hub's request for a body."""
    return embeddings.parse(json.dumps({"model": "m", **fields}).encode(), EMBED)


def ranking(**fields: Any) -> RankRequest:
    """The hub's request for a body."""
    body = {"model": "m", "query": "q", "documents": ["a", "b", "c"], **fields}
    return rerank.parse(json.dumps(body).encode(), RANK)


class EmbeddingTests(SynchronousTestCase):
    """Vectors."""

    def test_inputs(self) -> None:
        """Texts, token numbers, lists of both, and Jina's objects."""
        for given, inputs, single in (
            ("a", ("a",), True),
            (["a"], ("a",), False),
            ([1, 2], ((1, 2),), True),
            ([[1, 2], [3]], ((1, 2), (3,)), False),
            ([{"text": "a"}, "b"], ("a", "b"), False),
        ):
            request = asking(input=given)
            self.assertEqual((request.inputs, request.single), (inputs, single))

    def test_refused(self) -> None:
        """What is no input is refused with its place."""
        for fields, param in (
            ({"input": []}, "input"),
            ({"input": 5}, "input"),
            ({}, "input"),
            ({"input": ["a", 5]}, "input[1]"),
            ({"input": [[1, "a"]]}, "input[0]"),
            ({"input": [{"image": "x"}]}, "input[0]"),
            ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
            ({"input": "a", "dimensions": "x"}, "dimensions"),
        ):
            self.assertEqual(self.assertRaises(InvalidRequest, asking, **fields).param, param)

    def test_fields(self) -> None:
        """What imitators add is understood, the rest is kept apart."""
        request = asking(input="a", input_type="passage", truncate="end", dimensions=5, new=1, user=None)
        self.assertEqual((request.task, request.truncate, request.dimensions), ("document", "END", 5))
        self.assertEqual(dict(request.extra), {"new": b"1"})

    def test_build(self) -> None:
        """One input goes as it came; tasks have no place here and are told."""
        built = embeddings.build(
            asking(input="a", dimensions=5, task="retrieval.query", encoding_format="base64"), target()
        )
        self.assertEqual(built.fields, {"model": "up", "input": "a", "dimensions": 5})
        self.assertEqual(built.dropped, ("task",))
        several = EmbedRequest("m", ((1, 2), (Text("a"), Text("b"))))
        self.assertEqual(embeddings.build(several, target()).fields["input"], [[1, 2], "a\nb"])
        image = EmbedRequest("m", ((Media("image", url="u"),),))
        self.assertRaises(InvalidRequest, embeddings.build, image, target())

    def test_encodings(self) -> None:
        """89: each client gets the form that it asked for, whatever the provider gave."""
        for vector in ((0.5, -1.0), B64):
            answer = Embeddings("up", (vector,), Usage(input=3))
            for form, expected in (("float", [0.5, -1.0]), ("base64", B64)):
                body = json.loads(embeddings.render(answer, asked(asking(input="a", encoding_format=form))))
                self.assertEqual(body["data"], [{"object": "embedding", "index": 0, "embedding": expected}])
        self.assertEqual((body["model"], body["usage"]), ("public/model", {"prompt_tokens": 3, "total_tokens": 3}))

    def test_understand(self) -> None:
        """Vectors come in the order of the inputs, whatever the order of the answer."""
        body = {
            "data": [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1]}],
            "usage": {"total_tokens": 4},
        }
        found = embeddings.understand(json.dumps(body).encode(), target())
        self.assertEqual((found.vectors, found.usage), (((1,), (2.0,)), Usage(input=4)))
        for wrong in (b"", b"{}", b'{"data":[{"embedding":[]}]}', b'{"data":[{"embedding":["a"]}]}'):
            self.assertRaises(ValueError, embeddings.understand, wrong, target())

    def test_recordings(self) -> None:
        """Every recording is read, and answers are shown again as they were."""
        for case, data in requests("openai-embeddings"):
            sent = json.loads(data)
            built = embeddings.build(embeddings.parse(data, EMBED), target(model=sent["model"]))
            sent.pop("encoding_format", None)
            self.assertEqual(built.fields, sent, case.name)
        for case, data in answers("openai-embeddings"):
            body = json.loads(data)
            found = embeddings.understand(data, target())
            form = "base64" if isinstance(body["data"][0]["embedding"], str) else "float"
            shown = json.loads(embeddings.render(found, asked(EmbedRequest("m", ("a",), encoding=form))))
            self.assertEqual(
                [item["embedding"] for item in shown["data"]], [item["embedding"] for item in body["data"]], case.name
            )
            self.assertEqual(shown["usage"]["prompt_tokens"], body["usage"]["prompt_tokens"], case.name)


class RankTests(SynchronousTestCase):
    """Ranking."""

    def test_request(self) -> None:
        """Texts and objects with a text; the names of both kinds."""
        request = ranking(documents=["a", {"text": "b"}], top_n=1, return_documents=True, max_chunks_per_doc=3)
        self.assertEqual((request.documents, request.top, request.return_documents), (("a", "b"), 1, True))
        self.assertEqual(dict(request.extra), {"max_chunks_per_doc": b"3"})
        built = rerank.build(request, target())
        self.assertEqual(built.fields, {"model": "up", "query": "q", "documents": ["a", "b"], "top_n": 1})
        self.assertEqual(built.dropped, ("max_chunks_per_doc",))

    def test_refused(self) -> None:
        """What is no question is refused with its place."""
        for fields, param in (
            ({"documents": []}, "documents"),
            ({"documents": ["a", 5]}, "documents[1]"),
            ({"query": {"image": "x"}}, "query"),
            ({"top_n": 0}, "top_n"),
        ):
            self.assertEqual(self.assertRaises(InvalidRequest, ranking, **fields).param, param)

    def test_shown(self) -> None:
        """Best first, no more than asked for, with the texts if asked for."""
        answer = Ranking("up", ((1, 0.9), (0, 0.1)), Usage(input=7), units=2)
        body = json.loads(rerank.render(answer, asked(ranking(return_documents=True, top_n=1))))
        self.assertEqual(body["results"], [{"index": 1, "relevance_score": 0.9, "document": {"text": "b"}}])
        self.assertEqual((body["model"], body["usage"]["total_tokens"]), ("public/model", 7))
        self.assertEqual(body["meta"]["billed_units"]["search_units"], 2)
        plain = json.loads(rerank.render(answer, asked(ranking())))
        self.assertEqual([list(result) for result in plain["results"]], [["index", "relevance_score"]] * 2)

    def test_understand(self) -> None:
        """Jina's, Cohere's, Voyage's and text-embeddings-inference's answers."""
        results = [{"index": 0, "relevance_score": 0.1}, {"index": 1, "relevance_score": 0.9}]
        bodies: list[tuple[Any, Usage, int | None]] = [
            ({"results": results, "usage": {"total_tokens": 7}}, Usage(input=7), None),
            ({"results": results, "meta": {"billed_units": {"search_units": 1}}}, Usage(), 1),
            ({"results": results, "meta": {"tokens": {"input_tokens": 5}}}, Usage(input=5), None),
            ({"data": results}, Usage(), None),
            ([{"index": 0, "score": 0.1}, {"index": 1, "score": 0.9}], Usage(), None),
        ]
        for body, usage, units in bodies:
            found = rerank.understand(json.dumps(body).encode(), target())
            self.assertEqual((found.results, found.usage, found.units), (((1, 0.9), (0, 0.1)), usage, units))
        for wrong in (b"", b"{}", b'{"results":[{"index":0}]}', b'{"results":[{"index":"0","score":1}]}'):
            self.assertRaises(ValueError, rerank.understand, wrong, target())

    def test_recordings(self) -> None:
        """Cohere's recordings, whose form this endpoint shares."""
        for case in cases("cohere-rerank"):
            data = case.file("response.json")
            assert data is not None
            found = rerank.understand(data, target())
            self.assertEqual((len(found.results), found.units), (2, 1), case.name)
