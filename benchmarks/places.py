"""Where things are: the checkout, the cache with peers and compiled programs, the results."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
NATIVE = CHECKOUT / "benchmarks" / "native"
RESULTS = CHECKOUT / "benchmarks" / "results"


class Missing(Exception):
    """Something that a measurement needs is not on this machine; the text tells what and how to get it."""


def cache() -> Path:
    """The folder for what is built and installed; outside the checkout."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "relay-benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def compiled(name: str) -> Path:
    """One of the programs in ``native/``, compiled unless that has been done for this source.

    Raises:
        Missing: there is no C compiler.
    """
    sources = (NATIVE / f"{name}.c", NATIVE / "common.h")
    version = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    program = cache() / f"{name}-{version}"
    if not program.exists():
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            raise Missing("no C compiler; on Debian: apt install gcc libc6-dev")
        building = program.with_suffix(f".{os.getpid()}")
        subprocess.run([compiler, "-std=c99", "-O2", "-Wall", "-o", building, sources[0], "-lm"], check=True)
        building.rename(program)
    return program


def newest(paths: Sequence[Path]) -> Path | None:
    """The first path that exists, or None."""
    return next((path for path in paths if path.exists()), None)
