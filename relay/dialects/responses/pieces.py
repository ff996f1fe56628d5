"""What a reader remembers of the items that a stream is at."""

from __future__ import annotations


class Block:
    """A block that is open."""

    __slots__ = ("cited", "closed", "grown", "number", "place")

    def __init__(self, number: int) -> None:
        self.number = number
        self.grown = False
        self.closed = False
        self.cited = 0
        self.place: tuple[bool, int] | None = None  # which text of a reasoning item grew last


class Item:
    """An output item that the stream is at."""

    __slots__ = ("blocks", "custom", "done", "identity", "kind")

    def __init__(self, kind: str, identity: str) -> None:
        self.kind = kind
        self.identity = identity
        self.custom = False
        self.done = False
        self.blocks: dict[int, Block] = {}  # by content index; 0 for what has none
