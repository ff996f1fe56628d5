"""Requests as values: JSON and form bodies decoded into the structs of the dialect modules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, TypeVar

import attrs
import msgspec

from relay.echo.knobs import Knobs
from relay.errors import InvalidRequest

T = TypeVar("T")

_PATH = re.compile(r" - at `\$\.?(.*)`$")
_MISSING = re.compile(r"missing required field `(.*?)`")


@attrs.frozen
class Upload:
    """A file of a form; its content is counted, not kept.

    Attributes:
        field: name of the form field.
        filename: as the client named it.
        size: bytes.
    """

    field: str
    filename: str
    size: int


@attrs.frozen
class Form:
    """A multipart body.

    Attributes:
        fields: the text fields; names that end in ``[]`` hold lists of strings.
        files: the files in order.
    """

    fields: Mapping[str, object]
    files: tuple[Upload, ...] = ()


@attrs.frozen
class Call:
    """One request, with what its answer takes from the outside.

    Attributes:
        body: a JSON text or a form.
        now: Unix seconds.
        mint: prefix → a new id that begins with it.
        model: the model that the path names, or "".
        stream: whether the path asks for a stream; None where the body tells.
        array: whether that stream is to be one JSON array.
    """

    body: bytes | Form
    now: int
    mint: Callable[[str], str]
    model: str = ""
    stream: bool | None = None
    array: bool = False

    @property
    def files(self) -> tuple[Upload, ...]:
        """The uploaded files; none in a JSON request."""
        return self.body.files if isinstance(self.body, Form) else ()

    def read(self, kind: type[T]) -> T:
        """Decode the body.

        Args:
            kind: the struct that says which fields there are.

        Raises:
            InvalidRequest: the body is not JSON, or not of that kind; ``param`` is the field.
        """
        try:
            if isinstance(self.body, bytes):
                return msgspec.json.decode(self.body, type=kind)
            return msgspec.convert(self._form_fields(self.body), kind, strict=False)
        except msgspec.ValidationError as error:
            raise _refusal(str(error)) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest(f"The body could not be parsed as JSON: {error}.") from error

    def _form_fields(self, form: Form) -> Mapping[str, object]:
        """The form's fields, with the knobs decoded.

        Raises:
            InvalidRequest: they are not JSON.
        """
        knobs = form.fields.get("echo")
        if not isinstance(knobs, str):
            return form.fields
        try:
            return {**form.fields, "echo": msgspec.json.decode(knobs)}
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"echo: the knobs could not be parsed as JSON: {error}.", param="echo") from error


def _refusal(message: str) -> InvalidRequest:
    """The error for a body of the wrong kind, from msgspec's words for it."""
    path = _PATH.search(message)
    where = path[1] if path else ""
    what = _PATH.sub("", message)
    missing = _MISSING.search(what)
    if missing:
        where = f"{where}.{missing[1]}" if where else missing[1]
    if where.split(".")[0] == "echo":
        what += f". The knobs are: {', '.join(Knobs.__struct_fields__)}"
    return InvalidRequest(f"{where}: {what}." if where else f"{what}.", param=where or None)


class Part(msgspec.Struct, frozen=True):
    """A part of a message's content, of whichever dialect: all that matters here is its text.

    Attributes:
        type: ``text``, ``input_text``, ``tool_result``, ``image_url`` …
        text: its text, if it has one.
        content: what a tool result holds.
    """

    type: str = "text"
    text: str | None = None
    content: str | list[Part] | None = None


Content = str | list[Part] | None
"""A message's content: text, parts, or nothing."""


def text_of(content: Content) -> str:
    """All text in a message's content, parts separated by line feeds."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    texts = (part.text if part.text is not None else text_of(part.content) for part in content)
    return "\n".join(text for text in texts if text)


def words(texts: Iterable[str]) -> int:
    """How many words there are: the echo's tokens."""
    return sum(len(text.split()) for text in texts)


Inputs = str | Annotated[list[str | int | list[int]], msgspec.Meta(min_length=1)]
"""One or several texts, or tokens instead of them."""


def inputs_of(given: Inputs) -> tuple[str, ...]:
    """The inputs as texts; a token is written as its number."""
    if isinstance(given, str):
        return (given,)
    if all(isinstance(item, int) for item in given):
        return (" ".join(map(str, given)),)
    return tuple(" ".join(map(str, item)) if isinstance(item, list) else str(item) for item in given)
