"""One measurement: a contender running, a load on it, its CPU time and the answers counted over one window."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.contenders.base import Contender, Site
from benchmarks.places import Missing, compiled
from benchmarks.questions import MODEL, PATH, Question, client_key, provider_name, raw
from benchmarks.scenarios import Kind, Scenario

ADDRESSES = 200
"""Addresses that the mock listens on: 127.0.0.1 and the following."""


WARM_UP = Scenario("warm-up", "16 connections", Kind.COST, 16, Question())


class Failed(Exception):
    """A contender did not start, or did not answer; the text tells what was seen."""


@dataclass
class Sample:
    """One repetition of one scenario with one contender.

    Attributes:
        cpu_us: the gateway's CPU microseconds per unit (request or chunk).
        kernel: share of them that the kernel used, 0 to 1, as the clock tick tells.
        busy: CPU time over wall time, 1.0 is a whole CPU.
        units: requests or chunks completed in the window.
        per_second: those a second.
        chunks_per_read: chunks that came with one read; 1 when each woke the reader.
        faults: answers that were not right: kind → how many (connection, status, cut, wrong, late).
        rss: MB of resident memory at the end of the window.
        idle_rss: the same before the load.
        rate: requests a second that were asked for; 0 in closed loops.
        times: percentiles, ms: latency, first_chunk, delay (mock to client), gap.
    """

    scenario: str
    contender: str
    repetition: int
    cpu_us: float
    kernel: float
    busy: float
    units: int
    per_second: float
    chunks_per_read: float
    faults: dict[str, int]
    rss: float
    idle_rss: float
    rate: float = 0.0
    times: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def errors(self) -> int:
        """Answers that were missing, cut or wrong."""
        return sum(self.faults.values())

    def as_dict(self) -> dict[str, Any]:
        """For JSON, which has no way to write that there was nothing to divide by."""
        return {**asdict(self), "cpu_us": None if math.isnan(self.cpu_us) else self.cpu_us}


@dataclass(frozen=True)
class Bench:
    """What all measurements of one run share.

    Attributes:
        upstream: the mock's port.
        nice: added to the priority of gateway, mock and load.
    """

    upstream: int
    nice: int = 0


@dataclass(frozen=True)
class Load:
    """How hard and how long.

    Attributes:
        seconds: the window.
        warm: seconds before it.
        rate: requests a second, 0 for as fast as answers come.
    """

    seconds: float
    warm: float
    rate: float = 0.0


@dataclass
class Running:
    """A started contender."""

    contender: Contender
    site: Site
    process: subprocess.Popen[bytes]
    bench: Bench


@contextlib.contextmanager
def mock(nice: int) -> Iterator[Bench]:
    """Run the provider that everybody forwards to."""
    port = processes.free_port()
    command = (compiled("mock"), str(port), str(ADDRESSES))
    process = processes.start(command, processes.cpus()[1], nice=nice, stdout=subprocess.PIPE)
    try:
        if not processes.wait_for_port(port, process, 10):
            raise Failed("the mock did not start")
        yield Bench(port, nice)
    finally:
        processes.stop(process)


@contextlib.contextmanager
def running(contender: Contender, bench: Bench) -> Iterator[Running]:
    """Start a contender in a fresh process and wait until it answers.

    Raises:
        Failed: it does not.
    """
    folder = Path(tempfile.mkdtemp(prefix="relay-benchmark-"))
    site = Site(processes.free_port(), bench.upstream, folder)
    launch = contender.launch(site)
    with (folder / "output").open("wb") as output:
        process = processes.start(
            launch.command,
            processes.cpus()[0],
            nice=bench.nice,
            env=launch.env,
            cwd=launch.cwd,
            stdout=output,
            stderr=output,
        )
        started = Running(contender, site, process, bench)
        try:
            _wait_until_it_answers(started)
            if contender.warm:
                measure(started, WARM_UP, Load(contender.warm, 0.0))
            yield started
        finally:
            processes.stop(process)
            shutil.rmtree(folder, ignore_errors=True)


def _wait_until_it_answers(started: Running) -> None:
    end = time.monotonic() + started.contender.patience
    last = "nobody listens"
    if processes.wait_for_port(started.site.port, started.process, started.contender.patience):
        while time.monotonic() < end and started.process.poll() is None:
            last = _try(started)
            if not last:
                return
            time.sleep(0.2)
    said = (started.site.folder / "output").read_text("utf-8", "replace").strip().splitlines()
    raise Failed(f"{started.contender.name} did not start: {last}; its last words: {' / '.join(said[-3:])[:600]}")


def _try(started: Running) -> str:
    """Ask once; "" when the answer is the mock's, else what it was."""
    head, _, body = _request(started, Question()).partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode("ascii").split("\r\n")[1:])
    for name in ("connection", "content-length", "host", "accept-encoding"):
        del fields[name]
    url = f"http://127.0.0.1:{started.site.port}{PATH}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, fields), timeout=10) as answer:
            json.load(answer)
    except urllib.error.HTTPError as error:
        return f"status {error.code} {error.read(300)!r}"
    except (OSError, ValueError) as error:
        return repr(error)
    return ""


