"""One real ``twistd relay`` whose providers speak every dialect, and the table of what they cannot do.

Each provider is the echo behind a real socket, in one dialect only, so that a client of another dialect is
translated in both directions. Providers that fail do so by a row of their own: they add a knob of the echo to
what relay sends them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.servers import folder, started
from tests.integration.twistd import Twistd

BACKS: Mapping[str, str] = {
    "openai": "echo-1",
    "responses": "echo-1",
    "anthropic": "echo-1",
    "gemini": "gemini-2.5-flash",
    "cohere": "echo-1",
    "ollama": "echo-1",
    "bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0",
}
"""Dialect of a provider → a model there; real names where the model's family decides what it takes."""

FAULTS: Mapping[str, Mapping[str, object]] = {
    "calls": {"tool": "weather"},
    "400": {"status": 400, "error": "that is too odd"},
    "401": {"status": 401, "error": "that key is wrong"},
    "404": {"status": 404, "error": "that model is unknown"},
    "429": {"status": 429, "error": "that is too much", "retry_after": 7},
    "500": {"status": 500, "error": "that went wrong"},
    "soon": {"status": 429, "error": "that is too much", "retry_after": 1},
    "ours": {"status": 401, "error": "that key is wrong"},
    "broken": {"text": "x" * 500, "chunks": 300, "error_after": 200, "error": "that broke off"},
    "cut": {"text": "x" * 500, "chunks": 300, "cut_after": 200},
    "half": {"cut_after": 1},
}
"""What a provider is called behind its dialect → the knobs that it turns in every request.

Streams that fail do so behind more bytes than one read takes: relay has begun to answer then, and cannot take
it back. ``ours`` has a key that is relay's own.
"""

_NO_VECTORS = "the provider has no embeddings"
_NO_RANKS = "the provider has no reranking"
_CHAT_ONLY = "Responses is for chat; such a provider says in its file how it serves its other endpoints"
CANNOT: Mapping[tuple[str, str], str] = {
    ("embeddings", "anthropic"): _NO_VECTORS,
    ("embeddings", "bedrock"): "Converse has no embeddings",
    ("embeddings", "responses"): _CHAT_ONLY,
    ("rerank", "responses"): _CHAT_ONLY,
    ("rerank", "anthropic"): _NO_RANKS,
    ("rerank", "bedrock"): "Converse has no reranking",
    ("rerank", "gemini"): _NO_RANKS,
    ("rerank", "ollama"): _NO_RANKS,
}
"""(feature, dialect of the provider) → why the client is told 400."""

LONG = " ".join(f"word{number}" for number in range(40))
LIMIT = 16
"""The least limit that the Responses API takes."""

NO_TOOL_CHOICE = frozenset({"ollama"})
"""Providers that let the model decide: ``tool_choice`` is told as dropped."""

THINKERS = ("anthropic", "gemini", "cohere", "ollama", "bedrock")
"""Dialects in which the echo thinks when it is asked to."""

WORDS = "one two three"
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CITY = {"city": "sample"}
"""What the echo calls a tool with this schema with."""


def model(back: str, fault: str = "") -> str:
    """The model of a provider that speaks a dialect, and maybe fails."""
    return f"{back}-{fault}/{BACKS[back]}" if fault else f"{back}/{BACKS[back]}"


def calling(back: str) -> str:
    """A model that calls a tool when it must; where nothing can force it, one that always does."""
    return model(back, "calls" if back in NO_TOOL_CHOICE else "")


def embedder(back: str) -> str:
    """A model for embeddings; google-genai asks those of Gemini's chat models in another way."""
    return "gemini/gemini-embedding-001" if back == "gemini" else model(back)


def shown(back: str, front: str) -> str:
    """The model's name in an answer: the client's own, or the provider's where the answer only passes through."""
    return BACKS[back] if back == front else model(back)


def _provider(dialect: str, fault: str = "") -> dict[str, object]:
    spec: dict[str, object] = {
        "name": f"{dialect}-{fault}" if fault else dialect,
        "baseUrl": "echo://local",
        "dialect": dialect,
        "auth": {"scheme": "bearer", "env": "OURS"} if fault == "ours" else {"scheme": "none"},
        "models": [BACKS[dialect]],
    }
    if fault:
        spec["params"] = [{"name": "echo", "default": FAULTS[fault]}]
    return spec


@functools.cache
def everything() -> Twistd:
    """A relay with a good and the failing providers of every dialect."""
    directory = folder()
    config = {"providers": [_provider(dialect, fault) for dialect in BACKS for fault in ("", *FAULTS)]}
    (directory / "relay.json").write_text(json.dumps(config), "utf-8")
    return started(Twistd(["--config=relay.json"], directory=directory, environ={"OURS": "a-key-refused-there"}))


def status_of(error: BaseException) -> object:
    """The HTTP status that an SDK's error carries."""
    return getattr(error, "status_code", None) or getattr(error, "code", None)


class BacksCase(SynchronousTestCase):
    """Something that is done with each provider."""

    def setUp(self) -> None:
        """Start the relay at its first use."""
        self.relay = everything()
        self.base = self.relay.url

    def each(self, work: Callable[[str], None], feature: str = "", backs: Mapping[str, object] | Any = BACKS) -> None:
        """Do it with each provider, and fail once with all that went wrong.

        Args:
            work: takes the provider's dialect; asserts.
            feature: its name in `CANNOT`: there it must be refused with 400, and nothing else.
            backs: the dialects, if not all.
        """
        wrong = []
        for back in backs:
            reason = CANNOT.get((feature, back))
            try:
                work(back)
            except Exception as error:
                if reason is None or status_of(error) != 400:
                    wrong.append(f"{back}: {type(error).__name__}: {error}")
            else:
                if reason is not None:
                    wrong.append(f"{back}: can do what the table says it cannot ({reason})")
        if wrong:
            self.fail("\n".join(wrong))
