"""Uploads that are forwarded while they arrive: from a client's connection to a provider's, both in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from zope.interface import implementer

from relay.config import Deployment, HedgePolicy, Route, ServerConfig, ServerTimeouts
from relay.exchange import ExchangeRecord, UpstreamRequest
from relay.gateway import Gateway
from relay.interfaces import IArrivingBody, IUpstream, IUpstreamResponse
from relay.outcome import Outcome
from relay.provider import AuthScheme
from relay.routes.fleet import Fleet
from relay.secret import Redactor
from relay.upstream.engine.connection import Connection as UpstreamConnection
from relay.upstream.engine.response import EngineResponse
from relay.upstream.engine.uploading import UploadResponse
from relay.web.arriving import QUEUE
from relay.web.body import AWAITED, LINGER
from relay.web.engine.channel import SHORT_LINGER
from tests.unit.doubles import FixedCatalog, MemoryObserver, NoLimits, NoSigner, OpenKeys
from tests.unit.upstream.engine.parts import ORIGIN, Lines, Wire, answer, head, lose
from tests.unit.values import make_provider, make_snapshot
from tests.unit.web.client import Connection, Reply, WebCase, parse, raw
from tests.unit.web.engine.client import OnEngine

PATH = "/v1/audio/transcriptions"
FORM = (("Content-Type", "multipart/form-data; boundary=b"),)
CHUNKED = (("Transfer-Encoding", "chunked"), *FORM)
LIMIT, BODY = 4 * AWAITED, 10.0
READ = 65536
ANSWER = b'{"text":"heard"}'


def field(name: str, value: str) -> bytes:
    """A text field."""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def file(size: int) -> bytes:
    """A file, full of what looks like its end."""
    content = (b"\r\n--a\r\n-\r" * (size // 9 + 1))[:size]
    return b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + content + b"\r\n"


LAST = b"--b--\r\n"
MODEL = field("model", "first/whisper")
UPLOAD = MODEL + file(2 * AWAITED) + LAST
SENT = UPLOAD.replace(b"first/whisper", b"whisper")


@implementer(IUpstream)
class WiredUpstream:
    """Sends over connections in memory."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.requests: list[UpstreamRequest] = []
        self._pool = lines.pool()

    def send(self, request: UpstreamRequest) -> Deferred[IUpstreamResponse]:
        self.requests.append(request)
        arriving = not isinstance(request.body, bytes) and IArrivingBody.providedBy(request.body)
        made = UploadResponse if arriving else EngineResponse
        return made(self._pool.at(ORIGIN), self.lines.wheel, request).start()

    def close(self) -> Deferred[None]:
        return self._pool.close()


class UploadCase(OnEngine, WebCase):
    """A client's connection, a gateway, and connections to a provider."""

    manual = False

    def setUp(self) -> None:
        """Connect the client."""
        provider = make_provider(scheme=AuthScheme.NONE)
        timeouts = ServerTimeouts(request_body=BODY)
        deployments = tuple(Deployment(f"first/{name}", provider, name) for name in ("whisper", "other"))
        route = Route("both", deployments, hedge=HedgePolicy(after=1.0, share=1.0))
        snapshot = make_snapshot(
            provider, server_timeouts=timeouts, server=ServerConfig(body=LIMIT), routes={"both": route}
        )
        self.server = self.make(snapshot)
        self.lines = Lines(self.manual)
        self.upstream = WiredUpstream(self.lines)
        self.observer = MemoryObserver()
        self.gateway = Gateway(
            configuration=self.server.configuration,
            upstream=self.upstream,
            signer=NoSigner(),
            catalog=FixedCatalog(),
            keys=OpenKeys(),
            limiter=NoLimits(),
            observers=[self.observer],
            redaction=lambda: Redactor(()),
            clock=self.server.reactor,
            wall=lambda: 1_700_000_000.0,
            fleet=Fleet(self.server.reactor, lambda: 0.5),
            chance=lambda: 0.5,
        )
        self.server.gateway.serve = self.gateway.exchange
        self.client: Connection = self.server.connect()

    def tearDown(self) -> None:
        """No file was made, no exchange runs."""
        self.server.reactor.threads.run()
        self.assertEqual(self.server.reactor.threads.open, 0)
        self.assertEqual(self.gateway.active, 0)

    # ── the client ────────────────────────────────────────────────────────────────────

    def begin(self, body: bytes = UPLOAD, fields: Sequence[tuple[str, str]] = FORM) -> None:
        """Send a head with the length of a body."""
        self.client.send(raw("POST", PATH, None, (*fields, ("Content-Length", str(len(body))))))

    def send(self, data: bytes, size: int = READ) -> None:
        """Send as a socket would."""
        for at in range(0, len(data), size):
            self.client.send(data[at : at + size])

    def start(self) -> None:
        """Send the first half of the usual upload."""
        self.begin()
        self.send(UPLOAD[:AWAITED])

    def reading(self) -> bool:
        """Whether the client is read from."""
        return bool(self.client.transport.producerState == "producing")

    def replied(self, status: int) -> Reply:
        """The one answer that the client got, which was the last of its connection."""
        reply = self.client.reply()
        self.assertEqual((reply.status, reply.fields["connection"], reply.rest), (status, "close", b""))
        return reply

    # ── the provider ──────────────────────────────────────────────────────────────────

    @property
    def connection(self) -> UpstreamConnection:
        """The connection that was opened last."""
        return self.lines.made[-1]

    @property
    def wire(self) -> Wire:
        """Its transport."""
        wire: Wire = self.connection.transport
        return wire

    @property
    def pacer(self) -> Any:
        """What the transport paces."""
        return self.wire.producer

    def got(self) -> tuple[bytes, bytes]:
        """Head and body that the provider has got so far."""
        top, _, body = bytes(self.wire.value()).partition(b"\r\n\r\n")
        return top, body

    def record(self, status: int, outcome: Outcome, bytes_in: int) -> ExchangeRecord:
        """The one record, which says this."""
        (record,) = self.observer.records
        self.assertEqual((record.status, record.outcome, record.bytes_in), (status, outcome, bytes_in))
        self.assertEqual(self.server.gateway.records, [])
        return record


