"""The resources for operators and load balancers."""

from __future__ import annotations

import attrs

from relay.endpoints import ENDPOINTS
from relay.version import VERSION
from relay.web.seams import Phase
from tests.unit.doubles import OpenKeys
from tests.unit.values import make_provider, make_snapshot
from tests.unit.web.client import WebCase


class AdminTests(WebCase):
    """A relay that requires keys everywhere else."""

    def setUp(self) -> None:
        """Two providers."""
        snapshot = make_snapshot(make_provider("one"), make_provider("two", dialect="anthropic"), generation=3)
        self.server = self.make(snapshot, keys=OpenKeys("secret"))

    def test_health(self) -> None:
        """The predecessor's body, and what relay adds to it."""
        self.server.status = attrs.evolve(
            self.server.status,
            active_requests=2,
            buckets={"/v1/messages": 2, "/v1/embeddings": 1},
            providers={"one": "ok"},
            reload_failures=1,
            reload_error="x.json: broken",
        )
        reply = self.server.request("GET", "/health")
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.fields["content-type"], "application/json")
        self.assertEqual(
            reply.json,
            {
                "status": "ok",
                "message": "relay is running",
                "rateLimiter": {"activeBuckets": 3, "routes": {"/v1/messages": 2, "/v1/embeddings": 1}},
                "version": VERSION,
                "uptimeSeconds": 12.5,
                "draining": False,
                "activeRequests": 2,
                "providers": {
                    "one": {"dialect": "openai", "state": "ok"},
                    "two": {"dialect": "anthropic", "state": "unknown"},
                },
                "deployments": {},
                "config": {"generation": 3, "failures": 1, "lastError": "x.json: broken"},
            },
        )

    def test_healthFollows(self) -> None:
        """A reload shows at once; so does a drain, which is no illness."""
        self.server.configuration.snapshot = make_snapshot(make_provider("three"), generation=4)
        self.server.status = attrs.evolve(self.server.status, phase=Phase.DRAINING)
        reply = self.server.request("GET", "/health")
        self.assertEqual(reply.status, 200)
        self.assertTrue(reply.json["draining"])
        self.assertEqual(list(reply.json["providers"]), ["three"])
        self.assertEqual(reply.json["config"], {"generation": 4, "failures": 0, "lastError": None})

    def test_ready(self) -> None:
        """Ready while serving, also when something is degraded; not while starting or draining."""
        self.assertEqual(self.server.request("GET", "/ready").json, {"status": "ready", "degraded": []})
        self.server.status = attrs.evolve(self.server.status, degraded=("store",))
        reply = self.server.request("GET", "/ready")
        self.assertEqual((reply.status, reply.json), (200, {"status": "ready", "degraded": ["store"]}))
        for phase in (Phase.STARTING, Phase.DRAINING):
            self.server.status = attrs.evolve(self.server.status, phase=phase)
            reply = self.server.request("GET", "/ready")
            self.assertEqual((reply.status, reply.json["status"]), (503, phase.value))
            self.assertEqual(reply.fields["content-type"], "application/json")

    def test_metrics(self) -> None:
        """The exposition as it is, with its content type."""
        reply = self.server.request("GET", "/metrics")
        self.assertEqual((reply.status, reply.body), (200, b"# metrics\n"))
        self.assertEqual(reply.fields["content-type"], "text/plain; version=0.0.4")

    def test_root(self) -> None:
        """Who finds the port learns what listens there, and what it serves."""
        reply = self.server.request("GET", "/")
        self.assertEqual((reply.json["name"], reply.json["version"]), ("relay", VERSION))
        listed = reply.json["endpoints"]
        self.assertLessEqual({path for path, endpoint in ENDPOINTS.items() if endpoint.public}, set(listed))
        self.assertEqual(len(listed), len(set(listed)))
        served = {path.partition("{model}")[0].removesuffix("/") for path in listed if path != "/"}
        self.assertLessEqual(served, set(self.server.site.table))
        self.assertFalse([path for path in listed if path.startswith("/model/")])

    def test_ollamasProbe(self) -> None:
        """Ollama's clients ask for the head of ``/`` to see whether somebody listens; no key is needed."""
        reply = self.server.request("HEAD", "/")
        self.assertEqual((reply.status, reply.body), (200, b""))

    def test_notCached(self) -> None:
        """A state that a cache kept would be a lie."""
        for path in ("/health", "/ready", "/metrics"):
            self.assertEqual(self.server.request("GET", path).fields["cache-control"], "no-store")

    def test_quiet(self) -> None:
        """Probes are no exchanges: they are not noted."""
        for path in ("/health", "/ready", "/metrics", "/"):
            self.server.request("GET", path)
        self.assertEqual(self.server.gateway.records, [])
