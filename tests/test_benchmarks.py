"""The benchmark program: its arithmetic, its tables, and that its document knows what it measures. Nothing is timed."""

from __future__ import annotations

import gc
import json
import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import figures, micro, plot, profiling, report, scenarios, session
from benchmarks.contenders.all import CONTENDERS
from benchmarks.contenders.base import Site
from benchmarks.contenders.relay import configure
from benchmarks.figures import Figure
from benchmarks.instant import read_configuration
from benchmarks.measuring import Sample
from benchmarks.places import CHECKOUT
from benchmarks.questions import Question, client_key, raw
from benchmarks.scenarios import SCENARIOS

DOCUMENT = (CHECKOUT / "docs" / "performance.md").read_text("utf-8")


def sample(scenario: str, contender: str, cpu_us: float, **other: float) -> Sample:
    """A repetition in which nothing is worth telling but the cost."""
    values: dict[str, float] = {"rss": 50.0, "idle_rss": 40.0, **other}
    return Sample(
        scenario=scenario,
        contender=contender,
        repetition=0,
        cpu_us=cpu_us,
        kernel=0.5,
        busy=1.0,
        units=1000,
        per_second=1000.0,
        chunks_per_read=1.0,
        faults={},
        rss=values["rss"],
        idle_rss=values["idle_rss"],
        times={"latency": {"p50": 1.0, "p99": 2.0}},
    )


def rows(samples: Sequence[Sample]) -> list[tuple[str, ...]]:
    """The rows of the first table."""
    return list(report.tables(samples)[0].rows)


class FigureTests(SynchronousTestCase):
    """Medians, ranges, ratios, and how they are written."""

    def test_medianAndRange(self) -> None:
        """One slow repetition widens the range and leaves the median alone."""
        self.assertEqual(figures.figure([3.0, 90.0, 1.0]), Figure(3.0, 1.0, 90.0, 3))

    def test_nothingCompleted(self) -> None:
        """A repetition without one answer has no cost, and does not count as a cheap one."""
        self.assertEqual(figures.figure([math.nan, 4.0]), Figure(4.0, 4.0, 4.0, 1))
        self.assertIsNone(figures.figure([math.nan]))

    def test_ratio(self) -> None:
        """A ratio needs both figures."""
        one, other = Figure(30.0, 29.0, 31.0, 3), Figure(10.0, 9.0, 11.0, 3)
        self.assertEqual(figures.ratio(one, other), 3.0)
        self.assertIsNone(figures.ratio(one, None))

    def test_threeDigits(self) -> None:
        """Numbers show three digits, and rounding does not add a fourth."""
        shown = [figures.number(value) for value in (1.234, 9.996, 12.34, 99.96, 123.4, 12345.6)]
        self.assertEqual(shown, ["1.23", "10.0", "12.3", "100", "123", "12,346"])

    def test_errorsShow(self) -> None:
        """Wrong answers stand beside the figure that they spoil."""
        self.assertEqual(figures.shown(Figure(12.0, 11.0, 13.0, 3, errors=7)), "12.0 (11.0–13.0) ✗7")


class TableTests(SynchronousTestCase):
    """Samples as tables."""

    def test_ratiosToTheReference(self) -> None:
        """Every contender but nginx is compared with nginx in the same row."""
        found = rows([sample("request-16", "relay", 45.0), sample("request-16", "nginx", 15.0)])
        self.assertEqual(found, [("", "relay", "nginx"), ("1 KB request, 16 connections", "45.0 · 3.00×", "15.0")])

    def test_aloneWithoutRatio(self) -> None:
        """Without nginx there is nothing to compare with."""
        self.assertEqual(rows([sample("request-16", "relay", 45.0)])[1][1], "45.0")

    def test_unitsApart(self) -> None:
        """Requests and chunks never stand in one table."""
        made = report.tables([sample("request-16", "relay", 45.0), sample("chunk-full", "relay", 5.0)])
        self.assertEqual([table.title for table in made], ["CPU µs per request", "CPU µs per chunk"])

    def test_growth(self) -> None:
        """Growth is told as the ratio to the smallest size."""
        samples = [sample("growth-keys", "10 keys", 40.0), sample("growth-keys", "100000 keys", 44.0)]
        self.assertEqual([row[2] for row in rows(samples)], ["to the first", "1.00×", "1.10×"])

    def test_markdown(self) -> None:
        """A Markdown table has a head, a rule and one line a row."""
        table = report.tables([sample("request-16", "relay", 45.0)])[0]
        lines = report.markdown(table).splitlines()
        self.assertEqual(lines[2:], ["|  | relay |", "|---|---|", "| 1 KB request, 16 connections | 45.0 |"])

    def test_json(self) -> None:
        """What had nothing to be divided by is null in JSON, which has no other word for it."""
        text = json.dumps(sample("request-16", "relay", math.nan).as_dict(), allow_nan=False)
        self.assertIsNone(json.loads(text)["cpu_us"])


class PlotTests(SynchronousTestCase):
    """Charts."""

    def test_wellFormed(self) -> None:
        """Each scenario with samples gets a chart, and each contender a bar in it."""
        samples = [sample("request-16", "relay", 45.0), sample("request-16", "a<b", 15.0)]
        drawings = plot.drawings(samples)
        self.assertEqual(list(drawings), ["request-16"])
        bars = ET.fromstring(drawings["request-16"]).findall("{*}rect[@x]")  # our own
        widths = [float(bar.get("width", "0")) for bar in bars]
        self.assertEqual(len(widths), 2)
        self.assertGreater(widths[0], widths[1])


