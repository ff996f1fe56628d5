"""Keys: where files say they are, read, and kept as `Secret`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
from msgspec import UNSET, UnsetType

from relay.config import ClientKey
from relay.errors import ConfigError
from relay.loader.files import Files, Unreadable
from relay.loader.place import Place, one_line
from relay.loader.signing import google, signature
from relay.loader.variables import Variables
from relay.provider import SIGNED_SCHEMES, Auth, AuthScheme, ProviderKey
from relay.schema.config import ClientKeyFile
from relay.schema.provider import AuthFile
from relay.secret import Secret

_SENDABLE = re.compile(r"[!-~]+")
_LARGEST_FILE = 65536
_SHORTEST_KEY = 8
_MALFORMED = "holds a blank, a control character or a character outside ASCII; expected a key"


@attrs.frozen
class KeySource:
    """Where keys are taken from.

    Attributes:
        environ: the environment.
        files: reads key files and remembers them.
        warnings: takes what the operator should know.
    """

    environ: Mapping[str, str]
    files: Files
    warnings: list[str]

    def default_key(self) -> Secret | None:
        """``DEFAULT_API_KEY``, or None when it is not set.

        Raises:
            ConfigError: it cannot be sent in a header.
        """
        value = self.environ.get("DEFAULT_API_KEY", "").strip()
        if value and not _SENDABLE.fullmatch(value):
            raise ConfigError(f"environment variable DEFAULT_API_KEY: {_MALFORMED}")
        return Secret(value) if value else None

    def auth(self, spec: AuthFile, place: Place, variables: Variables) -> Auth:
        """A provider's credential and how it travels.

        A variable that is not set is no error: clients may bring their own key. Of several keys
        those that are not set are left out.

        Args:
            spec: what the file says.
            place: where it stands.
            variables: the provider's, for the region.

        Raises:
            ConfigError: a source or setting that contradicts the scheme, a source or key that is
                given twice, a key file that cannot be read, a key that cannot be sent.
        """
        scheme = AuthScheme.BEARER if spec.scheme is UNSET else AuthScheme(spec.scheme)
        named = [
            key for key, given in (("env", spec.env), ("file", spec.file), ("keys", spec.keys)) if given is not UNSET
        ]
        if scheme is AuthScheme.NONE and named:
            raise place.error(f"scheme none sends no credential; remove {named[0]!r}, or choose another scheme")
        if spec.keys is not UNSET and scheme in SIGNED_SCHEMES:
            raise place.at("keys").error(f"scheme {scheme.value} takes one credential, in 'env' or 'file'")
        if spec.parameter is not UNSET and scheme is not AuthScheme.QUERY:
            raise place.at("parameter").error("only scheme query has a parameter")
        if scheme is not AuthScheme.SIGV4:
            _refuse_signature(spec, place)
        if scheme is AuthScheme.SIGV4:
            return signature(spec, place, self._named, variables)
        if scheme is AuthScheme.GCP:
            return google(spec, place, self.environ, self._file)
        parameter = "key" if spec.parameter is UNSET else spec.parameter
        found = self._several(spec, place)
        keys = [ProviderKey(Secret(value), source) for value, source in found if value]
        if not keys:
            return Auth(scheme, None, found[0][1] if found else "", parameter)
        return Auth(scheme, keys[0].secret, keys[0].source, parameter, others=tuple(keys[1:]))

    def client_key(self, spec: ClientKeyFile, place: Place) -> ClientKey:
        """A key that clients may use.

        Args:
            spec: what the file says.
            place: where it stands.

        Raises:
            ConfigError: no source or two, not set, too short, or it cannot be sent.
        """
        value, source = self._one(spec.env, spec.file, place)
        if not value:
            raise place.at("env").error(f"{source} is not set")
        if len(value) < _SHORTEST_KEY:
            raise place.error(f"the key in {source} is too short; expected at least {_SHORTEST_KEY} characters")
        return ClientKey(spec.name, Secret(value))

    def _several(self, spec: AuthFile, place: Place) -> list[tuple[str, str]]:
        """Each key that is named, "" where a variable is not set, and where it came from in words."""
        if spec.keys is UNSET:
            alone = spec.env is UNSET and spec.file is UNSET
            return [] if alone else [self._named(spec.env, spec.file, place)]
        if spec.env is not UNSET or spec.file is not UNSET:
            raise place.error("expected either 'keys', or one key in 'env' or 'file'")
        place = place.at("keys")
        found: list[tuple[str, str]] = []
        for index, key in enumerate(spec.keys):
            value, source = self._one(key.env, key.file, place.at(index))
            _refuse_repeated(value, source, found, place.at(index))
            found.append((value, source))
        if any(value for value, _ in found):
            missing = [source for value, source in found if not value]
            self.warnings.extend(str(place.error(f"{source} is not set; the other keys serve")) for source in missing)
        return found

    def _one(self, env: str | UnsetType, file: str | UnsetType, place: Place) -> tuple[str, str]:
        """The same as `_named`, where a source has to be there."""
        if env is UNSET and file is UNSET:
            raise place.error("expected 'env' or 'file', which says where the key is kept")
        return self._named(env, file, place)

    def _named(self, env: str | UnsetType, file: str | UnsetType, place: Place) -> tuple[str, str]:
        """The key, "" when a variable is not set, and where it came from in words."""
        if env is not UNSET and file is not UNSET:
            raise place.error("expected either 'env' or 'file', not both")
        if env is not UNSET:
            value, source, place = self.environ.get(env, "").strip(), f"environment variable {env}", place.at("env")
        else:
            place = place.at("file")
            path = place.folder / str(file)
            source = f"file {one_line(str(path))}"
            value = self._file(path, source, place)
        if value and not _SENDABLE.fullmatch(value):
            raise place.error(f"{source} {_MALFORMED}")
        return value, source

    def _file(self, path: Path, source: str, place: Place) -> str:
        try:
            value = self.files.read(path, _LARGEST_FILE).decode("utf-8").strip()
        except Unreadable as error:
            raise place.error(f"{source} cannot be read: {error}") from None
        except UnicodeDecodeError:
            raise place.error(f"{source} {_MALFORMED}") from None
        if not value:
            raise place.error(f"{source} is empty; expected a key")
        return value


def _refuse_repeated(value: str, source: str, before: Sequence[tuple[str, str]], place: Place) -> None:
    for other, owner in before:
        if source == owner:
            raise place.error(f"{source} is listed twice")
        if value and value == other:
            raise place.error(f"the key in {source} is the same as that in {owner}")


def _refuse_signature(spec: AuthFile, place: Place) -> None:
    for key, given in (
        ("accessKeyId", spec.access_key_id),
        ("sessionToken", spec.session_token),
        ("region", spec.region),
        ("service", spec.service),
    ):
        if given is not UNSET:
            raise place.at(key).error(f"only scheme sigv4 has a {key}")
