"""Thinking and effort by the model's generation; edge cases 20, 27, 28, 29."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Message, Reasoning, Seal, Text, Thinking, Tool, ToolCall, ToolChoice, ToolResult
from relay.dialects.anthropic.models import IMITATOR, traits
from relay.dialects.anthropic.request import EFFORT
from relay.dialects.anthropic.thought import fitted
from tests.unit.dialects.anthropic.messages import NEW, OLD, sent

ADAPTIVE = {"type": "adaptive"}


def manual(budget: int) -> dict[str, Any]:
    """Thinking with a budget."""
    return {"type": "enabled", "budget_tokens": budget}


class ModelTests(SynchronousTestCase):
    """Names of models."""

    def test_versions(self) -> None:
        """The version is found wherever it stands, and a date is none."""
        for name, budget, adaptive, structured, system in (
            ("claude-3-haiku-20240307", False, False, False, False),
            ("claude-3-5-sonnet-latest", False, False, False, False),
            ("claude-3-7-sonnet-20250219", True, False, False, False),
            ("claude-sonnet-4-20250514", True, False, False, False),
            ("claude-4-opus-20250514", True, False, False, False),
            ("claude-opus-4-1@20250805", True, False, False, False),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", True, False, True, False),
            ("anthropic/claude-opus-4.6", True, True, True, False),
            ("claude-opus-4-7", False, True, True, False),
            ("claude-opus-4-8", False, True, True, True),
            ("claude-sonnet-5", False, True, True, True),
            ("claude-mythos-preview", False, True, True, True),
            ("claude-opus-latest", False, True, True, True),
        ):
            found = traits(name)
            self.assertEqual(
                (found.budget, found.adaptive, found.structured, found.system),
                (budget, adaptive, structured, system),
                name,
            )
        self.assertEqual(traits("kimi-k2"), IMITATOR)


class EffortTests(SynchronousTestCase):
    """What is asked and what is sent."""

    def test_effort(self) -> None:
        """Effort alone is a budget on older models, adaptive thinking on newer ones (27)."""
        for model, effort, thinking, level in (
            ("claude-3-haiku-20240307", "high", None, None),
            (OLD, "minimal", manual(1024), None),
            (OLD, "low", manual(2048), None),
            (OLD, "medium", manual(8192), None),
            (OLD, "high", manual(16384), None),
            ("claude-opus-4-5", "high", manual(16384), None),
            ("claude-opus-4-6", "high", ADAPTIVE, "high"),
            ("claude-opus-4-6", "xhigh", ADAPTIVE, "high"),
            ("claude-opus-4-6", "max", ADAPTIVE, "max"),
            (NEW, "minimal", ADAPTIVE, "low"),
            (NEW, "xhigh", ADAPTIVE, "xhigh"),
            ("kimi-k2", "low", manual(2048), None),
        ):
            fields, built = sent(model=model, reasoning=Reasoning(effort=effort), max_tokens=50_000)
            self.assertEqual(fields.get("thinking"), thinking, (model, effort))
            self.assertEqual(fields.get("output_config", {}).get("effort"), level, (model, effort))
            self.assertEqual(built.dropped, () if thinking else ("reasoning",))

    def test_budget(self) -> None:
        """A budget is kept where there are budgets, and is an effort elsewhere."""
        for model, reasoning, thinking, level in (
            (OLD, Reasoning(budget=2000), manual(2000), None),
            (OLD, Reasoning(budget=10), manual(1024), None),
            (OLD, Reasoning(adaptive=True), manual(16384), None),
            ("claude-opus-4-5", Reasoning(budget=2000, effort="low"), manual(2000), "low"),
            ("claude-opus-4-6", Reasoning(budget=2000), manual(2000), None),
            (NEW, Reasoning(budget=2000), ADAPTIVE, "low"),
            (NEW, Reasoning(budget=10_000), ADAPTIVE, "medium"),
            (NEW, Reasoning(budget=20_000), ADAPTIVE, "high"),
            (NEW, Reasoning(budget=60_000), ADAPTIVE, "xhigh"),
            (NEW, Reasoning(adaptive=True, effort="max"), ADAPTIVE, "max"),
        ):
            fields, _ = sent(model=model, reasoning=reasoning, max_tokens=90_000)
            self.assertEqual(fields["thinking"], thinking, (model, reasoning))
            self.assertEqual(fields.get("output_config", {}).get("effort"), level, (model, reasoning))

    def test_off(self) -> None:
        """Thinking is switched off in the way that the model takes; where it cannot be, effort is least."""
        for model, thinking, level, lost in (
            (OLD, None, None, False),
            (NEW, None, None, False),
            ("claude-opus-5", {"type": "disabled"}, None, False),
            ("claude-sonnet-5-5", {"type": "between_tools"}, None, False),
            ("claude-opus-5-5", None, "low", True),
            ("claude-fable-5", None, "low", True),
            ("kimi-k2", {"type": "disabled"}, None, False),
        ):
            for reasoning in (Reasoning(effort="none"), Reasoning(budget=0)):
                fields, built = sent(model=model, reasoning=reasoning)
                self.assertEqual(fields.get("thinking"), thinking, model)
                self.assertEqual(fields.get("output_config", {}).get("effort"), level, model)
                self.assertEqual(built.dropped, ("reasoning",) if lost else ())

    def test_effortOnly(self) -> None:
        """A client of this dialect that sets only the effort does not switch thinking on."""
        fields, _ = sent(model=NEW, reasoning=Reasoning(effort="low"), names={"reasoning": EFFORT})
        self.assertEqual((fields.get("thinking"), fields["output_config"]), (None, {"effort": "low"}))
        fields, built = sent(reasoning=Reasoning(effort="low"), names={"reasoning": EFFORT})
        self.assertNotIn("output_config", fields)
        self.assertEqual(built.dropped, (EFFORT,))

    def test_shown(self) -> None:
        """Whether thoughts are shown is said where the client said it and the model knows it."""
        for reasoning, expected in (
            (Reasoning(effort="high"), None),
            (Reasoning(effort="high", summary="auto"), "summarized"),
            (Reasoning(effort="high", visible=True), "summarized"),
            (Reasoning(effort="high", visible=False, summary="auto"), "omitted"),
        ):
            self.assertEqual(sent(model=NEW, reasoning=reasoning)[0]["thinking"].get("display"), expected)
            self.assertNotIn("display", sent(reasoning=reasoning)[0]["thinking"])


class LimitTests(SynchronousTestCase):
    """The budget is below ``max_tokens`` (27)."""

    def test_fitted(self) -> None:
        """The budget gives way down to its least; then the limit does."""
        for budget, limit, expected in (
            (2000, 8000, (2000, 8000)),
            (8000, 8000, (6976, 8000)),
            (16384, 2048, (1024, 2048)),
            (16384, 2047, (1024, 3071)),
            (1024, 100, (1024, 1124)),
        ):
            self.assertEqual(fitted(budget, limit), expected)

    def test_default(self) -> None:
        """Without a limit there is room for the budget and an answer."""
        fields, _ = sent(model="kimi-k2", reasoning=Reasoning(budget=30_000))
        self.assertEqual((fields["thinking"]["budget_tokens"], fields["max_tokens"]), (30_000, 34_096))


class RestrictionTests(SynchronousTestCase):
    """What thinking with a budget does not go together with."""

    def test_sampling(self) -> None:
        """Sampling parameters give way (28)."""
        high = Reasoning(effort="high")
        fields, built = sent(reasoning=high, temperature=0.2, top_k=3, top_p=0.5)
        self.assertFalse({"temperature", "top_k", "top_p"} & fields.keys())
        self.assertEqual(set(built.dropped), {"temperature", "top_k", "top_p"})
        fields, built = sent(reasoning=high, temperature=1.0, top_p=0.95)
        self.assertEqual((fields["top_p"], built.dropped), (0.95, ()))

    def test_forced(self) -> None:
        """A forced tool wins over a budget; adaptive thinking has no such limit (28)."""
        forced: dict[str, Any] = {"tools": (Tool("f"),), "tool_choice": ToolChoice("required")}
        fields, built = sent(reasoning=Reasoning(effort="high"), **forced)
        self.assertNotIn("thinking", fields)
        self.assertEqual((fields["tool_choice"], built.dropped), ({"type": "any"}, ("reasoning",)))
        fields, built = sent(model=NEW, reasoning=Reasoning(effort="high"), **forced)
        self.assertEqual((fields["thinking"], built.dropped), (ADAPTIVE, ()))
        fields, _ = sent(model="claude-opus-4-6", reasoning=Reasoning(budget=2000), **forced)
        self.assertEqual(fields["thinking"], ADAPTIVE)

    def test_unsigned(self) -> None:
        """In a tool loop without its signed thinking, thinking is off for the call (29)."""

        def loop(*before: Thinking, **fields: Any) -> dict[str, Any]:
            return sent(
                Message("user", (Text("Hi"),)),
                Message("assistant", (*before, ToolCall("t", "f"))),
                Message("tool", (ToolResult("t"),)),
                reasoning=Reasoning(effort="high"),
                **fields,
            )[0]

        self.assertNotIn("thinking", loop())
        self.assertNotIn("thinking", loop(Thinking("hm", Seal("gemini", "s"))))
        self.assertIn("thinking", loop(Thinking("hm", Seal("anthropic", "s"))))
        self.assertIn("thinking", loop(Thinking(redacted=True, seal=Seal("anthropic", "d"))))
        self.assertIn("thinking", loop(model=NEW))
