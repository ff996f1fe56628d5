"""Requests of other dialects in the words of the Messages API.

Every edge case of the way from OpenAI Chat to Anthropic Messages (1 to 42) is held here by its number, but for
those that the client's dialect decides before: 2 (``max_completion_tokens``), 22 and 23 for malformed data URLs,
38 (``functions``), 5 and 39 as far as they are OpenAI's JSON. 12 to 14 are in `test_tools`, 20 and 27 to 29 in
`test_thought`, 33 and 34 in `test_structured`.
"""

from __future__ import annotations

import base64
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import (
    Citation,
    Media,
    Message,
    Native,
    Reasoning,
    Refusal,
    Seal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from relay.dialects.anthropic.request import NAMES
from relay.dialects.anthropic.sending import build_count
from relay.dialects.codec import Target
from relay.errors import InvalidRequest
from relay.provider import Quirk
from tests.unit.dialects.anthropic.messages import NEW, OLD, PNG, heard, sent

HI = Message("user", (Text("Hi"),))
CALL = ToolCall("t1", "f", '{"a":1}')
RESULT = ToolResult("t1", (Text("done"),))


def user(*parts: Any) -> Message:
    """A user's turn."""
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def assistant(*parts: Any) -> Message:
    """An assistant's turn."""
    return Message("assistant", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def system(text: str, role: str = "system") -> Message:
    """A system message."""
    return Message(role, (Text(text),))


def tool(*results: ToolResult) -> Message:
    """Results of tools."""
    return Message("tool", results)


def text(words: str) -> dict[str, str]:
    """A text block."""
    return {"type": "text", "text": words}


def turns(*messages: Message, **fields: Any) -> list[tuple[str, list[Any]]]:
    """Roles and blocks that are sent."""
    return [(turn["role"], turn["content"]) for turn in sent(*messages, **fields)[0]["messages"]]


class SettingTests(SynchronousTestCase):
    """Fields beside the conversation."""

    def test_limit(self) -> None:
        """``max_tokens`` is always there, by the model's generation (1)."""
        for model, limit in (
            ("claude-3-haiku-20240307", 4096),
            ("claude-3-5-sonnet-20241022", 8192),
            (NEW, 32000),
            ("kimi-k2", 8192),
        ):
            self.assertEqual(sent(model=model)[0]["max_tokens"], limit, model)
        self.assertEqual(sent(max_tokens=5)[0]["max_tokens"], 5)

    def test_stop(self) -> None:
        """Stop sequences go on; blank ones are refused by the provider, and told (19)."""
        fields, built = sent(stop=("END", " \n", "X"))
        self.assertEqual((fields["stop_sequences"], built.dropped), (["END", "X"], ("stop",)))
        self.assertNotIn("stop_sequences", sent(stop=(" ",))[0])
        self.assertEqual(sent(stop=("END",))[1].dropped, ())

    def test_sampling(self) -> None:
        """Temperature ends at 1; newer models take one of two parameters, the newest none (20)."""
        table: tuple[tuple[str, dict[str, Any], dict[str, Any], tuple[str, ...]], ...] = (
            (OLD, {"temperature": 0.3, "top_p": 0.9, "top_k": 5}, {"temperature": 0.3, "top_p": 0.9, "top_k": 5}, ()),
            (OLD, {"temperature": 1.7}, {"temperature": 1.0}, ("temperature",)),
            ("claude-haiku-4-5", {"temperature": 0.3, "top_p": 0.9}, {"temperature": 0.3}, ("top_p",)),
            ("claude-haiku-4-5", {"top_p": 0.9}, {"top_p": 0.9}, ()),
            ("claude-haiku-4-5", {"temperature": 0.3, "top_p": 1.0}, {"temperature": 0.3}, ()),
            (NEW, {"temperature": 0.3, "top_p": 0.9, "top_k": 5}, {}, ("temperature", "top_p", "top_k")),
            (NEW, {"temperature": 1.0, "top_p": 1.0}, {}, ()),
        )
        for model, given, expected, dropped in table:
            fields, built = sent(model=model, **given)
            kept = {name: fields[name] for name in ("temperature", "top_p", "top_k") if name in fields}
            self.assertEqual((kept, built.dropped), (expected, dropped), (model, given))

    def test_noCounterpart(self) -> None:
        """What the provider lacks is told, unless it says nothing (21)."""
        _, built = sent(n=2, logprobs=True, frequency_penalty=0.5, logit_bias=b"{}", seed=1, verbosity="low")
        self.assertEqual(set(built.dropped), {"n", "logprobs", "frequency_penalty", "logit_bias", "seed", "verbosity"})
        nothing = sent(n=1, logprobs=False, frequency_penalty=0, presence_penalty=0.0, modalities=("text",))
        self.assertEqual(nothing[1].dropped, ())

    def test_user(self) -> None:
        """The user's id goes on unless it is an address or a number, which the provider refuses (26)."""
        for who, kept in (
            ("u-1", True),
            ('{"device_id":"d"}', True),
            ("a@b.example", False),
            ("+49 30 1234567", False),
            ("x" * 257, False),
        ):
            fields, built = sent(user=who)
            self.assertEqual(fields.get("metadata"), {"user_id": who} if kept else None, who)
            self.assertEqual(built.dropped, () if kept else ("user",), who)

    def test_tier(self) -> None:
        """Tiers that both know are mapped."""
        self.assertEqual(sent(tier="auto")[0]["service_tier"], "auto")
        self.assertEqual(sent(tier="default")[0]["service_tier"], "standard_only")
        self.assertEqual(sent(tier="flex")[1].dropped, ("tier",))

    def test_extra(self) -> None:
        """Other dialects' fields are never sent; this dialect's own are (42)."""
        fields, built = sent(extra={"repetition_penalty": b"1.1"})
        self.assertEqual((set(fields), built.dropped), ({"model", "max_tokens", "messages"}, ("repetition_penalty",)))
        fields, built = sent(extra={"container": b'"c"', "tools[0].x": b"1"}, names=NAMES)
        self.assertEqual((fields["container"], built.dropped), ("c", ("tools[0].x",)))

    def test_names(self) -> None:
        """What is lost is told in the client's words."""
        self.assertEqual(
            sent(user="a@b.example", names={"user": "safety_identifier"})[1].dropped, ("safety_identifier",)
        )

    def test_stream(self) -> None:
        """A stream is asked for where it is wanted."""
        self.assertNotIn("stream", sent()[0])
        self.assertIs(sent(stream=True)[0]["stream"], True)

    def test_vertex(self) -> None:
        """Vertex AI has the version in the body and the model in the path."""
        fields, _ = sent(quirks=[Quirk.VERTEX])
        self.assertEqual(list(fields), ["anthropic_version", "max_tokens", "messages"])
        self.assertEqual(fields["anthropic_version"], "vertex-2023-10-16")

    def test_count(self) -> None:
        """Counting takes the prompt and nothing about the answer; on Vertex AI the model is in its body."""
        request = heard(
            {"system": "s", "temperature": 0.5, "stop_sequences": ["a"], "stream": True, "tools": [{"name": "f"}]}
        )
        self.assertEqual(list(build_count(request, Target(OLD)).fields), ["model", "system", "messages", "tools"])
        vertex = build_count(request, Target(OLD, quirks=frozenset({Quirk.VERTEX})))
        self.assertEqual(list(vertex.fields)[:2], ["anthropic_version", "model"])


class ConversationTests(SynchronousTestCase):
    """Turns as the provider wants them."""

    def test_system(self) -> None:
        """System and developer messages, late ones too, are joined in order (3)."""
        fields, _ = sent(system("a"), system("b", "developer"), HI, system("c"), user("x"))
        self.assertEqual(fields["system"], [text("a"), text("b"), text("c")])
        self.assertEqual([turn["role"] for turn in fields["messages"]], ["user"])
        self.assertEqual(sent(system("a"), HI)[0]["system"], "a")
        self.assertNotIn("system", sent(system(""), HI)[0])

    def test_systemInBetween(self) -> None:
        """Newer models take a system message behind a user's turn; elsewhere it is hoisted (55)."""
        late = (HI, system("c"), assistant("ok"), user("x"), system("d"))
        fields, _ = sent(*late, model=NEW)
        self.assertEqual(
            [turn["role"] for turn in fields["messages"]], ["user", "system", "assistant", "user", "system"]
        )
        self.assertNotIn("system", fields)
        self.assertEqual(sent(*late)[0]["system"], [text("c"), text("d")])
        between, _ = sent(HI, system("c"), user("x"), model=NEW)
        self.assertEqual((between["system"], len(between["messages"])), ("c", 1))
        calls, _ = sent(HI, assistant(CALL), system("c"), tool(RESULT), model=NEW)
        self.assertEqual((calls["system"], len(calls["messages"])), ("c", 3))

    def test_blank(self) -> None:
        """Blank text is not sent, nor a message of nothing else (4, 6)."""
        self.assertEqual(turns(user("", "Hi", " \n"), assistant(""), user("x")), [("user", [text("Hi"), text("x")])])
        (_, (_, blocks), _) = turns(HI, assistant("", CALL), tool(RESULT))
        self.assertEqual([block["type"] for block in blocks], ["tool_use"])

    def test_blockArray(self) -> None:
        """An answer of calls alone is a list of blocks (5)."""
        (_, (role, blocks), _) = turns(HI, assistant(CALL), tool(RESULT))
        self.assertEqual(
            (role, blocks), ("assistant", [{"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}])
        )

    def test_merged(self) -> None:
        """Neighbours of one role are one turn (7)."""
        self.assertEqual(
            turns(user("a"), user("b"), assistant("c"), assistant("d")),
            [("user", [text("a"), text("b")]), ("assistant", [text("c"), text("d")])],
        )

    def test_results(self) -> None:
        """Results in a row are one user turn, first in it, in the client's order (8, 9)."""
        second = ToolCall("t2", "g")
        for messages in (
            (tool(ToolResult("t2")), tool(RESULT), user("And?")),
            (tool(ToolResult("t2"), RESULT), user("And?")),
            (user("And?"), tool(ToolResult("t2")), tool(RESULT)),
        ):
            sent_turns = turns(HI, assistant(CALL, second), *messages)
            self.assertEqual(
                sent_turns[2],
                (
                    "user",
                    [
                        {"type": "tool_result", "tool_use_id": "t2"},
                        {"type": "tool_result", "tool_use_id": "t1", "content": "done"},
                        text("And?"),
                    ],
                ),
            )

    def test_noResult(self) -> None:
        """A call without a result gets one that says so (10)."""
        _, _, (_, blocks) = turns(HI, assistant(CALL), user("Never mind."))
        self.assertEqual((blocks[0]["tool_use_id"], blocks[0]["is_error"]), ("t1", True))
        self.assertEqual(blocks[1], text("Never mind."))
        self.assertEqual(len(turns(HI, assistant(CALL))), 2)

    def test_noCall(self) -> None:
        """A result whose call was trimmed away becomes text (10)."""
        ((role, blocks),) = turns(tool(RESULT), user("And?"))
        self.assertEqual((role, blocks), ("user", [text("Result of the tool call t1:"), text("done"), text("And?")]))
        twice = turns(HI, assistant(CALL), tool(RESULT, RESULT))[2][1]
        self.assertEqual([block["type"] for block in twice], ["tool_result", "text", "text"])

    def test_arguments(self) -> None:
        """Arguments become an object, nothing the empty one, anything else a 400 (11)."""
        for arguments, expected in (("", {}), (" ", {}), ("{}", {}), ('{"a":[1.0]}', {"a": [1.0]})):
            self.assertEqual(turns(HI, assistant(ToolCall("t", "f", arguments)))[1][1][0]["input"], expected)
        for arguments in ("{", "[]", "null", '"a"', '{"a":NaN}', "\ud83d"):
            error = self.assertRaises(InvalidRequest, sent, HI, assistant(ToolCall("t", "f", arguments)))
            self.assertIn("JSON object", error.message)

    def test_ids(self) -> None:
        """A call's id is in letters that the provider takes, the same in call and result."""
        fields = turns(HI, assistant(ToolCall("call:1|x", "f")), tool(ToolResult("call:1|x")))
        self.assertEqual((fields[1][1][0]["id"], fields[2][1][0]["tool_use_id"]), ("call_1_x", "call_1_x"))

    def test_prefill(self) -> None:
        """A last answer is sent as it is, without blanks at its end and without a user behind it (35)."""
        self.assertEqual(
            turns(HI, assistant("The answer is ")), [("user", [text("Hi")]), ("assistant", [text("The answer is")])]
        )

    def test_firstAssistant(self) -> None:
        """A conversation may begin with an answer (36)."""
        self.assertEqual([role for role, _ in turns(assistant("Hello"), HI)], ["assistant", "user"])

    def test_nothing(self) -> None:
        """Without a word there is no request; a system prompt alone is said by the user (37)."""
        for messages in ((user(""),), (assistant(),), (user(Native("openai", "x", b"{}")),)):
            self.assertEqual(self.assertRaises(InvalidRequest, sent, *messages).param, "messages")
        self.assertEqual(turns(system("Say hi.")), [("user", [text("Say hi.")])])

    def test_refusal(self) -> None:
        """An earlier refusal is text (39)."""
        self.assertEqual(turns(HI, assistant(Refusal("No."), CALL), HI)[1][1][0], text("No."))

    def test_name(self) -> None:
        """A participant's name has no place (40)."""
        self.assertEqual(sent(Message("user", (Text("Hi"),), name="Ann"))[1].dropped, ("messages[].name",))


class ProofTests(SynchronousTestCase):
    """Thinking goes back as it came, or not at all."""

    def test_own(self) -> None:
        """Signed and redacted thinking go back untouched (29, 31)."""
        thinking = Thinking("hm", Seal("anthropic", "s"))
        redacted = Thinking(seal=Seal("anthropic", "d"), redacted=True)
        blocks = turns(HI, assistant(thinking, redacted, CALL), tool(RESULT))[1][1]
        self.assertEqual(blocks[0], {"type": "thinking", "thinking": "hm", "signature": "s"})
        self.assertEqual(blocks[1], {"type": "redacted_thinking", "data": "d"})

    def test_foreign(self) -> None:
        """Without the provider's own proof thinking is left out (30)."""
        for thinking in (
            Thinking("hm"),
            Thinking("hm", Seal("gemini", "s")),
            Thinking("hm", Seal("anthropic", "")),
            Thinking(seal=Seal("bedrock", "d"), redacted=True),
        ):
            self.assertEqual(turns(HI, assistant(thinking, "ok"), HI)[1][1], [text("ok")])

    def test_alone(self) -> None:
        """A turn of nothing but thinking was never answered and is left out."""
        self.assertEqual(
            turns(HI, assistant(Thinking("hm", Seal("anthropic", "s"))), user("x")), [("user", [text("Hi"), text("x")])]
        )

    def test_native(self) -> None:
        """This dialect's own blocks go on, other dialects' are told (52)."""
        own = Native("anthropic", "server_tool_use", b'{"type":"server_tool_use","id":"s"}')
        self.assertEqual(turns(HI, assistant(own, "ok"))[1][1][0], {"type": "server_tool_use", "id": "s"})
        self.assertEqual(
            sent(HI, assistant(Native("responses", "image_generation_call", b"{}"), "ok"))[1].dropped,
            ("messages[].content[].image_generation_call",),
        )

    def test_citations(self) -> None:
        """An answer's own citations go back; a user's text may have none."""
        cited = Text(
            "a", citations=(Citation(origin="anthropic", native=b'{"type":"char_location"}'), Citation(url="u"))
        )
        self.assertEqual(turns(HI, assistant(cited), HI)[1][1][0]["citations"], [{"type": "char_location"}])
        self.assertEqual(turns(user(cited)), [("user", [text("a")])])


class MediaTests(SynchronousTestCase):
    """Images and documents."""

    def test_images(self) -> None:
        """Data and addresses, and the type that the bytes show (22, 23, 24)."""
        data = {"type": "base64", "media_type": "image/png", "data": PNG}
        for media, source in (
            (Media("image", "image/png", PNG), data),
            (Media("image", "image/jpeg", PNG), data),
            (Media("image", "", PNG), data),
            (Media("image", "image/jpg", "AAAA"), {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}),
            (Media("image", url="https://x/y"), {"type": "url", "url": "https://x/y"}),
        ):
            self.assertEqual(turns(user(media)), [("user", [{"type": "image", "source": source}])])
        self.assertEqual(
            sent(user(Media("image", "", PNG, detail="high")))[1].dropped, ("messages[].content[].image_url.detail",)
        )
        self.assertEqual(sent(user(Media("image", "", PNG, detail="auto")))[1].dropped, ())

    def test_sniffed(self) -> None:
        """The four formats are known by their first bytes."""
        for head, mime in (
            (b"\xff\xd8\xff\xe0" + b"0" * 20, "image/jpeg"),
            (b"GIF89a" + b"0" * 20, "image/gif"),
            (b"RIFF1234WEBPVP8 " + b"0" * 20, "image/webp"),
        ):
            media = Media("image", "image/png", base64.b64encode(head).decode())
            self.assertEqual(turns(user(media))[0][1][0]["source"]["media_type"], mime)

    def test_documents(self) -> None:
        """PDF, plain text and addresses become documents (25)."""
        named: dict[str, Any] = {"name": "n", "context": "c", "citations": True, "cache": ""}
        expected = {
            "title": "n",
            "context": "c",
            "citations": {"enabled": True},
            "cache_control": {"type": "ephemeral"},
        }
        plain = {"type": "text", "media_type": "text/plain", "data": "Hi"}
        for media, source in (
            (
                Media("document", "application/pdf", "JVBERi0=", **named),
                {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
            ),
            (Media("document", "text/csv", "SGk=", **named), plain),
            (Media("document", text="Hi", **named), plain),
            (Media("document", url="https://x/y.pdf", **named), {"type": "url", "url": "https://x/y.pdf"}),
        ):
            self.assertEqual(turns(user(media)), [("user", [{"type": "document", "source": source, **expected}])])

    def test_files(self) -> None:
        """A file's handle means something to its own provider only (25)."""
        media = Media("document", file_id="file_1")
        self.assertEqual(turns(user(media), names=NAMES)[0][1][0]["source"], {"type": "file", "file_id": "file_1"})
        self.assertRaises(InvalidRequest, sent, user(media))

    def test_refused(self) -> None:
        """Sound, video, other formats and other addresses are a 400 (25)."""
        for media in (
            Media("audio", "audio/wav", "AAAA"),
            Media("video", url="https://x/y"),
            Media("image", "image/bmp", "AAAA"),
            Media("image", url="gs://x/y"),
            Media("document", "application/msword", "AAAA"),
            Media("document", "text/plain", "/w=="),
        ):
            self.assertEqual(self.assertRaises(InvalidRequest, sent, user(media)).param, "messages")

    def test_answers(self) -> None:
        """An answer holds no images here."""
        fields, built = sent(HI, assistant(Media("image", "image/png", PNG), "Look."), HI)
        self.assertEqual(fields["messages"][1]["content"], [text("Look.")])
        self.assertEqual(built.dropped, ("messages[].content[].image",))

    def test_results(self) -> None:
        """A result may be parts, with images, an error, or nothing (41)."""
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
        for result, expected in (
            (ToolResult("t1"), {}),
            (ToolResult("t1", (Text(""),)), {}),
            (ToolResult("t1", (Text("a"),), error=True), {"content": "a", "is_error": True}),
            (ToolResult("t1", (Text("a"), Text("b"))), {"content": [text("a"), text("b")]}),
            (ToolResult("t1", (Text("a"), Media("image", "image/png", PNG))), {"content": [text("a"), image]}),
        ):
            block = turns(HI, assistant(CALL), tool(result))[2][1][0]
            self.assertEqual(block, {"type": "tool_result", "tool_use_id": "t1", **expected})


class MarkerTests(SynchronousTestCase):
    """Cache markers."""

    def test_carried(self) -> None:
        """Markers stand on texts, tools, calls, results and the system prompt, with their lifetime (32)."""
        fields, built = sent(
            Message("system", (Text("s", cache="1h"),)),
            user(Text("a", cache="")),
            tools=(Tool("f", cache="5m"),),
        )
        self.assertEqual(fields["system"][0]["cache_control"], {"type": "ephemeral", "ttl": "1h"})
        self.assertEqual(fields["messages"][0]["content"][0]["cache_control"], {"type": "ephemeral"})
        self.assertEqual(fields["tools"][0]["cache_control"], {"type": "ephemeral", "ttl": "5m"})
        self.assertEqual(built.dropped, ())

    def test_most(self) -> None:
        """Of more than four the first and the last three stay, and it is told (32)."""
        marked = [user(Text(str(number), cache="")) for number in range(7)]
        fields, built = sent(*marked)
        blocks = fields["messages"][0]["content"]
        self.assertEqual([block["text"] for block in blocks if "cache_control" in block], ["0", "4", "5", "6"])
        self.assertEqual(built.dropped, ("cache_control",))

    def test_blank(self) -> None:
        """A blank text with a marker is not sent (32)."""
        self.assertEqual(turns(user(Text("", cache=""), "Hi")), [("user", [text("Hi")])])


class UnchangedTests(SynchronousTestCase):
    """The hub's request is an argument, not a draft."""

    def test_again(self) -> None:
        """The same request built twice gives the same, also for another model."""
        fields: dict[str, Any] = {
            "tools": (Tool("a b"),),
            "reasoning": Reasoning(effort="high"),
            "tool_choice": ToolChoice("auto"),
        }
        first = sent(system("s"), HI, **fields)[0]
        sent(system("s"), HI, model=NEW, **fields)
        self.assertEqual(sent(system("s"), HI, **fields)[0], first)
