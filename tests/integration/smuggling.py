"""Sends the corpus of raw requests through a gateway, and compares what becomes of each on both sides.

The corpus is data, in ``corpus/``; its README tells the form. Nothing here knows relay, but
for the paths in the corpus.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import attrs

from relay.wire.http import (
    ChunkedBody,
    Framing,
    FramingError,
    HeadError,
    find_head_end,
    parse_request_head,
    parse_response_head,
)

CORPUS = Path(__file__).resolve().parent / "corpus"
PARALLEL = 16
PATIENCE = 20.0
"""Seconds of silence after which a connection counts as hanging."""
LONGEST_DRIP = 600
"""Bytes up to which a case is also sent byte by byte."""

_EXPECTATION = re.compile(r"(?P<statuses>(?:[0-9]{3}(?:,[0-9]{3})*\?? )*)(?P<after>open|closed|any)")
_MARK = re.compile(rb'"content":"([a-z][0-9]{3}[+=]?)"')
_WORD = re.compile(
    rb"\$(BODY|LENGTH|HEX|UPPERHEX|CHUNK|TAILHEX|TAIL|POSTLENGTH|POSTHEX|POST|ENDINGHEX|WRAPPEDHEX|WRAPPED)"
)
_REPEAT = re.compile(rb"\$\{([0-9]+)\*([^}]*)\}", re.DOTALL)


# ── the corpus ────────────────────────────────────────────────────────────────────────


@attrs.frozen
class Expectation:
    """What has to become of a case.

    Attributes:
        statuses: a regular expression for the statuses of all answers, each with a comma behind it.
        after: open, closed or any.
    """

    statuses: str
    after: str

    @classmethod
    def parse(cls, text: str) -> Expectation:
        """Read ``100? 400,501 closed``."""
        found = _EXPECTATION.fullmatch(text)
        if found is None:
            raise ValueError(f"not an outcome: {text}")
        parts = [
            "(?:(?:" + part.removesuffix("?").replace(",", "|") + "),)" + ("?" if part.endswith("?") else "")
            for part in found["statuses"].split()
        ]
        return cls("".join(parts), found["after"])


@attrs.frozen
class Case:
    """One raw request, or several on one connection.

    Attributes:
        mark: is in the bodies of its requests, so that they are known at the other end.
        title: category and name.
        rule: the section that it is about.
        steps: bytes to send, and statuses to wait for.
        expected: outcome, by mode; ``""`` where a mode has none of its own.
    """

    mark: str
    title: str
    rule: str
    steps: tuple[bytes | int, ...]
    expected: Mapping[str, Expectation]


def load(letter: str = "c") -> list[Case]:
    """Read all cases; their marks begin with a letter, so that several runs can share a provider."""
    cases: list[Case] = []
    for path in sorted(CORPUS.glob("*.txt")):
        blocks = re.split(r"^== ", path.read_text("utf-8"), flags=re.MULTILINE)
        for block in blocks[1:]:
            cases += _cases(path.stem, block, letter, len(cases))
    return cases


def _cases(category: str, block: str, letter: str, number: int) -> Iterator[Case]:
    """The cases of one block: one for each value, or just one."""
    lines = block.rstrip("\n").split("\n")
    expected: dict[str, Expectation] = {}
    values: list[str] = []
    for line in lines[2:]:
        kind, _, text = line.partition(" ")
        if kind.endswith(">"):
            expected[kind[:-1]] = Expectation.parse(text)
        elif kind == "*":
            values.append(text)
        elif kind not in ("|", "<", ""):
            raise ValueError(f"{category}, {lines[0]}: {line}")
    for place, value in enumerate(values or [""], number):
        mark = f"{letter}{place:03}"
        steps = tuple(_steps((line.replace("$V", value) for line in lines), _words(mark)))
        yield Case(mark, f"{category}: {lines[0].replace('$V', value)[:150]}", lines[1], steps, expected)


def _steps(lines: Iterator[str], words: Mapping[bytes, bytes]) -> Iterator[bytes | int]:
    """What to send and to wait for, in order."""
    data = b""
    for line in lines:
        if line.startswith("| "):
            text = re.sub(rb"\\(x..|.)", _unescape, line[2:].encode())
            text = _REPEAT.sub(lambda found: int(found[1]) * found[2], text)
            data += _WORD.sub(lambda found: words[found[1]], text)
        elif line.startswith("< "):
            yield data
            data = b""
            yield int(line[2:])
    yield data


def _unescape(found: re.Match[bytes]) -> bytes:
    return found[0].decode("ascii").encode("ascii").decode("unicode_escape").encode("latin-1")


def _words(mark: str) -> dict[bytes, bytes]:
    """What the words of the corpus stand for in one case."""
    body, post = body_of(mark), request(mark + "+")
    ending = b"0\r\n\r\n" + post
    return {
        b"BODY": body,
        b"LENGTH": b"%d" % len(body),
        b"HEX": b"%x" % len(body),
        b"UPPERHEX": b"%X" % len(body),
        b"CHUNK": b"%x\r\n%b\r\n" % (len(body), body),
        b"TAIL": body[1:],
        b"TAILHEX": b"%x" % len(body[1:]),
        b"POST": post,
        b"POSTLENGTH": b"%d" % len(post),
        b"POSTHEX": b"%x" % len(post),
        b"ENDINGHEX": b"%x" % len(ending),
        b"WRAPPED": b"%d" % (2**64 + len(body)),
        b"WRAPPEDHEX": b"%x" % (2**64 + len(body)),
    }


def body_of(mark: str) -> bytes:
    """A chat request; 59 bytes with a mark of four characters."""
    return b'{"model":"m","messages":[{"role":"user","content":"%b"}]}' % mark.encode("ascii")


def request(mark: str, fields: bytes = b"") -> bytes:
    """A whole, good request."""
    body = body_of(mark)
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n%bContent-Length: %d\r\n\r\n"
    return head % (fields, len(body)) + body


# ── the provider's side ───────────────────────────────────────────────────────────────


class Recorder:
    """A provider that records every request, and names in each answer the request that it answers.

    Attributes:
        port: where it listens, on loopback.
        seen: the marks of all good requests, in the order in which they came.
        malformed: whatever else came.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.malformed: list[bytes] = []
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept nothing more."""
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        buffer = b""
        with connection, suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := connection.recv(65536):
                buffer += data
                try:
                    taken = _one_request(buffer)
                except (HeadError, FramingError, ValueError):
                    with self._lock:
                        self.malformed.append(buffer)
                    return
                if taken is not None:
                    mark, buffer = taken
                    with self._lock:
                        self.seen.append(mark)
                    connection.sendall(_answer(mark))
            if buffer:
                with self._lock:
                    self.malformed.append(buffer)


def _one_request(data: bytes) -> tuple[str, bytes] | None:
    """The mark of the request that begins here, and what follows it; None if it is not complete.

    Raises:
        HeadError: its head is malformed.
        FramingError: so is its body.
        ValueError: it is not what a gateway should make of the corpus.
    """
    end = find_head_end(data)
    if end < 0:
        return None
    head = parse_request_head(data[:end])
    if head.method != b"POST" or head.target != b"/v1/chat/completions" or not data.startswith(b"POST /v1/"):
        raise ValueError("another request")
    if head.length is None:
        chunks = ChunkedBody()
        body, rest = b"".join(chunks.feed(data[end:])), chunks.rest
        if not chunks.done:
            return None
    else:
        body, rest = data[end : end + head.length], data[end + head.length :]
        if len(body) < head.length:
            return None
    marks = _MARK.findall(body)
    if len(marks) != 1 or rest:
        raise ValueError("another body")
    return marks[0].decode("ascii"), rest


def _answer(mark: str) -> bytes:
    """A completion that quotes a mark."""
    message = b'{"role":"assistant","content":"%b"}' % mark.encode("ascii")
    body = (
        b'{"id":"x","object":"chat.completion","choices":[{"index":0,"message":%b,"finish_reason":"stop"}]}' % message
    )
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


# ── the client's side ─────────────────────────────────────────────────────────────────


class Client:
    """One connection to the gateway; reads whole answers.

    Attributes:
        statuses: of all answers so far.
        marks: which requests the provider's answers among them say that they answer.
        ended: how the connection ended, "" as long as it did not.
    """

    def __init__(self, port: int, first_method: bytes) -> None:
        self.statuses: list[int] = []
        self.marks: list[str] = []
        self.ended = ""
        self._method = first_method
        self._buffer = b""
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Go."""
        self._socket.close()

    def send(self, data: bytes, drip: bool) -> None:
        """Send all, or what a gateway that has closed allows to be sent."""
        with suppress(OSError):
            if drip:
                for byte in data:
                    self._socket.sendall(bytes([byte]))
            else:
                self._socket.sendall(data)

    def wait_for(self, status: int) -> None:
        """Read until an answer with this status came, or the connection ended."""
        count = len(self.statuses)
        while status not in self.statuses[count:] and not self.ended:
            self._read()

    def wait_for_end(self) -> None:
        """Read until the connection has ended."""
        while not self.ended:
            self._read()
        if self._buffer:
            self.ended = f"in the middle of an answer: {self._buffer[:200]!r}"

    def _read(self) -> None:
        try:
            data = self._socket.recv(65536)
        except ConnectionError:
            data = b""
        except TimeoutError:
            self.ended = "never"
            return
        if not data:
            self.ended = "closed"
            return
        self._buffer += data
        try:
            while self._take_answer():
                pass
        except (HeadError, FramingError) as error:
            self.ended = f"malformed answer: {error} {self._buffer[:200]!r}"

    def _take_answer(self) -> bool:
        end = find_head_end(self._buffer)
        if end < 0:
            return False
        head = parse_response_head(self._buffer[:end], self._method)
        data = self._buffer[end:]
        if head.framing is Framing.CHUNKED:
            chunks = ChunkedBody()
            body, rest = b"".join(chunks.feed(data)), chunks.rest
            if not chunks.done:
                return False
        else:
            body, rest = data[: head.length], data[head.length :]
            if head.framing is Framing.EOF or len(body) < head.length:
                return False
        self.statuses.append(head.status)
        self.marks += [mark.decode("ascii") for mark in _MARK.findall(body)]
        self._buffer = rest
        self._method = b"POST" if head.status >= 200 else self._method
        return True


