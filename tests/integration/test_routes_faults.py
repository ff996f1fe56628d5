"""Deployments that fail in every way the lab knows, under load, through the real ``twistd relay``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import anthropic
import openai

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.integration.lab import DEATHS
from tests.integration.lab_faults import FAULTS, Moment
from tests.integration.routing import CHAT, DONE, MESSAGES, Got, RoutesCase, ask, deployments, good, together

STATUSES = ("401", "403", "408", "409", "429", "500", "502", "503", "529", "429-after", "503-after")
"""Error answers that another deployment makes up for."""

AFTER = tuple(name for name, fault in FAULTS.items() if fault.moment is Moment.AFTER)
BEFORE = (
    *(name for name, fault in FAULTS.items() if fault.moment is Moment.BEFORE and name not in ("context", "policy")),
    *STATUSES,
)
EACH = 1
"""Requests of each kind for each fault."""
PATIENT: Mapping[str, object] = {"failures": 1000, "ratio": 1.0, "least": 1000}
"""A breaker that stays closed, so that every request meets the fault."""


def faulty(names: Sequence[str]) -> dict[str, object]:
    """A route for each fault: the first deployment has it, the second one is well."""
    return {
        name: {
            "deployments": [*deployments(("one", name)), {**deployments("two")[0], "priority": 1}],
            "breaker": PATIENT,
        }
        for name in names
    }


class FaultTests(RoutesCase):
    """Two deployments, of which one has a fault."""

    mode = "engine"

    async def test_beforeContent(self) -> None:
        """Every fault before the first content, many at once: no request fails, and every answer is the good one."""
        key = {"one": {"auth": {"scheme": "bearer", "env": "LAB_KEY"}}}
        await self.start(faulty((*BEFORE, *AFTER)), {"LAB_KEY": "a-key-of-the-lab"}, providers=key)
        cases = [(name, stream) for name in BEFORE for stream in (False, True)]
        cases = [*cases, *((name, False) for name in AFTER)] * EACH
        work = [partial(ask, self.relay.port, name, stream=stream) for name, stream in cases]
        got: list[Got] = await together(48, *work)
        failed = {
            f"{name}, stream={stream}: {each.status} {each.body[:200]!r}"
            for (name, stream), each in zip(cases, got, strict=True)
            if (each.status, each.body, each.whole) != (200, good("two", "ok", stream=stream), True)
        }
        self.assertEqual(failed, set())
        self.assertEqual({each.deployment for each in got}, {"two-ok"})
        self.assertGreaterEqual(set(self.one.played), {*BEFORE, *AFTER})
        self.assertEqual(self.two.attempts, len(cases))
        await self.one.until(lambda: not self.one.hanging)

    async def test_afterContent(self) -> None:
        """Every fault behind content: the client sees an error, and no false end; nobody else is asked.

        Where a busy relay reads content and fault at once, the client has seen nothing: another one answers.
        """
        await self.start(faulty(AFTER))
        cases = [(name, path) for name in AFTER for path in (CHAT, MESSAGES)] * EACH
        got: list[Got] = await together(
            16, *(partial(ask, self.relay.port, name, stream=True, path=path) for name, path in cases)
        )
        hidden = [each for each in got if each.deployment == "two-ok"]
        for (name, path), each in zip(cases, got, strict=True):
            label = f"{name} on {path}: {each.body!r}"
            ended = DONE in each.body or b"message_stop" in each.body
            self.assertEqual((each.status, each.whole), (200, True), label)
            self.assertIn(b" is", each.body, label)
            self.assertEqual((b'"error"' in each.body, ended), (each not in hidden, each in hidden), label)
        self.assertEqual((self.one.attempts, self.two.attempts), (len(cases), len(hidden)))
        self.assertLess(len(hidden), len(cases) // 2)
        await self.one.until(lambda: not self.one.hanging)


class StockFaultTests(FaultTests):
    """The same over Twisted's own HTTP ends."""

    mode = "stock"


