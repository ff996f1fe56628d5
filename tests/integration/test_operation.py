"""Running: reload, drain and clients that leave, on the real ``twistd relay``."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.integration.test_twistd import CHAT, TwistdCase
from tests.integration.twistd import Twistd, wait_until


def streaming(**echo: object) -> bytes:
    """A streamed chat request; ``echo`` turns the knobs of the echo."""
    return json.dumps({**CHAT, "stream": True, "echo": echo}).encode()


class Reader:
    """A client that reads a stream event by event.

    Args:
        server: where.
        body: the request.
        path: the endpoint.
    """

    def __init__(self, server: Twistd, body: bytes, path: str = "/v1/chat/completions") -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self.connection.request("POST", path, body, {"content-type": "application/json"})
        assert self.connection.sock is not None
        self.socket: socket.socket = self.connection.sock
        self.answer = self.connection.getresponse()

    def events(self) -> Iterator[str]:
        """The data of each event."""
        for line in self.answer:
            if line.startswith(b"data: "):
                yield line[6:].strip().decode()

    def leave(self) -> None:
        """Reset the connection, as a killed process does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self.answer.close()
        self.connection.close()
        self.socket.close()


class OperationCase(TwistdCase):
    """Clients and figures."""

    def reader(self, server: Twistd, body: bytes, path: str = "/v1/chat/completions") -> Reader:
        """A client that is closed after the test."""
        reader = Reader(server, body, path)
        self.addCleanup(reader.close)
        return reader

    def health(self, server: Twistd) -> Any:
        """The body of /health."""
        return json.loads(server.get("/health").body)

    def exchanges(self, server: Twistd) -> list[Any]:
        """The exchange lines so far (with --log-format=json)."""
        lines = [json.loads(line) for line in server.out.splitlines() if line.endswith("}")]
        return [line for line in lines if line.get("event") == "exchange" and line["method"] == "POST"]


class ReloadTests(OperationCase):
    """All or nothing; the last good reading stays."""

    def served(self) -> tuple[Twistd, Path]:
        """A server with a provider file that can be changed; its ``models`` tell the reading."""
        path = self.write("files/mine.json", self.provider("first"))
        server = self.twistd("--provider=mine", f"--transformer-dir={path.parent}", "--log-format=json").start()
        return server, path

    def provider(self, model: str) -> dict[str, object]:
        """A provider file."""
        return {"baseUrl": "http://127.0.0.1:1", "auth": {"scheme": "none"}, "models": [model]}

    def models(self, server: Twistd) -> list[str]:
        """Ids in /v1/models."""
        return [model["id"] for model in json.loads(server.get("/v1/models").body)["data"]]

    def generation(self, server: Twistd) -> int:
        """The generation that /health tells."""
        return int(self.health(server)["config"]["generation"])

    def test_sighup(self) -> None:
        """SIGHUP reads again at once."""
        server, path = self.served()
        self.assertEqual((self.generation(server), self.models(server)), (1, ["first"]))
        path.write_text(json.dumps(self.provider("second")), "utf-8")
        server.signal(signal.SIGHUP)
        wait_until(lambda: self.generation(server) == 2, "the new reading is in force")
        self.assertEqual(self.models(server), ["second"])
        self.assertIn(b"relay_config_generation 2.0", server.get("/metrics").body)

    def test_fileChange(self) -> None:
        """A changed file is noticed without a signal, also when it is replaced as editors do."""
        server, path = self.served()
        other = path.with_name("mine.tmp")
        other.write_text(json.dumps(self.provider("a-longer-name")), "utf-8")
        other.rename(path)
        wait_until(lambda: self.generation(server) == 2, "the new reading is in force")
        self.assertEqual(self.models(server), ["a-longer-name"])

    def test_brokenFileChangesNothing(self) -> None:
        """A broken file is told in /health, the metrics and the log, and the old reading stays until it is mended."""
        server, path = self.served()
        path.write_text('{"baseUrl": 7}', "utf-8")
        server.signal(signal.SIGHUP)
        wait_until(lambda: self.health(server)["config"]["failures"], "the refusal is told")
        told = self.health(server)["config"]
        self.assertEqual((told["generation"], self.models(server)), (1, ["first"]))
        self.assertIn("baseUrl", told["lastError"])
        failures = [line for line in server.get("/metrics").body.split(b"\n") if b"reload_failures_total " in line]
        self.assertTrue(float(failures[-1].split()[1]) >= 1, failures)
        self.assertIn("mine.json", server.out)
        path.write_text(json.dumps(self.provider("mended")), "utf-8")
        server.signal(signal.SIGHUP)
        wait_until(lambda: self.generation(server) == 2, "the mended file is in force")
        told = self.health(server)["config"]
        self.assertEqual((told["lastError"], self.models(server)), (None, ["mended"]))

    def test_runningStreamKeepsItsReading(self) -> None:
        """A stream that began before a reload ends whole, although its provider has gone."""
        path = self.write("relay.json", {"providers": ["echo"]})
        server = self.twistd(f"--config={path}", "--log-format=json").start()
        events = self.reader(server, streaming(chunks=20, delay_ms=50)).events()
        next(events)
        self.write("files/mine.json", self.provider("only"))
        path.write_text(json.dumps({"providers": ["./files/mine.json"]}), "utf-8")
        server.signal(signal.SIGHUP)
        wait_until(lambda: self.generation(server) == 2, "the new reading is in force")
        self.assertEqual(list(events)[-1], "[DONE]")
        self.assertEqual(list(self.health(server)["providers"]), ["mine"])


