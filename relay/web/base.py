"""What all resources share: admission by the head, and the one door through which errors leave."""

# mypy: allow-untyped-calls
# (twisted.web is largely unannotated)

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from relay.dialects.base import Dialect
from relay.errors import InternalError, MethodNotAllowed, RelayError
from relay.exchange import Headers
from relay.interfaces import IConfiguration, IKeyStore
from relay.web import cors, failures, hosts
from relay.web.fronts import front
from relay.web.records import Reporter
from relay.web.request import RelayRequest, host_of, new_id

OTHER = "other"
"""The endpoint's name in records where the path is unknown."""


class Leaf(Resource, ABC):
    """A resource that answers with a coroutine and leaves its errors to the door.

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
    async def respond(self, request: RelayRequest) -> None:
        """Answer a request with one of `methods`.

        Raises:
            RelayError: the answer, as long as nothing has been written.
        """

    def render(self, request: RelayRequest) -> int:
        """Twisted's entry."""
        self._door.open(request, self)
        return NOT_DONE_YET


class Door:
    """Admits requests, and turns whatever goes wrong into an answer in the caller's dialect.

    Args:
        configuration: origins and hosts that may call.
        keys: tells whether keys are required; if so, any host name may be used.
        dialects: name → dialect; they know the shapes of errors.
        reporter: told of each request that is refused here.
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

    # ── in ────────────────────────────────────────────────────────────────────────────

    def admit(self, request: RelayRequest) -> None:
        """Decide by the head alone.

        Raises:
            RelayError: the request is refused.
        """
        server = self._configuration.snapshot.server
        origins = request.values(b"origin")
        request.greet(cors.fields(server.cors_origins, origins[0] if origins else None))
        if hosts.is_loopback(request.local) and not self._keys.required():
            hosts.check(server, request.values(b"host"), origins)
        leaf = request.resource
        if isinstance(leaf, Leaf) and not self._is_preflight(request):
            leaf.admit(request)

    def open(self, request: RelayRequest, leaf: Leaf) -> None:
        """Let a resource answer an admitted request."""
        done = Deferred.fromCoroutine(self._respond(request, leaf))
        done.addErrback(lambda reason: self.failed(request, reason))
        done.addErrback(lambda reason: self._give_up(request, reason))

    async def _respond(self, request: RelayRequest, leaf: Leaf) -> None:
        if request.method != b"OPTIONS":
            await leaf.respond(request)
            return
        methods = tuple(method.encode("ascii") for method in leaf.allowed)
        headers: Headers = ((b"allow", b", ".join(methods)),)
        if self._is_preflight(request):
            headers = (*headers, *cors.preflight(methods, request.header(b"access-control-request-headers")))
        request.answer(204, headers)

    def _is_preflight(self, request: RelayRequest) -> bool:
        """Whether a browser asks on behalf of a page that may call."""
        if request.method != b"OPTIONS" or request.header(b"access-control-request-method") is None:
            return False
        origins, server = request.values(b"origin"), self._configuration.snapshot.server
        return bool(origins) and hosts.allows(server.cors_origins, origins[0])

    # ── out ───────────────────────────────────────────────────────────────────────────

    def failed(self, request: RelayRequest, reason: Failure) -> None:
        """Answer for a resource that raised."""
        error = reason.value
        self.refuse(request, error if isinstance(error, RelayError) else self.unexpected(request, reason))

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
        request_id = new_id()
        self._reporter.turned_away(request_id, host_of(address), error)
        return failures.as_bytes(failures.render(error, self._dialects["openai"], request_id), request_id)

    def _give_up(self, request: RelayRequest, reason: Failure) -> None:
        """Even the error could not be told."""
        self._log.failure("an error could not be rendered", failure=reason, exchange=request.id)
        request.abort()
