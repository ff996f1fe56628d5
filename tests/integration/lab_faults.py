"""Every way in which the fault lab's upstream can fail on one request: a table by name."""

from __future__ import annotations

import enum
import gzip
import re
from collections.abc import Callable, Mapping

import attrs

from tests.integration.faults import CHUNKED, Asked, Peer, answer, chunk, head
from tests.integration.lab_words import EVENTS, JSON, Words


class Moment(enum.Enum):
    """What a client may notice.

    HARMLESS: nothing, even without a second deployment. BEFORE: nothing, if another deployment serves it.
    AFTER: an error, if it asked for a stream: it has seen content. Else the same as BEFORE.
    """

    HARMLESS = "harmless"
    BEFORE = "before"
    AFTER = "after"


@attrs.frozen
class Scene:
    """One request that is to be answered, well or badly.

    Attributes:
        peer: the connection it came on.
        asked: the request.
        words: what a good answer says.
        stream: whether an event stream is asked for.
        delay: seconds until the first byte of the one that is slow.
        pace: seconds between two frames of content.
        wait: seconds that are asked for in ``Retry-After``.
        done: to be called when the answer is whole.
    """

    peer: Peer
    asked: Asked
    words: Words
    stream: bool
    delay: float
    pace: float
    wait: float
    done: Callable[[], object]

    def serve(self) -> None:
        """Answer well."""
        if self.stream:
            self.begin()
            self.speak(lambda: self._end(self.words.ending))
        else:
            self.finish(answer(self.words.whole, 200, JSON))

    def finish(self, *pieces: bytes) -> None:
        """Send what ends the answer."""
        self.peer.send(*pieces)
        self.done()

    def begin(self) -> None:
        """Send the head and what comes before any content: of an answer that is not streamed, its first half."""
        first = self.words.opening if self.stream else self.words.whole[: len(self.words.whole) // 2]
        self.peer.send(head(200, EVENTS if self.stream else JSON, CHUNKED), chunk(first))

    def speak(self, then: Callable[[], object], words: int | None = None) -> None:
        """Send content, and go on when it is out; an answer that is not streamed has no more of it."""
        pieces = self.words.content[:words] if self.stream else ()
        if self.pace <= 0:
            self.peer.send(*(chunk(piece) for piece in pieces))
            then()
        else:
            self._speak(list(pieces), then)

    def _speak(self, pieces: list[bytes], then: Callable[[], object]) -> None:
        if not pieces:
            then()
            return
        self.peer.send(chunk(pieces.pop(0)))
        self.peer.later(lambda: self._speak(pieces, then), self.pace)

    def _end(self, frames: bytes) -> None:
        self.finish(chunk(frames), chunk(b""))

    def end(self) -> None:
        """End the body as HTTP wants it, whatever it says."""
        self.finish(chunk(b""))

    def fail(self) -> None:
        """Report an error inside the stream, and end that; break off an answer that is none."""
        if self.stream:
            self._end(self.words.broken)
        else:
            self.peer.close()

    def refuse(self, status: int, *fields: bytes, code: str = "", message: str = "no") -> None:
        """Send an error answer."""
        self.finish(answer(self.words.refusal(status, code, message), status, JSON, *fields))


Play = Callable[[Scene], None]


@attrs.frozen
class Fault:
    """One way to fail.

    Attributes:
        name: by which it is asked for.
        moment: what a client may notice.
        play: does it.
    """

    name: str
    moment: Moment
    play: Play


def _nothing(_: Scene) -> None:
    """Keep silent."""


def _part_of_head(then: Callable[[Peer], object]) -> Play:
    """Send a part of the head, then do something."""

    def play(scene: Scene) -> None:
        scene.peer.send(b"HTTP/1.1 200 OK\r\nContent-Ty")
        scene.peer.later(lambda: then(scene.peer))

    return play


def _before(then: Callable[[Scene], object]) -> Play:
    """Begin, but without content, then do something."""

    def play(scene: Scene) -> None:
        scene.begin()
        scene.peer.later(lambda: then(scene))

    return play


def _after(then: Callable[[Scene], object]) -> Play:
    """Begin, with some content, then do something."""

    def play(scene: Scene) -> None:
        scene.begin()
        scene.speak(lambda: scene.peer.later(lambda: then(scene)), 2)

    return play


def _at_once(then: Callable[[Peer], object]) -> Play:
    return lambda scene: _drop(then(scene.peer))


def _drop(_: object) -> None:
    """Nobody asks for the result."""


def _on_reuse(then: Callable[[Peer], object]) -> Play:
    """Serve a connection's first request well; end it exactly when another one comes."""

    def play(scene: Scene) -> None:
        if len(scene.peer.asked) == 1:
            scene.serve()
        else:
            then(scene.peer)

    return play


def _idle_close(scene: Scene) -> None:
    """Serve well, then close without having said so."""

    def done() -> None:
        scene.done()
        scene.peer.close()

    attrs.evolve(scene, done=done).serve()


def _slow(scene: Scene) -> None:
    scene.peer.later(scene.serve, scene.delay)


def _pour(top: bytes, block: bytes) -> Play:
    """Send something without end, as fast as it is taken."""

    def play(scene: Scene) -> None:
        scene.peer.send(top)
        scene.peer.pour(block)

    return play


def _huge(scene: Scene) -> None:
    """An answer, or one event of it, that has no end."""
    scene.peer.send(head(200, EVENTS if scene.stream else JSON, CHUNKED), chunk(b"data: {" if scene.stream else b"{"))
    scene.peer.pour(chunk(b" " * 65536))


def _whole(status: int, *fields: bytes, body: Callable[[Scene], bytes]) -> Play:
    """An answer that is valid HTTP and no use."""

    def play(scene: Scene) -> None:
        scene.finish(answer(body(scene), status, *fields))

    return play


def _too_long(scene: Scene) -> None:
    """A good answer, and bytes behind it that belong to nothing."""
    if scene.stream:
        scene.begin()
        scene.speak(lambda: scene.finish(chunk(scene.words.ending), chunk(b""), b"more"))
    else:
        scene.finish(answer(scene.words.whole, 200, JSON), b"more")


def _too_short(scene: Scene) -> None:
    """A body that is shorter than its Content-Length."""
    scene.peer.send(head(200, EVENTS if scene.stream else JSON, b"Content-Length: 99999"), scene.words.opening)
    scene.peer.later(scene.peer.close)


def _refusal(status: int, code: str, message: str) -> Play:
    return lambda scene: scene.refuse(status, code=code, message=message)


def _cut(scene: Scene) -> None:
    scene.peer.close()


def _reset(scene: Scene) -> None:
    scene.peer.reset()


def _bad_chunk(scene: Scene) -> None:
    scene.peer.send(b"zz\r\n")


def _bad_event(scene: Scene) -> None:
    """An event that is no JSON, and the end."""
    scene.peer.send(chunk(b'data: {"choices":[{"delta":\n\n'))
    scene.end()


_FORBIDDEN = "The prompt was filtered by the content management policy."
_TOO_LONG = "This model's maximum context length is 10 tokens."

_BEFORE: Mapping[str, Play] = {
    "never-answers": _nothing,
    "stalls-in-head": _part_of_head(_drop),
    "stalls-before-content": _before(_drop),
    "resets": _at_once(Peer.reset),
    "resets-in-head": _part_of_head(Peer.reset),
    "resets-before-content": _before(_reset),
    "closes": _at_once(Peer.close),
    "closes-in-head": _part_of_head(Peer.close),
    "cut-before-content": _before(_cut),
    "ends-before-content": _before(Scene.end),
    "error-before-content": _before(Scene.fail),
    "half-closes": _at_once(Peer.half_close),
    "endless-head": _pour(b"HTTP/1.1 200 OK\r\n", b"X-Filler: 1\r\n" * 1000),
    "endless-interim": _pour(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 1000),
    "garbage": lambda scene: scene.peer.send(b"\x00\xff what is this\r\n\r\n"),
    "bad-chunk": _before(_bad_chunk),
    "too-short": _too_short,
    "huge": _huge,
    "gzip": _whole(200, JSON, b"Content-Encoding: gzip", body=lambda scene: gzip.compress(scene.words.whole)),
    "redirect": _whole(307, b"Location: http://127.0.0.1:9/v1", body=lambda _: b""),
    "html": _whole(200, b"Content-Type: text/html", body=lambda _: b"<html>Welcome</html>"),
    "empty": _whole(200, JSON, body=lambda _: b""),
    "context": _refusal(400, "context_length_exceeded", _TOO_LONG),
    "policy": _refusal(400, "content_filter", _FORBIDDEN),
}

_AFTER: Mapping[str, Play] = {
    "stalls-after-content": _after(_drop),
    "resets-after-content": _after(_reset),
    "cut-after-content": _after(_cut),
    "ends-after-content": _after(Scene.end),
    "error-after-content": _after(Scene.fail),
    "bad-chunk-after-content": _after(_bad_chunk),
    "bad-event-after-content": _after(_bad_event),
}

_HARMLESS: Mapping[str, Play] = {
    "ok": Scene.serve,
    "slow": _slow,
    "too-long": _too_long,
    "closes-on-reuse": _on_reuse(Peer.close),
    "resets-on-reuse": _on_reuse(Peer.reset),
    "closes-when-idle": _idle_close,
}

FAULTS: Mapping[str, Fault] = {
    name: Fault(name, moment, play)
    for moment, plays in ((Moment.BEFORE, _BEFORE), (Moment.AFTER, _AFTER), (Moment.HARMLESS, _HARMLESS))
    for name, play in plays.items()
}
"""Name → fault. Error answers have names of their own: see `find`."""

_STATUS = re.compile(r"([45]\d\d)(-after|-after-ms)?")


def find(name: str) -> Fault | None:
    """The fault of a name: one of `FAULTS`, or an error answer.

    ``503`` answers with that status, ``429-after`` and ``503-after`` with ``Retry-After``, ``429-after-ms``
    with ``retry-after-ms``.
    """
    known = FAULTS.get(name)
    match = _STATUS.fullmatch(name)
    if known is not None or match is None:
        return known
    status, asks = int(match[1]), match[2]

    def play(scene: Scene) -> None:
        fields = {
            "-after": (b"Retry-After: %g" % scene.wait,),
            "-after-ms": (b"retry-after-ms: %g" % (scene.wait * 1000),),
        }
        scene.refuse(status, *fields.get(asks, ()))

    return Fault(name, Moment.BEFORE, play)
