"""The fault lab: upstreams on real sockets that fail on command, count what they are asked, die and come back.

::

    class SomeTests(TestCase):
        def setUp(self) -> None:
            self.one = LabUpstream(reactor, "one")
            self.two = LabUpstream(reactor, "two")
            config = {"providers": [self.one.provider(), self.two.provider()], "routes": …}

        async def tearDown(self) -> None:
            await self.one.stop()
            await self.two.stop()

        async def test_it(self) -> None:
            self.one.then("resets", "429-after")     # the next two requests, in this order
            …
            self.assertEqual((self.one.attempts, self.two.attempts), (2, 1))

**What happens to a request** is said, in this order, by the queue that `LabUpstream.then` fills, by
`LabUpstream.repeat` (``one.repeat("ok", "500")`` fails every second time), or by the model it asks for: a
deployment whose model is ``cut-before-content`` is one that always does that. All else is served well. A command is
the name of a fault in `lab_faults.FAULTS`, a status (``503``, ``429-after``, ``429-after-ms``: see
`lab_faults.find`), or a function of a `Scene`. `Fault.moment` tells whether a client may notice it, so
``[fault for fault in FAULTS.values() if fault.moment is Moment.BEFORE]`` is every fault that a second
deployment hides.

Good answers say ``NAME is here to help``, as JSON or as a stream, in OpenAI's dialect, and in Anthropic's on
``…/messages``: who has answered is seen, and so is a mixture. `LabUpstream.pace` slows streams down,
`LabUpstream.delay` is the time that ``slow`` takes to the first byte, `LabUpstream.wait` what ``Retry-After`` asks for.

**What it has seen**: `LabUpstream.attempts`, `LabUpstream.log` (each request with time, command, model and key),
`LabUpstream.played`, `LabUpstream.connections`, `LabUpstream.open`, and `LabUpstream.hanging`: the connections that are
open in the middle of an answer, of which none may be left when all is over. `LabUpstream.until` waits for anything.

**Dying**: `LabUpstream.die` in one of the `DEATHS`, for connections old and new, until `LabUpstream.revive`. The port
stays its own in between.

For tests that block (a real ``twistd``), run their client in a thread: the lab needs the reactor.
"""

from __future__ import annotations

import itertools
import json
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, cast, get_args

import attrs

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.ssl import CertificateOptions

from tests.integration.faults import Asked, FaultServer, Peer
from tests.integration.lab_faults import Fault, Moment, Scene, find
from tests.integration.lab_words import words_for

Command = str | Callable[[Scene], None]
"""The name of a fault, or what does it."""

Death = Literal["refuses", "vanishes", "hangs", "resets", "closes"]
DEATHS: tuple[Death, ...] = get_args(Death)
"""Ways for a whole server to die.

refuses: nothing listens on its port, and its connections are reset: it was killed.
vanishes: not even connecting gets an answer, and its connections are silent: its machine is gone.
hangs: it accepts connections, and does nothing more on any: it was stopped.
resets, closes: it accepts connections and drops them, as it does with those it has: what stands before it has lost it.
"""

_BACKLOG = 8
"""Connections that surely fill a listening socket without any backlog."""


@attrs.frozen
class Seen:
    """One request that came whole.

    Attributes:
        at: when, in the clock's seconds.
        command: the name of what was done about it; ``function`` where it was one.
        asked: the request.
        peer: its connection.
    """

    at: float
    command: str
    asked: Asked
    peer: Peer

    @property
    def json(self) -> Mapping[str, Any]:
        """Its body; {} where that is no JSON object."""
        return _json(self.asked)

    @property
    def model(self) -> str:
        """The model it asks for, "" if it names none."""
        return str(self.json.get("model", ""))

    @property
    def key(self) -> str:
        """The key it came with, "" without one."""
        bearer = self.asked.header(b"authorization") or [b""]
        plain = self.asked.header(b"x-api-key") or [b""]
        return (bearer[0].removeprefix(b"Bearer ") or plain[0]).decode()


