"""Header fields that a provider file sets."""

from __future__ import annotations

import re
from collections.abc import Mapping

from relay.loader.place import Place
from relay.loader.variables import Variables
from relay.provider import CREDENTIAL_HEADERS

_VALUE = re.compile(r"[\t -~]*")

_BODY = "content-type"
"""Follows the body that is sent; a value in a file never reaches the provider. The
predecessor's files all set it, and it took the client's there, too."""

_FRAMING = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Fields that belong to a connection or a body; relay writes them itself."""


def read_headers(given: Mapping[str, str], variables: Variables, place: Place, warnings: list[str]) -> dict[str, str]:
    """Header fields with lower-case names, variables replaced.

    Args:
        given: as the file has them.
        variables: for ``${NAME}``.
        place: where they stand.
        warnings: takes what the operator should know.

    Raises:
        ConfigError: a field twice, an undeclared variable, a value that cannot be sent.
    """
    fields: dict[str, str] = {}
    for key, text in given.items():
        here = place.at(key)
        name = key.lower()
        if name in fields:
            raise here.error("the field is given twice; case does not count")
        value = variables.expand(text, here).strip()
        if not _VALUE.fullmatch(value):
            raise here.error("expected a value in printable ASCII")
        fields[name] = value
        if name in _FRAMING:
            warnings.append(str(here.error("relay writes this header field itself; the value is not used")))
        if name in CREDENTIAL_HEADERS and value == text:
            warnings.append(str(here.error("a key in a file; better name its source in 'auth', or use ${VAR}")))
    return {name: value for name, value in fields.items() if name not in _FRAMING and name != _BODY}
