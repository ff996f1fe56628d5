"""The hub's events as the stream of a response.

The order of events is that of OpenAI: created, in progress; for each item added, its parts and deltas, done;
last the whole response. Sequence numbers count from 0 without gaps. Items that are open at the same time are
written side by side, each event says which one it is about. The last event repeats the whole output, so that
must be kept; its size is bounded.

See: https://platform.openai.com/docs/api-reference/responses-streaming (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from relay.chat import ChatRequest, Media, Native, Part, Refusal, Text, Thinking, Tool, ToolCall
from relay.dialects.assembly import merged
from relay.dialects.carry import made_id
from relay.dialects.codec import Asked
from relay.dialects.lenient import load, mapping, sequence, text
from relay.dialects.quoting import encode, quoted
from relay.dialects.responses.blocks import Item, MessageItem, TextBlock, ThinkingBlock
from relay.dialects.responses.calls import CallBlock
from relay.dialects.responses.envelope import response, status_of
from relay.dialects.responses.errors import error_event
from relay.dialects.responses.parts import ORIGIN
from relay.errors import RelayError, UpstreamProtocol
from relay.events import Began, Cited, Closed, Counted, Event, Finished, Grew, Opened, Probable, Sealed
from relay.exchange import Usage
from relay.outcome import Stage

LARGEST = 64 * 1024 * 1024
"""Bytes of output that a stream may have, since its last event repeats them."""

_Block = TextBlock | ThinkingBlock | CallBlock


class ResponsesWriter:
    """Writes one streamed response. See `relay.dialects.codec.Writer`.

    Args:
        asked: the request that it answers.
        largest: most bytes of output that are kept.
    """

    __slots__ = (
        "_asked",
        "_began",
        "_blocks",
        "_finish",
        "_items",
        "_kept",
        "_largest",
        "_message",
        "_out",
        "_refused",
        "_said",
        "_sequence",
        "_special",
        "_summary",
        "_usage",
        "_waiting",
    )

    def __init__(self, asked: Asked, largest: int = LARGEST) -> None:
        self._asked = asked
        self._largest = largest
        self._out: list[bytes] = []
        self._sequence = 0
        self._began: Began | None = None
        self._blocks: dict[int, _Block] = {}  # open ones that have been announced
        self._waiting: dict[int, Text | Refusal | Thinking] = {}  # open ones without content
        self._items: list[Item] = []
        self._message: MessageItem | None = None  # the last item, while it is a message and may get parts
        self._said: TextBlock | None = None  # its last part, closed but not told: log probabilities may follow
        self._kept = 0
        self._finish = ""
        self._refused = False
        self._usage = Usage()
        request = asked.request if isinstance(asked.request, ChatRequest) else None
        self._summary = bool(request and request.reasoning and request.reasoning.summary)
        self._special = _special(request.tools) if request else {}

    def write(self, events: Sequence[Event]) -> bytes:
        """Take events.

        Raises:
            UpstreamProtocol: the output is larger than can be kept for the last event.
        """
        if len(events) == 1 and type(events[0]) is Grew:
            block = self._blocks.get(events[0].block)
            if block is not None and events[0].text:
                return self._grow(block, events[0].text)
        if self._began is None:
            self._begin(events[0] if events and isinstance(events[0], Began) else Began())
        for index, event in enumerate(events):
            if type(event) is Grew:
                self._grew(event, events[index + 1] if index + 1 < len(events) else None)
            else:
                self._take(event, events[index - 1] if index else None)
        out, self._out = self._out, []
        return b"".join(out)

    def end(self) -> bytes:
        """The answer is whole: complete items, and the response with all of them."""
        if self._began is None:
            self._begin(Began())
        status, _ = status_of(self._finish, refused=self._refused)
        self._close_all(b"completed" if status == "completed" else b"incomplete")
        self._emit(b"response." + status.encode(), b'"response":' + self.body())
        out, self._out = self._out, []
        return b"".join(out)

    def fail(self, error: RelayError) -> bytes:
        """The in-stream error."""
        self._blocks.clear()
        self._items.clear()
        return error_event(error, self._sequence)

    def body(self) -> bytes:
        """The response as it is now, its complete items as output."""
        began = self._began or Began()
        status, reason = status_of(self._finish, refused=self._refused)
        return response(
            self._asked,
            status=status,
            created=began.created,
            tier=began.tier,
            reason=reason,
            output=[item.json for item in self._items if item.json],
            usage=self._usage,
        )

    def _emit(self, name: bytes, members: bytes) -> None:
        """Write one event."""
        self._out.append(
            b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b}\n\n' % (name, name, self._sequence, members)
        )
        self._sequence += 1

    def _keep(self, size: int) -> None:
        self._kept += size
        if self._kept > self._largest:
            raise UpstreamProtocol(
                f"The answer is larger than the {self._largest} bytes that can be repeated at its end.",
                stage=Stage.STREAM,
            )

    def _grow(self, block: _Block, text: str) -> bytes:
        """The frame of more text, b"" where only the end tells it."""
        growth = block.growth
        frame = growth.add(text, self._sequence)
        self._kept += len(frame) - growth.overhead
        if self._kept > self._largest:
            self._keep(0)
        if block.silent:
            return b""
        self._sequence += 1
        return frame

    def _grew(self, event: Grew, following: Event | None) -> None:
        """A block grows, maybe with log probabilities right behind."""
        block = event.text and (self._blocks.get(event.block) or self._announced(event.block))
        if not block:
            return
        tokens = _tokens(following)
        if tokens and isinstance(block, TextBlock):
            self._keep(block.probable(self._emit, event.text, tokens))
        else:
            self._out.append(self._grow(block, event.text))

    def _begin(self, began: Began) -> None:
        self._began = began
        body = response(self._asked, status="in_progress", created=began.created, tier=began.tier)
        self._emit(b"response.created", b'"response":' + body)
        self._emit(b"response.in_progress", b'"response":' + body)

    def _take(self, event: Event, before: Event | None) -> None:
        match event:
            case Opened() if event.choice == 0:
                self._open(event.block, event.part)
            case Closed():
                self._close(event.block)
            case Cited():
                self._cite(event)
            case Sealed():
                self._seal(event)
            case Probable() if event.choice == 0 and not isinstance(before, Grew):
                self._probable(event)
            case Finished() if event.choice == 0:
                self._finish = event.reason
            case Counted():
                self._usage = merged(self._usage, event.usage)

    # ── blocks ───────────────────────────────────────────────────────────────────────

    def _open(self, number: int, part: Part) -> None:
        if isinstance(part, ToolCall):
            self._call(number, part)
        elif isinstance(part, Text | Refusal | Thinking):
            self._waiting[number] = part
            if part.text:
                self._out.append(self._grow(self._shown(number), part.text))
        elif isinstance(part, Native) and part.origin == ORIGIN:
            self._whole(part.value, text(mapping(load(part.value)).get("id")))
        elif isinstance(part, Media) and part.kind == "image" and part.data:
            identity = self._made("ig_")
            self._whole(_image(part, identity), identity)

    def _announced(self, number: int) -> _Block | None:
        """An open block that grows for the first time; None if there is none."""
        return self._shown(number) if number in self._waiting else None

    def _shown(self, number: int) -> TextBlock | ThinkingBlock:
        """Announce a block that has waited for its content."""
        part = self._waiting.pop(number)
        block: TextBlock | ThinkingBlock
        if isinstance(part, Thinking):
            self._settle()
            taken = any(item.identity == part.id for item in self._items)  # xAI gives several the same
            identity = part.id if part.id and not taken else self._made("rs_")
            block = ThinkingBlock(len(self._items), identity, part, summary=part.summary or self._summary)
            self._items.append(block)
        else:
            self._tell()
            self._refused = self._refused or isinstance(part, Refusal)
            block = TextBlock(self._message_item(), part)
        self._blocks[number] = block
        block.begin(self._emit)
        for citation in part.citations if isinstance(part, Text) else ():
            self._cite(Cited(number, citation))
        return block

    def _message_item(self) -> MessageItem:
        if self._message is None:
            self._message = MessageItem(len(self._items), self._made("msg_"))
            self._items.append(self._message)
            self._message.begin(self._emit)
        return self._message

    def _call(self, number: int, call: ToolCall) -> None:
        self._settle()
        tool = self._special.get(call.name)
        custom = call.custom or (tool is not None and tool.kind == "custom")
        block = CallBlock(
            len(self._items),
            self._made("ctc_" if custom else "fc_"),
            call,
            custom=custom,
            namespace=call.namespace or (tool.namespace if tool is not None else ""),
        )
        self._items.append(block)
        self._blocks[number] = block
        block.begin(self._emit)
        if call.arguments:
            self._out.append(self._grow(block, call.arguments))

    def _whole(self, item: bytes, identity: str) -> None:
        """An item that came complete."""
        self._settle()
        entry = Item(len(self._items), identity)
        self._items.append(entry)
        self._keep(len(item))
        entry.added(self._emit, item)
        entry.done(self._emit, item)

    def _made(self, prefix: str) -> str:
        return made_id(prefix, self._asked.request_id, len(self._items), length=48)

    def _cite(self, event: Cited) -> None:
        """Write a source; one of text that has not begun waits for it."""
        waiting, block = self._waiting.get(event.block), self._blocks.get(event.block)
        if isinstance(waiting, Text):
            sources = (*waiting.citations, event.citation)
            self._waiting[event.block] = msgspec.structs.replace(waiting, citations=sources)
        elif isinstance(block, TextBlock):
            self._keep(block.cite(self._emit, event.citation))

    def _seal(self, event: Sealed) -> None:
        """Keep a proof; only reasoning has a place for one that comes after its beginning."""
        block = self._blocks.get(event.block)
        waiting = self._waiting.get(event.block)
        if isinstance(waiting, Thinking):
            self._waiting[event.block] = msgspec.structs.replace(waiting, seal=event.seal)
        elif isinstance(block, ThinkingBlock):
            block.seal = event.seal
            self._keep(len(event.seal.value))

    def _probable(self, event: Probable) -> None:
        """Log probabilities that came apart from their text belong to the last one."""
        open_ones = [block for block in self._blocks.values() if isinstance(block, TextBlock)]
        block = open_ones[-1] if open_ones else self._said
        tokens = _tokens(event)
        if block is not None and tokens:
            self._keep(block.probable(self._emit, "", tokens))

    def _close(self, number: int) -> None:
        waiting = self._waiting.get(number)
        if isinstance(waiting, Thinking) and waiting.seal is not None:
            self._shown(number)
        self._waiting.pop(number, None)
        block = self._blocks.pop(number, None)
        if isinstance(block, TextBlock):
            self._tell()
            self._said = block
        elif block is not None:
            block.end(self._emit)

    def _tell(self) -> None:
        """Tell the end of a text that was closed."""
        if self._said is None:
            return
        said, self._said = self._said, None
        said.end(self._emit)
        if said.item is not self._message and not said.item.open:
            said.item.finish(self._emit, b"completed")

    def _settle(self, status: bytes = b"completed") -> None:
        """Another item begins: the message before it is complete, unless a part of it is still open."""
        self._tell()
        message, self._message = self._message, None
        if message is not None and not message.open:
            message.finish(self._emit, status)

    def _close_all(self, status: bytes) -> None:
        for number in [*self._waiting, *self._blocks]:
            self._close(number)
        self._settle(status)
        for item in self._items:
            if isinstance(item, MessageItem) and not item.json:
                item.finish(self._emit, status)


def _special(tools: Sequence[Tool]) -> Mapping[str, Tool]:
    """The tools whose calls are not shown as those of plain functions, by name."""
    return {tool.name: tool for tool in tools if tool.namespace or tool.kind == "custom"}


def _tokens(event: Event | None) -> bytes:
    """The members of a list of log probabilities in the form of OpenAI's Chat dialect."""
    if type(event) is not Probable or event.choice:
        return b""
    content = sequence(mapping(load(event.logprobs)).get("content"))
    return encode(content)[1:-1] if content else b""


def _image(media: Media, identity: str) -> bytes:
    """An image that the model made, as the item that OpenAI's own image tool gives."""
    form = media.mime.rpartition("/")[2] or "png"
    return b'{"id":%b,"type":"image_generation_call","status":"completed","output_format":%b,"result":%b}' % (
        quoted(identity),
        quoted(form),
        quoted(media.data),
    )
