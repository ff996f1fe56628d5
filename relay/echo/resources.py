"""The echo's paths: requests in, replies out."""

# mypy: allow-untyped-calls
# (twisted.web is largely unannotated)

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from typing import BinaryIO, ClassVar, cast
from urllib.parse import unquote

import attrs

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from relay.echo import bedrock
from relay.echo.audio import answer_speech, answer_transcription, answer_translation
from relay.echo.chat import answer_chat
from relay.echo.completions import answer_completion
from relay.echo.embeddings import answer_embeddings
from relay.echo.faults import Shape, asked_error, error_body, error_headers
from relay.echo.forms import read_form
from relay.echo.hub import answerer
from relay.echo.images import answer_edit, answer_generation
from relay.echo.messages import answer_count, answer_message
from relay.echo.models import model, model_list
from relay.echo.player import Player, Tally
from relay.echo.reading import Call, Form
from relay.echo.reply import Reply, whole
from relay.echo.responses import answer_response
from relay.echo.scores import answer_moderation, answer_rerank
from relay.errors import MethodNotAllowed, RelayError, UnknownPath, UnsupportedMedia

MODELS_PATH = "/v1/models"


@attrs.frozen
class Door:
    """One path that takes POST requests.

    Attributes:
        answer: makes the reply.
        shape: whose errors it writes.
        form: whether it takes a form; None if it takes forms and JSON.
    """

    answer: Callable[[Call], Reply]
    shape: Shape = Shape.OPENAI
    form: bool | None = False


DOORS: Mapping[str, Door] = {
    "/v1/chat/completions": Door(answer_chat),
    "/v1/completions": Door(answer_completion),
    "/v1/responses": Door(answer_response),
    "/v1/embeddings": Door(answer_embeddings),
    "/v1/messages": Door(answer_message, Shape.ANTHROPIC),
    "/v1/messages/count_tokens": Door(answer_count, Shape.ANTHROPIC),
    "/v1/audio/transcriptions": Door(answer_transcription, form=True),
    "/v1/audio/translations": Door(answer_translation, form=True),
    "/v1/audio/speech": Door(answer_speech),
    "/v1/images/generations": Door(answer_generation),
    "/v1/images/edits": Door(answer_edit, form=None),
    "/v1/moderations": Door(answer_moderation),
    "/v1/rerank": Door(answer_rerank),
}
"""Path → how it is answered."""

ALSO: Mapping[str, Door] = {
    "/v2/chat": Door(answerer("cohere", "/v2/chat"), Shape.COHERE),
    "/v2/embed": Door(answerer("cohere", "/v2/embed"), Shape.COHERE),
    "/v2/rerank": Door(answerer("cohere", "/v2/rerank"), Shape.COHERE),
    "/api/chat": Door(answerer("ollama", "/api/chat"), Shape.OLLAMA),
    "/api/generate": Door(answerer("ollama", "/api/generate"), Shape.OLLAMA),
    "/api/embed": Door(answerer("ollama", "/api/embed"), Shape.OLLAMA),
}
"""The same for paths outside ``/v1``."""

_GEMINI = "/v1beta/models/{model}:"
_ACTIONS: Mapping[str, tuple[Door, bool]] = {
    "generateContent": (Door(answerer("gemini", _GEMINI + "generateContent"), Shape.GEMINI), False),
    "streamGenerateContent": (Door(answerer("gemini", _GEMINI + "generateContent"), Shape.GEMINI), True),
    "countTokens": (Door(answerer("gemini", _GEMINI + "countTokens"), Shape.GEMINI), False),
    "embedContent": (Door(answerer("gemini", _GEMINI + "embedContent"), Shape.GEMINI), False),
    "batchEmbedContents": (Door(answerer("gemini", _GEMINI + "batchEmbedContents"), Shape.GEMINI), False),
    "converse": (Door(bedrock.answer_converse, Shape.BEDROCK), False),
    "converse-stream": (Door(bedrock.answer_converse, Shape.BEDROCK), True),
    "count-tokens": (Door(bedrock.answer_count, Shape.BEDROCK), False),
}
"""Action at the end of a path that names a model → how it is answered, and whether as a stream."""

_IDS = {Shape.OPENAI: b"x-request-id", Shape.BEDROCK: b"x-amzn-requestid"}
"""Under which name a provider sends its request id, where that is a special one."""

_MODEL = re.compile(r"/(?:v1beta/models/(?P<gemini>.+):|model/(?P<bedrock>.+)/)(?P<action>[A-Za-z-]+)")


