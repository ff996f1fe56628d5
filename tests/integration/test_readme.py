"""What the README tells newcomers to type, typed."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.servers import echo
from tests.integration.twistd import CHECKOUT, Ended, run_command

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACE = "http://127.0.0.1:8000"


def blocks(language: str) -> list[str]:
    """The README's code blocks in a language."""
    return [code for kind, code in _BLOCK.findall((CHECKOUT / "README.md").read_text("utf-8")) if kind == language]


class FirstCallTests(SynchronousTestCase):
    """The first calls, to the shared echo instead of port 8000."""

    def call(self, *command: str) -> Ended:
        """Run a command that should succeed."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(parents=True)
        ended = run_command(command, directory)
        self.assertEqual((ended.status, ended.err), (0, ""))
        return ended

    def test_python(self) -> None:
        """Both SDKs say what was said to them."""
        codes = [code for code in blocks("python") if PLACE in code]
        self.assertEqual(len(codes), 2)
        for code in codes:
            ended = self.call(sys.executable, "-c", code.replace(PLACE, echo().url))
            self.assertEqual(ended.out.strip(), "Hello, relay")

    def test_curl(self) -> None:
        """The stream ends whole."""
        if shutil.which("curl") is None:
            raise SkipTest("there is no curl")
        code = next(code for code in blocks("sh") if "curl" in code)
        ended = self.call("bash", "-c", code.replace("curl ", "curl -sS ").replace(PLACE, echo().url))
        self.assertIn('"content":"Hello,"', ended.out)
        self.assertTrue(ended.out.endswith("data: [DONE]\n\n"))

    def test_start(self) -> None:
        """The command that sets up ends with the start that these tests make, and its parts are there."""
        (code,) = [code for code in blocks("sh") if "pip install" in code]
        self.assertEqual(
            code.strip().split(" && "),
            ["python3 -m venv .venv", ".venv/bin/pip install .", ".venv/bin/twistd -n relay --provider=echo"],
        )