class LabUpstream(FaultServer):
    """One upstream of the lab; it listens from the beginning.

    Args:
        reactor: the real one.
        name: what it calls itself, in configuration and in answers.
        tls: settings where it speaks TLS; a bad certificate is ``Authority().self_signed("127.0.0.1")``.

    Attributes:
        name: its name.
        origin: where it listens.
        pace: seconds between two frames of content; 0 sends them at once.
        delay: seconds until the first byte of ``slow``.
        wait: seconds that ``-after`` and ``-after-ms`` ask for.
        log: every request, in the order in which they came.
        played: command → how often.
    """

    def __init__(self, reactor: Any, name: str = "lab", *, tls: CertificateOptions | None = None) -> None:
        super().__init__(reactor)
        self.name = name
        self.pace = 0.0
        self.delay = 0.2
        self.wait = 1.0
        self.log: list[Seen] = []
        self.played: Counter[str] = Counter()
        self.on_connect = self._greet
        self.on_request = self._answer
        self._tls = tls
        self._queue: deque[Command] = deque()
        self._always: Iterator[Command] | None = None
        self._death: Death | None = None
        self._serving: set[Peer] = set()
        self._keeping: list[socket.socket] = []
        self.origin = self.listen(tls)

    # ── commands ──────────────────────────────────────────────────────────────────────

    def then(self, *commands: Command) -> None:
        """Say what happens to the next requests, one each, behind those of which it was said before."""
        self._queue.extend(_known(command) for command in commands)

    def repeat(self, *commands: Command) -> None:
        """Say what happens to all other requests, in turns; without commands, their models say it."""
        self._always = itertools.cycle([_known(command) for command in commands]) if commands else None

    def provider(self, **more: object) -> dict[str, object]:
        """Its entry in the list of providers of relay's configuration; it wants no key unless ``auth`` says so."""
        origin = self.origin
        url = f"{origin.scheme}://{origin.host}:{origin.port}"
        return {"name": self.name, "baseUrl": url, "auth": {"scheme": "none"}, **more}

    # ── what it has seen ──────────────────────────────────────────────────────────────

    @property
    def attempts(self) -> int:
        """Whole requests that came."""
        return len(self.log)

    @property
    def connections(self) -> int:
        """Connections that were made."""
        return len(self.peers)

    @property
    def open(self) -> int:
        """Connections that are open."""
        return sum(peer.lost is None for peer in self.peers)

    @property
    def hanging(self) -> list[Peer]:
        """Connections that are open in the middle of an answer."""
        return [peer for peer in self._serving if peer.lost is None]

    # ── dying ─────────────────────────────────────────────────────────────────────────

    async def die(self, how: Death = "refuses") -> None:
        """Die, with all connections, until `revive`."""
        assert self._death is None, "it is dead already"
        self._death = how
        for peer in [peer for peer in self.peers if peer.lost is None]:
            self._drop(peer)
        if how in ("refuses", "vanishes"):
            await self._stop_listening()
            self._keep_port(silent=how == "vanishes")

    async def revive(self) -> None:
        """Come back on the same port; connections that were left silent are reset."""
        silent = [peer for peer in self.peers if peer.lost is None]
        for peer in silent:
            peer.reset()
        self._death = None
        self._leave_port()
        if self._port is None:
            listen = self.clock.listenTCP if self._tls is None else self.clock.listenSSL
            context = () if self._tls is None else (self._tls,)
            self._port = cast("IListeningPort", listen(self.origin.port, self, *context, interface="127.0.0.1"))

    async def stop(self) -> None:
        """End for good: stop listening and drop all connections; returns when they are gone."""
        self._leave_port()
        await super().stop()

    async def _stop_listening(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)

    def _keep_port(self, *, silent: bool) -> None:
        """Keep the port from others: a socket that does not listen refuses connections, one that is full is silent."""
        keeper = socket.socket()
        self._keeping.append(keeper)
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", self.origin.port))
        if silent:
            keeper.listen(0)
            for _ in range(_BACKLOG):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", self.origin.port))
                self._keeping.append(filler)

    def _leave_port(self) -> None:
        kept, self._keeping = self._keeping, []
        for each in kept:
            each.close()

    def _drop(self, peer: Peer) -> None:
        """Do to a connection what its server's death does to it."""
        if self._death in ("refuses", "resets"):
            peer.reset()
        elif self._death == "closes":
            peer.close()
        else:
            peer.silence()

    # ── requests ──────────────────────────────────────────────────────────────────────

    def _greet(self, peer: Peer) -> None:
        if self._death is not None:
            self._drop(peer)

    def _answer(self, peer: Peer, asked: Asked) -> None:
        if self._death is not None:
            return
        body = _json(asked)
        model = str(body.get("model", ""))
        fault = self._choose(model)
        self._serving.add(peer)
        self.played[fault.name] += 1
        self.log.append(Seen(self.clock.seconds(), fault.name, asked, peer))
        scene = Scene(
            peer=peer,
            asked=asked,
            words=words_for(asked.target, model, f"{self.name} is here to help"),
            stream=body.get("stream") is True,
            delay=self.delay,
            pace=self.pace,
            wait=self.wait,
            done=lambda: self._served(peer),
        )
        fault.play(scene)

    def _served(self, peer: Peer) -> None:
        self._serving.discard(peer)
        self.check()

    def _choose(self, model: str) -> Fault:
        command: Command | None = None
        if self._queue:
            command = self._queue.popleft()
        elif self._always is not None:
            command = next(self._always)
        if callable(command):
            return Fault("function", Moment.BEFORE, command)
        fault = find(model if command is None else command) or find("ok")
        assert fault is not None
        return fault


def _json(asked: Asked) -> Mapping[str, Any]:
    try:
        body = json.loads(asked.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _known(command: Command) -> Command:
    """The command, if it is one."""
    if isinstance(command, str) and find(command) is None:
        raise ValueError(f"the lab has no fault {command!r}")
    return command
