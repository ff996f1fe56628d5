"""A provider on a socket that refuses what the real one would refuse, and answers like the echo.

What may be sent is not written down here: it is what the providers' own packages say. OpenAI's and Anthropic's
request types come from their SDKs, Gemini's from google-genai, and Bedrock's from the service description in botocore.
"""

# mypy: disable-error-code="import-untyped"
# (botocore has no annotations)

from __future__ import annotations

import functools
import itertools
import json
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import attrs
import botocore.session
from anthropic.types.beta import message_create_params
from botocore.validate import ParamValidator
from google.genai import types
from openai.types.chat import completion_create_params
from pydantic import ConfigDict, TypeAdapter, ValidationError

from relay.echo.reading import Call
from relay.echo.resources import find

NOW = 1_700_000_000


@attrs.frozen
class Sent:
    """A request that relay sent.

    Attributes:
        path: unquoted, without the query.
        headers: names in lower case.
        fields: the JSON body.
        size: bytes of the body.
    """

    path: str
    headers: Mapping[str, str]
    fields: Mapping[str, Any]
    size: int


class CheckingProvider:
    """Listens on a loopback port; speaks every dialect that the echo speaks.

    Attributes:
        sent: the requests, in order.
        problems: what is wrong with them; each was answered 400.
        tool: a part of the name of the tool that is to be called, "" for words.
    """

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.problems: list[str] = []
        self.tool = ""
        self._numbers = itertools.count(1)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, sent: Sent) -> tuple[int, str, Iterator[bytes]]:
        """Status, content type and pieces of the answer to a request."""
        self.sent.append(sent)
        door, model, stream = find(sent.path)
        if door is None:
            return 404, "application/json", iter([b'{"message":"no such path"}'])
        problems = check(sent.path, sent.fields, model)
        if problems:
            self.problems += problems
            return 400, "application/json", iter([json.dumps({"message": "; ".join(problems)}).encode()])
        knobs = {"echo": {"tool": called}} if (called := self._called(sent.fields)) else {}
        body = json.dumps({**sent.fields, **knobs}).encode()
        reply = door.answer(Call(body, NOW, lambda prefix: f"{prefix}{next(self._numbers)}", model, stream))
        return 200, reply.content_type.decode(), (data for data, _ in reply.pieces)

    def _called(self, fields: Mapping[str, Any]) -> str:
        """The tool to be called, by the name that was sent."""
        names = [name for name in tool_names(fields) if self.tool and self.tool in name]
        return names[0] if names else ""


class _Handler(BaseHTTPRequestHandler):
    """Takes one connection's requests."""

    protocol_version = "HTTP/1.1"

    def __init__(self, provider: CheckingProvider, *args: Any) -> None:
        self._provider = provider
        super().__init__(*args)

    def do_POST(self) -> None:
        """Read, answer, in the chunked coding."""
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        sent = Sent(unquote(self.path.partition("?")[0]), headers, json.loads(body), len(body))
        status, content_type, pieces = self._provider.answer(sent)
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            if piece:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def tool_names(fields: Mapping[str, Any]) -> list[str]:
    """The names of the functions that a request declares, in any dialect."""
    declared = [*fields.get("tools", ()), *fields.get("toolConfig", {}).get("tools", ())]
    names = []
    for tool in declared:
        for one in (*tool.get("functionDeclarations", ()), *tool.get("tools", ()), tool):
            found = one.get("function") or one.get("toolSpec") or one.get("custom") or one
            names.append(str(found.get("name", "")))
    return [name for name in names if name]


# ── what may be sent ──────────────────────────────────────────────────────────────────


def check(path: str, fields: Mapping[str, Any], model: str) -> list[str]:
    """What the provider would refuse; nothing where the dialect has no description here."""
    for part, checker in _CHECKERS.items():
        if part in path:
            return checker(fields, model)
    return []


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one type says that it takes more; so it may
        return TypeAdapter(list[kind], config=ConfigDict(extra="forbid"))  # only around a list does it reach inside


def _typed(kind: Any, value: object) -> list[str]:
    """What a value has that its type does not, down to the last item."""
    try:
        _walk(_adapter(kind).validate_python([value]))
    except ValidationError as error:
        return [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors()]
    return []


def _walk(value: Any) -> None:
    """Look at everything: pydantic checks what is only iterable when it is iterated."""
    if isinstance(value, Mapping):
        for item in value.values():
            _walk(item)
    elif not isinstance(value, str | bytes) and hasattr(value, "__iter__"):
        for item in value:
            _walk(item)


def _chat(fields: Mapping[str, Any], _model: str) -> list[str]:
    kinds = completion_create_params
    kind = kinds.CompletionCreateParamsStreaming if fields.get("stream") else kinds.CompletionCreateParamsNonStreaming
    asked: set[str] = set()
    problems = _typed(kind, fields)
    for message in fields["messages"]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in asked:
                problems.append("a tool result that no call in the turn before it asked for")
            asked.discard(message["tool_call_id"])
            continue
        if asked:
            problems.append("a tool call without its result")
        asked = {call["id"] for call in message.get("tool_calls", ())}
    return problems


def _messages(fields: Mapping[str, Any], _model: str) -> list[str]:
    kinds = message_create_params
    kind = kinds.MessageCreateParamsStreaming if fields.get("stream") else kinds.MessageCreateParamsNonStreaming
    return _typed(kind, fields)


_GEMINI: Mapping[str, Any] = {
    "contents": list[types.Content],
    "systemInstruction": types.Content,
    "tools": list[types.Tool],
    "toolConfig": types.ToolConfig,
    "generationConfig": types.GenerationConfig,
    "safetySettings": list[types.SafetySetting],
    "cachedContent": str,
}


@functools.cache
def _model_adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)  # the SDK's models forbid what they do not know by themselves


def _generate(fields: Mapping[str, Any], _model: str) -> list[str]:
    problems = [f"{name}: unknown field" for name in fields if name not in _GEMINI]
    for name, kind in _GEMINI.items():
        try:
            _model_adapter(kind).validate_python(fields[name]) if name in fields else None
        except ValidationError as error:
            problems += [f"{name}.{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    return problems + _turns(fields["contents"], "role", "user", "model")


@functools.cache
def _converse_shape() -> Any:
    return botocore.session.get_session().get_service_model("bedrock-runtime").operation_model("ConverseStream")


def _converse(fields: Mapping[str, Any], model: str) -> list[str]:
    report = ParamValidator().validate({"modelId": model, **fields}, _converse_shape().input_shape)
    problems = [report.generate_report()] if report.has_errors() else []
    return problems + _turns(fields["messages"], "role", "user", "assistant")


def _turns(turns: list[Any], field: str, first: str, second: str) -> list[str]:
    """Both sides take turns, and the client begins."""
    roles = [turn[field] for turn in turns]
    wanted = list(itertools.islice(itertools.cycle((first, second)), len(roles)))
    return [] if roles == wanted else [f"the turns are {roles}"]


_CHECKERS: Mapping[str, Callable[[Mapping[str, Any], str], list[str]]] = {
    "/v1/chat/completions": _chat,
    "/v1/messages": _messages,
    "enerateContent": _generate,
    "/converse": _converse,
}
"""Part of a path → what finds fault with a request there."""
