"""Where relay's time goes: samples of its stack, added up by layer and by function.

py-spy looks from outside and costs the measured process next to nothing. Without it
cProfile runs inside, whose own cost falls on small functions: then shares mislead.
"""

from __future__ import annotations

import functools
import linecache
import pstats
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import figures, measuring, processes, report
from benchmarks.contenders.base import Launch, Site, pip_install
from benchmarks.contenders.relay import RELAY, has_engine, launch
from benchmarks.measuring import Bench, Load, Sample
from benchmarks.places import CHECKOUT, cache
from benchmarks.report import Table
from benchmarks.scenarios import Scenario

SECONDS = 5.0
WARM = 1.0
RATE = 500
"""Samples a second."""

MOST = 30
"""Functions shown."""

Function = tuple[str, int, str]
"""File, line, name."""

_MIDDLE = frozenset(("gateway", "attempt", "delivery", "planning", "running"))
_SYSTEM_CALL = re.compile(r"\.(?:_(?=poll))?(recv|recv_into|send|poll|modify|register|unregister|accept|connect_ex)\(")
_NEAR_THE_KERNEL = ("runtime", "twisted")
"""Layers that make system calls."""

_INDIRECT = {"untilConcludes": "send"}
"""Functions of Twisted's through which a system call is made."""

_METHOD = re.compile(r"<method '(\w+)' of '(?:_socket\.socket|select\.epoll)' objects>")
_FRAME = re.compile(r"(.*) \((.*):(\d+)\)")


def main(scenarios: Sequence[Scenario], nice: int) -> int:
    """Profile relay under each scenario and print two tables for each."""
    spy = sampler()
    if spy is None:
        print("py-spy is not installed (benchmarks/run setup py-spy); cProfile distorts\n")
    with measuring.mock(nice) as bench:
        for scenario in scenarios:
            sample, layers, functions = _sampled(spy, bench, scenario) if spy else _traced(bench, scenario)
            for table in tables(sample, scenario, layers, functions):
                print(f"{report.plain(table)}\n")
    return 0


def sampler() -> str | None:
    """py-spy's path, or None."""
    own = cache() / "py-spy" / "bin" / "py-spy"
    return str(own) if own.exists() else shutil.which("py-spy")


def install() -> None:
    """Put py-spy into the cache."""
    pip_install("py-spy", "py-spy")


def tables(sample: Sample, scenario: Scenario, layers: Counter[str], functions: Counter[str]) -> list[Table]:
    """Shares of the stack's samples as CPU microseconds per request or chunk."""
    made = []
    for title, counted in (("layer", layers), ("function", functions)):
        total = counted.total() or 1
        rows = [(title, f"µs/{scenario.unit}", "share")]
        for name, count in counted.most_common(MOST):
            share = count / total
            rows.append((name, f"{share * sample.cpu_us:.2f}", f"{share:.1%}"))
        spent = f"{figures.number(sample.cpu_us)} µs, {sample.kernel:.0%} of it in the kernel"
        made.append(Table(f"{scenario.title}: {spent}; by {title}", tuple(rows)))
    return made


# ── py-spy ────────────────────────────────────────────────────────────────────────────


def _sampled(spy: str, bench: Bench, scenario: Scenario) -> tuple[Sample, Counter[str], Counter[str]]:
    """Measure undisturbed first, then look at the stacks under the same load."""
    stacks = Path(tempfile.mkdtemp()) / "stacks"
    seconds = scenario.ramp + WARM + SECONDS * scenario.stretch
    with measuring.running(RELAY, bench) as started:
        sample = measuring.measure(started, scenario, Load(SECONDS, WARM))
        command = [spy, "record", "--pid", str(started.process.pid), "--format", "raw", "--full-filenames"]
        command += ["--duration", str(int(seconds)), "--rate", str(RATE), "--output", str(stacks)]
        watching = processes.start(command, processes.cpus()[1], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        measuring.measure(started, scenario, Load(SECONDS, WARM))
        watching.wait(60)
    layers, functions = attribute(stacks.read_text("utf-8").splitlines())
    shutil.rmtree(stacks.parent)
    return sample, layers, functions


def attribute(lines: Iterable[str]) -> tuple[Counter[str], Counter[str]]:
    """Self time by layer and by function, from collapsed stacks with full paths.

    A frame of the standard library counts for the frame of relay or Twisted that called it;
    a line that makes a system call counts for the kernel.
    """
    layers: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        for frame in reversed(stack.split(";")):
            found = _FRAME.fullmatch(frame)
            layer = layer_of(found[2]) if found else None
            if found is None or layer is None:
                continue
            kernel = _system_call(found) if layer in _NEAR_THE_KERNEL else None
            layers[f"kernel: {kernel}" if kernel else layer] += int(count)
            functions[f"{found[1]} ({_short(found[2])})"] += int(count)
            break
        else:
            layers["other"] += int(count)
    return layers, functions


def _system_call(frame: re.Match[str]) -> str | None:
    """The system call that a frame was making, as its source line tells."""
    call = _SYSTEM_CALL.search(linecache.getline(frame[2], int(frame[3])))
    return call[1] if call else _INDIRECT.get(frame[1])


def layer_of(path: str) -> str | None:
    """The layer that a source file belongs to; None for libraries that work for whoever calls them."""
    file = Path(path)
    if file.is_relative_to(CHECKOUT / "relay"):
        name = file.relative_to(CHECKOUT / "relay").with_suffix("").parts[0]
        return "gateway" if name in _MIDDLE else name
    for library in ("twisted", "treq", "prometheus_client"):
        if library in file.parts:
            return library
    return None


def _short(path: str) -> str:
    file = Path(path)
    return str(file.relative_to(CHECKOUT)) if file.is_relative_to(CHECKOUT) else "/".join(file.parts[-3:])


# ── cProfile ──────────────────────────────────────────────────────────────────────────


def _traced(bench: Bench, scenario: Scenario) -> tuple[Sample, Counter[str], Counter[str]]:
    statistics = Path(tempfile.mkdtemp()) / "statistics"

    def start(site: Site, profile: str) -> Launch:
        options = ("--http=engine",) if has_engine() else ()
        return launch(site, RELAY.keys, RELAY.providers, options, profile)

    with measuring.running(RELAY, bench) as started:
        sample = measuring.measure(started, scenario, Load(SECONDS, WARM))
    profiled = replace(RELAY, launch=functools.partial(start, profile=str(statistics)))
    with measuring.running(profiled, bench) as started:
        measuring.measure(started, scenario, Load(SECONDS, WARM))
    layers, functions = add_up(vars(pstats.Stats(str(statistics)))["stats"])
    shutil.rmtree(statistics.parent)
    return sample, layers, functions


def add_up(profiles: Mapping[Function, Sequence[Any]]) -> tuple[Counter[str], Counter[str]]:
    """Self time by layer and by function, microseconds, from cProfile's figures.

    Args:
        profiles: calls, calls without recursion, seconds in itself, seconds with what it called, callers.
    """
    layers: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for (path, _, name), profile in profiles.items():
        call = _METHOD.fullmatch(name)
        layer = f"kernel: {call[1]}" if call else layer_of(path) or "other"
        spent = round(profile[2] * 1e6)
        layers[layer] += spent
        functions[name if path == "~" else f"{name} ({_short(path)})"] += spent
    return layers, functions
