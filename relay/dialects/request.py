"""A JSON request body: checked once, changed only where relay must, every other byte kept.

A body is read twice by `msgspec`: as top-level field → JSON text, which is what is sent on, and by the
endpoint's shape, which checks types. Top-level duplicates collapse to the last one in both readings,
so that what was authorised is what is sent; nested ones pass through as they are.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence

import msgspec

from relay.dialects.params import apply
from relay.dialects.problems import told
from relay.dialects.shapes import ANY, READERS, Shape, Unfit
from relay.endpoints import Endpoint
from relay.errors import InvalidRequest
from relay.provider import ParamRule

LONGEST_MODEL = 256
"""Characters that a model name may have."""

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)

_OPENINGS = (b'{"', b"{}", b"{ ", b"{\n", b"{\r")
"""A body that begins with one of them and is ASCII is in the right encoding: nothing need be decoded to see that."""

_LARGE = 16 * 1024
"""Bytes of a body from which on it is worth a look whether it can be sent as it came."""

_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


class JSONRequest(msgspec.Struct, frozen=True):
    """A request body that has been read and checked.

    Attributes:
        model: the model the client asks for; "" only where the endpoint allows that.
        stream: whether the client asks for an event stream.
        wants_usage: whether the client asks for a usage report in the stream.
    """

    model: str
    stream: bool
    wants_usage: bool
    _fields: Mapping[str, msgspec.Raw]
    _whole: bytes = b""

    @property
    def fields(self) -> Mapping[str, msgspec.Raw]:
        """The top level of the body, undecoded."""
        return self._fields

    def encode(self, model: str, params: Sequence[ParamRule] = (), ask_usage: bool = False) -> bytes:
        """Return the body for one attempt; the request itself does not change.

        Args:
            model: the provider's name for the model; "" leaves the field as it is.
            params: the provider's parameter rows.
            ask_usage: whether ``stream_options.include_usage`` is set.
        """
        renamed = bool(model) and model != self.model
        if not (renamed or params or ask_usage):
            return self._whole or msgspec.json.encode(self._fields)
        fields = dict(self._fields)
        if renamed:
            fields["model"] = msgspec.Raw(msgspec.json.encode(model))
        if params:
            fields = apply(fields, params)
        if ask_usage:
            fields["stream_options"] = _with_usage(fields.get("stream_options"))
        return msgspec.json.encode(fields)

    def changed(self, change: Callable[[Mapping[str, msgspec.Raw]], Mapping[str, msgspec.Raw]]) -> JSONRequest:
        """The same request with other fields: what a provider's deviations make of them."""
        return msgspec.structs.replace(self, _fields=change(self._fields), _whole=b"")

    def addressed(self, model: str, *, stream: bool) -> JSONRequest:
        """The same request with the model and the kind of answer that its path names."""
        return JSONRequest(checked_model(model), stream, False, self._fields, self._whole)


def read_request(endpoint: Endpoint, body: bytes) -> JSONRequest:
    """Read and check a JSON body.

    Raises:
        InvalidRequest: not UTF-8, not JSON, not an object, a required field missing, or a field of the
            wrong type; names the field.
    """
    if not (body.isascii() and body.startswith(_OPENINGS)):
        _check_encoding(body)
    with told():
        fields = _FIELDS.decode(body)
        if "model" not in fields and not endpoint.model_optional:
            raise InvalidRequest("`model` is required.", param="model")
        shape = READERS.get(endpoint.path, ANY)(body)
        try:
            shape.check()
        except Unfit as error:
            raise InvalidRequest(f"`{error.param}` {error.problem}.", param=error.param) from error
    whole = body if len(body) >= _LARGE and _is_encoded(body, fields) else b""
    return JSONRequest(_model(endpoint, shape), shape.streams(), shape.wants_usage(), fields, whole)


def _is_encoded(body: bytes, fields: Mapping[str, msgspec.Raw]) -> bool:
    """Whether a body is, byte for byte, what encoding its fields would give.

    Each member takes at least its key, its value and four signs, and a key that is written with
    escapes takes more. So a body that is just as long as the fields need has no member twice, and
    no blanks either.
    """
    return len(body) == 1 + sum([len(name) + 4 + memoryview(value).nbytes for name, value in fields.items()])


def _check_encoding(body: bytes) -> None:
    """JSON between systems is UTF-8 without a byte order mark (RFC 8259, section 8.1)."""
    if not body or body.isspace():
        raise InvalidRequest("The request body is empty; a JSON object is expected.")
    if body.startswith(_BOMS) or b"\x00" in body[:4]:
        raise InvalidRequest("The request body must be JSON in UTF-8 without a byte order mark.")
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The request body is not valid UTF-8 (byte {error.start}).") from error


def _model(endpoint: Endpoint, shape: Shape) -> str:
    """The model that a body names."""
    model = shape.model or ""
    if not model and not endpoint.model_optional:
        raise InvalidRequest("`model` must be a non-empty string.", param="model")
    return checked_model(model)


def checked_model(model: str) -> str:
    """The model's name, if it may go into logs, headers and paths.

    Raises:
        InvalidRequest: it is too long, or holds control characters.
    """
    if len(model) > LONGEST_MODEL:
        raise InvalidRequest(f"`model` is longer than {LONGEST_MODEL} characters.", param="model")
    if not model.isprintable() and any(unicodedata.category(char) == "Cc" for char in model):
        raise InvalidRequest("`model` must not contain control characters.", param="model")
    return model


def _with_usage(options: msgspec.Raw | None) -> msgspec.Raw:
    """``stream_options`` with ``include_usage: true``, its other members kept."""
    members = (_OBJECT.decode(options) if options is not None else None) or {}
    members["include_usage"] = msgspec.Raw(b"true")
    return msgspec.Raw(msgspec.json.encode(members))
