"""Tests of `relay.echo.reading` and `relay.echo.forms`."""

from __future__ import annotations

import io
import json

import msgspec

from twisted.trial.unittest import SynchronousTestCase

from relay.echo.forms import read_form
from relay.echo.knobs import Knobs
from relay.echo.reading import Form, Part, Upload, inputs_of, text_of, words
from relay.errors import InvalidRequest
from tests.unit.echo.asking import call

TYPE = "multipart/form-data; boundary=xx"
FORM = (
    b'--xx\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n'
    b'--xx\r\ncontent-disposition: form-data; name="list[]"\r\n\r\none\r\n'
    b'--xx\r\ncontent-disposition: form-data; name="list[]"\r\n\r\ntwo\r\n'
    b'--xx\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n'
    b"content-type: audio/wav\r\n\r\n\x00\xff\r\n--x\r\n"
    b"--xx--\r\n"
)


class _Item(msgspec.Struct):
    """An item of a test request."""

    role: str


class _Body(msgspec.Struct):
    """A test request."""

    model: str
    items: list[_Item] = []
    stream: bool = False
    echo: Knobs | None = None


class ReadTests(SynchronousTestCase):
    """JSON bodies and forms as structs."""

    def refused(self, body: bytes | Form) -> tuple[str | None, str]:
        """Param and message of the refusal of a body."""
        error = self.assertRaises(InvalidRequest, call(body).read, _Body)
        return error.param, error.message

    def test_faultIsNamed(self) -> None:
        """The error's param is the path of the field at fault, missing ones included."""
        for body, param in (
            (b'{"model": 1}', "model"),
            (b"{}", "model"),
            (b'{"model": "m", "items": [{"role": "user"}, {}]}', "items[1].role"),
            (b'{"model": "m", "items": [{"role": 3}]}', "items[0].role"),
            (b'{"model": "m", "echo": {"chunks": 0}}', "echo.chunks"),
            (b'{"model": "m", "echo": {"status": 500, "cut_after": 1}}', "echo"),
            (b"[]", None),
        ):
            self.assertEqual(self.refused(body)[0], param, body)

    def test_whatIsNoJSONIsRefused(self) -> None:
        """Cut, malformed and bottomless bodies are the client's fault."""
        for body in (
            b"",
            b'{"model": "m"',
            b"\xff",
            b'{"model": "\xff"}',
            b'{"model": NaN}',
            b'{"other":' + b"[" * 100_000,
        ):
            self.assertEqual(self.refused(body)[0], None, body[:20])

    def test_knobsAreListedWhenOneIsWrong(self) -> None:
        """Whoever misspells a knob reads the names of all."""
        message = self.refused(b'{"model": "m", "echo": {"delay": 1}}')[1]
        self.assertIn("delay_ms", message)
        self.assertIn("cut_after", message)

    def test_formFieldsAreConverted(self) -> None:
        """Texts become what the struct wants, the knobs field is JSON."""
        form = Form({"model": "m", "stream": "true", "echo": json.dumps({"delay_ms": 5})})
        self.assertEqual(call(form).read(_Body), _Body("m", [], stream=True, echo=Knobs(delay_ms=5)))

    def test_wrongFormsAreRefused(self) -> None:
        """Fields of a form are checked as those of a JSON text are."""
        self.assertEqual(self.refused(Form({"model": "m", "stream": "maybe"}))[0], "stream")
        self.assertEqual(self.refused(Form({"model": "m", "echo": "{"}))[0], "echo")
        self.assertEqual(self.refused(Form({"model": "m", "echo": '{"x": 1}'}))[0], "echo")


class TextTests(SynchronousTestCase):
    """Text in content of every form."""

    def test_partsAreJoined(self) -> None:
        """Text parts and results with parts give their text, others none."""
        parts = [Part(text="a"), Part("image_url"), Part("tool_result", content=[Part(text="b")])]
        self.assertEqual(text_of(parts), "a\nb")
        self.assertEqual((text_of(None), text_of("c")), ("", "c"))

    def test_wordsAreCounted(self) -> None:
        """Words of all texts."""
        self.assertEqual(words(["one two", "", " three\n"]), 3)

    def test_inputsMayBeTokens(self) -> None:
        """Texts, lists of texts, tokens and lists of tokens."""
        self.assertEqual(inputs_of("a b"), ("a b",))
        self.assertEqual(inputs_of(["a", "b"]), ("a", "b"))
        self.assertEqual(inputs_of([1, 2]), ("1 2",))
        self.assertEqual(inputs_of([[1, 2], [3]]), ("1 2", "3"))


class FormTests(SynchronousTestCase):
    """Multipart bodies."""

    def test_fieldsAreKeptAndFilesCounted(self) -> None:
        """Names with brackets are lists; something like a boundary in a file is a part of it."""
        expected = Form({"model": "m", "list[]": ["one", "two"]}, (Upload("file", "a.wav", 7),))
        self.assertEqual(read_form(TYPE, io.BytesIO(FORM)), expected)

    def test_cutFormsAreRefused(self) -> None:
        """A form without its last boundary is not whole, wherever it is cut."""
        for length in range(len(FORM) - len(b"xx--\r\n")):
            with self.assertRaises(InvalidRequest, msg=str(length)):
                read_form(TYPE, io.BytesIO(FORM[:length]))

    def test_oddFormsAreRefused(self) -> None:
        """No boundary, no UTF-8, a field without end."""
        head = b'--xx\r\ncontent-disposition: form-data; name="model"\r\n\r\n'
        for kind, body in (
            ("multipart/form-data", FORM),
            (TYPE, head + b"\xff\r\n--xx--\r\n"),
            (TYPE, head + b"m" * (2 << 20) + b"\r\n--xx--\r\n"),
        ):
            with self.assertRaises(InvalidRequest):
                read_form(kind, io.BytesIO(body))
