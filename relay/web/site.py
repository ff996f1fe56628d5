"""The table of public paths, and the site that serves it."""

# mypy: allow-untyped-calls
# (twisted.web is largely unannotated)

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.internet.interfaces import IAddress, IProtocol, IReactorFromThreads, IReactorTime, ITransport
from twisted.internet.protocol import Protocol
from twisted.python.threadpool import ThreadPool
from twisted.web.http import Request
from twisted.web.resource import IResource, Resource, getChildForRequest
from twisted.web.server import Site

from relay.dialects.registry import DIALECTS
from relay.endpoints import ENDPOINTS, FORWARDED, MODELS_PATH
from relay.errors import Overloaded, UnknownPath
from relay.interfaces import IConfiguration, IKeyStore, IModelCatalog
from relay.runtime.wheel import Wheel
from relay.spool.disk import Disk
from relay.web import gemini, ollama
from relay.web.admin import HealthResource, MetricsResource, ReadyResource, RootResource
from relay.web.base import Door, Guarded, Leaf
from relay.web.body import Reception
from relay.web.channel import Connections, RelayChannel
from relay.web.chat import DialectResource
from relay.web.engine.channel import EngineChannel
from relay.web.engine.heads import Heads
from relay.web.engine.known import KnownHeads
from relay.web.fronts import PREFIX
from relay.web.models import ModelIndex, ModelsResource
from relay.web.records import Reporter
from relay.web.request import RelayRequest
from relay.web.seams import Gateway, Introspection
from relay.web.stock import StockRequest
from relay.wire.http import FieldMemo


class Reactor(IReactorTime, IReactorFromThreads):
    """What the web layer needs of a reactor."""


class _Unknown(Leaf):
    """Every path that the table does not have."""

    def admit(self, request: RelayRequest) -> None:
        """Let nothing in but preflights, for which the door does not ask.

        Raises:
            UnknownPath: always.
        """
        raise UnknownPath("No endpoint has this path; GET / lists them.")

    async def respond(self, request: RelayRequest) -> None:
        """Never called: nothing is admitted."""

    @property
    def allowed(self) -> tuple[str, ...]:
        """What a preflight may ask for, although nothing is served."""
        return ("GET", "HEAD", "POST", "OPTIONS")


class _Busy(Protocol):
    """A connection above the bound: one cheap answer, and it is closed."""

    transport: ITransport

    def __init__(self, door: Door) -> None:
        self._door = door

    def connectionMade(self) -> None:
        """Say why."""
        error = Overloaded("relay has too many connections.", retry_after=1.0)
        self.transport.write(self._door.turn_away(self.transport.getPeer(), error))
        self.transport.loseConnection()


class RelaySite(Site):
    """Serves a table of raw paths.

    A path is compared as it came: neither decoded nor normalised, so that nothing in
    front of relay and relay itself can understand it differently. One slash at the end is
    tolerated; the last segments of a model id are the only open part.

    Args:
        clock: the clock of requests and deadlines.
        table: path → resource.
        door: admits requests and answers errors.
        connections: keeps count of connections.
        reception: takes bodies.
    """

    protocol = RelayChannel  # type: ignore[assignment] # without the switch to HTTP/2

    def __init__(
        self,
        clock: IReactorTime,
        table: Mapping[str, Guarded],
        door: Door,
        connections: Connections,
        reception: Reception,
    ) -> None:
        super().__init__(tree(table), StockRequest, reactor=clock, parsePOSTFormSubmission=False)
        self.clock = clock
        self.table = table
        self.door = door
        self.connections = connections
        self.reception = reception
        self._unknown = _Unknown(door)
        self._found: dict[bytes, Guarded] = {}

    def buildProtocol(self, addr: IAddress | None) -> IProtocol:  # type: ignore[override] # Twisted names its own
        """A channel for a new connection, or a short goodbye when there are too many."""
        if self.connections.full:
            return _Busy(self.door)
        channel: RelayChannel = super().buildProtocol(addr)
        channel.connections, channel.reception = self.connections, self.reception
        return channel

    def getResourceFor(self, request: RelayRequest) -> IResource:
        """The resource of a path that the table has, found by walking the tree; else one that says 404.

        What is found for a path that stands in the table as it came is remembered.
        """
        found = self._found.get(request.path)
        if found is not None:
            return found
        path = request.path.decode("latin-1")
        exact = path in self.table
        if path == "*" and request.method == b"OPTIONS":
            path = "/"
        if len(path) > len("//"):
            path = path.removesuffix("/")
        if path not in self.table and not _is_model(path):
            return self._unknown
        request.prepath, request.postpath = [], path.encode("latin-1")[1:].split(b"/")
        resource: IResource = getChildForRequest(self.resource, request)
        if exact and isinstance(resource, Guarded):
            self._found[request.path] = resource
        return resource

    def startFactory(self) -> None:
        """Twisted's access log stays off, and so does the timer that dates its lines."""

    def stopFactory(self) -> None:
        """Nothing was started."""

    def log(self, request: Request) -> None:
        """Exchanges have a log of their own."""

    def acceptableProtocols(self) -> list[bytes]:
        """HTTP/1.1 only, also where TLS could offer HTTP/2."""
        return [b"http/1.1"]


