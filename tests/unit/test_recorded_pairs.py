"""Every recorded chat of the folder that ``RELAY_FIXTURES`` names, through the hub into every other dialect.

What a provider once answered is read, written for each kind of client, and read again as that client would:
text, tool calls, finish reason and tokens must be the same. What was once asked is read and built for each
kind of provider.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import msgspec

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import ChatRequest, Completion, Finish
from relay.dialects.assembly import assemble
from relay.dialects.codec import Built, Call
from relay.dialects.registry import DIALECTS
from relay.dialects.translation import Translation
from relay.endpoints import Operation
from relay.errors import InvalidRequest, RelayError
from relay.events import Erred
from tests.unit.dialects import pairs
from tests.unit.dialects.streams import slices

FOLDER = os.environ.get("RELAY_FIXTURES", "")

CHATS: dict[str, tuple[str, str]] = {
    "openai-chat": ("openai", "/v1/chat/completions"),
    "openai-responses": ("responses", "/v1/responses"),
    "anthropic-messages": ("anthropic", "/v1/messages"),
    "gemini-generate": ("gemini", "/v1beta/models/{model}:generateContent"),
    "cohere-v2-chat": ("cohere", "/v2/chat"),
    "ollama-chat": ("ollama", "/api/chat"),
    "bedrock-converse": ("bedrock", "/model/{model}/converse"),
}
"""A recording's dialect → relay's name of it, and its endpoint."""

UNREADABLE = ("previous_response_id", "conversation", "compaction")
"""Fields and items of the Responses API whose meaning is kept at the provider; they cannot go to another one."""


@attrs.frozen
class Case:
    """One recorded exchange."""

    name: str
    folder: Path
    meta: dict[str, Any]
    dialect: str
    path: str

    def file(self, name: str) -> bytes | None:
        """A file of the case, or None."""
        path = self.folder / name
        return path.read_bytes() if path.exists() else None

    @property
    def good(self) -> bool:
        """Whether the provider answered as asked."""
        return bool(self.meta["status"] < 400)

    def stream(self) -> bytes | None:
        """A streamed answer's bytes, or None."""
        for name in ("response.sse", "response.eventstream.bin", "response.ndjson"):
            data = self.file(name)
            if data is not None and not (name == "response.ndjson" and self.dialect == "bedrock"):
                return data
        return None


def cases() -> Iterator[Case]:
    """All recorded chats."""
    for path in sorted(Path(FOLDER).glob("*/*/*/meta.json")):
        meta = json.loads(path.read_text("utf-8"))
        if meta["dialect"] in CHATS:
            yield Case(path.parent.relative_to(FOLDER).as_posix(), path.parent, meta, *CHATS[meta["dialect"]])


def translated(front: str, case: Case, pieces: list[bytes]) -> bytes:
    """A recorded stream as a client sees it."""
    back = DIALECTS[case.dialect].backs[Operation.CHAT]
    translation = Translation(
        DIALECTS[case.dialect],
        pairs.front_of(front),
        back,
        pairs.plain(front, stream=True),
        pairs.target_of(case.dialect, stream=True),
        Built({}),
    )
    transcoder = translation.transcoder("d")
    return b"".join(map(transcoder.feed, pieces)) + transcoder.end()


