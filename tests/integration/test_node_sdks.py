"""The SDKs from npm, through a real ``twistd relay``, with providers of every dialect.

``node/talk.mjs`` does the talking; npm installs what it needs into a temporary folder.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.backs import BACKS, CANNOT, SCHEMA, WORDS, calling, embedder, everything, model
from tests.integration.servers import folder

SOURCE = Path(__file__).parent / "node"
PATIENCE = 120.0
"""Seconds for npm, and for the whole talk."""

FEATURES = {"openai embeddings": "embeddings"}
"""Check → its name in `CANNOT`."""


@functools.cache
def _installed() -> Path | str:
    """The folder with the packages, or why there is none."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "node and npm are not installed"
    place = folder() / "node"
    shutil.copytree(SOURCE, place)
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"]
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return "npm could not install the packages in time"
    return place if done.returncode == 0 else f"npm could not install the packages: {done.stderr.strip()[-200:]}"


@functools.cache
def talk() -> Mapping[str, Mapping[str, str]]:
    """Check → back → what became of it."""
    place = _installed()
    if isinstance(place, str):
        raise SkipTest(place)
    plan = {
        "backs": {back: model(back) for back in BACKS},
        "embedding": {back: embedder(back) for back in BACKS},
        "calling": {back: calling(back) for back in BACKS},
        "broken": {back: model(back, "broken") for back in BACKS},
        "words": WORDS,
        "schema": SCHEMA,
    }
    command = ["node", "talk.mjs", everything().url, json.dumps(plan)]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    results: Mapping[str, Mapping[str, str]] = json.loads(done.stdout)
    return results


class NodeTests(SynchronousTestCase):
    """What the program found, check by check."""

    def check(self, *names: str) -> None:
        """All backs do what they can, and refuse the rest."""
        wrong = []
        for name in names:
            for back, outcome in talk()[name].items():
                refused = (FEATURES.get(name, ""), back) in CANNOT
                if not (outcome.startswith("400 ") if refused else outcome == "ok"):
                    wrong.append(f"{name}, {back}: {outcome}")
        self.assertEqual(wrong, [])

    def test_chat(self) -> None:
        """Whole and streamed answers of Chat."""
        self.check("openai chat")

    def test_tools(self) -> None:
        """Tool loops of Chat and Messages, streamed with the SDKs' own accumulators."""
        self.check("openai tools", "anthropic tools")

    def test_responses(self) -> None:
        """A tool loop of Responses."""
        self.check("openai responses")

    def test_embeddings(self) -> None:
        """Vectors in base64."""
        self.check("openai embeddings")

    def test_messages(self) -> None:
        """Whole and streamed answers of Messages, and their count."""
        self.check("anthropic messages")

    def test_brokenStreams(self) -> None:
        """An error in mid-stream is thrown."""
        self.check("openai broken stream", "anthropic broken stream")
