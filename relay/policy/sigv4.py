"""AWS Signature Version 4, over the exact bytes that are sent.

See: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html (read 2026-11).
"""

from __future__ import annotations

import hashlib
import hmac
import posixpath
from urllib.parse import quote, unquote_to_bytes

import attrs

from relay.exchange import Headers
from relay.secret import Secret

ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = "-_.~"


@attrs.frozen
class Signing:
    """With what, where and when a request is signed.

    Attributes:
        key_id: access key id.
        key: secret access key.
        token: session token of temporary credentials, or None.
        region: region of the endpoint (``us-east-1``).
        service: signing name of the service (``bedrock``).
        moment: UTC, as ``20150830T123600Z``.
    """

    key_id: str
    key: Secret
    token: Secret | None
    region: str
    service: str
    moment: str


def sign(signing: Signing, method: str, target: str, headers: Headers, digest: str) -> Headers:
    """Say which header fields a request needs besides those it has.

    Args:
        signing: with what, where and when.
        method: HTTP method.
        target: path and query as they are sent, percent-encoding included.
        headers: the fields to be signed, names in lower case; ``host`` must be among them.
        digest: SHA-256 of the body, in hex.

    Returns:
        ``x-amz-date``, ``x-amz-security-token`` for temporary credentials, ``authorization``.
    """
    moment = signing.moment
    added: list[tuple[bytes, bytes]] = [(b"x-amz-date", moment.encode())]
    if signing.token:
        added.append((b"x-amz-security-token", signing.token.reveal().encode()))
    names, canonical = canonical_request(method, target, (*headers, *added), digest)
    scope = f"{moment[:8]}/{signing.region}/{signing.service}/aws4_request"
    hashed = hashlib.sha256(canonical.encode("utf-8")).hexdigest()
    text = f"{ALGORITHM}\n{moment}\n{scope}\n{hashed}"
    signature = hmac.new(_key(signing, moment[:8]), text.encode(), hashlib.sha256).hexdigest()
    value = f"{ALGORITHM} Credential={signing.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return (*added, (b"authorization", value.encode()))


def canonical_request(method: str, target: str, headers: Headers, digest: str) -> tuple[str, str]:
    """The names of the signed fields, and the request in the form that is signed."""
    path, _, query = target.partition("?")
    fields: dict[str, list[str]] = {}
    for name, value in headers:
        fields.setdefault(name.decode("latin-1"), []).append(" ".join(value.decode("utf-8").split()))
    lines = "".join(f"{name}:{','.join(fields[name])}\n" for name in sorted(fields))
    names = ";".join(sorted(fields))
    return names, f"{method}\n{_path(path)}\n{_query(query)}\n{lines}\n{names}\n{digest}"


def _path(path: str) -> str:
    """The path, normalised and encoded once more than it is sent: all services but S3 want it so."""
    normal = posixpath.normpath(path or "/").replace("//", "/")
    if path.endswith("/") and normal != "/":
        normal += "/"
    return quote(normal, safe="/" + _UNRESERVED)


def _query(query: str) -> str:
    """The parameters, encoded once and sorted by name and value."""
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return "&".join(
        f"{name}={value}" for name, value in sorted((_once(name), _once(value)) for name, _, value in pairs)
    )


def _once(text: str) -> str:
    return quote(unquote_to_bytes(text), safe=_UNRESERVED)


def _key(signing: Signing, date: str) -> bytes:
    key = f"AWS4{signing.key.reveal()}".encode()
    for part in (date, signing.region, signing.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
