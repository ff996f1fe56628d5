"""How long a client is willing to wait."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.errors import InvalidRequest
from relay.exchange import Headers
from relay.policy.deadline import LONGEST, asked, whole

NONSENSE = (
    b"",
    b"0",
    b"0.0",
    b"-1",
    b"+1",
    b"1e3",
    b"nan",
    b"inf",
    b"1_0",
    b"5s",
    b" 5",
    b"5.",
    b".5",
    b"86401",
    b"9" * 400,
)


def headers(**fields: bytes) -> Headers:
    """Header fields; ``_`` stands for ``-``."""
    return tuple((name.replace("_", "-").encode(), value) for name, value in fields.items())


class AskedTests(SynchronousTestCase):
    """Until the first content."""

    def test_nobodySays(self) -> None:
        """Without a word of the client's the route's holds, and without one there is none."""
        self.assertEqual((asked(()), asked((), 20.0)), (None, 20.0))
        self.assertIsNone(asked(headers(timeout=b"5", host=b"h")))

    def test_theSmaller(self) -> None:
        """Of the client's and the route's, the smaller one holds."""
        for name in ("x_relay_timeout", "x_stainless_timeout", "x_stainless_read_timeout"):
            fields = headers(accept=b"*/*", **{name: b"5"})
            self.assertEqual((asked(fields), asked(fields, 4.5), asked(fields, 60.0)), (5.0, 4.5, 5.0), name)

    def test_fractions(self) -> None:
        """Parts of seconds count."""
        self.assertEqual(asked(headers(x_relay_timeout=b"2.5")), 2.5)
        self.assertEqual(asked(headers(x_stainless_read_timeout=b"0.25")), 0.25)

    def test_ownWordFirst(self) -> None:
        """What was said to relay counts, not what an SDK always says."""
        both = headers(x_stainless_timeout=b"600", x_relay_timeout=b"900", x_stainless_read_timeout=b"600.0")
        self.assertEqual(asked(both), 900.0)
        self.assertEqual(asked(tuple(reversed(both))), 900.0)

    def test_twoOfAnSDK(self) -> None:
        """Anthropic's SDK sends both; the smaller that makes sense holds."""
        self.assertEqual(asked(headers(x_stainless_timeout=b"None", x_stainless_read_timeout=b"600.0")), 600.0)
        self.assertEqual(asked(headers(x_stainless_timeout=b"30", x_stainless_read_timeout=b"600")), 30.0)

    def test_nonsense(self) -> None:
        """What is no number of seconds is an error where it was said to relay, and nothing else where it was not."""
        for value in NONSENSE:
            self.assertEqual(asked(headers(x_stainless_timeout=value), 7.0), 7.0, repr(value))
            for read in (asked, whole):
                with self.assertRaises(InvalidRequest) as caught:
                    read(headers(x_relay_timeout=value), 7.0)
                self.assertEqual(caught.exception.param, "x-relay-timeout", repr(value))

    @given(st.binary(max_size=12), st.none() | st.floats(0.1, 1000))
    def test_anything(self, value: bytes, default: float | None) -> None:
        """Whatever an SDK says, the result is a possible number of seconds."""
        seconds = asked(headers(x_stainless_timeout=value), default)
        if seconds is None:
            self.assertIsNone(default)
        else:
            self.assertTrue(0 < seconds <= (LONGEST if default is None else default))


class WholeTests(SynchronousTestCase):
    """Until the end of a stream."""

    def test_streamsOutliveAnSDKsPatience(self) -> None:
        """An SDK's own timeout is about silence, so it ends no stream that has begun."""
        fields = headers(x_stainless_timeout=b"5", x_stainless_read_timeout=b"5")
        self.assertEqual((whole(fields), whole(fields, 60.0)), (None, 60.0))

    def test_whatWasSaidToRelay(self) -> None:
        """What relay's own field says and the route's deadline end streams, too."""
        fields = headers(x_stainless_timeout=b"5", x_relay_timeout=b"20")
        self.assertEqual((whole(fields), whole(fields, 10.0)), (20.0, 10.0))
