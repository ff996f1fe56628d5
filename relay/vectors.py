"""The hub's other operations: embeddings, ranking and counting tokens, in no provider's words."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from relay.chat import Media, Text
from relay.exchange import Usage


class EmbedRequest(msgspec.Struct, frozen=True):
    """Inputs to be turned into vectors.

    Attributes:
        model: the client's name for the model.
        inputs: each a text, a run of token numbers, or mixed parts (text and images).
        dimensions: length of the vectors, None for the model's own.
        encoding: ``float`` or ``base64`` (little-endian 32-bit floats): what the client wants back.
        task: ``query``, ``document``, ``classification``, ``clustering``, ``similarity``, or "" if not said.
        title: title of the document (Gemini), or "".
        truncate: ``NONE``, ``START``, ``END``, or "" if not said.
        user: the end user's opaque id.
        extra: fields of the caller's dialect that have no place here, name → JSON text.
        single: whether the client's form was one input and not a list, for dialects that answer in kind.
    """

    model: str
    inputs: tuple[str | tuple[int, ...] | tuple[Text | Media, ...], ...]
    dimensions: int | None = None
    encoding: str = "float"
    task: str = ""
    title: str = ""
    truncate: str = ""
    user: str = ""
    extra: Mapping[str, bytes] = msgspec.field(default_factory=dict)
    single: bool = False


class Embeddings(msgspec.Struct, frozen=True):
    """Vectors in the order of the inputs: numbers, or base64 of little-endian 32-bit floats."""

    model: str
    vectors: tuple[tuple[float, ...] | str, ...]
    usage: Usage = Usage()
    id: str = ""


class RankRequest(msgspec.Struct, frozen=True):
    """Documents to be put in order of their nearness to a query.

    Attributes:
        model: the client's name for the model.
        query: what is looked for.
        documents: the texts.
        top: how many to return, None for all.
        return_documents: whether the texts come back, None if not said.
        extra: fields of the caller's dialect that have no place here, name → JSON text.
    """

    model: str
    query: str
    documents: tuple[str, ...]
    top: int | None = None
    return_documents: bool | None = None
    extra: Mapping[str, bytes] = msgspec.field(default_factory=dict)


class Ranking(msgspec.Struct, frozen=True):
    """(index of the document, relevance), best first."""

    model: str
    results: tuple[tuple[int, float], ...]
    usage: Usage = Usage()
    units: int | None = None
    id: str = ""


class TokenCount(msgspec.Struct, frozen=True):
    """Tokens of a prompt; ``estimated`` when relay counted and not the provider."""

    tokens: int
    cached: int | None = None
    estimated: bool = False