def _request(started: Running, question: Question) -> bytes:
    contender = started.contender
    model = f"{provider_name(0)}/{MODEL}" if contender.providers > 1 else MODEL
    return raw(question, client_key(0), model=model, extra=contender.extra(started.site))


def _varied(started: Running, request: bytes) -> list[str]:
    """Options of the load that lay client keys, or provider names, over the request in turn."""
    contender = started.contender
    if contender.providers > 1:
        values, first = [provider_name(number) for number in range(contender.providers)], provider_name(0)
    else:
        values, first = [client_key(number) for number in range(contender.keys)], client_key(0)
    path = started.site.folder / "values"
    path.write_text("\n".join(values) + "\n", "ascii")
    marked = f'"{first}/' if contender.providers > 1 else first
    offset = request.index(marked.encode("ascii")) + (contender.providers > 1)
    return ["-v", str(path), "-o", str(offset)]


def measure(started: Running, scenario: Scenario, load: Load, repetition: int = 0) -> Sample:
    """Put a load on a running contender.

    Raises:
        Failed: the contender ended, or answered nothing.
    """
    request = _request(started, scenario.question)
    path = started.site.folder / "request"
    path.write_bytes(request)
    command: tuple[str | Path, ...] = (
        *(compiled("load"), "-p", str(started.site.port), "-f", path, "-c", str(scenario.connections)),
        *("-a", str(scenario.ramp), "-w", str(load.warm), "-t", str(load.seconds * scenario.stretch)),
        *("-s", str(scenario.question.chunks), "-R", str(load.rate), *_varied(started, request)),
    )
    root = started.process.pid
    idle = processes.resident(processes.tree(root))
    process = processes.start(command, processes.cpus()[1], nice=started.bench.nice, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        _expect(process.stdout.readline(), b"begin")
        pids = processes.tree(root)
        before, modes_before = processes.cpu_time(pids), processes.system_time(pids)
        _expect(process.stdout.readline(), b"end")
        pids = processes.tree(root)
        after, modes_after = processes.cpu_time(pids), processes.system_time(pids)
        rss = processes.resident(pids)
        counted = json.loads(process.stdout.readline())
    finally:
        processes.stop(process)
    if started.process.poll() is not None:
        raise Failed(f"{started.contender.name} ended with status {started.process.returncode} under load")
    used = processes.spent(before, after)
    user, kernel = (late - early for early, late in zip(modes_before, modes_after, strict=True))
    sample = _sample(scenario, counted, used, load.rate)
    sample.contender, sample.repetition = started.contender.name, repetition
    sample.kernel = kernel / (user + kernel) if user + kernel else 0.0
    sample.rss, sample.idle_rss = rss, idle
    return sample


def _sample(scenario: Scenario, counted: dict[str, Any], used: int, rate: float) -> Sample:
    """What the load counted, and the nanoseconds that the gateway used, as a sample."""
    units = counted["chunks" if scenario.question.chunks else "right"]
    seconds = counted["seconds"]
    return Sample(
        scenario=scenario.name,
        contender="",
        repetition=0,
        cpu_us=used / units / 1000 if units else float("nan"),
        kernel=0.0,
        busy=used / 1e9 / seconds,
        units=units,
        per_second=units / seconds,
        chunks_per_read=counted["chunks"] / counted["reads"] if counted["reads"] else 0.0,
        faults={kind: count for kind, count in counted["errors"].items() if count},
        rss=0.0,
        idle_rss=0.0,
        rate=rate,
        times={name: counted[name] for name in ("latency", "first_chunk", "delay", "gap") if counted[name]["count"]},
    )


def _expect(line: bytes, word: bytes) -> None:
    if line.strip() != word:
        raise Failed(f"the load generator said {line!r}")


def available() -> str:
    """Why nothing can be measured here, or ""."""
    try:
        compiled("mock")
        compiled("load")
    except Missing as error:
        return str(error)
    return ""
