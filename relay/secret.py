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
_FEW = 256
_MANY = 1000
_WINDOWS = tuple(slice(at, at + _SHORTEST) for at in range(512))


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
    What it costs depends on the text, not on the number of secrets: each stretch of eight
    characters is looked up among the beginnings of all forms. Secrets shorter than that
    are not looked for: masking ``test`` would destroy ordinary words.

    Args:
        secrets: what to mask. Beyond a thousand, only their plain form is looked for.
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        values = {secret.reveal() for secret in secrets}
        every = encodings if len(values) <= _MANY else _plain
        self._forms: dict[str, list[str]] = {}
        for value in values:
            if len(value) >= _SHORTEST:
                for form in every(value):
                    self._forms.setdefault(form[:_SHORTEST], []).append(form)

    def plus(self, secret: Secret) -> Redactor:
        """A filter for one secret more; this one stays as it is."""
        more = Redactor((secret,))
        for start, forms in self._forms.items():
            more._forms.setdefault(start, []).extend(forms)
        return more

    def finds(self, value: str) -> bool:
        """Whether a text may hold a known secret; if not, `text` would leave it as it is."""
        forms = self._forms
        if len(forms) <= _FEW:
            return any(map(value.__contains__, forms))
        return not forms.keys().isdisjoint(map(value.__getitem__, _windows(len(value))))

    def text(self, value: str) -> str:
        """Return the text with each known secret replaced by ``***``."""
        if not self.finds(value):
            return value
        found = [form for start, forms in self._forms.items() if start in value for form in forms]
        for form in sorted(found, key=len, reverse=True):
            value = value.replace(form, _MASK)
        return value

    def data(self, value: bytes) -> bytes:
        """Return the bytes with each known secret replaced by ``***``."""
        text = value.decode("utf-8", "surrogateescape")
        masked = self.text(text)
        return value if masked is text else masked.encode("utf-8", "surrogateescape")


def _windows(length: int) -> Iterable[slice]:
    """All stretches of `_SHORTEST` characters of a text."""
    count = max(length - _SHORTEST + 1, 0)
    return _WINDOWS[:count] if count <= len(_WINDOWS) else (slice(at, at + _SHORTEST) for at in range(count))


def _plain(secret: str) -> tuple[str, ...]:
    return (secret,)
