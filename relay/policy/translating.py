"""How a client's request reaches a provider that speaks another dialect."""

from __future__ import annotations

from typing import Any

import attrs
import msgspec

from relay.chat import ChatRequest
from relay.dialects import estimate
from relay.dialects.base import Dialect
from relay.dialects.codec import Asked, Back, Built, Call, Front, Target
from relay.dialects.params import apply
from relay.dialects.registry import DIALECTS
from relay.dialects.translation import Translation
from relay.endpoints import Endpoint, Operation
from relay.errors import DialectUnsupported, InvalidRequest, WouldDrop
from relay.exchange import ClientRequest
from relay.provider import Provider, ProviderEndpoint, Quirk
from relay.vectors import TokenCount

STRICT = b"x-relay-strict"
"""Request header field that makes every loss a 400; so does ``server.strict``."""

_LONGEST_NOTE = 1024


@attrs.frozen
class Passage:
    """The translation between an endpoint and a provider, the same for all requests.

    Attributes:
        front: the client's side.
        back: the provider's side; None where relay itself must answer (counting tokens).
        dialect: what the provider speaks.
        served: the provider's endpoint.
    """

    front: Front[Any, Any]
    back: Back[Any, Any] | None
    dialect: Dialect
    served: ProviderEndpoint


def needed(endpoint: Endpoint, provider: Provider) -> bool:
    """Whether an endpoint's requests to a provider have to be translated."""
    if provider.endpoints[endpoint.path].dialect != endpoint.front:
        return True
    return Quirk.NORMALISE in provider.quirks and endpoint.operation is Operation.CHAT


def passage(endpoint: Endpoint, provider: Provider) -> Passage:
    """Find the way between an endpoint's dialect and the provider's.

    Raises:
        DialectUnsupported: the provider's dialect has no such operation, or relay cannot translate it.
    """
    spoken = provider.endpoints[endpoint.path].dialect
    dialect = DIALECTS.get(spoken)
    front = DIALECTS[endpoint.front].fronts.get(endpoint.path)
    if dialect is None or front is None or endpoint.operation is None:
        raise _unsupported(endpoint, provider, spoken)
    back = dialect.backs.get(endpoint.operation)
    if back is not None:
        served = provider.endpoints[back.path]
        if served.dialect != spoken and (other := DIALECTS.get(served.dialect)) is not None:
            dialect, back = other, other.backs.get(endpoint.operation)
    if back is None:
        if endpoint.operation is Operation.COUNT:
            return Passage(front, None, dialect, provider.endpoints[endpoint.path])
        raise _unsupported(endpoint, provider, spoken)
    return Passage(front, back, dialect, provider.endpoints[back.path])


def _unsupported(endpoint: Endpoint, provider: Provider, spoken: str) -> DialectUnsupported:
    return DialectUnsupported(
        f"Provider {provider.name!r} speaks {spoken!r} on {endpoint.path}, and requests of this endpoint cannot be "
        f"translated into that. Choose an endpoint or a provider that match."
    )


def call(request: ClientRequest) -> Call:
    """What the URL of a request says."""
    return Call(request.endpoint.path, request.path_model, request.path_stream, request.path_array)


def asked(passage: Passage, request: ClientRequest, model: str, created: int) -> Asked:
    """Read a client's request into the hub's form.

    Args:
        passage: the way to the provider.
        request: what the client sent; its body is JSON.
        model: the client's name for the model.
        created: Unix seconds.

    Raises:
        InvalidRequest: names the field at fault.
    """
    if not isinstance(request.body, bytes):
        raise InvalidRequest("The body is too large for this endpoint's content type.")
    url = call(request)
    hub = passage.front.parse(request.body, url)
    if isinstance(hub, ChatRequest) and passage.dialect.name == "bedrock":
        hub = _with_betas(hub, request)
    tokens = estimate.tokens(hub) if isinstance(hub, ChatRequest) and hub.stream else 0
    return Asked(url, request.id, model, created, hub, tokens)


def _with_betas(hub: ChatRequest, request: ClientRequest) -> ChatRequest:
    """Anthropic's betas, which its clients name in a header and Bedrock takes in the body."""
    value = request.header(b"anthropic-beta")
    if value is None:
        return hub
    betas = [beta.strip() for beta in value.decode("latin-1").split(",") if beta.strip()]
    return msgspec.structs.replace(hub, extra={**hub.extra, "anthropic_beta": msgspec.json.encode(betas)})


def counted(passage: Passage, asked: Asked) -> bytes:
    """The answer to a request to count tokens where the provider cannot: relay's own estimate."""
    return passage.front.render(TokenCount(estimate.tokens(asked.request), estimated=True), asked)


def translation(passage: Passage, asked: Asked, provider: Provider, model: str, *, strict: bool) -> Translation:
    """Put the hub's request into the provider's words.

    Args:
        passage: the way to the provider.
        asked: the hub's request.
        provider: the provider.
        model: its name for the model.
        strict: whether a loss is refused.

    Raises:
        InvalidRequest: the provider could only refuse it.
        WouldDrop: ``strict``, and a field cannot be carried.
    """
    back = passage.back
    if back is None:
        raise InvalidRequest("The provider does not count tokens.")
    stream = isinstance(asked.request, ChatRequest) and asked.request.stream
    target = Target(model, provider.name, stream, provider.quirks, passage.served.path)
    built = back.build(asked.request, target)
    if strict and built.dropped:
        names = ", ".join(f"`{name}`" for name in built.dropped)
        raise WouldDrop(
            f"Provider {provider.name!r} has no place for {names}; strict mode allows no loss.", param=built.dropped[0]
        )
    return Translation(passage.dialect, passage.front, back, asked, target, built)


def body(built: Built, provider: Provider) -> bytes:
    """The provider's JSON, its ``params`` rows applied."""
    if not provider.params:
        return msgspec.json.encode(built.fields)
    raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in built.fields.items()}
    return msgspec.json.encode(apply(raw, provider.params))


def note(built: Built) -> tuple[tuple[bytes, bytes], ...]:
    """The header field that names what was lost, if anything was."""
    if not built.dropped:
        return ()
    names = ", ".join(name for name in built.dropped if name.isascii() and name.isprintable())
    return ((b"x-relay-dropped", names[:_LONGEST_NOTE].encode("ascii")),)
