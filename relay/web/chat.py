"""The endpoints that are forwarded: an HTTP request becomes a `ClientRequest`, an answer goes to its sink."""

from __future__ import annotations

from typing import ClassVar

from twisted.internet.defer import Deferred

from relay.endpoints import BodyKind, Endpoint
from relay.errors import UnsupportedMedia
from relay.exchange import ClientRequest
from relay.secret import Secret
from relay.web.base import Door, Guarded
from relay.web.request import RelayRequest
from relay.web.seams import Gateway

_FORM = "multipart/form-data"
_TAKES = {
    BodyKind.JSON: "application/json",
    BodyKind.MULTIPART: _FORM,
    BodyKind.EITHER: f"application/json' or '{_FORM}",
}


class DialectResource(Guarded):
    """One forwarded endpoint.

    Args:
        door: admits requests and answers errors.
        endpoint: what is served here.
        gateway: does the work.

    Attributes:
        served: the endpoint.
        gateway: see there.
    """

    methods: ClassVar[tuple[str, ...]] = ("POST",)

    def __init__(self, door: Door, endpoint: Endpoint, gateway: Gateway) -> None:
        super().__init__(door)
        self.endpoint = endpoint.path
        self.served = endpoint
        self.gateway = gateway

    def admit(self, request: RelayRequest) -> None:
        """Refuse what cannot be served whatever the body holds, and learn who calls.

        Raises:
            MethodNotAllowed: only POST is served.
            UnsupportedMedia: the content type is not one that the endpoint takes.
            Unauthenticated: the request carries two keys that disagree, or none of relay's.
        """
        if request.method != b"POST":
            super().admit(request)
            return
        self.check_media(request.content_type)
        request.credential = self.sent_key(request)
        request.key = self.gateway.identify(request.credential)

    def check_media(self, content_type: str) -> None:
        """Hold a content type against what the endpoint takes.

        Raises:
            UnsupportedMedia: it takes another.
        """
        check_media(self.served.body, content_type)

    def sent_key(self, request: RelayRequest) -> Secret | None:
        """The key that the client sent, in whichever style its dialect knows, or None.

        Raises:
            Unauthenticated: two keys disagree, or it is none.
        """
        return request.sent_key()

    def serve(self, request: RelayRequest) -> Deferred[None]:
        """Hand the request on, and let the gateway settle it."""
        asked = self.read(request)
        request.settled = True
        return self.gateway.exchange(asked, request.sink())

    def read(self, request: RelayRequest) -> ClientRequest:
        """What the client asks, as a value."""
        received = request.received
        return ClientRequest(
            id=request.id,
            endpoint=self.served,
            query=request.query,
            headers=request.headers,
            content_type=request.content_type,
            body=received.body,
            client=request.peer,
            credential=request.credential,
            received=request.arrived,
            key=request.key,
            fields=received.fields,
        )


def check_media(kind: BodyKind, content_type: str) -> None:
    """Hold a content type against what an endpoint takes.

    An absent one is taken for JSON: whether the body is JSON will show.

    Raises:
        UnsupportedMedia: the endpoint takes another.
    """
    if content_type == "application/json" and kind is not BodyKind.MULTIPART:
        return
    media = content_type.partition(";")[0].strip().lower()
    form = media == _FORM
    json = media in ("", "application/json") or (media.startswith("application/") and media.endswith("+json"))
    if (form and kind is not BodyKind.JSON) or (json and kind is not BodyKind.MULTIPART):
        return
    raise UnsupportedMedia(f"This endpoint takes a body with 'Content-Type: {_TAKES[kind]}'.", param="content-type")
