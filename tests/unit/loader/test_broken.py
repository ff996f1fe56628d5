"""Every broken configuration is one line that says what is wrong, where, and what was meant."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.errors import ConfigError
from relay.loader.snapshot import Sources, load
from relay.schema.config import ConfigFile
from relay.schema.provider import ProviderFile
from relay.schema.publish import json_schema
from tests.unit.loader import broken_routes
from tests.unit.loader.broken import CONFIG, KEY, SENSE, SHAPE, TEXT, Broken
from tests.unit.schema.documents import ANYTHING, RICH, changed, positions

_ODD = ("${A}", "${", "http://[", "%", "x://", "{model}", "https://{model}")
_ROUTES = {**broken_routes.SHAPE, **{f"sense: {name}": case for name, case in broken_routes.SENSE.items()}}
_GOOD = '{"baseUrl": "https://api.example"}'


class BrokenTests(SynchronousTestCase):
    """The tables of `broken`, loaded as an operator would load them."""

    def setUp(self) -> None:
        """A folder with one good provider."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        (self.folder / "good.json").write_text(_GOOD, "utf-8")

    def provider(self, case: Broken) -> str:
        """The error for a provider file, without the file's name."""
        path = self.folder / "wrong.json"
        path.write_text(case.text, "utf-8")
        return self.line(Sources((str(path),)), case, str(path))

    def config(self, case: Broken) -> str:
        """The error for a config file, without the file's name."""
        path = self.folder / "config.json"
        path.write_text(case.text, "utf-8")
        return self.line(Sources((), (str(self.folder),), str(path)), case, str(path))

    def line(self, sources: Sources, case: Broken, file: str) -> str:
        """The one line that loading ends with."""
        error = self.assertRaises(ConfigError, load, sources, case.environ)
        line = str(error)
        self.assertNotIn("\n", line)
        self.assertTrue(line.isprintable(), line)
        self.assertLess(len(line), 1200)  # an unknown provider names all there are
        self.assertNotIn(KEY, line)
        self.assertNotIn(KEY, repr(error))
        if case.where.strip(": "):
            self.assertTrue(line.startswith(file), line)
        return line.removeprefix(file)

    def check(self, name: str, case: Broken, line: str) -> list[str]:
        """What is wrong with the line, if anything is."""
        near = f"(did you mean {case.near!r}?)" if case.near else ""
        right = line.startswith(case.where.replace(": : ", "")) and case.says in line and line.endswith(near)
        return [] if right else [f"{name}: {line!r}"]

    def test_thereAreEnough(self) -> None:
        """The tables hold more than a hundred faults."""
        self.assertGreater(len(TEXT) + len(SHAPE) + len(SENSE) + len(CONFIG), 150)

    def test_textThatIsNoJSON(self) -> None:
        """A file that cannot be parsed is refused with line and column, or with the path."""
        self.assertEqual([e for name, case in TEXT.items() for e in self.check(name, case, self.provider(case))], [])

    def test_providersOfTheWrongShape(self) -> None:
        """A wrong key or type is refused with path, expectation and nearest name."""
        self.assertEqual([e for name, case in SHAPE.items() for e in self.check(name, case, self.provider(case))], [])

    def test_providersThatMakeNoSense(self) -> None:
        """A well-formed file that contradicts itself, or asks for what is not served, is refused."""
        self.assertEqual([e for name, case in SENSE.items() for e in self.check(name, case, self.provider(case))], [])

    def test_configFiles(self) -> None:
        """The same holds for the config file and the environment."""
        self.assertEqual([e for name, case in CONFIG.items() for e in self.check(name, case, self.config(case))], [])

    def test_routes(self) -> None:
        """The same holds for routes."""
        self.assertEqual([e for name, case in _ROUTES.items() for e in self.check(name, case, self.config(case))], [])

    def test_schemaAgrees(self) -> None:
        """What is wrong in shape, the published schema refuses; what is wrong in sense only, it accepts."""
        checks = (
            (json_schema(ProviderFile), {**SHAPE, **{f"sense: {name}": case for name, case in SENSE.items()}}),
            (json_schema(ConfigFile), {**CONFIG, **_ROUTES}),
        )
        wrong = [
            name
            for schema, table in checks
            for name, case in table.items()
            if jsonschema.Draft202012Validator(schema).is_valid(json.loads(case.text)) == case.structural
        ]
        self.assertEqual(wrong, [])

    def test_notUTF8(self) -> None:
        """A byte that is not UTF-8 is found with line and column."""
        path = self.folder / "wrong.json"
        path.write_bytes(b'{\n "docs": "\xff"}')
        error = self.assertRaises(ConfigError, load, Sources((str(path),)), {})
        self.assertEqual(str(error), f"{path}:2:11: expected UTF-8")

    def test_tooLarge(self) -> None:
        """A file above the bound is not read whole."""
        path = self.folder / "wrong.json"
        path.write_bytes(b" " * (4 * 1024 * 1024 + 1))
        error = self.assertRaises(ConfigError, load, Sources((str(path),)), {})
        self.assertIn("larger than 4194304 bytes", str(error))

    def test_wrongProviderOption(self) -> None:
        """A wrong name lists the nearest and all available providers."""
        error = self.assertRaises(ConfigError, load, Sources(("godo",), (str(self.folder),)), {})
        self.assertTrue(str(error).startswith("--provider: unknown provider 'godo'; available: ai21, anthropic"))
        self.assertTrue(str(error).endswith("(did you mean 'good'?)"), str(error))

    def test_wrongConfigOption(self) -> None:
        """A config file that does not exist is named."""
        error = self.assertRaises(ConfigError, load, Sources(("good",), (), "nowhere.json"), {})
        self.assertEqual(str(error), "nowhere.json: cannot be read: no such file or directory")

    def test_wrongFolderOption(self) -> None:
        """A transformer folder that does not exist is named."""
        error = self.assertRaises(ConfigError, load, Sources(("good",), ("nowhere",)), {})
        self.assertEqual(str(error), "--transformer-dir=nowhere: expected a folder that exists")

    def test_pipeDoesNotBlock(self) -> None:
        """A named pipe is refused instead of waited for."""
        path = self.folder / "pipe.json"
        os.mkfifo(path)
        error = self.assertRaises(ConfigError, load, Sources((str(path),)), {})
        self.assertIn("not a regular file", str(error))

    @settings(max_examples=200, deadline=None, database=None, derandomize=True)
    @given(
        keys=st.sampled_from(positions(RICH)),
        value=ANYTHING | st.sampled_from(("${A}", "${", "http://[", "%", "x://", "{model}")),
    )
    def test_nothingButConfigError(self, keys: tuple[Any, ...], value: object) -> None:
        """Whatever stands anywhere in a provider file, it loads or is refused in one line."""
        path = self.folder / "wrong.json"
        document = {key: member for key, member in changed(RICH, keys, value).items() if key != "prices"}
        path.write_text(json.dumps(document), "utf-8")
        try:
            load(Sources((str(path),)), {"K": KEY})
        except ConfigError as error:
            self.assertTrue(str(error).startswith(f"{path}: $"), str(error))
            self.assertTrue(str(error).isprintable(), str(error))
            self.assertNotIn(KEY, str(error))
