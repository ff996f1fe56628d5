"""What Converse is sent: conversations, limits, media, caching. Tools and thinking have modules of their own.

Edge cases of the checklist that are held here: 1 (Bedrock's own default of ``maxTokens`` holds), 3, 4, 6, 7, 8, 9,
10, 19, 20, 21, 22, 23, 24, 25, 26, 30, 31, 32, 35, 36, 37, 39, 40, 41, 42, 54, 55, 58, 59, 60, 92, 110, 125, 126.

Not for this dialect: 2 and 38 (the OpenAI front decides), 43 to 51 (`test_understanding`), 65 to 74 (writers), 75 to 91
and 93 to 107 (other providers), 112 to 115 (Cohere, Ollama).
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import (
    ChatRequest,
    Citation,
    Media,
    Message,
    Native,
    Part,
    Refusal,
    Seal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from relay.dialects.codec import Target
from relay.errors import InvalidRequest
from tests.unit.dialects.bedrock.recorded import CLAUDE, COUNT, NOVA, sent

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
PDF = base64.b64encode(b"%PDF-1.4 x").decode()
NEWEST = Target("us.anthropic.claude-opus-5", "bedrock")
LLAMA = Target("us.meta.llama3-3-70b-instruct-v1:0", "bedrock")
GPT = Target("openai.gpt-5.6-luna", "bedrock")
CALL = ToolCall("c1", "f", '{"a":1}')
POINT: dict[str, Any] = {"cachePoint": {"type": "default"}}


def user(*parts: Part | str) -> Message:
    """A turn of the user."""
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def assistant(*parts: Part | str) -> Message:
    """A turn of the model."""
    return Message("assistant", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def results(*parts: ToolResult) -> Message:
    """Results of tools."""
    return Message("tool", parts)


def body(*messages: Message, target: Target = CLAUDE, **fields: Any) -> dict[str, Any]:
    """What is sent for a conversation."""
    return sent(ChatRequest("m", messages or (user("Hi"),), **fields), target)[0]


def turns(*messages: Message, target: Target = CLAUDE) -> list[tuple[str, list[Any]]]:
    """The turns that are sent: role and content, texts as they are."""
    plain = [(turn["role"], turn["content"]) for turn in body(*messages, target=target)["messages"]]
    return [(role, [block.get("text", block) for block in blocks]) for role, blocks in plain]


def dropped(*messages: Message, target: Target = CLAUDE, **fields: Any) -> tuple[str, ...]:
    """What is told as lost."""
    return sent(ChatRequest("m", messages or (user("Hi"),), **fields), target)[1].dropped


class ConversationTests(SynchronousTestCase):
    """System blocks and turns."""

    def test_systemIsHoisted(self) -> None:
        """System and developer messages, from wherever they stand, are system blocks in order (3, 54, 55, 92)."""
        got = body(
            Message("system", (Text("x-anthropic-billing-header: a"), Text("One."))),
            user("Hi"),
            Message("developer", (Text("Two."), Text(""))),
            Message("system", (Text("Three."),)),
        )
        self.assertEqual(
            [block["text"] for block in got["system"]], ["x-anthropic-billing-header: a", "One.", "Two.", "Three."]
        )
        self.assertEqual(len(got["messages"]), 1)

    def test_blankText(self) -> None:
        """Blank text is refused and left out; a turn of the model with nothing else goes with it (4, 6, 110)."""
        self.assertEqual(
            turns(user("Hi", " ", ""), assistant("", "\n"), user("Still there?")), [("user", ["Hi", "Still there?"])]
        )
        self.assertEqual(turns(user(" ")), [("user", ["."])])
        got = turns(user("Hi"), assistant(" ", CALL), results(ToolResult("c1", (Text("r"),))))
        self.assertEqual([len(blocks) for _, blocks in got], [1, 1, 1])

    def test_sameRoleInARow(self) -> None:
        """Turns of one role in a row become one (7)."""
        got = turns(user("a"), user("b"), assistant("c"), assistant("d"), user("e"))
        self.assertEqual(got, [("user", ["a", "b"]), ("assistant", ["c", "d"]), ("user", ["e"])])

    def test_beginsWithTheUser(self) -> None:
        """Converse refuses a conversation that begins otherwise, or is only a system prompt (36, 37)."""
        self.assertEqual(turns(assistant("I am here.")), [("user", ["."]), ("assistant", ["I am here."])])
        got = body(Message("system", (Text("Tell a joke."),)))
        self.assertEqual(got["messages"], [{"role": "user", "content": [{"text": "."}]}])

    def test_noMessages(self) -> None:
        """Nothing at all is the client's mistake (37)."""
        error = self.assertRaises(InvalidRequest, sent, ChatRequest("m", ()))
        self.assertEqual(error.param, "messages")

    def test_prefill(self) -> None:
        """A last turn of the model goes along, without the blanks at its end that Claude refuses (35)."""
        self.assertEqual(turns(user("Hi"), assistant("Well, \n"))[-1], ("assistant", ["Well,"]))

    def test_refusalsAndNames(self) -> None:
        """A refusal is text; a participant's name has no place, and that is told (39, 40)."""
        self.assertEqual(turns(user("Hi"), assistant(Refusal("No.")), user("?"))[1], ("assistant", ["No."]))
        self.assertEqual(dropped(Message("user", (Text("Hi"),), name="Bo")), ("messages[].name",))

    def test_thinking(self) -> None:
        """Thinking goes back with Bedrock's own proof, redacted or not; other is left out and told (30, 31)."""
        kept = assistant(
            Thinking("Hm.", Seal("bedrock", "sig")), Thinking(seal=Seal("bedrock", "x"), redacted=True), "A"
        )
        self.assertEqual(
            turns(user("Q"), kept, user("?"))[1][1],
            [
                {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "sig"}}},
                {"reasoningContent": {"redactedContent": "x"}},
                "A",
            ],
        )
        lost = user("Q"), assistant(Thinking("Hm.", Seal("anthropic", "s")), Thinking("Hm."), "A"), user("?")
        self.assertEqual(turns(*lost)[1][1], ["A"])
        self.assertEqual(dropped(*lost), ("messages[].thinking",))

    def test_citations(self) -> None:
        """Bedrock's own sources go back with their text; others are the text alone."""
        own = Text("Ruby.", citations=(Citation(origin="bedrock", native=b'{"title":"t"}'),))
        other = Text("Perl.", citations=(Citation(url="https://x", origin="anthropic", native=b"{}"),))
        self.assertEqual(
            turns(user("Q"), assistant(own, other), user("?"))[1][1],
            [{"citationsContent": {"content": [{"text": "Ruby."}], "citations": [{"title": "t"}]}}, "Perl."],
        )

    def test_nativeParts(self) -> None:
        """Parts of Bedrock's own go as they are; another's cannot, and are named."""
        guard = Native("bedrock", "guardContent", b'{"guardContent":{"text":{"text":"x"}}}')
        self.assertEqual(turns(user(guard))[0][1], [{"guardContent": {"text": {"text": "x"}}}])
        self.assertEqual(
            dropped(user("Hi", Native("anthropic", "container_upload", b"{}"))),
            ("messages[].content[].container_upload",),
        )

    def test_loneSurrogates(self) -> None:
        """Half an emoji does not break the body (125)."""
        self.assertEqual(turns(user("\ud83d a"))[0][1], ["\ufffd a"])


