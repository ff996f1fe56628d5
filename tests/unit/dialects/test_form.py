"""Forms as requests: model and stream, also where the form is on its way already."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.form import check_late, read_form
from relay.endpoints import FORWARDED
from relay.errors import InvalidRequest
from relay.exchange import FormField

TRANSCRIPTIONS = FORWARDED["/v1/audio/transcriptions"]
TRANSLATIONS = FORWARDED["/v1/audio/translations"]
EDITS = FORWARDED["/v1/images/edits"]


class FormTests(SynchronousTestCase):
    """What is read of a form."""

    def test_stream(self) -> None:
        """``stream`` is a boolean in the usual spellings, and counts where answers can be streamed."""
        for text, streams in (
            ("true", True),
            (" TRUE ", True),
            ("1", True),
            ("false", False),
            ("0", False),
            ("", False),
        ):
            fields = {"model": FormField("m", 0, 1), "stream": FormField(text, 2, 3)}
            self.assertIs(read_form(TRANSCRIPTIONS, b"m", fields).stream, streams)
            self.assertIs(read_form(TRANSLATIONS, b"m", fields).stream, False)

    def test_refused(self) -> None:
        """A form without a model, with one that is none, or with another ``stream``, names the field."""
        for fields, param in (
            ({}, "model"),
            ({"model": FormField("x" * 257, 0, 257)}, "model"),
            ({"model": FormField("a\u200eb", 0, 5)}, "model"),
            ({"model": FormField("m", 0, 1), "stream": FormField("yes", 2, 5)}, "stream"),
        ):
            error = self.assertRaises(InvalidRequest, read_form, TRANSCRIPTIONS, b"", fields)
            self.assertEqual(error.param, param)
        self.assertEqual(read_form(EDITS, b"", {}).model, "")

    def test_encode(self) -> None:
        """Only the model's bytes change, and none if it is the same."""
        form = read_form(TRANSCRIPTIONS, b"<old>", {"model": FormField("old", 1, 4)})
        self.assertEqual((form.encode("newer"), form.encode("old")), (b"<newer>", b"<old>"))

    def test_late(self) -> None:
        """Behind the file, a ``stream`` that is no boolean is refused as before it; all else passes."""
        for text in ("true", "0", ""):
            check_late("stream", text)
        check_late("model", "yes")
        self.assertEqual(self.assertRaises(InvalidRequest, check_late, "stream", "yes").param, "stream")
