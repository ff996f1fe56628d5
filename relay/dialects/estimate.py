"""A rough count of a prompt's tokens, where a client's dialect tells them before the provider does.

About four characters of English make a token; a CJK character makes about one. Images, sound and
documents count as the common providers' least tile. It is told as an estimate wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable

from relay.chat import ChatRequest, Media, Message, Native, Part, Refusal, Text, Thinking, ToolCall, ToolResult

_PER_MESSAGE = 4
_PER_MEDIA = 260
_BYTES_PER_TOKEN = 4


def tokens(request: ChatRequest) -> int:
    """Tokens of a prompt with its tools, about; at least 1."""
    total = sum(map(_message, request.messages))
    for tool in request.tools:
        total += _PER_MESSAGE + _text(tool.name) + _text(tool.description)
        total += len(tool.parameters or tool.native) // _BYTES_PER_TOKEN
    return max(total, 1)


def _message(message: Message) -> int:
    return _PER_MESSAGE + _parts(message.parts)


def _parts(parts: Iterable[Part]) -> int:
    return sum(map(_part, parts))


def _part(part: Part) -> int:
    match part:
        case Text(text=text) | Refusal(text=text) | Thinking(text=text):
            return _text(text)
        case ToolCall():
            return _text(part.name) + _text(part.arguments)
        case ToolResult():
            return _parts(part.content)
        case Media():
            return _PER_MEDIA + _text(part.text)
        case Native():
            return len(part.value) // _BYTES_PER_TOKEN


def _text(text: str) -> int:
    """Bytes over four for plain text; about one a character where UTF-8 takes three bytes for it."""
    if text.isascii():
        return (len(text) + 3) // _BYTES_PER_TOKEN
    return (len(text.encode("utf-8", "surrogatepass")) + 2) // 3
