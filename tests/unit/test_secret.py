"""Keys that cannot be printed by accident, and the filter that takes them out of text."""

from __future__ import annotations

import base64
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from relay.secret import Redactor, Secret, encodings

KEY = "sk-Ab/c+d=\"é'1234567890"


class SecretTests(SynchronousTestCase):
    """`Secret` hides its value."""

    def test_itIsNotPrinted(self) -> None:
        """Neither form shows more than the last four characters, and short keys show none."""
        self.assertEqual((str(Secret(KEY)), repr(Secret(KEY))), ("***7890", "Secret(***7890)"))
        self.assertEqual(str(Secret("short-key")), "***")
        self.assertNotIn("Ab/c", f"{Secret(KEY)} {[Secret(KEY)]}")

    def test_itIsComparedAndHashed(self) -> None:
        """Equal values match; the truth of a secret is that there is one."""
        self.assertTrue(Secret(KEY).matches(Secret(KEY)))
        self.assertFalse(Secret(KEY).matches(Secret(KEY + "x")))
        self.assertEqual((bool(Secret("")), bool(Secret("x"))), (False, True))


class RedactorTests(SynchronousTestCase):
    """`Redactor` finds known keys in every form."""

    def test_everyEncodingIsMasked(self) -> None:
        """Plain, JSON, percent, base64 and hex."""
        raw = KEY.encode()
        forms = (
            KEY,
            KEY.replace('"', '\\"').replace("é", "\\u00e9"),
            quote(KEY, safe=""),
            quote(KEY),
            base64.b64encode(raw).decode(),
            base64.urlsafe_b64encode(raw).decode(),
            raw.hex(),
        )
        redactor = Redactor([Secret(KEY)])
        for form in forms:
            masked = redactor.text(f"before {form} after")
            self.assertTrue(masked.startswith("before ***"), form)
            self.assertTrue(masked.endswith(" after"), form)
            self.assertEqual(redactor.data(form.encode())[:3], b"***")
        self.assertTrue(set(encodings(KEY)) <= {form.rstrip("=") for form in forms} | {KEY})

    def test_otherTextIsLeftAlone(self) -> None:
        """Also bytes that are no UTF-8, and an empty text."""
        redactor = Redactor([Secret(KEY)])
        for data in (b"", b"plain", b"\xff\xfe\x00 sk-Ab", "é".encode()):
            self.assertEqual(redactor.data(data), data)

    def test_shortKeysAreNotLookedFor(self) -> None:
        """They would mask ordinary words."""
        self.assertEqual(Redactor([Secret("test")]).text("a test"), "a test")

    def test_manyKeysAreFound(self) -> None:
        """One of 5000, at any place; a neighbour with the same beginning is told apart."""
        keys = [Secret(f"client-key-{number:06d}") for number in range(5000)]
        redactor = Redactor(keys)
        self.assertEqual(redactor.text("xclient-key-004321y"), "x***y")
        self.assertEqual(redactor.text("client-key-009999"), "client-key-009999")

    def test_oneMore(self) -> None:
        """A filter for one key more masks all of them, also with the same beginning; the first one does not change."""
        first = Redactor([Secret("abcdefgh-1")])
        self.assertEqual(first.plus(Secret("abcdefgh-2")).text("abcdefgh-1 abcdefgh-2"), "*** ***")
        self.assertEqual(first.text("abcdefgh-1 abcdefgh-2"), "*** abcdefgh-2")

    def test_keysThatHoldEachOther(self) -> None:
        """The longer one is masked as a whole."""
        self.assertEqual(Redactor([Secret("abcdefgh"), Secret("abcdefghij")]).text("abcdefghij abcdefgh"), "*** ***")
        self.assertEqual(Redactor([Secret("bcdefghi"), Secret("abcdefghij")]).text("abcdefghij"), "***")

    def test_noKeysNoWork(self) -> None:
        """An empty filter passes everything."""
        self.assertEqual(Redactor().text(KEY), KEY)
