"""Where in which file a value stands, and how an error says so."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from pathlib import Path

import attrs

from relay.endpoints import ENDPOINTS
from relay.errors import ConfigError

Key = str | int
"""A step of a JSON path: a member's name or an element's index."""

_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_LONGEST_KEY = 80
_SHORTEST_BEGINNING = 3


@attrs.frozen
class Layer:
    """One document that a value may come from.

    Attributes:
        file: the file, or option, as the operator named it.
        folder: what relative paths written in it are relative to.
        document: the parsed document, or the part of it that is meant; None for an option.
        prefix: the JSON path of that part.
    """

    file: str
    folder: Path
    document: object
    prefix: tuple[Key, ...] = ()


@attrs.frozen
class Place:
    """A position in one document, or in several that were laid over each other.

    Attributes:
        layers: the documents, the one that wins first.
        keys: steps from their roots.
    """

    layers: tuple[Layer, ...]
    keys: tuple[Key, ...] = ()

    def at(self, *keys: Key) -> Place:
        """The place some steps further down."""
        return Place(self.layers, (*self.keys, *keys))

    @property
    def folder(self) -> Path:
        """What a relative path written here is relative to."""
        return self._source()[0].folder

    def error(self, expected: str, nearest: str | None = None) -> ConfigError:
        """An error that names the file and the JSON path of this place, or the option.

        Args:
            expected: what is wrong and what was expected, in one sentence.
            nearest: the nearest valid name, if there is one.
        """
        layer, keys = self._source()
        if layer.document is None:
            return ConfigError(f"{layer.file}: {expected}", nearest=nearest)
        return ConfigError(expected, file=layer.file, path=path_text((*layer.prefix, *keys)), nearest=nearest)

    def _source(self) -> tuple[Layer, tuple[Key, ...]]:
        """The layer that holds this place, and the steps as they are spelled there."""
        for layer in self.layers:
            spelled = _spelling(layer.document, self.keys)
            if spelled is not None:
                return layer, spelled
        return self.layers[-1], self.keys


def endpoint_path(key: str) -> str:
    """The canonical form of a key of ``endpoints``: OpenAI's and Anthropic's paths count with and without ``/v1``."""
    return key if key in ENDPOINTS or key.startswith("/v1/") else f"/v1{key}"


def fold(parent: Key | None, key: str) -> str:
    """The form in which two keys are the same key: of headers in any case, of endpoints with and without ``/v1``."""
    if parent == "headers":
        return key.lower()
    return endpoint_path(key) if parent == "endpoints" else key


def _spelling(document: object, keys: tuple[Key, ...]) -> tuple[Key, ...] | None:
    spelled: list[Key] = []
    parent: Key | None = None
    for key in keys:
        if isinstance(key, int):
            if not isinstance(document, list) or key >= len(document):
                return None
            spelled.append(key)
            document = document[key]
        else:
            members = document if isinstance(document, dict) else {}
            same = (own for own in members if fold(parent, own) == fold(parent, key))
            found = key if key in members else next(same, None)
            if found is None:
                return None
            spelled.append(found)
            document = members[found]
        parent = key
    return tuple(spelled)


def path_text(keys: Iterable[Key]) -> str:
    """A JSON path in one line: ``$.endpoints["/v1/embeddings"].params[0]``."""
    text = "$"
    for key in keys:
        if isinstance(key, int):
            text += f"[{key}]"
        elif _PLAIN.fullmatch(key):
            text += f".{key[:_LONGEST_KEY]}"
        else:
            text += f"[{json.dumps(key[:_LONGEST_KEY])}]"
    return text


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice that was probably meant, or None when nothing is close.

    Case, ``_`` and ``-`` do not count: ``base_url`` is close to ``baseUrl``; so is a
    beginning: ``cors`` to ``corsOrigins``.
    """
    plain = {_plain(choice): choice for choice in choices}
    meant = _plain(name[:_LONGEST_KEY])
    close = difflib.get_close_matches(meant, plain, n=1, cutoff=0.6)
    close += [choice for choice in plain if len(meant) >= _SHORTEST_BEGINNING and choice.startswith(meant)]
    return plain[close[0]] if close else None


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def one_line(text: str) -> str:
    """The text without line breaks and control characters, for file names in messages."""
    return "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in text)
