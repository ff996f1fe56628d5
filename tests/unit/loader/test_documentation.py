"""``docs/configuration.md`` is complete, and its examples load."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from relay.loader.snapshot import Sources, load
from relay.schema.config import ClientKeyFile, ConfigFile, ConfigTimeoutsFile, ServerFile
from relay.schema.provider import (
    AuthFile,
    EndpointFile,
    ModelsFile,
    ParamFile,
    ProviderFile,
    RateLimitFile,
    StreamConfigFile,
    TimeoutsFile,
    VarFile,
)
from relay.schema.publish import NOT_SERVED
from tests.unit.loader.folder import FolderTestCase

_PAGE = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text("utf-8")
_BLOCK = re.compile(r'^```json title="([^"]+)"\n(.*?)^```$', re.DOTALL | re.MULTILINE)
_ROW = re.compile(r"^\| `([^`]+)` \|.*\| `(\{.*\})` \|$", re.MULTILINE)
_VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")

_SECTIONS: dict[str, Any] = {
    "Provider file": ProviderFile,
    "`auth`": AuthFile,
    "`vars.NAME`": VarFile,
    "`models`": ModelsFile,
    "`endpoints.PATH`": EndpointFile,
    "`params[]`": ParamFile,
    "`rateLimit`": RateLimitFile,
    "`streamConfig`": StreamConfigFile,
    "`timeouts`": TimeoutsFile,
    "Config file": ConfigFile,
    "`clientKeys[]`": ClientKeyFile,
    "`timeouts` of the config file": ConfigTimeoutsFile,
    "`server`": ServerFile,
}

_ENVIRON = {name: "key-number-" + name.lower() for name in _VARIABLE.findall(_PAGE) if "KEY" in name} | {
    "GENERIC_BASE_URL": "http://127.0.0.1:8080"
}


def section(title: str) -> str:
    """The text below a heading, up to the next one."""
    _, _, rest = _PAGE.partition(f"# {title}\n")
    return rest.partition("\n#")[0]


def rows() -> Iterator[tuple[str, str, dict[str, object]]]:
    """Section, key and example of each row of the tables of keys."""
    for title in (*_SECTIONS, "`providers[]`"):
        for key, example in _ROW.findall(section(title)):
            yield title, key, json.loads(example)


class ConfigurationPageTests(FolderTestCase):
    """What the page says is what the loader does."""

    def setUp(self) -> None:
        """The folder that the page's examples speak of."""
        super().setUp()
        self.files = [self.write(name, text) for name, text in _BLOCK.findall(_PAGE)]
        for name in ("my.key", "ci.key"):
            self.write(name, f"content-of-{name}")

    def test_wholeExamples(self) -> None:
        """Each file that the page shows loads; there are some."""
        self.assertEqual(len(self.files), 3)
        self.assertEqual(_PAGE.count("```json"), 3)
        for path in self.files:
            options = Sources((), (), path) if "providers" in Path(path).read_text("utf-8") else Sources((path,))
            self.assertTrue(load(options, _ENVIRON).providers)

    def test_wholeExampleMeans(self) -> None:
        """The config file of the page has the providers that the text says it has."""
        snapshot = load(Sources((), (), str(self.folder / "relay.json")), _ENVIRON)
        self.assertEqual(list(snapshot.providers), ["openai", "my-vllm", "azure-eu", "anthropic"])
        chat = snapshot.providers["azure-eu"].endpoints["/v1/chat/completions"]
        self.assertEqual(chat.origin.host, "my-eu.openai.azure.com")
        self.assertEqual(chat.target, "/openai/deployments/{model}/chat/completions?api-version=2025-04-01-preview")

    def test_everyKeyHasARow(self) -> None:
        """The tables hold every key that is served, and no other."""
        for title, kind in _SECTIONS.items():
            known = {field.encode_name for field in msgspec.structs.fields(kind)} - set(NOT_SERVED)
            if kind is ConfigTimeoutsFile:
                known -= {field.encode_name for field in msgspec.structs.fields(TimeoutsFile)}
            self.assertEqual({key for there, key, _ in rows() if there == title}, known, title)

    def test_examplesLoad(self) -> None:
        """The example of each row uses its key, and loads as a part of a file."""
        config_from = list(_SECTIONS).index("Config file")
        configs = {*list(_SECTIONS)[config_from:], "`providers[]`"}
        for title, key, example in rows():
            self.assertIn(f'"{key}"', json.dumps(example))
            if title in configs:
                path = self.write("config.json", {"providers": ["echo"], **example})
                sources = Sources((), (), path)
            else:
                sources = Sources((self.write("p.json", {"baseUrl": "x", **example}),))
            self.assertTrue(load(sources, {**_ENVIRON, "MY_KEY": "my-key-0001"}).providers, f"{title} {key}")

    def test_reservedKeys(self) -> None:
        """Each reserved key is named as such."""
        for key in NOT_SERVED:
            self.assertIn(f"`{key}`", section("Reserved"))
