"""The built package, installed into an environment of its own.

``scripts/check`` builds and installs it, and names the folder in ``RELAY_PACKAGE``: ``dist``
holds sdist and wheel, ``env`` the virtual environment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.twistd import CHECKOUT, START, Ended, fetch, free_port, wait_until

CHAT = {"model": "echo-1", "messages": [{"role": "user", "content": "one two three"}]}


class PackageCase(SynchronousTestCase):
    """Where the package is."""

    def setUp(self) -> None:
        """Find it."""
        named = os.environ.get("RELAY_PACKAGE")
        if not named or not Path(named, "env", "bin", "twistd").exists():
            raise SkipTest("RELAY_PACKAGE names no built and installed package; scripts/check makes one")
        self.package = Path(named)
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir(parents=True)

    def only(self, pattern: str) -> Path:
        """The one file of a kind in ``dist``."""
        (path,) = (self.package / "dist").glob(pattern)
        return path


class ContentTests(PackageCase):
    """What travels."""

    def test_wheel(self) -> None:
        """Code, type marker, provider files and the plugin; nothing that would shadow Twisted or take a common name."""
        names = set(zipfile.ZipFile(self.only("*.whl")).namelist())
        code = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "relay").rglob("*.py")}
        providers = {f"relay/transformer/{path.name}" for path in (CHECKOUT / "transformer").glob("*.json")}
        wanted = code | providers | {"relay/py.typed", "twisted/plugins/relay_plugin.py"}
        self.assertTrue(len(providers) > 5)
        self.assertEqual(wanted - names, set())
        others = {name for name in names - wanted if ".dist-info/" not in name}
        self.assertEqual(others, set())

    def test_wheelMetadata(self) -> None:
        """The console script, the licence and the description are there."""
        wheel = zipfile.ZipFile(self.only("*.whl"))
        files = {name.split(".dist-info/")[1]: name for name in wheel.namelist() if ".dist-info/" in name}
        self.assertIn("relay = relay.cli.main:main", wheel.read(files["entry_points.txt"]).decode())
        self.assertIn("licenses/LICENSE", files)
        self.assertIn("One address in front of many", wheel.read(files["METADATA"]).decode())

    def test_sdist(self) -> None:
        """The sdist holds what a packager needs to build and test."""
        with tarfile.open(self.only("*.tar.gz")) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        for name in (
            "LICENSE",
            "README.md",
            "pyproject.toml",
            "tox.ini",
            "docs/architecture.md",
            "scripts/check",
            "tests/test_layers.py",
            "transformer/openai.json",
            "twisted/plugins/relay_plugin.py",
        ):
            self.assertIn(name, names)
        self.assertEqual([name for name in names if name.endswith((".pyc", "dropin.cache"))], [])


class InstalledTests(PackageCase):
    """The installed package, from a directory that has nothing to do with it."""

    def command(self, name: str, *arguments: str, environ: Mapping[str, str] | None = None) -> Ended:
        """Run a program of the environment, far from the checkout."""
        done = subprocess.run(
            [str(self.package / "env" / "bin" / name), *arguments],
            cwd=self.directory,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.directory), **(environ or {})},
            capture_output=True,
            text=True,
            timeout=START,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def end(self, pid: Path) -> None:
        """End a daemon that a failed test left behind."""
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGKILL)

    def answers(self, port: int) -> bool:
        """Whether relay is ready there."""
        try:
            return fetch(port, "GET", "/ready").status == 200
        except OSError:
            return False

    def test_check(self) -> None:
        """Plugin, console script and provider files are found; the files are the installed ones."""
        first = self.command("twistd", "relay", "--provider=openai", "--check")
        second = self.command("relay", "check", "--provider=openai")
        self.assertEqual((first.status, first.err), (0, ""))
        self.assertEqual(first, second)
        self.assertIn(str(Path("relay", "transformer", "openai.json")), first.out)
        self.assertNotIn(str(CHECKOUT), first.out)

    def test_daemon(self) -> None:
        """It runs in the background, answers, and goes on SIGTERM."""
        port, pid = free_port(), self.directory / "twistd.pid"
        self.addCleanup(self.end, pid)
        started = self.command("twistd", "relay", "--provider=echo", f"--port={port}")
        self.assertEqual((started.status, started.err), (0, ""))
        wait_until(lambda: self.answers(port), "the daemon answers")
        self.assertEqual(fetch(port, "POST", "/v1/chat/completions", CHAT).status, 200)
        os.kill(int(pid.read_text()), signal.SIGTERM)
        wait_until(lambda: not pid.exists(), "the pid file is taken away")
        self.assertIn("/v1/chat/completions 200", (self.directory / "twistd.log").read_text("utf-8"))

    def test_pluginCacheThatCannotBeWritten(self) -> None:
        """Where the plugin cache cannot be written, relay is found all the same, without a word about it."""
        (plugin,) = self.package.glob("env/lib/python*/site-packages/twisted/plugins/relay_plugin.py")
        cache = plugin.with_name("dropin.cache")
        cache.unlink(missing_ok=True)
        cache.mkdir()  # not even root can write a file there
        self.addCleanup(cache.rmdir)
        ended = self.command("twistd", "relay", "--provider=echo", "--check")
        self.assertEqual((ended.status, ended.err), (0, ""))
        self.assertTrue(cache.is_dir())

    def test_onlyRunTimeDependencies(self) -> None:
        """Neither a development tool nor a test came along, and the requirements agree with each other."""
        installed = self.command("python", "-m", "pip", "list", "--format=freeze").out.lower()
        for name in ("ruff", "mypy", "openai", "anthropic", "hypothesis", "httpx", "anyio"):
            self.assertNotIn(f"\n{name}==", f"\n{installed}")
        self.assertIn("relay-gateway==", installed)
