"""Whose key: reading the one that a client sent, and choosing the one that goes upstream."""

from __future__ import annotations

import attrs

from relay.errors import Unauthenticated, UpstreamCredential
from relay.exchange import Headers
from relay.outcome import Stage
from relay.provider import SIGNED_SCHEMES, Auth, AuthScheme, Provider
from relay.secret import Secret

_KEY_HEADERS = (b"x-api-key", b"api-key", b"x-goog-api-key")
KEY_FIELDS = (b"authorization", *_KEY_HEADERS)
"""Every field in which a client may send its key."""


@attrs.frozen
class Credential:
    """The key chosen for one attempt.

    Attributes:
        secret: the key, or None when none is sent (or a configured header carries it).
        own: whether it is relay's own; False for the client's, and where none is wanted: a
            401 is then the provider's plain word.
    """

    secret: Secret | None
    own: bool = True


def client_credential(headers: Headers, *others: str) -> Secret | None:
    """Read the key that a client sent, in any of the styles that SDKs use.

    Styles: ``Authorization: Bearer k`` (OpenAI, Anthropic tokens), ``x-api-key`` (Anthropic),
    ``api-key`` (Azure), ``x-goog-api-key`` (Gemini). A bare ``Authorization: k`` is taken as
    the key itself. The same key in several styles is one key.

    Args:
        headers: the request's fields, names in lower case.
        others: keys that it carries elsewhere; "" is none.

    Returns:
        The key, or None when there is none.

    Raises:
        Unauthenticated: two keys disagree, or the authorization scheme is another one.
    """
    found = {key.strip() for key in others}
    for name, value in headers:
        if name == b"authorization":
            found.add(_authorization(value.decode("latin-1")))
        elif name in _KEY_HEADERS:
            found.add(value.decode("latin-1").strip())
    found.discard("")
    if not all(key.isascii() and key.isprintable() for key in found):
        raise Unauthenticated("The key holds characters that no key has; keys are printable ASCII.")
    if len(found) > 1:
        raise Unauthenticated("The request carries two keys that disagree; send one.", code="conflicting_api_keys")
    return Secret(found.pop()) if found else None


def _authorization(value: str) -> str:
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if rest:
        raise Unauthenticated("Use 'Authorization: Bearer KEY'; other authorization schemes are not accepted.")
    return scheme


def has_own_credential(provider: Provider) -> bool:
    """Whether relay holds a key for this provider, be it only in a configured header or the machine's own account."""
    if provider.auth.scheme is AuthScheme.GCP:
        return True
    return bool(provider.auth.credential) or bool(provider.header_credentials())


def upstream_credential(
    provider: Provider,
    *,
    first: bool,
    keys_required: bool,
    client: Secret | None,
    default: Secret | None,
    key: int = 0,
) -> Credential:
    """Choose the key that goes to a provider.

    The order: a configured header; the provider's own key; where relay asks clients for
    keys of its own, ``DEFAULT_API_KEY`` and never the client's; else the client's own key,
    to the first choice for the exchange only; else ``DEFAULT_API_KEY``. Where requests are signed, only the
    provider's own credential can do it (for Google's tokens: the machine's, where none is named).

    Args:
        provider: the provider that will be called.
        first: whether it is the exchange's first choice, not one that it falls back to.
        keys_required: whether client keys are configured.
        client: the key that the client sent.
        default: ``DEFAULT_API_KEY``.
        key: number of the provider's own key, where it has several.

    Raises:
        Unauthenticated: there is no key, and the client could bring one.
        UpstreamCredential: there is no key, and the client cannot change that.
    """
    if provider.header_credentials():
        return Credential(None)
    if provider.auth.scheme is AuthScheme.NONE:
        return Credential(None, own=False)
    if provider.auth.credential or provider.auth.scheme is AuthScheme.GCP:
        others = provider.credentials
        return Credential(others[key].secret if 0 < key < len(others) else provider.auth.credential)
    if provider.auth.scheme in SIGNED_SCHEMES:
        raise _no_key(provider, f"set {provider.auth.source}")
    if client and first and not keys_required:
        return Credential(client, own=False)
    if default:
        return Credential(default)
    remedy = _remedy(provider.auth)
    if keys_required or not first:
        raise _no_key(provider, remedy)
    raise Unauthenticated(
        f"No key for provider {provider.name!r}: send your own key with the request, or {remedy} where relay runs.",
        code="missing_api_key",
    )


def _no_key(provider: Provider, remedy: str) -> UpstreamCredential:
    return UpstreamCredential(
        f"relay has no key for provider {provider.name!r}: its operator must {remedy}.",
        stage=Stage.CONNECT,
        deployment=provider.name,
        should_retry=False,
        code="no_provider_key",
    )


def depends_on_client(provider: Provider, *, first: bool, keys_required: bool) -> bool:
    """Whether `upstream_credential` may choose differently for different clients."""
    asks = provider.auth.scheme is not AuthScheme.NONE
    return asks and first and not keys_required and not has_own_credential(provider)


def _remedy(auth: Auth) -> str:
    return f"set {auth.source} or DEFAULT_API_KEY" if auth.source else "set DEFAULT_API_KEY"
