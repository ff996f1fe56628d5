"""Tests of `relay.echo.resources`: paths, methods, bodies and errors over HTTP."""

from __future__ import annotations

import json
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from relay.echo import resources
from relay.echo.models import MODELS
from relay.echo.resources import DOORS
from relay.endpoints import FORWARDED, BodyKind
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
