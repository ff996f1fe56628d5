"""Equal front and back: the answer's bytes go through as they are, and relay only listens."""

from __future__ import annotations

from collections.abc import Callable

from relay.dialects.base import EVENTS, Dialect, Frame
from relay.dialects.faults import upstream_error
from relay.dialects.lenient import load
from relay.dialects.sniff import Sniffer
from relay.endpoints import Endpoint
from relay.errors import RelayError, TruncatedStream, UpstreamError, UpstreamProtocol
from relay.exchange import Usage
from relay.outcome import Stage
from relay.secret import Redactor


class Passthrough:
    """A `relay.dialects.transcode.Transcoder` for event streams in the client's own dialect.

    Output is the input in complete frames, but for four things: a pure usage report is left out when
    asked, what follows the terminal event is dropped, a stream that ends after its finish reason gets
    the terminal event (or the blank line of its last event) that is missing, and keys are masked in
    the provider's errors.

    Args:
        dialect: the dialect of both sides.
        endpoint: where the request came in.
        deployment: the deployment's name, for errors.
        strip_usage: whether pure usage reports are left out, because the client did not ask for them.
        frame_limit: most bytes of one frame.
        request_id: for the in-stream error of dialects that show it.
        mask: gives the filter for the provider's errors; asked only when there is one.
    """

    __slots__ = (
        "_decoder",
        "_deployment",
        "_dialect",
        "_limit",
        "_listener",
        "_mask",
        "_request_id",
        "_sniffer",
        "_strip",
        "error",
        "started",
    )

    def __init__(
        self,
        dialect: Dialect,
        endpoint: Endpoint,
        deployment: str,
        *,
        strip_usage: bool,
        frame_limit: int = 16 * 1024 * 1024,
        request_id: str = "",
        mask: Callable[[], Redactor] = Redactor,
    ) -> None:
        self._dialect = dialect
        self._deployment = deployment
        self._strip = strip_usage
        self._limit = frame_limit
        self._request_id = request_id
        self._mask = mask
        self._listener = dialect.listener(endpoint)
        self._decoder = dialect.decoder(frame_limit)
        self._sniffer = Sniffer(frame_limit) if dialect.stream_type == EVENTS else None
        self.error: RelayError | None = None
        self.started = False

    @property
    def usage(self) -> Usage:
        """Tokens as reported so far."""
        return self._listener.usage

    @property
    def done(self) -> bool:
        """Whether the terminal event came."""
        return self._listener.done

    @property
    def model(self) -> str:
        """The model the provider says it served, or ""."""
        return self._listener.model

    @property
    def stop(self) -> str:
        """Finish or stop reason, or ""."""
        return self._listener.finish

    @property
    def chunks(self) -> int:
        """Frames that carried content."""
        return self._listener.chunks

    def feed(self, data: bytes) -> bytes:
        """Take upstream bytes; return the frames that they complete.

        Raises:
            UpstreamProtocol: a frame, or an error body that is no stream, is too large.
        """
        if self._sniffer is not None and self._is_json(data):
            return b""
        listener = self._listener
        if listener.done:
            return b""
        try:
            frames = self._decoder.feed(data)
        except ValueError as error:
            raise self._malformed(f"The provider sent a stream in which {error}.") from error
        out = []
        for frame in frames:
            if not (listener.hear(frame) and self._strip):
                out.append(frame.raw)
            if listener.done:
                break
        self._note()
        passed = out[0] if len(out) == 1 else b"".join(out)
        return passed if self.error is None else self._mask().data(passed)

    def end(self) -> bytes:
        """The body ended cleanly; return the last frame and the terminal event if they are missing.

        Raises:
            TruncatedStream: neither a terminal event nor a finish reason was seen.
            UpstreamError: the body was an error answer in JSON, and no stream.
            UpstreamProtocol: the body was some other JSON.
        """
        if self._sniffer is not None and self._sniffer.body is not None:
            raise self._not_a_stream(bytes(self._sniffer.body))
        tail = b""
        if not self._over():
            tail = b"".join(map(self._last, self._decoder.end()))
            self._note()
        closing = b"" if self._over() else self._listener.closing()
        if closing is None:
            raise TruncatedStream(
                "The provider's stream ended before it was complete.", stage=Stage.STREAM, deployment=self._deployment
            )
        return (tail if self.error is None else self._mask().data(tail)) + closing

    def fail(self, error: RelayError) -> bytes:
        """The in-stream error of the client's dialect, as complete frames."""
        return self._listener.fail(error, self._request_id)

    def _over(self) -> bool:
        """Whether a terminal event or an error came, so that nothing may follow."""
        return self._listener.done or self._listener.error is not None

    def _note(self) -> None:
        """Draw the conclusions from what the listener heard."""
        listener = self._listener
        if listener.error is not None and self.error is None:
            self.error = self._reported(*listener.error)
        if not self.started:
            self.started = listener.content or (listener.done and self.error is None)

    def _last(self, frame: Frame) -> bytes:
        """The unterminated frame at the end: completed if its data is whole, else dropped."""
        whole = frame.data.startswith(b"[DONE]") or load(frame.data) is not None
        if not whole or (self._listener.hear(frame) and self._strip):
            return b""
        if self._dialect.stream_type != EVENTS:  # a line of its own; clients choke on an empty one
            return frame.raw + b"\n"
        if frame.raw.endswith(b"\n\r"):
            return frame.raw
        return frame.raw + (b"\n" if frame.raw.endswith(b"\n") else b"\n\n")

    def _is_json(self, data: bytes) -> bool:
        """Whether the body is JSON, which is kept for `end`; once it is known to be a stream, nobody asks again."""
        sniffer = self._sniffer
        if sniffer is None:
            return False
        try:
            taken = sniffer.took(data)
        except ValueError as error:
            raise self._malformed("The provider answered with a large JSON body instead of an event stream.") from error
        if not taken and not sniffer.fresh:
            self._sniffer = None
        return taken

    def _not_a_stream(self, body: bytes) -> RelayError:
        """The error for a JSON body under the content type of a stream."""
        message, code = self._dialect.read_error(body)
        if message:
            return self._reported(message, code)
        return self._malformed("The provider answered with JSON instead of an event stream.")

    def _reported(self, message: str, code: str) -> UpstreamError:
        """The error for what the provider said in its stream."""
        return upstream_error(self._mask().text(message), code, self._deployment)

    def _malformed(self, message: str) -> UpstreamProtocol:
        """An answer that is not what the dialect allows."""
        return UpstreamProtocol(message, stage=Stage.STREAM, deployment=self._deployment)


class Opaque:
    """A `relay.dialects.transcode.Transcoder` for bodies that relay does not look into, such as audio.

    The first byte is content, any clean end is an end, and there is no form for an error inside.

    Args:
        deployment: the deployment's name.
    """

    __slots__ = ("chunks", "deployment", "done", "error", "model", "started", "stop", "usage")

    def __init__(self, deployment: str) -> None:
        self.deployment = deployment
        self.usage = Usage()
        self.started = False
        self.done = False
        self.error: RelayError | None = None
        self.model = ""
        self.stop = ""
        self.chunks = 0

    def feed(self, data: bytes) -> bytes:
        """Return the bytes as they are."""
        if data:
            self.started = True
            self.chunks += 1
        return data

    def end(self) -> bytes:
        """The body ended cleanly; there is nothing to add."""
        return b""

    def fail(self, error: RelayError) -> bytes:
        """b"": the answer can only be cut off."""
        return b""
