"""`relay.dialects.carry`: proofs come home untouched."""

from __future__ import annotations

import base64
import re

from hypothesis import given
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Seal
from relay.dialects.carry import made_id, tag, untag, unwrap, unwrap64, wrap, wrap64

ORIGINS = st.sampled_from(["anthropic", "gemini", "responses", "bedrock"])
VALUES = st.text(max_size=60)


class WrapTests(SynchronousTestCase):
    """Through a field that another dialect has for its own proofs."""

    @given(origin=ORIGINS, native=ORIGINS, value=VALUES)
    def test_comesHome(self, origin: str, native: str, value: str) -> None:
        """Whatever a proof says, it is the same after the way there and back."""
        seal = Seal(origin, value)
        if origin != native or not value.startswith("relay1."):
            self.assertEqual(unwrap(wrap(seal, native), native), seal)

    @given(origin=ORIGINS, native=ORIGINS, value=st.binary(max_size=60))
    def test_comesHomeInBase64(self, origin: str, native: str, value: bytes) -> None:
        """Where the field must be base64, it is, and the proof is still the same."""
        seal = Seal(origin, base64.b64encode(value).decode())
        shown = wrap64(seal, native)
        base64.b64decode(shown, validate=True)
        self.assertEqual(unwrap64(shown, native), seal)
        self.assertEqual(unwrap64(shown.replace("+", "-").replace("/", "_"), native).origin, seal.origin)

    def test_ownProofsAreShownAsTheyAre(self) -> None:
        """A client of the provider's own dialect sees what the provider sent."""
        self.assertEqual(wrap(Seal("anthropic", "EqQB"), "anthropic"), "EqQB")
        self.assertEqual(unwrap("EqQB", "anthropic"), Seal("anthropic", "EqQB"))
        self.assertEqual(unwrap64("not base64!", "gemini"), Seal("gemini", "not base64!"))


class TagTests(SynchronousTestCase):
    """Through the id of a tool call."""

    @given(
        origin=ORIGINS,
        value=st.text(min_size=1, max_size=60),
        call=st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True),
    )
    def test_comesHome(self, origin: str, value: str, call: str) -> None:
        """The id with the proof has letters that every provider takes, and gives both back."""
        seal = Seal(origin, value)
        if "__seal_" in call:
            return
        tagged = tag(call, seal)
        self.assertTrue(re.fullmatch(r"[A-Za-z0-9_-]+", tagged))
        self.assertEqual(untag(tagged), (call, seal))

    def test_withoutAProof(self) -> None:
        """Other ids stay as they are, also those that only look alike."""
        for call in ("call_1", "", "a__seal_", "a__seal_x_*", "a__seal_gemini_A"):
            self.assertEqual(untag(tag(call, None)), (call, None), call)


class MadeIdTests(SynchronousTestCase):
    """Ids for what came without one."""

    def test_stable(self) -> None:
        """The same for the same seed, another for another, of the length asked for."""
        self.assertEqual(made_id("call_", "r", 0), made_id("call_", "r", 0))
        self.assertNotEqual(made_id("call_", "r", 0), made_id("call_", "r", 1))
        self.assertNotEqual(made_id("", "a", "bc"), made_id("", "ab", "c"))
        self.assertTrue(re.fullmatch(r"[a-z0-9]{9}", made_id("", "r", 0, length=9)))
        self.assertEqual(len(made_id("call_", "\ud83d")), len("call_") + 24)
