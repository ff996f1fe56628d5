"""A real ``twistd relay`` in front of the fault lab: what the tests of routes have in common.

The lab needs the reactor, so its clients ask in threads of their own.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import attrs

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.integration.lab import LabUpstream
from tests.integration.lab_words import words_for
from tests.integration.twistd import Twistd

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
DONE = b"data: [DONE]\n\n"
SOON: Mapping[str, float] = {"connect": 0.6, "firstByte": 0.6, "idle": 0.6, "total": 4}
"""Deadlines of the lab's providers."""

_T = TypeVar("_T")


@attrs.frozen
class Got:
    """What a client got.

    Attributes:
        status: 0 where not even a head came.
        headers: names in lower case.
        body: as far as it came.
        whole: whether HTTP says that it is whole.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool

    @property
    def deployment(self) -> str:
        """Who is said to have served it."""
        return self.headers.get("x-relay-deployment", "")

    @property
    def attempts(self) -> int:
        """Tries, as it is told."""
        return int(self.headers.get("x-relay-attempts", "0"))


def ask(
    port: int,
    model: str,
    *,
    stream: bool = False,
    headers: Mapping[str, str] | None = None,
    path: str = CHAT,
    text: str = "hi",
) -> Got:
    """Send one request, on a connection of its own, and take whatever comes."""
    asked = {"model": model, "stream": stream, "max_tokens": 64, "messages": [{"role": "user", "content": text}]}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, json.dumps(asked), {"content-type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        body, whole = b"", True
        try:
            body = answer.read()
        except http.client.IncompleteRead as error:
            body, whole = error.partial, False
        return Got(answer.status, fields, body, whole)
    except (OSError, http.client.HTTPException):
        return Got(0, {}, b"", False)
    finally:
        connection.close()


def good(name: str, model: str, *, stream: bool, path: str = CHAT) -> bytes:
    """The answer of the lab's upstream of that name, byte for byte."""
    words = words_for(path, model, f"{name} is here to help")
    return words.opening + b"".join(words.content) + words.ending if stream else words.whole


def together(count: int, *work: Callable[[], _T]) -> Deferred[list[_T]]:
    """Do something in so many threads; fires with all results, in order."""

    def run() -> list[_T]:
        with ThreadPoolExecutor(count) as pool:
            return [each.result() for each in [pool.submit(one) for one in work]]

    return deferToThread(run)


class RoutesCase(TestCase):
    """Two upstreams of the lab; a relay in front of them as soon as a test starts it.

    Attributes:
        mode: which HTTP ends relay takes, "" for what the environment says.
    """

    timeout = 120
    mode = ""

    def setUp(self) -> None:
        self.labs: dict[str, LabUpstream] = {}
        self.one, self.two = self.lab("one"), self.lab("two")
        self.directory = Path(self.mktemp()).absolute()
        self.server: Twistd | None = None

    def lab(self, name: str) -> LabUpstream:
        """One more upstream."""
        self.labs[name] = LabUpstream(reactor, name)
        return self.labs[name]

    async def tearDown(self) -> None:  # type: ignore[override]  # trial waits for it
        if self.server is not None:
            await deferToThread(self.server.stop)
        for lab in self.labs.values():
            await lab.stop()

    def configuration(self, routes: Mapping[str, object], **more: Any) -> dict[str, object]:
        """A configuration with every upstream of the lab as a provider; ``providers`` adds to their entries."""
        added = more.pop("providers", {})
        providers = [lab.provider(timeouts=SOON, **added.get(name, {})) for name, lab in self.labs.items()]
        return {"providers": [*providers, *more.pop("others", ())], "routes": routes, **more}

    def write(self, configuration: Mapping[str, object]) -> None:
        """Put the configuration where relay reads it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "relay.json").write_text(json.dumps(configuration), "utf-8")

    async def start(
        self, routes: Mapping[str, object], environ: Mapping[str, str] | None = None, **more: Any
    ) -> Twistd:
        """Start relay with these routes."""
        self.write(self.configuration(routes, **more))
        options = ["--config=relay.json", "--log-format=json", *([f"--http={self.mode}"] if self.mode else [])]
        server = self.server = Twistd(options, directory=self.directory, environ=environ)
        await deferToThread(server.start)
        return server

    @property
    def relay(self) -> Twistd:
        """The relay that was started."""
        assert self.server is not None
        return self.server

    def ask(self, model: str, **how: Any) -> Deferred[Got]:
        """One request; see `ask`."""
        return deferToThread(ask, self.relay.port, model, **how)

    async def health(self, deployment: str) -> Mapping[str, Any]:
        """What /health tells of a deployment."""
        answer = await deferToThread(self.relay.get, "/health")
        told: Any = answer.json()
        found: Mapping[str, Any] = told["deployments"][deployment]
        return found

    def exchanges(self) -> Sequence[Mapping[str, Any]]:
        """The log's lines about exchanges on routes; relay writes them about a second late."""
        lines = [json.loads(line) for line in self.relay.out.splitlines() if line.endswith("}")]
        return [line for line in lines if line.get("model") and "outcome" in line]


def deployments(*names: str | tuple[str, str], **more: object) -> list[dict[str, object]]:
    """Deployments in this order, the first one preferred: names of providers, with their models."""
    pairs: Iterable[tuple[str, str]] = ((each, "ok") if isinstance(each, str) else each for each in names)
    return [
        {"provider": name, "model": model, "name": f"{name}-{model}", "priority": place, **more}
        for place, (name, model) in enumerate(pairs)
    ]
