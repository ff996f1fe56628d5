"""Tests of `relay.echo.knobs`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec

from twisted.trial.unittest import SynchronousTestCase

from relay.echo.knobs import NONE, Break, Fault, Knobs

CONTRADICTIONS: tuple[dict[str, object], ...] = (
    {"status": 500, "cut_after": 1},
    {"cut_after": 0, "stall_after": 0},
    {"error_after": 1, "disconnect": True},
    {"error": "what for?"},
    {"error": "what for?", "cut_after": 1},
    {"retry_after": 3},
)
WRONG: tuple[dict[str, object], ...] = (
    {"delay": 3},
    {"delay_ms": -1},
    {"delay_ms": "fast"},
    {"chunks": 0},
    {"chunks": 10**9},
    {"status": 200},
    {"status": 600},
    {"cut_after": -1},
    {"endless": "yes"},
)


def read(knobs: dict[str, object]) -> Knobs:
    """The knobs of a JSON object."""
    return msgspec.json.decode(json.dumps(knobs), type=Knobs)


class KnobsTests(SynchronousTestCase):
    """Which knobs can be turned, and which together."""

    def test_contradictionsAreRefused(self) -> None:
        """Two knobs of which one could have no effect are not taken together."""
        for knobs in CONTRADICTIONS:
            with self.assertRaises(msgspec.ValidationError, msg=str(knobs)):
                read(knobs)

    def test_wrongValuesAreRefused(self) -> None:
        """Unknown names, wrong types and values out of range are errors."""
        for knobs in WRONG:
            with self.assertRaises(msgspec.ValidationError, msg=str(knobs)):
                read(knobs)

    def test_faultIsTheBreakThatIsTurned(self) -> None:
        """Each way to break off is read with its place; without one there is no fault."""
        self.assertEqual(NONE.fault, None)
        self.assertEqual(read({"cut_after": 0}).fault, Fault(Break.CUT, 0))
        self.assertEqual(read({"stall_after": 2}).fault, Fault(Break.STALL, 2))
        self.assertEqual(read({"error_after": 3, "error": "no"}).fault, Fault(Break.ERROR, 3))

    def test_messageIsTheErrorKnob(self) -> None:
        """An error says what the knob says, the empty text included."""
        self.assertEqual(read({"status": 500, "error": "no"}).message, "no")
        self.assertEqual(read({"status": 500, "error": ""}).message, "")
        self.assertNotEqual(read({"status": 500}).message, "")


class DocumentTests(SynchronousTestCase):
    """What is written about the knobs."""

    def test_everyKnobIsDescribed(self) -> None:
        """The table in ``docs/echo.md`` has each knob, in the order of the class, and no other."""
        page = (Path(__file__).resolve().parents[3] / "docs" / "echo.md").read_text("utf-8")
        table = page.split("| knob |")[1].split("\n\n")[0]
        self.assertEqual(tuple(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)), Knobs.__struct_fields__)
