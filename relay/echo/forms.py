"""Multipart bodies: text fields are kept, files are counted."""

from __future__ import annotations

from typing import BinaryIO

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from relay.echo.reading import Form, Upload
from relay.errors import InvalidRequest

_READ = 65536
_FIELD = 1 << 20


def read_form(content_type: str, body: BinaryIO) -> Form:
    """Read a multipart body to its end.

    Args:
        content_type: the header, with the boundary.
        body: a file at its beginning.

    Raises:
        InvalidRequest: no boundary, not multipart, cut, or a text field of more than 1 MiB.
    """
    boundary: str | None = parse_options_header(content_type)[1].get("boundary")
    if not boundary:
        raise InvalidRequest("The content type of the form has no boundary.")
    reader = _Reader()
    try:
        with PushMultipartParser(boundary) as parser:
            while not parser.closed:
                # An empty read is how the parser learns of the end.
                for item in parser.parse(body.read(_READ)):
                    reader.take(item)
    except MultipartError as error:
        raise InvalidRequest(f"The form could not be read: {error}.") from error
    return Form(reader.fields, tuple(reader.files))


class _Reader:
    """Collects the parts of a form as they come.

    Attributes:
        fields: the text fields so far.
        files: the files so far.
    """

    def __init__(self) -> None:
        self.fields: dict[str, str | list[str]] = {}
        self.files: list[Upload] = []
        self._part: MultipartSegment | None = None
        self._text = bytearray()

    def take(self, item: MultipartSegment | bytearray | None) -> None:
        """Take a part's head, bytes of it, or None at its end.

        Raises:
            InvalidRequest: a text field is too large or not UTF-8.
        """
        if item is None:
            self._end(self._part)
        elif isinstance(item, MultipartSegment):
            self._part = item
            self._text.clear()
        elif self._part is not None and self._part.filename is None:
            self._text += item
            if len(self._text) > _FIELD:
                raise InvalidRequest(f"{self._part.name}: the field is too large.", param=self._part.name)

    def _end(self, part: MultipartSegment | None) -> None:
        """A part is complete."""
        if part is None:
            return
        if part.filename is not None:
            self.files.append(Upload(part.name, part.filename, part.size))
            return
        try:
            text = self._text.decode()
        except UnicodeDecodeError as error:
            raise InvalidRequest(f"{part.name}: the field is not UTF-8.", param=part.name) from error
        if part.name.endswith("[]"):
            have = self.fields.get(part.name, [])
            self.fields[part.name] = [*have, text]
        else:
            self.fields[part.name] = text
