"""What a provider file means."""

from __future__ import annotations

from relay.endpoints import ENDPOINTS
from relay.provider import Auth, AuthScheme, ModelSource, ParamRule, Quirk, RateLimit, StreamConfig, Timeouts
from tests.unit.loader.folder import FolderTestCase

_CHAT = "/v1/chat/completions"
_UNLIMITED = RateLimit(0, 1)


class DefaultTests(FolderTestCase):
    """A file that says nothing but its address."""

    def test_everyPathIsServed(self) -> None:
        """``endpoints`` overrides and does not restrict: every forwarded path is there, resolved."""
        provider = self.provider()
        self.assertEqual(set(provider.endpoints), set(ENDPOINTS))
        for path, endpoint in provider.endpoints.items():
            self.assertEqual((endpoint.path, endpoint.target, endpoint.method), (path, path, "POST"))
            self.assertEqual(endpoint.stream_target, ENDPOINTS[path].stream_path)
            self.assertEqual((endpoint.dialect, endpoint.stream_support), ("openai", True))
            self.assertEqual((endpoint.requires_multipart, endpoint.headers), (False, ()))
            self.assertEqual((endpoint.origin, endpoint.stream), (provider.origin, StreamConfig()))

    def test_values(self) -> None:
        """The rest has the documented defaults."""
        provider = self.provider()
        self.assertEqual((provider.name, provider.dialect, provider.port), ("p", "openai", None))
        self.assertEqual(provider.file, str(self.folder / "p.json"))
        self.assertEqual(provider.auth, Auth(AuthScheme.BEARER))
        self.assertEqual(provider.timeouts, Timeouts())
        self.assertEqual(provider.stream, StreamConfig(65536, 15.0))
        self.assertEqual(provider.models, ModelSource())
        self.assertEqual(set(provider.rate_limits.values()), {_UNLIMITED})
        self.assertEqual((provider.params, provider.quirks, dict(provider.model_mapping)), ((), frozenset(), {}))


class EndpointTests(FolderTestCase):
    """Overrides of single paths."""

    def test_override(self) -> None:
        """What an endpoint says wins over the provider; headers are laid over each other."""
        provider = self.provider(
            dialect="anthropic",
            headers={"X-One": "1", "X-Two": "2"},
            streamConfig={"heartbeatIntervalSecs": 5},
            endpoints={
                "/chat/completions": {
                    "method": "patch",
                    "dialect": "openai",
                    "headers": {"x-TWO": "two", "X-Three": "3"},
                    "streamSupport": False,
                    "streamConfig": {"bufferSize": 8192},
                },
                "/v1/audio/transcriptions": {"requiresMultipart": True},
            },
        )
        chat = provider.endpoints[_CHAT]
        self.assertEqual((chat.method, chat.dialect, chat.stream_support), ("PATCH", "openai", False))
        self.assertEqual(dict(chat.headers), {"x-one": "1", "x-two": "two", "x-three": "3"})
        # The endpoint's streamConfig replaces the provider's as a whole.
        self.assertEqual(chat.stream, StreamConfig(8192, 15.0))
        other = provider.endpoints["/v1/messages"]
        self.assertEqual((other.dialect, other.stream), ("anthropic", StreamConfig(65536, 5)))
        self.assertTrue(provider.endpoints["/v1/audio/transcriptions"].requires_multipart)

    def test_ownHeaders(self) -> None:
        """Fields of connection and body are relay's; the operator is told, the rest stays."""
        self.write("p.json", {"baseUrl": "x", "headers": {"Host": "h", "Content-Type": "a/b", "Accept": "c/d"}})
        snapshot = self.load("p")
        self.assertEqual(snapshot.first.headers, (("accept", "c/d"),))
        self.assertEqual(len(snapshot.warnings), 1)
        self.assertIn("p.json: $.headers.Host: relay writes this header field itself", snapshot.warnings[0])