class DrainTests(OperationCase):
    """SIGTERM lets running exchanges end, within a deadline."""

    def test_streamEnds(self) -> None:
        """A running stream completes, new connections are refused meanwhile, and the process ends right after."""
        server = self.twistd("--provider=echo", "--log-format=json").start()
        events = self.reader(server, streaming(chunks=20, delay_ms=100)).events()
        next(events)
        server.signal(signal.SIGTERM)
        wait_until(lambda: not self.connects(server), "new connections are refused")
        self.assertIsNone(server.process.poll())
        self.assertEqual(list(events)[-1], "[DONE]")
        ended = time.monotonic()
        self.assertEqual(server.wait(), -signal.SIGTERM)
        self.assertLess(time.monotonic() - ended, 5)
        self.assertEqual([line["outcome"] for line in self.exchanges(server)], ["complete"])

    def test_deadline(self) -> None:
        """A stream that goes on past ``timeouts.drain`` ends with an error event and without [DONE]."""
        path = self.write("relay.json", {"providers": ["echo"], "timeouts": {"drain": 0.5}})
        server = self.twistd(f"--config={path}", "--log-format=json").start()
        events = self.reader(server, streaming(endless=True, delay_ms=20)).events()
        next(events)
        server.signal(signal.SIGTERM)
        began = time.monotonic()
        last = list(events)[-1]
        self.assertIn("error", json.loads(last))
        self.assertEqual(server.wait(), -signal.SIGTERM)
        self.assertTrue(0.4 < time.monotonic() - began < 10)
        self.assertNotEqual([line["outcome"] for line in self.exchanges(server)], ["complete"])

    def test_deadlineOnMessages(self) -> None:
        """The error event is in the caller's own dialect."""
        path = self.write("relay.json", {"providers": ["echo"], "timeouts": {"drain": 0.2}})
        server = self.twistd(f"--config={path}").start()
        body = {"model": "echo-1", "max_tokens": 9, "messages": CHAT["messages"], "stream": True}
        reader = self.reader(server, json.dumps({**body, "echo": {"stall_after": 1}}).encode(), "/v1/messages")
        events = reader.events()
        next(events)
        server.signal(signal.SIGTERM)
        last = json.loads(list(events)[-1])
        self.assertEqual((last["type"], "message" in last["error"]), ("error", True))

    def test_idleConnectionsDoNotHold(self) -> None:
        """A client's idle keep-alive connection does not delay the end."""
        server = self.twistd().start()
        idle = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self.addCleanup(idle.close)
        idle.request("GET", "/health")
        idle.getresponse().read()
        began = time.monotonic()
        server.stop()
        self.assertLess(time.monotonic() - began, 5)

    def connects(self, server: Twistd) -> bool:
        """Whether a new connection is taken."""
        try:
            socket.create_connection(("127.0.0.1", server.port), 5).close()
        except ConnectionRefusedError:
            return False
        return True


class LeavingTests(OperationCase):
    """A client that goes away mid-stream."""

    def test_killedClient(self) -> None:
        """The exchange is settled as client_gone within a second, and no descriptor is left over."""
        server = self.twistd("--provider=echo", "--log-format=json").start()
        self.assertEqual(server.post("/v1/chat/completions", CHAT).status, 200)
        before = self.descriptors(server)
        for _ in range(5):
            reader = self.reader(server, streaming(endless=True, delay_ms=10))
            next(reader.events())
            reader.leave()
        wait_until(lambda: len(self.exchanges(server)) == 6, "the exchanges are settled", 5)
        self.assertEqual([line["outcome"] for line in self.exchanges(server)[1:]], ["client_gone"] * 5)
        wait_until(lambda: self.descriptors(server) <= before, "the descriptors are given back", 5)
        self.assertEqual(self.health(server)["activeRequests"], 0)

    def test_clientThatEndsItsOwnSide(self) -> None:
        """A tidy close of the whole connection counts as leaving, too."""
        server = self.twistd("--provider=echo", "--log-format=json").start()
        reader = self.reader(server, streaming(stall_after=1))
        next(reader.events())
        reader.close()
        wait_until(lambda: self.exchanges(server), "the exchange is settled", 5)
        self.assertEqual(self.exchanges(server)[0]["outcome"], "client_gone")

    def descriptors(self, server: Twistd) -> int:
        """Open descriptors of the process."""
        return sum(1 for _ in Path(f"/proc/{server.process.pid}/fd").iterdir())
