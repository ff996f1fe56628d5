"""A provider made of threads and blocking sockets, for tests that measure relay from outside."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'


def chunk(data: bytes) -> bytes:
    """One chunk of the chunked coding."""
    return b"%x\r\n%s\r\n" % (len(data), data)


class ScriptedProvider:
    """Listens on a loopback port and hands each connection to a script, in a thread of its own.

    Args:
        script: called with the connection after its request has been read; the connection
            is closed when it returns.
    """

    def __init__(self, script: Callable[[socket.socket], None]) -> None:
        self._script = script
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def write_file(self, path: Path, **more: object) -> Path:
        """Write the provider file that leads here."""
        spec = {"baseUrl": f"http://127.0.0.1:{self.port}", "auth": {"scheme": "none"}, **more}
        path.write_text(json.dumps(spec), "utf-8")
        return path

    def close(self) -> None:
        """Accept nothing more."""
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if read_request(connection):
                self._script(connection)


def read_request(connection: socket.socket) -> bool:
    """Read one request with its body; False when the connection ended before that."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return False
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    missing = int(lengths[0].split(b":")[1]) - len(body) if lengths else 0
    while missing > 0:
        piece = connection.recv(65536)
        if not piece:
            return False
        missing -= len(piece)
    return True


def closed(connection: socket.socket) -> None:
    """Wait until the other side is gone."""
    try:
        while connection.recv(65536):
            pass
    except OSError:
        pass
