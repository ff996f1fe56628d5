"""Reasoning in Chat Completions, which OpenAI itself does not show and everybody else shows in a way of their own.

Plain words travel in ``reasoning_content`` (DeepSeek, Qwen, vLLM) or ``reasoning`` (OpenRouter, Groq, Ollama).
Proofs travel beside them, and relay reads and writes two forms:

* ``reasoning_details``, OpenRouter's: ``reasoning.text`` with a ``signature``, ``reasoning.summary``,
  ``reasoning.encrypted`` with ``data``. What a provider of this dialect sent so is shown so, and goes back as it was.
* ``thinking_blocks``, which clients of LiteLLM know: ``{"type": "thinking", "thinking", "signature"}`` and
  ``{"type": "redacted_thinking", "data"}``. Every proof of another dialect is shown in this form. Anthropic's own
  stands there as it is, any other one wrapped (`relay.dialects.carry`); ``id`` and ``summary`` are added where set.

See: https://openrouter.ai/docs/use-cases/reasoning-tokens and
https://docs.litellm.ai/docs/reasoning_content (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from relay.chat import Seal, Thinking
from relay.dialects.carry import unwrap, wrap
from relay.dialects.lenient import load, mapping, text

DETAILS = "reasoning_details"
BLOCKS = "thinking_blocks"

_WORDS = ("text", "summary", "thinking")


def sealed(entry: Mapping[str, object]) -> Seal | None:
    """A provider's entry without its words, as the proof that rebuilds it; None if it proves nothing."""
    kind = text(entry.get("type"))
    if not (entry.get("signature") or entry.get("data") or kind == "reasoning.summary"):
        return None
    return Seal("openai", msgspec.json.encode(without_words(entry), order="sorted").decode())


def without_words(entry: Mapping[str, object]) -> dict[str, Any]:
    """An entry but for what it says."""
    return {name: value for name, value in entry.items() if name not in _WORDS}


def words(entry: Mapping[str, object]) -> str:
    """What an entry of either form says."""
    return next((said for name in _WORDS if (said := text(entry.get(name)))), "")


def is_redacted(entry: Mapping[str, object]) -> bool:
    """Whether an entry holds data and no words."""
    return text(entry.get("type")) in ("reasoning.encrypted", "redacted_thinking")


def from_details(entries: Iterable[object]) -> list[Thinking]:
    """Reasoning out of ``reasoning_details``; pieces of one entry, as a stream leaves them, are put together."""
    whole: list[dict[str, object]] = []
    for entry in map(mapping, entries):
        if whole and _continues(whole[-1], entry):
            said = words(whole[-1]) + words(entry)
            name = "summary" if entry.get("type") == "reasoning.summary" else "text"
            whole[-1] = {**whole[-1], **{key: value for key, value in entry.items() if value}, name: said}
        elif entry:
            whole.append(dict(entry))
    return [thought for entry in whole if (thought := from_entry(entry)) is not None]


def from_entry(entry: Mapping[str, object]) -> Thinking | None:
    """One whole entry of ``reasoning_details``, or of a provider's ``thinking_blocks``; None if it is empty."""
    seal = sealed(entry)
    item = text(entry.get("id"))
    if is_redacted(entry):
        return Thinking(seal=seal, redacted=True, id=item) if seal else None
    said = words(entry)
    if not said and seal is None:
        return None
    return Thinking(said, seal, id=item, summary=entry.get("type") == "reasoning.summary")


def _continues(before: Mapping[str, object], entry: Mapping[str, object]) -> bool:
    """Whether an entry is more of the one before it: same type and place, and that one is not yet signed."""
    kind = text(entry.get("type"))
    return (
        kind in ("reasoning.text", "reasoning.summary")
        and (kind, entry.get("index"), entry.get("id")) == (before.get("type"), before.get("index"), before.get("id"))
        and entry.get("index") is not None
        and not before.get("signature")
    )


def from_blocks(entries: Iterable[object]) -> list[Thinking]:
    """Reasoning out of a client's ``thinking_blocks``."""
    thoughts = []
    for entry in map(mapping, entries):
        proof = text(entry.get("data")) if is_redacted(entry) else text(entry.get("signature"))
        seal = unwrap(proof, "anthropic") if proof else None
        said = text(entry.get("thinking"))
        if seal is None and not said:
            continue
        item, summary = text(entry.get("id")), entry.get("summary") is True
        thoughts.append(Thinking(said, seal, redacted=is_redacted(entry), id=item, summary=summary))
    return thoughts


def shown(thought: Thinking) -> tuple[str, dict[str, Any]] | None:
    """The field and the entry that show a client the proof of a thought; None if it has none."""
    seal = thought.seal
    if seal is None:
        return None
    if seal.origin == "openai" and (given := entry_of(thought)) and given[0] == DETAILS:
        return given
    proof = wrap(seal, "anthropic")
    if thought.redacted:
        entry: dict[str, Any] = {"type": "redacted_thinking", "data": proof}
    else:
        entry = {"type": "thinking", "thinking": thought.text, "signature": proof}
    if thought.id:
        entry["id"] = thought.id
    if thought.summary:
        entry["summary"] = True
    return BLOCKS, entry


def entry_of(thought: Thinking) -> tuple[str, dict[str, Any]] | None:
    """The field and the entry in which a provider of this dialect gave a thought; None if none of them did."""
    if thought.seal is None or thought.seal.origin != "openai":
        return None
    entry = dict(mapping(load(thought.seal.value.encode("utf-8", "surrogatepass"))))
    kind = text(entry.get("type"))
    if kind.startswith("reasoning."):
        if kind != "reasoning.encrypted":
            entry["summary" if kind == "reasoning.summary" else "text"] = thought.text
        return DETAILS, entry
    if kind in ("thinking", "redacted_thinking"):
        return BLOCKS, {**entry, "thinking": thought.text} if kind == "thinking" else entry
    return None
