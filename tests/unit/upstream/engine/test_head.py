"""Tests of request heads."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relay.exchange import Headers
from relay.secret import Secret
from relay.upstream.engine.head import MOST, RequestHeads, UnsafeHead
from relay.wire.http import parse_request_head
from tests.unit.upstream.engine.parts import make_request

OWN: Headers = (
    (b"host", b"evil"),
    (b"content-length", b"0"),
    (b"transfer-encoding", b"chunked"),
    (b"connection", b"close"),
    (b"accept-encoding", b"gzip"),
    (b"expect", b"100-continue"),
    (b"upgrade", b"h2c"),
)

UNSAFE_TARGETS = ("", "x", "/a b", "/a\tb", "/a\r\nx: y", "/a\nb", "/\x00", "/\x7f")
UNSAFE_FIELDS = (
    (b"a", b"b\r\nx: y"),
    (b"a", b"b\nc"),
    (b"a", b"b\rc"),
    (b"a", b"\x00"),
    (b"a\r\nx: y\r\nb", b"c"),
)


def compose(body: bytes = b"", **changes: Any) -> bytes:
    """The head of one request."""
    return RequestHeads("a").compose(make_request(body, **{"headers": (), **changes}), len(body))


class HeadTests(SynchronousTestCase):
    """What is sent."""

    def test_whole(self) -> None:
        """Target, host, fields in order and length, and nothing else; the same each time."""
        heads = RequestHeads("a.example:81")
        fields: Headers = ((b"x-b", b"1"), (b"x-a", b"2"), (b"x-b", b"3"))
        for size in (7, 8, 7):
            self.assertEqual(
                heads.compose(make_request(target="/v1/x?y={z}", headers=fields), size),
                b"POST /v1/x?y={z} HTTP/1.1\r\nhost: a.example:81\r\naccept-encoding: identity\r\n"
                b"x-b: 1\r\nx-a: 2\r\nx-b: 3\r\ncontent-length: %d\r\n\r\n" % size,
            )
        self.assertEqual(len(heads), 1)

    def test_different(self) -> None:
        """Another method, target or field is another head."""
        heads = RequestHeads("a")
        changes: list[dict[str, Any]] = [
            *({}, {"target": "/y"}, {"headers": ((b"a", b"b"),)}, {"headers": ((b"a", b"c"),)}, {"method": "PUT"}),
            {},
        ]
        made = [heads.compose(make_request(**change), 7) for change in changes]
        self.assertEqual((len(set(made)), made[0]), (len(changes) - 1, made[-1]))

    def test_length(self) -> None:
        """A request whose method goes with a body says how long that is; others only if there is one."""
        for method, length, expected in (("POST", 0, 0), ("PUT", 0, 0), ("GET", 5, 5), ("DELETE", 0, None)):
            fields = dict(parse_request_head(compose(b"x" * length, method=method)).fields)
            self.assertEqual(fields.get(b"content-length"), None if expected is None else b"%d" % expected)

    def test_chunked(self) -> None:
        """A body of unknown length comes in chunks, and has no length."""
        head = RequestHeads("a").compose(make_request(b"", headers=()), None)
        self.assertTrue(head.endswith(b"\r\ntransfer-encoding: chunked\r\n\r\n"))
        self.assertNotIn(b"content-length", head)

    def test_ownFields(self) -> None:
        """What belongs to the connection is relay's to say."""
        head = parse_request_head(compose(b"abc", headers=(*OWN, (b"x", b"y"))))
        self.assertEqual(
            head.fields, ((b"host", b"a"), (b"accept-encoding", b"identity"), (b"x", b"y"), (b"content-length", b"3"))
        )

    def test_unsafeTargets(self) -> None:
        """A target that would end the request line is not sent."""
        for target in UNSAFE_TARGETS:
            with self.assertRaises(UnsafeHead, msg=repr(target)):
                compose(target=target)

    def test_unsafeFields(self) -> None:
        """Nor is a field that would end its line."""
        for field in UNSAFE_FIELDS:
            with self.assertRaises(UnsafeHead, msg=repr(field)):
                compose(headers=(field,))

    def test_bounds(self) -> None:
        """What is remembered is bounded, in number and in size."""
        heads = RequestHeads("a")
        for number in range(MOST + 5):
            heads.compose(make_request(target=f"/{number}"), 7)
        self.assertLessEqual(len(heads), MOST)
        before = len(heads)
        heads.compose(make_request(headers=((b"user-agent", b"x" * 10_000),)), 7)
        self.assertEqual(len(heads), before)

    def test_clientsKeys(self) -> None:
        """A head with a client's own key in it is not remembered."""
        heads = RequestHeads("a")
        for own, kept in ((False, 0), (True, 1)):
            heads.compose(make_request(credential=Secret("a-secret-key"), own_credential=own), 7)
            self.assertEqual(len(heads), kept)
