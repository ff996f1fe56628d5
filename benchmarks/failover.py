"""Two deployments of one model, of which one is killed and comes back under load: what clients notice.

``python -m benchmarks.failover [SECONDS]`` runs relay with a route over two mocks. In the first third both run, in
the second the preferred one is dead, in the last it is back. It prints, for whole answers and for streams, how many
were right, what went wrong, and what a request cost, beside a run in which nobody dies. A stream that was cut behind
its first content counts as wrong: nothing can be done about it then.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from benchmarks import measuring, processes, report
from benchmarks.contenders.base import Contender, Launch, Site
from benchmarks.measuring import Bench, Load, Sample
from benchmarks.places import CHECKOUT, compiled
from benchmarks.questions import MODEL, Question, client_key
from benchmarks.report import Table
from benchmarks.scenarios import Kind, Scenario

SECONDS = 6.0
SCENARIOS = (
    Scenario("failover", "1 KB request, 32 connections", Kind.COST, 32, Question()),
    Scenario("failover-stream", "stream of 10 chunks, 32 connections", Kind.COST, 32, Question(chunks=10)),
)
BREAKER = {"failures": 5, "window": 2, "cooldown": 0.5, "slowStart": 0.5}


def main(words: Sequence[str]) -> int:
    """Measure, and print a table; the exit status is 1 when a request failed that nobody had to notice."""
    problem = measuring.available()
    if problem:
        print(problem, file=sys.stderr)
        return 1
    seconds = float(words[0]) if words else SECONDS
    rows: list[tuple[str, ...]] = [("load", "who dies", "right", "wrong", "a second", "CPU µs")]
    failed = 0
    for scenario in SCENARIOS:
        for dies in (False, True):
            sample = run(scenario, seconds, dies=dies)
            rows.append((scenario.title, "one of two" if dies else "nobody", *figures(scenario, sample)))
            failed += sample.errors if not scenario.question.chunks else 0
    print(report.plain(Table("Failover", tuple(rows))))
    return int(failed > 0)


def figures(scenario: Scenario, sample: Sample) -> tuple[str, ...]:
    """The row's figures: answers or chunks that were right, faults by kind, rate and cost."""
    faults = ", ".join(f"{kind}: {count}" for kind, count in sample.faults.items()) or "0"
    return f"{sample.units} {scenario.unit}s", faults, f"{sample.per_second:.0f}", f"{sample.cpu_us:.1f}"


def run(scenario: Scenario, seconds: float, *, dies: bool) -> Sample:
    """One load on a fresh relay with two fresh mocks."""
    ports = processes.free_port(), processes.free_port()
    with Mock(ports[0]) as first, Mock(ports[1]):
        contender = Contender("relay", "a route of two", lambda: "", lambda site: launch(site, ports), lambda: "relay")
        with measuring.running(contender, Bench(ports[1])) as started:
            calls = [
                threading.Timer(share * seconds + 0.5, act)
                for share, act in ((1 / 3, first.kill), (2 / 3, first.start))
            ]
            for call in calls if dies else ():
                call.start()
            try:
                return measuring.measure(started, scenario, Load(seconds, 0.5))
            finally:
                for call in calls:
                    call.cancel()


class Mock:
    """A provider that can be killed, and started again on its port; runs while it is a context."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Mock:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.kill()

    def start(self) -> None:
        """Start, and wait until it listens."""
        process = self._process = subprocess.Popen([compiled("mock"), str(self._port), "1"], stdout=subprocess.DEVNULL)
        with contextlib.suppress(OSError):
            os.sched_setaffinity(process.pid, processes.cpus()[1])
        if not processes.wait_for_port(self._port, process, 10):
            raise measuring.Failed("the mock did not start")

    def kill(self) -> None:
        """Kill it, with all its connections."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait()


def launch(site: Site, ports: tuple[int, int]) -> Launch:
    """How relay starts with a route over the mocks, the first one preferred."""
    variables = configure(site.folder, ports)
    command = (
        *(sys.executable, "-m", "benchmarks.launch", variables),
        *("-n", "--pidfile=", f"--logfile={site.folder / 'access.log'}"),
        *("relay", f"--config={site.folder / 'relay.json'}", f"--port={site.port}", "--log-format=json"),
    )
    return Launch(command, cwd=CHECKOUT)


def configure(folder: Path, ports: tuple[int, int]) -> Path:
    """Write relay's configuration; returns the file of variables for `benchmarks.launch`."""
    providers = [
        {"name": f"m{port}", "baseUrl": f"http://127.0.0.1:{port}/v1", "auth": {"scheme": "none"}} for port in ports
    ]
    deployments = [{"provider": f"m{port}", "model": MODEL, "priority": place} for place, port in enumerate(ports)]
    config = {
        "providers": providers,
        "routes": {MODEL: {"deployments": deployments, "breaker": BREAKER}},
        "clientKeys": [{"name": f"c{number}", "env": f"K{number}"} for number in range(100)],
    }
    (folder / "relay.json").write_text(json.dumps(config), "utf-8")
    path = folder / "variables.json"
    path.write_text(json.dumps({f"K{number}": client_key(number) for number in range(100)}), "utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
