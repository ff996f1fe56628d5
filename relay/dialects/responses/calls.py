"""Calls of tools while they are written.

See: https://platform.openai.com/docs/api-reference/responses-streaming (read 2026-11).
"""

from __future__ import annotations

from relay.chat import ToolCall
from relay.dialects.carry import tag
from relay.dialects.lenient import load
from relay.dialects.quoting import quoted
from relay.dialects.responses.blocks import Emit, Growth, Item
from relay.dialects.responses.names import own


class CallBlock(Item):
    """A `ToolCall`: an item of its own.

    Args:
        place: its index in the output.
        identity: its id.
        call: the call as far as it is known.
        custom: whether the client declared the tool as one of free text.
        namespace: the namespace that the client declared it in, or "".
    """

    __slots__ = ("_call", "_custom", "_namespace", "growth", "silent")

    def __init__(self, place: int, identity: str, call: ToolCall, *, custom: bool, namespace: str) -> None:
        super().__init__(place, identity)
        self._call = call
        self._custom = custom
        self._namespace = namespace
        self.silent = custom and not call.custom  # the provider knows functions only: their arguments hold the text
        self.growth = Growth(self._event(b"delta"), self.where())

    def begin(self, emit: Emit) -> None:
        """Announce it, without arguments."""
        self.added(emit, self._json(b"in_progress", b'""'))

    def end(self, emit: Emit) -> None:
        """It is complete; a function without arguments has an empty object of them."""
        text = self.growth.whole()
        if self.silent:
            text = quoted(free_text(text))
        elif not self._custom and not text.strip(b'" ').replace(b"\\n", b""):
            text = b'"{}"'
            emit(self._event(b"delta"), self.where() + b',"delta":' + text)
        if self.silent and text != b'""':
            emit(self._event(b"delta"), self.where() + b',"delta":' + text)
        emit(self._event(b"done"), b'%b,"%b":%b' % (self.where(), self._field(), text))
        self.done(emit, self._json(b"completed", text))

    def _event(self, what: bytes) -> bytes:
        kind = b"custom_tool_call_input" if self._custom else b"function_call_arguments"
        return b"response.%b.%b" % (kind, what)

    def _field(self) -> bytes:
        return b"input" if self._custom else b"arguments"

    def _json(self, status: bytes, text: bytes) -> bytes:
        call = self._call
        group = b',"namespace":' + quoted(self._namespace) if self._namespace else b""
        return b'{"id":%b,"type":"%b","status":"%b","%b":%b,"call_id":%b,"name":%b%b}' % (
            quoted(self.identity),
            b"custom_tool_call" if self._custom else b"function_call",
            status,
            self._field(),
            text,
            quoted(tag(call.id, call.seal)),
            quoted(own(self._namespace, call.name)),
            group,
        )


def free_text(text: bytes) -> str:
    """The text for a custom tool whose provider could only fill in a function's arguments.

    Such a tool goes out as a function with one string; whatever that is called, it is the text. Arguments
    of another form are the text themselves.

    Args:
        text: the arguments, a JSON string that holds JSON text.
    """
    arguments = load(text)
    if not isinstance(arguments, str):
        return ""
    filled = load(arguments.encode("utf-8", "surrogatepass"))
    if not isinstance(filled, dict):
        return arguments
    words = filled.get("input") if "input" in filled else next(iter(filled.values()), "")
    return words if isinstance(words, str) and (len(filled) < 2 or "input" in filled) else arguments
