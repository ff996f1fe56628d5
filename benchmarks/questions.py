"""What the load generator sends: whole requests, as an SDK would write them."""

from __future__ import annotations

from dataclasses import dataclass

PATH = "/v1/chat/completions"
MODEL = "bench-1"

_SDK = (
    ("accept", "application/json"),
    ("accept-encoding", "gzip, deflate"),
    ("connection", "keep-alive"),
    ("content-type", "application/json"),
    ("user-agent", "OpenAI/Python 3.54.0"),
    ("x-stainless-arch", "x64"),
    ("x-stainless-async", "false"),
    ("x-stainless-lang", "python"),
    ("x-stainless-os", "Linux"),
    ("x-stainless-package-version", "3.54.0"),
    ("x-stainless-read-timeout", "600"),
    ("x-stainless-retry-count", "0"),
    ("x-stainless-runtime", "CPython"),
    ("x-stainless-runtime-version", "3.11.7"),
)
"""The header fields that the openai SDK sends besides ``host``, ``authorization`` and ``content-length``."""


@dataclass(frozen=True)
class Question:
    """One request, and what the mock is told to answer.

    Attributes:
        size: bytes of the body.
        chunks: chunks of the streamed answer; 0 asks for JSON.
        gap_us: microseconds between two chunks; 0 is full speed.
        answer: bytes of a JSON answer.
    """

    size: int = 1024
    chunks: int = 0
    gap_us: int = 0
    answer: int = 1024

    def body(self, model: str = MODEL) -> bytes:
        """The JSON text, filled up to ``size`` bytes."""
        knobs = f"[mock chunks={self.chunks} gap_us={self.gap_us} bytes={self.answer}]"
        stream = ',"stream":true' if self.chunks else ""
        before = f'{{"model":"{model}"{stream},"temperature":0.7,"messages":[{{"role":"user","content":"{knobs} '
        after = '"}]}'
        words = "Tell me again how the gateway passes every word on as it comes. "
        room = max(0, self.size - len(before) - len(after))
        return (before + (words * (room // len(words) + 1))[:room] + after).encode("ascii")


def raw(question: Question, key: str, *, model: str = MODEL, extra: tuple[tuple[str, str], ...] = ()) -> bytes:
    """A request as it goes over the wire.

    Args:
        question: what is asked.
        key: for ``authorization``.
        model: the model's name.
        extra: header fields that only this gateway needs.
    """
    body = question.body(model)
    fields = (
        ("host", "127.0.0.1"),
        *_SDK,
        ("authorization", f"Bearer {key}"),
        *extra,
        ("content-length", str(len(body))),
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"POST {PATH} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body


def client_key(number: int) -> str:
    """The key of the client with that number; all are of one length."""
    return f"rk-{number:06d}-4f9d0c2b7a6e"


def provider_name(number: int) -> str:
    """The name of the provider with that number; all are of one length."""
    return f"p{number:03d}"
