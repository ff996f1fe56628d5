"""Heads at random: what is accepted survives a round trip, and h11, which is strict too, reads the same."""

from __future__ import annotations

import string
from collections.abc import Iterable

import h11
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.wire.http import FieldMemo, Framing, HeadError, RequestHead, parse_request_head, parse_response_head
from tests.unit.wire.test_http_requests import REFUSED, head, outcome, outcomes
from tests.unit.wire.test_http_responses import FRAMED

TOKENS = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1, max_size=20).map(str.encode)
VALUES = st.text("".join(map(chr, (9, *range(32, 127), *range(128, 256)))), max_size=30).map(
    lambda text: text.strip(" \t").encode("latin-1")
)
TARGETS = st.text("".join(set(map(chr, range(33, 127))) - set('"#<>')), max_size=30).map(
    lambda text: b"/" + text.encode()
)
RULING = (b"host", b"content-length", b"transfer-encoding", b"expect", b"connection")
FRAMINGS = st.sampled_from(
    [
        (),
        ((b"content-length", b"0"),),
        ((b"content-length", b"12"),),
        ((b"transfer-encoding", b"chunked"),),
        ((b"content-length", b"3"), (b"expect", b"100-continue")),
        ((b"connection", b"close"), (b"content-length", b"3")),
    ]
)
SPLINTERS = st.sampled_from(
    [
        *(
            b"",
            b"\r",
            b"\n",
            b"\r\n",
            b"\r\n ",
            b"\r\n\r\n",
            b" ",
            b"\t",
            b"\x00",
            b"\x0b",
            b":",
            b",",
            b";",
            b"0",
            b"-",
        ),
        *(
            b"Host: a\r\n",
            b"Content-Length: 5\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"HTTP/1.1",
            b"chunked",
            b"\xff",
        ),
    ]
)


