"""What is refused by a request's head alone, before a byte of the body is asked for."""

from __future__ import annotations

import json
import socket

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.servers import CLIENT_KEY, guarded

HUGE = 100 * 1024 * 1024


def ask(*fields: str) -> tuple[int, dict[str, object]]:
    """Send a head that promises a body and asks for permission; the status of the answer, and its JSON."""
    head = ["POST /v1/chat/completions HTTP/1.1", "host: 127.0.0.1", "expect: 100-continue", *fields]
    with socket.create_connection(("127.0.0.1", guarded().port), timeout=10) as connection:
        connection.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        data = connection.recv(65536)
        while b"\r\n\r\n" not in data or data.startswith(b"HTTP/1.1 100"):
            piece = connection.recv(65536) if not data.startswith(b"HTTP/1.1 100") else b""
            if not piece:
                break
            data += piece
    first, _, rest = data.partition(b"\r\n")
    body = rest.partition(b"\r\n\r\n")[2]
    return int(first.split(b" ")[1]), json.loads(body) if body else {}


class AdmissionTests(SynchronousTestCase):
    """relay behind a client key; none of these requests ever sends its body."""

    def test_unknownKeys(self) -> None:
        """A stranger is not asked for an upload."""
        for key in ("", "authorization: Bearer wrong", "x-api-key: wrong"):
            status, answer = ask("content-type: application/json", "content-length: 100", *filter(None, (key,)))
            self.assertEqual(status, 401)
            self.assertIn("error", answer)

    def test_sizeAndKind(self) -> None:
        """Neither is the holder of a key, for what would be refused anyhow."""
        key = f"authorization: Bearer {CLIENT_KEY}"
        self.assertEqual(ask(key, "content-type: application/json", f"content-length: {HUGE}")[0], 413)
        self.assertEqual(ask(key, "content-type: text/html", "content-length: 10")[0], 415)

    def test_theRestIsAskedFor(self) -> None:
        """The same head with a good key gets its 100."""
        key = f"authorization: Bearer {CLIENT_KEY}"
        self.assertEqual(ask(key, "content-type: application/json", "content-length: 10")[0], 100)
