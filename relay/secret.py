"""Keys as values that cannot be printed by accident, and a filter that takes them out of text."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterable
from urllib.parse import quote

import attrs

_MASK = "***"
_SHORTEST = 8


@attrs.frozen(repr=False, str=False, eq=False)
class Secret:
    """A credential. ``str()`` and ``repr()`` show at most its last four characters."""

    _value: str

    def reveal(self) -> str:
        """The credential itself, for the one header or comparison that needs it."""
        return self._value

    def matches(self, other: Secret) -> bool:
        """Compare in time that does not depend on where the two differ."""
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return bool(self._value)

    def __str__(self) -> str:
        tail = self._value[-4:] if len(self._value) >= 4 * 4 else ""
        return f"{_MASK}{tail}"

    def __repr__(self) -> str:
        return f"Secret({self})"


def encodings(secret: str) -> tuple[str, ...]:
    """The forms in which a secret may turn up in text, longest first.

    Plain, JSON-escaped, percent-encoded (two ways), base64 (two alphabets) and hex.
    """
    raw = secret.encode()
    forms = {
        secret,
        json.dumps(secret)[1:-1],
        quote(secret, safe=""),
        quote(secret),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        raw.hex(),
    }
    return tuple(sorted(forms, key=len, reverse=True))


class Redactor:
    """Masks known secrets in text and bytes, in every form of `encodings`.

    The second net under logs and under provider answers (providers echo keys in 401s).
    Secrets shorter than eight characters are not looked for: masking ``test`` would
    destroy ordinary words.
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        found = {form for s in secrets if len(s.reveal()) >= _SHORTEST for form in encodings(s.reveal())}
        self._forms = sorted(found, key=len, reverse=True)
        self._byte_forms = [form.encode() for form in self._forms]

    def text(self, value: str) -> str:
        """Return the text with each known secret replaced by ``***``."""
        for form in self._forms:
            if form in value:
                value = value.replace(form, _MASK)
        return value

    def data(self, value: bytes) -> bytes:
        """Return the bytes with each known secret replaced by ``***``."""
        for form in self._byte_forms:
            if form in value:
                value = value.replace(form, _MASK.encode())
        return value
