"""Tests of reading model lists."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from relay.upstream.lists import MOST_IDS, ListPage, read_page

GOOD: dict[str, tuple[object, tuple[str, ...], str]] = {
    "openai": ({"object": "list", "data": [{"id": "gpt-4o", "object": "model"}, {"id": "o3"}]}, ("gpt-4o", "o3"), ""),
    "anthropic": (
        {"data": [{"id": "claude-a", "type": "model"}], "has_more": False, "first_id": "a", "last_id": "claude-a"},
        ("claude-a",),
        "",
    ),
    "anthropic, more": (
        {"data": [{"id": "claude-a"}], "has_more": True, "last_id": "claude/a b"},
        ("claude-a",),
        "after_id=claude%2Fa%20b",
    ),
    "gemini": (
        {"models": [{"name": "models/gemini-x", "displayName": "X"}], "nextPageToken": "t="},
        ("gemini-x",),
        "pageToken=t%3D",
    ),
    "ollama": ({"models": [{"name": "llama3:8b", "model": "llama3:8b", "size": 1}]}, ("llama3:8b",), ""),
    "cohere": ({"models": [{"name": "command-r"}], "next_page_token": "n"}, ("command-r",), "page_token=n"),
    "bare objects": ([{"id": "a"}, {"name": "b"}], ("a", "b"), ""),
    "bare names": (["a", "b"], ("a", "b"), ""),
    "empty": ({"data": []}, (), ""),
    "twice": ({"data": [{"id": "a"}, {"id": "b"}, {"id": "a"}]}, ("a", "b"), ""),
    "ids with slashes": ({"data": [{"id": "meta/llama-3"}]}, ("meta/llama-3",), ""),
    "odd entries": (
        {"data": [None, 1, {}, {"id": None}, {"id": 7}, {"id": ""}, {"id": "a\nb"}, {"id": "x" * 257}, {"id": "ok"}]},
        ("ok",),
        "",
    ),
    "odd cursors": ({"data": [], "has_more": True, "last_id": None, "nextPageToken": 3, "next_page_token": ""}, (), ""),
}

BAD = (b"", b"{", b"null", b"3", b'"models"', b"{}", b'{"data":{}}', b'{"models":null}', b"\xff", b"[" * 100_000)


class ReadPageTests(SynchronousTestCase):
    """Every shape, and what is none."""

    def test_good(self) -> None:
        """Each known shape yields its ids in order, and how to ask for more."""
        for label, (document, ids, cursor) in GOOD.items():
            self.assertEqual(read_page(json.dumps(document).encode()), ListPage(ids, cursor), label)

    def test_bad(self) -> None:
        """Everything else is refused."""
        for body in BAD:
            with self.assertRaises(ValueError, msg=body[:20]):
                read_page(body)

    def test_cut(self) -> None:
        """A list that was cut off is refused wherever the cut is."""
        body = json.dumps(GOOD["gemini"][0]).encode()
        for end in range(len(body)):
            with self.assertRaises(ValueError, msg=str(end)):
                read_page(body[:end])

    def test_most(self) -> None:
        """Beyond a number of ids, the rest is left out."""
        body = json.dumps([f"m{n}" for n in range(MOST_IDS + 10)]).encode()
        self.assertEqual(len(read_page(body).ids), MOST_IDS)
