"""Names and ids that Chat Completions takes, for tools of clients that speak another dialect.

Function names have at most 64 letters, digits, ``_`` and ``-``. There are no namespaces, so tools of one name in two
of them are called ``group__ns__name``; there is no free text either but at OpenAI itself, so a free-text tool
becomes a function with one string, and is called ``name__freetext``. Both ends are told from the name alone, so
that the answer needs no memory of the request.

See: https://platform.openai.com/docs/api-reference/chat/create#chat-create-tools (read 2026-11).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from relay.chat import Tool
from relay.dialects.carry import made_id

FREE_TEXT = "__freetext"
SPACE = "__ns__"

FREE_TEXT_SCHEMA = b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}'
"""Parameters of a function that stands for a free-text tool."""

LONGEST_NAME = 64
_LONGEST_ID = 64
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")
_NINE = re.compile(r"[A-Za-z0-9]{9}")


class Names:
    """The names of a request's tools, here and there.

    Attributes:
        sent: name sent → the client's, where a reader would find another one than the client's.

    Args:
        tools: what the request declares.
    """

    def __init__(self, tools: Iterable[Tool]) -> None:
        tools = tuple(tools)
        self.sent: dict[str, str] = {}
        times = Counter(tool.name for tool in tools)
        self._shared = {name for name, count in times.items() if count > 1}
        self._foreign = {tool.name for tool in tools if tool.kind == "custom" and tool.origin != "openai"}
        for tool in tools:
            if tool.kind in ("function", "custom"):
                self.of(tool.name, tool.namespace)

    def of(self, name: str, namespace: str = "") -> str:
        """The name under which a tool is sent."""
        suffix = FREE_TEXT if name in self._foreign else ""
        space = f"{_clean(namespace)[:20]}{SPACE}" if namespace and name in self._shared else ""
        clean, room = _clean(name), LONGEST_NAME - len(space) - len(suffix)
        if len(clean) > room:
            clean = clean[: room - 9] + "_" + made_id("", name, length=8)
        if clean != name:
            self.sent[clean] = name
        return space + clean + suffix

    def is_free_text(self, name: str) -> bool:
        """Whether a tool takes free text and is sent as a function."""
        return name in self._foreign


def told_apart(name: str) -> tuple[str, str, bool]:
    """A name as a provider repeats it → (namespace, name, whether it takes free text)."""
    free = name.endswith(FREE_TEXT)
    if free:
        name = name[: -len(FREE_TEXT)]
    space, mark, rest = name.partition(SPACE)
    return (space, rest, free) if mark and rest else ("", name, free)


def call_id(given: str, *, nine: bool) -> str:
    """A call's id as the provider takes it; the same one for the call and for its result.

    Args:
        given: the id in the conversation.
        nine: whether only nine letters and digits are taken (Mistral).
    """
    if nine:
        return given if _NINE.fullmatch(given) else made_id("", given, length=9)
    return given if 0 < len(given) <= _LONGEST_ID else made_id("call_", given)


def schema_name(name: str) -> str:
    """The name of a schema; it is required."""
    return _clean(name)[:LONGEST_NAME] or "answer"


def _clean(name: str) -> str:
    return _FOREIGN.sub("_", name)
