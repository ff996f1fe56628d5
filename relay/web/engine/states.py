"""What a client connection can be doing, and what it needs of its neighbours."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Protocol

from twisted.internet.interfaces import IConsumer, IPushProducer, ITCPTransport


class State(enum.IntEnum):
    """What a connection is doing.

    IDLE: nothing of a request is here. HEAD: a part of a head is. BODY: the head is, and
    its resource wants the body. ANSWER: the request is complete. LINGERING: the request
    is refused and will be the last; what still comes of it is dropped, so that the client
    gets to read why. CLOSING: the rest is being written. LOST: nobody is there.
    """

    IDLE = 0
    HEAD = 1
    BODY = 2
    ANSWER = 3
    LINGERING = 4
    CLOSING = 5
    LOST = 6


IDLE, HEAD, BODY, ANSWER, LINGERING, CLOSING, LOST = State

MOVES: Mapping[State, frozenset[State]] = {
    IDLE: frozenset({HEAD, BODY, ANSWER, LINGERING, CLOSING, LOST}),
    HEAD: frozenset({BODY, ANSWER, LINGERING, LOST}),
    BODY: frozenset({ANSWER, LINGERING, LOST}),
    ANSWER: frozenset({IDLE, LINGERING, CLOSING, LOST}),
    LINGERING: frozenset({CLOSING, LOST}),
    CLOSING: frozenset({LOST}),
    LOST: frozenset(),
}
"""State → the states that may follow; one read can bring a connection through several."""


class Transport(ITCPTransport, IConsumer, IPushProducer):
    """The transport of a client connection."""


class Pace(Protocol):
    """Who writes an answer, as the connection sees it."""

    def full(self) -> None:
        """The transport's buffer is full; write no more than is at hand."""

    def empty(self) -> None:
        """The transport's buffer is empty; go on."""

    def lost(self) -> None:
        """The client has left."""
