"""Deadlines towards providers: several places may set them, and each is looked up on its own."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from relay.provider import Timeouts
from relay.schema.provider import TimeoutsFile


def timeouts(levels: Sequence[TimeoutsFile | UnsetType], below: Timeouts) -> Timeouts:
    """The deadlines in force: of each the first level that sets it.

    Args:
        levels: strongest first.
        below: what counts where no level says anything.

    Returns:
        The deadlines; ``total`` bounds streams only where it is written.
    """
    given = [level for level in levels if level is not UNSET]

    def first(name: str) -> float | None:
        return next((value for level in given if (value := getattr(level, name)) is not UNSET), None)

    total = first("total")
    return Timeouts(
        connect=first("connect") or below.connect,
        first_byte=first("first_byte") or below.first_byte,
        idle=first("idle") or below.idle,
        total=total or below.total,
        stream_total=total or below.stream_total,
    )
