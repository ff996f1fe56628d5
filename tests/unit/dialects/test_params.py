"""The rows of a provider's ``params``."""

from __future__ import annotations

import msgspec

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.params import apply
from relay.provider import ParamRule

CASES: list[tuple[str, str, tuple[ParamRule, ...], str]] = [
    ("no rows", '{"a":1.0}', (), '{"a":1.0}'),
    ("dropped", '{"a":1,"b":2}', (ParamRule("a", drop=True),), '{"b":2}'),
    ("dropped though absent", '{"b":2}', (ParamRule("a", drop=True),), '{"b":2}'),
    ("renamed", '{"a":1.50}', (ParamRule("a", to="b"),), '{"b":1.50}'),
    ("renamed though absent", '{"c":1}', (ParamRule("a", to="b"),), '{"c":1}'),
    ("renamed, the client's own stays", '{"a":1,"b":2}', (ParamRule("a", to="b"),), '{"b":2}'),
    ("renamed over null", '{"a":1,"b":null}', (ParamRule("a", to="b"),), '{"b":1}'),
    ("clamped down", '{"a":9}', (ParamRule("a", maximum=4.0),), '{"a":4}'),
    ("clamped up", '{"a":0}', (ParamRule("a", minimum=0.5),), '{"a":0.5}'),
    ("clamped float", '{"a":2.5}', (ParamRule("a", maximum=1.0),), '{"a":1.0}'),
    ("in range keeps its form", '{"a":1.50e0}', (ParamRule("a", minimum=1, maximum=2),), '{"a":1.50e0}'),
    ("beyond every float", '{"a":1e400}', (ParamRule("a", maximum=2.0),), '{"a":2.0}'),
    ("not a number stays", '{"a":"9"}', (ParamRule("a", maximum=4),), '{"a":"9"}'),
    ("true is not a number", '{"a":true}', (ParamRule("a", maximum=0),), '{"a":true}'),
    ("null stays", '{"a":null}', (ParamRule("a", maximum=4),), '{"a":null}'),
    ("absent is not clamped in", "{}", (ParamRule("a", minimum=4),), "{}"),
    ("default when absent", "{}", (ParamRule("a", default=b'{"x": 1}'),), '{"a":{"x": 1}}'),
    ("default when null", '{"a":null}', (ParamRule("a", default=b"5"),), '{"a":5}'),
    ("default not when given", '{"a":0}', (ParamRule("a", default=b"5"),), '{"a":0}'),
    ("default under the new name", "{}", (ParamRule("a", to="b", default=b"5"),), '{"b":5}'),
    ("renamed and clamped", '{"a":9}', (ParamRule("a", to="b", maximum=4),), '{"b":4}'),
    ("rows in order", '{"a":9}', (ParamRule("a", to="b"), ParamRule("b", maximum=4)), '{"b":4}'),
]


class ParamsTests(SynchronousTestCase):
    """Rows change exactly what they name."""

    def test_rows(self) -> None:
        """Each row does one thing, and values that no row changes keep their bytes."""
        decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
        for name, before, rules, after in CASES:
            fields = decoder.decode(before)
            self.assertEqual(msgspec.json.encode(apply(fields, rules)).decode(), after, name)
            self.assertEqual(msgspec.json.encode(fields).decode(), before, name)
