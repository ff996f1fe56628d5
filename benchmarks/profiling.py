"""Where relay's time goes: samples of its stack, added up by layer, by function, and with all that a function calls.

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
from dataclasses import dataclass, field, replace
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


@dataclass
class Found:
    """What was seen, in samples or microseconds.

    Attributes:
        layers: time in each layer's own code.
        functions: time in each function's own code.
        within: time in each of relay's functions and all that it called.
    """

    layers: Counter[str] = field(default_factory=Counter)
    functions: Counter[str] = field(default_factory=Counter)
    within: Counter[str] = field(default_factory=Counter)


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
    """Profile relay under each scenario and print what was found."""
    spy = sampler()
    if spy is None:
        print("py-spy is not installed (benchmarks/run setup py-spy); cProfile distorts\n")
    with measuring.mock(nice) as bench:
        for scenario in scenarios:
            sample, found = _sampled(spy, bench, scenario) if spy else _traced(bench, scenario)
            for table in tables(sample, scenario, found):
                print(f"{report.plain(table)}\n")
    return 0


def sampler() -> str | None:
    """py-spy's path, or None."""
    own = cache() / "py-spy" / "bin" / "py-spy"
    return str(own) if own.exists() else shutil.which("py-spy")


def install() -> None:
    """Put py-spy into the cache."""
    pip_install("py-spy", "py-spy")


def tables(sample: Sample, scenario: Scenario, found: Found) -> list[Table]:
    """Shares of what was seen as CPU microseconds per request or chunk."""
    made = []
    total = found.layers.total() or 1
    for title, counted in (
        ("layer", found.layers),
        ("function", found.functions),
        ("function of relay with all that it calls", found.within),
    ):
        rows = [(title, f"µs/{scenario.unit}", "share")]
        for name, count in counted.most_common(MOST):
            share = count / total
            rows.append((name, f"{share * sample.cpu_us:.2f}", f"{share:.1%}"))
        spent = f"{figures.number(sample.cpu_us)} µs, {sample.kernel:.0%} of it in the kernel"
        made.append(Table(f"{scenario.title}: {spent}; by {title}", tuple(rows)))
    return made


# ── py-spy ────────────────────────────────────────────────────────────────────────────


def _sampled(spy: str, bench: Bench, scenario: Scenario) -> tuple[Sample, Found]:
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
    found = attribute(stacks.read_text("utf-8").splitlines())
    shutil.rmtree(stacks.parent)
    return sample, found


def attribute(lines: Iterable[str]) -> Found:
    """What collapsed stacks with full paths tell, in samples.

    A frame of the standard library counts for the frame of relay or Twisted that called it;
    a line that makes a system call counts for the kernel.
    """
    found = Found()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frames = [frame for frame in map(_FRAME.fullmatch, stack.split(";")) if frame and layer_of(frame[2])]
        for name in {_named(frame) for frame in frames if _is_relay(frame[2])}:
            found.within[name] += int(count)
        if frames:
            layer = layer_of(frames[-1][2]) or "other"
            kernel = _system_call(frames[-1]) if layer in _NEAR_THE_KERNEL else None
            found.layers[f"kernel: {kernel}" if kernel else layer] += int(count)
            found.functions[_named(frames[-1])] += int(count)
        else:
            found.layers["other"] += int(count)
    return found


def _named(frame: re.Match[str]) -> str:
    return f"{frame[1]} ({_short(frame[2])})"


def _is_relay(path: str) -> bool:
    return Path(path).is_relative_to(CHECKOUT / "relay")


def _system_call(frame: re.Match[str]) -> str | None:
    """The system call that a frame was making, as its source line tells."""
    call = _SYSTEM_CALL.search(linecache.getline(frame[2], int(frame[3])))
    return call[1] if call else _INDIRECT.get(frame[1])


def layer_of(path: str) -> str | None:
    """The layer that a source file belongs to; None for libraries that work for whoever calls them."""
    file = Path(path)
    if _is_relay(path):
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


def _traced(bench: Bench, scenario: Scenario) -> tuple[Sample, Found]:
    statistics = Path(tempfile.mkdtemp()) / "statistics"

    def start(site: Site, profile: str) -> Launch:
        options = ("--http=engine",) if has_engine() else ()
        return launch(site, RELAY.keys, RELAY.providers, options, profile)

    with measuring.running(RELAY, bench) as started:
        sample = measuring.measure(started, scenario, Load(SECONDS, WARM))
    profiled = replace(RELAY, launch=functools.partial(start, profile=str(statistics)))
    with measuring.running(profiled, bench) as started:
        measuring.measure(started, scenario, Load(SECONDS, WARM))
    found = add_up(vars(pstats.Stats(str(statistics)))["stats"])
    shutil.rmtree(statistics.parent)
    return sample, found


def add_up(profiles: Mapping[Function, Sequence[Any]]) -> Found:
    """What cProfile's figures tell, in microseconds.

    Args:
        profiles: calls, calls without recursion, seconds in itself, seconds with what it called, callers.
    """
    found = Found()
    for (path, _, name), profile in profiles.items():
        call = _METHOD.fullmatch(name)
        layer = f"kernel: {call[1]}" if call else layer_of(path) or "other"
        spent = round(profile[2] * 1e6)
        shown = name if path == "~" else f"{name} ({_short(path)})"
        found.layers[layer] += spent
        found.functions[shown] += spent
        if _is_relay(path):
            found.within[shown] += round(profile[3] * 1e6)
    return found
