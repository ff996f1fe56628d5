"""``twistd relay``: options, and the door to the service. The only module that knows the global reactor."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from twisted.application.service import IService
from twisted.internet import endpoints
from twisted.python import usage

from relay.config import Deployment, Route, Snapshot
from relay.errors import ConfigError
from relay.loader.snapshot import load
from relay.loader.sources import Sources
from relay.policy.exposure import check_exposure
from relay.settings import Settings
from relay.version import VERSION

_FORMATS = ("json", "text")
DEFAULT_PORT = 8000

_EXAMPLES = """
Without any key:
  twistd -n relay --provider=echo
With a provider, or several:
  OPENAI_API_KEY=... twistd -n relay --provider=openai
  twistd -n relay --provider=openai --provider=anthropic

Options of twistd itself (-n, --logfile, --pidfile) go before the word 'relay'.
"""


class Options(usage.Options):
    """Options of ``twistd relay``."""

    synopsis = "[options]"
    longdesc = "A streaming gateway in front of language-model providers."

    optFlags = [  # noqa: RUF012
        ["check", None, "Validate the configuration, say what was found, and exit."],
        ["stock-poll", None, "Keep Twisted's own turn of the event loop under --http=engine."],
    ]
    optParameters = [  # noqa: RUF012
        ["config", None, None, "Configuration file (JSON): providers, routes, clientKeys, server."],
        ["port", None, None, f"Listen on this port of 127.0.0.1 (default {DEFAULT_PORT})."],
        ["http", None, "engine", "engine: relay's own HTTP/1.1; stock: Twisted's, slower, as the reference."],
        ["log-format", None, None, "json or text (default: LOG_FORMAT, else text)."],
    ]

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        usage.Options.__init__(self)
        self._environ = os.environ if environ is None else environ
        self._providers: list[str] = []
        self._directories: list[str] = []
        self._listen: list[str] = []

    def opt_provider(self, name: str) -> None:
        """Provider to serve: its name, or the path of its file. Repeatable; NAME/model addresses one of several."""
        self._providers.append(name)

    def opt_transformer_dir(self, directory: str) -> None:
        """Directory of provider files, searched before the installed ones. Repeatable."""
        self._directories.append(directory)

    def opt_listen(self, endpoint: str) -> None:
        """Twisted endpoint string, such as tcp:8000:interface=127.0.0.1 or unix:/run/relay.sock. Repeatable."""
        self._listen.append(endpoint)

    def getUsage(self, width: int | None = None) -> str:
        """All options, then examples, whose lines stay as they are."""
        return f"{usage.Options.getUsage(self, width)}{_EXAMPLES}"

    def opt_version(self) -> NoReturn:
        """Print relay's version and exit."""
        sys.stdout.write(f"relay {VERSION}\n")
        raise SystemExit(0)

    def parseOptions(self, options: list[str] | None = None) -> None:
        """Parse; a wrong option is one line on standard error and exit status 1."""
        try:
            usage.Options.parseOptions(self, options)
        except usage.UsageError as error:
            fail(f"{error}; see 'twistd relay --help'")

    def parseArgs(self, *arguments: str) -> None:
        """There are no arguments besides options."""
        if arguments:
            raise usage.UsageError(f"unexpected argument {arguments[0]!r} (did you mean --provider={arguments[0]}?)")

    def postOptions(self) -> None:
        """Read and check everything, so that a wrong configuration never starts."""
        try:
            self.settings = self._settle()
        except ConfigError as error:
            fail(str(error))
        if self["check"]:
            sys.stdout.write(report(self.settings))
            raise SystemExit(0)

    def _settle(self) -> Settings:
        if not self._providers and not self["config"]:
            raise ConfigError("name a provider: --provider=NAME (--provider=echo needs no key)")
        sources = Sources(
            providers=tuple(self._providers),
            transformer_dirs=tuple(str(Path(d).absolute()) for d in self._directories),
            config=str(Path(self["config"]).absolute()) if self["config"] else None,
        )
        snapshot = load(sources, self._environ)
        listen = self._endpoints(snapshot)
        parent: Mapping[str, str | None] = getattr(self, "parent", None) or {}
        check_exposure(snapshot, listen)
        return Settings(
            sources=sources,
            snapshot=snapshot,
            listen=listen,
            engine=self._engine(),
            lean_poll=not self["stock-poll"],
            log_format=self._log_format(),
            log_file=parent.get("logfile"),
            nodaemon=bool(parent.get("nodaemon", True)),
            foreign_log=bool(parent.get("syslog") or parent.get("logger")),
            environ=self._environ,
        )

    def _endpoints(self, snapshot: Snapshot) -> tuple[str, ...]:
        port = _port(self["port"]) if self["port"] is not None else None
        if self._listen:
            chosen = tuple(self._listen)
        elif port is not None:
            chosen = (f"tcp:{port}:interface=127.0.0.1",)
        elif snapshot.listen:
            chosen = snapshot.listen
        else:
            chosen = (f"tcp:{snapshot.first.port or DEFAULT_PORT}:interface=127.0.0.1",)
        for endpoint in chosen:
            _check_endpoint(endpoint)
        return chosen

    def _engine(self) -> bool:
        if self["http"] not in ("engine", "stock"):
            raise ConfigError(f"--http is {self['http']!r}, expected engine or stock")
        return bool(self["http"] == "engine")

    def _log_format(self) -> str:
        chosen = self["log-format"] or self._environ.get("LOG_FORMAT") or "text"
        if chosen not in _FORMATS:
            where = "--log-format" if self["log-format"] else "LOG_FORMAT"
            raise ConfigError(f"{where} is {chosen!r}, expected json or text")
        return str(chosen)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise ConfigError(f"--port is {text!r}, expected a number from 1 to 65535")
    return int(text)


