"""Vectors in their two forms."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.floats import packed, unpacked


class FloatsTests(SynchronousTestCase):
    """Numbers and base64 hold the same."""

    def test_packed(self) -> None:
        """Four bytes a number, little-endian; what is packed already stays."""
        self.assertEqual(packed((1.0, -2.0)), "AACAPwAAAMA=")
        self.assertEqual(packed("AACAPwAAAMA="), "AACAPwAAAMA=")
        self.assertEqual(unpacked("AACAPwAAAMA="), (1.0, -2.0))
        self.assertEqual(unpacked((0.1,)), (0.1,))

    def test_odd(self) -> None:
        """What is no base64 of floats has no numbers; what a float cannot hold is the nearest that it can."""
        for text in ("AAA", "AAAA", "ü", "!!!!"):
            self.assertEqual(unpacked(text), (), text)
        self.assertGreater(unpacked(packed((1e300,)))[0], 3e38)

    @settings(max_examples=50, deadline=None, database=None)
    @given(st.lists(st.floats(width=32, allow_nan=False), max_size=20))
    def test_roundTrip(self, numbers: list[float]) -> None:
        """Every 32-bit float survives."""
        self.assertEqual(unpacked(packed(tuple(numbers))), tuple(numbers))
