"""Vectors as numbers and as base64 of little-endian 32-bit floats, which is what OpenAI's SDKs ask for.

See: https://platform.openai.com/docs/api-reference/embeddings/create#encoding_format (read 2026-11).
"""

from __future__ import annotations

import base64
import binascii
import struct


def packed(vector: tuple[float, ...] | str) -> str:
    """The vector in base64."""
    if isinstance(vector, str):
        return vector
    try:
        data = struct.pack(f"<{len(vector)}f", *vector)
    except OverflowError:  # larger than a 32-bit float; no model means that
        data = struct.pack(f"<{len(vector)}f", *(max(min(number, 3.4e38), -3.4e38) for number in vector))
    return base64.b64encode(data).decode("ascii")


def unpacked(vector: tuple[float, ...] | str) -> tuple[float, ...]:
    """The vector's numbers; () if it is no base64 of whole floats."""
    if not isinstance(vector, str):
        return vector
    try:
        data = base64.b64decode(vector, validate=True)
        return struct.unpack(f"<{len(data) // 4}f", data)
    except (binascii.Error, ValueError, struct.error):
        return ()
