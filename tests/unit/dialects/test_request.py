"""Reading and re-encoding JSON request bodies."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.request import JSONRequest, read_request
from relay.endpoints import FORWARDED
from relay.errors import InvalidRequest
from relay.provider import ParamRule

CHAT = "/v1/chat/completions"
SAY = b'"messages":[{"role":"user","content":"hi"}]'


def read(body: bytes | str, path: str = CHAT) -> JSONRequest:
    """Read a body as the endpoint does."""
    return read_request(FORWARDED[path], body.encode() if isinstance(body, str) else body)


def chat(members: str = "") -> bytes:
    """A good chat request with more members."""
    return b'{"model":"m",' + SAY + ("," + members if members else "").encode() + b"}"


GOOD: dict[str, list[str]] = {
    CHAT: [
        '{"model":"m","messages":[{"role":"user","content":"hi"}]}',
        '{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"hi"}]},{"role":"assistant"}]}',
        '{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[]},{"role":"x","content": ""}]}',
        (
            '{"model":"m","messages":[{"role":"user"}],"stream":null,"tools":[],"tool_choice":null,"max_tokens":null,'
            '"stop":null,"stream_options":null,"response_format":null,"temperature":null,"n":null,"seed":null}'
        ),
        '{"model":"m","messages":[{"role":"user"}],"stop":"x","temperature":1,"top_p":0.5,"tool_choice":"auto"}',
        '{"model":"m","messages":[{"role":"user"}],"stop":["x"],"tool_choice":{"type":"function"},"seed":-5}',
        '{"model":"m","messages":[{"role":"user"}],"vendor":{"deep":[1,null,{"a":1e400}]},"extra_body":5}',
        '{"model":"org/name:tag@1","messages":[{"role":"developer","content":"\\ud83d\\ude00"}]}',
        '{"model":"m","messages":[{"role":"user"}],"stream_options":{"include_usage":null,"other":1}}',
        '  {"model":"m","messages":[{"role":"user"}]}\r\n',
    ],
    "/v1/completions": [
        '{"model":"m","prompt":"hi"}',
        '{"model":"m","prompt":["a",[1,2]],"echo":true,"logprobs":5}',
        '{"model":"m","prompt":null}',
    ],
    "/v1/embeddings": [
        '{"model":"m","input":"hi","encoding_format":"base64"}',
        '{"model":"m","input":["a","b"]}',
        '{"model":"m","input":[[1,2],[3]],"dimensions":256,"user":"u"}',
    ],
    "/v1/responses": [
        '{"model":"m","input":"hi"}',
        '{"model":"m","input":[],"previous_response_id":"r"}',
        '{"model":"m","prompt":{"id":"p"}}',
        (
            '{"model":"m","input":[{"role":"developer","content":"x"}],"tools":[{"type":"namespace"},{"type":"web_search"}],'
            '"store":false,"include":["reasoning.encrypted_content"],"reasoning":{"summary":"auto"},"client_metadata":{}}'
        ),
    ],
    "/v1/messages": [
        '{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}',
        '{"model":"m","max_tokens":0,"messages":[{"role":"system","content":"late"},{"role":"user","content":[]}]}',
        (
            '{"model":"m","max_tokens":32000,"stream":true,"system":[{"type":"text","text":"x","cache_control":{}}],'
            '"messages":[{"role":"user","content":[{"type":"text","text":"x"}]}],"thinking":{"type":"adaptive"},'
            '"context_management":{"edits":[]},"output_config":{"effort":"high"},"metadata":{"user_id":"{\\"a\\":1}"},'
            '"tools":[{"name":"t","input_schema":{}}]}'
        ),
    ],
    "/v1/messages/count_tokens": ['{"model":"m","messages":[{"role":"user","content":"hi"}]}'],
    "/v1/audio/speech": [
        '{"model":"m","input":"hi","voice":"alloy"}',
        '{"model":"m","input":"hi","voice":{"id":"v"}}',
    ],
    "/v1/images/generations": ['{"prompt":"a cat"}', '{"model":null,"prompt":"a cat","n":2}'],
    "/v1/images/edits": ['{"prompt":"a hat","images":[{"image_url":"data:"}]}'],
    "/v1/moderations": ['{"input":"x"}', '{"model":"m","input":[{"type":"text","text":"x"}]}'],
    "/v1/rerank": ['{"model":"m","query":"q","documents":["a",{"text":"b"}],"top_n":1}'],
}
"""Endpoint → bodies that clients send and that must pass."""

BAD: list[tuple[str, str, str | None, str]] = [
    (CHAT, "", None, "empty"),
    (CHAT, " \n", None, "empty"),
    (CHAT, "[]", None, "must be an object, not an array"),
    (CHAT, '"text"', None, "must be an object"),
    (CHAT, "null", None, "must be an object"),
    (CHAT, "{", None, "not valid JSON"),
    (CHAT, '{"model":"m"} x', None, "not valid JSON"),
    (CHAT, '{"model":"m","messages":[{"role":"user"}],}', None, "not valid JSON"),
    (CHAT, "{'model':'m'}", None, "not valid JSON"),
    (CHAT, '{"model":"m","messages":[{"role":"user"}],"temperature":NaN}', None, "not valid JSON"),
    (CHAT, '{"model":"m","messages":[{"role":"user"}],"x":{"y":Infinity}}', None, "not valid JSON"),
    (CHAT, '{"model":"m","messages":[{"role":"user","content":"\\ud83d"}]}', None, "not valid JSON"),
    (CHAT, '{"model":"m","messages":[{"role":"user","content":"\\ude00\\ud83d"}]}', None, "not valid JSON"),
    (CHAT, '{"model":"m","messages":[{"role":"user","content":"a\nb"}]}', None, "not valid JSON"),
    (CHAT, '{"messages":[{"role":"user"}]}', "model", "required"),
    (CHAT, '{"model":null,"messages":[{"role":"user"}]}', "model", "non-empty string"),
    (CHAT, '{"model":"","messages":[{"role":"user"}]}', "model", "non-empty string"),
    (CHAT, '{"model":5,"messages":[{"role":"user"}]}', "model", "must be a string or null, not an integer"),
    (CHAT, '{"model":["m"],"messages":[{"role":"user"}]}', "model", "not an array"),
    (CHAT, '{"model":"a\\nb","messages":[{"role":"user"}]}', "model", "control"),
    (CHAT, '{"model":"a\\u009bb","messages":[{"role":"user"}]}', "model", "control"),
    (CHAT, '{"model":"' + "m" * 257 + '","messages":[{"role":"user"}]}', "model", "256"),
    (CHAT, '{"model":"m"}', "messages", "required"),
    (CHAT, '{"model":"m","messages":null}', "messages", "must be an array, not null"),
    (CHAT, '{"model":"m","messages":[]}', "messages", "length >= 1"),
    (CHAT, '{"model":"m","messages":"hi"}', "messages", "must be an array, not a string"),
    (CHAT, '{"model":"m","messages":["hi"]}', "messages[0]", "must be an object, not a string"),
    (CHAT, '{"model":"m","messages":[{"role":"user"},{"content":"x"}]}', "messages[1].role", "required"),
    (CHAT, '{"model":"m","messages":[{"role":null}]}', "messages[0].role", "must be a string, not null"),
    (CHAT, '{"model":"m","messages":[{"role":"user","content":5}]}', "messages[0].content", "string or an array"),
    (CHAT, '{"model":"m","messages":[{"role":"user","content":{}}]}', "messages[0].content", "string or an array"),
    (CHAT, '{"model":"m","messages":[{"role":"user"}],"stream":"true"}', "stream", "true or false or null"),
    (CHAT, '{"model":"m","messages":[{"role":"user"}],"stream":1}', "stream", "not an integer"),
    (CHAT, '{"model":"m","messages":[{"role":"user"}],"max_tokens":"5"}', "max_tokens", "an integer"),
    (CHAT, '{"model":"m","messages":[{"role":"user"}],"max_tokens":1.5}', "max_tokens", "not a number"),
    (CHAT, '{"model":"m","messages":[{"role":"user"}],"n":true}', "n", "an integer"),
    (CHAT, '{"model":"m","messages":[{"role":"user"}],"seed":' + "9" * 5000 + "}", "seed", "out of range"),
    (CHAT, '{"model":"m","messages":[{"role":"user"}],"temperature":"hot"}', "temperature", "a number"),
    (CHAT, '{"model":"m","messages":[{"role":"user"}],"tools":{}}', "tools", "an array"),
    (CHAT, '{"model":"m","messages":[{"role":"user"}],"tools":[1]}', "tools[0]", "an object"),
    (CHAT, '{"model":"m","messages":[{"role":"user"}],"tool_choice":[]}', "tool_choice", "an object or null"),
    (CHAT, '{"model":"m","messages":[{"role":"user"}],"stop":7}', "stop", "a string or an array"),
    (CHAT, '{"model":"m","messages":[{"role":"user"}],"stream_options":[]}', "stream_options", "an object"),
    ("/v1/completions", '{"model":"m"}', "prompt", "required"),
    ("/v1/completions", '{"model":"m","prompt":5}', "prompt", "a string or an array"),
    ("/v1/embeddings", '{"model":"m"}', "input", "required"),
    ("/v1/embeddings", '{"model":"m","input":null}', "input", "not null"),
    ("/v1/embeddings", '{"model":"m","input":""}', "input", "length >= 1"),
    ("/v1/embeddings", '{"model":"m","input":[]}', "input", "length >= 1"),
    ("/v1/responses", '{"model":"m"}', "input", "required unless"),
    ("/v1/responses", '{"model":"m","input":{}}', "input", "a string or an array"),
    ("/v1/messages", '{"model":"m","messages":[{"role":"user"}]}', "max_tokens", "required"),
    ("/v1/messages", '{"model":"m","messages":[{"role":"user"}],"max_tokens":null}', "max_tokens", "an integer"),
    ("/v1/messages", '{"model":"m","messages":[{"role":"user"}],"max_tokens":-1}', "max_tokens", ">= 0"),
    ("/v1/messages", '{"model":"m","max_tokens":1,"messages":[]}', "messages", "length >= 1"),
    ("/v1/messages", '{"model":"m","max_tokens":1,"messages":[{"role":"user"}],"system":5}', "system", "a string"),
    ("/v1/messages/count_tokens", '{"model":"m"}', "messages", "required"),
    ("/v1/audio/speech", '{"model":"m"}', "input", "required"),
    ("/v1/images/generations", "{}", "prompt", "required"),
    ("/v1/moderations", "{}", "input", "required"),
    ("/v1/rerank", '{"model":"m","query":"q"}', "documents", "required"),
    ("/v1/rerank", '{"model":"m","query":"q","documents":[]}', "documents", "length >= 1"),
]
"""Endpoint, body, the field that the error names, words of its message."""


class ReadRequestTests(SynchronousTestCase):
    """A body is taken, or refused with a message that helps."""

    def test_good(self) -> None:
        """What clients really send is never refused, and keeps every value when it is sent on."""
        for path, bodies in GOOD.items():
            for body in bodies:
                request = read(body, path)
                self.assertEqual(json.loads(request.encode(request.model)), json.loads(body), body)

    def test_everyEndpointWithJSON(self) -> None:
        """The table of good bodies leaves out no endpoint but those that take uploads only."""
        self.assertEqual(set(FORWARDED) - set(GOOD), {"/v1/audio/transcriptions", "/v1/audio/translations"})

    def test_bad(self) -> None:
        """Each fault is an `InvalidRequest` that names the field and says what was expected."""
        for path, body, param, words in BAD:
            error = self.assertRaises(InvalidRequest, read, body, path)
            self.assertEqual(error.param, param, body)
            self.assertIn(words, error.message, body)

    def test_notUTF8(self) -> None:
        """Other encodings are refused by name, and a broken character by its place."""
        for body in (chat().decode().encode("utf-16"), chat().decode().encode("utf-16-le"), b"\xef\xbb\xbf" + chat()):
            self.assertIn("UTF-8 without", self.assertRaises(InvalidRequest, read, body).message)
        broken = chat('"x":"').replace(b'"x":"', b'"x":"\xed\xa0\xbd"')
        self.assertIn(f"byte {broken.index(0xED)}", self.assertRaises(InvalidRequest, read, broken).message)

    def test_nesting(self) -> None:
        """A body that is nested without end is refused, wherever it is nested."""
        for body in (chat('"x":' + "[" * 100000), b'{"model":' + b"[" * 100000, b"[" * 100000):
            self.assertRaises(InvalidRequest, read, body)

    def test_cut(self) -> None:
        """A body cut anywhere is refused."""
        body = chat('"temperature":1,"tools":[{"a":null}],"x":"\\u00e9"')
        for cut in range(len(body)):
            self.assertRaises(InvalidRequest, read, body[:cut])

    @settings(max_examples=300, deadline=None, database=None)
    @given(st.binary(max_size=60))
    def test_anyBytes(self, noise: bytes) -> None:
        """Whatever comes, it is read or refused; nothing else is raised."""
        for body in (noise, b'{"model":' + noise + b"}", chat()[:-1] + b',"stop":' + noise + b"}"):
            try:
                read(body)
            except InvalidRequest as error:
                self.assertTrue(error.message.endswith("."))

    def test_stream(self) -> None:
        """``stream`` is true only where it says so; speech may ask by its format."""
        self.assertEqual([read(chat(s)).stream for s in ('"stream":true', '"stream":false', "")], [True, False, False])
        say = '{"model":"m","input":"x","voice":"v"%s}'
        for members, expected in (
            ("", False),
            (',"stream_format":"audio"', False),
            (',"stream_format":"sse"', True),
            (',"stream":true', True),
        ):
            self.assertEqual(read(say % members, "/v1/audio/speech").stream, expected)

    def test_wantsUsage(self) -> None:
        """Only ``include_usage: true`` asks for usage."""
        for options, expected in (("{}", False), ('{"include_usage":false}', False), ('{"include_usage":true}', True)):
            self.assertEqual(read(chat(f'"stream_options":{options}')).wants_usage, expected)

    def test_optionalModel(self) -> None:
        """Where the model may be left out it is "", and a provider's default is put in."""
        for body in ('{"prompt":"x"}', '{"prompt":"x","model":null}', '{"prompt":"x","model":""}'):
            request = read(body, "/v1/images/generations")
            self.assertEqual(request.model, "")
            self.assertEqual(request.encode(""), body.encode())
            self.assertEqual(json.loads(request.encode("m"))["model"], "m")


