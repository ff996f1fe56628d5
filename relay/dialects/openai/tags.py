"""Reasoning that a server left in the text, between ``<think>`` and ``</think>``.

Servers without a parser for their model's reasoning do so (vLLM, TGI, Together, Groq's ``raw``; seen 2025-11). Only
a tag at the very beginning counts: anywhere else it is something that the model talks about.
"""

from __future__ import annotations

import enum

_OPEN = "<think>"
_CLOSE = "</think>"
_MOST_BLANKS = 64


class _Place(enum.Enum):
    START = enum.auto()
    """Nothing but blanks, or a part of the tag, so far."""
    FIRST = enum.auto()
    """Behind the opening tag, only line ends so far."""
    INSIDE = enum.auto()
    """Among the thoughts."""
    BEHIND = enum.auto()
    """Behind the closing tag, only blanks so far."""
    PLAIN = enum.auto()
    """In the answer."""


class ThinkTags:
    """Tells thoughts and answer apart, the same however the text is sliced; holds back at most a tag."""

    __slots__ = ("_held", "_place")

    def __init__(self) -> None:
        self._place = _Place.START
        self._held = ""

    @property
    def plain(self) -> bool:
        """Whether everything that follows is the answer."""
        return self._place is _Place.PLAIN

    def feed(self, text: str) -> tuple[str, str]:
        """Take text; return what it adds to the thoughts and to the answer, in this order."""
        text, self._held = self._held + text, ""
        thought = ""
        if self._place is _Place.START:
            text = self._start(text)
        if self._place is _Place.FIRST:
            text = text.lstrip("\r\n")
            if text:
                self._place = _Place.INSIDE
        if self._place is _Place.INSIDE:
            thought, text = self._inside(text)
        if self._place is _Place.BEHIND:
            text = text.lstrip()
            if text:
                self._place = _Place.PLAIN
        return thought, text if self._place is _Place.PLAIN else ""

    def end(self) -> tuple[str, str]:
        """What was held back when no more comes."""
        text, self._held = self._held, ""
        return (text, "") if self._place is _Place.INSIDE else ("", text)

    def _start(self, text: str) -> str:
        words = text.lstrip()
        if words.startswith(_OPEN):
            self._place = _Place.FIRST
            return words[len(_OPEN) :]
        if _OPEN.startswith(words) and len(text) - len(words) <= _MOST_BLANKS:
            self._held = text
            return ""
        self._place = _Place.PLAIN
        return text

    def _inside(self, text: str) -> tuple[str, str]:
        thought, tag, rest = text.partition(_CLOSE)
        if tag:
            self._place = _Place.BEHIND
            return thought, rest
        for size in range(min(len(_CLOSE) - 1, len(text)), 0, -1):
            if text.endswith(_CLOSE[:size]):
                self._held = text[-size:]
                return text[:-size], ""
        return text, ""