class EngineSite(RelaySite):
    """The same site on relay's own channel.

    Args:
        wheel: runs the connections' deadlines; of the site's clock.
        heads: begins the heads of answers.
        others: as for `RelaySite`.
    """

    def __init__(self, wheel: Wheel, heads: Heads, *others: Any) -> None:
        super().__init__(*others)
        self.wheel = wheel
        self.heads = heads
        self.memo = FieldMemo()
        self.known = KnownHeads()

    def buildProtocol(self, addr: IAddress | None) -> IProtocol:  # type: ignore[override] # Twisted names its own
        """A channel for a new connection, or a short goodbye when there are too many."""
        return _Busy(self.door) if self.connections.full else EngineChannel(self)


def _is_model(path: str) -> bool:
    return path.startswith((f"{MODELS_PATH}/", f"{MODELS_PATH.removeprefix(PREFIX)}/", f"{gemini.MODELS}/"))


def _others(door: Door, gateway: Gateway, index: ModelIndex, reporter: Reporter) -> dict[str, Guarded]:
    """The paths of dialects that do not live below ``/v1``."""
    kinds = {"ollama": ollama.OllamaAction}
    table: dict[str, Guarded] = {
        endpoint.path: kinds.get(endpoint.front, DialectResource)(door, endpoint, gateway)
        for endpoint in ENDPOINTS.values()
        if endpoint.public and endpoint.path not in FORWARDED and "{model}" not in endpoint.path
    }
    table[gemini.MODELS] = gemini.GeminiModels(door, index, gateway, reporter)
    table[ollama.TAGS] = ollama.OllamaTags(door, index, gateway, reporter)
    table[ollama.SHOW] = ollama.OllamaShow(door, index, gateway, reporter)
    table[ollama.VERSION] = ollama.OllamaVersion(door)
    return table


def _listed() -> tuple[str, ...]:
    """The paths that ``GET /`` shows."""
    forwarded = (path for path, endpoint in ENDPOINTS.items() if endpoint.public)
    own = (MODELS_PATH, gemini.MODELS, ollama.TAGS, ollama.SHOW, ollama.VERSION, "/health", "/ready", "/metrics")
    return (*forwarded, *own)


def tree(table: Mapping[str, Resource]) -> Resource:
    """Hang resources into a tree, one level for each segment of their paths."""
    root = Resource()
    for path in sorted(table):
        *above, last = path.encode("ascii")[1:].split(b"/")
        node = root
        for segment in above:
            if segment not in node.children:
                node.putChild(segment, Resource())
            node = node.children[segment]
        node.putChild(last, table[path])
    return root


def both(path: str) -> tuple[str, str]:
    """A canonical path with and without its prefix."""
    return path, path.removeprefix(PREFIX)


def build_site(
    reactor: Reactor,
    gateway: Gateway,
    configuration: IConfiguration,
    catalog: IModelCatalog,
    keys: IKeyStore,
    introspection: Introspection,
    threads: ThreadPool,
    wall: Callable[[], float] = time.time,
    *,
    engine: bool = False,
    wheel: Wheel | None = None,
) -> RelaySite:
    """Build the site with all its resources.

    Args:
        reactor: clock of requests; the gateway has to use the same one.
        gateway: does the work.
        configuration: read anew for each request.
        catalog: what the providers list.
        keys: whether and which keys are required.
        introspection: the process's own state.
        threads: a started pool for nothing but files of uploads.
        wall: Unix seconds.
        engine: whether relay's own channel serves, or Twisted's.
        wheel: runs the engine's deadlines; None for one of its own.
    """
    reporter = Reporter(gateway, configuration, reactor, wall)
    door = Door(configuration, keys, DIALECTS, reporter)
    index = ModelIndex(configuration, catalog, keys, reactor)
    actions = gemini.actions(door, gateway)
    models = ModelsResource(door, index, gateway, reporter, partial(gemini.acting, actions))
    table: dict[str, Guarded] = {
        "/": RootResource(door, _listed()),
        "/health": HealthResource(door, configuration, introspection),
        "/ready": ReadyResource(door, introspection),
        "/metrics": MetricsResource(door, introspection),
        **dict.fromkeys(both(MODELS_PATH), models),
    }
    for endpoint in FORWARDED.values():
        leaf = DialectResource(door, endpoint, gateway)
        table.update(dict.fromkeys(both(endpoint.path), leaf))
    table |= _others(door, gateway, index, reporter)
    connections = Connections(reactor, configuration)
    reception = Reception(Disk(reactor, threads), configuration)
    if engine:
        wheel = Wheel(reactor) if wheel is None else wheel
        return EngineSite(wheel, Heads(wall), reactor, table, door, connections, reception)
    return RelaySite(reactor, table, door, connections, reception)
