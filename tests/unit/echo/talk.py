"""A conversation with the echo over HTTP, in memory and on a clock that the test moves."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.http import fromChunk
from twisted.web.server import Site

from relay.echo.player import Tally
from relay.echo.resources import EchoResource
from tests.unit.echo.asking import NOW

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"


TURN = 1e-6
"""Seconds of one turn of the clock."""


class Turns(Clock):
    """A clock on which a call made in one turn waits for the next, as on a real reactor."""

    def callLater(  # type: ignore[override] # the same, called in one way only
        self,
        delay: float,
        callable: Callable[[], object],  # noqa: A002 # Twisted's name
    ) -> IDelayedCall:
        """Call it after the delay, at the earliest in the next turn."""
        return super().callLater(max(delay, TURN), callable)


class Talk:
    """One client connection.

    Attributes:
        clock: moves the echo's timers.
        tally: the echo's counts.
        transport: the server's side of the connection.
    """

    def __init__(self) -> None:
        self.clock = Turns()
        self.tally = Tally()
        self.transport = StringTransport()
        resource = EchoResource(self.clock, self.tally, lambda: NOW)
        site = Site(resource, parsePOSTFormSubmission=False, timeout=None, reactor=self.clock)
        channel = site.buildProtocol(None)
        assert channel is not None
        self._channel = channel
        self._channel.makeConnection(self.transport)

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> None:
        """Send a request; underscores in header names stand for hyphens."""
        lines = [f"{method} {path} HTTP/1.1", "host: echo", f"content-length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
        self._channel.dataReceived("\r\n".join([*lines, "", ""]).encode() + body)

    def post(self, path: str, **fields: object) -> None:
        """Send a JSON request."""
        self.send("POST", path, json.dumps(fields).encode(), content_type="application/json")

    def chat(self, text: str, *, stream: bool = True, **knobs: object) -> None:
        """Ask for a chat completion."""
        self.post(CHAT, model="m", messages=[{"role": "user", "content": text}], stream=stream, echo=knobs)

    def steps(self, count: int, seconds: float = TURN) -> None:
        """Let the timer fire so many times."""
        self.clock.pump([seconds] * count)

    def pause(self) -> None:
        """The client does not read: the connection is full."""
        self._producer().pauseProducing()

    def resume(self) -> None:
        """The client reads again."""
        self._producer().resumeProducing()

    def lose(self) -> None:
        """The transport tells its producer that the connection is lost."""
        self._producer().stopProducing()

    def _producer(self) -> IPushProducer:
        """What the connection pauses and resumes."""
        return IPushProducer(self.transport.producer)

    def leave(self) -> None:
        """The client closes the connection."""
        self._channel.connectionLost(Failure(ConnectionDone()))

    @property
    def received(self) -> bytes:
        """Everything the client has got."""
        value: bytes = self.transport.value()
        return value

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the answer."""
        status, *lines = self.received.split(b"\r\n\r\n")[0].decode().split("\r\n")
        fields = (line.split(": ", 1) for line in lines)
        return int(status.split(" ")[1]), {name.lower(): text for name, text in fields}

    def body(self) -> bytes:
        """The answer's body as far as it has come, chunks joined."""
        _, headers = self.head()
        rest = self.received.split(b"\r\n\r\n", 1)[1]
        if headers.get("transfer-encoding") != "chunked":
            return rest
        found = b""
        while rest and not rest.startswith(b"0\r\n"):
            data, rest = fromChunk(rest)
            found += data
        return found

    def json(self) -> Any:  # JSON
        """The answer's body as JSON."""
        return json.loads(self.body())

    def words(self) -> str:
        """The words of a chat stream as far as they have come."""
        text = ""
        for frame in self.body().decode().split("\n\n"):
            if frame.startswith("data: {"):
                for choice in json.loads(frame.removeprefix("data: "))["choices"]:
                    text += choice["delta"].get("content") or ""
        return text

    @property
    def ended(self) -> bool:
        """Whether the answer was finished tidily."""
        _, headers = self.head()
        if headers.get("transfer-encoding") == "chunked":
            return self.received.endswith(b"0\r\n\r\n")
        return len(self.body()) == int(headers["content-length"])