class ForwardingTests(UploadCase):
    """What is forwarded, and how."""

    def test_whileItArrives(self) -> None:
        """The provider has what the client has sent so far, with its own name for the model; then the rest."""
        self.start()
        top, body = self.got()
        self.assertIn(b"\r\ncontent-length: %d" % len(SENT), top)
        self.assertEqual(body, SENT[: AWAITED - len("first/")])
        self.send(UPLOAD[AWAITED:])
        self.assertEqual(self.got()[1], SENT)
        self.assertEqual(self.client.data, b"")
        self.connection.dataReceived(answer(ANSWER, 200, b"Content-Type: application/json"))
        self.assertEqual((self.client.reply().status, self.client.reply().body), (200, ANSWER))
        self.assertNotIn("connection", self.client.reply().fields)
        record = self.record(200, Outcome.COMPLETE, len(UPLOAD))
        self.assertEqual((record.model, record.upstream_model, record.attempts), ("first/whisper", "whisper", 1))

    def test_nextRequest(self) -> None:
        """The connection goes on behind it, also with what came along with its last bytes."""
        self.start()
        self.send(UPLOAD[AWAITED:-5])
        self.client.send(UPLOAD[-5:] + raw("GET", "/ready"))
        self.connection.dataReceived(answer(ANSWER, 200, b"Content-Type: application/json"))
        first = self.client.reply()
        self.assertEqual((first.status, parse(first.rest).status), (200, 200))
        self.assertFalse(self.client.closing)

    def test_chunked(self) -> None:
        """A chunked upload is chunked towards the provider; it is awaited up to a bound, for it may be a small one."""
        self.client.send(raw("POST", PATH, None, CHUNKED))
        for at in range(0, len(UPLOAD), 1000):
            piece = UPLOAD[at : at + 1000]
            self.client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.assertEqual(len(self.upstream.requests), int(at + len(piece) > AWAITED))
        top, body = self.got()
        self.assertIn(b"\r\ntransfer-encoding: chunked", top)
        self.assertNotIn(b"content-length", top)
        self.assertFalse(body.endswith(b"0\r\n\r\n"))
        self.client.send(b"0\r\n\r\n")
        self.assertEqual(parse(b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n" + self.got()[1]).body, SENT)
        self.connection.dataReceived(answer(ANSWER, 200, b"Content-Type: application/json"))
        self.assertEqual(self.client.reply().status, 200)
        self.record(200, Outcome.COMPLETE, len(UPLOAD))

    def test_slices(self) -> None:
        """However it is cut, the provider gets the same; byte by byte where the fields are, and at the end."""
        self.begin()
        edge = len(MODEL) + 100
        self.send(UPLOAD[:edge], 1)
        self.send(UPLOAD[edge:-edge], 977)
        self.send(UPLOAD[-edge:-1], 1)
        self.assertEqual(self.got()[1], SENT[:-1])
        self.client.send(UPLOAD[-1:])
        self.assertEqual(self.got()[1], SENT)
        self.connection.dataReceived(answer(ANSWER, 200, b"Content-Type: application/json"))
        self.assertEqual(self.client.reply().status, 200)

    def test_awaited(self) -> None:
        """A small one, one without a file, and one whose model comes behind its file are awaited as ever."""
        big = "x" * 2 * AWAITED
        for body in (
            MODEL + file(AWAITED // 2) + LAST,
            MODEL + field("file", big) + LAST,
            file(2 * AWAITED) + MODEL + LAST,
        ):
            self.begin(body)
            self.send(body[:-1])
            self.assertEqual(self.upstream.requests, [])
            self.client.send(body[-1:])
            (request,) = self.upstream.requests
            self.upstream.requests.clear()
            self.assertEqual(request.body, body.replace(b"first/whisper", b"whisper"))
            self.connection.dataReceived(answer(ANSWER, 200, b"Content-Type: application/json"))
            self.client.transport.clear()

    def test_lateStream(self) -> None:
        """An answer is streamed, too, if that is asked for behind the file; what is no boolean is refused."""
        body = MODEL + file(2 * AWAITED) + field("stream", "true") + LAST
        self.begin(body)
        self.send(body)
        events = b'data: {"type":"transcript.text.done","text":"heard"}\n\n'
        self.connection.dataReceived(answer(events, 200, b"Content-Type: text/event-stream"))
        self.assertEqual((self.client.reply().status, self.client.reply().body), (200, events))

    def test_expectation(self) -> None:
        """A client that asks first is told to send."""
        self.begin(UPLOAD, (*FORM, ("Expect", "100-continue")))
        self.assertEqual(self.client.data, b"HTTP/1.1 100 Continue\r\n\r\n")
        self.client.transport.clear()
        self.send(UPLOAD)
        self.connection.dataReceived(answer(ANSWER, 200, b"Content-Type: application/json"))
        self.assertEqual(self.client.reply().status, 200)


class PaceTests(UploadCase):
    """The slower end decides, and little waits here."""

    def test_slowProvider(self) -> None:
        """A provider that does not read pauses the client after a bounded number of bytes."""
        self.start()
        self.wire.clear()
        self.pacer.pauseProducing()
        at = AWAITED
        while self.reading():
            self.client.send(UPLOAD[at : at + READ])
            at += READ
        self.assertEqual((at - AWAITED, self.wire.value()), (QUEUE + READ, b""))
        self.pacer.resumeProducing()
        self.assertTrue(self.reading())
        self.send(UPLOAD[at:])
        self.assertEqual(bytes(self.wire.value()), UPLOAD[AWAITED:])
        self.connection.dataReceived(answer(ANSWER, 200, b"Content-Type: application/json"))
        self.assertEqual(self.client.reply().status, 200)

    def test_slowAtTheEnd(self) -> None:
        """When the last bytes have come, the client's deadline is over, and the provider may take its time."""
        self.start()
        self.pacer.pauseProducing()
        self.send(UPLOAD[AWAITED:])
        self.server.advance(2 * BODY)
        self.assertEqual(self.client.data, b"")
        self.pacer.resumeProducing()
        self.assertEqual(self.got()[1], SENT)
        self.connection.dataReceived(answer(ANSWER, 200, b"Content-Type: application/json"))
        self.assertEqual(self.client.reply().status, 200)

    def test_providerTooSlow(self) -> None:
        """A provider that keeps the client from ending in time is at fault, not the client."""
        self.start()
        self.pacer.pauseProducing()
        self.send(UPLOAD[AWAITED:-1])
        self.server.advance(BODY)
        self.replied(504)
        self.assertTrue(self.wire.aborted)
        self.record(504, Outcome.TIMEOUT, len(UPLOAD) - 1)

    def test_connecting(self) -> None:
        """Until there is a connection no more waits than otherwise."""
        self.lines.manual = True
        self.begin()
        at = 0
        while self.reading():
            self.client.send(UPLOAD[at : at + READ])
            at += READ
        self.assertLessEqual(at, QUEUE + READ)
        self.lines.pending[0].succeed()
        self.assertTrue(self.reading())
        self.send(UPLOAD[at:])
        self.assertEqual(self.got()[1], SENT)
        self.connection.dataReceived(answer(ANSWER, 200, b"Content-Type: application/json"))
        self.assertEqual(self.client.reply().status, 200)


class BrokenTests(UploadCase):
    """Nothing of half an upload looks complete."""

    def test_slowClient(self) -> None:
        """The deadline runs to the last byte; then the provider's connection is broken, and the client told."""
        self.start()
        for at in range(AWAITED, AWAITED + int(BODY) - 1):
            self.server.advance(1)
            self.client.send(UPLOAD[at : at + 1])
        self.assertEqual((self.wire.aborted, self.client.data), (False, b""))
        self.server.advance(1)
        self.assertTrue(self.wire.aborted)
        self.replied(408)
        self.client.send(UPLOAD[:1000])
        self.server.advance(SHORT_LINGER)
        self.assertTrue(self.client.closing)
        record = self.record(408, Outcome.TIMEOUT, AWAITED + int(BODY) - 1)
        self.assertEqual([each.result for each in self.observer.attempts], ["client_gone"])
        self.assertEqual(record.error, "request_timeout")

    def test_slowClientWhileConnecting(self) -> None:
        """Nobody waits for a connection that is not needed any more."""
        self.lines.manual = True
        self.begin()
        self.send(UPLOAD[:1000])
        self.server.advance(BODY)
        self.replied(408)
        self.assertEqual((self.lines.pending, self.lines.cancelled), ([], 1))

    def test_clientLeaves(self) -> None:
        """A client that leaves takes the provider's connection with it."""
        self.start()
        self.client.lose()
        self.assertTrue(self.wire.aborted)
        self.record(499, Outcome.CLIENT_GONE, AWAITED)

    def test_malformed(self) -> None:
        """A body that turns out to be none is broken off before the bytes that show it."""
        self.start()
        self.send(b"\r\n--b\r\nnonsense\r\n\r\n")
        self.assertTrue(self.wire.aborted)
        self.assertEqual(len(self.got()[1]), AWAITED - len("first/"))
        self.replied(400)
        self.record(400, Outcome.REJECTED, AWAITED)

    def test_cut(self) -> None:
        """One that lacks its closing boundary is not sent to its end."""
        body = UPLOAD[: -len(LAST)]
        self.begin(body)
        self.send(body)
        self.assertTrue(self.wire.aborted)
        self.assertLess(len(self.got()[1]), len(body) - len("first/"))
        self.assertIn("closing boundary", self.replied(400).json["error"]["message"])

    def test_cutInChunks(self) -> None:
        """The same in chunks: the last one is not sent."""
        body = UPLOAD[: -len(LAST)]
        begun, rest = body[: AWAITED + 1], body[AWAITED + 1 :]
        self.client.send(raw("POST", PATH, None, CHUNKED) + b"%x\r\n%b\r\n" % (len(begun), begun))
        self.assertEqual(len(self.upstream.requests), 1)
        self.client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(rest), rest))
        self.assertTrue(self.wire.aborted)
        self.assertFalse(self.wire.value().endswith(b"0\r\n\r\n"))
        self.replied(400)

    def test_badChunk(self) -> None:
        """A chunk that is none ends it."""
        self.client.send(raw("POST", PATH, None, CHUNKED) + b"%x\r\n%b\r\n" % (2 * AWAITED, UPLOAD[: 2 * AWAITED]))
        self.client.send(b"x\r\n")
        self.assertTrue(self.wire.aborted)
        self.replied(400)

    def test_tooLarge(self) -> None:
        """A body of unknown length is refused when it has passed the bound."""
        body = MODEL + file(2 * LIMIT)
        self.client.send(raw("POST", PATH, None, CHUNKED))
        for at in range(0, LIMIT, READ):
            self.client.send(b"%x\r\n%b\r\n" % (READ, body[at : at + READ]))
        self.assertFalse(self.wire.aborted)
        self.client.send(b"1\r\nx\r\n")
        self.assertTrue(self.wire.aborted)
        self.replied(413)
        self.record(413, Outcome.REJECTED, LIMIT)

    def test_declaredTooLarge(self) -> None:
        """One that says so is refused before anything is sent."""
        self.client.send(raw("POST", PATH, None, (*FORM, ("Content-Length", str(LIMIT + 1)))))
        self.assertEqual((self.client.reply().status, self.upstream.requests), (413, []))

    def test_lateNonsense(self) -> None:
        """A field behind the file that is not what it has to be is refused."""
        body = MODEL + file(2 * AWAITED) + field("stream", "maybe") + LAST
        self.begin(body)
        self.send(body[: -len(LAST)])
        self.send(LAST[:-1])
        self.assertEqual(self.replied(400).json["error"]["param"], "stream")
        self.assertTrue(self.wire.aborted)

    def test_drained(self) -> None:
        """A relay that shuts down says so, and breaks off what is on its way."""
        self.start()
        draining = self.gateway.drain(5)
        self.server.advance(5)
        self.successResultOf(draining)
        self.replied(503)
        self.assertTrue(self.wire.aborted)


class EarlyTests(UploadCase):
    """The provider says something before it has everything."""

    def test_refused(self) -> None:
        """Its refusal is passed on at once; the rest is dropped, and the client gets time to read."""
        refusal = b'{"error":{"message":"too large for me","type":"invalid_request_error"}}'
        self.start()
        self.connection.dataReceived(answer(refusal, 413, b"Content-Type: application/json"))
        self.assertIn("too large for me", self.replied(413).json["error"]["message"])
        self.assertTrue(self.wire.aborted)
        self.send(UPLOAD[AWAITED:])
        self.assertTrue(self.reading())
        self.assertFalse(self.client.closing)
        self.server.advance(LINGER)
        self.assertTrue(self.client.closing)
        self.record(413, Outcome.UPSTREAM_ERROR, AWAITED)

    def test_answered(self) -> None:
        """So is an answer that needs no more."""
        self.start()
        self.connection.dataReceived(answer(ANSWER, 200, b"Content-Type: application/json"))
        self.assertEqual(self.replied(200).body, ANSWER)
        self.client.lose()
        self.record(200, Outcome.COMPLETE, AWAITED)

    def test_pausedThen(self) -> None:
        """A client that was paused is read on, or it would never read the answer."""
        self.start()
        self.pacer.pauseProducing()
        self.send(UPLOAD[AWAITED:-1])
        self.assertFalse(self.reading())
        self.connection.dataReceived(answer(b"{}", 429, b"Content-Type: application/json"))
        self.assertTrue(self.reading())
        self.replied(429)

    def test_begunBeforeTheEnd(self) -> None:
        """An answer that begins early ends the connection, even if both come to their ends."""
        self.start()
        self.connection.dataReceived(head(200, b"Content-Type: text/plain", b"Content-Length: 4") + b"ab")
        self.send(UPLOAD[AWAITED:])
        self.connection.dataReceived(b"cd")
        self.assertEqual(self.got()[1], SENT)
        self.assertEqual(self.replied(200).body, b"abcd")
        self.assertTrue(self.client.closing)

    def test_reset(self) -> None:
        """A provider that goes away is told as such, once."""
        self.start()
        lose(self.connection, ConnectionLost())
        self.assertEqual(self.replied(502).json["error"]["code"], "upstream_unreachable")
        self.send(UPLOAD[AWAITED:])
        self.record(502, Outcome.UPSTREAM_ERROR, AWAITED)
        self.assertEqual(len(self.upstream.requests), 1)

    def test_refusedByRelay(self) -> None:
        """What relay itself refuses is refused with the first bytes."""
        body = field("stream", "maybe") + UPLOAD
        self.begin(body)
        self.send(body[:READ])
        self.assertEqual(self.replied(400).json["error"]["param"], "stream")
        self.assertEqual(self.upstream.requests, [])
        self.record(400, Outcome.REJECTED, READ)


class RouteTests(UploadCase):
    """A model with a route."""

    def begin_routed(self) -> None:
        """Send a part of an upload for the route."""
        body = UPLOAD.replace(b"first/whisper", b"both")
        self.begin(body)
        self.send(body[:AWAITED])

    def test_sentOnce(self) -> None:
        """What has been sent in part is not sent to the next deployment."""
        self.begin_routed()
        lose(self.connection, ConnectionLost())
        self.replied(502)
        self.assertEqual(len(self.upstream.requests), 1)

    def test_notHedged(self) -> None:
        """However slow its deployment is, no other one is asked beside it."""
        self.begin_routed()
        self.server.advance(5)
        self.assertEqual(len(self.upstream.requests), 1)
        self.client.lose()

    def test_unreachable(self) -> None:
        """What has not been sent at all is."""
        self.lines.manual = True
        self.begin_routed()
        self.lines.pending[0].fail(ConnectionLost())
        self.lines.pending[0].succeed()
        self.assertEqual(len(self.upstream.requests), 2)
        self.send(UPLOAD[AWAITED + len("first/whisper") - len("both") :])
        self.connection.dataReceived(answer(ANSWER, 200, b"Content-Type: application/json"))
        self.assertEqual(self.client.reply().status, 200)
