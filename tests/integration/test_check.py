"""Broken configuration as an operator meets it: through the real ``twistd relay``."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.twistd import run
from tests.unit.loader import broken

EVERY = 12
"""One in so many of the broken files; the unit tests have them all."""


class CheckTests(SynchronousTestCase):
    """A sample of the broken files of the loader's tests."""

    def test_oneLineEach(self) -> None:
        """Status 1, one line that names the file and the place, no traceback, no key."""
        cases = [case for table in vars(broken).values() if isinstance(table, dict) for case in table.values()]
        sample = [case for case in cases if isinstance(case, broken.Broken) and not case.environ][::EVERY]
        self.assertGreater(len(sample), 10)
        directory = Path(self.mktemp())
        directory.mkdir(parents=True)
        (directory / "good.json").write_text('{"baseUrl": "https://api.example"}', "utf-8")
        for case in sample:
            (directory / "bad.json").write_text(case.text, "utf-8")
            option = "--config=bad.json" if '"providers"' in case.text else "--provider=./bad.json"
            ended = run(["-n", "relay", option, "--transformer-dir=.", "--check"], directory)
            self.assertEqual((ended.status, ended.out, ended.err.count("\n")), (1, "", 1), case.text)
            self.assertIn("bad.json", ended.err)
            self.assertIn(case.says.splitlines()[0], ended.err)
            self.assertNotIn("Traceback", ended.err)
            self.assertNotIn(broken.KEY, ended.err)
