"""The command line of ``benchmarks/run``."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Container, Sequence
from pathlib import Path

from benchmarks import measuring, micro, profiling, report, session
from benchmarks.contenders.all import CONTENDERS
from benchmarks.contenders.base import Contender
from benchmarks.measuring import Sample
from benchmarks.places import RESULTS
from benchmarks.scenarios import QUICK, SCENARIOS
from benchmarks.session import Plan

PROFILED = ("request-16", "chunk-10ms-200")
"""What is profiled unless something else is asked for."""

SPY = "py-spy"

_EPILOG = """
other uses:
  benchmarks/run list                 contenders and scenarios, and what is missing
  benchmarks/run setup [NAME…]        install peers, and py-spy for --profile, into the cache folder
  benchmarks/run micro [WORD…]        µs of single functions of relay whose names hold a WORD

examples:
  benchmarks/run --quick relay nginx
  benchmarks/run --scenario chunk-10ms-200 --repeat 5 relay nginx
  benchmarks/run --profile --scenario request-16
"""


def main(arguments: Sequence[str]) -> int:
    """Do what was asked; the exit status."""
    word, rest = (arguments[0], arguments[1:]) if arguments else ("", ())
    if word == "list":
        return _list()
    if word == "setup":
        return _setup(rest)
    if word == "micro":
        return micro.main(rest)
    return _run(_parser().parse_args(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run",
        description="Measure what relay and other gateways cost on this machine.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("contenders", nargs="*", metavar="CONTENDER", help=f"who takes part (all): {', '.join(CONTENDERS)}")
    add("--quick", action="store_true", help=f"a minute's look: {', '.join(QUICK)}")
    add("--scenario", action="append", metavar="NAME", help=f"what is measured (all): {', '.join(SCENARIOS)}")
    add("--repeat", type=int, metavar="N", help="fresh processes for each scenario and contender (5; --quick: 2)")
    add("--seconds", type=float, metavar="S", help="length of one measurement (3; --quick: 1)")
    add("--nice", type=int, default=0, metavar="N", help="priority of what runs: -10 helps on a busy machine")
    add("--output", type=Path, metavar="DIR", help="where results go (benchmarks/results/DATE)")
    add("--profile", action="store_true", help="show where relay's time goes instead")
    return parser


def _run(given: argparse.Namespace) -> int:
    problem = _unknown(given.contenders, CONTENDERS) or _unknown(given.scenario or (), SCENARIOS)
    problem = problem or measuring.available()
    if problem:
        print(problem, file=sys.stderr)
        return 1
    names = given.scenario or (QUICK if given.quick else tuple(SCENARIOS))
    if given.profile:
        return profiling.main([SCENARIOS[name] for name in given.scenario or PROFILED], given.nice)
    contenders = _present(given.contenders)
    if not contenders:
        return 1
    plan = Plan(
        contenders=tuple(contenders),
        scenarios=tuple(SCENARIOS[name] for name in names),
        repetitions=given.repeat or (2 if given.quick else 5),
        seconds=given.seconds or (1.0 if given.quick else 3.0),
        warm=0.5 if given.quick else 1.0,
        together=given.quick,
        nice=given.nice,
    )
    return _measure(plan, given.output or RESULTS / time.strftime("%Y-%m-%d-%H%M%S"))


def _measure(plan: Plan, folder: Path) -> int:
    before = session.machine()
    versions = {contender.name: contender.version() for contender in plan.contenders}
    samples: list[Sample] = []
    try:
        for sample in session.run(plan):
            samples.append(sample)
            print(_progress(sample), flush=True)
    except KeyboardInterrupt:
        print("interrupted; what there is:")
    for table in report.tables(samples):
        print(f"\n{report.plain(table)}")
    session.write(folder, samples, versions, before)
    print(f"\nmedian (least–most) · ratio to nginx; ✗: wrong answers. Written to {folder}")
    return 0 if samples else 1


def _progress(sample: Sample) -> str:
    unit = SCENARIOS[sample.scenario].unit
    return (
        f"{sample.scenario:18} {sample.contender:14} #{sample.repetition + 1} {sample.cpu_us:9.1f} µs/{unit:8}"
        f"{sample.per_second:9.0f}/s  busy {sample.busy:4.0%}  {sample.rss:5.0f} MB"
        f"{''.join(f'  {kind}: {count}' for kind, count in sample.faults.items())}"
    )


def _unknown(names: Sequence[str], known: Container[str]) -> str:
    wrong = [name for name in names if name not in known]
    return f"unknown: {', '.join(wrong)}; see benchmarks/run list" if wrong else ""


def _present(names: Sequence[str]) -> list[Contender]:
    present = []
    for name in names or CONTENDERS:
        reason = CONTENDERS[name].missing()
        if reason:
            print(f"skipped {name}: {reason}")
        else:
            present.append(CONTENDERS[name])
    return present


def _list() -> int:
    for contender in CONTENDERS.values():
        print(f"{contender.name:14} {contender.missing() or f'{contender.version()}: {contender.title}'}")
    print()
    for scenario in SCENARIOS.values():
        print(f"{scenario.name:18} {scenario.title} ({scenario.kind.value})")
    return 0


def _setup(names: Sequence[str]) -> int:
    problem = _unknown(names, (*CONTENDERS, SPY))
    if problem:
        print(problem, file=sys.stderr)
        return 1
    reasons = {name: _install(name) for name in names or (*CONTENDERS, SPY)}
    for name, reason in reasons.items():
        print(f"{name:14} {reason or 'installed'}")
    return 1 if any(reasons.values()) else 0


def _install(name: str) -> str:
    """Fetch a peer or py-spy unless it is there; why it is still missing, or ""."""
    contender = CONTENDERS.get(name)
    missing = contender.missing if contender else lambda: "" if profiling.sampler() else "not installed"
    install = contender.install if contender else profiling.install
    if missing() and install is not None:
        print(f"installing {name} …", flush=True)
        try:
            install()
        except (OSError, subprocess.CalledProcessError) as error:
            return str(error)
    return missing()
