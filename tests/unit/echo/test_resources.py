"""Tests of `relay.echo.resources`: paths, methods, bodies and errors over HTTP."""

from __future__ import annotations

import json
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from relay.echo import resources
from relay.echo.models import MODELS
from relay.echo.resources import DOORS, find
from relay.endpoints import ENDPOINTS, FORWARDED, BodyKind
from tests.unit.echo.talk import CHAT, MESSAGES, Talk
from tests.unit.echo.test_reading import FORM, TYPE

SPEECH_FORM = FORM.replace(b'name="list[]"', b'name="keywords[]"')


class PathTests(SynchronousTestCase):
    """What is where."""

    def setUp(self) -> None:
        """Connect."""
        self.talk = Talk()

    def test_everyForwardedEndpointIsThere(self) -> None:
        """The echo has each path that relay forwards, with bodies of the same kind."""
        kinds = {BodyKind.JSON: False, BodyKind.MULTIPART: True, BodyKind.EITHER: None}
        expected = {path: kinds[endpoint.body] for path, endpoint in FORWARDED.items()}
        self.assertEqual({path: door.form for path, door in DOORS.items()}, expected)

    def test_everyEndpointIsThere(self) -> None:
        """So has it every other path at which relay calls providers, model and framing in the path included."""
        for path, endpoint in ENDPOINTS.items():
            if path in FORWARDED:
                continue
            for written, stream in ((path, False), (endpoint.stream_path.partition("?")[0], True)):
                if written:
                    door, model, asked = find(written.replace("{model}", "org/m:1"))
                    assert door is not None, written
                    self.assertEqual(door.shape.value, endpoint.front, written)
                    named = "{model}" in written
                    self.assertEqual((model, asked), ("org/m:1", stream) if named else ("", None), written)

    def test_otherPathsAreNot(self) -> None:
        """What only looks like one is not there."""
        for path in (
            "/v1beta/models/m:fly",
            "/v1beta/models/:generateContent",
            "/v1beta/models/m/generateContent",
            "/model/m:converse",
            "/model//converse",
            "/model/m/fly",
            "/api/nothing",
            "/v2/v2/chat",
        ):
            self.assertIsNone(find(path)[0], path)

    def test_modelsInPathsOverHTTP(self) -> None:
        """A model is read from the path, escaped or not, and named in the answer."""
        for path in ("/v1beta/models/org%2Fm%3A1:generateContent", "/v1beta/models/org/m:1:generateContent?alt=json"):
            talk = Talk()
            talk.post(path, contents=[{"parts": [{"text": "hello"}]}])
            talk.steps(3)
            self.assertEqual((talk.head()[0], talk.json()["modelVersion"]), (200, "org/m:1"))

    def test_streamsOverHTTP(self) -> None:
        """Each dialect's streams have its type: events, lines, binary messages, or one JSON array."""
        gemini, bedrock = {"contents": [{"parts": [{"text": "a b"}]}]}, [{"role": "user", "content": [{"text": "a b"}]}]
        messages = [{"role": "user", "content": "a b"}]
        for path, media, body in (
            ("/v1beta/models/m:streamGenerateContent?alt=sse", "text/event-stream", gemini),
            ("/v1beta/models/m:streamGenerateContent", "application/json", gemini),
            ("/v2/chat", "text/event-stream", {"model": "m", "messages": messages, "stream": True}),
            ("/api/chat", "application/x-ndjson", {"model": "m", "messages": messages}),
            ("/model/m/converse-stream", "application/vnd.amazon.eventstream", {"messages": bedrock}),
        ):
            talk = Talk()
            talk.post(path, **body)
            talk.steps(4)
            status, headers = talk.head()
            self.assertEqual((status, headers["content-type"], headers["cache-control"]), (200, media, "no-cache"))
            self.assertTrue(talk.ended, path)
        self.assertNotIn("content-length", headers)

    def test_wholeAnswerOverHTTP(self) -> None:
        """Type, length and the provider's request id."""
        self.talk.chat("hello", stream=False)
        self.talk.steps(3)
        status, headers = self.talk.head()
        self.assertEqual((status, headers["content-type"]), (200, "application/json"))
        self.assertTrue(headers["x-request-id"].startswith("req_"))
        self.assertEqual(self.talk.json()["choices"][0]["message"]["content"], "hello")
        self.assertTrue(self.talk.ended)

    def test_streamedAnswerOverHTTP(self) -> None:
        """An event stream that is not to be kept."""
        self.talk.chat("hello")
        self.talk.steps(3)
        status, headers = self.talk.head()
        self.assertEqual((status, headers["cache-control"]), (200, "no-cache"))
        self.assertTrue(headers["content-type"].startswith("text/event-stream"))
        self.assertNotIn("content-length", headers)
        self.assertTrue(self.talk.ended)

    def test_formOverHTTP(self) -> None:
        """A multipart upload is read."""
        self.talk.send("POST", "/v1/audio/transcriptions", SPEECH_FORM, content_type=TYPE)
        self.talk.steps(3)
        self.assertEqual(self.talk.json()["text"], "a.wav has 7 bytes")

    def test_modelsOverHTTP(self) -> None:
        """The list, and each model by its name, plain or escaped."""
        self.talk.send("GET", "/v1/models?limit=20")
        self.talk.steps(3)
        self.assertEqual([item["id"] for item in self.talk.json()["data"]], list(MODELS))
        for path in (f"/v1/models/{MODELS[0]}", f"/v1/models/{MODELS[0].replace('-', '%2D')}"):
            talk = Talk()
            talk.send("GET", path)
            talk.steps(3)
            self.assertEqual(talk.json()["id"], MODELS[0])

    def test_anthropicVersionChoosesTheShape(self) -> None:
        """Of models and of errors where the path does not."""
        self.talk.send("GET", "/v1/models", anthropic_version="2023-06-01")
        self.talk.steps(3)
        self.assertEqual(self.talk.json()["first_id"], MODELS[0])
        talk = Talk()
        talk.send("GET", "/v1/models/org%2Fname", anthropic_version="2023-06-01")
        talk.steps(3)
        self.assertEqual((talk.head()[0], talk.json()["error"]["type"]), (404, "not_found_error"))


