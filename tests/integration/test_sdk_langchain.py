"""LangChain's models for OpenAI and Anthropic, through a real ``twistd relay``, with providers of every dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from tests.integration.backs import CITY, SCHEMA, WORDS, BacksCase, calling, everything, model

HELLO = [SystemMessage("Repeat."), HumanMessage(WORDS)]
WEATHER = {"name": "weather", "description": "Weather.", "input_schema": SCHEMA}
FUNCTION = {"type": "function", "function": {"name": "weather", "description": "Weather.", "parameters": SCHEMA}}
LIMITS: Mapping[str, Any] = {"max_retries": 0, "timeout": 30}


class Trip(BaseModel):
    """A trip."""

    city: str
    days: int


def of_openai(name: str) -> ChatOpenAI:
    """LangChain's model for OpenAI's Chat."""
    return ChatOpenAI(
        model=name, base_url=f"{everything().url}/v1", api_key=SecretStr("none"), stream_usage=True, **LIMITS
    )


def of_responses(name: str) -> ChatOpenAI:
    """The same for Responses."""
    return ChatOpenAI(
        model=name, base_url=f"{everything().url}/v1", api_key=SecretStr("none"), use_responses_api=True, **LIMITS
    )


def of_anthropic(name: str) -> ChatAnthropic:
    """LangChain's model for Anthropic."""
    settings: Any = {"model_name": name, "base_url": everything().url, "api_key": "none", "max_tokens": 100, **LIMITS}
    return ChatAnthropic(**settings)


MODELS: Mapping[str, tuple[Callable[[str], Any], Any]] = {
    "chat": (of_openai, FUNCTION),
    "responses": (of_responses, FUNCTION),
    "anthropic": (of_anthropic, WEATHER),
}
"""Endpoint → the class for it, and a tool in its words."""


class LangChainTests(BacksCase):
    """What applications do with it."""

    def test_invoke(self) -> None:
        """Text and tokens."""

        def work(back: str) -> None:
            for make, _ in MODELS.values():
                answer = make(model(back)).invoke(HELLO)
                self.assertEqual((answer.text, answer.usage_metadata["output_tokens"]), (WORDS, 3))

        self.each(work)

    def test_stream(self) -> None:
        """Chunks that add up to the same answer, tokens included."""

        def work(back: str) -> None:
            for make, _ in MODELS.values():
                whole: Any = AIMessageChunk(content="")
                count = 0
                for chunk in make(model(back)).stream(HELLO):
                    whole, count = whole + chunk, count + bool(chunk.text)
                self.assertEqual((whole.text, whole.usage_metadata["output_tokens"]), (WORDS, 3))
                self.assertGreater(count, 1)

        self.each(work)

    def test_bindTools(self) -> None:
        """A call, whole and streamed, its result, and an answer in words."""

        def work(back: str) -> None:
            for make, tool in MODELS.values():
                bound = make(calling(back)).bind_tools([tool], tool_choice="any")
                first = bound.invoke(HELLO)
                call = first.tool_calls[0]
                self.assertEqual((call["name"], call["args"]), ("weather", CITY))
                whole: Any = AIMessageChunk(content="")
                for chunk in bound.stream(HELLO):
                    whole = whole + chunk
                self.assertEqual([(made["name"], made["args"]) for made in whole.tool_calls], [("weather", CITY)])
                for said in (first, whole):
                    result = ToolMessage("12 degrees", tool_call_id=said.tool_calls[0]["id"])
                    self.assertEqual(bound.invoke([*HELLO, said, result]).text, "12 degrees")

        self.each(work)

    def test_structured(self) -> None:
        """``with_structured_output`` gives an instance."""

        def work(back: str) -> None:
            for make in (of_openai, of_responses):
                made = make(model(back)).with_structured_output(Trip, method="json_schema").invoke(HELLO)
                self.assertEqual(made, Trip(city="sample", days=1))

        self.each(work)
