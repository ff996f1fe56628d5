"""``docs/routing.md`` is complete, and its examples load."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from relay.config import Snapshot
from relay.loader.snapshot import Sources, load
from relay.schema.config import (
    BreakerFile,
    DeploymentFile,
    DisconnectFile,
    HedgeFile,
    MirrorFile,
    QueueFile,
    RetryFile,
    RouteFile,
    StickyFile,
)
from relay.settings import Settings
from relay.tap import report
from tests.unit.loader.folder import FolderTestCase

_PAGE = (Path(__file__).parents[3] / "docs" / "routing.md").read_text("utf-8")
_BLOCK = re.compile(r'^```json title="([^"]+)"\n(.*?)^```$', re.DOTALL | re.MULTILINE)
_OUTPUT = re.compile(r"^```text\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ROW = re.compile(r"^\| `([^`]+)` \|.*\| `(\{.*\})` \|$", re.MULTILINE)
_SECTIONS: dict[str, Any] = {
    "`routes.NAME`": RouteFile,
    "`deployments[]`": DeploymentFile,
    "`retry`": RetryFile,
    "`breaker`": BreakerFile,
    "`hedge`": HedgeFile,
    "`mirror`": MirrorFile,
    "`disconnect`": DisconnectFile,
    "`queue`": QueueFile,
    "`sticky`": StickyFile,
}
_KEYS = {f"{name}_KEY{tail}": f"key-of-{name}{tail}" for name in ("OPENAI", "AZURE_EU") for tail in ("", "_1", "_2")}
_PLAIN: dict[str, object] = {"deployments": [{"provider": "openai", "model": "m"}]}


def rows(title: str) -> Iterator[tuple[str, dict[str, object]]]:
    """Key and example of each row below a heading."""
    _, _, rest = _PAGE.partition(f"# {title}\n")
    for key, example in _ROW.findall(rest.partition("\n#")[0]):
        yield key, json.loads(example)


class RoutingPageTests(FolderTestCase):
    """What the page says is what the loader does."""

    def config(self, **members: object) -> Snapshot:
        """What a config file with the page's providers loads as."""
        return self.load(config={"providers": ["openai", "anthropic", "echo"], **members}, environ=_KEYS)

    def first(self) -> Snapshot:
        """The page's whole example."""
        ((name, text),) = _BLOCK.findall(_PAGE)
        return load(Sources((), (), self.write(name, text)), {**_KEYS, "ANTHROPIC_API_KEY": "key-of-anthropic"})

    def test_wholeExample(self) -> None:
        """The file that the page shows loads without a warning, and means what the text says."""
        snapshot = self.first()
        self.assertEqual(snapshot.warnings, ())
        self.assertEqual(len(snapshot.providers["openai"].credentials), 2)
        found = {model: snapshot.route_for(model) for model in ("gpt-4o", "default-model", "gpt-5", "o3")}
        self.assertEqual([route and route.name for route in found.values()], ["gpt-4o", "gpt-4o", "gpt-*", None])
        self.assertEqual(snapshot.routes["gpt-4o"].retry.attempts, 3)

    def test_check(self) -> None:
        """``--check`` says of it what the page says that it says."""
        told = report(Settings(Sources(), self.first(), (), True, True, "text", None, True, False, {}))
        (shown,) = _OUTPUT.findall(_PAGE)
        self.assertIn(f"\n{shown}", told)

    def test_everyKeyHasARow(self) -> None:
        """The tables hold every key, and no other."""
        for title, kind in _SECTIONS.items():
            known = {field.encode_name for field in msgspec.structs.fields(kind)}
            self.assertEqual({key for key, _ in rows(title)}, known, title)

    def test_examplesLoad(self) -> None:
        """The example of each row uses its key, and loads as a part of a file."""
        for key, example in rows("All keys"):
            self.assertIn(key, example)
            self.assertTrue(self.config(**example).routes)
        others = {name: {"deployments": [{"provider": "echo", "model": name}]} for name in ("other", "long")}
        for title in _SECTIONS:
            for key, example in rows(title):
                self.assertIn(f'"{key}"', json.dumps(example))
                routes = self.config(routes={"r": {**_PLAIN, **example}, **others}).routes
                self.assertNotEqual(routes["r"], self.config(routes={"r": _PLAIN, **others}).routes["r"], example)

    def test_defaults(self) -> None:
        """A default that the page tells as a number is the file's."""
        told = re.findall(r"^\| `(\w+)` \|.*\| ([0-9.]+) \| `\{.*\}` \|$", _PAGE, re.MULTILINE)
        self.assertGreater(len(told), 12)
        fields = [field for kind in _SECTIONS.values() for field in msgspec.structs.fields(kind)]
        known = {(field.encode_name, field.default) for field in fields}
        self.assertEqual([row for row in told if (row[0], float(row[1])) not in known and row[0] not in _IN_VALUES], [])


_IN_VALUES = ("seconds", "tokens")
"""Keys that are told apart from their default, which is therefore that of the value."""
