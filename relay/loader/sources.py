"""Which provider files there are, and where."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import attrs

import relay
from relay.errors import ConfigError
from relay.loader.files import Files
from relay.loader.place import one_line

_SUFFIX = ".json"


@attrs.frozen
class Sources:
    """What the operator asked for on the command line.

    Attributes:
        providers: names or paths given with ``--provider``, first choice first.
        transformer_dirs: folders given with ``--transformer-dir``, searched first.
        config: the file given with ``--config``, or None.
    """

    providers: tuple[str, ...] = ()
    transformer_dirs: tuple[str, ...] = ()
    config: str | None = None

    def anchored(self) -> Sources:
        """The same with absolute paths, for readings after the working directory has changed."""
        return Sources(
            tuple(os.path.abspath(name) if is_path(name) else name for name in self.providers),  # noqa: PTH100
            tuple(os.path.abspath(folder) for folder in self.transformer_dirs),  # noqa: PTH100
            None if self.config is None else os.path.abspath(self.config),  # noqa: PTH100
        )


def is_path(name: str) -> bool:
    """Whether a provider is given as a path rather than by name."""
    return "/" in name or name.endswith(_SUFFIX)


def available(sources: Sources) -> tuple[str, ...]:
    """Names of all provider files found, sorted.

    Raises:
        ConfigError: a folder given with ``--transformer-dir`` does not exist.
    """
    folders = (*_given(sources), *_shipped())
    names = {path.stem for folder in folders for path in folder.glob(f"*{_SUFFIX}") if _is_name(path.stem)}
    return tuple(sorted(names))


def find(name: str, sources: Sources, files: Files) -> Path | None:
    """The file of a named provider, or None.

    Searched are the folders given with ``--transformer-dir``, in their order, then the
    files that come with relay.

    Args:
        name: the provider's name.
        sources: where to search first.
        files: remembers every place that was looked at.

    Raises:
        ConfigError: a folder given with ``--transformer-dir`` does not exist.
    """
    if not _is_name(name):
        return None
    candidates = [folder / f"{name}{_SUFFIX}" for folder in (*_given(sources), *_shipped())]
    return next((path for path in candidates if files.exists(path)), None)


def _is_name(stem: str) -> bool:
    """Files beginning with ``_`` are schemas and the like; those with a dot are hidden."""
    return not stem.startswith(("_", "."))


def _given(sources: Sources) -> Iterator[Path]:
    for folder in sources.transformer_dirs:
        path = Path(folder)
        if not path.is_dir():
            raise ConfigError(f"--transformer-dir={one_line(folder)}: expected a folder that exists")
        yield path


def _shipped() -> Iterator[Path]:
    """The folders with the files that come with relay: installed ones, or those of a checkout."""
    try:
        installed = resources.files("relay.transformer")
    except ModuleNotFoundError:
        yield Path(relay.__file__).parent.parent / "transformer"
    else:
        # A package without code of its own is a set of folders, not one path.
        yield from sorted({Path(str(entry)).parent for entry in installed.iterdir() if entry.name.endswith(_SUFFIX)})
