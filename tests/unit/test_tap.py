"""What ``--check`` says of routes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.config import Deployment, MirrorPolicy, Route, Snapshot
from relay.loader.sources import Sources
from relay.provider import Auth, AuthScheme, ProviderKey
from relay.secret import Secret
from relay.settings import Settings
from relay.tap import report
from tests.unit.values import make_provider


def told(snapshot: Snapshot) -> list[str]:
    """The lines of the report."""
    settings = Settings(Sources(), snapshot, (), True, True, "text", None, True, False, {})
    return report(settings).splitlines()


class ReportTests(SynchronousTestCase):
    """`relay.tap.report`."""

    def test_route(self) -> None:
        """A route is one line, however many names it has: candidates by priority with what is unusual, and its ends."""
        provider = make_provider("p", scheme=AuthScheme.NONE)
        last = Deployment("p/last", provider, "last", priority=2, drained=True)
        first = Deployment("p/first", provider, "first", weight=3)
        route = Route(
            "r",
            (last, first),
            strategy="ordered",
            fallbacks=("a", "b"),
            context_fallbacks=("c",),
            policy_fallbacks=("d",),
            mirror=MirrorPolicy(Deployment("p/copy", provider, "copy"), 0.05),
            hidden=True,
            aliases=("s",),
        )
        lines = told(Snapshot({"p": provider}, routes={"r": route, "s": route}, default_route="r"))
        line, default = [line for line in lines if "route" in line]
        self.assertEqual(
            line,
            "route r, s (hidden): ordered over p/first (weight 3), p/last (priority 2, drained); "
            "falls back to a, b; for long prompts to c; for refused ones to d; 5% copied to p/copy",
        )
        self.assertEqual(default, "default route: r")

    def test_noRoutes(self) -> None:
        """Without routes nothing is said of them."""
        self.assertNotIn("route", "\n".join(told(Snapshot({"p": make_provider("p")}))))

    def test_keys(self) -> None:
        """Where all keys of a provider come from is told, and none of them."""
        others = (ProviderKey(Secret("key-0002"), "file b"),)
        auth = Auth(AuthScheme.BEARER, Secret("key-0001"), "environment variable A", others=others)
        text = "\n".join(told(Snapshot({"p": make_provider("p", auth=auth)})))
        self.assertIn("keys from environment variable A, file b", text)
        self.assertNotIn("key-0", text)
