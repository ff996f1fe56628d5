"""Requests that come again: how their head was understood, and what the door decided by it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from relay.config import Snapshot
from relay.errors import RelayError
from relay.exchange import ClientRequest, Headers, KeyInfo
from relay.web.chat import DialectResource
from relay.web.request import Ids
from relay.wire.familiar import Familiar, recognise
from relay.wire.http import RequestHead

if TYPE_CHECKING:
    from relay.web.engine.request import EngineRequest

_MOST = 512
"""Heads that are remembered."""

_MOST_SEEN = 4096
"""Heads of which no more is remembered than that they came."""


class Known:
    """A head of requests to be forwarded, and the part of its admission that is the same for all of them.

    Who calls is no part of it: that is asked anew for each request.

    Args:
        familiar: the head.
        request: the request that was admitted with it.
        resource: what answers.
        snapshot: the configuration in force.

    Attributes:
        familiar: see there.
        resource: see there.
        snapshot: the configuration under which it was admitted; under another one it has to be read anew.
        template: what such a request asks of the gateway, without its body.
        welcome: whether its host and its origins may call a relay on loopback that asks for no keys.
        method: as in `EngineRequest`, like the following ones.
        version: see there.
        greeting: see there.
        fixed: see there.
    """

    __slots__ = ("familiar", "fixed", "greeting", "method", "resource", "snapshot", "template", "version", "welcome")

    def __init__(
        self, familiar: Familiar, request: EngineRequest, resource: DialectResource, snapshot: Snapshot
    ) -> None:
        self.familiar = familiar
        self.resource = resource
        self.snapshot = snapshot
        self.template = replace(resource.read(request), headers=familiar.fields)
        self.welcome = request.site.door.welcomes(request)
        self.method, self.version = request.method, request.version
        self.greeting, self.fixed = request.greeting, request.fixed

    def request(self, changed: Headers, ids: Ids, client: str, received: float, key: KeyInfo | None) -> ClientRequest:
        """What such a request asks of the gateway, without its body.

        Args:
            changed: the fields that change.
            ids: makes its id if the client does not.
            client: see `ClientRequest`, like the following ones.
            received: see there.
            key: see there.
        """
        if not changed:
            return replace(self.template, id=ids.new(), client=client, received=received, key=key)
        name, headers = ids.accept(dict(changed).get(b"x-request-id")), (*self.familiar.fields, *changed)
        return replace(self.template, id=name, headers=headers, client=client, received=received, key=key)


class Awaited:
    """A known request with a small body that is not here yet.

    Args:
        known: its head.
        asked: what it asks, without its body.
        length: bytes of the body.
        begun: those that are here.

    Attributes:
        known: see there.
        asked: see there.
        body: what is here.
    """

    __slots__ = ("_left", "asked", "body", "known")

    def __init__(self, known: Known, asked: ClientRequest, length: int, begun: bytes) -> None:
        self.known = known
        self.asked = asked
        self.body = bytearray(begun)
        self._left = length - len(begun)

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes; what is behind the body is returned, None while it is not complete."""
        left = self._left
        self.body += data[:left]
        self._left = left - len(data)
        return data[left:] if self._left <= 0 else None


class KnownHeads:
    """Remembers heads that came more than once, for all connections of a site.

    One that comes once is noted by a number only, so that clients whose heads never
    repeat cost no memory. It holds the keys that are in the heads, as do the connections
    they come on; it is bounded, and begins anew when it is full or the configuration changes.
    """

    def __init__(self) -> None:
        self._heads: dict[bytes, Known] = {}
        self._seen: set[int] = set()
        self._snapshot: Snapshot | None = None
        self.get = self._heads.get

    def note(self, outlined: bytes, data: bytes, head: RequestHead, request: EngineRequest) -> None:
        """A request has been admitted: remember its head, if it is plain and came before.

        Args:
            outlined: the head's outline.
            data: the head.
            head: what was read from it.
            request: the request.
        """
        resource, snapshot = request.resource, request.site.reception.configuration.snapshot
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._heads.clear()
        if not isinstance(resource, DialectResource) or request.method != b"POST":
            return
        mark = hash(outlined)
        if mark not in self._seen:
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            self._seen.add(mark)
            return
        plain = request.site.reception.takes_whole(0, request.content_type, request.joined(b"content-encoding"))
        familiar = recognise(data, head) if plain else None
        if familiar is None:
            return
        with suppress(RelayError):  # it will be raised again where it is answered
            known = Known(familiar, request, resource, snapshot)
            if len(self._heads) >= _MOST:
                self._heads.clear()
            self._heads[outlined] = known
