"""Exchange lines and event lines: their fields, what never appears in them, and who cannot forge them."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from relay.exchange import ANONYMOUS, ExchangeRecord, KeyInfo, Usage
from relay.interfaces import IObserver
from relay.outcome import Outcome
from relay.secret import Redactor, Secret, encodings
from relay.telemetry.lines import LONGEST, LogFormat, json_line
from relay.telemetry.logs import EventLog, ExchangeLog, exchange_line
from relay.telemetry.output import LogOutput
from relay.telemetry.rendering import QuickJSON
from tests.unit.telemetry.records import CHAT, STREAMED, settled

KEY = 'sk-proj/a+b"c\\d é=1234567890'
FORGERY = 'gpt\n{"ts":"2026-11-18T11:06:40.000Z","level":"info","event":"exchange","status":200}\r\n\x1b[2K\x9b1A'


class Lines:
    """An output into memory, and both kinds of log on it."""

    def __init__(self, style: LogFormat, secrets: tuple[str, ...] = ()) -> None:
        self.secrets = secrets
        self.stream = BytesIO()
        output = LogOutput(self.stream, Clock())
        self.exchanges = ExchangeLog(output, self.redactor, style)
        self.events = EventLog(output, self.redactor, style)
        self.source = Logger(namespace="relay.test", observer=self.events)

    def redactor(self) -> Redactor:
        """Masks the secrets of this moment."""
        return Redactor(map(Secret, self.secrets))

    def raw(self) -> bytes:
        """Everything written so far."""
        return self.stream.getvalue()

    def text(self) -> list[str]:
        """The lines."""
        return self.raw().decode().splitlines()

    def json(self) -> list[dict[str, Any]]:
        """The lines as objects."""
        return [json.loads(line) for line in self.raw().splitlines()]


def failing(message: str) -> Failure:
    """A failure with a traceback and a variable that must not be shown."""
    hidden = "the prompt of somebody"
    try:
        raise ValueError(message) if hidden else AssertionError
    except ValueError:
        return Failure()


class ExchangeLogTests(SynchronousTestCase):
    """One line per exchange."""

    def test_interface(self) -> None:
        """It is an `IObserver`."""
        verifyObject(IObserver, Lines(LogFormat.JSON).exchanges)

    def test_json(self) -> None:
        """The JSON line has every published field, in this order."""
        lines = Lines(LogFormat.JSON)
        lines.exchanges.exchange_settled(settled(dropped=("seed", "top_k")))
        expected = {
            "ts": "2026-11-18T11:06:41.250Z",
            "level": "info",
            "event": "exchange",
            "request_id": "0123456789abcdef0123456789abcdef",
            "upstream_request_id": "req_upstream",
            "client": "127.0.0.1",
            "key": "ci",
            "method": "POST",
            "endpoint": CHAT,
            "front": "openai",
            "back": "openai",
            "provider": "openai",
            "deployment": "openai/gpt-4o-2024-08-06",
            "model": "gpt-4o",
            "upstream_model": "gpt-4o-2024-08-06",
            "stream": True,
            "status": 200,
            "outcome": "complete",
            "error": "",
            "duration_ms": 1250.0,
            "upstream_ms": 1200.0,
            "ttft_ms": 300.0,
            "attempts": 1,
            "chunks": 4,
            "bytes_in": 120,
            "bytes_out": 3400,
            "input_tokens": 100,
            "cached_tokens": 40,
            "cache_write_tokens": 0,
            "output_tokens": 25,
            "reasoning_tokens": 5,
            "estimated": False,
            "finish": "stop",
            "generation": 3,
            "dropped": "seed,top_k",
        }
        self.assertEqual(list(lines.json()[0].items()), list(expected.items()))

    def test_text(self) -> None:
        """The line for people says what matters, readably."""
        lines = Lines(LogFormat.TEXT)
        lines.exchanges.exchange_settled(STREAMED)
        self.assertEqual(
            lines.text(),
            [
                (
                    "2026-11-18T11:06:41.250Z INFO  POST /v1/chat/completions 200 complete 1250.0 ms provider=openai "
                    "model=gpt-4o upstream_model=gpt-4o-2024-08-06 stream=true ttft_ms=300.0 input_tokens=100 "
                    "output_tokens=25 key=ci client=127.0.0.1 request_id=0123456789abcdef0123456789abcdef "
                    "upstream_request_id=req_upstream"
                )
            ],
        )

    def test_absentNumbers(self) -> None:
        """What nobody reported is null, not zero."""
        lines = Lines(LogFormat.JSON)
        lines.exchanges.exchange_settled(settled(usage=Usage(), ttft=None))
        line = lines.json()[0]
        self.assertEqual((line["input_tokens"], line["output_tokens"], line["ttft_ms"]), (None, None, None))

    def test_key(self) -> None:
        """A configured key shows its name, any other the id that tells clients apart."""
        lines = Lines(LogFormat.JSON)
        for key in (KeyInfo("id-1", "ci", True), KeyInfo("key-0123456789ab", "anonymous", False), ANONYMOUS):
            lines.exchanges.exchange_settled(settled(key=key))
        self.assertEqual([line["key"] for line in lines.json()], ["ci", "key-0123456789ab", "anonymous"])

    def test_levels(self) -> None:
        """Relay's own fault is an error, a provider's a warning, a client's neither."""
        lines = Lines(LogFormat.JSON)
        for outcome in Outcome:
            lines.exchanges.exchange_settled(settled(outcome=outcome))
        self.assertEqual(
            {line["outcome"]: line["level"] for line in lines.json()},
            {
                "complete": "info",
                "client_gone": "info",
                "rejected": "info",
                "limited": "info",
                "upstream_cut": "warn",
                "upstream_error": "warn",
                "timeout": "warn",
                "overloaded": "warn",
                "internal": "error",
            },
        )

    def test_forgedLines(self) -> None:
        """Line ends and escapes in any value that others choose make no second line, in either form."""
        fields = ("id", "upstream_id", "model", "upstream_model", "deployment", "finish", "client", "error")
        forged: ExchangeRecord = settled(**dict.fromkeys(fields, FORGERY))
        for style in LogFormat:
            lines = Lines(style)
            lines.exchanges.exchange_settled(forged)
            self.assertEqual((len(lines.text()), lines.raw().count(b"\n")), (1, 1))
            self.assertFalse(set(lines.raw()[:-1]) & {*range(32), 0x7F, 0x9B})
        self.assertEqual(json.loads(_one_line(LogFormat.JSON, forged))["model"], FORGERY)

    @given(st.text(st.characters(), max_size=256))
    @example("\ud83d")
    def test_anyModelMakesOneLine(self, model: str) -> None:
        """Whatever characters a model's name has, the line is one object that gives it back."""
        line = _one_line(LogFormat.JSON, settled(model=model))
        self.assertEqual(line.decode("ascii").splitlines(keepends=True), [line.decode("ascii")])
        self.assertEqual(json.loads(line)["model"], model)

    def test_hugeValues(self) -> None:
        """Values of any size, and counts beyond what JSON readers hold, still make one line below 16 KiB."""
        fields = ("id", "upstream_id", "model", "upstream_model", "deployment", "finish")
        huge: ExchangeRecord = settled(usage=Usage(input=10**100), **dict.fromkeys(fields, "\U0001f642" * 9000))
        for style in LogFormat:
            line = _one_line(style, huge)
            self.assertLessEqual(len(line), LONGEST)
            self.assertEqual(line.count(b"\n"), 1)

    def test_secrets(self) -> None:
        """A key that a client or provider put into a name is masked, in each of its seven encodings."""
        for style in LogFormat:
            for form in encodings(KEY):
                lines = Lines(style, (KEY,))
                changes = dict.fromkeys(("id", "upstream_id", "model", "upstream_model", "finish"), f"x{form}y")
                lines.exchanges.exchange_settled(settled(deployment=f"openai/{form}", **changes))
                for other in encodings(KEY):
                    self.assertNotIn(other, lines.raw().decode())
                self.assertIn("x***y", lines.raw().decode())

    def test_theShortWayWritesTheSame(self) -> None:
        """A line whose texts are all plain is put together by hand; it holds what the careful way holds."""
        for record in (STREAMED, settled(ttft=None, usage=Usage(), stream=False, model_label="other")):
            lines = Lines(LogFormat.JSON)
            lines.exchanges.exchange_settled(record)
            careful = json.loads(json_line(msgspec.structs.asdict(exchange_line(record))))
            self.assertEqual(lines.json(), [careful])
            self.assertEqual(list(lines.json()[0]), list(careful))

    def test_theShortWayForgetsNothing(self) -> None:
        """Lines that have most in common differ where their records do, whatever came before."""
        other = KeyInfo(id="other", name="ci", configured=False)
        changes: list[dict[str, Any]] = [
            *({}, {"key": other}, {"key": KeyInfo(id="ci", name="", configured=True)}, {"method": "GET"}),
            *({"endpoint": "/v1/messages"}, {"front": "anthropic"}, {"back": "gemini"}, {"provider": "x"}),
            *({"deployment": "x/y"}, {"model": "m"}, {"upstream_model": "n"}, {"stream": False}, {"client": "::1"}),
            *({"model": 'quo"ted'}, {"model": "caf\u00e9"}, {"finish": "back\\slash"}, {"error": "e"}, {"status": 499}),
            *({"time": STREAMED.time + 0.9}, {"time": STREAMED.time + 59.9996}, {"time": STREAMED.time - 3600}),
            *({"outcome": Outcome.TIMEOUT}, {"usage": Usage(input=10**3000, output=10**4000)}, {"generation": 9}),
        ]
        lines = Lines(LogFormat.JSON)
        records = [settled(**{**first, **second}) for first in changes for second in changes]
        for record in records:
            lines.exchanges.exchange_settled(record)
        careful = [json.loads(json_line(msgspec.structs.asdict(exchange_line(record)))) for record in records]
        self.assertEqual(lines.json(), careful)
        self.assertLessEqual(max(map(len, lines.raw().splitlines())), LONGEST)

    def test_manyModels(self) -> None:
        """What is kept of lines is bounded."""
        lines = Lines(LogFormat.JSON)
        for number in range(3000):
            lines.exchanges.exchange_settled(settled(model=f"m{number}"))
        render = lines.exchanges._render
        assert isinstance(render, QuickJSON)
        self.assertLessEqual(len(render._known), 1024)

    def test_secretsChange(self) -> None:
        """The keys of the configuration in force are masked, also after a reload."""
        lines = Lines(LogFormat.JSON)
        lines.exchanges.exchange_settled(settled(model="a-new-secret", model_label="other"))
        lines.secrets = ("a-new-secret",)
        lines.exchanges.exchange_settled(settled(model="a-new-secret", model_label="other"))
        self.assertEqual([line["model"] for line in lines.json()], ["a-new-secret", "***"])


