"""Uploads that are forwarded while they arrive, over real sockets: memory, files, and how each side's faults end."""

from __future__ import annotations

import hashlib
import json
import resource
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from openai import APIStatusError, OpenAI

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.servers import echo
from tests.integration.twistd import Twistd, wait_until

MB = 1024 * 1024
BLOCK = b"".join(b"%07d\n" % i for i in range(MB // 8))
HEAD = (
    b'--XyZ\r\nContent-Disposition: form-data; name="model"\r\n\r\nmine/whisper\r\n'
    b'--XyZ\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
)
SENT_HEAD = HEAD.replace(b"mine/whisper", b"whisper")
TAIL = b"\r\n--XyZ--\r\n"
ANSWER = b'{"text":"heard"}'
WAIT = 30.0


class Provider:
    """A provider whose connections are read as the test says.

    Args:
        script: gets each connection, in a thread of its own; the connection is closed behind it.
    """

    def __init__(self, script: Callable[[socket.socket], None]) -> None:
        self._script = script
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # taken over by its connections
        self.port: int = self._socket.getsockname()[1]
        self.ended = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept nothing more."""
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.settimeout(WAIT)
            with connection:
                self._script(connection)
            self.ended.set()


def read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    """A request's head, and what came of its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        assert piece, "the connection ended in the head"
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.lower(), rest


def read_rest(connection: socket.socket) -> int:
    """Read to the end, in whatever way it ends; how many bytes there were."""
    count = 0
    try:
        while piece := connection.recv(65536):
            count += len(piece)
    except ConnectionError:
        pass
    return count


def reply(status: int, body: bytes = ANSWER) -> bytes:
    """A JSON answer."""
    head = b"HTTP/1.1 %d Word\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
    return head + body


def read_answer(connection: socket.socket) -> tuple[int, bytes]:
    """Status and body of an answer with a length."""
    head, body = read_head(connection)
    (length,) = (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split(b" ")[1]), body


class StreamedUploadCase(SynchronousTestCase):
    """relay's engine between a client of the test and a provider of the test."""

    def setUp(self) -> None:
        """Threads for clients."""
        self.threads = ThreadPoolExecutor(4)
        self.addCleanup(self.threads.shutdown)

    def relay(self, script: Callable[[socket.socket], None], **timeouts: float) -> Twistd:
        """Start relay in front of a provider."""
        self.provider = Provider(script)
        self.addCleanup(self.provider.close)
        directory = Path(self.mktemp())
        directory.mkdir()
        spec = {"baseUrl": f"http://127.0.0.1:{self.provider.port}", "auth": {"scheme": "none"}}
        (directory / "mine.json").write_text(json.dumps(spec), "utf-8")
        config = {"providers": ["./mine.json"], "timeouts": timeouts}
        (directory / "relay.json").write_text(json.dumps(config), "utf-8")
        arguments = ("--config=relay.json", "--log-format=json", "--http=engine")
        self.server = Twistd(arguments, directory=directory).start()
        self.addCleanup(self.server.stop)
        return self.server

    def connect(self, length: int | None) -> socket.socket:
        """A client that has sent the head of a request and the fields of its form."""
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        client.settimeout(WAIT)
        client.connect(("127.0.0.1", self.server.port))
        self.addCleanup(client.close)
        framing = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
        client.sendall(
            b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: multipart/form-data; boundary=XyZ\r\n" + framing + b"\r\n\r\n"
        )
        return client

    def upload(self, blocks: int) -> socket.socket:
        """The same for a file of so many MiB, without any of that."""
        client = self.connect(len(HEAD) + blocks * MB + len(TAIL))
        client.sendall(HEAD)
        return client

    def record(self) -> Any:
        """The one line that was logged."""

        def lines() -> list[Any]:
            found = [json.loads(line) for line in self.server.out.splitlines() if line.endswith("}")]
            return [line for line in found if line.get("event") == "exchange" and line["method"] == "POST"]

        wait_until(lines, "the exchange is logged")
        (line,) = lines()
        return line

    def resident(self) -> int:
        """Bytes of memory that relay uses."""
        status = Path(f"/proc/{self.server.process.pid}/statm").read_text("ascii")
        return int(status.split()[1]) * resource.getpagesize()

    def files(self) -> int:
        """How many files without a name relay has open."""
        count = 0
        for descriptor in Path(f"/proc/{self.server.process.pid}/fd").iterdir():
            try:
                count += str(descriptor.readlink()).endswith("(deleted)")
            except OSError:
                continue
        return count


class FlowTests(StreamedUploadCase):
    """Uploads that come to their end."""

    def test_slowProvider(self) -> None:
        """25 MiB to a provider that reads slowly: bounded memory, no file, and it has the first bytes before the last.

        The provider stops reading until the client cannot send any more, and then goes on.
        """
        began, go_on = threading.Event(), threading.Event()
        seen: Future[tuple[bytes, int, str]] = Future()
        length = len(SENT_HEAD) + 25 * MB + len(TAIL)

        def script(connection: socket.socket) -> None:
            head, rest = read_head(connection)
            digest, count = hashlib.sha256(rest), len(rest)
            began.set()
            go_on.wait(WAIT)
            while count < length:
                piece = connection.recv(65536)
                if not piece:
                    break
                digest.update(piece)
                count += len(piece)
            seen.set_result((head, count, digest.hexdigest()))
            connection.sendall(reply(200))

        self.relay(script)
        client = self.upload(25)
        client.sendall(BLOCK)
        self.assertTrue(began.wait(WAIT))  # and 24 MiB are still with the client
        before, sent = self.resident(), 1
        client.settimeout(1)
        rest = memoryview(BLOCK)
        try:
            while sent < 25:
                rest = rest[client.send(rest) :] or memoryview(BLOCK)
                sent += len(rest) == MB
        except TimeoutError:
            pass
        self.assertLess(sent, 25)  # it was paused
        self.assertLess(self.resident() - before, 10 * MB)
        self.assertEqual(self.files(), 0)
        go_on.set()
        client.settimeout(WAIT)
        client.sendall(rest)
        for _ in range(sent + 1, 25):
            client.sendall(BLOCK)
        client.sendall(TAIL)
        self.assertEqual(read_answer(client), (200, ANSWER))
        self.assertLess(self.resident() - before, 10 * MB)

        expected = hashlib.sha256(SENT_HEAD)
        for _ in range(25):
            expected.update(BLOCK)
        expected.update(TAIL)
        head, count, digest = seen.result(WAIT)
        self.assertEqual((count, digest), (length, expected.hexdigest()))
        self.assertIn(b"content-length: %d" % length, head)
        line = self.record()
        self.assertEqual((line["status"], line["bytes_in"]), (200, len(HEAD) + 25 * MB + len(TAIL)))
        self.assertEqual((line["model"], line["upstream_model"], line["attempts"]), ("mine/whisper", "whisper", 1))

    def test_chunked(self) -> None:
        """An upload of unknown length reaches the provider in chunks, whole; the client's connection goes on."""
        got: Future[bytes] = Future()

        def script(connection: socket.socket) -> None:
            head, body = read_head(connection)
            assert b"transfer-encoding: chunked" in head
            while not body.endswith(b"\r\n0\r\n\r\n"):
                body += connection.recv(65536)
            got.set_result(body)
            connection.sendall(reply(200))

        self.relay(script)
        client = self.connect(None)
        for piece in (HEAD, BLOCK, BLOCK, TAIL):
            client.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        client.sendall(b"0\r\n\r\n")
        self.assertEqual(read_answer(client), (200, ANSWER))
        body, decoded = got.result(WAIT), b""
        while body:
            size, _, body = body.partition(b"\r\n")
            decoded, body = decoded + body[: int(size, 16)], body[int(size, 16) + 2 :]
        self.assertEqual(decoded, SENT_HEAD + BLOCK + BLOCK + TAIL)
        client.sendall(b"GET /ready HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        self.assertEqual(read_answer(client)[0], 200)

    def test_sdk(self) -> None:
        """The real SDK's transcription: 25 MB reach the embedded echo whole, at once and as a stream."""
        with OpenAI(base_url=f"{echo().url}/v1", api_key="any", max_retries=0, timeout=60) as client:
            told = client.audio.transcriptions.create(model="echo-1", file=("talk.wav", b"RIFF" * 6_000_000))
            self.assertEqual(told.text, "talk.wav has 24000000 bytes")
            events = client.audio.transcriptions.create(
                model="echo-1", file=("talk.wav", bytes(2_000_000)), prompt="hello you", stream=True
            )
            self.assertEqual(list(events)[-1].type, "transcript.text.done")


class BrokenTests(StreamedUploadCase):
    """Uploads that do not."""

    def watched(self) -> tuple[Callable[[socket.socket], None], Future[int], threading.Event]:
        """A provider that reads to the end, tells how much that was, and has begun."""
        got: Future[int] = Future()
        began = threading.Event()

        def script(connection: socket.socket) -> None:
            _, rest = read_head(connection)
            began.set()
            got.set_result(len(rest) + read_rest(connection))

        return script, got, began

    def test_clientLeaves(self) -> None:
        """A client that leaves takes the provider's connection with it, before the length that was announced."""
        script, got, began = self.watched()
        self.relay(script)
        client = self.upload(5)
        client.sendall(BLOCK)
        self.assertTrue(began.wait(WAIT))
        client.close()
        self.assertLessEqual(got.result(WAIT), len(SENT_HEAD) + MB)
        self.assertEqual((self.record()["status"], self.record()["outcome"]), (499, "client_gone"))
        self.assertEqual(self.files(), 0)

    def test_slowClient(self) -> None:
        """A client that does not come to its end is cut off at the deadline, and so is the provider."""
        script, got, _ = self.watched()
        self.relay(script, requestBody=1)
        client = self.upload(5)
        client.sendall(BLOCK)
        status, body = read_answer(client)
        self.assertEqual((status, json.loads(body)["error"]["code"]), (408, "request_timeout"))
        self.assertEqual(got.result(WAIT), len(SENT_HEAD) + MB)
        line = self.record()
        self.assertEqual((line["status"], line["bytes_in"]), (408, len(HEAD) + MB))

    def test_malformed(self) -> None:
        """A body that turns out to be no form is broken off."""
        script, got, began = self.watched()
        self.relay(script)
        client = self.upload(5)
        client.sendall(BLOCK)
        self.assertTrue(began.wait(WAIT))
        client.sendall(b"\r\n--XyZ\r\nnonsense\r\n\r\n")
        self.assertEqual(read_answer(client)[0], 400)
        self.assertLessEqual(got.result(WAIT), len(SENT_HEAD) + MB)

    def test_earlyRefusal(self) -> None:
        """A provider's early refusal reaches a real SDK, which first sends everything, and then reads."""
        told = threading.Event()
        refusal = b'{"error":{"message":"25 MB is too much for me","type":"invalid_request_error","code":"too_big"}}'

        def script(connection: socket.socket) -> None:
            read_head(connection)
            connection.sendall(reply(413, refusal))
            told.wait(WAIT)
            read_rest(connection)

        server = self.relay(script)
        with OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0, timeout=60) as client:
            error = self.assertRaises(
                APIStatusError,
                client.audio.transcriptions.create,
                model="mine/whisper",
                file=("talk.wav", b"RIFF" * 6_000_000),
            )
        told.set()
        self.assertEqual(error.status_code, 413)
        self.assertIn("25 MB is too much", error.message)
        line = self.record()
        self.assertEqual(line["status"], 413)
        self.assertLess(line["bytes_in"], 24_000_000)  # it was forwarded while it arrived

    def test_earlyRefusalAndReset(self) -> None:
        """So does one behind which the provider slams the door, with bytes that nobody reads still coming."""

        def script(connection: socket.socket) -> None:
            read_head(connection)
            connection.sendall(reply(401, b'{"error":{"message":"no","type":"invalid_request_error"}}'))

        self.relay(script)
        client = self.upload(10)
        for _ in range(10):
            client.sendall(BLOCK)
        client.sendall(TAIL)
        status, _ = read_answer(client)
        self.assertEqual(status, 401)
        line = self.record()
        self.assertEqual((line["status"], line["attempts"]), (status, 1))

    def test_reset(self) -> None:
        """A provider that breaks off without an answer is told as unreachable; nothing is sent a second time."""

        def script(connection: socket.socket) -> None:
            read_head(connection)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

        self.relay(script)
        client = self.upload(10)
        for _ in range(10):
            client.sendall(BLOCK)
        client.sendall(TAIL)
        self.assertEqual(read_answer(client)[0], 502)
        self.assertEqual(self.record()["attempts"], 1)
        self.assertEqual(self.files(), 0)
