"""Tests of the pipe around OpenSSL: two ends in memory, without protocols."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from twisted.trial.unittest import SynchronousTestCase

from relay.runtime import openssl
from relay.runtime.openssl import RECORD, Library, Pipe, is_supported
from tests.unit.runtime.authority import issued


def pair() -> tuple[Pipe, Pipe]:
    """Client and server after their handshake."""
    key = issued("x.example")
    server_context, client_context = SSL.Context(SSL.TLS_METHOD), SSL.Context(SSL.TLS_METHOD)
    server_context.use_certificate(key.certificate)
    server_context.use_privatekey(key.key)
    library = Library()
    client = Pipe(SSL.Connection(client_context, None), library)
    server = Pipe(SSL.Connection(server_context, None), library)
    client.connection.set_connect_state()
    server.connection.set_accept_state()
    for _ in range(3):
        for one, other in ((client, server), (server, client)):
            with contextlib.suppress(SSL.WantReadError):
                one.connection.do_handshake()
            data = one.waiting()
            if data:
                other.connection.bio_write(data)
    assert client.open(b"") == server.open(b"") == b""
    return client, server


class PipeTests(SynchronousTestCase):
    """Two pipes."""

    def setUp(self) -> None:
        self.client, self.server = pair()

    def test_empty(self) -> None:
        """Where nothing came and nothing is to be sent, that is empty bytes and no fault."""
        self.assertEqual((self.client.open(b""), self.client.waiting()), (b"", b""))
        self.assertEqual((self.client.finished, self.client.error), (False, None))

    def test_sizes(self) -> None:
        """Around every limit, what was encrypted is what is decrypted."""
        for size in (1, RECORD - 1, RECORD, RECORD + 1, 3 * RECORD, 4 * RECORD + 5):
            data = bytes(index % 253 for index in range(size))
            self.assertEqual(self.server.open(self.client.seal(data)), data)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.binary(min_size=1, max_size=40_000), max_size=6), st.lists(st.integers(1, 70_000), max_size=20))
    def test_cutAnywhere(self, pieces: list[bytes], cuts: list[int]) -> None:
        """However the encrypted bytes are cut, the plain bytes come out whole and in order."""
        sealed = b"".join(self.client.seal(piece) for piece in pieces)
        plain, at = [], 0
        for size in [*cuts, len(sealed)]:
            plain.append(self.server.open(sealed[at : at + size]))
            at += size
        plain.append(self.server.open(sealed[at:]))
        self.assertEqual(b"".join(plain), b"".join(pieces))

    def test_byteByByte(self) -> None:
        """Also byte by byte."""
        sealed = self.client.seal(b"one") + self.client.seal(b"two")
        self.assertEqual(b"".join(self.server.open(bytes([byte])) for byte in sealed), b"onetwo")

    def test_muchWaiting(self) -> None:
        """More than fits the buffer at once, as after a long chain of certificates, is returned whole."""
        for _ in range(5):
            self.client.connection.send(b"x" * RECORD)
        self.assertEqual(self.server.open(self.client.waiting()), b"x" * 5 * RECORD)
        self.assertEqual(self.client.waiting(), b"")

    def test_goodbyeBehindData(self) -> None:
        """Data before the goodbye is returned with it; what comes behind it is nothing."""
        sealed = self.client.seal(b"last")
        self.client.connection.shutdown()
        self.assertEqual(self.server.open(sealed + self.client.waiting() + b"\x17\x03\x03"), b"last")
        self.assertEqual((self.server.finished, self.server.error), (True, None))

    def test_damageBehindData(self) -> None:
        """Data before a damaged record is returned; the damage is told."""
        good, bad = self.client.seal(b"good"), bytearray(self.client.seal(b"bad"))
        bad[-1] ^= 1
        self.assertEqual(self.server.open(good + bytes(bad)), b"good")
        self.assertFalse(self.server.finished)
        self.assertIsInstance(self.server.error, SSL.Error)
        self.assertTrue(self.server.waiting())  # an alert

    def test_sealAfterTheEnd(self) -> None:
        """Encrypting after the goodbye fails, for short and long data."""
        self.client.connection.shutdown()
        for size in (1, 3 * RECORD):
            self.assertRaises(SSL.Error, self.client.seal, b"x" * size)

    def test_onlyBytes(self) -> None:
        """Only bytes are taken."""
        wrong: Any
        for wrong in ("text", bytearray(b"x"), memoryview(b"x")):
            self.assertRaises(TypeError, self.client.seal, wrong)

    def test_memory(self) -> None:
        """After bulk, OpenSSL has been given no more than one record at once."""
        given: list[int] = []
        library: Any = self.server._library
        write = library.bio_write

        def note(bio: object, data: bytes, size: int) -> int:
            given.append(size)
            return int(write(bio, data, size))

        library.bio_write = note
        self.server.open(self.client.seal(b"x" * 200_000))
        self.assertEqual(max(given), RECORD)


class SupportTests(SynchronousTestCase):
    """Whether the names that are not public are there."""

    def setUp(self) -> None:
        is_supported.cache_clear()
        self.addCleanup(is_supported.cache_clear)

    def test_here(self) -> None:
        """They are."""
        self.assertTrue(is_supported())

    def test_changedInside(self) -> None:
        """When one is gone, that is seen."""

        class Less:
            """Something with one name less."""

            def __init__(self, whole: Any, gone: str) -> None:
                self._whole, self._gone = whole, gone

            def __getattr__(self, name: str) -> Any:
                if name == self._gone:
                    raise AttributeError(name)
                return getattr(self._whole, name)

        whole: Any = SSL
        for module, names in (
            ("_lib", ("SSL_read", "SSL_write", "SSL_get_error", "BIO_read", "BIO_write", "SSL_ERROR_WANT_READ")),
            ("_ffi", ("new", "buffer", "from_buffer")),
        ):
            for name in names:
                is_supported.cache_clear()
                self.patch(openssl, "SSL", Less(whole, module))
                self.assertFalse(is_supported(), module)
                changed: Any = Less(whole, "")
                setattr(changed, module, Less(getattr(whole, module), name))
                is_supported.cache_clear()
                self.patch(openssl, "SSL", changed)
                self.assertFalse(is_supported(), name)
