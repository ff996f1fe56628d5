"""Shapes and pages of model lists."""

from __future__ import annotations

from anthropic.types import ModelInfo
from openai.types import Model

from twisted.trial.unittest import SynchronousTestCase

from relay.endpoints import FORWARDED
from relay.errors import InvalidRequest
from relay.policy.routing import resolve
from relay.provider import ModelSource
from relay.web.listing import Page, anthropic_list, anthropic_model, merge, openai_list, openai_model
from tests.unit.values import make_provider, make_snapshot

MODELS = dict.fromkeys("abcdefg", "p")


class MergeTests(SynchronousTestCase):
    """Which provider a name means."""

    def test_one(self) -> None:
        """A single provider's models have bare names only."""
        self.assertEqual(merge({"p": ("a", "b")}), {"a": "p", "b": "p"})

    def test_several(self) -> None:
        """A bare name belongs to the first that has it; every model has a full name as well."""
        expected = {"a": "p", "b": "p", "c": "q", "p/a": "p", "p/b": "p", "q/b": "q", "q/c": "q"}
        self.assertEqual(merge({"p": ("a", "b"), "q": ("b", "c")}), expected)

    def test_slashes(self) -> None:
        """A model whose own name begins with a provider's cannot be reached by it, so it is not shown by it."""
        self.assertEqual(merge({"p": ("q/a", "r/a"), "q": ()}), {"r/a": "p", "p/q/a": "p", "p/r/a": "p"})
        self.assertEqual(merge({"p": ("p/a",)}), {"p/p/a": "p"})

    def test_asRouted(self) -> None:
        """Each name shown leads to the provider shown with it."""
        files = {"p": ("a", "q/a", "b/c"), "q": ("a", "z", "p/z")}
        snapshot = make_snapshot(*(make_provider(name, models=ModelSource(ids)) for name, ids in files.items()))
        for model, owner in merge(files).items():
            chosen = resolve(snapshot, FORWARDED["/v1/chat/completions"], model, lambda _: frozenset())
            self.assertEqual(chosen.provider.name, owner, model)
            self.assertIn(chosen.model, files[owner])


class ShapeTests(SynchronousTestCase):
    """The SDKs' own models accept the objects strictly."""

    def test_openai(self) -> None:
        """OpenAI's."""
        self.assertEqual(Model.model_validate(openai_model("a/b", "p"), strict=True).owned_by, "p")
        self.assertEqual([m["id"] for m in openai_list(MODELS)["data"]], list("abcdefg"))  # type: ignore[attr-defined]

    def test_anthropic(self) -> None:
        """Anthropic's, whose dates are strings in JSON."""
        self.assertEqual(ModelInfo.model_validate(anthropic_model("a/b")).lifecycle, "active")


class PageTests(SynchronousTestCase):
    """Anthropic's pages."""

    def page(self, query: bytes) -> tuple[str, object, object, object]:
        """Ids of a page, has_more, first and last."""
        shown = anthropic_list(MODELS, Page.read(query))
        ids = "".join(model["id"] for model in shown["data"])  # type: ignore[attr-defined]
        return ids, shown["has_more"], shown["first_id"], shown["last_id"]

    def test_all(self) -> None:
        """Twenty fit on a page unless another size is asked for."""
        self.assertEqual(self.page(b""), ("abcdefg", False, "a", "g"))
        self.assertEqual(len(anthropic_list({str(n): "p" for n in range(30)}, Page())["data"]), 20)  # type: ignore[arg-type]

    def test_forward(self) -> None:
        """Going on behind the last id shows each model once, and the last page says so."""
        self.assertEqual(self.page(b"limit=3"), ("abc", True, "a", "c"))
        self.assertEqual(self.page(b"limit=3&after_id=c"), ("def", True, "d", "f"))
        self.assertEqual(self.page(b"limit=3&after_id=f"), ("g", False, "g", "g"))
        self.assertEqual(self.page(b"limit=3&after_id=d"), ("efg", False, "e", "g"))
        self.assertEqual(self.page(b"after_id=g"), ("", False, None, None))

    def test_backward(self) -> None:
        """Going back before the first id, too."""
        self.assertEqual(self.page(b"limit=3&before_id=g"), ("def", True, "d", "f"))
        self.assertEqual(self.page(b"limit=3&before_id=d"), ("abc", False, "a", "c"))
        self.assertEqual(self.page(b"before_id=a"), ("", False, None, None))

    def test_refused(self) -> None:
        """Bad numbers and unknown ids are the client's mistake, and named."""
        for query, param in (
            (b"limit=0", "limit"),
            (b"limit=1001", "limit"),
            (b"limit=-1", "limit"),
            (b"limit=x", "limit"),
            (b"limit=%D9%A3", "limit"),
            (b"limit=" + b"9" * 5000, "limit"),
            (b"after_id=zz", "after_id"),
            (b"before_id=zz", "before_id"),
            (b"after_id=a&before_id=b", "before_id"),
        ):
            error = self.assertRaises(InvalidRequest, self.page, query)
            self.assertEqual(error.param, param)

    def test_otherParameters(self) -> None:
        """What is not known is ignored."""
        self.assertEqual(self.page(b"beta=true&limit=")[0], "abcdefg")
