"""Telling the tool calls of a stream apart, which its chunks only add to.

OpenAI gives each call an index, and its id and name in the first chunk. Others leave the index out, number every
parallel call 0, leave the id out, repeat the name, or send a call whole in one chunk. So a call is known by its id
first, then by its index, then by its place; a name begins a new call unless it is plainly a repetition.
See: https://platform.openai.com/docs/api-reference/chat-streaming (``tool_calls``, read 2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from relay.dialects.lenient import mapping, text
from relay.dialects.openai.naming import told_apart


class Piece(msgspec.Struct, gc=False):
    """What one chunk says of one call.

    Attributes:
        id: its id, or "".
        index: its index, or None.
        name: the function's name, or "".
        words: more of its arguments.
        custom: whether it takes free text.
        proof: ``extra_content`` as it came, or None.
    """

    id: str
    index: int | None
    name: str
    words: str
    custom: bool
    proof: dict[str, Any] | None


class OpenCall:
    """A call while it grows.

    Attributes:
        block: its block's number, -1 until its name is known.
        id: its id; made if the provider gave none.
        index: the provider's index, or None.
        name: the function's name, "" until known.
        given: whether the id is the provider's.
        held: arguments that wait: for the name, or for the end of a free text.
        free: whether it is a free-text tool that travels as a function.
        text: all arguments so far, kept only while there is no id to know the call by.
    """

    __slots__ = ("block", "free", "given", "held", "id", "index", "name", "space", "text")

    def __init__(self, index: int | None) -> None:
        self.block = -1
        self.id = ""
        self.index = index
        self.name = ""
        self.space = ""
        self.given = False
        self.held: list[str] = []
        self.free = False
        self.text = ""

    def named(self, name: str) -> None:
        """The function's name came."""
        self.space, self.name, self.free = told_apart(name)


class Calls:
    """The calls of one choice, in the order in which they began."""

    __slots__ = ("all",)

    def __init__(self) -> None:
        self.all: list[OpenCall] = []

    def grown(self, calls: Any) -> tuple[int, str] | None:
        """Block and words of the usual piece: more arguments for the last call. None if it is anything else."""
        if not self.all or type(calls) is not list or len(calls) != 1 or type(calls[0]) is not dict:
            return None
        last, value = self.all[-1], calls[0]
        function = value.get("function")
        if (
            last.block < 0
            or last.free
            or not last.given
            or last.index is None
            or value.get("index") != last.index
            or type(function) is not dict
            or value.get("id")
            or function.get("name")
            or value.get("extra_content")
        ):
            return None
        words = function.get("arguments")
        return (last.block, words) if type(words) is str and words else None

    def of(self, piece: Piece, place: int, *, alone: bool, whole: bool) -> tuple[OpenCall, bool]:
        """The call that a piece belongs to, and whether it is new.

        Args:
            piece: what a chunk says.
            place: its number in the chunk.
            alone: whether it is the only one in the chunk.
            whole: whether the answer is not streamed, so that each piece is a call.
        """
        found = None if whole else self._known(piece, place, alone=alone)
        if found is not None:
            return found, False
        call = OpenCall(piece.index)
        self.all.append(call)
        return call, True

    def _known(self, piece: Piece, place: int, *, alone: bool) -> OpenCall | None:
        if piece.id:
            return self._by_id(piece)
        if piece.index is not None:
            found = next((call for call in reversed(self.all) if call.index == piece.index), None)
        elif piece.name:
            found = self.all[place] if not alone and place < len(self.all) else None
        elif alone or place >= len(self.all):
            found = self.all[-1] if self.all else None
        else:
            found = self.all[place]
        return None if found is not None and _begins_anew(found, piece) else found

    def _by_id(self, piece: Piece) -> OpenCall | None:
        for call in reversed(self.all):
            if call.id == piece.id and (piece.index is None or call.index in (None, piece.index)):
                return call
        if piece.index is None:
            return None
        last = next((call for call in reversed(self.all) if call.index == piece.index), None)
        begun = last is not None and last.name != ""
        return None if piece.name and begun else last


def _begins_anew(call: OpenCall, piece: Piece) -> bool:
    """Whether a piece with a name and no id is another call under the same index, and no repetition of the name."""
    if not piece.name or not call.name:
        return False
    if piece.name != call.name and not call.free:
        return True
    return piece.words.startswith("{") and _is_json(call.text)


def _is_json(words: str) -> bool:
    try:
        msgspec.json.decode(words)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False
    return True


def read_piece(value: object) -> Piece:
    """One member of ``tool_calls``; arguments that are an object become its text."""
    call = mapping(value)
    index = call.get("index")
    function, custom = mapping(call.get("function")), mapping(call.get("custom"))
    free = call.get("type") == "custom" or (not function and bool(custom))
    source, member = (custom, "input") if free else (function, "arguments")
    proof = call.get("extra_content")
    return Piece(
        id=text(call.get("id")),
        index=index if isinstance(index, int) and not isinstance(index, bool) else None,
        name=text(source.get("name")),
        words=_words(source.get(member)),
        custom=free,
        proof=proof if isinstance(proof, dict) and proof else None,
    )


def read_function_call(value: object) -> Piece:
    """A ``function_call`` of old: the only one there is."""
    call = mapping(value)
    return Piece("", 0, text(call.get("name")), _words(call.get("arguments")), custom=False, proof=None)


def free_text(words: str) -> str:
    """The text in the arguments of a function that stands for a free-text tool; odd arguments as they are."""
    try:
        value = msgspec.json.decode(words)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return words
    said = value.get("input") if isinstance(value, dict) else None
    return said if isinstance(said, str) else words


def _words(arguments: object) -> str:
    if isinstance(arguments, str):
        return arguments
    return msgspec.json.encode(arguments).decode() if isinstance(arguments, dict | list) else ""
