"""Request bodies: where they go, and when they are refused."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.errors import (
    InvalidRequest,
    TooLarge,
    UnsupportedMedia,
)
from relay.exchange import FormField
from relay.spool.writer import MEMORY
from relay.web.arriving import ArrivingBody
from relay.web.body import AWAITED, BodyReceiver, Received
from tests.unit.spool.threads import HeldDisk, HeldThreads
from tests.unit.web.receiving import reception

LIMIT = 8 * 1024 * 1024
FORM_TYPE = "multipart/form-data; boundary=XyZ"


MODEL = b'--XyZ\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'


def form(size: int) -> bytes:
    """A form of a model and a file of this many bytes."""
    return MODEL + (
        b'--XyZ\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + bytes(size) + b"\r\n--XyZ--\r\n"
    )


class BodyReceiverTests(SynchronousTestCase):
    """The receiver by itself, as any server may drive it."""

    def setUp(self) -> None:
        """A receiver and a record of what it says."""
        self.threads = HeldThreads()
        self.said: list[object] = []
        self.receiver = BodyReceiver(
            reception(HeldDisk(self.threads), LIMIT),
            pause=lambda: self.said.append("pause"),
            resume=lambda: self.said.append("resume"),
            failed=self.said.append,
        )

    def tearDown(self) -> None:
        """No temporary file stays open."""
        self.threads.run()
        self.assertEqual(self.threads.open, 0)

    def receive(self, body: bytes, content_type: str) -> Received:
        """Receive a body in pieces of 64 KiB, the threads keeping up."""
        self.receiver.begin(len(body), content_type, "")
        for at in range(0, len(body), 65536):
            self.receiver.data(body[at : at + 65536])
        finished = self.receiver.finish()
        self.threads.run()
        received = self.successResultOf(finished)
        self.addCleanup(received.close)
        return received

    def test_json(self) -> None:
        """A JSON body is kept in memory up to the limit."""
        body = b"x" * LIMIT
        received = self.receive(body, "application/json")
        self.assertEqual(received.body, body)
        self.assertEqual(received.fields, {})
        self.assertEqual(self.said, [])

    def test_pieces(self) -> None:
        """Small pieces are joined, large ones are kept as they are; their order is theirs."""
        sizes = (1, 2, 5000, 3, 70_000, 4095, 4096, *[100] * 1000, 1)
        body = bytes(range(251)) * (sum(sizes) // 251 + 1)
        self.receiver.begin(None, "application/json", "")
        at = 0
        for size in sizes:
            self.receiver.data(body[at : at + size])
            at += size
        self.assertLess(len(self.receiver._pieces), 10)
        self.assertEqual(self.successResultOf(self.receiver.finish()).body, body[:at])

    def test_empty(self) -> None:
        """No body is no bytes."""
        self.assertEqual(self.receive(b"", "").body, b"")

    def test_smallForm(self) -> None:
        """A small form stays in memory, and its model is found."""
        body = form(10)
        received = self.receive(body, FORM_TYPE)
        start = body.index(b"whisper-1")
        self.assertEqual(received.body, body)
        self.assertEqual(received.fields, {"model": FormField("whisper-1", start, start + 9)})

    def test_largeForm(self) -> None:
        """A large form goes to a file and pauses its sender meanwhile; its model is found."""
        body = form(3 * 1024 * 1024)
        received = self.receive(body, FORM_TYPE)
        assert not isinstance(received.body, bytes)
        self.assertEqual(received.body.length, len(body))
        self.assertEqual(received.fields["model"].value, "whisper-1")
        self.assertEqual(self.said, ["pause", "resume"])
        self.assertEqual(self.threads.open, 1)
        received.close()
        self.threads.run()

    def test_declaredTooLarge(self) -> None:
        """A body that is declared above the limit is refused before any of it; one at the limit is not."""
        self.assertRaises(TooLarge, self.receiver.begin, LIMIT + 1, "application/json", "")
        self.receiver.begin(LIMIT, "application/json", "")

    def test_turnsOutTooLarge(self) -> None:
        """A body of unknown length is refused with its first byte above the limit."""
        for content_type in ("application/json", FORM_TYPE):
            self.setUp()
            self.receiver.begin(None, content_type, "")
            body = form(LIMIT)[:LIMIT]
            for at in range(0, LIMIT, MEMORY):
                self.receiver.data(body[at : at + MEMORY])
            self.assertRaises(TooLarge, self.receiver.data, b"x")
            self.threads.run()
            self.assertEqual(self.threads.open, 0)

    def test_compressed(self) -> None:
        """A compressed body is refused; relay would have to trust its size."""
        for encoding in ("gzip", "GZIP", "identity, br"):
            self.assertRaises(UnsupportedMedia, self.receiver.begin, 1, "application/json", encoding)
        self.receiver.begin(1, "application/json", "Identity")

    def test_otherMultipart(self) -> None:
        """A multipart body that is no form is refused, as others might read a form into it."""
        for kind in ("multipart/mixed", "Multipart/Related"):
            self.assertRaises(UnsupportedMedia, self.receiver.begin, 1, f"{kind}; boundary=XyZ", "")

    def test_badForm(self) -> None:
        """A form is refused for its boundary, its bytes, or its missing end, as soon as that shows."""
        self.assertRaises(InvalidRequest, self.receiver.begin, 1, "multipart/form-data", "")
        self.receiver.begin(None, FORM_TYPE, "")
        self.assertRaises(InvalidRequest, self.receiver.data, b"{}")
        self.setUp()
        self.receiver.begin(None, FORM_TYPE, "")
        self.receiver.data(form(10)[:-10])
        self.failureResultOf(self.receiver.finish(), InvalidRequest)

    def test_forwarded(self) -> None:
        """A large upload can go on its way once its file has begun, and has all fields that are read by then."""
        body = form(2 * AWAITED)
        begins = body.index(b"\r\n\r\n", len(MODEL)) + 4
        self.receiver.begin(len(body), FORM_TYPE, "")
        for at in range(begins):
            self.assertIsNone(self.receiver.forward())
            self.receiver.data(body[at : at + 1])
        forwarded = self.receiver.forward()
        assert forwarded is not None
        received, arrival = forwarded
        assert isinstance(received.body, ArrivingBody)
        self.assertEqual((received.body.length, received.fields["model"].value), (len(body), "whisper-1"))
        self.assertIsNone(self.receiver.forward())
        self.receiver.data(body[begins:])
        self.assertEqual(arrival.received, len(body))
        self.assertEqual((self.said, self.threads.open), (["pause"], 0))
        self.receiver.complete()

    def test_notForwarded(self) -> None:
        """JSON, a small form, one without its model or without a file, and one on its way to disk are awaited."""
        file = form(2 * AWAITED)[len(MODEL) :]
        bodies = [
            (None, "application/json", b"x" * 2 * AWAITED),
            (AWAITED, FORM_TYPE, form(AWAITED)[:1000]),
            (None, FORM_TYPE, form(AWAITED)[:AWAITED]),
            (2 * AWAITED, FORM_TYPE, file[: 2 * AWAITED]),
            (None, FORM_TYPE, file[:-8] + MODEL),
            (2 * AWAITED, FORM_TYPE, MODEL),
            (None, FORM_TYPE, MODEL.replace(b"model", b"prompt").replace(b"whisper-1", b"x" * MEMORY) + form(10)),
        ]
        for length, content_type, body in bodies:
            self.setUp()
            self.receiver.begin(length, content_type, "")
            self.receiver.data(body)
            self.assertIsNone(self.receiver.forward(), body[:100])
            self.receiver.abandon()
            self.threads.run()

    def test_lastByte(self) -> None:
        """The last byte of a form is handed on only if it is a whole form."""
        body = form(2 * AWAITED)[:-8]
        self.receiver.begin(len(body), FORM_TYPE, "")
        self.receiver.data(body[:AWAITED])
        forwarded = self.receiver.forward()
        assert forwarded is not None
        self.assertRaises(InvalidRequest, self.receiver.data, body[AWAITED:])
        self.assertEqual(forwarded[1].received, AWAITED)
