"""Tests of `relay.echo.embeddings`, `relay.echo.scores` and `relay.echo.models`."""

from __future__ import annotations

import base64
import json
import math
import struct

from twisted.trial.unittest import SynchronousTestCase

from relay.echo.embeddings import answer_embeddings
from relay.echo.faults import Shape
from relay.echo.models import MODELS, model, model_list
from relay.echo.scores import answer_moderation, answer_rerank
from relay.errors import InvalidRequest, UnknownModel
from tests.unit.echo.asking import ask, value


class EmbeddingTests(SynchronousTestCase):
    """``/v1/embeddings``."""

    def test_oneVectorForEachInput(self) -> None:
        """Unit vectors of the asked length, in order; equal texts have equal ones."""
        answer = value(ask(answer_embeddings, model="m", input=["a b", "c", "a b"], dimensions=8))
        vectors = [item["embedding"] for item in answer["data"]]
        self.assertEqual([item["index"] for item in answer["data"]], [0, 1, 2])
        self.assertEqual({len(vector) for vector in vectors}, {8})
        self.assertEqual(vectors[0], vectors[2])
        self.assertNotEqual(vectors[0], vectors[1])
        for vector in vectors:
            self.assertAlmostEqual(math.hypot(*vector), 1.0, places=5)
        self.assertEqual(answer["usage"], {"prompt_tokens": 5, "total_tokens": 5})

    def test_everyLengthIsPossible(self) -> None:
        """Even and odd numbers of dimensions, one included, make unit vectors."""
        for dimensions in (1, 2, 3, 7, 1536, 4096):
            numbers = value(ask(answer_embeddings, model="m", input="a", dimensions=dimensions))["data"][0]["embedding"]
            self.assertEqual(len(numbers), dimensions)
            self.assertAlmostEqual(math.hypot(*numbers), 1.0, places=5)

    def test_base64IsTheSameNumbers(self) -> None:
        """Little-endian 32-bit floats, the same as in the other form."""
        fields = {"model": "m", "input": "a", "dimensions": 16}
        numbers = value(ask(answer_embeddings, **fields))["data"][0]["embedding"]
        text = value(ask(answer_embeddings, **fields, encoding_format="base64"))["data"][0]["embedding"]
        self.assertEqual(list(struct.unpack("<16f", base64.b64decode(text))), numbers)

    def test_tokensAreInputs(self) -> None:
        """A list of tokens is one input, a list of such lists several."""
        self.assertEqual(len(value(ask(answer_embeddings, model="m", input=[1, 2, 3]))["data"]), 1)
        answer = value(ask(answer_embeddings, model="m", input=[[1, 2], [3]]))
        self.assertEqual((len(answer["data"]), answer["usage"]["prompt_tokens"]), (2, 3))

    def test_defaultLength(self) -> None:
        """As OpenAI's small model has."""
        self.assertEqual(len(value(ask(answer_embeddings, model="m", input="a"))["data"][0]["embedding"]), 1536)

    def test_faultsAreRefused(self) -> None:
        """Nothing to embed, or no such form of a vector."""
        for more, param in (
            ({"input": ""}, "input"),
            ({"input": []}, "input"),
            ({"input": ["a", ""]}, "input"),
            ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
            ({"input": "a", "dimensions": 0}, "dimensions"),
            ({"input": "a", "echo": {"chunks": 2}}, "echo.chunks"),
        ):
            error = self.assertRaises(InvalidRequest, ask, answer_embeddings, model="m", **more)
            self.assertEqual(error.param, param)


class ModerationTests(SynchronousTestCase):
    """``/v1/moderations``."""

    def test_oneResultForEachText(self) -> None:
        """Texts have a result each; parts are one input."""
        parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
        for given, count in (("a", 1), (["a", "b"], 2), (parts, 1)):
            results = value(ask(answer_moderation, input=given))["results"]
            self.assertEqual([result["flagged"] for result in results], [False] * count)

    def test_modelHasADefault(self) -> None:
        """The model may be left out."""
        self.assertTrue(value(ask(answer_moderation, input="a"))["model"])
        self.assertEqual(value(ask(answer_moderation, input="a", model="m"))["model"], "m")


class RerankTests(SynchronousTestCase):
    """``/v1/rerank``."""

    def test_sharedWordsDecide(self) -> None:
        """Best first, scores between 0 and 1, documents as texts or objects."""
        documents = ["nothing", {"text": "The capital of France"}, "capital letters"]
        answer = value(ask(answer_rerank, model="m", query="capital of france", documents=documents))
        self.assertEqual([result["index"] for result in answer["results"]], [1, 2, 0])
        self.assertEqual(answer["results"][0]["relevance_score"], 1.0)
        self.assertEqual(answer["results"][2]["relevance_score"], 0.0)
        self.assertEqual(answer["usage"]["total_tokens"], 10)

    def test_bestOnlyAndWithText(self) -> None:
        """``top_n`` cuts, ``return_documents`` adds the texts."""
        fields = {"model": "m", "query": "a", "documents": ["b", "a"]}
        (result,) = value(ask(answer_rerank, **fields, top_n=1, return_documents=True))["results"]
        self.assertEqual(result, {"index": 1, "relevance_score": 1.0, "document": {"text": "a"}})

    def test_faultsAreRefused(self) -> None:
        """Without documents there is nothing to order."""
        error = self.assertRaises(InvalidRequest, ask, answer_rerank, model="m", query="a", documents=[])
        self.assertEqual(error.param, "documents")


class ModelTests(SynchronousTestCase):
    """``/v1/models``."""

    def test_listHasTheCallersShape(self) -> None:
        """OpenAI's list, or Anthropic's page."""
        listed = json.loads(model_list(Shape.OPENAI))
        self.assertEqual((listed["object"], [item["id"] for item in listed["data"]]), ("list", list(MODELS)))
        page = json.loads(model_list(Shape.ANTHROPIC))
        self.assertEqual((page["first_id"], page["last_id"], page["has_more"]), (MODELS[0], MODELS[-1], False))

    def test_oneModel(self) -> None:
        """One of those listed has the same shape alone, others are unknown."""
        for shape in Shape:
            listed = json.loads(model_list(shape))["data"]
            self.assertEqual([json.loads(model(shape, name)) for name in MODELS], listed)
            self.assertRaises(UnknownModel, model, shape, "gpt-99")