def build(method: bytes, target: bytes, version: tuple[int, int], fields: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """The bytes of a head."""
    lines = b"".join(b"%b: %b\r\n" % field for field in fields)
    return b"%b %b HTTP/%d.%d\r\n%b\r\n" % (method, target, *version, lines)


def body_of(found: RequestHead) -> bytes:
    """A body as the head announces it, at most 20 bytes."""
    return b"5\r\nhello\r\n0\r\n\r\n" if found.length is None else b"x" * found.length


def comparable(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Fields as h11 gives them: it puts codings in lower case."""
    return [(name, value.lower() if name == b"transfer-encoding" else value) for name, value in fields]


def read_by_h11(data: bytes) -> tuple[h11.Request, int, bytes] | None:
    """What h11 makes of a request: its head, the size of its content, what follows; None if it refuses."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    request = None
    size = 0
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                size += len(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                return request, size, connection.trailing_data[0]
            else:
                raise AssertionError(event)
    except h11.RemoteProtocolError:
        return None


class RequestPropertyTests(SynchronousTestCase):
    """Request heads that nobody thought of."""

    @given(
        TOKENS.filter(lambda method: method != b"CONNECT"),
        TARGETS,
        st.sampled_from([(1, 0), (1, 1)]),
        st.lists(st.tuples(TOKENS.filter(lambda name: name.lower() not in RULING), VALUES), max_size=20),
        FRAMINGS,
    )
    def test_roundTrip(
        self,
        method: bytes,
        target: bytes,
        version: tuple[int, int],
        fields: list[tuple[bytes, bytes]],
        framing: tuple[tuple[bytes, bytes], ...],
    ) -> None:
        """A head is understood as it was meant, and rebuilt from that is understood as the same."""
        if version == (1, 0) and (b"transfer-encoding", b"chunked") in framing:
            return
        data = build(method, target, version, ((b"Host", b"a"), *fields, *framing))
        found = outcomes(data)[0]
        assert isinstance(found, RequestHead), data
        self.assertEqual((found.method, found.target, found.version), (method, target, version))
        meant = ((b"host", b"a"), *((name.lower(), value) for name, value in fields), *framing)
        self.assertEqual(found.fields, meant)
        rebuilt = parse_request_head(build(found.method, found.target, found.version, found.fields))
        self.assertEqual(rebuilt, found)

    @settings(max_examples=500)
    @given(st.data())
    def test_damagedHeads(self, choice: st.DataObject) -> None:
        """A damaged head is refused, or h11 refuses it, or both read it the same, its body included."""
        fields = choice.draw(
            st.sampled_from([b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\nX: y\r\n"])
        )
        data = bytearray(head(b"POST /v1/x HTTP/1.1", b"Host: a\r\nAccept: */*\r\n" + fields))
        for _ in range(choice.draw(st.integers(1, 3))):
            at = choice.draw(st.integers(0, len(data)))
            data[at : at + choice.draw(st.integers(0, 2))] = choice.draw(SPLINTERS)
        self.compare(bytes(data))

    @given(st.sampled_from(sorted(REFUSED)), st.data())
    def test_repairedHeads(self, name: str, choice: st.DataObject) -> None:
        """A refused head with something taken out is refused again, or read as h11 reads it."""
        data = bytearray(REFUSED[name][0][:500])
        start = choice.draw(st.integers(0, len(data)))
        del data[start : start + choice.draw(st.integers(1, 20))]
        self.compare(bytes(data))

    def compare(self, data: bytes) -> None:
        """Hold our reading of a head against h11's, however the head arrives."""
        try:
            found = outcome([data])
            self.assertEqual(outcome([data[at : at + 1] for at in range(len(data))]), found)
        except AssertionError as error:
            if error.args == ("the head has no end",):
                return
            raise
        if not isinstance(found, RequestHead) or (found.length or 0) > 20 or found.method == b"CONNECT":
            return
        end = data.index(b"\r\n\r\n", 1) + 4
        body = body_of(found)
        theirs = read_by_h11(data[:end] + body + b"NEXT")
        if theirs is None:
            return
        request, size, rest = theirs
        self.assertEqual(request.method, found.method)
        self.assertEqual(comparable(request.headers), comparable(found.fields))
        self.assertTrue(request.target.endswith(found.target) or b"://" in request.target, request.target)
        self.assertEqual((size, rest), (5 if found.chunked else found.length, b"NEXT"))


class AnyBytesTests(SynchronousTestCase):
    """Bytes that were never meant as HTTP."""

    @given(st.binary(max_size=200))
    def test_onlyOneError(self, data: bytes) -> None:
        """Whatever comes, the only exception is `HeadError`."""
        memo = FieldMemo()
        for parse in (
            lambda: parse_request_head(data),
            lambda: parse_request_head(b"GET / HTTP/1.1\r\n" + data + b"\r\n\r\n", memo),
            lambda: parse_response_head(data, b"POST"),
            lambda: parse_response_head(b"HTTP/1.1 200 OK\r\n" + data + b"\r\n\r\n", b"POST", memo),
        ):
            try:
                parse()
            except HeadError as error:
                self.assertIn(error.status, (400, 413, 414, 417, 431, 501, 505))

    @settings(max_examples=300)
    @given(st.sampled_from(FRAMED), st.data())
    def test_damagedAnswers(self, case: tuple[bytes, bytes, Framing, int, bool], choice: st.DataObject) -> None:
        """An answer's framing never changes by damage that h11 does not see the same way."""
        method, whole = case[:2]
        data = bytearray(whole)
        at = choice.draw(st.integers(0, len(data)))
        data[at : at + choice.draw(st.integers(0, 2))] = choice.draw(SPLINTERS)
        try:
            found = parse_response_head(bytes(data), method)
        except HeadError:
            return
        if found.length > 20 or method in (b"CONNECT", b"head") or found.status in (101, 204) or found.status > 599:
            return
        connection = h11.Connection(h11.CLIENT)
        connection.send(h11.Request(method=method, target="/", headers=[("host", "a"), ("content-length", "0")]))
        connection.send(h11.EndOfMessage())
        body = {Framing.LENGTH: b"x" * found.length, Framing.CHUNKED: b"5\r\nhello\r\n0\r\n\r\n"}.get(
            found.framing, b""
        )
        connection.receive_data(bytes(data) + body)
        try:
            event = connection.next_event()
            assert isinstance(event, h11.Response | h11.InformationalResponse)
            self.assertEqual(event.status_code, found.status)
            self.assertEqual(comparable(event.headers), comparable(found.fields))
            if found.status < 200:
                return
            if found.framing is Framing.EOF:
                connection.receive_data(b"")
            while not isinstance(event, h11.EndOfMessage):
                event = connection.next_event()
                self.assertIsInstance(event, h11.Data | h11.EndOfMessage)
        except h11.RemoteProtocolError:
            return
        self.assertEqual(connection.trailing_data[0], b"")