class ResultTests(SynchronousTestCase):
    """Tool calls and their results stand where Bedrock wants them."""

    def test_resultsFirst(self) -> None:
        """All results of a turn are in one user turn, before what the user says (8, 9, 58, 60)."""
        second = ToolCall("c2", "g")
        got = turns(
            user("Q"),
            assistant("I look.", CALL, second),
            results(ToolResult("c1", (Text("one"),))),
            results(ToolResult("c2", (Text("two"),))),
            user("And?"),
        )
        self.assertEqual([role for role, _ in got], ["user", "assistant", "user"])
        first, last, text = got[2][1]
        self.assertEqual(
            [first["toolResult"]["toolUseId"], last["toolResult"]["toolUseId"], text], ["c1", "c2", "And?"]
        )

    def test_missingResults(self) -> None:
        """A call without a result gets one that says so, at the end of the conversation as well (10)."""
        for rest in ((user("Never mind."),), ()):
            got = turns(user("Q"), assistant(CALL), *rest)
            result = got[2][1][0]["toolResult"]
            self.assertEqual((result["toolUseId"], result["status"]), ("c1", "error"))

    def test_resultsWithoutACall(self) -> None:
        """A result whose call was cut off the history becomes words, in its place (10)."""
        got = turns(user("Q"), assistant("A"), results(ToolResult("gone", (Text("42"),))), user("And?"))
        self.assertEqual(got[2][1], ["Result of an earlier tool call: 42", "And?"])
        got = turns(results(ToolResult("gone")))
        self.assertEqual(got[0][1], ["Result of an earlier tool call: (no output)"])

    def test_contents(self) -> None:
        """Results hold text and images, are never empty, and say when the call failed (41, 59)."""
        image = Media("image", "image/png", PNG)
        got = turns(
            user("Q"),
            assistant(CALL, ToolCall("c2", "g")),
            results(ToolResult("c1", (Text("see"), image)), ToolResult("c2", (Text(" "),), error=True)),
        )
        first, second = (block["toolResult"] for block in got[2][1])
        self.assertEqual(first["content"], [{"text": "see"}, {"image": {"format": "png", "source": {"bytes": PNG}}}])
        self.assertEqual((second["content"], second["status"]), ([{"text": "(no output)"}], "error"))

    def test_poorModels(self) -> None:
        """Where a model's results are text only, images follow them, and a failure is told in words."""
        image = Media("image", "image/png", PNG)
        got = turns(
            user("Q"),
            assistant(CALL),
            results(ToolResult("c1", (Text("see"), image), error=True)),
            target=LLAMA,
        )
        result, after = got[2][1]
        self.assertEqual(result["toolResult"]["content"], [{"text": "Error: see\n(attached below)"}])
        self.assertNotIn("status", result["toolResult"])
        self.assertIn("image", after)


