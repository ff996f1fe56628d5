"""The engine's client side on a real ``twistd relay``: slow clients, refusals, clients that leave."""

from __future__ import annotations

import contextlib
import json
import resource
import selectors
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.twistd import Twistd, fetch, wait_until

HEAD_DEADLINE, BODY_DEADLINE = 2.0, 3.0
GRACE = 2.0
"""Seconds after its deadline at which an attacker has to be gone."""
ATTACKERS = 500
DRIP = 0.25
"""Seconds between two bytes of an attacker."""
SHARE = 100 * 1024
"""Bytes of relay's memory that an attacker may take."""

CHAT = {"model": "echo-1", "messages": [{"role": "user", "content": "one two three"}]}
REQUEST_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"


def resident(pid: int) -> int:
    """Resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * resource.getpagesize()


def descriptors(pid: int) -> int:
    """Open descriptors of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def request(body: bytes, *fields: bytes) -> bytes:
    """A chat request with more fields."""
    lines = [*fields, b"content-length: %d" % len(body), b"", b""]
    return REQUEST_HEAD + b"\r\n".join(lines) + body


def read_answer(connection: socket.socket, data: bytes = b"") -> tuple[bytes, bytes]:
    """One answer with a ``content-length``: its head and its body."""
    while b"\r\n\r\n" not in data:
        data += received(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    while len(body) < int(fields[b"content-length"]):
        body += received(connection)
    return head, body


def received(connection: socket.socket) -> bytes:
    """The next bytes; there have to be some."""
    data = connection.recv(65536)
    if not data:
        raise AssertionError("the connection was closed in the middle of an answer")
    return data


class ServedCase(SynchronousTestCase):
    """A relay with short deadlines, and the echo behind it."""

    def setUp(self) -> None:
        """Start it, and warm it up."""
        directory = Path(self.mktemp())
        directory.mkdir(parents=True)
        config = {"providers": ["echo"], "timeouts": {"requestHead": HEAD_DEADLINE, "requestBody": BODY_DEADLINE}}
        (directory / "relay.json").write_text(json.dumps(config), "utf-8")
        self.relay = Twistd(["--config=relay.json", "--http=engine"], directory=directory).start()
        self.addCleanup(self.relay.stop)
        for _ in range(20):
            self.assertEqual(self.relay.post("/v1/chat/completions", CHAT).status, 200)
        self.pid = self.relay.process.pid

    def connect(self) -> socket.socket:
        """A connection of its own."""
        connection = socket.create_connection(("127.0.0.1", self.relay.port), timeout=30)
        self.addCleanup(connection.close)
        return connection


@attrs.define(eq=False)
class Attacker:
    """One slow client.

    Attributes:
        connection: not blocking.
        began: when its deadline began to count.
        cut: seconds after that at which the server closed; None as long as it has not.
        said: what the server sent.
    """

    connection: socket.socket
    began: float
    cut: float | None = None
    said: bytes = b""


class Attack:
    """Many slow clients in one thread.

    Args:
        port: where relay listens.
        opening: what each sends at once.
        drip: what each sends again and again after that; nothing if empty.
    """

    def __init__(self, port: int, opening: bytes, drip: bytes) -> None:
        self._drip = drip
        self._selector = selectors.DefaultSelector()
        self.attackers = []
        for _ in range(ATTACKERS):
            connection = socket.create_connection(("127.0.0.1", port), timeout=30)
            connection.sendall(opening)
            connection.setblocking(False)
            attacker = Attacker(connection, time.monotonic())
            self._selector.register(connection, selectors.EVENT_READ, attacker)
            self.attackers.append(attacker)

    def run(self, seconds: float) -> None:
        """Drip and listen until all are cut, or the time is over."""
        end, next_drip = time.monotonic() + seconds, 0.0
        while time.monotonic() < end and any(attacker.cut is None for attacker in self.attackers):
            if time.monotonic() >= next_drip:
                next_drip = time.monotonic() + DRIP
                for attacker in self.attackers:
                    with contextlib.suppress(OSError):
                        attacker.connection.send(self._drip)
            for key, _ in self._selector.select(DRIP / 5):
                self._listen(key.data)

    def _listen(self, attacker: Attacker) -> None:
        try:
            data = attacker.connection.recv(65536)
        except ConnectionError:
            data = b""
        attacker.said += data
        if not data:
            attacker.cut = time.monotonic() - attacker.began
            self._selector.unregister(attacker.connection)

    def close(self) -> None:
        """Go home."""
        for attacker in self.attackers:
            attacker.connection.close()
        self._selector.close()


class GoodClient(threading.Thread):
    """Calls again and again as long as others attack.

    Attributes:
        latencies: seconds of each good answer.
        failures: all the others.
    """

    def __init__(self, port: int) -> None:
        super().__init__()
        self.latencies: list[float] = []
        self.failures: list[object] = []
        self._port = port
        self._enough = threading.Event()

    def run(self) -> None:
        """Call on a new connection each time, as a client that knows no pool does."""
        while not self._enough.wait(0.02):
            began = time.monotonic()
            try:
                status = fetch(self._port, "POST", "/v1/chat/completions", CHAT).status
            except OSError as error:
                self.failures.append(error)
                continue
            if status == 200:
                self.latencies.append(time.monotonic() - began)
            else:
                self.failures.append(status)

    def stop(self) -> None:
        """No further call."""
        self._enough.set()
        self.join()


class SlowClientTests(ServedCase):
    """Slow clients cost nobody but themselves: R7 of the promises."""

    def attack(self, opening: bytes, drip: bytes, deadline: float, said: bytes) -> None:
        """500 of them: the good client is served, each attacker is cut in time, and takes little memory."""
        memory, files = resident(self.pid), descriptors(self.pid)
        attack = Attack(self.relay.port, opening, drip)
        self.addCleanup(attack.close)
        good = GoodClient(self.relay.port)
        good.start()
        try:
            wait_until(lambda: resident(self.pid) > 0 and descriptors(self.pid) > files, "they are here")
            attack.run(deadline / 2)
            taken = resident(self.pid) - memory
            attack.run(deadline + 10 * GRACE)
            wait_until(lambda: descriptors(self.pid) < files + 10, "their connections are given up", GRACE)
        finally:
            good.stop()
        cuts = sorted(attacker.cut or float("inf") for attacker in attack.attackers)
        self.assertGreaterEqual(cuts[0], deadline - 0.2)
        self.assertLessEqual(cuts[-1], deadline + GRACE)
        self.assertEqual({attacker.said[:12] for attacker in attack.attackers}, {said})
        self.assertLess(taken, ATTACKERS * SHARE)
        self.assertEqual(good.failures, [])
        self.assertGreater(len(good.latencies), 20)
        self.assertLess(sorted(good.latencies)[int(len(good.latencies) * 0.99)], 1.0)

    def test_slowHeads(self) -> None:
        """Clients that send their head byte by byte are told, and cut."""
        self.attack(b"POST /v1/chat/completions HTTP/1.1\r\nhost: ", b"x", HEAD_DEADLINE, b"HTTP/1.1 408")

    def test_silent(self) -> None:
        """Clients that send nothing are cut without a word."""
        self.attack(b"", b"", HEAD_DEADLINE, b"")

    def test_slowBodies(self) -> None:
        """Clients that send their body byte by byte are told, and cut."""
        self.attack(REQUEST_HEAD + b"content-length: 100000\r\n\r\n", b"x", BODY_DEADLINE, b"HTTP/1.1 408")


class RefusalTests(ServedCase):
    """Clients that are refused get to read why."""

    def test_largeBodyUnderway(self) -> None:
        """A client in the middle of 30 MB reads the whole refusal before its connection is gone."""
        connection = self.connect()
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: text/plain\r\n"
            b"content-length: 31457280\r\n\r\n"
        )
        for _ in range(480):
            connection.sendall(bytes(65536))
        head, body = read_answer(connection)
        self.assertIn(b" 415 ", head.split(b"\r\n")[0])
        self.assertIn(b"connection: close", head.lower())
        self.assertIn("error", json.loads(body))
        self.assertEqual(connection.recv(1), b"")

    def test_expectation(self) -> None:
        """A body that is not wanted is not asked for; one that is wanted is, and then served."""
        refused = self.connect()
        refused.sendall(
            b"POST /v1/nothing HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n"
        )
        self.assertIn(b" 404 ", read_answer(refused)[0].split(b"\r\n")[0])
        wanted = self.connect()
        body = json.dumps(CHAT).encode()
        wanted.sendall(request(body, b"expect: 100-continue")[: -len(body)])
        self.assertEqual(received(wanted), b"HTTP/1.1 100 Continue\r\n\r\n")
        wanted.sendall(body)
        self.assertIn(b" 200 ", read_answer(wanted)[0].split(b"\r\n")[0])

    def test_smuggling(self) -> None:
        """What follows a head with two readings is not read as a request."""
        connection = self.connect()
        hidden = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
        connection.sendall(REQUEST_HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + hidden)
        data = b""
        while piece := connection.recv(65536):
            data += piece
        self.assertTrue(data.startswith(b"HTTP/1.1 400 "), data)
        self.assertEqual(data.count(b"HTTP/1.1"), 1)


