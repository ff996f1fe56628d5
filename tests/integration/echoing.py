"""A running echo on a real socket, and the SDKs as its clients, for integration tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import anthropic
import openai

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from relay.echo.service import EchoServer

T = TypeVar("T")

HELLO: Any = [{"role": "user", "content": "hello big world"}]
PATIENCE = 10.0
"""Seconds to wait for what is about to happen."""


class EchoCase(TestCase):
    """A running echo, and clients of it in other threads."""

    timeout = 60

    def setUp(self) -> None:
        """Listen."""
        self.echo = EchoServer(reactor)
        self.addCleanup(self.echo.stop)
        self.base = f"http://{self.echo.url().netloc}"

    def openai_client(self, *, strict: bool = True, retries: int = 0) -> openai.OpenAI:
        """A client; without certificates, which take long to load."""
        return openai.OpenAI(
            base_url=f"{self.base}/v1",
            api_key="none",
            max_retries=retries,
            http_client=openai.DefaultHttpxClient(verify=False),
            _strict_response_validation=strict,
        )

    def anthropic_client(self) -> anthropic.Anthropic:
        """A client; without certificates, which take long to load."""
        return anthropic.Anthropic(
            base_url=self.base,
            api_key="none",
            max_retries=0,
            http_client=anthropic.DefaultHttpxClient(verify=False),
            _strict_response_validation=True,
        )

    def run_openai(self, work: Callable[[openai.OpenAI], T], *, strict: bool = True) -> Deferred[T]:
        """Do something with a client in a thread."""

        def run() -> T:
            with self.openai_client(strict=strict) as client:
                return work(client)

        return deferToThread(run)

    def run_anthropic(self, work: Callable[[anthropic.Anthropic], T]) -> Deferred[T]:
        """Do something with a client in a thread."""

        def run() -> T:
            with self.anthropic_client() as client:
                return work(client)

        return deferToThread(run)
