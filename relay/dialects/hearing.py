"""What every listener keeps of the stream it hears."""

from __future__ import annotations

from relay.exchange import Usage


class Hearing:
    """The findings of a listener; see `relay.dialects.base.Listener` for each attribute."""

    __slots__ = ("chunks", "content", "done", "error", "finish", "model", "usage")

    def __init__(self) -> None:
        self.usage = Usage()
        self.model = ""
        self.finish = ""
        self.content = False
        self.chunks = 0
        self.done = False
        self.error: tuple[str, str] | None = None
