"""Names of functions as Gemini takes them.

A name begins with a letter or ``_`` and has at most 64 letters, digits, ``_``, ``.``, ``:`` and ``-``. There is no
tool that takes free text: a function with one string stands for it, and its name tells so.
See: https://ai.google.dev/api/caching#FunctionDeclaration (read 2026-11).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from relay.chat import Tool
from relay.dialects.carry import made_id
from relay.dialects.gemini.parts import OUTPUT_TOOL

FREE_TEXT = "relay_text_"
"""Begins the name of a function that stands for a tool that takes free text."""

_LONGEST = 64
_REFUSED = re.compile(r"[^A-Za-z0-9_.:-]")
_TAKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")


class Names:
    """The names of one request's functions.

    Args:
        tools: what the request declares.

    Attributes:
        changed: the name as the answer's reader gives it → the client's, where they differ.
    """

    def __init__(self, tools: Iterable[Tool]) -> None:
        tools = [tool for tool in tools if tool.kind in ("function", "custom")]
        self.changed: dict[str, str] = {}
        self._sent: dict[tuple[str, str, bool], str] = {}
        self._taken = {OUTPUT_TOOL}
        self._shared = {name for name, times in Counter(tool.name for tool in tools).items() if times > 1}
        for tool in tools:
            self.sent(tool.name, tool.namespace, custom=tool.kind == "custom")

    def sent(self, name: str, namespace: str = "", *, custom: bool = False) -> str:
        """The name sent for a function: always the same one, and no other's."""
        key = (namespace, name, custom)
        if key not in self._sent:
            full = f"{namespace}__{name}" if namespace and name in self._shared else name
            fit = self._fit(full, _LONGEST - len(FREE_TEXT) if custom else _LONGEST)
            if fit != name:
                self.changed[fit] = name
            self._sent[key] = FREE_TEXT + fit if custom else fit
        return self._sent[key]

    def _fit(self, name: str, most: int) -> str:
        fit = _REFUSED.sub("_", name)
        if not _TAKEN.fullmatch(fit) or fit.startswith(FREE_TEXT):
            fit = f"_{fit}"
        if len(fit) > most or fit in self._taken or (fit != name and fit in self._shared):
            fit = f"{fit[: most - 9]}_{made_id('', name, length=8)}"
        while fit in self._taken:
            fit = f"{fit[: most - 9]}_{made_id('', fit, length=8)}"
        self._taken.add(fit)
        return fit


def free_text(arguments: Mapping[str, object]) -> str:
    """The free text inside of a call's arguments."""
    value = arguments.get("input")
    return value if isinstance(value, str) else ""
