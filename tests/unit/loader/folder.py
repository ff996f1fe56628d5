"""A folder of configuration files, as an operator would keep one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from relay.config import Snapshot
from relay.errors import ConfigError
from relay.loader.snapshot import Sources, load
from relay.provider import Provider

BASE = "https://api.example"


class FolderTestCase(SynchronousTestCase):
    """Writes files and loads them."""

    def setUp(self) -> None:
        """Make the folder."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def write(self, name: str, content: object) -> str:
        """Write a file: JSON, or text as it is; returns its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return str(path)

    def load(
        self,
        *providers: str,
        config: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Snapshot:
        """Load with this folder as transformer folder and, if given, a config file in it."""
        path = None if config is None else self.write("config.json", config)
        return load(Sources(providers, (str(self.folder),), path), environ or {})

    def provider(self, environ: Mapping[str, str] | None = None, /, **members: object) -> Provider:
        """The provider that a file with these members (and a base URL) makes."""
        self.write("p.json", {"baseUrl": BASE, **members})
        return self.load("p", environ=environ).first

    def refused(
        self, *providers: str, config: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None
    ) -> str:
        """The one line that loading ends with."""
        return str(self.assertRaises(ConfigError, self.load, *providers, config=config, environ=environ))
