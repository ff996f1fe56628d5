"""A provider's ``params`` rows, applied to the top level of a request; nothing else is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from relay.dialects.lenient import load
from relay.provider import ParamRule

_NULL = b"null"


def apply(fields: Mapping[str, msgspec.Raw], rules: Sequence[ParamRule]) -> dict[str, msgspec.Raw]:
    """Return the fields with every row applied, in order.

    A field that is null counts as absent, as clients mean it. A renamed field does not replace one
    that the client sent under the new name. Values that no row changes keep their bytes.

    Args:
        fields: top-level field → JSON text of its value; not changed.
        rules: the provider's rows.
    """
    out = dict(fields)
    for rule in rules:
        _apply(out, rule)
    return out


def _apply(out: dict[str, msgspec.Raw], rule: ParamRule) -> None:
    """Apply one row."""
    if rule.drop:
        out.pop(rule.name, None)
        return
    name = rule.to or rule.name
    value = out.get(rule.name)
    if rule.to is not None and value is not None:
        del out[rule.name]
        if _absent(out.get(name)):
            out[name] = value
    if rule.default is not None and _absent(out.get(name)):
        out[name] = msgspec.Raw(rule.default)
    elif (rule.minimum is not None or rule.maximum is not None) and name in out:
        out[name] = _clamp(out[name], rule)


def _absent(value: msgspec.Raw | None) -> bool:
    """Whether a field is missing or null."""
    return value is None or bytes(value) == _NULL


def _clamp(value: msgspec.Raw, rule: ParamRule) -> msgspec.Raw:
    """Bring a number into the row's range; what is no number stays."""
    number = load(bytes(value))
    if isinstance(number, bool) or not isinstance(number, int | float):
        return value
    bound: float = number
    if rule.minimum is not None:
        bound = max(bound, rule.minimum)
    if rule.maximum is not None:
        bound = min(bound, rule.maximum)
    if bound == number:
        return value
    if isinstance(number, int) and bound == int(bound):
        bound = int(bound)  # a token count stays a whole number
    return msgspec.Raw(msgspec.json.encode(bound))
