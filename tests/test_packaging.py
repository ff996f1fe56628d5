"""What relay is made of: its dependencies, the files that travel with it, and documents that do not lie."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
MOST = 14

FOREIGN = frozenset(
    {
        "aiohttp",
        "aiodns",
        "anyio",
        "asks",
        "asyncssh",
        "asyncpg",
        "celery",
        "curio",
        "daphne",
        "django",
        "eventlet",
        "fastapi",
        "flask",
        "gevent",
        "greenlet",
        "h2",
        "hypercorn",
        "httpcore",
        "httpcore2",
        "httpx",
        "httpx2",
        "niquests",
        "quart",
        "requests",
        "sanic",
        "sniffio",
        "starlette",
        "tornado",
        "trio",
        "uvicorn",
        "uvloop",
        "websockets",
    }
)
"""Other ways to wait for a network, and clients and frameworks built on them: canonical names."""

_FRAGMENT = re.compile(r"(\d+|\+[a-z0-9-]+)\.(feature|bugfix|doc|removal|misc)(\.\d+)?\.md")
_LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")


def setup_argument(name: str) -> list[str]:
    """A list of strings that ``setup.py`` gives to ``setup``."""
    for node in ast.walk(ast.parse((ROOT / "setup.py").read_text("utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == name:
            return [str(item) for item in ast.literal_eval(node.value)]
    raise AssertionError(f"setup.py has no {name}")


def closure(names: list[str]) -> dict[str, str]:
    """Everything that gets installed with some requirements.

    Args:
        names: requirement strings.

    Returns:
        Canonical name → who asked for it first.
    """
    found: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(Requirement(name), "relay") for name in names]
    while waiting:
        requirement, asker = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found.setdefault(name, asker)
        waiting.extend(
            (child, name)
            for child in map(Requirement, distribution(name).requires or [])
            if child.marker is None or any(child.marker.evaluate({"extra": extra}) for extra in extras | {""})
        )
    return found


def documents() -> Iterator[Path]:
    """Every page that people read."""
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").rglob("*.md"))


class DependencyTests(SynchronousTestCase):
    """Few dependencies, each with a reason, and Twisted as the only engine."""

    def test_fewDirectDependencies(self) -> None:
        """There are at most fourteen."""
        direct = setup_argument("install_requires")
        self.assertTrue(0 < len(direct) <= MOST, direct)

    def test_noOtherAsyncFramework(self) -> None:
        """Nothing that comes along waits for a network in a way of its own."""
        found = closure(setup_argument("install_requires"))
        self.assertIn("twisted", found)
        self.assertEqual({name: asker for name, asker in found.items() if name in FOREIGN}, {})

    def test_theWalkFindsAFramework(self) -> None:
        """The walk itself sees through several levels: the development tools do bring a framework."""
        self.assertIn("anyio", closure(["openai"]))

    def test_eachHasAReason(self) -> None:
        """Each direct dependency, and each that it brings, is named in docs/dependencies.md."""
        text = (ROOT / "docs" / "dependencies.md").read_text("utf-8").lower()
        named = {canonicalize_name(name) for name in re.findall(r"`([a-z0-9._-]+)`", text)}
        self.assertEqual(sorted(closure(setup_argument("install_requires")).keys() - named), [])

    def test_noReasonWithoutADependency(self) -> None:
        """The table of direct dependencies names nothing that has gone."""
        text = (ROOT / "docs" / "dependencies.md").read_text("utf-8").lower()
        table = {canonicalize_name(name) for name in re.findall(r"^\| `([a-z0-9._-]+)`", text, re.MULTILINE)}
        direct = {canonicalize_name(Requirement(line).name) for line in setup_argument("install_requires")}
        self.assertEqual(table, direct)


class LayoutTests(SynchronousTestCase):
    """Files are where tools look for them."""

    def test_twistedsPackagesAreNotShadowed(self) -> None:
        """An ``__init__.py`` beside the plugin would hide Twisted's own plugins, or Twisted."""
        self.assertEqual(list((ROOT / "twisted").rglob("__init__.py")), [])

    def test_changelogFragmentsHaveTheirNames(self) -> None:
        """Towncrier passes over a misnamed fragment without a word."""
        names = [path.name for path in (ROOT / "changelog.d").iterdir() if path.name != ".gitignore"]
        self.assertEqual([name for name in names if not _FRAGMENT.fullmatch(name)], [])


class DocumentTests(SynchronousTestCase):
    """Pages tell what is there."""

    def test_linksLeadSomewhere(self) -> None:
        """Each relative link names a file of the checkout."""
        broken = [
            f"{page.relative_to(ROOT)}: {target}"
            for page in documents()
            for target in _LINK.findall(page.read_text("utf-8"))
            if not (page.parent / target).exists()
        ]
        self.assertEqual(broken, [])

    def test_everyPageIsInTheIndex(self) -> None:
        """docs/README.md links to each page beside it."""
        folder = ROOT / "docs"
        linked = set(_LINK.findall((folder / "README.md").read_text("utf-8")))
        pages = {path.name for path in folder.iterdir() if path.suffix in (".md", ".yaml") and path.name != "README.md"}
        self.assertEqual(sorted(pages - linked), [])

    def test_theReadmesCommandsExist(self) -> None:
        """Scripts that a page tells people to run are there and may be run."""
        told = {
            name for page in documents() for name in re.findall(r"(?<![\w/])\./([\w./-]+)", page.read_text("utf-8"))
        }
        scripts = [ROOT / name for name in told if (ROOT / name).suffix == "" and name.startswith("scripts/")]
        self.assertIn(ROOT / "scripts" / "check", scripts)
        self.assertEqual([str(path) for path in scripts if not path.stat().st_mode & 0o100], [])

    def test_ciRunsTheReadmesCommand(self) -> None:
        """What CI runs is what the README tells people to run."""
        command = "./scripts/check"
        self.assertIn(f"\n{command}\n", (ROOT / "README.md").read_text("utf-8"))
        self.assertIn(f"exec {command}\n", (ROOT / ".ci" / "run").read_text("utf-8"))

    def test_theArchitecturePageShowsEveryModule(self) -> None:
        """The layer map names each module and package below ``relay/``."""
        text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
        names = {
            path.stem if path.is_file() else f"{path.name}/"
            for path in (ROOT / "relay").iterdir()
            if (path.suffix == ".py" or (path / "__init__.py").exists()) and path.name != "__init__.py"
        }
        self.assertEqual([name for name in sorted(names) if not re.search(rf"(?<!\w){name}", text)], [])
