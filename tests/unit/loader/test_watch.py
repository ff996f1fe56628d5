"""Reloading: all or nothing, the last good reading stays."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from zope.interface.verify import verifyObject

from relay.config import Snapshot
from relay.errors import ConfigError
from relay.interfaces import IConfiguration
from relay.loader.snapshot import Sources, load
from relay.loader.watch import Configuration
from tests.unit.loader.folder import FolderTestCase


class ConfigurationTests(FolderTestCase):
    """A running relay whose files change."""

    def setUp(self) -> None:
        """One provider with a key file and a config file, watched."""
        super().setUp()
        self.provider_path = Path(self.write("p.json", {"baseUrl": "one.example", "auth": {"file": "k"}}))
        self.key_path = Path(self.write("k", "first-key"))
        self.config_path = Path(self.write("config.json", {"server": {"body": 2048}}))
        self.sources = Sources(("p",), (str(self.folder),), str(self.config_path))
        self.clock = Clock()
        self.events = self.enterContext(capturedLogs())
        self.start({})

    def start(self, environ: dict[str, str]) -> None:
        """Read the files and watch them."""
        self.configuration = Configuration(self.clock, self.sources, environ, load(self.sources, environ))
        self.heard: list[Snapshot] = []
        self.configuration.subscribe(self.heard.append)
        self.configuration.startService()
        self.addCleanup(self.configuration.stopService)

    def replace(self, path: Path, content: str) -> None:
        """Replace a file as careful editors do; its inode changes whatever the clock's resolution."""
        new = path.with_suffix(".new")
        new.write_text(content, "utf-8")
        new.replace(path)

    def state(self) -> tuple[str, int, int, bool]:
        """Host, generation, failures, and whether an error stands."""
        now = self.configuration
        return now.snapshot.first.origin.host, now.snapshot.generation, now.failures, bool(now.last_error)

    def logged(self, text: str) -> list[dict[str, Any]]:
        """Events whose format holds a text."""
        return [event for event in self.events if text in event.get("log_format", "")]

    def test_interface(self) -> None:
        """It is what the rest of relay knows as the configuration."""
        verifyObject(IConfiguration, self.configuration)

    def test_nothingChanged(self) -> None:
        """Unchanged files are not read again."""
        before = self.configuration.snapshot
        self.clock.pump([2.0] * 5)
        self.assertIs(self.configuration.snapshot, before)
        self.assertEqual(self.heard, [])

    def test_goodBadGood(self) -> None:
        """A good file takes effect, a bad one changes nothing, the next good one takes effect."""
        self.replace(self.provider_path, '{"baseUrl": "two.example"}')
        self.assertEqual(self.state(), ("one.example", 1, 0, False))
        self.clock.advance(2.0)
        self.assertEqual(self.state(), ("two.example", 2, 0, False))
        self.replace(self.provider_path, '{"baseUrl": "three.example", "prot": 1}')
        self.clock.advance(2.0)
        self.assertEqual(self.state(), ("two.example", 2, 1, True))
        self.assertIn("p.json: $.prot: unknown key (did you mean 'port'?)", self.configuration.last_error)
        self.clock.pump([2.0] * 3)
        self.assertEqual(self.state(), ("two.example", 2, 1, True))
        self.replace(self.provider_path, '{"baseUrl": "four.example"}')
        self.clock.advance(2.0)
        self.assertEqual(self.state(), ("four.example", 3, 1, False))
        self.assertEqual([snapshot.first.origin.host for snapshot in self.heard], ["two.example", "four.example"])

    def test_logged(self) -> None:
        """A refused reading is an error with its reason in a field; a good one tells the providers."""
        self.replace(self.config_path, "[]")
        self.clock.advance(2.0)
        (refused,) = self.logged("configuration refused")
        self.assertIn("config.json: $: expected an object", refused["error"])
        self.assertEqual((refused["generation"], refused["failures"]), (1, 1))
        self.replace(self.config_path, "{}")
        self.clock.advance(2.0)
        (reloaded,) = self.logged("configuration reloaded")
        self.assertEqual((reloaded["generation"], reloaded["providers"]), (2, ["p"]))

    def test_routes(self) -> None:
        """Routes are read again with the rest; a route that is wrong changes nothing."""
        one = '"r": {"deployments": [{"provider": "p", "weight": 2}]}'
        self.replace(self.config_path, f'{{"routes": {{{one}}}}}')
        self.clock.advance(2.0)
        route = self.configuration.snapshot.route_for("r")
        assert route is not None
        self.assertEqual((route.deployments[0].weight, self.state()[1:]), (2, (2, 0, False)))
        self.replace(self.config_path, f'{{"routes": {{{one}, "s": {{"deployments": [{{"provider": "q"}}]}}}}}}')
        self.clock.advance(2.0)
        self.assertEqual(self.state()[1:], (2, 1, True))
        self.assertIn("$.routes.s.deployments[0].provider: expected one of", self.configuration.last_error)
        self.assertIs(self.configuration.snapshot.route_for("r"), route)

    def test_vanishedFile(self) -> None:
        """A file that goes away changes nothing; when it is back, it counts again."""
        self.provider_path.unlink()
        self.clock.advance(2.0)
        self.assertEqual(self.state(), ("one.example", 1, 1, True))
        self.write("p.json", {"baseUrl": "back.example"})
        self.clock.advance(2.0)
        self.assertEqual(self.state(), ("back.example", 2, 1, False))

    def test_halfWrittenFile(self) -> None:
        """A file read in the middle of being written is refused; the rest of it is noticed."""
        whole = '{"baseUrl": "two.example", "modelMapping": {"a": "b"}}'
        for cut in range(1, len(whole)):
            self.replace(self.provider_path, whole[:cut])
            self.clock.advance(2.0)
            self.assertEqual(self.state(), ("one.example", 1, cut, True))
        self.replace(self.provider_path, whole)
        self.clock.advance(2.0)
        self.assertEqual(self.state(), ("two.example", 2, len(whole) - 1, False))

    def test_writtenInPlace(self) -> None:
        """A file that grows or shrinks in place is noticed."""
        self.provider_path.write_text('{"baseUrl": "another.example"}', "utf-8")
        self.clock.advance(2.0)
        self.assertEqual(self.state(), ("another.example", 2, 0, False))

    def test_keyFile(self) -> None:
        """A rotated key is taken up; a key file that breaks keeps the old key."""
        self.replace(self.key_path, "second-key\n")
        self.clock.advance(2.0)
        self.replace(self.key_path, "")
        self.clock.advance(2.0)
        credential = self.configuration.snapshot.first.auth.credential
        assert credential is not None
        self.assertEqual((credential.reveal(), self.configuration.failures), ("second-key", 1))
        self.assertIn("is empty; expected a key", self.configuration.last_error)

    def test_fileThatWasMissing(self) -> None:
        """A provider that the config file names before its file is there is taken up when it is."""
        self.replace(self.config_path, '{"providers": ["./later.json"]}')
        self.clock.advance(2.0)
        self.assertEqual(self.state(), ("one.example", 1, 1, True))
        self.write("later.json", {"baseUrl": "later.example"})
        self.clock.advance(2.0)
        self.assertEqual(list(self.configuration.snapshot.providers), ["p", "later"])

    def test_fileThatHides(self) -> None:
        """A new file in an earlier folder takes the place of the one in use."""
        early = self.folder / "early"
        early.mkdir()
        self.configuration.stopService()
        self.sources = Sources(("p",), (str(early), str(self.folder)))
        self.start({})
        self.write("early/p.json", {"baseUrl": "early.example"})
        self.clock.advance(2.0)
        self.assertEqual(self.state(), ("early.example", 2, 0, False))

    def test_reloadOnSignal(self) -> None:
        """`reload` reads at once, whether a file changed or not, and says whether that was good."""
        self.assertTrue(self.configuration.reload())
        self.assertEqual(self.configuration.snapshot.generation, 2)
        self.replace(self.provider_path, "{")
        self.assertFalse(self.configuration.reload())
        self.assertEqual(self.state(), ("one.example", 2, 1, True))
        self.clock.advance(2.0)
        self.assertEqual(self.configuration.failures, 1)

    def test_oldSnapshotStaysWhole(self) -> None:
        """Who holds the old snapshot keeps it unchanged."""
        before = self.configuration.snapshot
        self.replace(self.provider_path, '{"baseUrl": "two.example"}')
        self.clock.advance(2.0)
        self.assertEqual((before.first.origin.host, before.generation), ("one.example", 1))

    def test_needsRestart(self) -> None:
        """A changed listen address or port is warned of until it is as it was at the start."""
        self.replace(self.config_path, '{"listen": ["tcp:9"]}')
        self.clock.advance(2.0)
        self.assertIn("until it is restarted", self.configuration.snapshot.warnings[0])
        self.assertEqual(len(self.logged("configuration: {notice}")), 1)
        self.assertTrue(self.configuration.reload())
        self.assertIn("until it is restarted", self.configuration.snapshot.warnings[0])
        self.replace(self.config_path, "{}")
        self.replace(self.provider_path, '{"baseUrl": "one.example", "port": 9}')
        self.clock.advance(2.0)
        self.assertIn("until it is restarted", self.configuration.snapshot.warnings[0])
        self.replace(self.provider_path, '{"baseUrl": "one.example"}')
        self.clock.advance(2.0)
        self.assertEqual(self.configuration.snapshot.warnings, ())

    def test_failingSubscriber(self) -> None:
        """A subscriber that fails is logged and keeps nobody from the news."""

        def fail(snapshot: Snapshot) -> None:
            raise ZeroDivisionError

        late: list[Snapshot] = []
        self.configuration.subscribe(fail)
        self.configuration.subscribe(late.append)
        self.assertTrue(self.configuration.reload())
        self.assertEqual(len(late), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_unexpectedFailure(self) -> None:
        """A fault of relay's own while reading keeps the last good reading, too."""

        class Angry(dict[str, str]):
            def get(self, *args: object) -> Any:
                raise ZeroDivisionError

        self.configuration._environ = Angry()
        self.assertFalse(self.configuration.reload())
        self.assertEqual(self.state(), ("one.example", 1, 1, True))
        self.assertEqual(self.configuration.last_error, "internal error: ZeroDivisionError")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_workingDirectoryChanges(self) -> None:
        """Relative paths are those of the start, also after a daemon has moved elsewhere."""
        here = Path.cwd()
        self.configuration.stopService()
        self.sources = Sources(("./p.json",), (".",), "config.json")
        os.chdir(self.folder)
        self.addCleanup(os.chdir, here)
        self.start({})
        os.chdir("/")
        self.replace(self.provider_path, '{"baseUrl": "two.example"}')
        self.clock.advance(2.0)
        self.assertEqual(self.state(), ("two.example", 2, 0, False))

    def test_stops(self) -> None:
        """After the service has stopped, nothing is timed and nothing is read."""
        self.configuration.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_changeBeforeTheWatch(self) -> None:
        """A file that breaks between the first reading and the start of the watch is told of."""
        configuration = Configuration(self.clock, self.sources, {}, load(self.sources, {}))
        self.replace(self.provider_path, "{")
        configuration.startService()
        self.addCleanup(configuration.stopService)
        self.assertEqual((configuration.failures, configuration.snapshot.generation), (1, 1))

    def test_watchThatBreaks(self) -> None:
        """Should the watch itself fail, the log says that it has stopped."""

        def fail() -> None:
            raise ZeroDivisionError

        self.configuration._loop.f = fail
        self.clock.advance(2.0)
        self.assertEqual(len(self.logged("the watch on configuration files has stopped")), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_checkMayRefuse(self) -> None:
        """A reading that is good in itself can still be refused by the one who assembled relay."""

        def check(snapshot: Snapshot) -> None:
            raise ConfigError("not on this address")

        configuration = Configuration(self.clock, self.sources, {}, self.configuration.snapshot, check=check)
        self.assertFalse(configuration.reload())
        self.assertEqual((configuration.last_error, configuration.snapshot.generation), ("not on this address", 1))