class MediaTests(SynchronousTestCase):
    """Images, documents, sound, video."""

    def block(self, media: Media, target: Target = CLAUDE) -> Any:
        """The block of a medium."""
        (found,) = [
            block for block in body(user("Q", media), target=target)["messages"][0]["content"] if "text" not in block
        ]
        return found

    def test_images(self) -> None:
        """Images are bytes and a format; the bytes tell it better than their label (22, 23, 110)."""
        png = {"image": {"format": "png", "source": {"bytes": PNG}}}
        for mime in ("image/png", "image/jpeg", "", "IMAGE/PNG;charset=utf-8"):
            self.assertEqual(self.block(Media("image", mime, PNG)), png)
        webp = self.block(Media("image", "image/webp", "AAAA"))
        self.assertEqual(webp["image"]["format"], "webp")

    def test_buckets(self) -> None:
        """What lies in S3 is named, not fetched."""
        got = self.block(Media("image", "", url="s3://bucket/kiwi.JPG"))
        self.assertEqual(got, {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/kiwi.JPG"}}}})

    def test_refused(self) -> None:
        """Addresses, handles of files and unknown formats are the client's to change; the message says how (22, 25)."""
        for media in (
            Media("image", url="https://x/y.png"),
            Media("document", "application/pdf", file_id="file-1"),
            Media("image", "image/tiff", "AAAA"),
            Media("document", "application/zip", "AAAA"),
        ):
            error = self.assertRaises(InvalidRequest, body, user(media))
            self.assertEqual(error.param, "messages")
            self.assertIn("Bedrock", error.message)

    def test_detail(self) -> None:
        """A wish for detail cannot be carried; ``auto`` asks for nothing (24)."""
        image = Media("image", "image/png", PNG, detail="high")
        self.assertEqual(dropped(user("Q", image)), ("messages[].content[].detail",))
        self.assertEqual(dropped(user("Q", Media("image", "image/png", PNG, detail="auto"))), ())

    def test_documents(self) -> None:
        """Documents have unique names of few signs, and words beside them (25, 110)."""
        names = ["report.pdf", "re_port/..(1)!.pdf", "report.pdf", "", "", "ü"]
        blocks = body(user(*(Media("document", "application/pdf", PDF, name=name) for name in names)))["messages"][0][
            "content"
        ]
        self.assertEqual(blocks[0], {"text": "."})
        self.assertEqual(
            [block["document"]["name"] for block in blocks[1:]],
            ["report", "re-port-(1)", "report (2)", "Document 1", "Document 2", "Document 3"],
        )
        self.assertEqual(blocks[1]["document"]["format"], "pdf")

    def test_plainTextDocuments(self) -> None:
        """A document that is text is sent as bytes; its context and citations go along."""
        media = Media("document", "text/plain", text="Hällo", name="a.txt", context="C", citations=True)
        self.assertEqual(
            self.block(media)["document"],
            {
                "format": "txt",
                "source": {"bytes": base64.b64encode("Hällo".encode()).decode()},
                "name": "a",
                "context": "C",
                "citations": {"enabled": True},
            },
        )
        word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
        self.assertEqual(self.block(Media("document", word, "AAAA"))["document"]["format"], "docx")

    def test_soundAndVideo(self) -> None:
        """Sound and video have their own blocks."""
        self.assertEqual(self.block(Media("audio", "audio/wav", "AAAA"), NOVA)["audio"]["format"], "wav")
        self.assertEqual(self.block(Media("video", "video/mp4", "AAAA"), NOVA)["video"]["format"], "mp4")


class CacheTests(SynchronousTestCase):
    """Cache markers (32, 110)."""

    def test_behindWhatTheyMark(self) -> None:
        """A cache point is a block of its own behind the one it marks, in messages, system, results."""
        got = body(
            Message("system", (Text("S", cache=""),)),
            user("Q"),
            assistant(CALL),
            results(ToolResult("c1", (Text("r", cache="5m"),))),
            user(Text("And?", cache="1h")),
        )
        self.assertEqual(got["system"], [{"text": "S"}, POINT])
        last = got["messages"][-1]["content"]
        self.assertEqual([*last[0]], ["toolResult"])
        self.assertEqual(last[1:], [POINT, {"text": "And?"}, {"cachePoint": {"type": "default", "ttl": "1h"}}])

    def test_blankText(self) -> None:
        """A marker on a blank text goes with the text."""
        self.assertEqual(turns(user("Q", Text(" ", cache="")))[0][1], ["Q"])

    def test_documents(self) -> None:
        """Right behind a document a cache point is refused; it goes before."""
        pdf = Media("document", "application/pdf", PDF, cache="")
        kinds = [next(iter(block)) for block in body(user("Q", pdf))["messages"][0]["content"]]
        self.assertEqual(kinds, ["text", "cachePoint", "document"])
        self.assertEqual(dropped(user(pdf, "Q")), ("cache_control",))

    def test_otherModels(self) -> None:
        """Models without a cache get no cache points, and that is told; Nova has one lifetime."""
        self.assertEqual(turns(user(Text("Q", cache="")), target=LLAMA)[0][1], ["Q"])
        self.assertEqual(dropped(user(Text("Q", cache="")), target=LLAMA), ("cache_control",))
        self.assertEqual(turns(user(Text("Q", cache="1h")), target=NOVA)[0][1], ["Q", POINT])


class SettingsTests(SynchronousTestCase):
    """Limits, sampling, metadata."""

    def test_inference(self) -> None:
        """Limits and sampling have their place; what Converse does not know is named in the caller's words (21)."""
        request = ChatRequest(
            "m",
            (user("Hi"),),
            max_tokens=9,
            temperature=0.5,
            stop=("END", "\n"),
            seed=1,
            n=2,
            presence_penalty=0.1,
            logprobs=True,
            user="u",
            extra={"mystery": b"1"},
            names={"logprobs": "log_probabilities"},
        )
        got, built = sent(request)
        self.assertEqual(got["inferenceConfig"], {"maxTokens": 9, "temperature": 0.5, "stopSequences": ["END"]})
        self.assertEqual(
            built.dropped, ("seed", "n", "presence_penalty", "log_probabilities", "user", "mystery", "stop")
        )
        self.assertEqual(got["additionalModelResponseFieldPaths"], ["/stop_sequence", "/delta/stop_sequence"])

    def test_nothingSaid(self) -> None:
        """What a client leaves out is left out (1, 126)."""
        self.assertEqual([*body()], ["messages"])

    def test_clamped(self) -> None:
        """Converse's scale of temperature ends at 1; warmer wishes are as warm as that (20)."""
        self.assertEqual(body(temperature=1.7)["inferenceConfig"], {"temperature": 1.0})
        self.assertEqual(dropped(temperature=1.7), ())

    def test_oneSampler(self) -> None:
        """Newer models of Claude refuse temperature and top_p together; a top_p of 1 says nothing (20)."""
        self.assertEqual(body(temperature=0.2, top_p=0.9)["inferenceConfig"], {"temperature": 0.2})
        self.assertEqual(dropped(temperature=0.2, top_p=0.9), ("top_p",))
        self.assertEqual(dropped(temperature=0.2, top_p=1.0), ())
        both = body(temperature=0.2, top_p=0.9, target=NOVA)["inferenceConfig"]
        self.assertEqual(both, {"temperature": 0.2, "topP": 0.9})

    def test_noSampling(self) -> None:
        """The newest models refuse sampling; their own default asks for nothing (20)."""
        for target in (NEWEST, GPT):
            self.assertEqual(dropped(temperature=0.2, top_p=0.9, target=target), ("temperature", "top_p"))
            self.assertEqual(dropped(temperature=1.0, top_p=1, target=target), ())
            self.assertNotIn("inferenceConfig", body(temperature=0.2, target=target))

    def test_topK(self) -> None:
        """Each family has a place of its own for top_k, or none."""
        self.assertEqual(body(top_k=5)["additionalModelRequestFields"], {"top_k": 5})
        self.assertEqual(body(top_k=5, target=NOVA)["additionalModelRequestFields"], {"inferenceConfig": {"topK": 5}})
        self.assertEqual(dropped(top_k=5, target=LLAMA), ("top_k",))

    def test_stops(self) -> None:
        """Claude refuses blank stop sequences, others only empty ones, some all (19)."""
        self.assertEqual(
            body(stop=(" ", "\n", "x"), target=NOVA)["inferenceConfig"], {"stopSequences": [" ", "\n", "x"]}
        )
        self.assertEqual(dropped(stop=("", "x"), target=NOVA), ("stop",))
        self.assertEqual(dropped(stop=("x",), target=GPT), ("stop",))
        self.assertNotIn("additionalModelResponseFieldPaths", body(stop=("x",), target=NOVA))

    def test_metadata(self) -> None:
        """Short plain metadata is told to Bedrock's logs; other cannot be (26)."""
        self.assertEqual(body(metadata=b'{"team":"a b","n":"1"}')["requestMetadata"], {"team": "a b", "n": "1"})
        for odd in (b'{"a":1}', b'{"a":"{}"}', b'{"":"x"}', b"[]", b'{"a":"' + b"x" * 257 + b'"}'):
            self.assertEqual(dropped(metadata=odd), ("metadata",), odd)
        self.assertEqual((dropped(metadata=b"{}"), "requestMetadata" in body(metadata=b"{}")), ((), False))

    def test_tiers(self) -> None:
        """Service tiers have Bedrock's names; what asks for the usual is not sent."""
        self.assertEqual(body(tier="priority")["serviceTier"], {"type": "priority"})
        self.assertEqual((dropped(tier="auto"), "serviceTier" in body(tier="auto")), ((), False))
        self.assertEqual(dropped(tier="scale"), ("tier",))

    def test_ownFields(self) -> None:
        """Fields that only Converse has are carried; vendors' others never are (42)."""
        extra = {
            "guardrailConfig": b'{"guardrailIdentifier":"g"}',
            "performanceConfig": b'{"latency":"optimized"}',
            "additionalModelRequestFields": b'{"x":1}',
            "anthropic_beta": b'["context-1m-2025-08-07"]',
            "context_management": b"{}",
        }
        got, built = sent(ChatRequest("m", (user("Hi"),), extra=extra, top_k=3))
        self.assertEqual(got["guardrailConfig"], {"guardrailIdentifier": "g"})
        self.assertEqual(got["performanceConfig"], {"latency": "optimized"})
        self.assertEqual(
            got["additionalModelRequestFields"], {"top_k": 3, "x": 1, "anthropic_beta": ["context-1m-2025-08-07"]}
        )
        self.assertEqual(built.dropped, ("context_management",))
        self.assertEqual(dropped(extra={"anthropic_beta": b"[]"}, target=NOVA), ("anthropic_beta",))

    def test_betas(self) -> None:
        """Betas that Bedrock does not know, or a model has no more, are told and not sent."""
        known, unknown = "context-1m-2025-08-07", "claude-code-20250219"
        thinking = "interleaved-thinking-2025-05-14"
        for model, named, kept in (
            ("anthropic.claude-sonnet-4-6", [known, unknown, thinking], [known, thinking]),
            ("us.anthropic.claude-opus-4-7", [known, thinking], [thinking]),
            ("anthropic.claude-sonnet-4-6", [unknown], None),
            ("anthropic.claude-sonnet-4-6", "odd", None),
        ):
            request = ChatRequest("m", (user("Hi"),), extra={"anthropic_beta": msgspec.json.encode(named)})
            got, built = sent(request, Target(model))
            self.assertEqual(got.get("additionalModelRequestFields", {}).get("anthropic_beta"), kept)
            self.assertEqual(built.dropped, ("anthropic_beta",))

    def test_counting(self) -> None:
        """A request for a count has only what counts; what is not counted is not told as lost."""
        built = COUNT.build(
            ChatRequest("m", (user("Hi"),), max_tokens=5, seed=1, temperature=0.1, tier="scale", metadata=b'{"a":"b"}'),
            CLAUDE,
        )
        self.assertEqual(
            built.fields, {"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}}}
        )
        self.assertEqual(built.dropped, ())
