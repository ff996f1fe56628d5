"""Which provider serves a model."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.config import Snapshot
from relay.endpoints import FORWARDED
from relay.policy.routing import label, resolve
from relay.provider import ModelSource, Provider
from tests.unit.values import make_provider, make_snapshot

CHAT = FORWARDED["/v1/chat/completions"]
MESSAGES = FORWARDED["/v1/messages"]
ONE = make_provider("one", model_mapping={"fast": "one-small"})
TWO = make_provider("two", models=ModelSource(("two-big", "org/two")))


def nothing(provider: Provider) -> frozenset[str]:
    """No list has been fetched."""
    return frozenset()


class ResolveTests(SynchronousTestCase):
    """`resolve` in its order of preference."""

    def where(self, model: str, snapshot: Snapshot | None = None) -> tuple[str, str, bool]:
        found = resolve(snapshot or make_snapshot(ONE, TWO), CHAT, model, nothing)
        return found.provider.name, found.model, found.first

    def test_theFirstThatMapsOrListsIt(self) -> None:
        """A mapped name becomes the upstream's; a listed one keeps its own."""
        self.assertEqual(self.where("fast"), ("one", "one-small", True))
        self.assertEqual(self.where("two-big"), ("two", "two-big", True))
        self.assertEqual(self.where("org/two"), ("two", "org/two", True))

    def test_unknownNamesGoToTheFirst(self) -> None:
        """A model that is newer than the file must work."""
        self.assertEqual(self.where("brand-new"), ("one", "brand-new", True))
        self.assertEqual(self.where(""), ("one", "", True))

    def test_aPrefixAddressesAProvider(self) -> None:
        """``NAME/model`` wins over every list, and is mapped as the bare name is."""
        self.assertEqual(self.where("two/fast"), ("two", "fast", True))
        self.assertEqual(self.where("one/fast"), ("one", "one-small", True))
        self.assertEqual(self.where("other/fast"), ("one", "other/fast", True))
        self.assertEqual(self.where("two/"), ("one", "two/", True))

    def test_fetchedListsCount(self) -> None:
        """What a provider lists itself is as good as what its file lists."""
        known = {"two": frozenset({"fetched"})}
        found = resolve(make_snapshot(ONE, TWO), CHAT, "fetched", lambda p: known.get(p.name, frozenset()))
        self.assertEqual(found.provider.name, "two")

    def test_amongStrangersTheOneThatSpeaksTheDialect(self) -> None:
        """An Anthropic client with an unknown model is better off with the Anthropic provider."""
        snapshot = make_snapshot(make_provider("one", dialect="openai"), make_provider("two", dialect="anthropic"))
        self.assertEqual(resolve(snapshot, MESSAGES, "brand-new", nothing).provider.name, "two")
        self.assertEqual(resolve(snapshot, CHAT, "brand-new", nothing).provider.name, "one")

    def test_deploymentsAreNamed(self) -> None:
        """The name is provider and upstream model."""
        self.assertEqual(resolve(make_snapshot(ONE), CHAT, "fast", nothing).name, "one/one-small")
        self.assertEqual(resolve(make_snapshot(ONE), CHAT, "", nothing).name, "one")


class LabelTests(SynchronousTestCase):
    """`label` keeps clients from creating metric series."""

    def test_onlyConfiguredNamesAreLabels(self) -> None:
        """Everything else is ``other``."""
        self.assertEqual(
            [label(ONE, name, nothing) for name in ("fast", "one/fast", "junk", "")], ["fast", "fast", "other", "other"]
        )
        self.assertEqual(label(ONE, "seen", lambda _: frozenset({"seen"})), "seen")
