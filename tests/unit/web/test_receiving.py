"""Bodies on Twisted's channel: where they go, when they are refused, and that a refusal arrives."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relay.errors import (
    InvalidRequest,
    Overloaded,
    RelayError,
    RequestTimeout,
    TooLarge,
    Unauthenticated,
    UnsupportedMedia,
)
from relay.spool.writer import MEMORY, QUEUE
from relay.web.body import LINGER
from relay.web.receiving import ReceivingChannel
from tests.unit.spool.threads import HeldDisk, HeldThreads
from tests.unit.web.receiving import ReceivingSite, TellingRequest
from tests.unit.web.test_body import FORM_TYPE, LIMIT, form


class ReceivingTests(SynchronousTestCase):
    """Requests on Twisted's channel."""

    def setUp(self) -> None:
        """A connection."""
        self.clock = Clock()
        self.threads = HeldThreads()
        self.disk = HeldDisk(self.threads)
        self.site = ReceivingSite(self.clock, self.disk, LIMIT)
        self.channel = self.connect()

    def connect(self) -> ReceivingChannel:
        """A new connection to the site."""
        channel: ReceivingChannel = self.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        self.transport = StringTransport()
        channel.makeConnection(self.transport)
        return channel

    def tearDown(self) -> None:
        """When the client has gone, no temporary file and no timer stays."""
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.threads.run()
        self.assertEqual(self.threads.open, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def send(self, data: bytes) -> None:
        """The client sends bytes; as many at once as a socket gives."""
        for at in range(0, len(data), 65536):
            self.channel.dataReceived(data[at : at + 65536])

    def head(self, *fields: str, target: str = "/v1/x") -> None:
        """The client sends the head of a POST."""
        self.send("\r\n".join([f"POST {target} HTTP/1.1", "Host: relay", *fields, "", ""]).encode("latin-1"))

    def post(self, body: bytes, content_type: str) -> None:
        """The client sends a whole request."""
        self.head(f"Content-Type: {content_type}", f"Content-Length: {len(body)}")
        self.send(body)

    def answer(self) -> tuple[int, bytes]:
        """Status and body of the only answer."""
        head, _, body = self.transport.value().partition(b"\r\n\r\n")
        self.assertNotIn(b"HTTP/1.1", body)
        return int(head.split()[1]), body

    def assertRefused(self, error: type[RelayError]) -> None:
        """The only request was refused so, and answered, and its connection says that it ends."""
        self.assertIsInstance(self.site.refusal, error)
        self.assertEqual(self.answer()[0], error.status)
        self.assertIn(b"connection: close", self.transport.value().lower())

    def test_json(self) -> None:
        """A JSON body arrives whole, and can be read by any resource."""
        self.post(b'{"a": 1}', "application/json")
        request = self.site.processed[0]
        self.assertEqual((request.method, request.path, request.uri), (b"POST", b"/v1/x", b"/v1/x"))
        self.assertEqual(self.site.received.body, b'{"a": 1}')
        self.assertEqual(self.answer(), (200, b"received"))

    def test_content(self) -> None:
        """Ordinary resources find body and query where Twisted puts them; forms are not parsed."""
        self.site.hold_answers = True
        self.head("Content-Type: application/x-www-form-urlencoded", "Content-Length: 3", target="/x?b=%31")
        self.send(b"a=1")
        (request,) = self.site.processed
        assert request.content is not None
        self.assertEqual((request.content.read(), request.args, request.path), (b"a=1", {b"b": [b"1"]}, b"/x"))

    def test_chunked(self) -> None:
        """The same when the client does not know the length."""
        self.head("Content-Type: application/json", "Transfer-Encoding: chunked")
        self.send(b"2\r\n{}\r\n0\r\n\r\n")
        self.assertEqual(self.site.received.body, b"{}")

    def test_withoutBody(self) -> None:
        """A request without a body is processed, and the connection serves the next one."""
        self.send(b"GET /health HTTP/1.1\r\nHost: relay\r\n\r\n" * 2)
        self.assertEqual([request.received.body for request in self.site.processed], [b"", b""])
        self.assertFalse(self.transport.disconnecting)

    def test_formWaitsForTheDisk(self) -> None:
        """A large form is processed when all of it is in the file, and the file is closed with the answer."""
        self.site.hold_answers = True
        self.post(form(3 * MEMORY), FORM_TYPE)
        self.assertEqual(self.site.processed, [])
        self.threads.run()
        self.assertEqual(self.site.received.fields["model"].value, "whisper-1")
        self.assertEqual(self.threads.open, 1)
        self.site.processed[0].answer()
        self.threads.run()
        self.assertEqual(self.threads.open, 0)
        self.assertFalse(self.transport.disconnecting)

    def test_diskSetsThePace(self) -> None:
        """The client is read from only as fast as the disk writes, whatever else happens on the connection."""
        self.head(f"Content-Type: {FORM_TYPE}", f"Content-Length: {4 * MEMORY}")
        self.send(form(4 * MEMORY)[: MEMORY + QUEUE])
        self.assertEqual(self.transport.producerState, "producing")
        self.send(bytes(2 * 65536))
        self.assertEqual(self.transport.producerState, "paused")
        self.channel.pauseProducing()
        self.channel.resumeProducing()
        self.assertEqual(self.transport.producerState, "paused")
        self.threads.step()
        self.assertEqual(self.transport.producerState, "producing")

    def test_clientLeaves(self) -> None:
        """A client that leaves in the middle leaves no file, and its request is never processed."""
        self.head(f"Content-Type: {FORM_TYPE}", f"Content-Length: {4 * MEMORY}")
        self.send(form(3 * MEMORY))
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.threads.run()
        self.assertEqual(self.threads.open, 0)
        self.assertEqual(self.site.processed, [])

    def test_clientLeavesWhileTheDiskIsWriting(self) -> None:
        """The same when only the disk was waited for, and when only the answer was."""
        self.site.hold_answers = True
        self.post(form(3 * MEMORY), FORM_TYPE)
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.threads.run()
        self.assertEqual((self.threads.open, self.site.processed), (0, []))
        self.channel = self.connect()
        self.post(form(3 * MEMORY), FORM_TYPE)
        self.threads.run()
        self.assertEqual((self.threads.open, len(self.site.processed)), (1, 1))
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.threads.run()
        self.assertEqual(self.threads.open, 0)

    def test_declaredTooLarge(self) -> None:
        """A body declared above the limit is refused by the head; what comes of it is dropped for a while."""
        self.head("Content-Type: application/json", f"Content-Length: {LIMIT + 1}")
        self.assertRefused(TooLarge)
        self.send(b"x" * (LIMIT + 1) + b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n")
        self.assertEqual(len(self.site.processed), 1)
        self.assertFalse(self.transport.disconnecting)
        self.clock.advance(LINGER)
        self.assertTrue(self.transport.disconnecting)

    def test_turnsOutTooLarge(self) -> None:
        """A chunked body above the limit is refused once, in the middle, whatever comes behind it."""
        self.head("Content-Type: application/json", "Transfer-Encoding: chunked")
        self.send(b"%x\r\n" % (2 * LIMIT) + bytes(LIMIT))
        self.assertEqual(self.site.processed, [])
        self.send(b"xx")
        self.assertRefused(TooLarge)
        self.send(bytes(LIMIT) + b"nonsense" * 100)
        self.assertRefused(TooLarge)

    def test_nothingIsReadBehindARefusal(self) -> None:
        """Broken framing or another request in the same bytes as the refused ones gets no answer."""
        behind = (b"\r\nnonsense\r\n", b"\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: relay\r\n\r\n")
        for rest in behind:
            self.setUp()
            self.head(f"Content-Type: {FORM_TYPE}", "Transfer-Encoding: chunked")
            self.channel.dataReceived(b"2\r\n{}" + rest)
            self.assertRefused(InvalidRequest)
            self.tearDown()

    def test_badFormAtItsLastByte(self) -> None:
        """A form that turns out bad with its last byte is refused, once."""
        body = form(10)[:-2] + b"\r\nx"
        self.post(body, FORM_TYPE)
        self.assertRefused(InvalidRequest)

    def test_cutForm(self) -> None:
        """A form without its closing boundary is refused when it is complete."""
        self.post(form(10)[:-10], FORM_TYPE)
        self.assertRefused(InvalidRequest)

    def test_compressed(self) -> None:
        """A compressed body is refused by the head."""
        self.head("Content-Type: application/json", "Content-Encoding: gzip", "Content-Length: 5")
        self.assertRefused(UnsupportedMedia)

    def test_twoContentTypes(self) -> None:
        """Two content types are not a form: who reads the second would read other bytes."""
        self.head(f"Content-Type: {FORM_TYPE}", "Content-Type: multipart/form-data; boundary=a", "Content-Length: 5")
        self.assertRefused(InvalidRequest)

    def test_diskFull(self) -> None:
        """A disk that refuses is answered in the middle of the upload, and the client may go on reading."""
        self.disk.error = OSError(28, "No space left on device")
        self.head(f"Content-Type: {FORM_TYPE}", f"Content-Length: {5 * MEMORY}")
        self.send(form(5 * MEMORY)[: 3 * MEMORY])
        self.assertEqual(self.transport.producerState, "paused")
        self.threads.run()
        self.assertRefused(Overloaded)
        self.assertEqual(self.transport.producerState, "producing")

    def test_diskFullAtTheEnd(self) -> None:
        """The same when the upload is complete."""
        self.disk.error = OSError(28, "No space left on device")
        self.post(form(2 * MEMORY), FORM_TYPE)
        self.threads.run()
        self.assertRefused(Overloaded)

    def test_refusedFromOutside(self) -> None:
        """A deadline refuses a body that does not arrive; after the request is processed it changes nothing."""
        self.head("Content-Type: application/json", "Content-Length: 5")
        (request,) = self.channel.requests
        request.refuse(RequestTimeout("too slow"))
        self.assertRefused(RequestTimeout)
        request.refuse(RequestTimeout("too slow"))
        self.assertRefused(RequestTimeout)

    def test_refusedTooLate(self) -> None:
        """A request that is being answered is not refused any more."""
        self.site.hold_answers = True
        self.post(b"{}", "application/json")
        self.site.processed[0].refuse(RequestTimeout("too slow"))
        self.site.processed[0].answer()
        self.assertEqual(self.answer(), (200, b"received"))

    def test_notAdmitted(self) -> None:
        """Who is not let in is told so before the body, and is not asked for it."""

        def admit(request: TellingRequest) -> None:
            self.assertEqual((request.method, request.path), (b"POST", b"/v1/x"))
            raise Unauthenticated("no key")

        self.site.admit = admit
        self.head("Content-Type: application/json", "Content-Length: 5", "Expect: 100-continue")
        self.assertRefused(Unauthenticated)

    def test_notAdmittedWithoutBody(self) -> None:
        """A refused request that has no body leaves the connection to the next one."""

        def admit(request: TellingRequest) -> None:
            raise Unauthenticated("no key")

        self.site.admit = admit
        self.send(b"GET /v1/models HTTP/1.1\r\nHost: relay\r\n\r\n")
        self.assertIsInstance(self.site.refusal, Unauthenticated)
        self.assertEqual(self.answer()[0], 401)
        self.send(b"GET /v1/models HTTP/1.1\r\nHost: relay\r\n\r\n")
        self.assertEqual(len(self.site.processed), 2)

    def test_continue(self) -> None:
        """A client that asks before it sends is told to go on, or is answered instead."""
        self.head("Content-Type: application/json", "Content-Length: 2", "Expect: 100-continue")
        self.assertEqual(self.transport.value(), b"HTTP/1.1 100 Continue\r\n\r\n")
        self.send(b"{}")
        self.assertEqual(self.site.received.body, b"{}")
        self.setUp()
        self.head("Content-Type: application/json", f"Content-Length: {LIMIT + 1}", "Expect: 100-continue")
        self.assertRefused(TooLarge)

    def test_lateAnswerToARefusal(self) -> None:
        """An answer that takes longer than the client's remaining time is still written; then the connection ends."""
        self.site.hold_answers = True
        self.head("Content-Type: application/json", f"Content-Length: {LIMIT + 1}")
        self.clock.advance(LINGER)
        self.assertFalse(self.transport.disconnecting)
        self.site.processed[0].answer()
        self.assertRefused(TooLarge)
        self.assertTrue(self.transport.disconnecting)
