"""The multipart scanner: offsets and kept values, whatever the slicing, and nothing that others read differently."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from multipart import PushMultipartParser

from twisted.trial.unittest import SynchronousTestCase

from relay.wire.multipart import HEADER_LIMIT, PART_LIMIT, VALUE_LIMIT, MultipartScanner, Part, boundary_of

KEEP = frozenset({"model", "stream"})

AUDIO = b"RIFF\r\n--\r\n--Xy\r--XyZ\x00\xff"

FORM = (
    b'--XyZ\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b'--XyZ\r\nContent-Disposition: form-data; name="file"; filename="\xc3\xa4\xe2\x82\xac.wav"\r\n'
    b"Content-Type: audio/wav\r\n\r\n" + AUDIO + b"\r\n"
    b'--XyZ\r\ncontent-disposition: form-data; name=stream\r\nContent-Type: text/plain; charset="UTF-8"\r\n\r\n'
    b"true\r\n"
    b'--XyZ\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n\r\n--XyZ--\r\n'
)


def scan(pieces: Iterable[bytes], boundary: bytes = b"XyZ", keep: frozenset[str] = KEEP) -> tuple[Part, ...]:
    """Feed the pieces to a new scanner and end it."""
    scanner = MultipartScanner(boundary, keep)
    fed = [part for piece in pieces for part in scanner.feed(piece)]
    parts = scanner.end()
    assert tuple(fed) == parts
    return parts


def part(header: bytes, content: bytes = b"x") -> bytes:
    """A body of one part with this header block."""
    return b"--XyZ\r\n" + header + b"\r\n\r\n" + content + b"\r\n--XyZ--"


def named(disposition: bytes, content: bytes = b"x") -> bytes:
    """A body of one part with this Content-Disposition."""
    return part(b"Content-Disposition: " + disposition, content)


class ScannerTests(SynchronousTestCase):
    """What a well-formed body holds."""

    def check(self, pieces: Iterable[bytes]) -> None:
        """The parts of `FORM`, however it came."""
        parts = scan(pieces)
        self.assertEqual(
            [(p.name, p.filename, FORM[p.start : p.end], p.value) for p in parts],
            [
                ("model", None, b"whisper-1", "whisper-1"),
                ("file", "ä€.wav", AUDIO, None),
                ("stream", None, b"true", "true"),
                ("prompt", None, b"", None),
            ],
        )

    def test_whole(self) -> None:
        """Names, file names in UTF-8, places and the kept values of a body in one piece."""
        self.check([FORM])

    def test_byteByByte(self) -> None:
        """The same when each byte comes alone."""
        self.check(FORM[i : i + 1] for i in range(len(FORM)))

    def test_cutAnywhere(self) -> None:
        """The same for every cut into two pieces, with empty pieces between."""
        for cut in range(len(FORM)):
            self.check([FORM[:cut], b"", FORM[cut:]])

    def test_emptyPreambleWithItsLineEnd(self) -> None:
        """A line end before the first boundary is an empty preamble; offsets count it."""
        for pieces in ([b"\r\n" + FORM], [b"\r", b"\n" + FORM], [b"\r\n", FORM]):
            self.assertEqual(scan(pieces)[0].start, scan([FORM])[0].start + 2)

    def test_ahead(self) -> None:
        """Which kept fields came before the first file is known as soon as that begins."""
        scanner = MultipartScanner(b"XyZ", KEEP)
        begins = FORM.index(AUDIO)
        for at in range(begins):
            self.assertIsNone(scanner.ahead)
            scanner.feed(FORM[at : at + 1])
        self.assertEqual(scanner.ahead, {"model"})
        scanner.feed(FORM[begins:])
        self.assertEqual(scanner.ahead, {"model"})

    def test_blankEpilogue(self) -> None:
        """Blanks and line ends may follow the closing boundary, in pieces, too."""
        self.assertEqual(scan([FORM + b" \t\r\n", b"\r\n"]), scan([FORM]))

    def test_extendedFileName(self) -> None:
        """A part with only ``filename*``, which RFC 7578 forbids and clients send, is a file."""
        body = named(b"form-data; name=\"file\"; filename*=utf-8''%C3%A4.wav")
        self.assertEqual(scan([body])[0].filename, "utf-8''%C3%A4.wav")

    def test_quotesInFileNames(self) -> None:
        """File names may hold escaped quotes, semicolons and percent signs; none of them ends the name."""
        body = named(b'form-data; name="file"; filename="a\\"; name=\\"model%22.wav"')
        self.assertEqual([p.name for p in scan([body])], ["file"])

    def test_ownContentLength(self) -> None:
        """A part's own length is accepted when it is right."""
        header = b'Content-Disposition: form-data; name="a"\r\nContent-Length: '
        self.assertEqual(len(scan([part(header + b"3", b"abc")])), 1)
        self.assertRaises(ValueError, scan, [part(header + b"2", b"abc")])
        self.assertRaises(ValueError, scan, [part(header + b"3x", b"abc")])

    def test_longContentKeepsNothing(self) -> None:
        """While content passes, the scanner holds no more than the start of a boundary."""
        scanner = MultipartScanner(b"XyZ", KEEP)
        scanner.feed(named(b'form-data; name="file"; filename="f"')[:-9])
        for _ in range(100):
            scanner.feed(b"\r\n--Xy\r\n--X" * 1000)
            self.assertLess(len(scanner._buffer), 10)

    def test_manyParts(self) -> None:
        """The most parts that are allowed, each found at its place."""
        body = b"".join(
            b'--XyZ\r\nContent-Disposition: form-data; name="a"\r\n\r\n%d\r\n' % i for i in range(PART_LIMIT)
        )
        parts = scan([body + b"--XyZ--"])
        self.assertEqual([int(body[p.start : p.end]) for p in parts], list(range(PART_LIMIT)))


