"""Who takes the answer that a connection brings, and how that may break off."""

from __future__ import annotations

import enum
from typing import Protocol

from relay.wire.answer import AnswerHead


class Break(enum.Enum):
    """How an exchange broke off.

    UNSENT: the connection ended while the request was being written. UNANSWERED: after
    that, before one byte of an answer. CUT: within the answer. MALFORMED: the answer is not
    HTTP that relay accepts; the cause's text says why. UPLOAD: the request's own body could
    not be read; the cause is its error.
    """

    UNSENT = "unsent"
    UNANSWERED = "unanswered"
    CUT = "cut"
    MALFORMED = "malformed"
    UPLOAD = "upload"


class Taker(Protocol):
    """Who has a connection for one exchange. After `ended` or `broken` it has it no more."""

    def answered(self, head: AnswerHead) -> Taker | None:
        """The final head is here; says who takes the body, or None when the connection was given up."""

    def announced(self) -> None:
        """What came together with the head has been taken, whether or not that was the end."""

    def took(self, data: bytes) -> None:
        """A piece of the body, not empty."""

    def ended(self) -> None:
        """The message is whole."""

    def broken(self, how: Break, cause: Exception) -> None:
        """There will be no whole message."""


class _Nobody:
    """Takes what nobody waits for."""

    __slots__ = ()

    def answered(self, head: AnswerHead) -> Taker | None:
        return self

    def announced(self) -> None:
        pass

    def took(self, data: bytes) -> None:
        pass

    def ended(self) -> None:
        pass

    def broken(self, how: Break, cause: Exception) -> None:
        pass


NOBODY: Taker = _Nobody()
"""Has the connections that nobody has."""
