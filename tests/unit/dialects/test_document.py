"""The page about dialects says what is so."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.dialects import matrix, pairs


class DocumentTests(SynchronousTestCase):
    """docs/dialects.md."""

    def test_tables(self) -> None:
        """Its tables are today's; ``python -m tests.unit.dialects.matrix`` renews them."""
        page = matrix.PAGE.read_text("utf-8")
        for name in matrix.TABLES:
            self.assertIn(f"<!-- {name} -->", page)
        self.assertEqual(matrix.filled(page), page)

    def test_everyCell(self) -> None:
        """Every feature works from every front to every back; what is lost is one of a short list."""
        lost = {
            (front, back, feature, matrix.cell(front, back, feature).removeprefix("yes"))
            for front in pairs.CHATS
            for back in pairs.BACKS
            for feature in matrix.FEATURES
        }
        told = {(back, feature) for _, back, feature, rest in lost if rest}
        self.assertEqual(told, {("responses", "request"), ("ollama", "tools"), ("openai", "thinking")})