class RefusalTests(SynchronousTestCase):
    """Everything that is cut, malformed, unbounded or open to two readings is refused."""

    def refuse(self, *bodies: bytes, saying: str = "") -> None:
        """Each body is refused whole and byte by byte."""
        for body in bodies:
            for pieces in ([body], [body[i : i + 1] for i in range(len(body))]):
                error = self.assertRaises(ValueError, scan, pieces)
                self.assertIn(saying, str(error), body[:200])

    def test_cut(self) -> None:
        """A body that ends before its closing boundary, wherever."""
        for cut in range(len(FORM) - 2):
            self.assertRaises(ValueError, scan, [FORM[:cut]])

    def test_preamble(self) -> None:
        """Nothing may stand before the first boundary."""
        self.refuse(b"hello\r\n" + FORM, b"\r\n\r\n" + FORM, b"\n" + FORM, b"-" + FORM, b"x", saying="begin")

    def test_noParts(self) -> None:
        """A body of nothing but its closing boundary."""
        self.refuse(b"--XyZ--\r\n", saying="no part")

    def test_epilogue(self) -> None:
        """Nothing but blanks may follow the closing boundary."""
        self.refuse(FORM + b"x", FORM + b"\r\n" + FORM, saying="closing")

    def test_boundaryWithMoreBehindIt(self) -> None:
        """Content may not hold a line that begins with the boundary, nor a boundary be padded."""
        self.refuse(
            named(b'form-data; name="a"', b"1\r\n--XyZ0\r\n2"),
            named(b'form-data; name="a"', b"1\r\n--XyZ-\r\n2"),
            FORM.replace(b"--XyZ\r\n", b"--XyZ \r\n"),
            FORM.replace(b"--XyZ\r\n", b"--XyZ\n"),
            saying="boundary",
        )

    def test_bareLineEnds(self) -> None:
        """Only CRLF ends a header line."""
        self.refuse(
            b'--XyZ\r\nContent-Disposition: form-data; name="a"\nX-B: c\r\n\r\nx\r\n--XyZ--',
            b'--XyZ\r\nContent-Disposition: form-data; name="a"\rX-B: c\r\n\r\nx\r\n--XyZ--',
        )

    def test_headers(self) -> None:
        """Each part has one well-formed Content-Disposition of form-data with one plain name."""
        self.refuse(
            part(b"Content-Type: text/plain"),
            b"--XyZ\r\n\r\nx\r\n--XyZ--",
            named(b"form-data"),
            named(b"attachment; name=a"),
            named(b'form-data; filename="f"'),
            named(b'form-data; name="a'),
            named(b"form-data; name=a b"),
            named(b'form-data; name="a"; name="model"'),
            named(b'form-data; name="a"; Name="model"'),
            named(b"form-data; name=a; name*=utf-8''model"),
            named(b"form-data; name=a; name*0=model"),
            named(b'form-data; x.y="; name=model"; name=a'),
            named(b'form-data; filename*="; name=model"; name=a'),
            named(b'form-data; name="mo\\del"'),
            named(b'form-data; name="a"; filename="C:\\"'),
            part(b'Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="model"'),
            part(b'Content-Disposition: form-data;\r\n name="a"'),
            part(b'Content-Disposition : form-data; name="a"'),
            part(b'Content-Disposition: form-data; name="a"\r\nnonsense'),
            part(b'Content-Disposition: form-data; name="\xe4"'),
            named(b'form-data; name="a\x00"'),
        )

    def test_transferEncoding(self) -> None:
        """Encoded parts are refused; RFC 7578 section 4.7 has them deprecated."""
        self.refuse(
            part(b'Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64'),
            saying="Content-Transfer-Encoding",
        )

    def test_keptFieldTwice(self) -> None:
        """A kept field is given once: which of two is meant differs from reader to reader."""
        field = b'--XyZ\r\nContent-Disposition: form-data; name="model"\r\n\r\na\r\n'
        self.refuse(field + field + b"--XyZ--", saying="twice")

    def test_otherFieldTwice(self) -> None:
        """Fields that relay does not read may repeat (``image[]``, ``timestamp_granularities[]``)."""
        field = b'--XyZ\r\nContent-Disposition: form-data; name="image[]"; filename="a"\r\n\r\na\r\n'
        self.assertEqual(len(scan([field + field + b"--XyZ--"])), 2)

    def test_keptFieldAsText(self) -> None:
        """A kept field is one line of UTF-8 text: no file, no other charset, no control characters."""
        typed = b'Content-Disposition: form-data; name="model"\r\nContent-Type: '
        self.refuse(
            named(b'form-data; name="model"; filename="m"'),
            named(b"form-data; name=\"model\"; filename*=utf-8''m"),
            part(typed + b"text/plain; charset=utf-16"),
            part(typed + b'text/plain; charset="utf-8"; charset=utf-16'),
            part(typed + b"text/plain; charset"),
            named(b'form-data; name="model"', b"\xff"),
            named(b'form-data; name="model"', b"a\r\nb"),
            named(b'form-data; name="model"', b"a\x00"),
        )

    def test_bounds(self) -> None:
        """Header block, number of parts and kept value each have a largest size that still passes."""
        long = b'Content-Disposition: form-data; name="model"\r\nX-A: '
        fits = long + b"a" * (HEADER_LIMIT - len(long) - 4)
        self.assertEqual(len(scan([part(fits)])), 1)
        self.assertIn("headers", str(self.assertRaises(ValueError, scan, [part(fits + b"a")])))
        self.assertIn("headers", str(self.assertRaises(ValueError, scan, [b"--XyZ\r\n", *[b"X-A: aaaa"] * 1000])))
        value = named(b'form-data; name="model"', b"v" * VALUE_LIMIT)
        self.assertEqual(scan([value])[0].value, "v" * VALUE_LIMIT)
        self.assertIn("larger", str(self.assertRaises(ValueError, scan, [value.replace(b"vv", b"vvv", 1)])))
        field = b'--XyZ\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
        self.assertEqual(len(scan([field * PART_LIMIT + b"--XyZ--"])), PART_LIMIT)
        self.assertIn("parts", str(self.assertRaises(ValueError, scan, [field * (PART_LIMIT + 1) + b"--XyZ--"])))


