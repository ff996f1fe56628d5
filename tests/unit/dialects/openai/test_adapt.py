"""Requests that go to an imitator untranslated (edge cases D78, D85 to D87, A2)."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.openai.adapt import ADAPTED, adapt
from relay.provider import Quirk
from tests.unit.dialects.openai.talk import requests

RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])
ALL = frozenset(Quirk)


def adapted(body: str, *quirks: Quirk) -> str:
    """The body that is sent."""
    return msgspec.json.encode(adapt(RAW.decode(body), frozenset(quirks))).decode()


def messages(body: dict[str, Any], *quirks: Quirk) -> Any:
    """The messages that are sent."""
    return json.loads(adapted(json.dumps(body), *quirks))["messages"]


class AdaptTests(SynchronousTestCase):
    """One deviation at a time."""

    def test_bytesKept(self) -> None:
        """What needs no change keeps every byte, message by message."""
        body = (
            '{"messages":[{"role" : "user","content":"\\u00e9 1.0"},{"role":"developer", "content": [1.0] }],"x": 1.0}'
        )
        self.assertEqual(
            adapted(body, Quirk.NO_DEVELOPER_ROLE),
            '{"messages":[{"role" : "user","content":"\\u00e9 1.0"},{"role":"system","content":[1.0]}],"x":1.0}',
        )
        fields = RAW.decode(body)
        unchanged = adapt(fields, frozenset({Quirk.NINE_LETTER_IDS, Quirk.NO_NULL_CONTENT}))
        self.assertTrue(all(unchanged[name] is fields[name] for name in fields))

    def test_limit(self) -> None:
        """2, 86: the limit gets the name that is taken; the newer one wins; null is none."""
        newer = Quirk.MAX_COMPLETION_TOKENS
        self.assertEqual(adapted('{"max_tokens":5}', newer), '{"max_completion_tokens":5}')
        self.assertEqual(adapted('{"max_completion_tokens":6,"max_tokens":5}', newer), '{"max_completion_tokens":6}')
        self.assertEqual(adapted('{"max_completion_tokens":null,"max_tokens":5}', newer), '{"max_completion_tokens":5}')
        self.assertEqual(adapted('{"max_completion_tokens":6,"max_tokens":5}'), '{"max_tokens":6}')
        self.assertEqual(adapted('{"max_completion_tokens":null,"max_tokens":5}'), '{"max_tokens":5}')

    def test_choice(self) -> None:
        """78: ``required`` is ``any``; a name where none is taken is a demand."""
        named = '{"tool_choice":{"type":"function","function":{"name":"f"}}}'
        self.assertEqual(adapted('{"tool_choice":"required"}', Quirk.ANY_FOR_REQUIRED), '{"tool_choice":"any"}')
        self.assertEqual(adapted('{"tool_choice":"auto"}', Quirk.ANY_FOR_REQUIRED), '{"tool_choice":"auto"}')
        self.assertEqual(adapted(named, Quirk.NO_NAMED_TOOL), '{"tool_choice":"required"}')
        self.assertEqual(adapted(named, Quirk.ANY_FOR_REQUIRED), named)

    def test_ids(self) -> None:
        """78: a call and its result get the same nine letters."""
        call = {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        talk = [
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "toolu_1", "content": "r"},
        ]
        first, second = messages({"messages": talk}, Quirk.NINE_LETTER_IDS)
        self.assertEqual(first["tool_calls"][0], {**call, "id": second["tool_call_id"]})
        self.assertRegex(second["tool_call_id"], r"\A[A-Za-z0-9]{9}\Z")

    def test_content(self) -> None:
        """87: null and missing content become empty; parts that are all text become one text."""
        talk: list[Any] = [{"role": "assistant", "content": None}, {"role": "assistant"}]
        self.assertEqual([m["content"] for m in messages({"messages": talk}, Quirk.NO_NULL_CONTENT)], ["", ""])
        parts: list[Any] = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
        image = {"type": "image_url", "image_url": {"url": "u"}}
        talk = [{"role": "user", "content": parts}, {"role": "user", "content": [*parts, image]}]
        joined, kept = messages({"messages": talk}, Quirk.STRING_CONTENT)
        self.assertEqual((joined["content"], kept["content"]), ("a\n\nb", [*parts, image]))

    def test_schema(self) -> None:
        """A schema becomes words where the provider cannot be bound to it."""
        form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}}}
        body = {"messages": [{"role": "user", "content": "hi"}], "response_format": form}
        sent = json.loads(adapted(json.dumps(body), Quirk.NO_JSON_SCHEMA))
        self.assertEqual(sent["response_format"], {"type": "json_object"})
        self.assertEqual([message["role"] for message in sent["messages"]], ["system", "user"])
        self.assertIn('{"a":1}', sent["messages"][0]["content"])

    def test_malformed(self) -> None:
        """What is malformed stays for the provider to refuse."""
        for body in (
            '{"messages":5}',
            '{"messages":[5,null]}',
            '{"messages":[{"role":5,"content":5,"tool_calls":5}]}',
            '{"messages":[{"role":"assistant","content":"a","tool_calls":[5]}]}',
            '{"response_format":"json_schema"}',
            '{"response_format":{"type":"json_schema"}}',
            '{"tool_choice":5}',
        ):
            self.assertIsInstance(adapted(body, *ALL), str)

    def test_recordings(self) -> None:
        """Every recorded request survives every deviation, and loses no field."""
        for case, data in requests():
            fields = RAW.decode(data)
            sent = adapt(fields, ADAPTED)
            same = {"max_tokens": "max_completion_tokens"}
            self.assertEqual({same.get(name, name) for name in fields}, set(sent), case.name)
            kept = {"messages", "tool_choice", "response_format", *same, *same.values()}
            self.assertTrue(all(sent[name] is fields[name] for name in fields if name not in kept), case.name)
