"""What the documents tell their readers to type to see translations, typed."""

from __future__ import annotations

import functools
import json
import re
import shutil
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.servers import folder, started
from tests.integration.twistd import CHECKOUT, Twistd, run_command

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^curl .*?(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
PLACE = "http://127.0.0.1:8000"


def section(page: str, title: str) -> str:
    """A section of a page, with all below it."""
    text = (CHECKOUT / page).read_text("utf-8").partition(f"\n## {title}\n")[2]
    return text.partition("\n## ")[0]


def blocks(text: str, language: str) -> list[str]:
    """The code blocks in a language."""
    return [code for kind, code in _BLOCK.findall(text) if kind == language]


@functools.cache
def server() -> Twistd:
    """All providers of the page, the one whose file it shows included."""
    page = section("docs/echo.md", "Every dialect to every dialect")
    (command,) = [code for code in blocks(page, "sh") if code.startswith("twistd")]
    (shown,) = blocks(page, "json")
    directory = folder()
    (directory / "slow-gemini.json").write_text(shown, "utf-8")
    providers = re.findall(r"--provider=[\w-]+", command)
    return started(Twistd([*providers, "--provider=./slow-gemini.json"], directory=directory))


class CommandTests(SynchronousTestCase):
    """Each command, to a relay on another port."""

    def run_all(self, page: str, title: str) -> dict[str, str]:
        """The words that a command asks for → what it printed."""
        if shutil.which("curl") is None:
            raise SkipTest("there is no curl")
        printed = {}
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(parents=True)
        for code in blocks(section(page, title), "sh"):
            for command in _COMMAND.findall(code):
                typed = command.replace("curl ", "curl -sS ", 1).replace(PLACE, server().url)
                ended = run_command(("bash", "-c", typed), directory)
                self.assertEqual((ended.status, ended.err), (0, ""), command)
                printed[command] = ended.out
        return printed

    def test_echoPage(self) -> None:
        """Every front is answered by a foreign provider, and the one that is told to fail does."""
        printed = self.run_all("docs/echo.md", "Every dialect to every dialect")
        self.assertEqual(len(printed), 12)
        for command, out in printed.items():
            self.assertNotIn("x-relay-dropped", out)
            if "slow-gemini" in command:
                self.assertIn("retry-after: 3", out)
                self.assertEqual(json.loads(out.splitlines()[-1])["error"]["type"], "rate_limit_error")
            elif "count_tokens" in command:
                self.assertEqual(json.loads(out), {"input_tokens": 4})
            elif "embeddings" in command:
                self.assertEqual(len(json.loads(out)["data"][0]["embedding"]), 4)
            elif "rerank" in command:
                self.assertEqual(json.loads(out)["results"][0]["index"], 1)
            else:
                (words,) = re.findall(r'": "(\w+ to \w+)"', command)
                pattern = ".*".join(rf'["\s]{word}(?=["\s])' for word in words.split())
                self.assertRegex(out, re.compile(pattern, re.DOTALL))

    def test_readme(self) -> None:
        """The README's pairs say what was said to them."""
        messages, ollama = self.run_all("README.md", "Any client, any provider").values()
        self.assertEqual(json.loads(messages)["content"][0]["text"], "Hello, relay")
        lines = [json.loads(line) for line in ollama.splitlines()]
        self.assertEqual("".join(line["message"]["content"] for line in lines), "Hello, relay")
        self.assertTrue(lines[-1]["done"])