@attrs.frozen
class Observation:
    """What became of a case on the client's side; see `Client`."""

    statuses: list[int]
    marks: list[str]
    ended: str


def attempt(case: Case, port: int, drip: bool = False) -> Observation:
    """Send one case and the good request behind it, and read until the connection ends."""
    first = case.steps[0]
    assert isinstance(first, bytes)
    client = Client(port, first.partition(b" ")[0])
    follower = request(case.mark + "=", b"Connection: close\r\n")
    try:
        for step in case.steps[:-1]:
            if isinstance(step, int):
                client.wait_for(step)
            else:
                client.send(step, drip)
        last = case.steps[-1]
        assert isinstance(last, bytes)
        client.send(last + follower, drip)
        client.wait_for_end()
    finally:
        client.close()
    return Observation(client.statuses, client.marks, client.ended)


# ── the verdict ───────────────────────────────────────────────────────────────────────


def judge(case: Case, mode: str, observed: Observation, seen: Sequence[str]) -> str:
    """What is wrong with the outcome of a case; "" if nothing is.

    Args:
        case: what was sent.
        mode: selects the expectation.
        observed: the client's side.
        seen: the marks that reached the provider, of this case only.
    """
    expected = case.expected.get(mode, case.expected[""])
    statuses = "".join(f"{status}," for status in observed.statuses)
    pattern = expected.statuses + {"open": "200,", "closed": "", "any": "(?:200,)?"}[expected.after]
    faults = []
    if observed.ended != "closed":
        faults.append(f"the connection ended: {observed.ended}")
    if re.fullmatch(pattern, statuses) is None:
        faults.append(f"the answers are {statuses} not {pattern}")
    if observed.marks != list(seen):
        faults.append(f"DESYNC: the answers are to {observed.marks}, the provider saw {list(seen)}")
    follower = case.mark + "="
    if expected.after == "closed" and follower in seen:
        faults.append("the request behind it was served")
    if expected.after == "open" and seen[-1:] != [follower]:
        faults.append("the request behind it was not served")
    return "; ".join(faults)


