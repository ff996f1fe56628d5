"""The architecture as a test: every import points inwards, and no module outgrows a page or ten."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent / "relay"
LONGEST = 400

LAYERS: dict[str, int] = {
    **dict.fromkeys(
        (
            "version",
            "secret",
            "outcome",
            "errors",
            "endpoints",
            "provider",
            "config",
            "exchange",
            "schema",
            "chat",
            "events",
            "vectors",
        ),
        0,
    ),
    "wire": 1,
    "dialects": 2,
    "policy": 3,
    "interfaces": 4,
    "runtime": 5,
    **dict.fromkeys(("loader", "upstream", "store", "telemetry", "echo", "spool"), 6),
    **dict.fromkeys(("gateway", "serving", "routes", "planning", "answering", "attempt", "running", "delivery"), 7),
    "web": 8,
    **dict.fromkeys(("tap", "settings", "service", "listening", "workers", "cli"), 9),
}
"""First name below ``relay`` → layer. A module may import from lower layers, and inside its own package."""

IMPURE = ("time", "random", "secrets", "socket", "os", "threading", "logging", "twisted", "treq", "datetime")
"""Modules that layers 0 to 3 may not import: clocks, chance, I/O."""


def modules() -> Iterator[tuple[str, Path]]:
    """First name below ``relay`` and path of each module."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts != ("__init__",):
            yield parts[0], path


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each import, also of those inside functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "relay" else [base]
            yield from ((node.lineno, "relative import" if node.level else name) for name in names)


class LayerTests(SynchronousTestCase):
    """Each rule is checked on every module and reports all offences at once."""

    def test_everyModuleHasALayer(self) -> None:
        """A new top-level name must be given its place in the map."""
        self.assertEqual([str(path) for name, path in modules() if name not in LAYERS], [])

    def test_importsPointInwards(self) -> None:
        """A module imports lower layers only; packages of one layer do not know each other."""
        wrong = []
        for name, path in modules():
            for line, target in imports(path):
                if target == "relative import":
                    wrong.append(f"{path}:{line} relative import")
                if not target.startswith("relay."):
                    continue
                other = target.split(".")[1]
                inside = other == name
                # layers 0, 7 and 9 are single modules that may build on each other
                sibling = LAYERS[other] == LAYERS[name] and LAYERS[name] in (0, 7, 9)
                if not (inside or sibling or LAYERS[other] < LAYERS[name]):
                    wrong.append(f"{path}:{line} {name} ({LAYERS[name]}) imports {other} ({LAYERS[other]})")
        self.assertEqual(wrong, [])

    def test_theMiddleIsPure(self) -> None:
        """Layers 0 to 3 know no clock, chance, socket, file system or Twisted."""
        wrong = [
            f"{path}:{line} imports {target}"
            for name, path in modules()
            if LAYERS[name] <= 3
            for line, target in imports(path)
            if target.split(".")[0] in IMPURE
        ]
        self.assertEqual(wrong, [])

    def test_noGlobalReactor(self) -> None:
        """Only the plugin's door may touch the global reactor."""
        wrong = [
            str(path)
            for name, path in modules()
            if name != "tap" and "from twisted.internet import reactor" in path.read_text("utf-8")
        ]
        self.assertEqual(wrong, [])

    def test_modulesStaySmall(self) -> None:
        """No module is above 400 lines."""
        sizes = {str(path): len(path.read_text("utf-8").splitlines()) for _, path in modules()}
        self.assertEqual({path: n for path, n in sizes.items() if n > LONGEST}, {})

    def test_packageInitsHoldADocstringOnly(self) -> None:
        """``__init__.py`` is where a package says what it is, and nothing else."""
        wrong = []
        for path in ROOT.rglob("__init__.py"):
            body = ast.parse(path.read_text("utf-8")).body
            if len(body) != 1 or not isinstance(body[0], ast.Expr):
                wrong.append(str(path))
        self.assertEqual(wrong, [])