class RateLimitTests(FolderTestCase):
    """Endpoint over provider over config file over environment, each number on its own."""

    def limit(self, *levels: tuple[int | None, int | None]) -> RateLimit:
        """The limit on chat for what endpoint, provider, config file and environment set (rate, burst)."""
        files: list[dict[str, int]] = []
        for rate, burst in levels:
            pairs = {"requestsPerMinute": rate, "burst": burst}
            files.append({name: value for name, value in pairs.items() if value is not None})
        endpoint, provider, config, environment = files
        self.write("p.json", {"baseUrl": "x", "rateLimit": provider, "endpoints": {_CHAT: {"rateLimit": endpoint}}})
        names = {"requestsPerMinute": "RATE_LIMIT_REQUESTS_PER_MINUTE", "burst": "RATE_LIMIT_BURST"}
        environ = {names[name]: f" {value} " for name, value in environment.items()}
        return self.load("p", config={"rateLimit": config}, environ=environ).first.rate_limits[_CHAT]

    def test_precedence(self) -> None:
        """The strongest level that sets a number gives it."""
        no = (None, None)
        table = {
            ((1, 2), (3, 4), (5, 6), (7, 8)): RateLimit(1, 2),
            (no, (3, 4), (5, 6), (7, 8)): RateLimit(3, 4),
            (no, no, (5, 6), (7, 8)): RateLimit(5, 6),
            (no, no, no, (7, 8)): RateLimit(7, 8),
            (no, no, no, no): _UNLIMITED,
            ((1, None), (None, 4), (5, 6), (7, 8)): RateLimit(1, 4),
            ((None, 2), (3, None), (5, 6), (7, 8)): RateLimit(3, 2),
            ((None, 2), no, no, (7, None)): RateLimit(7, 2),
            ((60, None), no, no, no): RateLimit(60, 60),
            ((60, 0), no, no, no): RateLimit(60, 1),
            ((0, 9), (3, 4), no, (7, 8)): RateLimit(0, 9),
            ((0, None), (3, None), no, no): _UNLIMITED,
            ((None, 5), no, no, no): RateLimit(0, 5),
        }
        self.assertEqual({levels: self.limit(*levels) for levels in table}, table)

    def test_otherEndpoints(self) -> None:
        """An endpoint's limit is its own."""
        provider = self.provider(
            rateLimit={"requestsPerMinute": 9}, endpoints={"/chat/completions": {"rateLimit": {"requestsPerMinute": 3}}}
        )
        self.assertEqual(provider.rate_limits[_CHAT], RateLimit(3, 3))
        self.assertEqual(provider.rate_limits["/v1/embeddings"], RateLimit(9, 9))


class TimeoutTests(FolderTestCase):
    """Provider over config file over default."""

    def timeouts(self, provider: dict[str, float], config: dict[str, float]) -> Timeouts:
        """The deadlines for what the two set."""
        self.write("p.json", {"baseUrl": "x", "timeouts": provider})
        return self.load("p", config={"timeouts": config}).first.timeouts

    def test_precedence(self) -> None:
        """Each deadline is looked up on its own."""
        found = self.timeouts({"connect": 1}, {"connect": 2, "idle": 3, "drain": 4})
        self.assertEqual(found, Timeouts(connect=1, idle=3))

    def test_totalBoundsStreamsOnlyWhereWritten(self) -> None:
        """The default total is for whole answers; a written one is for streams, too."""
        self.assertEqual(self.timeouts({}, {}).stream_total, None)
        for provider, config in (({"total": 7.5}, {}), ({}, {"total": 7.5}), ({"total": 7.5}, {"total": 99.0})):
            found = self.timeouts(provider, config)
            self.assertEqual((found.total, found.stream_total), (7.5, 7.5))


class RowTests(FolderTestCase):
    """``params``, ``models``, ``modelMapping``, ``quirks``."""

    def test_params(self) -> None:
        """Rows become rules; a default keeps its JSON."""
        rows = [
            {"name": "seed", "drop": True},
            {"name": "max_tokens", "to": "max_completion_tokens"},
            {"name": "temperature", "min": 0, "max": 1.5, "default": 0.5},
            {"name": "extra", "default": {"a": [1, None]}},
            {"name": "nothing", "default": None},
        ]
        self.assertEqual(
            self.provider(params=rows).params,
            (
                ParamRule("seed", drop=True),
                ParamRule("max_tokens", to="max_completion_tokens"),
                ParamRule("temperature", minimum=0, maximum=1.5, default=b"0.5"),
                ParamRule("extra", default=b'{"a":[1,null]}'),
                ParamRule("nothing", default=b"null"),
            ),
        )

    def test_models(self) -> None:
        """Listed and mapped models are known; mapping leaves other names alone."""
        provider = self.provider(models=["a", "b"], modelMapping={"gpt": "c"}, quirks=["no-stream-usage"])
        self.assertEqual(provider.models.listed, ("a", "b"))
        self.assertEqual([provider.upstream_model(name) for name in ("gpt", "a")], ["c", "a"])
        self.assertEqual(provider.quirks, {Quirk.NO_STREAM_USAGE})

    def test_wholeNumbersHoweverWritten(self) -> None:
        """``8000.0`` is the integer 8000, as in JSON Schema."""
        self.write("p.json", '{"baseUrl": "x", "port": 8000.0}')
        self.assertEqual(self.load("p").first.port, 8000)

    def test_byteOrderMark(self) -> None:
        """A file saved by an editor that writes a byte order mark loads."""
        self.write("p.json", '\ufeff{"baseUrl": "x"}')
        self.assertEqual(self.load("p").first.origin.host, "x")
