"""The Responses API: its events and whole answers."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.registry import DIALECTS
from relay.errors import UpstreamTimeout
from relay.exchange import Usage
from relay.outcome import Stage
from tests.unit.dialects.streams import RESPONSES, hear

COUNTS = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 3},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 1},
}
USED = Usage(input=9, cached=3, output=4, reasoning=1)


def event(kind: str, **members: object) -> str:
    """An event's payload."""
    return json.dumps({"type": kind, "sequence_number": 0, **members})


def response(status: str, **members: object) -> dict[str, object]:
    """A response object."""
    return {"object": "response", "model": "m", "status": status, "usage": COUNTS, **members}


class ResponsesListenerTests(SynchronousTestCase):
    """What an event is, with its name beside it and without."""

    def test_content(self) -> None:
        """Preludes carry nothing yet; everything else does, also what is not known yet."""
        for kind, expected in (
            ("response.created", False),
            ("response.in_progress", False),
            ("response.queued", False),
            ("response.output_item.added", False),
            ("response.content_part.added", False),
            ("response.reasoning_summary_part.added", False),
            ("response.output_text.delta", True),
            ("response.function_call_arguments.delta", True),
            ("response.refusal.delta", True),
            ("response.image_generation_call.partial_image", True),
            ("response.web_search_call.searching", True),
            ("response.output_item.done", True),
            ("response.next_year.thing", True),
        ):
            for name in (kind, ""):
                listener = hear(RESPONSES, event(kind, delta="x"), event=name)
                self.assertEqual((listener.content, listener.chunks), (expected, int(expected)), kind)
                self.assertEqual((listener.done, listener.closing()), (False, None), kind)

    def test_terminal(self) -> None:
        """The terminal event has status, usage and model."""
        incomplete = response("incomplete", incomplete_details={"reason": "max_output_tokens"})
        for kind, body, finish in (
            ("response.completed", response("completed", incomplete_details=None), "completed"),
            ("response.incomplete", incomplete, "max_output_tokens"),
        ):
            for name in (kind, ""):
                listener = hear(RESPONSES, event(kind, response=body), event=name)
                self.assertEqual((listener.done, listener.error, listener.content), (True, None, True), kind)
                self.assertEqual((listener.finish, listener.usage, listener.model), (finish, USED, "m"), kind)

    def test_failed(self) -> None:
        """``response.failed`` is the end and an error."""
        body = response("failed", usage=None, error={"code": "server_error", "message": "m"})
        listener = hear(RESPONSES, event("response.failed", response=body), event="response.failed")
        self.assertEqual((listener.done, listener.error, listener.content), (True, ("m", "server_error"), False))
        silent = hear(RESPONSES, event("response.failed", response=response("failed")), event="response.failed")
        self.assertEqual(silent.error, ("", ""))

    def test_error(self) -> None:
        """An error event is read in the documented form and in the one that is sent; ``response.failed`` may follow."""
        for members in (
            {"code": "c", "message": "m", "param": None},
            {"error": {"type": "t", "code": "c", "message": "m", "param": None}},
        ):
            for name in ("error", ""):
                listener = hear(RESPONSES, event("error", **members), event=name)
                self.assertEqual((listener.error, listener.done, listener.content), (("m", "c"), False, False))

    def test_model(self) -> None:
        """The model is known from the first event on, as long as it is text."""
        self.assertEqual(hear(RESPONSES, event("response.created", response=response("in_progress"))).model, "m")
        odd = event("response.completed", response={"model": 5, "usage": {"input_tokens": 1}, "status": "completed"})
        listener = hear(RESPONSES, event("response.created", response=response("in_progress")), odd)
        self.assertEqual((listener.model, listener.usage, listener.finish), ("m", Usage(input=1), "completed"))

    def test_markerIsNoEvent(self) -> None:
        """A ``[DONE]`` from a compatible server says nothing."""
        listener = hear(RESPONSES, "[DONE]")
        self.assertEqual((listener.done, listener.content, listener.closing()), (False, False, None))

    def test_fail(self) -> None:
        """Relay's own error carries the next sequence number."""
        listener = hear(RESPONSES, event("response.created"), event("response.output_text.delta"))
        error = UpstreamTimeout("m", deadline="idle", stage=Stage.STREAM)
        name, data = listener.fail(error, "id").decode().split("\n", 1)
        self.assertEqual(name, "event: error")
        body = json.loads(data.removeprefix("data: "))
        self.assertEqual((body["sequence_number"], body["code"], body["message"]), (2, "upstream_timeout", "m"))


class UsageTests(SynchronousTestCase):
    """Whole answers."""

    def test_answer(self) -> None:
        """Usage, finish and model of a response; nothing of what is none."""
        usage = DIALECTS["responses"].usage
        self.assertEqual(usage(RESPONSES, json.dumps(response("completed")).encode()), (USED, "completed", "m"))
        odd = response("incomplete", model=None, incomplete_details={"reason": "content_filter"}, usage=None)
        self.assertEqual(usage(RESPONSES, json.dumps(odd).encode()), (Usage(), "content_filter", ""))
        for body in (b"", b"[]", b"null", b"<html>", b'{"model":5,"usage":[],"incomplete_details":1}'):
            self.assertEqual(usage(RESPONSES, body), (Usage(), "", ""))