class SDKTests(RoutesCase):
    """What the SDKs make of it."""

    async def test_before(self) -> None:
        """They notice nothing of a fault before content."""
        await self.start(faulty(("resets", "cut-before-content", "503", "error-before-content")))
        said = await deferToThread(self.talk, ("resets", "cut-before-content", "503", "error-before-content"))
        self.assertEqual(said, ["two is here to help"] * 16)

    def talk(self, models: Sequence[str]) -> list[str]:
        """Whole and streamed, with both SDKs, without retries of their own."""
        said = []
        chat, messages = self.clients()
        asked: list[Any] = [{"role": "user", "content": "hi"}]
        for model in models:
            said.append(chat.create(model=model, messages=asked).choices[0].message.content or "")
            chunks = chat.create(model=model, messages=asked, stream=True)
            said.append("".join(chunk.choices[0].delta.content or "" for chunk in chunks))
            block = messages.create(model=model, max_tokens=64, messages=asked).content[0]
            said.append(block.text if block.type == "text" else "")
            with messages.stream(model=model, max_tokens=64, messages=asked) as stream:
                said.append("".join(stream.text_stream))
        return said

    def clients(self) -> tuple[Any, Any]:
        """Both SDKs."""
        one = openai.OpenAI(base_url=f"{self.relay.url}/v1", api_key="none", max_retries=0, timeout=20)
        other = anthropic.Anthropic(base_url=self.relay.url, api_key="none", max_retries=0, timeout=20)
        self.addCleanup(one.close)
        self.addCleanup(other.close)
        return one.chat.completions, other.messages

    async def test_after(self) -> None:
        """Behind content they raise an error; none takes the broken stream for a whole one."""
        await self.start(faulty(AFTER))
        for model, words, error in await deferToThread(self.listen):
            self.assertTrue(words.startswith("one is"), (model, words))
            kinds: Any = (openai.APIError, anthropic.APIError)
            if model == "bad-event-after-content":
                kinds = (*kinds, ValueError)  # they read it before the error behind it
            self.assertIsInstance(error, kinds, model)

    def listen(self) -> list[tuple[str, str, Exception | None]]:
        """What was heard of each fault, and how it ended."""
        chat, messages = self.clients()
        asked: list[Any] = [{"role": "user", "content": "hi"}]
        heard: list[tuple[str, str, Exception | None]] = []
        for model in AFTER:
            words: list[str] = []
            heard.append((model, *self.hear(words, partial(self.chat, chat, model, asked, words))))
            words = []
            heard.append((model, *self.hear(words, partial(self.messages, messages, model, asked, words))))
        return heard

    def hear(self, words: list[str], talk: Callable[[], object]) -> tuple[str, Exception | None]:
        """Talk; the words, and the error."""
        try:
            talk()
        except Exception as error:
            return "".join(words), error
        return "".join(words), None

    def chat(self, client: Any, model: str, asked: list[Any], words: list[str]) -> None:
        """One stream of OpenAI's SDK."""
        chunks = client.create(model=model, messages=asked, stream=True)
        words.extend(chunk.choices[0].delta.content or "" for chunk in chunks)

    def messages(self, client: Any, model: str, asked: list[Any], words: list[str]) -> None:
        """One stream of Anthropic's SDK."""
        with client.stream(model=model, max_tokens=64, messages=asked) as stream:
            words.extend(stream.text_stream)


class DeathTests(RoutesCase):
    """A whole server dies under load, and comes back."""

    async def test_everyWay(self) -> None:
        """In none of the ways a request fails that has seen no content, and afterwards the server serves again."""
        breaker = {"failures": 3, "window": 2, "cooldown": 1, "slowStart": 0}
        await self.start({how: {"deployments": deployments(("one", how), "two"), "breaker": breaker} for how in DEATHS})
        self.one.repeat("ok")
        for how in DEATHS:
            until = time.monotonic() + 0.9
            load = together(12, *(partial(self.load, how, number, until) for number in range(12)))
            await self.pause(0.2)
            await self.one.die(how)
            results = [each for some in await load for each in some]
            served = self.two.attempts
            self.assertGreater(served, 10, how)
            failed = [each for each in results if not self.fine(how, *each)]
            self.assertEqual(failed, [], how)
            await self.one.revive()
            await self.recovered(how)

    def load(self, model: str, number: int, until: float) -> list[tuple[bool, Got]]:
        """Ask again and again, whole and streamed in turn."""
        got: list[tuple[bool, Got]] = []
        while time.monotonic() < until:
            stream = (number + len(got)) % 2 == 0
            got.append((stream, ask(self.relay.port, model, stream=stream)))
        return got

    def fine(self, model: str, stream: bool, got: Got) -> bool:
        """Whether an answer is a good one, or a stream that broke off behind content and says so."""
        if (
            got.status == 200
            and got.whole
            and got.body
            in (
                good("one", model, stream=stream),
                good("two", "ok", stream=stream),
            )
        ):
            return True
        return stream and b" is" in got.body and b'"error"' in got.body and DONE not in got.body

    async def recovered(self, how: str) -> None:
        """The first one serves again within the window and a second."""
        began = time.monotonic()
        while (await self.ask(how)).deployment != f"one-{how}":
            self.assertLess(time.monotonic() - began, 3.0, how)
            await self.pause(0.05)

    async def pause(self, seconds: float) -> None:
        """Let time pass."""
        await deferLater(reactor, seconds, lambda: None)