class RecordedPairs(SynchronousTestCase):
    """See the module."""

    if not FOLDER:
        skip = "RELAY_FIXTURES names no folder of recordings"

    def test_requests(self) -> None:
        """Every recorded request is read, and built for every kind of provider or refused with a reason."""
        wrong, count = [], 0
        for case in cases():
            body = case.file("request.json")
            if body is None or not case.good or case.dialect not in pairs.CHATS:
                continue
            count += 1
            try:
                request = self.read(case, body)
            except RelayError as error:
                if not self.is_kept_elsewhere(case, body):
                    wrong.append(f"{case.name}: {error.message}")
                continue
            for back in pairs.BACKS:
                try:
                    msgspec.json.encode(pairs.build(back, request).fields)
                except InvalidRequest as error:
                    if not error.message:
                        wrong.append(f"{case.name} → {back}: refused without a reason")
                except Exception as error:
                    wrong.append(f"{case.name} → {back}: {error!r}")
        self.assertFalse(wrong, "\n".join(wrong))
        self.assertGreater(count, 0)

    def read(self, case: Case, body: bytes) -> ChatRequest:
        """A recorded request in the hub's form."""
        path = str(case.meta["request"].get("path", ""))
        call = Call(case.path, model="m" if "{model}" in case.path else "", stream="stream" in path.lower())
        request: ChatRequest = DIALECTS[case.dialect].fronts[case.path].parse(body, call)
        return request

    def is_kept_elsewhere(self, case: Case, body: bytes) -> bool:
        """Whether a request makes sense to its own provider only: stored state, or loading a model."""
        return "load-a-model" in case.name or any(word.encode() in body for word in UNREADABLE)

    def test_wholeAnswers(self) -> None:
        """Every recorded whole answer says the same to a client of any dialect."""
        wrong, count = [], 0
        for case in cases():
            body = case.file("response.json")
            if body is None or not case.good:
                continue
            count += 1
            try:
                back = DIALECTS[case.dialect].backs[Operation.CHAT]
                completion = back.parse(body, pairs.target_of(case.dialect))
            except ValueError as error:
                if not DIALECTS[case.dialect].read_error(body)[0]:
                    wrong.append(f"{case.name}: {error!r}")
                continue
            for front in pairs.CHATS:
                try:
                    rendered = pairs.front_of(front).render(completion, pairs.plain(front))
                    understood = DIALECTS[front].backs[Operation.CHAT].parse(rendered, pairs.target_of(front))
                    wrong += self.differences(f"{case.name} → {front}", completion, understood)
                except Exception as error:
                    if completion.choices[0].finish != Finish.FAULT:
                        wrong.append(f"{case.name} → {front}: {error!r}")
        self.assertFalse(wrong, "\n".join(wrong))
        self.assertGreater(count, 0)

    def test_streams(self) -> None:
        """Every recorded stream says the same to a client of any dialect, however it is cut."""
        wrong, count = [], 0
        for number, case in enumerate(cases()):
            data = case.stream()
            if data is None or not case.good:
                continue
            count += 1
            reader = DIALECTS[case.dialect].backs[Operation.CHAT].reader(pairs.target_of(case.dialect, stream=True))
            decoder = DIALECTS[case.dialect].decoder(1 << 24)
            frames = [*decoder.feed(data), *decoder.end()]
            events = [*itertools.chain.from_iterable(map(reader.read, frames)), *reader.end()]
            failed = any(isinstance(event, Erred) for event in events)
            for front in pairs.CHATS:
                try:
                    heard = pairs.heard(front, translated(front, case, slices(data, number)))
                except RelayError as error:
                    if not failed and "stream_error" not in case.meta["kinds"]:
                        wrong.append(f"{case.name} → {front}: {error!r}")
                    continue
                except Exception as error:
                    wrong.append(f"{case.name} → {front}: {error!r}")
                    continue
                if failed:
                    if not any(isinstance(event, Erred) for event in heard):
                        wrong.append(f"{case.name} → {front}: the error is lost")
                else:
                    wrong += self.differences(f"{case.name} → {front}", assemble(events), assemble(heard))
        self.assertFalse(wrong, "\n".join(wrong))
        self.assertGreater(count, 0)

    def differences(self, where: str, sent: Completion, arrived: Completion) -> list[str]:
        """What a client would notice."""
        one, two = pairs.said(sent), pairs.said(arrived)
        if one.finish not in (Finish.STOP, Finish.TOOL_CALLS, Finish.LENGTH):
            one, two = attrs.evolve(one, finish=""), attrs.evolve(two, finish="")
        if one.input is None or (sent.usage.cached or 0) > one.input:  # unknown, or a count that does not add up
            two = attrs.evolve(two, input=one.input)
        if one.output is None:
            two = attrs.evolve(two, output=None)
        if where.startswith("anthropic/anthropic-messages/spliced-message-start"):
            return []  # a call that was cut off by a second answer: its arguments are no object
        facts = ("text", "calls", "finish", "input", "output")
        names = [name for name in facts if getattr(one, name) != getattr(two, name)]
        return [f"{where}: {name} {getattr(one, name)!r:.120} became {getattr(two, name)!r:.120}" for name in names]
