"""What all resources share: admission by the head, and the one door through which errors leave."""

# mypy: allow-untyped-calls
# (twisted.web is largely unannotated)

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from relay.config import ServerConfig
from relay.dialects.base import Dialect
from relay.errors import Forbidden, InternalError, MethodNotAllowed, RelayError
from relay.exchange import Headers
from relay.interfaces import IConfiguration, IKeyStore
from relay.web import cors, failures, hosts
from relay.web.fronts import front
from relay.web.records import Reporter
from relay.web.request import Ids, RelayRequest, host_of

OTHER = "other"
"""The endpoint's name in records where the path is unknown."""


_MOST_HOSTS = 64
"""Hosts and local addresses that are remembered."""


class Guarded(Resource, ABC):
    """A resource behind the door, which admits requests for it and answers its errors.

    Attributes:
        methods: what it takes, besides HEAD (with GET) and OPTIONS.
        endpoint: its canonical path, for records.
    """

    methods: ClassVar[tuple[str, ...]] = ("GET",)
    endpoint = OTHER

    def __init__(self, door: Door) -> None:
        super().__init__()
        self._door = door

    @property
    def allowed(self) -> tuple[str, ...]:
        """All methods that it takes, for ``Allow``."""
        return (*self.methods, *(("HEAD",) if "GET" in self.methods else ()), "OPTIONS")

    def admit(self, request: RelayRequest) -> None:
        """Decide by the head, before the body is read.

        Raises:
            RelayError: the answer.
        """
        if request.method.decode("latin-1") not in self.allowed:
            raise MethodNotAllowed(f"This endpoint takes {', '.join(self.allowed)}.", self.allowed)

    @abstractmethod
    def serve(self, request: RelayRequest) -> Deferred[None]:
        """Answer a request with one of `methods`; fires when that is done.

        Fails with `RelayError`: the answer, as long as nothing has been written.
        """

    def render(self, request: RelayRequest) -> int:
        """Twisted's entry."""
        self._door.open(request, self)
        return NOT_DONE_YET


class Leaf(Guarded):
    """A resource that answers with a coroutine."""

    def serve(self, request: RelayRequest) -> Deferred[None]:
        """Run the coroutine."""
        return Deferred.fromCoroutine(self.respond(request))

    @abstractmethod
    async def respond(self, request: RelayRequest) -> None:
        """Answer a request with one of `methods`.

        Raises:
            RelayError: the answer, as long as nothing has been written.
        """


class _Callers:
    """Remembers which hosts are welcome under a configuration: clients name the same few again and again."""

    def __init__(self) -> None:
        self._server: ServerConfig | None = None
        self._known: set[str] = set()

    def check(self, server: ServerConfig, named: Sequence[str], origins: Sequence[str]) -> None:
        """Do as `hosts.check` does.

        Raises:
            Forbidden: a host or an origin is foreign.
        """
        if server is not self._server:
            self._server = server
            self._known.clear()
        if not origins and self._known.issuperset(named):
            return
        hosts.check(server, named, origins)
        if len(self._known) < _MOST_HOSTS:
            self._known.update(named)


