"""Reading files, and remembering which: the watch looks at all that a reading looked at."""

from __future__ import annotations

import os
import stat
from pathlib import Path

Mark = tuple[int, int, int, int] | None
"""What a file looks like from outside: times of change in ns, size, inode; None when it is not there."""


class Unreadable(Exception):
    """A file cannot be read; the message says why, without its name."""


def mark(path: Path) -> Mark:
    """What the file looks like now."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


class Files:
    """The files of one reading.

    Attributes:
        marks: every path that was looked at, also in vain, and what it looked like before.
        read_paths: every path that was read, in order.
    """

    def __init__(self) -> None:
        self.marks: dict[Path, Mark] = {}
        self.read_paths: list[Path] = []

    def exists(self, path: Path) -> bool:
        """Whether something is there; remembered, so that its appearance is noticed."""
        path = self._noted(path)
        return self.marks[path] is not None

    def read(self, path: Path, limit: int) -> bytes:
        """The bytes of a regular file.

        Args:
            path: absolute, or relative to the working directory.
            limit: the largest size accepted, in bytes.

        Raises:
            Unreadable: missing, not a regular file, not permitted, or larger than ``limit``.
        """
        path = self._noted(path)
        try:
            # A pipe without a writer would block the reactor in open().
            if not stat.S_ISREG(path.stat().st_mode):
                raise Unreadable("it is not a regular file")
            with path.open("rb") as file:
                data = file.read(limit + 1)
        except OSError as error:
            raise Unreadable((error.strerror or "input/output error").lower()) from None
        except ValueError:
            raise Unreadable("its name holds a null character") from None
        if len(data) > limit:
            raise Unreadable(f"it is larger than {limit} bytes")
        if path not in self.read_paths:
            self.read_paths.append(path)
        return data

    def _noted(self, path: Path) -> Path:
        path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links that a later change moves
        # The first look counts: a change between two looks is a change.
        self.marks.setdefault(path, mark(path))
        return path
