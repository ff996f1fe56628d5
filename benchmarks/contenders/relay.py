"""relay itself, with everything on: client keys, a rate limit, metrics, an access log in JSON."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.contenders.base import Contender, Launch, Site, output
from benchmarks.places import CHECKOUT
from benchmarks.questions import MODEL, client_key, provider_name

_NEVER = 1_000_000_000
"""A rate limit that counts and never bites."""


def configure(site: Site, keys: int, providers: int) -> Path:
    """Write relay's configuration, and the variables that it names.

    Every provider has an address of its own on the loopback network, so that each has
    its own pool of connections.

    Returns:
        The file of variables for `benchmarks.launch`.
    """
    entries = [
        {
            "name": provider_name(number),
            "baseUrl": f"http://127.0.0.{1 + number}:{site.upstream}/v1",
            "auth": {"scheme": "bearer", "env": "BENCH_PROVIDER_KEY"},
            "models": [MODEL],
            "modelMapping": {MODEL: f"{MODEL}-2026"},
        }
        for number in range(providers)
    ]
    config = {
        "providers": entries,
        "clientKeys": [{"name": f"c{number}", "env": f"K{number}"} for number in range(keys)],
        "rateLimit": {"requestsPerMinute": _NEVER, "burst": _NEVER},
        "server": {"connections": 20000},
    }
    (site.folder / "relay.json").write_text(json.dumps(config, separators=(",", ":")), "utf-8")
    variables = {f"K{number}": client_key(number) for number in range(keys)}
    variables["BENCH_PROVIDER_KEY"] = "sk-upstream-4f9d0c2b7a6e"
    path = site.folder / "variables.json"
    path.write_text(json.dumps(variables), "utf-8")
    return path


def launch(site: Site, keys: int, providers: int, options: tuple[str, ...], profile: str = "") -> Launch:
    """The command line of relay in one setting."""
    variables = configure(site, keys, providers)
    command = (
        *(sys.executable, "-m", "benchmarks.launch", variables),
        *((f"--cprofile={profile}",) if profile else ()),
        *("-n", "--pidfile=", f"--logfile={site.folder / 'access.log'}"),
        *("relay", f"--config={site.folder / 'relay.json'}", f"--port={site.port}", "--log-format=json"),
        *options,
    )
    return Launch(command, cwd=CHECKOUT)


@functools.cache
def _help() -> str:
    return output([sys.executable, "-c", "import twisted.scripts.twistd as t; t.run()", "relay", "--help"])


def has_engine() -> bool:
    """Whether this relay can choose between its own HTTP ends and Twisted's."""
    return "--http" in _help()


def _missing() -> str:
    if "--provider" in _help():
        return ""
    return f"relay does not start on {sys.executable}; install it as the README says"


def _missing_stock() -> str:
    return _missing() or ("" if has_engine() else "this relay has no --http option; `relay` is the stock one")


def _version() -> str:
    commit = subprocess.run(
        ["git", "-C", CHECKOUT, "describe", "--always", "--dirty", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
    )
    python = ".".join(map(str, sys.version_info[:3]))
    return f"relay {commit.stdout.strip() or 'without git'}, Python {python}"


def _launcher(keys: int, providers: int, http: str) -> Callable[[Site], Launch]:
    def start(site: Site) -> Launch:
        return launch(site, keys, providers, (f"--http={http}",) if has_engine() else ())

    return start


def relay(name: str, *, keys: int = 100, providers: int = 1, http: str = "engine") -> Contender:
    """The contender with so many client keys and providers."""
    return Contender(
        name=name,
        title=f"everything on, {keys} client keys, {providers} providers",
        missing=_missing if http == "engine" else _missing_stock,
        launch=_launcher(keys, providers, http),
        version=_version,
        keys=keys,
        providers=providers,
        patience=60.0,
    )


RELAY = relay("relay")
STOCK = relay("relay-stock", http="stock")