class RefusalTests(SynchronousTestCase):
    """Requests that have no answer."""

    def refusal(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Talk]:
        """Status of the answer to a request, and the conversation."""
        talk = Talk()
        talk.send(method, path, body, **headers)
        talk.steps(3)
        self.assertTrue(talk.ended)
        return talk.head()[0], talk

    def test_unknownPathsAndMethods(self) -> None:
        """JSON errors; another method's answer says which one it takes."""
        for method, path, expected in (
            ("GET", "/", 404),
            ("POST", "/v1/nothing", 404),
            ("GET", "/v1/models/gpt-99", 404),
            ("GET", "/v1/modelsx", 404),
            ("GET", CHAT, 405),
            ("DELETE", "/v1/models", 405),
        ):
            status, talk = self.refusal(method, path)
            self.assertEqual((status, talk.head()[1]["content-type"]), (expected, "application/json"), path)
            self.assertTrue(talk.json()["error"]["message"])
            if status == 405:
                self.assertEqual(talk.head()[1]["allow"], "POST" if path == CHAT else "GET")

    def test_wrongBodiesAreRefused(self) -> None:
        """What is no JSON, not the endpoint's kind, or not well-formed, in the endpoint's own shape."""
        for path, body, kind, expected in (
            (CHAT, b"{", "application/json", 400),
            (CHAT, FORM, TYPE, 415),
            ("/v1/audio/transcriptions", b"{}", "application/json", 415),
            ("/v1/audio/transcriptions", FORM[:100], TYPE, 400),
            ("/v1/images/edits", b"{}", "application/json", 400),
            ("/v1/images/edits", FORM, TYPE, 400),
        ):
            status, talk = self.refusal("POST", path, body, content_type=kind)
            self.assertEqual(status, expected, path)
            self.assertEqual(talk.json()["error"]["type"], "invalid_request_error")

    def test_eachDialectHasItsErrors(self) -> None:
        """Anthropic's repeats the request's id, OpenAI's names the field."""
        _, talk = self.refusal("POST", MESSAGES, b'{"model": "m"}')
        answer = talk.json()
        self.assertEqual(answer["request_id"], talk.head()[1]["request-id"])
        self.assertEqual((answer["type"], answer["error"]["type"]), ("error", "invalid_request_error"))
        _, talk = self.refusal("POST", CHAT, b'{"model": 3}')
        self.assertEqual(talk.json()["error"]["param"], "model")

    def test_shapesOfTheOthers(self) -> None:
        """Gemini's has code and status, Cohere's an id, Ollama's is a text; Bedrock's has its type in the head."""
        for path, name in (
            ("/v1beta/models/m:generateContent", "gemini"),
            ("/v1beta/models/m:countTokens", "gemini"),
            ("/v2/chat", "cohere"),
            ("/v2/rerank", "cohere"),
            ("/api/chat", "ollama"),
            ("/api/embed", "ollama"),
            ("/model/m/converse", "bedrock"),
            ("/model/m/count-tokens", "bedrock"),
        ):
            for body, status in ((b"{", 400), (b"[]", 400), (b'{"echo": {"fly": 1}}', 400)):
                found, talk = self.refusal("POST", path, body, content_type="application/json")
                self.assertEqual((found, talk.head()[1]["content-type"]), (status, "application/json"), path)
                self.shaped(name, talk, status, "ValidationException")
            found, talk = self.refusal("GET", path)
            self.assertEqual((found, talk.head()[1]["allow"]), (405, "POST"), path)
            self.shaped(name, talk, 405, "ValidationException")
            found, talk = self.refusal("POST", path, FORM, content_type=TYPE)
            self.assertEqual(found, 415, path)

    def shaped(self, name: str, talk: Talk, status: int, kind: str) -> str:
        """The message of an error that has its dialect's shape."""
        body, head = talk.json(), talk.head()[1]
        ids = "x-amzn-requestid" if name == "bedrock" else "request-id"
        self.assertTrue(head[ids].startswith("req_"))
        if name == "gemini":
            self.assertEqual((set(body), set(body["error"])), ({"error"}, {"code", "message", "status"}))
            self.assertEqual(body["error"]["code"], status)
            return str(body["error"]["message"])
        if name == "ollama":
            self.assertEqual(set(body), {"error"})
            return str(body["error"])
        self.assertEqual(set(body), {"id", "message"} if name == "cohere" else {"message"})
        if name == "cohere":
            self.assertEqual(body["id"], head["request-id"])
        else:
            self.assertEqual(head["x-amzn-errortype"], kind)
        return str(body["message"])

    def test_askedErrorsOfTheOthers(self) -> None:
        """Status, message and ``retry-after`` as the knobs say, in each dialect's shape."""
        messages: list[object] = [{"role": "user", "content": "a"}]
        bedrock = {"messages": [{"role": "user", "content": [{"text": "a"}]}]}
        for path, name, body in (
            ("/v1beta/models/m:streamGenerateContent", "gemini", {"contents": [{"parts": [{"text": "a"}]}]}),
            ("/v2/chat", "cohere", {"model": "m", "messages": messages}),
            ("/api/chat", "ollama", {"model": "m", "messages": messages}),
            ("/model/m/converse-stream", "bedrock", bedrock),
        ):
            for status, kind in (
                (429, "ThrottlingException"),
                (503, "ServiceUnavailableException"),
                (500, "InternalServerException"),
            ):
                talk = Talk()
                talk.post(path, **body, echo={"status": status, "error": "slow down", "retry_after": 2})
                talk.steps(3)
                found, headers = talk.head()
                self.assertEqual((found, headers["retry-after"]), (status, "2"), path)
                self.assertEqual(self.shaped(name, talk, status, kind), "slow down")

    def test_brokenArraysOverHTTP(self) -> None:
        """Gemini's array is whole JSON also when the stream is told to fail, wherever."""
        for after in range(3):
            talk = Talk()
            fields = {"contents": [{"parts": [{"text": "a b c"}]}], "echo": {"error_after": after, "error": "no"}}
            talk.post("/v1beta/models/m:streamGenerateContent", **fields)
            talk.steps(after + 2)
            items = talk.json()
            self.assertEqual((len(items), items[-1]["error"]["message"]), (after + 1, "no"))
            self.assertTrue(talk.ended)

    def test_askedErrorsOverHTTP(self) -> None:
        """Status and ``retry-after`` as the knobs say, for streams as well."""
        for stream in (False, True):
            talk = Talk()
            talk.chat("hello", stream=stream, status=429, error="slow down", retry_after=2)
            talk.steps(3)
            status, headers = talk.head()
            self.assertEqual((status, headers["retry-after"]), (429, "2"))
            self.assertEqual(talk.json()["error"]["message"], "slow down")

    def test_brokenEchoSaysSo(self) -> None:
        """A defect is a JSON 500 and in the log, and tells nothing of itself."""
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "a"}]}).encode()
        door = mock.Mock(answer=mock.Mock(side_effect=RuntimeError("secret")), shape=DOORS[CHAT].shape, form=False)
        with mock.patch.object(resources, "DOORS", {CHAT: door}):
            status, talk = self.refusal("POST", CHAT, body)
        self.assertEqual((status, talk.json()["error"]["type"]), (500, "server_error"))
        self.assertNotIn(b"secret", talk.received)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
