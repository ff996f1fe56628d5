"""The table of the providers that relay ships, made from their files.

``python -m relay.schema.overview transformer docs/providers.md`` writes it into the page, between its marks.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import UNSET

from relay.endpoints import ENDPOINTS, Operation
from relay.schema.provider import ModelsFile, ProviderFile, VarFile

BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"
"""The marks between which the table stands."""

SIGNED = {
    "sigv4": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "gcp": ("GOOGLE_APPLICATION_CREDENTIALS",),
}
"""Scheme → the variables that it reads where the file names none."""

_HEAD = "| provider | address | speaks | key | other variables | models | documentation |\n" + "|---" * 7 + "|\n"
_SHORT = re.compile(r"https://(?:www\.)?([^/]+)")


def table(folder: Path) -> str:
    """The table, a line for each provider.

    Args:
        folder: holds the provider files; names that begin with ``_`` are something else.
    """
    files = {path.stem: path for path in folder.glob("*.json") if not path.name.startswith("_")}
    specs = {name: msgspec.json.decode(files[name].read_bytes(), type=ProviderFile) for name in sorted(files)}
    return _HEAD + "".join(_row(name, spec) for name, spec in specs.items())


def inserted(page: str, rows: str) -> str:
    """The page with this table in the place of the one that it has.

    Raises:
        ValueError: it has no marks for one.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}{rows}{END}{after}"


def spoken(spec: ProviderFile) -> tuple[str, ...]:
    """The dialects in which a provider takes a chat as a client sends it; its main one first."""
    main = "openai" if spec.dialect is UNSET else spec.dialect
    overrides = {} if spec.endpoints is UNSET else spec.endpoints
    found: dict[str, None] = {main: None}
    for path, endpoint in ENDPOINTS.items():
        override = overrides.get(path)
        dialect = main if override is None or override.dialect is UNSET else override.dialect
        if endpoint.operation is Operation.CHAT and dialect == endpoint.front:
            found[dialect] = None
    return tuple(found)


def _row(name: str, spec: ProviderFile) -> str:
    docs = "" if spec.docs is UNSET else spec.docs
    host = _SHORT.match(docs)
    cells = (
        f"`{name}`",
        f"`{_address(spec)}`",
        ", ".join(spoken(spec)),
        _key(spec),
        ", ".join(_variables(spec)),
        _models(spec),
        f"[{host[1]}]({docs})" if host else "",
    )
    return f"| {' | '.join(cells)} |\n".replace("  |", " |")


def _address(spec: ProviderFile) -> str:
    """The base URL with the variables' defaults; what has none is shown as the environment variable."""
    address = spec.base_url
    for name, value in _vars(spec).items():
        address = address.replace(f"${{{name}}}", f"${value.env}" if value.default is UNSET else value.default)
    return address.removeprefix("https://")


def _vars(spec: ProviderFile) -> Mapping[str, VarFile]:
    given = {} if spec.vars is UNSET else spec.vars
    return {name: value for name, value in given.items() if isinstance(value, VarFile) and value.env is not UNSET}


def _key(spec: ProviderFile) -> str:
    if spec.auth is UNSET or spec.auth.scheme == "none":
        return "none"
    scheme = "" if spec.auth.scheme is UNSET else spec.auth.scheme
    named = SIGNED.get(scheme, ()) if spec.auth.env is UNSET else (spec.auth.env,)
    return ", ".join(f"`{variable}`" for variable in named)


def _variables(spec: ProviderFile) -> Iterator[str]:
    for value in _vars(spec).values():
        yield f"`{value.env}` ({'required' if value.default is UNSET else f'`{value.default}`'})"


def _models(spec: ProviderFile) -> str:
    if spec.models is UNSET:
        return "those you name"
    return "its list" if isinstance(spec.models, ModelsFile) else f"{len(spec.models)} named"


def write(folder: Path, page: Path) -> None:
    """Bring the table in a page up to date.

    Args:
        folder: holds the provider files.
        page: Markdown with the marks.
    """
    page.write_text(inserted(page.read_text("utf-8"), table(folder)), "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
