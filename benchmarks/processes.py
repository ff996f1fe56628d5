"""Processes under measurement: started on a CPU of their own, and asked what they have used."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

_PROC = Path("/proc")
_TICK = os.sysconf("SC_CLK_TCK")

Usage = dict[tuple[int, int], int]
"""(process, task) → nanoseconds on a CPU."""


def cpus() -> tuple[set[int], set[int]]:
    """The CPU for the gateway, and the one for everything else; the same one where there is no second."""
    allowed = sorted(os.sched_getaffinity(0))
    return {allowed[0]}, {allowed[1 if len(allowed) > 1 else 0]}


def start(
    command: Sequence[str | Path],
    cpu: set[int],
    *,
    nice: int = 0,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, pinned."""

    def prepare() -> None:
        os.sched_setaffinity(0, cpu)
        if nice:
            with contextlib.suppress(OSError):
                os.nice(nice)
                # Where the kernel groups tasks by session, only the group's own priority counts between them.
                Path("/proc/self/autogroup").write_text(str(nice), "ascii")

    return subprocess.Popen(
        [str(part) for part in command],
        preexec_fn=prepare,  # noqa: PLW1509  # no thread runs in this program
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=None if env is None else {**os.environ, **env},
        cwd=cwd,
    )


def stop(process: subprocess.Popen[bytes], patience: float = 5.0) -> None:
    """End a program and everything it started."""
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    if process.stdout is not None:
        process.stdout.close()


def tree(root: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for path in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def cpu_time(pids: Iterable[int]) -> Usage:
    """CPU time of each task of some processes."""
    usage: Usage = {}
    for pid in pids:
        for task in (_PROC / str(pid) / "task").glob("*"):
            with contextlib.suppress(OSError, ValueError):
                usage[pid, int(task.name)] = int((task / "schedstat").read_text().split()[0])
    return usage


def spent(before: Usage, after: Usage) -> int:
    """Nanoseconds used between two readings, new tasks included."""
    return sum(used - before.get(task, 0) for task, used in after.items())


def system_time(pids: Iterable[int]) -> tuple[float, float]:
    """Seconds in user and in kernel mode, in steps of the clock tick."""
    user = kernel = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            user, kernel = user + int(fields[11]), kernel + int(fields[12])
    return user / _TICK, kernel / _TICK


def resident(pids: Iterable[int]) -> float:
    """Resident memory, MB, shared pages counted once per process."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in (_PROC / str(pid) / "status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
    return total / 1024


def free_port() -> int:
    """A TCP port that nobody listens on right now, below those that the kernel gives to clients."""
    for port in random.sample(range(20000, 32000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port between 20000 and 32000")


def wait_for_port(port: int, process: subprocess.Popen[bytes], patience: float) -> bool:
    """Wait until somebody listens; False when the process ended or the time was up."""
    end = time.monotonic() + patience
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return True
        time.sleep(0.05)
    return False