class QuestionTests(SynchronousTestCase):
    """What the load generator sends."""

    def test_size(self) -> None:
        """The body has the size that the scenario names, and the head says so."""
        for size in (1024, 1_000_000):
            head, _, body = raw(Question(size=size), client_key(0)).partition(b"\r\n\r\n")
            self.assertEqual(len(body), size)
            self.assertIn(b"content-length: %d" % size, head)
            json.loads(body)

    def test_keysOfOneLength(self) -> None:
        """The load generator lays keys over each other, so all are equally long."""
        self.assertEqual({len(client_key(number)) for number in (0, 99, 99_999)}, {len(client_key(1))})

    def test_stream(self) -> None:
        """A scenario with chunks asks for a stream, in the spelling that the mock looks for."""
        self.assertIn(b'"stream":true', raw(SCENARIOS["chunk-full"].question, client_key(0)))
        self.assertNotIn(b'"stream"', raw(SCENARIOS["request-1"].question, client_key(0)))


class ProfileTests(SynchronousTestCase):
    """Stacks as layers."""

    def test_layers(self) -> None:
        """Time in a library counts for the layer that called it, time in Twisted for Twisted."""
        relay, library = CHECKOUT / "relay", Path("/usr/lib/python3.11")
        lines = [
            f"run (/x/twisted/internet/base.py:1);plan ({relay}/planning.py:1) 3",
            f"plan ({relay}/planning.py:1);read ({relay}/dialects/request.py:1);loads ({library}/json/decoder.py:1) 4",
            "run (/x/twisted/internet/base.py:1) 2",
        ]
        found = profiling.attribute(lines)
        self.assertEqual(found.layers, {"gateway": 3, "dialects": 4, "twisted": 2})
        self.assertEqual(found.functions["read (relay/dialects/request.py)"], 4)
        self.assertEqual(found.within["plan (relay/planning.py)"], 7)

    def test_systemCalls(self) -> None:
        """A line that makes a system call counts for the kernel, not for the layer that it stands in."""
        path = CHECKOUT / "relay" / "runtime" / "transport.py"
        lines = path.read_text("utf-8").splitlines()
        number = next(number for number, line in enumerate(lines, 1) if ".socket.recv(" in line)
        found = profiling.attribute([f"doRead ({path}:{number}) 5", f"doRead ({path}:1) 1"])
        self.assertEqual(found.layers, {"kernel: recv": 5, "runtime": 1})


class MicroTests(SynchronousTestCase):
    """The functions that are timed one by one."""

    def test_eachRuns(self) -> None:
        """Every one can be prepared and called, so that a change of its signature is noticed here."""
        for name, make in micro.ACTIONS.items():
            if "1 MB" not in name:
                make()()

    def test_noCycles(self) -> None:
        """An exchange that is over leaves nothing for the garbage collector, whose pauses every client would feel."""
        for name, make in micro.ACTIONS.items():
            if "exchange" in name and "Twisted" not in name:
                action = make()
                action()
                gc.collect()
                gc.disable()
                self.addCleanup(gc.enable)
                for _ in range(20):
                    action()
                self.assertLess(gc.collect(), 20, name)
                gc.enable()


class GroupTests(SynchronousTestCase):
    """Which scenarios share a process."""

    def test_groups(self) -> None:
        """Costs of one unit do, so that starts do not take most of the time; memory is taken on a fresh process."""
        chosen = [SCENARIOS[name] for name in ("request-1", "chunk-full", "request-16", "memory-1000", "latency")]
        found = [[scenario.name for scenario in group] for group in session.groups(chosen, together=False)]
        self.assertEqual(found, [["request-1", "request-16"], ["chunk-full"], ["memory-1000"], ["latency"]])


class ConfigurationTests(SynchronousTestCase):
    """How relay is set up while it is measured."""

    def test_everythingOn(self) -> None:
        """Relay asks for keys and counts against a limit; else the figures would flatter it."""
        snapshot = read_configuration()
        self.assertEqual(len(snapshot.client_keys), 100)
        self.assertGreater(snapshot.first.rate_limits["/v1/chat/completions"].requests_per_minute, 0)
        self.assertTrue(snapshot.first.model_mapping)

    def test_ownAddresses(self) -> None:
        """Each provider has an address of its own, so that growth is not hidden by one shared pool."""
        folder = Path(self.mktemp())
        folder.mkdir()
        configure(Site(1, 2, folder), keys=1, providers=200)
        entries = json.loads((folder / "relay.json").read_text("utf-8"))["providers"]
        self.assertEqual(len({entry["baseUrl"] for entry in entries}), 200)


class DocumentTests(SynchronousTestCase):
    """docs/performance.md."""

    def test_scenariosAndContenders(self) -> None:
        """Every scenario and every contender is told of by its name."""
        missing = [name for name in (*SCENARIOS, *CONTENDERS) if f"`{name}`" not in DOCUMENT]
        self.assertEqual(missing, [])

    def test_quickIsKnown(self) -> None:
        """The quick look is made of scenarios that exist."""
        self.assertEqual([name for name in scenarios.QUICK if name not in SCENARIOS], [])