def find(path: str) -> tuple[Door | None, str, bool | None]:
    """What answers a path, the model that it names, and whether it asks for a stream (None: the body tells)."""
    match = _MODEL.fullmatch(path)
    if match is None or match["action"] not in _ACTIONS:
        return DOORS.get(path) or ALSO.get(path), "", None
    door, stream = _ACTIONS[match["action"]]
    return door, match["gemini"] or match["bedrock"], stream


class EchoResource(Resource):
    """Every path of the echo.

    Args:
        clock: the timers between chunks.
        tally: counts answers.
        wall: Unix seconds, for the dates in answers.
    """

    isLeaf = True
    _log: ClassVar[Logger] = Logger()

    def __init__(self, clock: IReactorTime, tally: Tally, wall: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._tally = tally
        self._wall = wall

    def render(self, request: Request) -> int:
        """Answer a request, with an error if need be."""
        path = unquote(request.path.decode("latin-1"))
        door, named, stream = find(path)
        shape = _shape(request, door)
        request_id = _mint("req_")
        try:
            reply = self._reply(request, path, door, named, stream)
            if reply.knobs.status is not None:
                reply = asked_error(shape, reply.knobs, reply.knobs.status, request_id)
        except RelayError as error:
            reply = _refused(shape, error, request_id)
        except Exception:
            self._log.failure("echo request failed")
            reply = _refused(shape, RelayError("The echo is broken; its log says how."), request_id)
        _write_head(request, reply, shape, request_id)
        Player(self._clock, request, reply, self._tally).start()
        return NOT_DONE_YET

    def _reply(self, request: Request, path: str, door: Door | None, model_id: str, stream: bool | None) -> Reply:
        """The answer to a request.

        Raises:
            RelayError: it has none.
        """
        if door is not None:
            _allow(request, b"POST")
            array = stream is True and b"sse" not in request.args.get(b"alt", ()) and door.shape is Shape.GEMINI
            call = Call(_body(request, door), int(self._wall()), _mint, model_id, stream, array)
            return door.answer(call)
        if path != MODELS_PATH and not path.startswith(f"{MODELS_PATH}/"):
            raise UnknownPath(f"The echo has no path {path!r}.")
        _allow(request, b"GET")
        shape = _shape(request, None)
        name = path.removeprefix(MODELS_PATH).removeprefix("/")
        return whole(model(shape, name) if name else model_list(shape))


def _mint(prefix: str) -> str:
    """A new id."""
    return prefix + secrets.token_hex(12)


def _shape(request: Request, door: Door | None) -> Shape:
    """Whose errors, and whose models, the client understands."""
    if door is not None:
        return door.shape
    return Shape.ANTHROPIC if request.requestHeaders.hasHeader(b"anthropic-version") else Shape.OPENAI


def _allow(request: Request, method: bytes) -> None:
    """Check the method.

    Raises:
        MethodNotAllowed: it is another one.
    """
    if request.method != method:
        name = method.decode()
        raise MethodNotAllowed(f"This path takes {name} requests only.", (name,))


def _body(request: Request, door: Door) -> bytes | Form:
    """The request's body.

    Raises:
        InvalidRequest: a form cannot be read.
        UnsupportedMedia: a form came where JSON is wanted, or the other way round.
    """
    kind = request.getHeader("content-type") or ""
    form = kind.lower().startswith("multipart/form-data")
    if door.form is not None and form is not door.form:
        wanted = "multipart/form-data" if door.form else "application/json"
        raise UnsupportedMedia(f"This path takes {wanted}.")
    content = cast("BinaryIO", request.content)
    return read_form(kind, content) if form else content.read()


def _refused(shape: Shape, error: RelayError, request_id: str) -> Reply:
    """The answer to a request that is refused."""
    reply = whole(error_body(shape, error.http_status, error.message, request_id, error.param))
    headers = error_headers(shape, error.http_status)
    if isinstance(error, MethodNotAllowed):
        headers = (*headers, (b"allow", ", ".join(error.allowed).encode()))
    return attrs.evolve(reply, status=error.http_status, headers=headers)


def _write_head(request: Request, reply: Reply, shape: Shape, request_id: str) -> None:
    """Set status and headers; they go out with the first byte."""
    request.setResponseCode(reply.status)
    request.setHeader(b"content-type", reply.content_type)
    request.setHeader(_IDS.get(shape, b"request-id"), request_id.encode())
    if reply.length is not None:
        request.setHeader(b"content-length", b"%d" % reply.length)
    else:
        request.setHeader(b"cache-control", b"no-cache")
    for name, value in reply.headers:
        request.setHeader(name, value)
