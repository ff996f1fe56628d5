"""docs/openapi.yaml and the site say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.registry import DIALECTS
from relay.endpoints import ENDPOINTS, MODELS_PATH, BodyKind
from relay.errors import RateLimited, RelayError
from relay.exchange import ClientRequest
from relay.interfaces import ISink
from relay.provider import ModelSource
from relay.version import VERSION
from relay.web.fronts import ACTIONS
from relay.web.gemini import MODELS
from tests.unit.values import make_provider, make_snapshot
from tests.unit.web.client import Reply, WebCase

FILE = Path(__file__).resolve().parents[3] / "docs" / "openapi.yaml"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one written in C is ten times as fast
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
PUBLIC = {path: endpoint for path, endpoint in ENDPOINTS.items() if endpoint.public}
ANTHROPIC = (("anthropic-version", "2023-06-01"),)

Object = Mapping[str, Any]


def nodes(value: object, *, name: str = "") -> Iterator[tuple[str, Object]]:
    """Every object in a document, with the key it stands under."""
    if isinstance(value, dict):
        yield name, value
        for key, child in value.items():
            yield from nodes(child, name=str(key))
    elif isinstance(value, list):
        for child in value:
            yield from nodes(child, name=name)


class DocumentCase(SynchronousTestCase):
    """Reads the document."""

    def setUp(self) -> None:
        """Read it."""
        self.document: Object = yaml.load(FILE.read_bytes(), LOADER)

    def follow(self, value: Object) -> Object:
        """What a reference points to, or the value itself."""
        while "$ref" in value:
            reference = value["$ref"]
            self.assertTrue(reference.startswith("#/"), reference)
            found: Any = self.document
            for step in reference[2:].split("/"):
                found = found[step]
            value = found
        return value

    def validator(self, schema: Object) -> Draft202012Validator:
        """A validator for a schema of the document, which may refer to others of it."""
        whole = {"components": self.document["components"], **schema}
        return Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)

    def operations(self) -> Iterator[tuple[str, str, Object]]:
        """Path, method and operation."""
        for path, item in self.document["paths"].items():
            for method in METHODS & set(item):
                yield path, method, item[method]


class DocumentTests(DocumentCase):
    """The document in itself."""

    def test_head(self) -> None:
        """It is OpenAPI 3.1 of this version of relay."""
        self.assertRegex(self.document["openapi"], r"\A3\.1\.\d\Z")
        self.assertEqual(self.document["info"]["version"], VERSION)

    def test_references(self) -> None:
        """Every reference leads somewhere, and every component is referred to."""
        used = {value["$ref"] for _, value in nodes(self.document) if "$ref" in value}
        for reference in used:
            self.follow({"$ref": reference})
        for kind in ("schemas", "responses", "headers", "parameters"):
            for name in self.document["components"][kind]:
                self.assertIn(f"#/components/{kind}/{name}", used)

    def test_schemas(self) -> None:
        """Every schema is a valid one of JSON Schema 2020-12."""
        schemas = [value for name, value in nodes(self.document) if name == "schema"]
        schemas += self.document["components"]["schemas"].values()
        self.assertGreater(len(schemas), 50)
        for schema in schemas:
            Draft202012Validator.check_schema(schema)

    def test_examples(self) -> None:
        """Every example is what its schema says."""
        count = 0
        for _, value in nodes(self.document):
            if "schema" not in value:
                continue
            examples = [value["example"]] if "example" in value else []
            examples += [example["value"] for example in value.get("examples", {}).values()]
            for example in examples:
                self.validator(value["schema"]).validate(example)
                count += 1
        self.assertGreater(count, 15)

    def test_operations(self) -> None:
        """Each has an id of its own, a known tag, a summary, and answers whose keys are statuses."""
        tags = {tag["name"] for tag in self.document["tags"]}
        ids = [operation["operationId"] for _, _, operation in self.operations()]
        self.assertEqual(len(ids), len(set(ids)))
        for path, _, operation in self.operations():
            self.assertLessEqual(set(operation["tags"]), tags)
            self.assertTrue(operation["summary"].endswith("."), operation["summary"])
            for status, answer in operation["responses"].items():
                self.assertRegex(status, r"\A[1-5](\d\d|XX)\Z")
                self.assertTrue(self.follow(answer)["description"])
            wanted = set(re.findall(r"\{(\w+)\}", path))
            given = {p["name"] for p in map(self.follow, operation.get("parameters", ())) if p["in"] == "path"}
            self.assertEqual(wanted, given)


class AgreementTests(DocumentCase, WebCase):
    """The document against the site."""

    def setUp(self) -> None:
        """Read one, build the other."""
        super().setUp()
        self.server = self.make(make_snapshot(make_provider(models=ModelSource(("m", "n")))))

    def test_paths(self) -> None:
        """Both know the same paths, with prefix and without."""
        paths = self.document["paths"]
        also = {item["x-also-at"] for item in paths.values() if "x-also-at" in item}
        named = {path for path in {*paths, *also} if "{model}" in path}
        self.assertEqual({*paths, *also} - named, set(self.server.site.table))
        actions = {f"/{{model}}:{action}" for action in ACTIONS}
        prefixes = (MODELS_PATH, MODELS_PATH.removeprefix("/v1"), MODELS)
        expected = {f"{prefix}/{{model}}" for prefix in prefixes}
        expected |= {f"{prefix}{action}" for prefix in (MODELS_PATH, MODELS) for action in actions}
        self.assertEqual(named, expected)
        for path, item in paths.items():
            if path.startswith("/v1/"):
                self.assertEqual(item["x-also-at"], path.removeprefix("/v1"))

    def test_methods(self) -> None:
        """And the same methods on each."""
        for path, item in self.document["paths"].items():
            documented = {method.upper() for method in METHODS & set(item)}
            for written in (path, item.get("x-also-at", path)):
                allowed = self.server.request("TRACE", written.replace("{model}", "m")).fields["allow"]
                self.assertEqual(documented, set(allowed.split(", ")) - {"HEAD", "OPTIONS"}, written)

    def test_bodies(self) -> None:
        """Each forwarded endpoint documents the bodies, streams and optional models that it takes."""
        for path, endpoint in PUBLIC.items():
            operation = self.document["paths"][path]["post"]
            content = operation["requestBody"]["content"]
            expected = {
                BodyKind.JSON: {"application/json"},
                BodyKind.MULTIPART: {"multipart/form-data"},
                BodyKind.EITHER: {"application/json", "multipart/form-data"},
            }
            self.assertEqual(set(content), expected[endpoint.body], path)
            for media in content.values():
                schema = self.follow(media["schema"])
                self.assertEqual("model" not in schema.get("required", ()), endpoint.model_optional, path)
                if endpoint.front != "gemini":
                    self.assertEqual("stream" in schema["properties"], endpoint.streams, path)
            streamed = operation if endpoint.front != "gemini" else self.streamed(path)
            stream_type = DIALECTS[endpoint.front].stream_type
            self.assertEqual(stream_type in streamed["responses"]["200"]["content"], endpoint.streams, path)
            self.assertIn("openai" if endpoint.front == "responses" else endpoint.front, operation["tags"])
            translated = "x-relay-dropped" in operation["responses"]["200"]["headers"]
            self.assertEqual(translated, endpoint.operation is not None, path)

    def streamed(self, path: str) -> Object:
        """The operation that streams what Gemini's operation at a path gives whole, or the latter."""
        paths: Object = self.document["paths"]
        item: Object = paths.get(path.replace(":generate", ":streamGenerate"), paths[path])
        operation: Object = item["post"]
        return operation

    def test_keys(self) -> None:
        """What needs no key says so."""
        for path, _, operation in self.operations():
            free = path in ("/", "/health", "/ready", "/metrics", "/api/version")
            self.assertEqual(operation.get("security") == [], free, path)

    def agree(self, reply: Reply, path: str, method: str = "get") -> None:
        """An answer of the site is as its operation documents it, fields included."""
        responses = self.document["paths"][path][method]["responses"]
        key = str(reply.status) if str(reply.status) in responses else f"{str(reply.status)[0]}XX"
        answer = self.follow(responses[key])
        self.validator(answer["content"]["application/json"]["schema"]).validate(reply.json)
        for name in ("x-request-id", "retry-after", "retry-after-ms", "x-ratelimit-limit-requests"):
            if name in reply.fields:
                self.assertIn(name, answer["headers"], f"{method} {path} {reply.status}")

    def test_answers(self) -> None:
        """Real answers are what the document says."""
        for path in ("/", "/health", "/ready", "/v1/models"):
            self.agree(self.server.request("GET", path), path)
            self.agree(self.server.request("GET", path, host="evil.example"), path)
        self.agree(self.server.request("GET", "/v1/models", None, ANTHROPIC), "/v1/models")
        for path, method in (("/v1beta/models", "GET"), ("/api/tags", "GET"), ("/api/version", "GET")):
            self.agree(self.server.request(method, path), path)
            self.agree(self.server.request(method, path, host="evil.example"), path)
        for model in ("m", "zzz"):
            self.agree(self.server.request("GET", f"/v1beta/models/{model}"), "/v1beta/models/{model}")
            self.agree(self.server.post("/api/show", b'{"model": "%b"}' % model.encode()), "/api/show", "post")
        self.agree(self.server.post("/api/show", b"[]"), "/api/show", "post")
        for fields in ((), ANTHROPIC, (("x-goog-api-key", "k"),)):
            self.agree(self.server.request("GET", "/v1/models/m", None, fields), "/v1/models/{model}")
            self.agree(self.server.request("GET", "/v1/models/zzz", None, fields), "/v1/models/{model}")

    def test_errors(self) -> None:
        """So are the errors of every endpoint that clients can call."""

        def fail(request: ClientRequest, sink: ISink) -> None:
            raise error

        self.server.gateway.serve = fail
        body = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n'
        for path, endpoint in PUBLIC.items():
            at = path.replace("{model}", "m")
            media = "application/json" if endpoint.body is not BodyKind.MULTIPART else "multipart/form-data; boundary=b"
            for error in (RelayError("x"), RateLimited("x", retry_after=2.0, limit=3, reset=4.0)):
                reply = self.server.request("POST", at, body, (("Content-Type", media),))
                self.assertEqual(reply.status, error.status)
                self.agree(reply, path, "post")
            self.agree(self.server.request("POST", at, b"x", (("Content-Type", "text/plain"),)), path, "post")
