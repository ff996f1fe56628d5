"""Arguments of a function call that come in pieces, each with the path of its place.

Vertex AI streams them so where ``streamFunctionCallArguments`` asks for it.
See: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling#streaming-fc
(read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from relay.dialects.lenient import mapping, sequence, text

_STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,9})\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""")
_DEEPEST = 64


class Arguments:
    """Arguments as far as they are known; texts grow, other values come whole."""

    __slots__ = ("_growing", "value")

    def __init__(self, value: Mapping[str, object]) -> None:
        self.value: dict[str, Any] = dict(value)
        self._growing = ""  # the path whose text goes on

    def take(self, pieces: object) -> None:
        """Take the ``partialArgs`` of one chunk; what is not as expected is left out."""
        for piece in map(mapping, sequence(pieces)):
            path = text(piece.get("jsonPath"))
            steps = _steps(path)
            if steps:
                grown = self._growing == path
                self._growing = path if piece.get("willContinue") is True else ""
                _put(self.value, steps, piece, grown=grown)


def _steps(path: str) -> list[str | int]:
    """``$.steps[0].name`` as its steps; [] for what is no such path."""
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None or len(steps) == _DEEPEST:
            return []
        quoted = match[3] if match[3] is not None else match[4]
        if match[2] is not None:
            steps.append(int(match[2]))
        else:
            steps.append(match[1] if match[1] is not None else re.sub(r"\\(.)", r"\1", quoted))
        at = match.end()
    return steps if path[:1] == "$" else []


def _put(root: dict[str, Any], steps: list[str | int], piece: Mapping[str, object], *, grown: bool) -> None:
    """Set or lengthen the value at a place, making the objects and lists on the way."""
    node: Any = root
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        if not _fits(node, step):
            return
        before = node[step] if _holds(node, step) else None
        if following is None:
            value = _value(piece)
            if grown and isinstance(before, str) and isinstance(value, str):
                value = before + value
            after: Any = value
        else:
            kind = list if isinstance(following, int) else dict
            if before is not None and not isinstance(before, kind):
                return
            after = before if before is not None else kind()
        if isinstance(node, list) and step == len(node):
            node.append(after)
        else:
            node[step] = after
        node = after


def _fits(node: object, step: str | int) -> bool:
    """Whether a step can be taken: a list grows by one place at a time."""
    if isinstance(step, int):
        return isinstance(node, list) and step <= len(node)
    return isinstance(node, dict)


def _holds(node: Any, step: Any) -> bool:
    return step < len(node) if isinstance(node, list) else step in node


def _value(piece: Mapping[str, object]) -> object:
    for name in ("stringValue", "numberValue", "boolValue"):
        if name in piece:
            return piece[name]
    return None
