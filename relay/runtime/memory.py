"""How the C library gives memory back, set for a process that takes and drops megabytes all the time.

By default glibc returns the end of its heap to the kernel as soon as a little of it is
free. With bodies of a megabyte that is a request's work: each page that comes back has to
be cleared and mapped again, which was a third of such a request's time.

See: https://man7.org/linux/man-pages/man3/mallopt.3.html (read 2026-11).
"""

from __future__ import annotations

import ctypes

TRIM = 16 * 1024 * 1024
"""Bytes at the end of the heap that are kept, where there are so many."""

MAPPED = 4 * 1024 * 1024
"""Bytes of a piece of memory from which on it is the kernel's, and goes back to it at once."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> bool:
    """Keep some of what is freed for the next request.

    Returns:
        Whether the C library is glibc, and has agreed; where another is used, nothing is changed.
    """
    try:
        library = ctypes.CDLL(None)
        if not hasattr(library, "gnu_get_libc_version"):
            return False
        mallopt = library.mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_TRIM_THRESHOLD, TRIM) and mallopt(_MMAP_THRESHOLD, MAPPED))
