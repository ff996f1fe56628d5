"""The hub: a chat request and its answer in no provider's words.

Every dialect translates to and from these values, so that N dialects cost N modules. They hold what
at least two dialects can say; what only one can say travels as a `Native` part, a native `Tool` or
in ``extra``, and is told as dropped where it cannot go on. Opaque proofs (thinking signatures,
encrypted reasoning, thought signatures) are `Seal`s: never read, never changed, and given back only
to the dialect that made them.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from relay.exchange import Usage

Raw = msgspec.Raw
"""JSON text of a value, kept byte for byte."""


class Seal(msgspec.Struct, frozen=True):
    """A proof that a provider put on its output and wants back untouched.

    Attributes:
        origin: name of the dialect that made it (``anthropic``, ``gemini``, ``responses`` …).
        value: the opaque text.
    """

    origin: str
    value: str


# ── parts of messages ────────────────────────────────────────────────────────────────
#
# ``cache`` is a cache marker behind the part: None for no marker, "" for one with the
# provider's own lifetime, else the lifetime ("5m", "1h").


class Citation(msgspec.Struct, frozen=True):
    """A source that a piece of text names.

    Attributes:
        url: address of the source, "" for a document of the request.
        title: its title, or "".
        quote: the words cited, or "".
        start: where the cited answer text begins, in characters, or None.
        end: where it ends, or None.
        origin: dialect of ``native``.
        native: the citation as that dialect gave it, JSON text, or b"".
    """

    url: str = ""
    title: str = ""
    quote: str = ""
    start: int | None = None
    end: int | None = None
    origin: str = ""
    native: bytes = b""


class Text(msgspec.Struct, frozen=True):
    """Words."""

    text: str
    cache: str | None = None
    citations: tuple[Citation, ...] = ()
    seal: Seal | None = None


class Media(msgspec.Struct, frozen=True):
    """An image, sound, video or document: exactly one of ``data``, ``url``, ``file_id``, ``text`` is set.

    Attributes:
        kind: ``image``, ``audio``, ``video`` or ``document``.
        mime: media type, "" if unknown (a URL).
        data: standard base64 of the bytes.
        url: where it is; ``gs://`` and ``s3://`` too.
        file_id: the provider's own handle of an uploaded file.
        text: a document that is plain text.
        name: file name or title, or "".
        detail: OpenAI's ``detail`` of an image, or "".
        context: what Anthropic calls a document's ``context``, or "".
        citations: whether citations of this document are asked for.
        seal: a proof on generated media.
    """

    kind: str
    mime: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    text: str = ""
    name: str = ""
    detail: str = ""
    context: str = ""
    citations: bool = False
    cache: str | None = None
    seal: Seal | None = None


class ToolCall(msgspec.Struct, frozen=True):
    """The model wants a function called.

    Attributes:
        id: unique in its conversation; readers make one where the provider gives none.
        name: the function.
        arguments: JSON text of an object, ``{}`` without arguments; plain text for a ``custom`` tool.
        custom: whether the tool takes free text instead of JSON.
        namespace: the group that the tool was declared in, or "".
    """

    id: str
    name: str
    arguments: str = "{}"
    custom: bool = False
    namespace: str = ""
    cache: str | None = None
    seal: Seal | None = None


class ToolResult(msgspec.Struct, frozen=True):
    """What a called function returned; stands in a message of role ``tool``.

    Attributes:
        call: id of the `ToolCall` it answers.
        content: `Text`, `Media` or `Native` parts, maybe none.
        name: the function, "" where the dialect does not repeat it (builders look it up by ``call``).
        error: whether the call failed.
        custom: whether it answers a call of a ``custom`` tool.
    """

    call: str
    content: tuple[Part, ...] = ()
    name: str = ""
    error: bool = False
    custom: bool = False
    cache: str | None = None


class Thinking(msgspec.Struct, frozen=True):
    """Reasoning that came before an answer.

    Attributes:
        text: what may be shown of it; "" when redacted or encrypted.
        seal: the proof for it (signature, ``encrypted_content``, redacted data).
        redacted: whether the seal *is* the reasoning, and no text may be shown.
        id: the provider's handle of the reasoning item, or "".
        summary: whether the text is a summary and not the reasoning itself.
    """

    text: str = ""
    seal: Seal | None = None
    redacted: bool = False
    id: str = ""
    summary: bool = False


class Refusal(msgspec.Struct, frozen=True):
    """The model's words for declining, where the dialect keeps them apart from text."""

    text: str


class Native(msgspec.Struct, frozen=True):
    """A part that only its own dialect understands: server tool calls and results, containers.

    Attributes:
        origin: the dialect.
        kind: its ``type`` there, for ``x-relay-dropped``.
        value: the part as JSON text.
    """

    origin: str
    kind: str
    value: bytes


Part = Text | Media | ToolCall | ToolResult | Thinking | Refusal | Native


class Message(msgspec.Struct, frozen=True):
    """One turn.

    Attributes:
        role: ``system``, ``developer``, ``user``, ``assistant`` or ``tool``. System messages stand
            where the client put them; a dialect with a system field hoists and joins them.
        parts: in order. Results of tools are messages of role ``tool``, one `ToolResult` or more each.
        name: the participant's name, or "".
        id: the item's id (Responses), or "".
    """

    role: str
    parts: tuple[Part, ...]
    name: str = ""
    id: str = ""


# ── the request ──────────────────────────────────────────────────────────────────────


