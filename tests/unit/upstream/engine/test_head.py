"""Tests of request heads."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.exchange import Headers
from relay.upstream.engine.head import UnsafeHead, beginning, complete
from relay.wire.http import parse_request_head

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


class HeadTests(SynchronousTestCase):
    """What is sent."""

    def test_whole(self) -> None:
        """Target, host, fields in order and length, and nothing else."""
        begun = beginning("POST", "/v1/x?y={z}", "a.example:81")
        fields: Headers = ((b"x-b", b"1"), (b"x-a", b"2"), (b"x-b", b"3"))
        self.assertEqual(
            complete(begun, "POST", fields, 7),
            b"POST /v1/x?y={z} HTTP/1.1\r\nhost: a.example:81\r\naccept-encoding: identity\r\n"
            b"x-b: 1\r\nx-a: 2\r\nx-b: 3\r\ncontent-length: 7\r\n\r\n",
        )

    def test_length(self) -> None:
        """A request whose method goes with a body says how long that is; others only if there is one."""
        for method, length, expected in (("POST", 0, 0), ("PUT", 0, 0), ("GET", 5, 5), ("DELETE", 0, None)):
            head = complete(beginning(method, "/", "a"), method, (), length)
            fields = dict(parse_request_head(head).fields)
            self.assertEqual(fields.get(b"content-length"), None if expected is None else b"%d" % expected)

    def test_ownFields(self) -> None:
        """What belongs to the connection is relay's to say."""
        head = parse_request_head(complete(beginning("POST", "/", "a"), "POST", (*OWN, (b"x", b"y")), 3))
        self.assertEqual(
            head.fields, ((b"host", b"a"), (b"accept-encoding", b"identity"), (b"x", b"y"), (b"content-length", b"3"))
        )

    def test_unsafeTargets(self) -> None:
        """A target that would end the request line is not sent."""
        for target in UNSAFE_TARGETS:
            with self.assertRaises(UnsafeHead, msg=repr(target)):
                beginning("POST", target, "a")

    def test_unsafeFields(self) -> None:
        """Nor is a field that would end its line."""
        for field in UNSAFE_FIELDS:
            with self.assertRaises(UnsafeHead, msg=repr(field)):
                complete(beginning("POST", "/", "a"), "POST", (field,), 0)
