"""The endpoints that are forwarded: an HTTP request becomes a `ClientRequest`, an answer goes to its sink."""

from __future__ import annotations

from typing import ClassVar

from twisted.internet.interfaces import IReactorTime

from relay.endpoints import BodyKind, Endpoint
from relay.errors import UnsupportedMedia
from relay.exchange import ClientRequest
from relay.interfaces import IConfiguration
from relay.policy.credentials import client_credential
from relay.web.base import Door, Leaf
from relay.web.request import RelayRequest
from relay.web.seams import Gateway
from relay.web.sink import RequestSink

_FORM = "multipart/form-data"
_TAKES = {
    BodyKind.JSON: "application/json",
    BodyKind.MULTIPART: _FORM,
    BodyKind.EITHER: f"application/json' or '{_FORM}",
}


class DialectResource(Leaf):
    """One forwarded endpoint.

    Args:
        door: admits requests and answers errors.
        endpoint: what is served here.
        gateway: does the work.
        configuration: tells how long a client may stop reading.
        clock: runs that deadline.
    """

    methods: ClassVar[tuple[str, ...]] = ("POST",)

    def __init__(
        self, door: Door, endpoint: Endpoint, gateway: Gateway, configuration: IConfiguration, clock: IReactorTime
    ) -> None:
        super().__init__(door)
        self.endpoint = endpoint.path
        self._served = endpoint
        self._gateway = gateway
        self._configuration = configuration
        self._clock = clock

    def admit(self, request: RelayRequest) -> None:
        """Refuse what cannot be served whatever the body holds.

        Raises:
            MethodNotAllowed: only POST is served.
            UnsupportedMedia: the content type is not one that the endpoint takes.
            Unauthenticated: the request carries two keys that disagree.
        """
        super().admit(request)
        if request.method == b"POST":
            check_media(self._served.body, _content_type(request))
            client_credential(request.headers)

    async def respond(self, request: RelayRequest) -> None:
        """Hand the request on, and let the gateway settle it."""
        received = request.received
        exchange = ClientRequest(
            id=request.id,
            endpoint=self._served,
            query=request.query,
            headers=request.headers,
            content_type=_content_type(request),
            body=received.body,
            client=request.peer,
            credential=client_credential(request.headers),
            received=request.arrived,
            fields=received.fields,
        )
        patience = self._configuration.snapshot.server_timeouts.write
        request.settled = True
        await self._gateway.exchange(exchange, RequestSink(request, self._clock, patience))


def check_media(kind: BodyKind, content_type: str) -> None:
    """Hold a content type against what an endpoint takes.

    An absent one is taken for JSON: whether the body is JSON will show.

    Raises:
        UnsupportedMedia: the endpoint takes another.
    """
    media = content_type.partition(";")[0].strip().lower()
    form = media == _FORM
    json = media in ("", "application/json") or (media.startswith("application/") and media.endswith("+json"))
    if (form and kind is not BodyKind.JSON) or (json and kind is not BodyKind.MULTIPART):
        return
    raise UnsupportedMedia(f"This endpoint takes a body with 'Content-Type: {_TAKES[kind]}'.", param="content-type")


def _content_type(request: RelayRequest) -> str:
    return ", ".join(request.values(b"content-type"))