def _one_line(style: LogFormat, record: ExchangeRecord) -> bytes:
    lines = Lines(style)
    lines.exchanges.exchange_settled(record)
    return lines.raw()


class EventLogTests(SynchronousTestCase):
    """Events of relay's and Twisted's loggers."""

    def test_interface(self) -> None:
        """It is an `ILogObserver`."""
        verifyObject(ILogObserver, Lines(LogFormat.JSON).events)

    def test_json(self) -> None:
        """An event has time, level, logger, message, and its data as fields."""
        lines = Lines(LogFormat.JSON)
        lines.source.warn("attempt failed", deployment="openai/gpt", elapsed=0.5, stage=None)
        line = lines.json()[0]
        self.assertRegex(line.pop("ts"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(
            line,
            {
                "level": "warn",
                "event": "log",
                "logger": "relay.test",
                "message": "attempt failed",
                "deployment": "openai/gpt",
                "elapsed": 0.5,
                "stage": None,
            },
        )

    def test_text(self) -> None:
        """For people the data follows the message, but what the message shows is not repeated."""
        lines = Lines(LogFormat.TEXT)
        lines.source.info("listening on {port}", port=8000, provider="echo")
        self.assertRegex(lines.text()[0], r"Z INFO  \[relay\.test\] listening on 8000 provider=echo$")

    def test_traceback(self) -> None:
        """A failure's traceback is one field, and shows no variables."""
        lines = Lines(LogFormat.JSON)
        lines.source.failure("observer failed", failing("boom"))
        line = lines.json()[0]
        self.assertEqual((line["level"], line["message"]), ("critical", "observer failed"))
        self.assertIn("raise ValueError(message", line["traceback"])
        self.assertIn("boom", line["traceback"])
        self.assertNotIn("the prompt of somebody", lines.raw().decode())

    def test_tracebackForPeople(self) -> None:
        """For people the traceback follows indented."""
        lines = Lines(LogFormat.TEXT)
        lines.source.failure("observer failed", failing("boom\n2026-11-18T11:06:40.250Z INFO  forged"))
        first, *rest = lines.text()
        self.assertIn("CRITICAL [relay.test] observer failed", first)
        self.assertTrue(rest and all(line.startswith("    ") for line in rest))

    def test_failureWithoutAMessage(self) -> None:
        """A failure is logged even if nobody said anything about it."""
        lines = Lines(LogFormat.JSON)
        lines.events({"log_failure": failing("boom"), "log_time": 1.0})
        self.assertIn("boom", lines.json()[0]["traceback"])

    def test_nothingToSay(self) -> None:
        """Events for debugging and events without a message make no line."""
        lines = Lines(LogFormat.JSON)
        lines.source.debug("detail")
        lines.events({"log_time": 1.0})
        self.assertEqual(lines.raw(), b"")

    def test_onlyPlainValues(self) -> None:
        """Objects stay out of the fields: what they show of themselves nobody has checked."""
        lines = Lines(LogFormat.JSON)
        lines.source.info("x", request=object(), headers={"authorization": "k"}, body=b"prompt", note="plain")
        self.assertEqual({"request", "headers", "body"} & set(lines.json()[0]), set())
        self.assertEqual(lines.json()[0]["note"], "plain")

    def test_fieldsCannotReplaceTheHead(self) -> None:
        """Data named like a part of the head keeps a name of its own."""
        lines = Lines(LogFormat.JSON)
        lines.source.info("true message", level_="x", event="forged", ts="forged", logger="forged", traceback="forged")
        line = lines.json()[0]
        self.assertEqual((line["event"], line["logger"], line["message"]), ("log", "relay.test", "true message"))
        self.assertEqual((line["event_"], line["traceback_"]), ("forged", "forged"))

    def test_forgedLines(self) -> None:
        """Line ends in messages and data make no second line, in either form."""
        for style in LogFormat:
            lines = Lines(style)
            lines.source.info("client said {what}", what=FORGERY, more=FORGERY)
            self.assertEqual((len(lines.text()), lines.raw().count(b"\n")), (1, 1))
            self.assertFalse(set(lines.raw()[:-1]) & {*range(32), 0x7F, 0x9B})

    def test_hugeEvents(self) -> None:
        """A line stays below 16 KiB whatever is logged."""
        for style in LogFormat:
            lines = Lines(style)
            many: Any = {f"f{number}": "é" * 5000 for number in range(50)}
            lines.source.failure("x" * 50_000, failing("\x00" * 50_000), **many)
            self.assertLessEqual(len(lines.raw()), LONGEST)

    def test_secrets(self) -> None:
        """Known keys are masked in message, data and traceback, in each of their seven encodings."""
        for style in LogFormat:
            for form in encodings(KEY):
                lines = Lines(style, (KEY,))
                lines.source.failure("said {said}", failing(f"refused {form}"), said=f"x{form}", note=f"y{form}")
                for other in (*encodings(KEY), json.dumps(form)[1:-1]):
                    self.assertNotIn(other, lines.raw().decode())
                self.assertIn("refused ***", lines.raw().decode())

    def test_brokenFormat(self) -> None:
        """A message that cannot be formatted is told of, not raised."""
        lines = Lines(LogFormat.JSON)
        lines.source.info("missing {field}")
        self.assertIn("Unable to format event", lines.json()[0]["message"])