class BoundaryTests(SynchronousTestCase):
    """The boundary in a content type."""

    def test_good(self) -> None:
        """Tokens as they are, everything else of RFC 2046's grammar in quotes."""
        good = {
            "multipart/form-data; boundary=----WebKitFormBoundary7MA4": b"----WebKitFormBoundary7MA4",
            'multipart/form-data; boundary="a b=(c):/?,\'+._-"': b"a b=(c):/?,'+._-",
            'Multipart/Form-Data;charset=utf-8;  BOUNDARY="x"': b"x",
            f"multipart/form-data; boundary={'b' * 70}": b"b" * 70,
        }
        for value, boundary in good.items():
            self.assertEqual(boundary_of(value), boundary)

    def test_bad(self) -> None:
        """None, an empty one, two, too long, with signs that do not belong, or followed by anything."""
        bad = (
            "multipart/form-data",
            "multipart/form-data; boundary=",
            'multipart/form-data; boundary=""',
            'multipart/form-data; boundary="a "',
            'multipart/form-data; boundary="a\\"b"',
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/form-data; boundary=a; Boundary=b",
            "multipart/form-data; boundary=a=b",
            "multipart/form-data; boundary=a, text/plain",
            "multipart/form-data; boundary*=utf-8''a",
            "multipart/form-data; boundary=ä",
            f"multipart/form-data; boundary={'b' * 71}",
            "",
        )
        for value in bad:
            self.assertRaises(ValueError, boundary_of, value)