class OrderTests(ServedCase):
    """Several requests on one connection."""

    def test_pipelined(self) -> None:
        """Forty requests sent at once are answered in their order."""
        connection = self.connect()
        count = 40
        bodies = [
            json.dumps({**CHAT, "messages": [{"role": "user", "content": f"number {n}"}]}).encode()
            for n in range(count)
        ]
        connection.sendall(b"".join(map(request, bodies)))
        data = b""
        for n in range(count):
            head, body = read_answer(connection, data)
            length = int(dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])[b"content-length"])
            body, data = body[:length], body[length:]
            self.assertIn(f"number {n}", json.loads(body)["choices"][0]["message"]["content"])

    def test_muchAhead(self) -> None:
        """More than a connection keeps for later is left in the kernel, and served in its turn."""
        connection = self.connect()
        body = json.dumps({**CHAT, "messages": [{"role": "user", "content": "x" * 100_000}]}).encode()
        sender = threading.Thread(target=connection.sendall, args=(request(body) * 8,))
        sender.start()
        data = b""
        for _ in range(8):
            head, answer = read_answer(connection, data)
            length = int(dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])[b"content-length"])
            data = answer[length:]
            self.assertIn(b" 200 ", head.split(b"\r\n")[0])
        sender.join()


class LeavingTests(ServedCase):
    """Clients that leave in the middle of an answer."""

    def gone(self) -> float:
        """Exchanges whose client has left, by the metrics."""
        lines = self.relay.get("/metrics").body.decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if 'outcome="client_gone"' in line)

    def leave(self, go: Callable[[socket.socket], None], *behind: bytes) -> None:
        """Begin a stream that lasts, go, and see that relay noticed."""
        before = self.gone()
        connection = self.connect()
        slow = {**CHAT, "stream": True, "echo": {"delay_ms": 50, "chunks": 1000}}
        connection.sendall(request(json.dumps(slow).encode()) + b"".join(behind))
        received(connection)
        go(connection)
        wait_until(lambda: self.gone() == before + 1, "relay has noticed", 5.0)

    def test_closed(self) -> None:
        """It is noticed at once."""
        self.leave(lambda connection: connection.close())

    def test_halfClosed(self) -> None:
        """A client that closes its way to relay has left."""
        self.leave(lambda connection: connection.shutdown(socket.SHUT_WR))

    def test_withMoreAhead(self) -> None:
        """It is noticed also when the client has sent its next request already."""
        self.leave(lambda connection: connection.close(), request(json.dumps(CHAT).encode()))
