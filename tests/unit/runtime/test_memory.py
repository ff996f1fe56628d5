"""Tests of the settings of the C library's memory."""

from __future__ import annotations

import ctypes
import platform

from twisted.trial.unittest import SynchronousTestCase

from relay.runtime import memory
from relay.runtime.memory import keep_freed_memory


class _Library:
    """A C library.

    Args:
        agrees: what ``mallopt`` returns.
    """

    def __init__(self, agrees: int = 1) -> None:
        self.agrees = agrees
        self.asked: list[tuple[int, int]] = []

    def gnu_get_libc_version(self) -> None:
        """Only glibc has this."""

    def mallopt(self, name: int, value: int) -> int:
        self.asked.append((name, value))
        return self.agrees


class MemoryTests(SynchronousTestCase):
    """Which libraries are told, and what."""

    def test_glibc(self) -> None:
        """Glibc is told both bounds."""
        library = _Library()
        self.patch(ctypes, "CDLL", lambda _: library)
        self.assertTrue(keep_freed_memory())
        self.assertEqual(library.asked, [(-1, memory.TRIM), (-3, memory.MAPPED)])

    def test_refused(self) -> None:
        """A refusal is told."""
        self.patch(ctypes, "CDLL", lambda _: _Library(agrees=0))
        self.assertFalse(keep_freed_memory())

    def test_otherLibrary(self) -> None:
        """Another library, or none that can be asked, is left as it is."""

        def none(_: object) -> object:
            raise OSError("no such library")

        for given in (lambda _: object(), none):
            self.patch(ctypes, "CDLL", given)
            self.assertFalse(keep_freed_memory())

    def test_here(self) -> None:
        """The real one agrees where it is glibc."""
        self.assertEqual(keep_freed_memory(), hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), platform.libc_ver())
