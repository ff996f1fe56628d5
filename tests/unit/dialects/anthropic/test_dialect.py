"""The Messages API: its events and whole answers."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.registry import DIALECTS
from relay.endpoints import FORWARDED
from relay.exchange import Usage
from tests.unit.dialects.streams import MESSAGES, hear

START = json.dumps(
    {
        "type": "message_start",
        "message": {
            "model": "m",
            "usage": {
                "input_tokens": 10,
                "cache_creation_input_tokens": 3,
                "cache_read_input_tokens": 100,
                "output_tokens": 1,
            },
        },
    }
)


def block(members: str) -> str:
    """A block that starts."""
    return '{"type":"content_block_start","index":0,"content_block":{' + members + "}}"


def end(usage: str, reason: str = '"end_turn"') -> str:
    """A ``message_delta``."""
    return '{"type":"message_delta","delta":{"stop_reason":' + reason + '},"usage":' + usage + "}"


class MessagesListenerTests(SynchronousTestCase):
    """What an event is, with its name beside it and without."""

    def test_content(self) -> None:
        """Deltas and blocks that begin with something are content; starts and pings are not."""
        for data, expected in (
            (START, False),
            ('{"type":"ping"}', False),
            (block('"type":"text","text":""'), False),
            (block('"type":"thinking","thinking":"","signature":""'), False),
            ('{"type":"content_block_stop","index":0}', False),
            (end('{"output_tokens":1}'), False),
            (block('"type":"text","text":"hi"'), True),
            (block('"type":"tool_use","id":"t","name":"f","input":{}'), True),
            (block('"type":"redacted_thinking","data":"x"'), True),
            (block('"type":"web_search_tool_result","content":[]'), True),
            ('{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}', True),
        ):
            for name in (json.loads(data)["type"], ""):
                listener = hear(MESSAGES, data, event=name)
                self.assertEqual((listener.content, listener.chunks), (expected, int(expected)), data)

    def test_usage(self) -> None:
        """Cached tokens are part of the input; ``message_delta`` replaces what it names and keeps the rest."""
        self.assertEqual(hear(MESSAGES, START).usage, Usage(input=113, cached=100, cache_write=3, output=1))
        told = hear(MESSAGES, START, end('{"output_tokens":25}'))
        self.assertEqual(told.usage, Usage(input=113, cached=100, cache_write=3, output=25))
        corrected = hear(MESSAGES, START, end('{"input_tokens":20,"cache_read_input_tokens":0,"output_tokens":25}'))
        self.assertEqual(corrected.usage, Usage(input=23, cached=0, cache_write=3, output=25))
        null = hear(MESSAGES, START, end('{"input_tokens":null,"output_tokens":25}'))
        self.assertEqual(null.usage.input, 113)
        thinking = hear(MESSAGES, START, end('{"output_tokens":25,"output_tokens_details":{"thinking_tokens":7}}'))
        self.assertEqual(thinking.usage.reasoning, 7)
        self.assertEqual(hear(MESSAGES, START, START).usage.output, 1)

    def test_end(self) -> None:
        """``message_stop`` ends; after a stop reason it may be missing, and is added."""
        self.assertTrue(hear(MESSAGES, '{"type":"message_stop"}').done)
        listener = hear(MESSAGES, START, end('{"output_tokens":1}', '"tool_use"'))
        self.assertEqual((listener.finish, listener.model, listener.done), ("tool_use", "m", False))
        self.assertEqual(listener.closing(), b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
        self.assertIsNone(hear(MESSAGES, START, end('{"output_tokens":1}', "null")).closing())

    def test_error(self) -> None:
        """An error ends the stream."""
        data = '{"type":"error","error":{"type":"overloaded_error","message":"m"}}'
        for name in ("error", ""):
            listener = hear(MESSAGES, data, event=name)
            self.assertEqual(
                (listener.error, listener.done, listener.content), (("m", "overloaded_error"), True, False)
            )
        self.assertEqual(hear(MESSAGES, "broken", event="error").error, ("", ""))

    def test_oddities(self) -> None:
        """What is not understood is not content, and raises nothing."""
        for data in ("[]", "null", "nonsense", '{"type":5}', '{"type":"message_start","message":[]}', '{"type":"new"}'):
            listener = hear(MESSAGES, data)
            self.assertEqual(
                (listener.content, listener.done, listener.error, listener.usage), (False, False, None, Usage())
            )


class UsageTests(SynchronousTestCase):
    """Whole answers."""

    def test_message(self) -> None:
        """Usage, stop reason and model of a message."""
        body = b'{"model":"m","stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}'
        self.assertEqual(DIALECTS["anthropic"].usage(MESSAGES, body), (Usage(input=1, output=2), "end_turn", "m"))
        for odd in (b"", b"[]", b"<html>", b'{"usage":5,"stop_reason":null,"model":{}}'):
            self.assertEqual(DIALECTS["anthropic"].usage(MESSAGES, odd), (Usage(), "", ""))

    def test_countTokens(self) -> None:
        """Counted tokens are input."""
        path = FORWARDED["/v1/messages/count_tokens"]
        self.assertEqual(DIALECTS["anthropic"].usage(path, b'{"input_tokens":14}'), (Usage(input=14), "", ""))