def run(port: int, recorder: Recorder, mode: str, drip: bool = False) -> list[str]:
    """Send the whole corpus.

    Args:
        port: where the gateway listens, on loopback.
        recorder: the provider behind it.
        mode: whose expectations hold.
        drip: send byte by byte, cases of moderate length only.

    Returns:
        What went wrong, one text for each case; empty if nothing did.
    """
    cases = load("d" if drip else "c")
    if drip:
        cases = [
            case for case in cases if sum(len(step) for step in case.steps if isinstance(step, bytes)) <= LONGEST_DRIP
        ]
    with ThreadPoolExecutor(PARALLEL) as pool:
        observations = list(pool.map(lambda case: attempt(case, port, drip), cases))
    faults = []
    for case, observed in zip(cases, observations, strict=True):
        seen = [mark for mark in recorder.seen if mark.startswith(case.mark)]
        fault = judge(case, mode, observed, seen)
        if fault:
            faults.append(f"{case.title} ({case.rule}): {fault}")
    known = {case.mark for case in cases}
    strangers = [mark for mark in recorder.seen if mark[0] == cases[0].mark[0] and mark[:4] not in known]
    faults += [f"DESYNC: the provider saw {mark}, which nobody sent" for mark in strangers]
    return faults + [f"the provider got something malformed: {data!r}" for data in recorder.malformed]
