"""OpenSSL on bytes in memory, without the detours of pyOpenSSL's methods.

pyOpenSSL raises an exception whenever there is nothing more to read and allocates a
buffer for each call, which costs more than the encryption. Its `SSL.Connection` makes,
verifies and closes the session here; the bytes of an open session go to the C functions
below it. These names are not public (``_lib``, ``_ffi``, ``_ssl``, ``_into_ssl``,
``_from_ssl``, ``_raise_ssl_error``); `is_supported` tells whether they are there.
"""

from __future__ import annotations

import functools

from OpenSSL import SSL

RECORD = 16 * 1024
"""Bytes of plaintext in one TLS record, at most. See: RFC 8446 section 5.1."""

_ROOM = RECORD + 1024
"""Bytes for one encrypted record, and small ones beside it."""


@functools.cache
def is_supported() -> bool:
    """Whether this version of pyOpenSSL has what `Pipe` reaches for."""
    functions = ("SSL_read", "SSL_write", "SSL_get_error", "BIO_read", "BIO_write", "SSL_ERROR_WANT_READ")
    library, ffi = getattr(SSL, "_lib", None), getattr(SSL, "_ffi", None)
    if not all(hasattr(library, name) for name in functions):
        return False
    if not all(hasattr(ffi, name) for name in ("new", "buffer", "from_buffer")):
        return False
    probe = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
    return all(hasattr(probe, name) for name in ("_ssl", "_into_ssl", "_from_ssl", "_raise_ssl_error", "set_options"))


class Library:
    """The C functions, and one buffer that many sessions fill in turn, for one thread."""

    __slots__ = ("bio_read", "bio_write", "buffer", "from_buffer", "get_error", "read", "unpack", "want_read", "write")

    def __init__(self) -> None:
        library, ffi = SSL._lib, SSL._ffi  # type: ignore[attr-defined]  # not public
        self.read = library.SSL_read
        self.write = library.SSL_write
        self.get_error = library.SSL_get_error
        self.bio_read = library.BIO_read
        self.bio_write = library.BIO_write
        self.want_read: int = library.SSL_ERROR_WANT_READ
        self.unpack = ffi.buffer
        self.from_buffer = ffi.from_buffer
        self.buffer = ffi.new("char[]", _ROOM)


class Pipe:
    """The encrypted and the plain end of one session.

    Args:
        connection: made without a socket; its handshake is up to others.
        library: shared with other sessions.

    Attributes:
        connection: as given.
        finished: whether the peer has said that it will send no more.
        error: what has gone wrong while reading, or None. The session is of no more use then.
    """

    __slots__ = ("_into", "_library", "_out", "_ssl", "connection", "error", "finished")

    def __init__(self, connection: SSL.Connection, library: Library) -> None:
        self.connection = connection
        self.finished = False
        self.error: SSL.Error | None = None
        self._library = library
        self._ssl = connection._ssl
        self._into = connection._into_ssl
        self._out = connection._from_ssl

    def seal(self, data: bytes) -> bytes:
        """Encrypt.

        Args:
            data: plaintext, at least one byte.

        Returns:
            What is to be sent for it.

        Raises:
            OpenSSL.SSL.Error: the session is broken, or its handshake not over.
            TypeError: not bytes.
        """
        size = len(data)
        sent = self._library.write(self._ssl, data, size)
        if sent == size:
            return self.waiting()
        return self._seal_long(data, sent)

    def _seal_long(self, data: bytes, sent: int) -> bytes:
        """Go on where one record has ended."""
        write, size, records = self._library.write, len(data), []
        start = self._library.from_buffer(data)
        total = 0
        while True:
            if sent <= 0:
                self.connection._raise_ssl_error(self._ssl, sent)
            total += sent
            records.append(self.waiting())
            if total == size:
                return b"".join(records)
            sent = write(self._ssl, start + total, size - total)

    def waiting(self) -> bytes:
        """What OpenSSL wants sent; may be empty."""
        library = self._library
        read, buffer, unpack = library.bio_read, library.buffer, library.unpack
        got = read(self._out, buffer, _ROOM)
        if 0 < got < _ROOM:
            data: bytes = unpack(buffer, got)[:]
            return data
        pieces = []
        while got > 0:
            pieces.append(unpack(buffer, got)[:])
            got = read(self._out, buffer, _ROOM)
        return b"".join(pieces)

    def open(self, data: bytes) -> bytes:
        """Decrypt; sets `finished` or `error` when the plaintext before that has been returned.

        Args:
            data: received, cut anywhere; may be empty when the handshake has left something to read.

        Returns:
            The plaintext that is complete; may be empty.
        """
        library, ssl = self._library, self._ssl
        read, buffer, unpack = library.read, library.buffer, library.unpack
        pieces = []
        # OpenSSL keeps as much memory as it was ever given in one piece
        for part in (data,) if len(data) <= RECORD else _parts(data):
            library.bio_write(self._into, part, len(part))
            while (got := read(ssl, buffer, RECORD)) > 0:
                pieces.append(unpack(buffer, got)[:])
            if library.get_error(ssl, got) != library.want_read:
                self._judge(got)
                break
        return b"".join(pieces)

    def _judge(self, got: int) -> None:
        try:
            self.connection._raise_ssl_error(self._ssl, got)
        except SSL.ZeroReturnError:
            self.finished = True
        except SSL.Error as error:
            self.error = error


def _parts(data: bytes) -> list[bytes]:
    return [data[at : at + RECORD] for at in range(0, len(data), RECORD)]
