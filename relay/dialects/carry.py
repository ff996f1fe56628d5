"""Opaque proofs on their way through a dialect that did not make them.

A provider's signature must come back untouched in the next request, though the client may speak
another dialect than the provider. Where the client's dialect has a field for its own proofs, a foreign
one travels there in a text that says whose it is; where it has none for tool calls, it travels in the
call's id, which every client repeats.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from relay.chat import Seal

_WRAPPED = re.compile(r"relay1\.([a-z0-9_-]{1,32})\.(.*)", re.DOTALL)
_TAGGED = re.compile(r"(.*)__seal_([a-z0-9]{1,32})_([A-Za-z0-9_-]+)", re.DOTALL)


def wrap(seal: Seal, native: str) -> str:
    """The text of a proof in the field that dialect ``native`` has for its own."""
    return seal.value if seal.origin == native else f"relay1.{seal.origin}.{seal.value}"


def unwrap(text: str, native: str) -> Seal:
    """The inverse of `wrap`; what relay did not wrap is ``native``'s own."""
    match = _WRAPPED.fullmatch(text)
    return Seal(match[1], match[2]) if match else Seal(native, text)


def wrap64(seal: Seal, native: str) -> str:
    """`wrap` for a field that must be valid base64."""
    if seal.origin == native:
        return seal.value
    return base64.b64encode(wrap(seal, native).encode()).decode("ascii")


def unwrap64(text: str, native: str) -> Seal:
    """The inverse of `wrap64`; reads the URL-safe alphabet, too."""
    try:
        inner = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True).decode()
    except (binascii.Error, ValueError):
        return Seal(native, text)
    match = _WRAPPED.fullmatch(inner)
    return Seal(match[1], match[2]) if match else Seal(native, text)


def tag(call: str, seal: Seal | None) -> str:
    """A tool call's id with its proof in it; letters, digits, ``_`` and ``-`` only are added."""
    if seal is None:
        return call
    value = base64.urlsafe_b64encode(seal.value.encode()).decode("ascii").rstrip("=")
    return f"{call}__seal_{seal.origin}_{value}"


def untag(call: str) -> tuple[str, Seal | None]:
    """The inverse of `tag`; an id without a proof comes back as it is."""
    match = _TAGGED.fullmatch(call) if "__seal_" in call else None
    if match is None:
        return call, None
    try:
        value = base64.urlsafe_b64decode(match[3] + "=" * (-len(match[3]) % 4)).decode()
    except (binascii.Error, ValueError):
        return call, None
    return match[1], Seal(match[2], value)


def made_id(prefix: str, *seed: object, length: int = 24) -> str:
    """An id for what came without one: the same for the same seed, letters and digits only."""
    digest = hashlib.sha256("\x1f".join(map(str, seed)).encode("utf-8", "surrogatepass")).hexdigest()
    return prefix + digest[:length]