class EncodeTests(SynchronousTestCase):
    """What is sent on differs from what came only where it must."""

    def test_bytesKept(self) -> None:
        """Big numbers, float forms, escapes, order and blanks inside values stay as they were."""
        rest = SAY + b',"x":{"b": 1.0,"a":1e2,"c":[12345678901234567890123,  "\\u00e9\\/"],"c":2},"user":"\xc3\xa9"}'
        request = read(b'{"model":"m",' + rest)
        self.assertEqual(request.encode("m"), b'{"model":"m",' + rest)
        self.assertEqual(request.encode("big/m"), b'{"model":"big/m",' + rest)

    def test_modelQuoted(self) -> None:
        """A model name from configuration is written as JSON."""
        self.assertEqual(json.loads(read(chat()).encode('a"b\\'))["model"], 'a"b\\')

    def test_sentAsItCame(self) -> None:
        """A large body is sent as it is only if its fields, each taken once, give just these bytes."""
        long = b"x" * 20_000
        same = b'{"model":"m","messages":[{"role":"user", "content":"%b"}],"caf\xc3\xa9":{},"n":1}' % long
        plain = same.replace(b"caf\xc3\xa9", b"cafe")
        others = (
            same,
            plain.replace(b'"model":', b'"model": '),
            plain.replace(b'"model":"m",', b'"model":"z","model":"m",'),
            plain.replace(b'"model":"m",', b'"mod\\u0065l":"m",'),
            plain.replace(b',"n":1}', b',"n":1,"n":2}'),
            plain.replace(b',"n":1}', b',"\\u006e":1,"n":1}'),
            plain + b"\n",
        )
        asked = read(plain)
        self.assertIs(asked.encode(""), plain)
        self.assertIs(asked.addressed("other", stream=True).encode("other"), plain)
        self.assertEqual(asked.encode("z"), plain.replace(b'"m"', b'"z"'))
        self.assertNotIn(b"cafe", asked.changed(lambda fields: {"model": fields["model"]}).encode(""))
        for body in others:
            fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
            self.assertEqual(read(body).encode(""), msgspec.json.encode(fields))

    def test_duplicates(self) -> None:
        """Top-level duplicates collapse to the last, also when one of them is escaped."""
        request = read(b'{"model":"cheap","mod\\u0065l":"dear",' + SAY + b"}")
        self.assertEqual(request.model, "dear")
        self.assertEqual(request.encode("dear"), b'{"model":"dear",' + SAY + b"}")
        twice = read(b'{"stream":true,"model":"m","stream":false,' + SAY + b"}")
        self.assertFalse(twice.stream)
        self.assertEqual(twice.encode("m").count(b"stream"), 1)

    def test_askUsage(self) -> None:
        """Usage is asked for without losing what else the client asked for."""
        for members, expected in (
            ('"stream":true', {"include_usage": True}),
            ('"stream_options":null', {"include_usage": True}),
            ('"stream_options":{"include_usage":false}', {"include_usage": True}),
            ('"stream_options":{"include_obfuscation":false}', {"include_obfuscation": False, "include_usage": True}),
        ):
            request = read(chat(members))
            self.assertEqual(json.loads(request.encode("m", ask_usage=True))["stream_options"], expected)
            self.assertEqual(json.loads(request.encode("m")), json.loads(chat(members)))

    def test_repeatable(self) -> None:
        """Encoding for one attempt changes nothing for the next."""
        request = read(chat('"top_k":5,"max_tokens":9'))
        before = request.encode("m")
        rules = (ParamRule("top_k", drop=True), ParamRule("max_tokens", to="max_completion_tokens", maximum=4))
        other = json.loads(request.encode("other", rules, ask_usage=True))
        self.assertEqual(other["max_completion_tokens"], 4)
        self.assertNotIn("top_k", other)
        self.assertEqual(request.encode("m"), before)

    def test_secretsNotShown(self) -> None:
        """A request that is printed shows no prompt."""
        self.assertNotIn("hi", repr(read(chat())))
