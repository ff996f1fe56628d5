"""Credentials that sign: AWS access keys, and service accounts of Google's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from msgspec import UNSET, UnsetType

from relay.loader.place import Place, one_line
from relay.loader.variables import Variables
from relay.policy.assertion import BadKeyError, check_key
from relay.provider import Auth, AuthScheme, Signature, TokenSource
from relay.schema.provider import AuthFile, KeyFile
from relay.secret import Secret

Named = Callable[[str | UnsetType, str | UnsetType, Place], tuple[str, str]]
"""(``env``, ``file``, place) → the key, "" when a variable is not set, and where it came from in words."""

Read = Callable[[Path, str, Place], str]
"""(path, source in words, place) → the file's text. Raises `ConfigError`."""

CREDENTIALS_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
METADATA_VARIABLE = "GCE_METADATA_HOST"
_METADATA_HOST = "metadata.google.internal"
_METADATA_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"
_GOOGLE = "https://oauth2.googleapis.com/token"
_REGION = re.compile(r"[a-z0-9-]+")
_HOST = re.compile(r"[A-Za-z0-9.:_-]+")
_SAFE_URI = re.compile(r"https://[!-~]+|http://(?:127\.0\.0\.1|localhost)(?::\d+)?/[!-~]*")


class _AccountFile(msgspec.Struct):
    """What counts of a service account's key file."""

    type: str
    client_email: str
    private_key: str
    private_key_id: str = ""
    token_uri: str = _GOOGLE


def signature(spec: AuthFile, place: Place, named: Named, variables: Variables) -> Auth:
    """Resolve scheme ``sigv4``; without other words its parts come from AWS's usual variables.

    Args:
        spec: what the file says.
        place: where it stands.
        named: reads a key from its source.
        variables: the provider's.

    Raises:
        ConfigError: no region, a source that is wrong, or half a key.
    """
    if spec.region is UNSET:
        raise place.error("scheme sigv4 needs a 'region', such as us-east-1")
    region = variables.expand(spec.region, place.at("region"))
    if not _REGION.fullmatch(region):
        raise place.at("region").error("expected a region such as us-east-1")
    own = KeyFile(spec.env, spec.file)
    secret, source = _part(own, "AWS_SECRET_ACCESS_KEY", place, named)
    key_id, id_source = _part(spec.access_key_id, "AWS_ACCESS_KEY_ID", place.at("accessKeyId"), named)
    token, _ = _part(spec.session_token, "AWS_SESSION_TOKEN", place.at("sessionToken"), named)
    if bool(secret) is not bool(key_id):
        missing, given = (id_source, source) if secret else (source, id_source)
        raise place.error(f"{missing} is not set, but {given} is; expected both or neither")
    if not secret:
        return Auth(AuthScheme.SIGV4, source=source)
    service = "bedrock" if spec.service is UNSET else spec.service
    signing = Signature(Secret(key_id), Secret(token) if token else None, region, service)
    return Auth(AuthScheme.SIGV4, Secret(secret), source, signature=signing)


def _part(spec: KeyFile | UnsetType, variable: str, place: Place, named: Named) -> tuple[str, str]:
    if spec is UNSET or (spec.env is UNSET and spec.file is UNSET):
        return named(variable, UNSET, place)
    return named(spec.env, spec.file, place)


def google(spec: AuthFile, place: Place, environ: Mapping[str, str], read: Read) -> Auth:
    """Resolve scheme ``gcp``: a service account's key file, its text in a variable, or the metadata server.

    Args:
        spec: what the file says.
        place: where it stands.
        environ: the environment.
        read: reads a file.

    Raises:
        ConfigError: two sources, a file that cannot be read, or one that is no service account's.
    """
    if spec.env is not UNSET and spec.file is not UNSET:
        raise place.error("expected either 'env' or 'file', not both")
    if spec.file is not UNSET:
        path, here = place.folder / spec.file, place.at("file")
        source = f"file {one_line(str(path))}"
        return _account(read(path, source, here), source, here)
    variable = CREDENTIALS_VARIABLE if spec.env is UNSET else spec.env
    here, source = place.at("env"), f"environment variable {variable}"
    value = environ.get(variable, "").strip()
    if not value:
        return Auth(AuthScheme.GCP, source=source, tokens=TokenSource(_metadata(environ)))
    if value.startswith("{"):
        return _account(value, source, here)
    source = f"file {one_line(value)} (named by {variable})"
    return _account(read(Path(value), source, here), source, here)


def _metadata(environ: Mapping[str, str]) -> str:
    """Address of the metadata server's token.

    See: https://cloud.google.com/compute/docs/metadata/overview (read 2026-11).
    """
    host = environ.get(METADATA_VARIABLE, "").strip()
    return f"http://{host if _HOST.fullmatch(host) else _METADATA_HOST}{_METADATA_PATH}"


def _account(text: str, source: str, place: Place) -> Auth:
    try:
        account = msgspec.json.decode(text, type=_AccountFile)
    except msgspec.MsgspecError:
        raise place.error(f"{source} is not a service account's key file") from None
    if account.type != "service_account":
        raise place.error(f"{source} is not a service account's key file: its type is another one")
    if not _SAFE_URI.fullmatch(account.token_uri):
        raise place.error(f"{source}: expected an https:// address in token_uri")
    key = Secret(account.private_key)
    try:
        check_key(key)
    except BadKeyError:
        raise place.error(f"{source}: private_key is not an RSA key in PEM") from None
    tokens = TokenSource(account.token_uri, account.client_email, account.private_key_id)
    return Auth(AuthScheme.GCP, key, source, tokens=tokens)
