"""Promises about clients that leave or stop reading, measured on a real ``twistd relay`` from outside."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.scripted import EVENT, HEAD, ScriptedProvider, chunk, closed
from tests.integration.twistd import Twistd, wait_until

BODY = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}).encode()
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(BODY), BODY)
)
LEAVERS = 1000
PARALLEL = 20
READERS = 20


def resident(pid: int) -> int:
    """Resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * 4096


def descriptors(pid: int) -> int:
    """Open descriptors of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def open_stream(port: int) -> socket.socket:
    """Send a streamed request; nothing is read yet."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(REQUEST)
    return connection


class LeavingTests(SynchronousTestCase):
    """A client that leaves ends the upstream request: R6 of the promises."""

    def setUp(self) -> None:
        """A provider that streams for ever, slowly, and notes when its client is gone."""
        self.left: dict[int, float] = {}
        self.delays: list[float] = []
        self.lock = threading.Lock()
        self.served = 0

        def script(connection: socket.socket) -> None:
            with self.lock:
                self.served += 1
                mine = self.served
            event = b'data: {"choices":[{"index":0,"delta":{"content":"%d "}}]}\n\n' % mine
            connection.sendall(HEAD + chunk(event))
            closed(connection)
            now = time.monotonic()
            with self.lock:
                self.delays.append(now - self.left[mine])

        self.provider = ScriptedProvider(script)
        self.addCleanup(self.provider.close)
        directory = Path(self.mktemp())
        directory.mkdir(parents=True)
        file = self.provider.write_file(directory / "slow.json")
        self.relay = Twistd([f"--provider={file.absolute()}"], directory=directory).start()
        self.addCleanup(self.relay.stop)

    def leave(self, _: int) -> None:
        """Read up to the first content, then leave."""
        with open_stream(self.relay.port) as connection:
            data = b""
            while not data.endswith(b"\n\n\r\n"):
                data += connection.recv(65536)
            mine = int(json.loads(data[data.index(b"data: ") + 6 :].split(b"\n")[0])["choices"][0]["delta"]["content"])
            with self.lock:
                self.left[mine] = time.monotonic()
            # an abrupt end, as of a killed program
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    def test_theUpstreamIsClosedAtOnce(self) -> None:
        """1000 times: p99 below 0.3 s, none above 2 s, no descriptor left over, every record settled."""
        pid = self.relay.process.pid
        self.leave(0)
        wait_until(lambda: len(self.delays) == 1, "the first upstream request is closed")
        before, memory = descriptors(pid), resident(pid)
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(self.leave, range(LEAVERS)))
        wait_until(lambda: len(self.delays) == LEAVERS + 1, "every upstream request is closed")
        delays = sorted(self.delays)
        self.assertLess(delays[int(len(delays) * 0.99)], 0.3)
        self.assertLess(delays[-1], 2.0)
        wait_until(lambda: descriptors(pid) <= before + 2, "descriptors are given back")
        self.assertLess(resident(pid) - memory, 40 * 1024 * 1024)
        metrics = self.relay.get("/metrics").body.decode()
        gone = [line for line in metrics.splitlines() if 'outcome="client_gone"' in line]
        self.assertEqual(sum(float(line.rsplit(" ", 1)[1]) for line in gone), LEAVERS + 1)


class SlowReaderTests(SynchronousTestCase):
    """A client that stops reading stops the provider, not the heap: R8 of the promises."""

    def test_memoryDoesNotGrow(self) -> None:
        """20 stalled readers of an endless stream: below 3 MB each in relay, below 16 MB each taken upstream."""
        taken: list[int] = []
        stop = threading.Event()

        def script(connection: socket.socket) -> None:
            place = len(taken)
            taken.append(0)
            connection.sendall(HEAD)
            burst = chunk(EVENT) * 64
            connection.settimeout(0.5)
            while not stop.is_set():
                try:
                    taken[place] += connection.send(burst)
                except TimeoutError:
                    continue
                except OSError:
                    return

        provider = ScriptedProvider(script)
        self.addCleanup(provider.close)
        self.addCleanup(stop.set)
        directory = Path(self.mktemp())
        directory.mkdir(parents=True)
        file = provider.write_file(directory / "endless.json")
        relay = Twistd([f"--provider={file.absolute()}"], directory=directory).start()
        self.addCleanup(relay.stop)
        pid = relay.process.pid
        before = resident(pid)
        readers = [open_stream(relay.port) for _ in range(READERS)]
        for reader in readers:
            self.addCleanup(reader.close)
        for reader in readers:
            self.assertTrue(reader.recv(100))
        self.settle(taken)
        self.assertEqual(len(taken), READERS)
        self.assertLess(max(taken), 16 * 1024 * 1024)
        self.assertLess(resident(pid) - before, READERS * 3 * 1024 * 1024)
        self.assertEqual(relay.get("/health").status, 200)

    def settle(self, taken: list[int]) -> None:
        """Wait until no stream takes any more."""
        last: list[list[int]] = [[]]

        def still() -> bool:
            time.sleep(1.0)
            same = last[0] == taken and len(taken) == READERS
            last[0] = list(taken)
            return same

        wait_until(still, "the streams come to rest", 120)
