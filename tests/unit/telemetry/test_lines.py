"""Log lines: one event is one line, whatever it holds."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.telemetry.lines import LONGEST, Fields, escape, json_line, shorten, text_line, timestamp

ANYTHING = st.text(st.characters(), max_size=300)
SCALARS = st.one_of(ANYTHING, st.integers(), st.floats(), st.booleans(), st.none())
CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]")
BREAKS = "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


class TimestampTests(SynchronousTestCase):
    """When it happened."""

    def test_form(self) -> None:
        """RFC 3339, UTC, milliseconds, always as long."""
        self.assertEqual(timestamp(1_795_000_000.25), "2026-11-18T11:06:40.250Z")
        self.assertEqual(timestamp(0), "1970-01-01T00:00:00.000Z")

    def test_neverRoundsUpToTheNextSecond(self) -> None:
        """The last microsecond of a second belongs to it."""
        self.assertEqual(timestamp(1_795_000_000.999999), "2026-11-18T11:06:40.999Z")


class EscapeTests(SynchronousTestCase):
    """What a terminal, or a reader of lines, could take for something else."""

    def test_controlCharacters(self) -> None:
        """Line ends of every kind, terminal escapes and directional marks become visible."""
        self.assertEqual(escape("a\nb\r\x1b[2J\x7f\x9b\u2028\u202e\ud83d"), r"a\nb\r\x1b[2J\x7f\x9b\u2028\u202e\ud83d")

    def test_ordinaryTextStays(self) -> None:
        """Letters of all scripts and signs are left alone."""
        self.assertEqual(escape("Größe 模型 🙂"), "Größe 模型 🙂")


class ShortenTests(SynchronousTestCase):
    """Long texts keep their ends."""

    def test_middleGoes(self) -> None:
        """The head and a longer tail stay: a traceback says at its end what happened."""
        self.assertEqual(shorten("a" * 50 + "z" * 50, 8), "aa … zzzzzz")
        self.assertEqual(shorten("short", 5), "short")


class JSONLineTests(SynchronousTestCase):
    """JSON lines."""

    @given(st.dictionaries(st.sampled_from("abcdefgh"), SCALARS), ANYTHING)
    def test_alwaysOneLineOfJSON(self, fields: dict[str, str | int | float | bool | None], trace: str) -> None:
        """Any values make one short line of ASCII without control characters, which parses."""
        line = json_line(fields, trace)
        self.assertEqual(line.count(b"\n"), 1)
        self.assertTrue(line.endswith(b"\n") and line.isascii() and len(line) <= LONGEST)
        self.assertIsNone(CONTROL.search(line))
        self.assertEqual(list(json.loads(line)), [*fields, *(["traceback"] if trace else [])])

    def test_valuesComeBack(self) -> None:
        """What is of ordinary size is not changed by writing and reading."""
        fields: Fields = {"text": "a\nb\x7f模\U0001f642\ud83d", "n": 2**62, "f": 0.5, "yes": True, "none": None}
        self.assertEqual(json.loads(json_line(fields)), fields)

    def test_hugeValues(self) -> None:
        """Values of any size and number make a line below 16 KiB, and the first fields survive."""
        fields = {f"field{number}": "\U0001f642" * 100_000 for number in range(300)}
        line = json_line({"first": "here", **fields}, "\x00" * 10**6)
        self.assertLessEqual(len(line), LONGEST)
        self.assertEqual(json.loads(line)["first"], "here")

    def test_numbersThatReadersCannotHold(self) -> None:
        """Infinities and integers beyond 64 bits say so instead of breaking readers."""
        line = json_line({"a": float("nan"), "b": float("inf"), "c": 10**5000})
        self.assertEqual(json.loads(line), dict.fromkeys("abc", "out of range"))


class TextLineTests(SynchronousTestCase):
    """Lines for people."""

    def test_form(self) -> None:
        """Time, level, message and pairs; values that could mislead are quoted, absent ones left out."""
        line = text_line(
            "T", "info", "it happened", {"a": "x", "b": 'y "z" w=1', "c": 5, "d": None, "e": "", "f": False}
        )
        self.assertEqual(line, b'T INFO  it happened a=x b="y \\"z\\" w=1" c=5 f=false\n')

    def test_traceback(self) -> None:
        """A traceback follows indented, so that none of its lines looks like an event."""
        line = text_line("T", "error", "boom", {}, "Traceback:\n  File x\n2026-11-18 INFO forged")
        self.assertEqual(line, b"T ERROR boom\n    Traceback:\n      File x\n    2026-11-18 INFO forged\n")

    @given(ANYTHING, st.dictionaries(st.sampled_from("abcdefgh"), SCALARS))
    def test_alwaysOneLine(self, message: str, fields: dict[str, str | int | float | bool | None]) -> None:
        """Any message and values make exactly one line, without control characters."""
        line = text_line("T", "info", message, fields)
        self.assertEqual(line.decode().splitlines(keepends=True), [line.decode()])
        self.assertIsNone(CONTROL.search(line))
        self.assertLessEqual(len(line), LONGEST)

    @given(ANYTHING)
    def test_everyFurtherLineIsIndented(self, trace: str) -> None:
        """No traceback can begin a line of its own making."""
        first, *rest = text_line("T", "info", "m", {}, trace).decode().splitlines()
        self.assertTrue(first.startswith("T INFO"))
        self.assertTrue(all(line.startswith("    ") for line in rest))

    def test_lineBreaksOfAllKinds(self) -> None:
        """Readers differ in what ends a line; none of their signs gets through."""
        line = text_line("T", "info", f"a{BREAKS}b", {"x": BREAKS}, f"one{BREAKS}two").decode()
        self.assertFalse(set(BREAKS) & set(line))