class Door:
    """Admits requests, and turns whatever goes wrong into an answer in the caller's dialect.

    Args:
        configuration: origins and hosts that may call.
        keys: tells whether keys are required; if so, any host name may be used.
        dialects: name → dialect; they know the shapes of errors.
        reporter: told of each request that is refused here.

    Attributes:
        ids: names requests.
    """

    _log = Logger()

    def __init__(
        self,
        configuration: IConfiguration,
        keys: IKeyStore,
        dialects: Mapping[str, Dialect],
        reporter: Reporter,
    ) -> None:
        self._configuration = configuration
        self._keys = keys
        self._dialects = dialects
        self._reporter = reporter
        self._callers = _Callers()
        self._loopback: dict[str, bool] = {}
        self.ids = Ids()

    # ── in ────────────────────────────────────────────────────────────────────────────

    def admit(self, request: RelayRequest) -> None:
        """Decide by the head alone.

        Raises:
            RelayError: the request is refused.
        """
        server = self._configuration.snapshot.server
        origins = request.values(b"origin")
        request.greet(cors.fields(server.cors_origins, origins[0] if origins else None))
        if self.is_loopback(request.local) and not self._keys.required():
            self._callers.check(server, request.hosts, origins)
        resource = request.resource
        if isinstance(resource, Guarded):
            request.guarded = resource
            if not (request.method == b"OPTIONS" and self._is_preflight(request)):
                resource.admit(request)

    def open(self, request: RelayRequest, leaf: Guarded) -> None:
        """Let a resource answer an admitted request."""
        try:
            if request.method == b"OPTIONS":
                self._tell_options(request, leaf)
            else:
                leaf.serve(request).addErrback(self.caught, request)
        except Exception:
            self.caught(Failure(), request)

    def _tell_options(self, request: RelayRequest, leaf: Guarded) -> None:
        methods = tuple(method.encode("ascii") for method in leaf.allowed)
        headers: Headers = ((b"allow", b", ".join(methods)),)
        if self._is_preflight(request):
            headers = (*headers, *cors.preflight(methods, request.header(b"access-control-request-headers")))
        request.answer(204, headers)

    def is_loopback(self, local: str) -> bool:
        """Whether an address is loopback, remembered: a process has few addresses."""
        found = self._loopback.get(local)
        if found is None:
            found = hosts.is_loopback(local)
            if len(self._loopback) < _MOST_HOSTS:
                self._loopback[local] = found
        return found

    def welcomes(self, request: RelayRequest) -> bool:
        """Whether a request's host and origins may call where loopback asks for no keys."""
        try:
            self._callers.check(self._configuration.snapshot.server, request.hosts, request.values(b"origin"))
        except Forbidden:
            return False
        return True

    def asks_for_keys(self) -> bool:
        """Whether clients need keys of relay's."""
        return self._keys.required()

    def _is_preflight(self, request: RelayRequest) -> bool:
        """Whether an OPTIONS request is a browser's, on behalf of a page that may call."""
        if request.header(b"access-control-request-method") is None:
            return False
        origins, server = request.values(b"origin"), self._configuration.snapshot.server
        return bool(origins) and hosts.allows(server.cors_origins, origins[0])

    # ── out ───────────────────────────────────────────────────────────────────────────

    def failed(self, request: RelayRequest, reason: Failure) -> None:
        """Answer for a resource that raised."""
        error = reason.value
        self.refuse(request, error if isinstance(error, RelayError) else self.unexpected(request, reason))

    def caught(self, reason: Failure, request: RelayRequest) -> None:
        """Do the same, whatever comes."""
        try:
            self.failed(request, reason)
        except Exception:
            self._give_up(request, Failure())

    def unexpected(self, request: RelayRequest, reason: Failure) -> InternalError:
        """Log an exception that nobody foresaw; the client is told that it happened, not what it was."""
        self._log.failure("unexpected exception in a resource", failure=reason, exchange=request.id)
        return InternalError(f"relay failed; its log tells more under request id {request.id}.")

    def refuse(self, request: RelayRequest, error: RelayError) -> None:
        """Answer with an error, or break off an answer that has begun."""
        spoken = front(request.path.decode("latin-1"), request.headers)
        if request.startedWriting:
            request.abort()
        elif not request.gone:
            rendered = failures.render(error, self._dialects[spoken], request.id)
            request.answer(rendered.status, rendered.headers, rendered.body)
        if not request.settled:
            request.settled = True
            self._reporter.refused(request, getattr(request.resource, "endpoint", OTHER), spoken, error)

    def turn_away(self, address: IAddress, error: RelayError) -> bytes:
        """A whole error answer for a connection on which no request was understood, in the commonest shape."""
        request_id = self.ids.new()
        self._reporter.turned_away(request_id, host_of(address), error)
        return failures.as_bytes(failures.render(error, self._dialects["openai"], request_id), request_id)

    def _give_up(self, request: RelayRequest, reason: Failure) -> None:
        """Even the error could not be told."""
        self._log.failure("an error could not be rendered", failure=reason, exchange=request.id)
        request.abort()