def _check_endpoint(endpoint: str) -> None:
    from twisted.internet import reactor

    try:
        endpoints.serverFromString(reactor, endpoint)
    except Exception as error:  # each endpoint plugin raises what it likes
        raise ConfigError(
            f"--listen {endpoint!r} is not an endpoint string such as tcp:8000:interface=127.0.0.1 ({error})"
        ) from error


def report(settings: Settings) -> str:
    """What ``--check`` prints: one line a fact, no secrets."""
    snapshot = settings.snapshot
    lines = ["configuration is valid"]
    for provider in snapshot.providers.values():
        if provider.credentials:
            named = ", ".join(own.source for own in provider.credentials)
            key = f"{'keys' if provider.auth.others else 'key'} from {named}"
        elif provider.auth.tokens is not None:
            key = "tokens from the metadata server"
        else:
            key = "no key needed" if provider.auth.scheme.value == "none" else "no key of its own"
        lines.append(f"provider {provider.name}: {provider.dialect}, {key} ({provider.file})")
    lines += [_route_line(route) for route in {route.name: route for route in snapshot.routes.values()}.values()]
    if snapshot.default_route is not None:
        lines.append(f"default route: {snapshot.default_route}")
    lines.append(f"client keys: {len(snapshot.client_keys) or 'none'}")
    lines += [f"listen: {endpoint}" for endpoint in settings.listen]
    lines += [f"warning: {warning}" for warning in snapshot.warnings]
    return "\n".join(lines) + "\n"


def _route_line(route: Route) -> str:
    """One route: its names, candidates in order of priority, and where it falls back to."""
    names = ", ".join((route.name, *route.aliases))
    line = f"route {names}{' (hidden)' if route.hidden else ''}: {route.strategy} over "
    line += ", ".join(_candidate(deployment) for deployment in sorted(route.deployments, key=lambda d: d.priority))
    for kind, targets in (
        ("falls back to", route.fallbacks),
        ("for long prompts to", route.context_fallbacks),
        ("for refused ones to", route.policy_fallbacks),
    ):
        line += f"; {kind} {', '.join(targets)}" if targets else ""
    if route.mirror is not None:
        line += f"; {route.mirror.share:.0%} copied to {route.mirror.deployment.name}"
    return line


def _candidate(deployment: Deployment) -> str:
    facts = [f"weight {deployment.weight}"] if deployment.weight != 1 else []
    facts += [f"priority {deployment.priority}"] if deployment.priority else []
    facts += ["drained"] if deployment.drained else []
    return deployment.name + (f" ({', '.join(facts)})" if facts else "")


def fail(message: str) -> NoReturn:
    """One line on standard error and exit status 1."""
    sys.stderr.write(f"relay: {message}\n")
    raise SystemExit(1)


def _excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A taken port is found after twistd has taken over, and stderr with it: tell it in one line there, too."""
    if isinstance(error, ConfigError):
        (sys.__stderr__ or sys.stderr).write(f"relay: {error}\n")
    else:
        sys.__excepthook__(kind, error, trace)


def makeService(options: Options) -> IService:
    """Build the service for twistd.

    Args:
        options: parsed and checked.
    """
    from twisted.internet import reactor

    from relay.service import RelayService

    sys.excepthook = _excepthook
    # Twisted's timers follow the wall clock, which jumps; relay's deadlines must not.
    reactor.seconds = time.monotonic  # type: ignore[method-assign]
    service: IService = RelayService(reactor, options.settings)
    return service
