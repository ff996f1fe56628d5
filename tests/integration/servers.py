"""Servers that several tests share: they keep no state that one test could leave to another."""

from __future__ import annotations

import atexit
import functools
import json
import tempfile
from pathlib import Path

from tests.integration.twistd import Twistd

CLIENT_KEY = "relay-key-of-the-tests"


def started(server: Twistd) -> Twistd:
    """Start a server that lives as long as the test run."""
    atexit.register(server.stop)
    return server.start()


def folder() -> Path:
    """A directory that lives as long as the test run."""
    directory = tempfile.TemporaryDirectory(prefix="relay-")
    atexit.register(directory.cleanup)
    return Path(directory.name)


@functools.cache
def echo() -> Twistd:
    """``twistd -n relay --provider=echo``, as in the README."""
    return started(Twistd(directory=folder()))


@functools.cache
def guarded() -> Twistd:
    """The echo behind the client key `CLIENT_KEY`."""
    directory = folder()
    config = {"providers": ["echo"], "clientKeys": [{"name": "tests", "env": "RELAY_KEY"}]}
    (directory / "relay.json").write_text(json.dumps(config), "utf-8")
    return started(Twistd(["--config=relay.json"], directory=directory, environ={"RELAY_KEY": CLIENT_KEY}))


@functools.cache
def chained() -> Twistd:
    """A relay whose provider is `guarded`: clients bring the key for it, or a wrong one.

    Its second provider, ``ours``, has a key of its own, which is refused there.
    """
    directory = folder()
    provider = {
        "baseUrl": guarded().url,
        "auth": {"scheme": "bearer"},
        "endpoints": {"/v1/messages": {"dialect": "anthropic"}},
    }
    config = {"providers": ["./mine.json", {"name": "ours", "file": "./mine.json", "auth": {"env": "OURS"}}]}
    (directory / "mine.json").write_text(json.dumps(provider), "utf-8")
    (directory / "relay.json").write_text(json.dumps(config), "utf-8")
    return started(Twistd(["--config=relay.json"], directory=directory, environ={"OURS": "a-key-refused-there"}))
