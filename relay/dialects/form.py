"""Reading and changing a multipart request: the same few questions as for a JSON one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from relay.endpoints import Endpoint
from relay.errors import InvalidRequest
from relay.exchange import Body, FormField
from relay.provider import ParamRule

KEPT_FIELDS = frozenset({"model", "stream"})
"""Text fields that relay reads; all others travel unseen."""

NEEDED_FIELDS = frozenset({"model"})
"""Those among them without which nobody can tell where a form goes."""

_STREAM = "stream"
_LONGEST_MODEL = 256


@attrs.frozen
class FormRequest:
    """A multipart request whose model may be replaced.

    Attributes:
        model: the client's model, "" where the endpoint lets it be left out.
        stream: whether a streamed answer is asked for.
        wants_usage: whether the client asked for usage in the stream; never, in forms.
    """

    model: str
    stream: bool
    _body: bytes | Body
    _model_field: FormField | None
    wants_usage: bool = False

    def encode(self, model: str, params: Sequence[ParamRule] = (), *, ask_usage: bool = False) -> bytes | Body:
        """The body with the model replaced, every other byte as it came.

        Rows of ``params`` speak of JSON fields and do not apply.
        """
        place = self._model_field
        if place is None or model == self.model:
            return self._body
        if isinstance(self._body, bytes):
            return self._body[: place.start] + model.encode() + self._body[place.end :]
        return self._body.replaced(place.start, place.end, model.encode())


def read_form(endpoint: Endpoint, body: bytes | Body, fields: Mapping[str, FormField]) -> FormRequest:
    """Read what relay needs of a multipart request.

    Args:
        endpoint: where it came in.
        body: the whole body.
        fields: the text fields found in it, by name.

    Raises:
        InvalidRequest: ``model`` is missing or is no name; ``stream`` is no boolean.
    """
    place = fields.get("model")
    model = place.value if place else ""
    if not model and not endpoint.model_optional:
        raise InvalidRequest("The form has no field 'model'.", param="model", code="missing_required_parameter")
    if len(model) > _LONGEST_MODEL or not model.isprintable():
        raise InvalidRequest("'model' must be at most 256 printable characters.", param="model")
    return FormRequest(model=model, stream=_flag(endpoint, fields), body=body, model_field=place)


def check_late(name: str, value: str) -> None:
    """Look at a field that came when the form was on its way already: what may not pass unseen is refused.

    Whether the answer is streamed then shows when it comes.

    Raises:
        InvalidRequest: as `read_form` would have.
    """
    if name == _STREAM:
        _boolean(value)


def _flag(endpoint: Endpoint, fields: Mapping[str, FormField]) -> bool:
    place = fields.get(_STREAM)
    return place is not None and _boolean(place.value) and endpoint.streams


def _boolean(text: str) -> bool:
    value = text.strip().lower()
    if value not in ("true", "false", "1", "0", ""):
        raise InvalidRequest("'stream' must be true or false.", param=_STREAM)
    return value in ("true", "1")
