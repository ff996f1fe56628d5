"""The head of a provider's answer, behind its interim ones. Sans-IO."""

from __future__ import annotations

from relay.wire.answer import AnswerHead, AnswerShapes
from relay.wire.http import HEAD_LIMIT, HeadError, find_head_end

INTERIM_ANSWERS = 10
"""1xx answers before the final one."""

HIGHEST_STATUS = 599
_SWITCHING = 101
_FINAL = 200


class AnswerReader:
    """Reads one head after the other, each between `expect` and the head that `feed` returns.

    What it holds is bounded by the bound on one head; interim answers are dropped.

    Args:
        shapes: reads heads; shared with the origin's other connections.

    Attributes:
        rest: what followed the head that `feed` returned; to be taken away.
        begun: whether a byte has come since `expect`.
    """

    __slots__ = ("_held", "_interim", "_method", "_shapes", "begun", "rest")

    def __init__(self, shapes: AnswerShapes) -> None:
        self._shapes = shapes
        self.begun = False
        self.rest = b""
        self._held: bytearray | None = None
        self._interim = 0
        self._method = b""

    def expect(self, method: bytes) -> None:
        """Begin with the answer to a request with this method; the last head was whole, or there was none."""
        self.begun = False
        self._method = method

    def feed(self, data: bytes) -> AnswerHead | None:
        """Take bytes; return the final head once it is whole.

        Raises:
            HeadError: a head is malformed or too large, has a status that a provider may not
                give, or there are too many interim ones.
        """
        self.begun = True
        held = self._held
        if held is None:
            end = data.find(b"\r\n\r\n", 0, HEAD_LIMIT) + 4
            if end > 3:
                head = self._shapes.read(data[:end], self._method)
                if _FINAL <= head.status <= HIGHEST_STATUS:
                    self._interim = 0
                    self.rest = data[end:]
                    return head
            seen: int = 0
            buffer: bytes | bytearray = data
        else:
            seen, buffer = len(held), held
            held += data
        while (end := find_head_end(buffer, seen)) >= 0:
            head = self._shapes.read(bytes(buffer[:end]), self._method)
            seen, buffer = 0, buffer[end:]
            if _FINAL <= head.status <= HIGHEST_STATUS:
                self._held = None
                self._interim = 0
                self.rest = bytes(buffer)
                return head
            self._pass_over(head.status)
        if buffer is not held:
            self._held = bytearray(buffer)
        return None

    def _pass_over(self, status: int) -> None:
        """Count an interim answer."""
        if status >= _FINAL or status == _SWITCHING:
            raise HeadError(502, f"Its status {status} is not one that a provider may give.")
        self._interim += 1
        if self._interim > INTERIM_ANSWERS:
            raise HeadError(502, "Interim answers came without end.")
