"""A request body that lies in a temporary file, or partly so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import FileIO

import attrs

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relay.errors import Overloaded
from relay.spool.disk import Disk, read_all


class SpooledFile:
    """A complete temporary file and the reads that are under way on it.

    ``OPEN → CLOSING → CLOSED``: `close` lets running reads end first, because a
    descriptor closed under a reading thread could by then belong to something else.

    Args:
        disk: runs the reads.
        file: the file; from now on this object's.
    """

    _log = Logger()

    def __init__(self, disk: Disk, file: FileIO) -> None:
        self._disk = disk
        self._file: FileIO | None = file
        self._reading = 0
        self._closing = False

    def read(self, work: Callable[[FileIO], bytes]) -> Deferred[bytes]:
        """Run ``work`` on the file in a thread.

        The Deferred may be cancelled; the thread then ends for nobody. It fails with
        `Overloaded` when the disk does.

        Raises:
            ValueError: it is closed.
        """
        file = self._file
        if file is None or self._closing:
            raise ValueError("This spooled body is closed.")
        answer: Deferred[bytes] = Deferred()
        self._reading += 1

        def done(result: bytes | Failure) -> None:
            self._reading -= 1
            self._close_when_idle()
            if isinstance(result, Failure):
                self._log.error("reading a spooled upload failed: {reason}", reason=result.getErrorMessage())
                answer.errback(Overloaded("relay cannot read back the uploaded body."))
            else:
                answer.callback(result)

        self._disk.run(lambda: work(file), done)
        return answer

    def close(self) -> None:
        """Let no more reads begin, and close when the last has ended. Idempotent."""
        self._closing = True
        self._close_when_idle()

    def _close_when_idle(self) -> None:
        if self._closing and not self._reading and self._file is not None:
            self._disk.close(self._file)
            self._file = None


@attrs.frozen
class _Stretch:
    """Bytes ``start`` to ``end`` of the file."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    def __getitem__(self, cut: slice) -> _Stretch:
        start, end, _ = cut.indices(len(self))
        return _Stretch(self.start + start, self.start + max(start, end))


_Piece = bytes | _Stretch


class SpooledBody:
    """A body made of stretches of one temporary file and of bytes put between them.

    It is a `relay.exchange.StoredBody`. What `replaced` returns is a view: it borrows the
    file, and is closed with the body that it came from.

    Args:
        file: where the stretches lie.
        pieces: what the body is made of, in order.
        owner: whether closing this body closes the file.

    Attributes:
        length: bytes of it.
        received: the same; for a view, too.
        repeatable: it can be read any number of times.
    """

    repeatable = True

    def __init__(self, file: SpooledFile, pieces: Sequence[_Piece], *, owner: bool) -> None:
        self._file = file
        self._pieces = tuple(piece for piece in pieces if len(piece))
        self._owner = owner
        self._closed = False
        self.length = self.received = sum(map(len, self._pieces))

    @classmethod
    def whole(cls, file: SpooledFile, length: int) -> SpooledBody:
        """The body that a file holds from its first byte to ``length``; it owns the file."""
        return cls(file, (_Stretch(0, length),), owner=True)

    async def read(self, offset: int, size: int) -> bytes:
        """Read up to ``size`` bytes at ``offset``; fewer only at the end of the body.

        Raises:
            Overloaded: the disk failed.
            ValueError: the body, or the one it was made from, is closed.
        """
        if self._closed:
            raise ValueError("This spooled body is closed.")
        pieces = _cut(self._pieces, offset, offset + size)
        if not any(isinstance(piece, _Stretch) for piece in pieces):
            return b"".join(piece for piece in pieces if isinstance(piece, bytes))
        return await self._file.read(lambda file: b"".join(_load(file, piece) for piece in pieces))

    def replaced(self, start: int, end: int, data: bytes) -> SpooledBody:
        """The same body with the bytes from ``start`` up to ``end`` exchanged for ``data``."""
        before = _cut(self._pieces, 0, start)
        after = _cut(self._pieces, end, self.length)
        return SpooledBody(self._file, (*before, data, *after), owner=False)

    def close(self) -> None:
        """Take no more reads; close the file, unless it is borrowed. Idempotent."""
        self._closed = True
        if self._owner:
            self._file.close()


def _cut(pieces: Sequence[_Piece], start: int, end: int) -> list[_Piece]:
    """The part of the pieces that lies between two offsets."""
    wanted: list[_Piece] = []
    for piece in pieces:
        if start < len(piece) and end > 0:
            wanted.append(piece[max(0, start) : end])
        start -= len(piece)
        end -= len(piece)
    return wanted


def _load(file: FileIO, piece: _Piece) -> bytes:
    """The bytes of a piece. Blocks."""
    return piece if isinstance(piece, bytes) else read_all(file, piece.start, len(piece))
