"""What a contender is: how it is found, installed, configured and started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.places import cache

Fields = tuple[tuple[str, str], ...]
"""Header fields."""


@dataclass(frozen=True)
class Site:
    """Where one contender is to run.

    Attributes:
        port: where it listens, on 127.0.0.1.
        upstream: the mock's port.
        folder: an empty folder for its files.
    """

    port: int
    upstream: int
    folder: Path


@dataclass(frozen=True)
class Launch:
    """A command line with its environment."""

    command: tuple[str | Path, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


@dataclass(frozen=True)
class Contender:
    """One gateway in one setting.

    Attributes:
        name: what it is called on the command line and in tables.
        title: one line about the setting.
        missing: why it cannot run here, or "".
        launch: how it is started.
        version: what is measured, in its own words.
        install: fetches it; None where that is not ours to do.
        extra: header fields that its requests need.
        keys: client keys that requests rotate through.
        providers: providers that requests rotate through, where above 1.
        warm: seconds of load that it needs before it runs at its usual speed.
        patience: seconds that its start may take.
    """

    name: str
    title: str
    missing: Callable[[], str]
    launch: Callable[[Site], Launch]
    version: Callable[[], str]
    install: Callable[[], None] | None = None
    extra: Callable[[Site], Fields] = lambda _: ()
    keys: int = 100
    providers: int = 1
    warm: float = 0.0
    patience: float = 20.0


def environment(name: str) -> Path:
    """The virtual environment of a peer."""
    return cache() / name


def python_of(name: str) -> Path:
    """Its interpreter, whether it is there or not."""
    return environment(name) / "bin" / "python"


def pip_install(name: str, *requirements: str) -> None:
    """Make a virtual environment and install packages into it."""
    subprocess.run([sys.executable, "-m", "venv", environment(name)], check=True)
    pip = (python_of(name), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    subprocess.run((*pip, *requirements), check=True)


def pip_version(name: str, package: str) -> str:
    """The version of a package in a peer's environment."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return f"{package} {output([python_of(name), '-c', code])}"


def needs_environment(name: str) -> Callable[[], str]:
    """Why a peer with an environment of its own cannot run."""
    return lambda: "" if python_of(name).exists() else f"not installed; get it with: benchmarks/run setup {name}"


def needs_program(program: str, package: str) -> Callable[[], str]:
    """Why a peer from Debian cannot run."""
    return lambda: "" if path_of(program) else f"not installed; on Debian: apt install {package}"


def path_of(program: str) -> str:
    """A program's path, or ""; daemons live where users' PATH does not look."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/usr/local/sbin") or ""


def output(command: Sequence[str | Path]) -> str:
    """What a command prints, on either stream; "" if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return ""
    return (done.stdout or done.stderr).strip()
