"""What the echo says, whichever dialect it says it in: words, or the call of a tool."""

from __future__ import annotations

import enum
import itertools
import re
from collections.abc import Iterator, Mapping

import attrs
import msgspec

from relay.echo.knobs import Knobs
from relay.echo.reading import words
from relay.echo.samples import sample
from relay.errors import InvalidRequest

_PIECE = re.compile(r"\s*\S+(?:\s+$)?")


class Finish(enum.Enum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    TOOL = "tool"


@attrs.frozen
class Tool:
    """A tool of the request.

    Attributes:
        name: its name.
        schema: JSON schema of its arguments, or None.
    """

    name: str
    schema: Mapping[str, object] | None


@attrs.frozen
class Wish:
    """A request, freed from its dialect.

    Attributes:
        knobs: the knobs.
        prompt: what to echo: the last text of the user, or the tool's result.
        texts: every text of the request; they are the input tokens.
        limit: most words to say, or None.
        stops: texts before which to stop.
        tools: the tools that can be called.
        must_call: whether a tool must be called.
        choice: name of the tool to call, or "" for any.
        after_result: whether the request ends with a tool's result; then words follow.
        schema: schema of the answer, if it must be JSON of a kind.
        json: whether the answer must be a JSON object.
    """

    knobs: Knobs
    prompt: str
    texts: tuple[str, ...]
    limit: int | None = None
    stops: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    must_call: bool = False
    choice: str = ""
    after_result: bool = False
    schema: Mapping[str, object] | None = None
    json: bool = False


@attrs.frozen
class Answer:
    """What is said.

    Attributes:
        pieces: the text cut into words, or the tool's arguments likewise; joined they are the whole.
        tool: name of the called tool, or None when words are said.
        finish: why it ends.
        stop: the stop text that ended it, or None.
        input_tokens: words of the request.
        endless: whether the pieces repeat for ever.
    """

    pieces: tuple[str, ...]
    tool: str | None
    finish: Finish
    stop: str | None
    input_tokens: int
    endless: bool

    @property
    def text(self) -> str:
        """The whole text, or the whole arguments."""
        return "".join(self.pieces)

    @property
    def output_tokens(self) -> int:
        """Words said."""
        return len(self.pieces)

    def stream(self) -> Iterator[str]:
        """The pieces one by one; for ever if the answer is endless."""
        if self.endless:
            return itertools.chain(self.pieces, itertools.cycle(_spaced(self.pieces)))
        return iter(self.pieces)


def decide(wish: Wish) -> Answer:
    """Find the answer to a request.

    Raises:
        InvalidRequest: a tool is asked for that the request does not offer.
    """
    tool = _tool(wish)
    tokens = words(wish.texts)
    if tool is not None:
        arguments = split(encode(sample(tool.schema) if tool.schema else {}))
        return Answer(arguments, tool.name, Finish.TOOL, None, tokens, endless=False)
    text, stop = _until(_text(wish), wish.stops)
    pieces = split(text)
    if wish.knobs.chunks is not None:
        pieces = tuple(itertools.islice(_repeated(pieces), wish.knobs.chunks))
    if wish.knobs.endless:
        return Answer(pieces, None, Finish.STOP, None, tokens, endless=bool(pieces))
    if wish.limit is not None and len(pieces) > wish.limit:
        return Answer(pieces[: wish.limit], None, Finish.LENGTH, None, tokens, endless=False)
    return Answer(pieces, None, Finish.STOP, stop, tokens, endless=False)


def split(text: str) -> tuple[str, ...]:
    """Cut a text into words, each with the blanks before it; joined they are the text."""
    pieces = tuple(_PIECE.findall(text))
    return pieces if pieces or not text else (text,)


def encode(value: object) -> str:
    """A value as JSON text, with blanks to cut at."""
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()


def _spaced(pieces: tuple[str, ...]) -> tuple[str, ...]:
    """The pieces as they repeat: the first needs a blank before it as well."""
    return tuple(piece if piece[:1].isspace() else f" {piece}" for piece in pieces)


def _repeated(pieces: tuple[str, ...]) -> Iterator[str]:
    """The pieces, again and again."""
    return itertools.chain(pieces, itertools.cycle(_spaced(pieces)))


def _tool(wish: Wish) -> Tool | None:
    """The tool to call, if one is.

    Raises:
        InvalidRequest: the request does not offer it.
    """
    name = wish.knobs.tool if wish.knobs.tool is not None else wish.choice
    wanted = wish.must_call or wish.knobs.tool is not None
    for tool in wish.tools:
        if wanted and name in ("", tool.name):
            return None if wish.after_result else tool
    if wanted and name:
        param = "echo.tool" if wish.knobs.tool is not None else "tool_choice"
        raise InvalidRequest(f"{param}: no tool of the request is named {name!r}.", param=param)
    return None


def _text(wish: Wish) -> str:
    """The whole text, before anything stops it."""
    if wish.knobs.text is not None:
        return wish.knobs.text
    if wish.schema is not None:
        return encode(sample(wish.schema))
    prompt = wish.prompt or "echo"
    return encode({"echo": prompt}) if wish.json else prompt


def _until(text: str, stops: tuple[str, ...]) -> tuple[str, str | None]:
    """The text before the first stop text, and that."""
    found = [(text.find(stop), stop) for stop in stops if stop and stop in text]
    if not found:
        return text, None
    place, stop = min(found)
    return text[:place], stop
