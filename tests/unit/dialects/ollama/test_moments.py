"""Times as Ollama writes them."""

from __future__ import annotations

import datetime as dt

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.ollama.moments import seconds, timestamp

MOMENTS: dict[str, int] = {
    "1970-01-01T00:00:00Z": 0,
    "2023-12-12T14:13:43.416799Z": 1702390423,
    "2023-08-04T08:52:19.385406455-07:00": 1691164339,
    "2024-02-29T23:59:59+01:00": 1709247599,
    "2024-02-29 23:59:59": 1709251199,
    "1969-12-31T23:59:59Z": 0,
    "2023-13-01T00:00:00Z": 0,
    "yesterday": 0,
    "": 0,
}


class MomentTests(SynchronousTestCase):
    """The calendar, without the clock's module."""

    def test_read(self) -> None:
        """Fractions are cut, offsets count, and what is no moment is 0."""
        for moment, expected in MOMENTS.items():
            self.assertEqual(seconds(moment), expected, moment)

    def test_bounds(self) -> None:
        """A provider's odd time becomes the nearest that can be written."""
        self.assertEqual(timestamp(-5), "1970-01-01T00:00:00Z")
        self.assertEqual(timestamp(10**30), "9999-12-31T23:59:59Z")

    @settings(max_examples=100, deadline=None, database=None)
    @given(st.integers(0, 253402300799))
    def test_roundTrip(self, moment: int) -> None:
        """The standard library's calendar says the same."""
        written = dt.datetime.fromtimestamp(moment, tz=dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.assertEqual(timestamp(moment), written)
        self.assertEqual(seconds(written), moment)
