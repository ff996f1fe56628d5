"""Which providers are wanted, in which order: the command line's first, then the config file's."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from relay.errors import ConfigError
from relay.loader.explain import validate
from relay.loader.files import Files, Unreadable
from relay.loader.merge import overlay
from relay.loader.parse import parse_object
from relay.loader.place import Layer, Place, nearest, one_line
from relay.loader.sources import Sources, available, find, is_path
from relay.schema.provider import ProviderEntry, ProviderFile
from relay.schema.publish import NOT_SERVED

LARGEST = 4 * 1024 * 1024
"""Bytes that a configuration file may have."""

Entry = tuple[str | ProviderEntry, Mapping[str, object]]
"""An element of ``providers``, and its JSON (empty for a mere name)."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ADDRESS_KEYS = ("name", "file")


@attrs.frozen
class Choice:
    """A provider that was asked for, not resolved yet.

    Attributes:
        name: its name.
        file: the file it comes from, as the operator would name it.
        spec: what it says.
        place: where it says so.
        document: the same before validation, to tell equal choices from different ones.
    """

    name: str
    file: str
    spec: ProviderFile
    place: Place
    document: Mapping[str, object]


def option_place() -> Place:
    """The place of what is given on the command line: no file, paths relative to the working directory."""
    return Place((Layer("--provider", Path(), None),))


def refuse_unserved(document: Mapping[str, object], place: Place) -> None:
    """Refuse the keys that the vocabulary only reserves.

    Raises:
        ConfigError: one of `NOT_SERVED` is there.
    """
    for key in document:
        if key in NOT_SERVED:
            raise place.at(key).error(f"this version of relay does not serve {NOT_SERVED[key]} yet; remove the key")


@attrs.frozen
class Chooser:
    """Finds and reads the providers that are asked for.

    Attributes:
        sources: what the command line asks for.
        files: reads files and remembers them.
        warnings: takes what the operator should know.
    """

    sources: Sources
    files: Files
    warnings: list[str]

    def choose(self, entries: Sequence[Entry], place: Place) -> tuple[Choice, ...]:
        """All providers, in order of choice, each name once.

        ``--provider`` may name an entry of the config file; that entry then comes first.

        Args:
            entries: ``providers`` of the config file, each with the JSON it was read from.
            place: where they stand.

        Raises:
            ConfigError: nobody is chosen, a provider is unknown, a file is wrong, or two
                different providers have one name.
        """
        configured: dict[str, Choice] = {}
        for index, (entry, raw) in enumerate(entries):
            here = place.at(index)
            choice = self._named(entry, here) if isinstance(entry, str) else self._entry(entry, raw, here)
            _add(choice, configured, here)
        chosen: dict[str, Choice] = {}
        for name in self.sources.providers:
            choice = configured.get(name) or self._named(name, option_place(), list(configured))
            _add(choice, chosen, option_place())
        for choice in configured.values():
            _add(choice, chosen, option_place())
        if not chosen:
            raise ConfigError(f"no provider is chosen; expected --provider=NAME with one of {self._names()}")
        return tuple(chosen.values())

    def _named(self, name: str, place: Place, more: Sequence[str] = ()) -> Choice:
        """A provider given by name or path alone."""
        path = self._find(name, place, more)
        shown = one_line(str(path))
        document = self._document(path, place)
        own = Place((Layer(shown, path.parent, document),))
        spec = validate(document, ProviderFile, own)
        refuse_unserved(document, own)
        return Choice(self._name(spec, path, own), shown, spec, own, document)

    def _entry(self, entry: ProviderEntry, raw: Mapping[str, object], place: Place) -> Choice:
        """A provider described, or changed, in the config file."""
        above = {key: value for key, value in raw.items() if key not in _ADDRESS_KEYS}
        refuse_unserved(above, place)
        layer = attrs.evolve(place.layers[0], document=raw, prefix=place.keys)
        if isinstance(entry.file, str):
            below = self._named(entry.file, place.at("file"))
            merged: Mapping[str, object] = overlay(below.document, above)
            layers = (layer, *below.place.layers)
            name, file = below.name, below.file
        elif isinstance(entry.base_url, str):
            merged, layers, name, file = above, (layer,), "", layer.file
        else:
            raise place.error("expected 'file', the provider to start from, or 'baseUrl'")
        own = Place(layers)
        spec = validate(merged, ProviderFile, own)
        if isinstance(entry.name, str):
            name = entry.name
        if not name:
            raise place.error("expected the key 'name': without 'file' there is none to take it from")
        return Choice(name, file, spec, own, {**merged, "name": name})

    def _find(self, name: str, place: Place, more: Sequence[str]) -> Path:
        if is_path(name):
            path = place.folder / name
            if not self.files.exists(path):
                raise place.error(f"there is no provider file {one_line(str(path))}")
            return path
        path_of_name = find(name, self.sources, self.files)
        if path_of_name is None:
            close = nearest(name, (*more, *available(self.sources)))
            raise place.error(f"unknown provider {one_line(name)!r}; available: {self._names(more)}", close)
        return path_of_name

    def _names(self, more: Sequence[str] = ()) -> str:
        return ", ".join(sorted({*more, *available(self.sources)}))

    def _document(self, path: Path, place: Place) -> dict[str, object]:
        try:
            data = self.files.read(path, LARGEST)
        except Unreadable as error:
            raise place.error(f"provider file {one_line(str(path))} cannot be read: {error}") from None
        return parse_object(data, one_line(str(path)))

    def _name(self, spec: ProviderFile, path: Path, place: Place) -> str:
        if isinstance(spec.name, str) and _NAME.fullmatch(spec.name):
            return spec.name
        if not _NAME.fullmatch(path.stem):
            raise place.at("name").error("expected a name of letters, digits, '.', '_' and '-', at most 64")
        if isinstance(spec.name, str):
            self.warnings.append(
                str(place.at("name").error(f"not usable as a name; the provider is called {path.stem!r}"))
            )
        return path.stem


def _add(choice: Choice, chosen: dict[str, Choice], place: Place) -> None:
    """Take a choice; the same provider twice is one, two different ones under one name are an error."""
    other = chosen.setdefault(choice.name, choice)
    if other is choice or (other.document == choice.document and _same_file(other.file, choice.file)):
        return
    raise place.error(
        f"two different providers are called {choice.name!r}, from {other.file} and {choice.file}; "
        "give one of them another 'name'"
    )


def _same_file(one: str, other: str) -> bool:
    return os.path.abspath(one) == os.path.abspath(other)  # noqa: PTH100 - only compares
