"""What ties requests to one deployment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.config import Sticky
from relay.policy.stickiness import key, of_prompt
from tests.unit.values import make_request

PROMPT = Sticky(by="prompt")
ANSWER = {"role": "assistant", "content": "Well."}
MORE = {"role": "user", "content": "And then?"}
TOOLS = [{"name": "read", "description": "Reads a file.", "input_schema": {"properties": {"messages": {}}}}]

CONVERSATIONS: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "chat": (
        {"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]},
        {"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}, ANSWER, MORE]},
    ),
    "chat, with tool calls": (
        {"tools": TOOLS, "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
        {
            "tools": TOOLS,
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
                {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "read"}}]},
                {"role": "tool", "tool_call_id": "1", "content": "x"},
            ],
        },
    ),
    "messages, the cache's mark moves": (
        {
            "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]}
            ],
        },
        {
            "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
                ANSWER,
                {"role": "user", "content": [{"type": "text", "text": "Go", "cache_control": {"type": "ephemeral"}}]},
            ],
        },
    ),
    "responses": (
        {"instructions": "Be kind.", "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]},
        {
            "instructions": "Be kind.",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
                {"type": "reasoning", "id": "r", "summary": [], "content": None},
                {"type": "function_call", "call_id": "c", "name": "read", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "x"},
            ],
        },
    ),
    "responses, the role last": (
        {"input": [{"type": "message", "content": [{"type": "input_text", "text": "Hi"}], "role": "user"}]},
        {
            "input": [
                {"type": "message", "content": [{"type": "input_text", "text": "Hi"}], "role": "user"},
                {"type": "function_call", "call_id": "c", "name": "read", "arguments": "{}"},
            ]
        },
    ),
    "gemini": (
        {"systemInstruction": {"parts": [{"text": "Be kind."}]}, "contents": [{"parts": [{"text": "Hi"}]}]},
        {
            "systemInstruction": {"parts": [{"text": "Be kind."}]},
            "contents": [{"parts": [{"text": "Hi"}]}, {"role": "model", "parts": [{"text": "Well."}]}],
        },
    ),
    "text that is continued": (
        {"prompt": "Once upon a time " * 100},
        {"prompt": "Once upon a time " * 100 + "there was a king"},
    ),
    "a long first turn": (
        {"messages": [{"role": "user", "content": "word " * 20_000}]},
        {"messages": [{"role": "user", "content": "word " * 20_000}, ANSWER, MORE]},
    ),
}
"""An API → a first request, and a later one of the same conversation."""

TALKS = {name: talk for name, talk in CONVERSATIONS.items() if "prompt" not in talk[0]}


def prompt_key(body: Mapping[str, Any], indent: int | None = None) -> bytes:
    """The key of a prompt; the body is written with blanks as Python does, or with lines."""
    return key(PROMPT, make_request(body=json.dumps({"model": "m", **body}, indent=indent).encode()))


class PromptTests(SynchronousTestCase):
    """By the prompt's stable beginning."""

    def test_conversations(self) -> None:
        """All turns of a conversation have one key, in every API, whatever blanks the JSON has."""
        for name, (first, later) in CONVERSATIONS.items():
            for indent in (None, 2):
                self.assertEqual(prompt_key(first, indent), prompt_key(later, indent), name)

    def test_otherSettings(self) -> None:
        """Temperature, model and the like make no difference."""
        first, _ = CONVERSATIONS["chat"]
        self.assertEqual(prompt_key(first), prompt_key({"temperature": 1, **first, "stream": True, "max_tokens": 9}))

    def test_different(self) -> None:
        """Other tools, other rules and other first turns have other keys."""
        for name, (first, _) in CONVERSATIONS.items():
            keys = {prompt_key(first), prompt_key({**first, "tools": [{"name": "write"}]})}
            for field in ("messages", "input", "contents", "prompt", "system", "instructions", "systemInstruction"):
                if field in first:
                    text = json.dumps(first[field])
                    other = text.replace("Hi", "Ho").replace("kind", "rude").replace("Once", "Never", 1)
                    keys.add(prompt_key({**first, field: json.loads(other.replace('"word', '"First word', 1))}))
            self.assertGreaterEqual(len(keys), 3, name)

    def test_billing(self) -> None:
        """The block that Claude Code changes in each call does not count, wherever the cache's marks are."""
        for extra in ({}, {"cache_control": {"type": "ephemeral"}}):
            for rest in ([{"type": "text", "text": "Be kind."}], []):
                keys = {
                    prompt_key(
                        {
                            "system": [
                                {"type": "text", "text": f"x-anthropic-billing-header: cch={number};", **extra},
                                *rest,
                            ],
                            **CONVERSATIONS["chat"][0],
                        }
                    )
                    for number in ("1", "22", "333")
                }
                self.assertEqual(len(keys), 1)
        one, two = (prompt_key({"system": [{"type": "text", "text": text}]} | {"messages": []}) for text in ("a", "b"))
        self.assertNotEqual(one, two)

    def test_hint(self) -> None:
        """A client that says what belongs together is believed."""
        bodies = [{**first, "prompt_cache_key": "mine"} for first, _ in CONVERSATIONS.values()]
        self.assertEqual(len({prompt_key(body) for body in bodies}), 1)
        first, _ = CONVERSATIONS["chat"]
        for nothing in (None, ""):
            self.assertEqual(prompt_key({**first, "prompt_cache_key": nothing}), prompt_key(first))

    def test_stable(self) -> None:
        """The key is the same in every process: it is written down here."""
        first, _ = CONVERSATIONS["chat"]
        self.assertEqual(prompt_key(first).hex(), "0eaf8c91663ec8291373172cc6d24b8d")

    def test_readBefore(self) -> None:
        """Fields that have been read already give the same key as the body."""
        for first, _ in CONVERSATIONS.values():
            body = json.dumps(first).encode()
            fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
            self.assertEqual(key(PROMPT, make_request(body=b"not read"), fields), key(PROMPT, make_request(body=body)))

    def test_noPrompt(self) -> None:
        """A form, a body that is no JSON object, and one without a prompt have no key."""
        for body in (b"--boundary\r\n", b"[1]", b'{"a":', b"{}", b'{"model":"m","file":"x"}', b""):
            self.assertEqual(key(PROMPT, make_request(body=body)), b"", repr(body))

    def test_oddShapes(self) -> None:
        """What is no conversation still has a key, by its beginning."""
        for turns in (None, 5, "text", [], [1, 2], ["a"], [{"role": 5}], [{"content": 7}], {"a": 1}, [None]):
            self.assertTrue(prompt_key({"messages": turns}), repr(turns))
        self.assertNotEqual(prompt_key({"input": "one"}), prompt_key({"input": "two"}))

    def test_textThatLooksLikeAnAnswer(self) -> None:
        """Words of the API inside of texts do not end the first turn."""
        one, two = (
            prompt_key({"messages": [{"role": "user", "content": f'"role": "assistant" {word}'}]}) for word in "ab"
        )
        self.assertNotEqual(one, two)

    @given(
        st.recursive(st.none() | st.text(max_size=5) | st.integers(), st.lists, max_leaves=5), st.sampled_from([*TALKS])
    )
    def test_anyShape(self, odd: object, name: str) -> None:
        """No shape of a field breaks it."""
        first, _ = TALKS[name]
        for field in (*first, "system", "tools", "prompt", "prompt_cache_key"):
            prompt_key({**first, field: odd})

    @given(st.lists(st.text(max_size=20), min_size=1, max_size=4), st.lists(st.text(max_size=20), max_size=4))
    def test_anyConversation(self, first: list[str], rest: list[str]) -> None:
        """Whatever the texts are, later turns do not change the key."""
        turns: list[dict[str, object]] = [{"role": "user", "content": text} for text in first]
        later = [*turns, ANSWER, *({"role": "user", "content": text} for text in rest)]
        self.assertEqual(prompt_key({"messages": turns}), prompt_key({"messages": later}))

    def test_fewBytesAreHashed(self) -> None:
        """Two conversations that differ in the middle of a long text only may share a deployment; at its ends, not."""
        text = "word " * 5000
        fields = [
            {"messages": msgspec.Raw(json.dumps([{"role": "user", "content": content}]).encode())}
            for content in (text, text[:9000] + "W" + text[9001:], "W" + text[1:], text[:-1] + "W")
        ]
        middle, same, head, tail = (of_prompt(each) for each in fields)
        self.assertEqual(middle, same)
        self.assertEqual(len({middle, head, tail}), 3)


class HeaderTests(SynchronousTestCase):
    """By a header field."""

    def test_values(self) -> None:
        """Equal values have one key, others another; none has none."""
        sticky = Sticky(by="header", header="x-session")
        one, same, two, empty, none = (
            key(sticky, make_request(headers=((b"x-other", b"1"), *fields)))
            for fields in (
                ((b"x-session", b"a"),),
                ((b"x-session", b"a"), (b"x-session", b"b")),
                ((b"x-session", b"b"),),
                ((b"x-session", b""),),
                (),
            )
        )
        self.assertEqual((one, empty, none), (same, b"", b""))
        self.assertNotEqual(one, two)
        self.assertEqual(len(one), 16)

    def test_off(self) -> None:
        """Without stickiness nothing is looked at."""
        self.assertEqual(key(Sticky(), make_request(headers=((b"x-session", b"a"),))), b"")
