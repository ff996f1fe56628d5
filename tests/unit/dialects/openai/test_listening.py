"""Listening to Chat Completions, Completions, audio and images."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.openai.listening import ChatListener, MediaListener
from relay.endpoints import FORWARDED
from relay.errors import InternalError
from relay.exchange import Usage
from relay.wire.sse import Event
from tests.unit.dialects.streams import CHAT, hear

USAGE = '{"prompt_tokens":7,"completion_tokens":2}'


def delta(members: str) -> str:
    """A chunk with this delta."""
    return '{"model":"m","choices":[{"index":0,"delta":{' + members + '},"finish_reason":null}]}'


def finish(index: int = 0, reason: str = "stop") -> str:
    """A chunk that finishes a choice."""
    return f'{{"model":"m","choices":[{{"index":{index},"delta":{{}},"finish_reason":"{reason}"}}]}}'


CONTENT: dict[str, str] = {
    "text": delta('"content":"hi"'),
    "a blank": delta('"content":" "'),
    "text that looks like the end": delta('"content":"data: [DONE]"'),
    "a list": delta('"content":[{"type":"thinking","thinking":[]}]'),
    "a tool call": delta('"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":""}}]'),
    "an old function call": delta('"function_call":{"name":"f"}'),
    "a refusal": delta('"refusal":"no"'),
    "reasoning": delta('"content":"","reasoning_content":"hm"'),
    "reasoning elsewhere": delta('"role":"assistant","reasoning":"hm"'),
    "audio": delta('"audio":{"id":"a"}'),
    "a finish reason": finish(),
    "a text completion": '{"choices":[{"text":"hi","index":0,"finish_reason":null}]}',
    "odd types around it": '{"model":5,"choices":[{"index":"0","delta":{"content":"hi"}}]}',
    "half an emoji": delta('"content":"\\ud83d"'),
}

NOTHING: dict[str, str] = {
    "the role": delta('"role":"assistant","content":"","refusal":null'),
    "an empty delta": delta(""),
    "a null delta": '{"choices":[{"index":0,"delta":null}]}',
    "no delta": '{"choices":[{"index":0}]}',
    "an empty finish reason": finish(reason=""),
    "Azure's first chunk": '{"choices":[],"id":"","prompt_filter_results":[{"prompt_index":0}]}',
    "no choices": '{"id":"x"}',
    "null choices": '{"choices":null}',
    "choices that are none": '{"choices":[null,5,"x"]}',
    "a heartbeat sent as data": ": keepalive",
    "not an object": "[1]",
    "a usage report": '{"choices":[],"usage":' + USAGE + "}",
}


class ChatListenerTests(SynchronousTestCase):
    """What a chunk is: content, end, usage, error."""

    def test_content(self) -> None:
        """A chunk with something for the user in it is content."""
        for name, data in CONTENT.items():
            listener = hear(CHAT, data)
            self.assertEqual(
                (listener.content, listener.chunks, listener.done, listener.error), (True, 1, False, None), name
            )

    def test_nothing(self) -> None:
        """A chunk without is not, and ends nothing."""
        for name, data in NOTHING.items():
            listener = hear(CHAT, data)
            self.assertEqual(
                (listener.content, listener.chunks, listener.done, listener.error), (False, 0, False, None), name
            )
            self.assertIsNone(listener.closing(), name)

    def test_pureUsage(self) -> None:
        """Only a chunk that has usage and no choices is a pure usage report."""
        for data, expected in (
            ('{"choices":[],"usage":' + USAGE + "}", True),
            ('{"usage":' + USAGE + "}", True),
            ('{"choices":[],"usage":null}', False),
            ('{"choices":[],"usage":{}}', False),
            ('{"choices":[]}', False),
            ('{"choices":[{"index":0,"delta":{}}],"usage":' + USAGE + "}", False),
            ('{"choices":[],"usage":' + USAGE + ',"error":{"message":"x"}}', False),
            (delta('"content":"\\"choices\\":[],\\"usage\\":{}"'), False),
        ):
            self.assertIs(ChatListener().hear(Event(b"", b"", data.encode())), expected, data)

    def test_usage(self) -> None:
        """The last report counts, whichever chunk it is on."""
        listener = hear(
            CHAT, '{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}', delta('"content":"x"')
        )
        self.assertEqual(listener.usage, Usage(input=1, output=1))
        listener = hear(CHAT, '{"choices":[],"usage":{"prompt_tokens":1}}', '{"choices":[],"usage":' + USAGE + "}")
        self.assertEqual(listener.usage, Usage(input=7, output=2))
        groq = '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"r","usage":' + USAGE + "}}"
        self.assertEqual(hear(CHAT, groq).usage, Usage(input=7, output=2))

    def test_usageInText(self) -> None:
        """A model that talks of usage, errors and ends is not believed."""
        said = '"content":"\\"usage\\":{\\"prompt_tokens\\":9} \\"error\\":{} \\"finish_reason\\":\\"stop\\" [DONE]"'
        listener = hear(CHAT, delta(said))
        self.assertEqual((listener.usage, listener.error, listener.finish, listener.done), (Usage(), None, "", False))

    def test_end(self) -> None:
        """``[DONE]`` ends the stream; after a finish reason it may be missing, and is added."""
        self.assertTrue(hear(CHAT, "[DONE]").done)
        self.assertTrue(hear(CHAT, "[DONE] ").done)
        listener = hear(CHAT, delta('"content":"x"'), finish(reason="length"))
        self.assertEqual((listener.finish, listener.done), ("length", False))
        self.assertEqual(listener.closing(), b"data: [DONE]\n\n")
        self.assertIsNone(hear(CHAT, delta('"content":"x"')).closing())

    def test_everyChoiceFinishes(self) -> None:
        """With several choices the stream is whole when each that spoke has finished."""
        second = delta('"content":"x"').replace('"index":0', '"index":1')
        self.assertIsNone(hear(CHAT, delta('"content":"x"'), second, finish(0)).closing())
        self.assertIsNotNone(hear(CHAT, delta('"content":"x"'), second, finish(0), finish(1)).closing())
        self.assertIsNotNone(hear(CHAT, second, finish(1)).closing())

    def test_listenersShareNothing(self) -> None:
        """What one stream's choices do is not seen in another's, whether they are the usual one or many."""
        for index in (0, 3):
            one = hear(CHAT, finish(0), finish(index))
            other = hear(CHAT, delta('"content":"a"'))
            self.assertEqual((one.closing(), other.closing()), (b"data: [DONE]\n\n", None))

    def test_errors(self) -> None:
        """An error ends the stream, alone, beside choices, or in an event of its name."""
        for data, event, expected in (
            ('{"error":{"message":"m","type":"server_error","code":null}}', "", ("m", "server_error")),
            (
                '{"error":{"message":"m","code":502},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}',
                "",
                ("m", "502"),
            ),
            ('{"error":"m"}', "", ("m", "")),
            ('{"error":{"message":"m","code":"tool_use_failed"}}', "error", ("m", "tool_use_failed")),
            ('{"message":"m"}', "error", ("m", "")),
            ("not JSON", "error", ("", "")),
            ('{"choices":[],"x_groq":{"error":"m"}}', "", ("m", "")),
        ):
            listener = hear(CHAT, data, event=event)
            self.assertEqual((listener.error, listener.done, listener.content), (expected, True, False), data)
        for data in ('{"error":null,"choices":[]}', '{"error":{},"choices":[]}', '{"error":"","choices":[]}'):
            self.assertIsNone(hear(CHAT, data).error, data)

    def test_model(self) -> None:
        """The first model that is named is kept."""
        self.assertEqual(hear(CHAT, '{"model":"","choices":[]}', '{"model":"a"}', '{"model":"b"}').model, "a")


class MediaListenerTests(SynchronousTestCase):
    """Audio and image streams."""

    def test_transcription(self) -> None:
        """Text is content; the last event has the usage and ends the stream once the body ends."""
        path = FORWARDED["/v1/audio/transcriptions"]
        listener = hear(path, '{"type":"transcript.text.delta","delta":"hi"}')
        self.assertIsInstance(listener, MediaListener)
        self.assertEqual((listener.content, listener.chunks, listener.closing()), (True, 1, None))
        last = (
            '{"type":"transcript.text.done","text":"hi","usage":{"type":"tokens","input_tokens":3,"output_tokens":1}}'
        )
        listener = hear(path, '{"type":"transcript.text.delta","delta":"hi"}', last)
        self.assertEqual((listener.usage, listener.finish), (Usage(input=3, output=1), "transcript.text.done"))
        self.assertEqual((listener.done, listener.closing()), (False, b""))

    def test_images(self) -> None:
        """Several images may be completed in one stream, so the first does not end it."""
        one = '{"type":"image_generation.completed","b64_json":"QUJD","usage":{"input_tokens":5,"output_tokens":9}}'
        listener = hear(FORWARDED["/v1/images/generations"], '{"type":"image_generation.partial_image"}', one, one)
        self.assertEqual((listener.chunks, listener.done, listener.closing()), (3, False, b""))
        self.assertEqual(listener.usage, Usage(input=5, output=9))

    def test_namedByEvent(self) -> None:
        """A type that is only in the event's name is found there, and ``[DONE]`` ends."""
        listener = hear(FORWARDED["/v1/audio/speech"], '{"usage":null}', event="speech.audio.done")
        self.assertEqual(listener.finish, "speech.audio.done")
        self.assertTrue(hear(FORWARDED["/v1/audio/speech"], "[DONE]").done)

    def test_nothing(self) -> None:
        """A comment is not content, and relay's own error has the form of Chat's."""
        listener = hear(FORWARDED["/v1/audio/speech"], "")
        self.assertEqual((listener.content, listener.closing()), (False, None))
        self.assertTrue(listener.fail(InternalError("m"), "").startswith(b'data: {"error":{"message":"m"'))

    def test_errors(self) -> None:
        """An error ends the stream; odd types do not stop the reading."""
        path = FORWARDED["/v1/audio/speech"]
        for data in (
            '{"type":"error","error":{"message":"m","code":"c"}}',
            '{"type":7,"error":{"message":"m","code":"c"}}',
        ):
            listener = hear(path, data)
            self.assertEqual((listener.error, listener.done, listener.content), (("m", "c"), True, False))
        self.assertEqual(hear(path, '{"type":"error","message":"m","code":"c"}').error, ("m", "c"))
