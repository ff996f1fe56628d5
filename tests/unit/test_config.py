"""Which route a model's name finds."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.config import Deployment, MirrorPolicy, Route, Snapshot
from relay.provider import Auth, AuthScheme, ProviderKey
from relay.secret import Secret
from tests.unit.values import make_provider

_PROVIDER = make_provider("p", scheme=AuthScheme.NONE)


def make_route(name: str, *aliases: str) -> Route:
    """A route with one deployment."""
    return Route(name, (Deployment("p/m", _PROVIDER, "m"),), aliases=aliases)


def make_snapshot(*routes: Route, default: str | None = None) -> Snapshot:
    """A snapshot with these routes, each under all of its names."""
    named = {name: route for route in routes for name in (route.name, *route.aliases)}
    return Snapshot({"p": _PROVIDER}, routes=named, default_route=default)


class RouteForTests(SynchronousTestCase):
    """`Snapshot.route_for`."""

    def found(self, snapshot: Snapshot, model: str) -> str | None:
        """Name of the route that is found."""
        route = snapshot.route_for(model)
        return None if route is None else route.name

    def test_exact(self) -> None:
        """A route's own name and its aliases find it; case counts, and a part of a name is no name."""
        snapshot = make_snapshot(make_route("gpt-4o", "fast", "a/b"))
        for model in ("gpt-4o", "fast", "a/b"):
            self.assertEqual(self.found(snapshot, model), "gpt-4o")
        for model in ("GPT-4o", "gpt-4", "gpt-4o-mini", "", "b"):
            self.assertIsNone(self.found(snapshot, model))

    def test_patterns(self) -> None:
        """The star stands for any characters, also for none, wherever it is."""
        snapshot = make_snapshot(make_route("gpt-*"), make_route("*:free"), make_route("ft:*:acme"))
        for model, name in {
            "gpt-": "gpt-*",
            "gpt-4o": "gpt-*",
            "x:free": "*:free",
            ":free": "*:free",
            "ft:a:acme": "ft:*:acme",
            "ft::acme": "ft:*:acme",
            "ft:acme": None,
            "gpt": None,
            "my-gpt-4": None,
        }.items():
            self.assertEqual(self.found(snapshot, model), name, model)

    def test_longestPattern(self) -> None:
        """The pattern with the most characters wins, of equally long ones the first; an exact name before all."""
        routes = [make_route(name) for name in ("*", "gpt-*", "gpt-4*", "*mini", "gpt-4o")]
        for order in (routes, routes[::-1]):
            snapshot = make_snapshot(*order)
            for model, name in {"o3": "*", "gpt-3": "gpt-*", "gpt-4.1": "gpt-4*", "gpt-4o": "gpt-4o"}.items():
                self.assertEqual(self.found(snapshot, model), name)
        self.assertEqual(self.found(make_snapshot(make_route("gpt-*"), make_route("*-mini")), "gpt-mini"), "*-mini")
        self.assertEqual(self.found(make_snapshot(make_route("*4o"), make_route("gpt*")), "gpt4o"), "gpt*")
        self.assertEqual(self.found(make_snapshot(make_route("ab*"), make_route("*ba")), "aba"), "ab*")
        self.assertEqual(self.found(make_snapshot(make_route("*ba"), make_route("ab*")), "aba"), "*ba")

    def test_default(self) -> None:
        """What no route claims goes to the default route, if there is one."""
        routes = (make_route("main"), make_route("gpt-*"))
        self.assertEqual(self.found(make_snapshot(*routes, default="main"), "o3"), "main")
        self.assertEqual(self.found(make_snapshot(*routes, default="main"), "gpt-4"), "gpt-*")
        self.assertEqual(self.found(make_snapshot(*routes, default="gpt-*"), "o3"), "gpt-*")
        self.assertIsNone(self.found(make_snapshot(*routes), "o3"))
        self.assertIsNone(self.found(make_snapshot(), "o3"))

    def test_addressedProvider(self) -> None:
        """``provider/model`` is no route's, whatever the patterns; other names with a slash are names."""
        snapshot = make_snapshot(make_route("*"), make_route("q/m"), default="*")
        self.assertIsNone(self.found(snapshot, "p/m"))
        self.assertEqual(self.found(snapshot, "q/m"), "q/m")
        self.assertEqual(self.found(snapshot, "q/n"), "*")
        self.assertEqual(self.found(snapshot, "p/"), "*")
        self.assertEqual(self.found(snapshot, "p"), "*")

    @settings(max_examples=300, deadline=None, database=None, derandomize=True)
    @given(
        names=st.lists(st.text("ab*/p", min_size=1, max_size=4).filter(lambda n: n.count("*") < 2), unique=True),
        model=st.text("abp/", max_size=5),
    )
    def test_anyNames(self, names: list[str], model: str) -> None:
        """What is found fits, and nothing that fits is longer."""
        found = self.found(make_snapshot(*map(make_route, names)), model)
        fitting = [name for name in names if fits(name, model)]
        if model in names:
            self.assertEqual(found, model)
        elif model.startswith("p/") and len(model) > 2:
            self.assertIsNone(found)
        elif fitting:
            assert found is not None
            self.assertIn(found, fitting)
            self.assertEqual(len(found), max(map(len, fitting)))
        else:
            self.assertIsNone(found)


def fits(pattern: str, model: str) -> bool:
    """Whether a pattern fits, by trying every text for the star."""
    if "*" not in pattern:
        return False
    texts = {model[begin:end] for begin in range(len(model) + 1) for end in range(begin, len(model) + 1)}
    return any(pattern.replace("*", text) == model for text in texts)


class ValueTests(SynchronousTestCase):
    """What values say of themselves."""

    def test_pattern(self) -> None:
        """A name with a star is a pattern."""
        self.assertTrue(make_route("gpt-*").pattern)
        self.assertFalse(make_route("gpt-4").pattern)

    def test_everywhere(self) -> None:
        """A mirror gets requests, too."""
        mirror = Deployment("p/n", _PROVIDER, "n", first=False)
        route = Route("r", (Deployment("p/m", _PROVIDER, "m"),), mirror=MirrorPolicy(mirror, 0.1))
        self.assertEqual([d.name for d in route.everywhere()], ["p/m", "p/n"])
        self.assertEqual([d.name for d in make_route("r").everywhere()], ["p/m"])

    def test_credentials(self) -> None:
        """A provider's keys are all of them in order, and all are secrets."""
        others = (ProviderKey(Secret("key-0002"), "file b"), ProviderKey(Secret("key-0003"), "file c"))
        auth = Auth(AuthScheme.BEARER, Secret("key-0001"), "environment variable A", others=others)
        provider = make_provider("p", auth=auth)
        self.assertEqual(
            [(key.secret.reveal(), key.source) for key in provider.credentials],
            [("key-0001", "environment variable A"), ("key-0002", "file b"), ("key-0003", "file c")],
        )
        self.assertEqual([s.reveal() for s in auth.secrets()], ["key-0001", "key-0002", "key-0003"])
        self.assertEqual(make_provider("p", key=None).credentials, ())