# ── the library as an oracle ────────────────────────────────────────────────────────


def library(body: bytes, boundary: bytes) -> list[tuple[str | None, str | None, bytes]]:
    """Name, file name and content of each part as the ``multipart`` library reads them."""
    parser = PushMultipartParser(boundary, max_header_size=HEADER_LIMIT, max_header_count=HEADER_LIMIT)
    parts: list[tuple[str | None, str | None, bytes]] = []
    with parser:
        for event in parser.parse(body):
            if isinstance(event, bytes):
                name, filename, content = parts[-1]
                parts[-1] = (name, filename, content + event)
            elif event is not None:
                parts.append((event.name, event.filename, b""))
    return parts


def sliced(body: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The body in pieces."""
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return [body[a:b] for a, b in pairwise(edges)]


BOUNDARIES = st.text("0123456789abcXYZ-_'+.", min_size=1, max_size=70)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters='"\\%', exclude_categories=("Cc", "Cs")), max_size=20)
CONTENTS = st.binary(max_size=200) | st.lists(st.sampled_from([b"\r\n", b"--", b"-", b"\r", b"a", b"XyZ"])).map(
    b"".join
)
FIELDS = st.lists(st.tuples(NAMES, st.none() | NAMES, CONTENTS), min_size=1, max_size=6)
CUTS = st.lists(st.integers(0, 5000), max_size=20)

PIECES = st.lists(
    st.sampled_from(
        [
            b"--XyZ\r\n",
            b"--XyZ--",
            b"--XyZ",
            b"\r\n",
            b"\n",
            b'Content-Disposition: form-data; name="model"',
            b'Content-Disposition: form-data; name="file"; filename="f"',
            b"Content-Disposition: form-data; name=model",
            b"content-disposition: form-data",
            b'; name="model"',
            b'; filename="',
            b'"',
            b"; name=",
            b"Content-Type: text/plain",
            b"; charset=utf-16",
            b"Content-Length: 1",
            b" ",
            b"model",
            b"x",
            b":",
        ]
    ),
    max_size=30,
).map(b"".join)


class OracleTests(SynchronousTestCase):
    """The scanner against the library that parses multipart for many servers."""

    @settings(derandomize=True, deadline=None)
    @given(BOUNDARIES, FIELDS, CUTS)
    def test_wellFormed(self, boundary: str, fields: list[tuple[str, str | None, bytes]], cuts: list[int]) -> None:
        """On generated well-formed bodies both find the same parts, names and contents."""
        mark = boundary.encode()
        assume(all(b"\r\n--" + mark not in b"\r\n" + content + b"\r\n--" for _, _, content in fields))
        body = b""
        for name, filename, content in fields:
            file = f'; filename="{filename}"'.encode() if filename is not None else b""
            head = b'Content-Disposition: form-data; name="' + name.encode() + b'"' + file
            body += b"--" + mark + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n"
        body += b"--" + mark + b"--\r\n"
        parts = scan(sliced(body, cuts), mark, frozenset())
        self.assertEqual([(p.name, p.filename, body[p.start : p.end]) for p in parts], library(body, mark))
        self.assertEqual([content for _, _, content in fields], [body[p.start : p.end] for p in parts])

    @settings(max_examples=500, derandomize=True, deadline=None)
    @given(PIECES, CUTS)
    def test_whateverIsAcceptedIsReadTheSame(self, rest: bytes, cuts: list[int]) -> None:
        """A body put together at random is refused, or the library reads the same parts in it."""
        for body in (rest, named(b'form-data; name="model"', rest), part(b"Content-Disposition: form-data" + rest)):
            try:
                parts = scan(sliced(body, cuts))
            except ValueError:
                continue
            read = library(body, b"XyZ")
            self.assertEqual([(p.name, body[p.start : p.end]) for p in parts], [(name, data) for name, _, data in read])
            models = [p.value for p in parts if p.name == "model"]
            self.assertEqual(models, [data.decode() for name, _, data in read if name == "model"])
