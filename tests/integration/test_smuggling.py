"""The corpus of raw requests against a real relay: 0 desyncs, 0 malformed requests upstream. R1 of the promises."""

from __future__ import annotations

import json
from pathlib import Path

import attrs

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.smuggling import Expectation, Observation, Recorder, judge, load, run
from tests.integration.twistd import Twistd

LEAST_CASES = 266
CONFIG = {
    "providers": ["./recorder.json"],
    "timeouts": {"requestHead": 6, "requestBody": 6},
    "server": {"body": 100_000},
}


class CorpusTests(SynchronousTestCase):
    """The corpus itself."""

    def test_itIsLargeAndNamesItsRules(self) -> None:
        """Every case names a section, and no two cases are the same."""
        cases = load()
        self.assertGreaterEqual(len(cases), LEAST_CASES)
        self.assertEqual([case.title for case in cases if not case.rule.startswith("RFC ")], [])
        self.assertEqual(len({case.title for case in cases}), len(cases))
        sent = [tuple(str(step).replace(case.mark, "") for step in case.steps) for case in cases]
        self.assertEqual(sorted(one for one in set(sent) if sent.count(one) > 1), [])


class EngineTests(SynchronousTestCase):
    """Each case of the corpus has its outcome on the engine's channel."""

    mode = "engine"

    def setUp(self) -> None:
        """A relay in front of a provider that records."""
        directory = Path(self.mktemp())
        directory.mkdir(parents=True)
        self.recorder = Recorder()
        self.addCleanup(self.recorder.close)
        provider = {"baseUrl": f"http://127.0.0.1:{self.recorder.port}", "auth": {"scheme": "none"}}
        (directory / "recorder.json").write_text(json.dumps(provider), "utf-8")
        (directory / "relay.json").write_text(json.dumps(CONFIG), "utf-8")
        self.relay = Twistd([f"--http={self.mode}", "--config=relay.json"], directory=directory).start()
        self.addCleanup(self.relay.stop)

    def send_all(self, drip: bool) -> None:
        """Send the corpus; nothing may go wrong, and nothing of it surprises relay."""
        faults = run(self.relay.port, self.recorder, self.mode, drip)
        self.assertEqual(faults, [], "\n".join(faults))
        self.assertNotIn("Traceback", self.relay.err + self.relay.out)
        self.assertEqual(self.relay.get("/health").status, 200)

    def test_whole(self) -> None:
        """Each case in one write, and a good request right behind it."""
        self.send_all(drip=False)

    def test_byteByByte(self) -> None:
        """The same, a byte at a time."""
        self.send_all(drip=True)


class StockTests(EngineTests):
    """Each case has its outcome on Twisted's channel, too."""

    mode = "stock"


class JudgeTests(SynchronousTestCase):
    """The runner's verdicts: a gateway that goes wrong does not pass."""

    def setUp(self) -> None:
        """Any case; what is expected comes from the test."""
        self.case = load()[0]

    def verdict(
        self, expected: str, statuses: list[int], marks: list[str], seen: list[str], ended: str = "closed"
    ) -> str:
        """The verdict on an outcome; in marks, ``c`` is the case's own one."""
        case = attrs.evolve(self.case, expected={"": Expectation.parse(expected)})
        own = [mark.replace("c", case.mark) for mark in marks]
        return judge(case, "engine", Observation(statuses, own, ended), [mark.replace("c", case.mark) for mark in seen])

    def test_goodOutcomes(self) -> None:
        """What is expected is not complained about."""
        self.assertEqual(self.verdict("200 open", [200, 200], ["c", "c="], ["c", "c="]), "")
        self.assertEqual(self.verdict("400,501 closed", [501], [], []), "")
        self.assertEqual(self.verdict("100? 200 closed", [200], ["c"], ["c"]), "")
        self.assertEqual(self.verdict("404 any", [404], [], []), "")
        self.assertEqual(self.verdict("404 any", [404, 200], ["c="], ["c="]), "")

    def test_desyncs(self) -> None:
        """An answer to another request, a request without an answer, and one that nobody sent."""
        for statuses, marks, seen in (
            ([200, 200], ["c=", "c"], ["c", "c="]),
            ([200, 200], ["c", "c="], ["c", "c+", "c="]),
            ([200, 200], ["c", "c"], ["c", "c="]),
        ):
            self.assertIn("DESYNC", self.verdict("200 open", statuses, marks, seen))

    def test_otherFaults(self) -> None:
        """A wrong status, an answer too many, a connection that stays or breaks off."""
        self.assertTrue(self.verdict("400 closed", [200], [], []))
        self.assertTrue(self.verdict("400 closed", [400, 400], [], []))
        self.assertTrue(self.verdict("400 closed", [], [], []))
        self.assertTrue(self.verdict("400 closed", [400], [], [], "never"))
        self.assertTrue(self.verdict("400 closed", [400, 200], ["c="], ["c="]))
        self.assertTrue(self.verdict("200 open", [200], ["c"], ["c"]))
