"""What the gateway is given of a request, and which requests it never sees."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from relay.endpoints import FORWARDED, BodyKind
from relay.errors import UnsupportedMedia
from relay.exchange import ClientRequest
from relay.interfaces import ISink
from relay.web.chat import check_media
from tests.unit.web.client import WebCase, raw

FORM = "multipart/form-data; boundary=b"


def form(*fields: tuple[str, str]) -> bytes:
    """A multipart body."""
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields]
    return "".join(parts).encode() + b"--b--\r\n"


class MediaTests(SynchronousTestCase):
    """Content types."""

    def test_json(self) -> None:
        """JSON endpoints take JSON in all its spellings, and what does not say what it is."""
        for media in (
            "application/json",
            "application/json; charset=utf-8",
            "APPLICATION/JSON;charset=UTF-8",
            "application/vnd.api+json",
            "",
        ):
            check_media(BodyKind.JSON, media)
            check_media(BodyKind.EITHER, media)
            self.assertRaises(UnsupportedMedia, check_media, BodyKind.MULTIPART, media)

    def test_form(self) -> None:
        """Upload endpoints take multipart."""
        for media in (FORM, "Multipart/Form-Data; boundary=x"):
            check_media(BodyKind.MULTIPART, media)
            check_media(BodyKind.EITHER, media)
            self.assertRaises(UnsupportedMedia, check_media, BodyKind.JSON, media)

    def test_others(self) -> None:
        """Nobody takes forms, text, or two types at once."""
        for media in (
            "application/x-www-form-urlencoded",
            "text/plain",
            "text/json",
            "text/x+json",
            "multipart/mixed; boundary=x",
            "application/jsonx",
            "application/json, text/plain",
            ";",
            "json",
        ):
            for kind in BodyKind:
                if media == ";":
                    continue  # an empty type is an absent one
                error = self.assertRaises(UnsupportedMedia, check_media, kind, media)
                self.assertIn("application/json" if kind is not BodyKind.MULTIPART else "multipart", error.message)


class RequestTests(WebCase):
    """Requests on the site."""

    def setUp(self) -> None:
        """Build it."""
        self.server = self.make()

    def last(self) -> ClientRequest:
        """What the gateway was given last."""
        return self.server.gateway.requests[-1]

    def test_whole(self) -> None:
        """Everything that the gateway needs is in the request."""
        self.server.reactor.advance(7)
        self.server.post("/chat/completions?a=b", b'{"model":"m"}', authorization="Bearer sk-1", accept="x")
        request = self.last()
        self.assertEqual(request.endpoint, FORWARDED["/v1/chat/completions"])
        self.assertEqual(request.body, b'{"model":"m"}')
        self.assertEqual((request.query, request.content_type), (b"a=b", "application/json"))
        self.assertEqual((request.client, request.received), ("192.0.2.7", 7.0))
        self.assertIsNotNone(request.credential)
        self.assertEqual(request.credential and request.credential.reveal(), "sk-1")
        self.assertEqual(request.header(b"accept"), b"x")
        self.assertEqual([name for name, _ in request.headers], [name.lower() for name, _ in request.headers])

    def test_receivedAtTheHead(self) -> None:
        """Time counts from the head, not from the end of a slow body."""
        connection = self.server.connect()
        data = raw("POST", "/v1/messages", b"{}")
        connection.send(data[:-1])
        self.server.reactor.advance(4)
        connection.send(data[-1:])
        self.assertEqual(self.last().received, 0.0)

    def test_noKey(self) -> None:
        """A request without a key has none; whether it needs one is the gateway's to say."""
        self.server.post("/v1/messages")
        self.assertIsNone(self.last().credential)

    def test_keysThatDisagree(self) -> None:
        """Two different keys are refused before the body is read, and neither is shown."""
        reply = self.server.post("/v1/messages", x_api_key="sk-one-one-one", authorization="Bearer sk-two-two-two")
        self.assertEqual((reply.status, reply.json["error"]["type"]), (401, "authentication_error"))
        self.assertNotIn(b"sk-", reply.body)
        self.assertEqual(self.server.gateway.requests, [])
        self.assertEqual([record.status for record in self.server.gateway.records], [401])

    def test_sameKeyTwice(self) -> None:
        """The same key in two styles, or a field that came twice, is one key."""
        fields = (("Authorization", "Bearer k"), ("X-Api-Key", "k"), ("X-Api-Key", "k"), ("X-Other", "1"))
        self.server.request("POST", "/v1/messages", b"{}", fields)
        credential = self.last().credential
        self.assertEqual(credential and credential.reveal(), "k")

    def test_keyOfTheRequest(self) -> None:
        """On one connection each request has its own key, and may have none."""
        connection = self.server.connect()
        for value in ("one", "two", "two", ""):
            fields = (("Authorization", f"Bearer {value}"),) if value else ()
            connection.send(raw("POST", "/v1/messages", b"{}", fields))
            credential = self.last().credential
            self.assertEqual(credential.reveal() if credential else "", value)

    def test_noContentType(self) -> None:
        """Who does not say what it sends is taken to send JSON."""
        reply = self.server.request("POST", "/v1/messages", b"{}")
        self.assertEqual((reply.status, self.last().content_type), (200, ""))

    def test_curlsDefault(self) -> None:
        """A form where JSON belongs is refused in the endpoint's shape, and told what to send."""
        fields = (("Content-Type", "application/x-www-form-urlencoded"),)
        reply = self.server.request("POST", "/v1/chat/completions", b"{}", fields)
        self.assertEqual((reply.status, reply.json["error"]["code"]), (415, "unsupported_media_type"))
        self.assertIn("application/json", reply.json["error"]["message"])

    def test_upload(self) -> None:
        """Of an upload the fields that relay reads are found, with their place."""
        body = form(("language", "de"), ("model", "whisper-1"))
        reply = self.server.request("POST", "/v1/audio/transcriptions", body, (("Content-Type", FORM),))
        self.assertEqual(reply.status, 200)
        self.assertEqual(set(self.last().fields), {"model"})
        field = self.last().fields["model"]
        self.assertEqual((field.value, body[field.start : field.end]), ("whisper-1", b"whisper-1"))
        self.assertEqual(self.last().content_type, FORM)

    def test_largeUpload(self) -> None:
        """A large upload lies in a file, which is closed when the answer has ended."""
        open_while_served: list[tuple[int, bool]] = []
        waiting: Deferred[None] = Deferred()
        sinks: list[ISink] = []

        def serve(request: ClientRequest, sink: ISink) -> Deferred[None]:
            open_while_served.append((len(self.server.reactor.threads.jobs), isinstance(request.body, bytes)))
            sinks.append(sink)
            return waiting

        self.server.gateway.serve = serve
        connection = self.server.connect()
        body = form(("model", "m"), ("file", "x" * 3_000_000))
        connection.send(raw("POST", "/v1/audio/transcriptions", body, (("Content-Type", FORM),)))
        self.server.reactor.threads.run()
        self.assertEqual(open_while_served, [(0, False)])
        sinks[0].start(200, ((b"content-length", b"0"),))
        sinks[0].end()
        waiting.callback(None)
        self.assertEqual(len(self.server.reactor.threads.jobs), 1, "the file is to be closed")
        self.server.reactor.threads.run()

    def test_largeUploadOfALostClient(self) -> None:
        """A client that leaves while its upload is being stored leaves nothing behind, and nobody is asked."""
        connection = self.server.connect()
        body = form(("model", "m"), ("file", "x" * 3_000_000))
        connection.send(raw("POST", "/v1/audio/transcriptions", body, (("Content-Type", FORM),))[:-5])
        connection.lose()
        self.server.reactor.threads.run()
        self.assertEqual(self.server.gateway.requests, [])
        self.assertEqual(self.server.gateway.records, [])

    def test_cutUpload(self) -> None:
        """A multipart body that ends too early is the client's mistake."""
        reply = self.server.request(
            "POST", "/v1/audio/translations", form(("model", "m"))[:-6], (("Content-Type", FORM),)
        )
        self.assertEqual((reply.status, reply.json["error"]["code"]), (400, "invalid_request"))
        self.assertEqual(self.server.gateway.requests, [])

    def test_compressed(self) -> None:
        """A compressed body is refused: nothing here would inflate it."""
        reply = self.server.post("/v1/messages", content_encoding="gzip")
        self.assertEqual((reply.status, reply.json["error"]["type"]), (415, "invalid_request_error"))

    def test_onlyPost(self) -> None:
        """The content type of a wrong method does not matter."""
        fields = (("Content-Type", "text/plain"),)
        self.assertEqual(self.server.request("PUT", "/v1/messages", b"x", fields).status, 405)