class Tool(msgspec.Struct, frozen=True):
    """Something that the model may call.

    Attributes:
        name: the function's name.
        description: what it does, or "".
        parameters: JSON Schema of its arguments as JSON text, b"" if none is given.
        strict: whether arguments must follow the schema, None if not said.
        kind: ``function``; ``custom`` (free text); ``web_search``, ``code_execution`` and other tools that
            the provider runs itself.
        origin: for provider-run tools and formats of custom tools: the dialect of ``native``.
        native: the declaration as that dialect gave it, JSON text, or b"".
        namespace: the group that it was declared in, or ""; ``name`` is unique among the tools all the same.
    """

    name: str
    description: str = ""
    parameters: bytes = b""
    strict: bool | None = None
    kind: str = "function"
    origin: str = ""
    native: bytes = b""
    namespace: str = ""
    cache: str | None = None


class ToolChoice(msgspec.Struct, frozen=True):
    """Which tool must be called.

    Attributes:
        mode: ``auto``, ``none``, ``required`` (any), or ``named``.
        names: for ``named`` the one tool; for the others the tools that are allowed, () for all.
    """

    mode: str
    names: tuple[str, ...] = ()


class ResponseFormat(msgspec.Struct, frozen=True):
    """The form that the answer's text must have.

    Attributes:
        kind: ``text``, ``json_object`` or ``json_schema``.
        schema: JSON text of the schema, b"" unless ``json_schema``.
        name: the schema's name, or "".
        description: what it is for, or "".
        strict: whether it must be followed exactly, None if not said.
    """

    kind: str
    schema: bytes = b""
    name: str = ""
    description: str = ""
    strict: bool | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """How much the model is to think, and what is shown of it.

    Attributes:
        effort: ``none``, ``minimal``, ``low``, ``medium``, ``high``, ``xhigh``, ``max``, or "" if not said.
        budget: most tokens to think, None if not said; 0 switches thinking off.
        adaptive: whether the model decides by itself (Anthropic's ``adaptive``, Gemini's budget −1).
        summary: ``auto``, ``concise``, ``detailed``, or "" if not asked for.
        visible: whether thoughts are asked for in the answer, None if not said.
        encrypted: whether encrypted reasoning is asked for, to be sent back later.
    """

    effort: str = ""
    budget: int | None = None
    adaptive: bool = False
    summary: str = ""
    visible: bool | None = None
    encrypted: bool = False


class ChatRequest(msgspec.Struct, frozen=True):
    """What a client asks; None, "" and () mean that it did not say.

    Attributes:
        model: the client's name for the model.
        messages: at least one, oldest first.
        stream: whether a streamed answer is asked for.
        wants_usage: whether the client wants a usage report in the stream.
        parallel: whether several tools may be called at once.
        max_tokens: most tokens of the answer, reasoning included.
        user: the end user's opaque id.
        metadata: JSON text of the metadata object, b"" if none.
        tier: the service tier asked for.
        logprobs: whether log probabilities are asked for; ``top_logprobs`` how many alternatives.
        logit_bias: JSON text of the object, b"" if none.
        verbosity: ``low``, ``medium``, ``high``.
        modalities: what kinds of output are asked for (``text``, ``audio``, ``image``).
        cache_key: OpenAI's ``prompt_cache_key``.
        extra: fields of the caller's dialect that have no place here, name → JSON text.
        names: hub field → what the caller's dialect calls it, where that differs; for messages and
            ``x-relay-dropped``.
    """

    model: str
    messages: tuple[Message, ...]
    stream: bool = False
    wants_usage: bool = False
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    n: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: bytes = b""
    logprobs: bool | None = None
    top_logprobs: int | None = None
    format: ResponseFormat | None = None
    reasoning: Reasoning | None = None
    user: str = ""
    metadata: bytes = b""
    tier: str = ""
    verbosity: str = ""
    modalities: tuple[str, ...] = ()
    cache_key: str = ""
    extra: Mapping[str, bytes] = msgspec.field(default_factory=dict)
    names: Mapping[str, str] = msgspec.field(default_factory=dict)


# ── the answer ───────────────────────────────────────────────────────────────────────


class Finish:
    """Why an answer ended; the values of `Choice.finish` and `relay.events.Finished`."""

    STOP = "stop"
    """The model was done, or wrote a stop sequence."""
    LENGTH = "length"
    """The token limit, or the end of the context window."""
    TOOL_CALLS = "tool_calls"
    """Tools are to be called."""
    FILTER = "content_filter"
    """The provider withheld the answer or the rest of it."""
    REFUSAL = "refusal"
    """The model declined."""
    PAUSE = "pause"
    """A long turn is to be continued by sending it back (Anthropic's ``pause_turn``)."""
    FAULT = "fault"
    """The model wrote something unusable (Gemini's ``MALFORMED_FUNCTION_CALL``)."""


class Choice(msgspec.Struct, frozen=True):
    """One answer of maybe several.

    Attributes:
        parts: what the assistant said, in order.
        finish: a value of `Finish`, "" if the provider did not say.
        stop: the stop sequence that was written, or "".
        logprobs: JSON text in OpenAI's form, b"" if none.
        index: its number from 0.
    """

    parts: tuple[Part, ...]
    finish: str = ""
    stop: str = ""
    logprobs: bytes = b""
    index: int = 0


class Completion(msgspec.Struct, frozen=True):
    """A whole answer.

    Attributes:
        id: the provider's id of it, or "".
        model: the model that the provider says it served, or "".
        choices: at least one, by index.
        usage: tokens.
        created: Unix seconds, 0 if the provider did not say.
        tier: the service tier used, or "".
        fingerprint: OpenAI's ``system_fingerprint``, or "".
    """

    id: str
    model: str
    choices: tuple[Choice, ...]
    usage: Usage = Usage()
    created: int = 0
    tier: str = ""
    fingerprint: str = ""
