"""Assembly: the one module that names concrete adapters and joins them."""

from __future__ import annotations

import gc
import random
import resource
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry

from treq.client import HTTPClient
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.logger import ILogObserver, Logger, LogPublisher
from twisted.python.components import Componentized
from twisted.python.threadpool import ThreadPool
from twisted.web.client import Agent
from twisted.web.http_headers import Headers

from relay.config import Snapshot
from relay.echo.service import EchoServer
from relay.gateway import Gateway
from relay.interfaces import IUpstream
from relay.listening import Listener
from relay.loader.watch import Configuration
from relay.policy import forward
from relay.policy.exposure import check_exposure
from relay.provider import Origin
from relay.routes.fleet import Fleet
from relay.runtime.memory import keep_freed_memory
from relay.runtime.poll import install_lean_poll
from relay.runtime.transport import eager
from relay.runtime.wheel import Wheel
from relay.secret import Redactor, Secret
from relay.settings import Settings
from relay.store.memory import MemoryLimiter, StaticKeys
from relay.telemetry import sentry
from relay.telemetry.alerts import FailureAlerts
from relay.telemetry.lines import LogFormat
from relay.telemetry.logs import EventLog, ExchangeLog
from relay.telemetry.metrics import CONTENT_TYPE, Metrics, exposition
from relay.telemetry.output import open_log, rotate_on_signal
from relay.telemetry.states import ProviderStates
from relay.upstream.catalog import ModelCatalog
from relay.upstream.client import Upstream
from relay.upstream.dns import Resolution
from relay.upstream.engine.upstream import EngineUpstream
from relay.upstream.sign import Signer
from relay.version import VERSION
from relay.web.seams import Introspection, Phase, Status
from relay.web.site import build_site

_SPOOL_THREADS = 4
_NAME_THREADS = 10
_POST_TIMEOUT = 10.0
_LAST_WRITES = 5.0
"""Seconds that connections get, after the drain, to take what is already written to them."""


class RelayService(MultiService):
    """The whole of relay as one Twisted service.

    Args:
        reactor: the reactor; its ``seconds()`` must be monotonic.
        settings: what was asked for.

    Raises:
        ConfigError: the log file cannot be opened, or Sentry's settings are wrong.
    """

    _log = Logger()

    def __init__(self, reactor: Any, settings: Settings) -> None:
        MultiService.__init__(self)
        self._reactor = reactor
        self._settings = settings
        self._phase = Phase.STARTING
        self._began = reactor.seconds()
        self._redactor = Redactor()
        self._secrets: set[Secret] = set()
        self._learn_secrets(settings.snapshot)
        self._configuration = Configuration(
            reactor, settings.sources, settings.environ, settings.snapshot, check=self._check
        )
        self._configuration.subscribe(self._learn_secrets)
        self._build_telemetry()
        self._build_adapters()
        self._build_middle()
        self._build_front()

    # ── configuration ─────────────────────────────────────────────────────────────────

    def _check(self, snapshot: Snapshot) -> None:
        """A reload must not open what the start would have refused."""
        check_exposure(snapshot, self._settings.listen)

    def _learn_secrets(self, snapshot: Snapshot) -> None:
        """Keys are masked for as long as relay runs: running exchanges may still use old ones."""
        self._secrets.update(snapshot.secrets())
        self._redactor = Redactor(self._secrets)

    def _learn_secret(self, secret: Secret) -> None:
        """A token was fetched: it is masked like every other key."""
        self._secrets.add(secret)
        self._redactor = Redactor(self._secrets)

    def _redaction(self) -> Redactor:
        return self._redactor

    # ── building ──────────────────────────────────────────────────────────────────────

    def _build_telemetry(self) -> None:
        settings = self._settings
        style = LogFormat(settings.log_format)
        self._output = open_log(
            settings.log_file, nodaemon=settings.nodaemon, stdout=sys.stdout.buffer, clock=self._reactor
        )
        self._events = EventLog(self._output, self._redaction, style)
        given = sentry.settings(settings.environ)
        self._sentry = (
            sentry.Sentry(given, release=VERSION, post=self._post, reactor=self._reactor, redaction=self._redaction)
            if given
            else None
        )
        self._fleet = Fleet(self._reactor, random.random)
        self._limiter = MemoryLimiter(self._reactor.seconds)
        self._registry = CollectorRegistry()
        self._states = ProviderStates()
        self._observers = (
            Metrics(
                self._registry,
                buckets=lambda: sum(self._limiter.active().values()),
                generation=lambda: self._configuration.snapshot.generation,
                reload_failures=lambda: self._configuration.failures,
                deployments=self._fleet.report,
            ),
            ExchangeLog(self._output, self._redaction, style),
            self._states,
            FailureAlerts(self._reactor.seconds, self._sentry.alert if self._sentry else None),
        )

    def _build_adapters(self) -> None:
        self._resolution = Resolution(self._reactor, ThreadPool(0, _NAME_THREADS, "names"))
        self._echo = EchoServer(self._reactor, time.time)
        self._wheel = Wheel(self._reactor)
        self._upstream, self._http = self._ways_out()
        self._catalog = ModelCatalog(self._reactor, self._upstream, forward.list_request)
        self._keys = StaticKeys(self._configuration)
        self._threads = ThreadPool(0, _SPOOL_THREADS, "spool")

    def _ways_out(self) -> tuple[IUpstream, HTTPClient]:
        """The way to providers, and the client for calls that are no exchange."""
        if not self._settings.engine:
            client = HTTPClient(Agent(self._reactor, connectTimeout=_POST_TIMEOUT))
            return Upstream(self._reactor, locate=self._locate), client
        engine = EngineUpstream(self._reactor, self._wheel, locate=self._locate)
        return engine, engine.client()

    def _build_middle(self) -> None:
        self._configuration.subscribe(self._fleet.forget)
        self._gateway = Gateway(
            configuration=self._configuration,
            upstream=self._upstream,
            signer=Signer(self._http, time.time, self._reactor, self._learn_secret),
            catalog=self._catalog,
            keys=self._keys,
            limiter=self._limiter,
            observers=self._observers,
            redaction=self._redaction,
            clock=self._reactor,
            wall=time.time,
            fleet=self._fleet,
            chance=random.random,
        )

    def _build_front(self) -> None:
        self._site = build_site(
            self._reactor,
            self._gateway,
            self._configuration,
            self._catalog,
            self._keys,
            Introspection(status=self._status, metrics=lambda: (exposition(self._registry), CONTENT_TYPE)),
            self._threads,
            engine=self._settings.engine,
            wheel=self._wheel,
        )
        reactor = eager(self._reactor) if self._settings.engine else self._reactor
        self._listeners = [Listener(reactor, endpoint, self._site) for endpoint in self._settings.listen]
        for child in (self._output, self._configuration, self._resolution, *self._listeners):
            child.setServiceParent(self)

    def _status(self) -> Status:
        return Status(
            phase=self._phase,
            uptime=self._reactor.seconds() - self._began,
            active_requests=self._gateway.active,
            buckets=self._limiter.active(),
            providers=self._states.states(),
            deployments=self._fleet.report(),
            reload_failures=self._configuration.failures,
            reload_error=self._configuration.last_error,
        )

    def _locate(self, origin: Origin) -> Origin:
        """The echo upstream has no address of its own until somebody asks for it."""
        return self._echo.url() if origin.scheme == "echo" else origin

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Send an envelope of Sentry's; treq keeps a second HTTP stack out of the process."""
        response = await self._http.post(
            url,
            data=body,
            headers=Headers({name: [value] for name, value in headers.items()}),
            allow_redirects=False,
            reactor=self._reactor,
            timeout=_POST_TIMEOUT,
        )
        await response.content()
        return int(response.code)

    # ── life ──────────────────────────────────────────────────────────────────────────

    def setServiceParent(self, parent: Any) -> None:
        """Join the application, and take over its log: twistd asks for the observer after this."""
        MultiService.setServiceParent(self, parent)
        if isinstance(parent, Componentized) and not self._settings.foreign_log:
            observers = (self._events, self._sentry) if self._sentry else (self._events,)
            parent.setComponent(ILogObserver, LogPublisher(*observers))

    def privilegedStartService(self) -> None:
        """Take what only the start can take: descriptors, then ports."""
        _raise_descriptor_limit()
        if self._settings.engine and self._settings.lean_poll:
            install_lean_poll(self._reactor)
        MultiService.privilegedStartService(self)

    def startService(self) -> None:
        """Serve."""
        self._threads.start()
        MultiService.startService(self)
        rotate_on_signal(self._output, self._reactor)
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self._configuration.reload))
        for warning in self._settings.snapshot.warnings:
            self._log.warn("configuration: {warning}", warning=warning)
        keep_freed_memory()
        _calm_garbage_collector()
        self._phase = Phase.SERVING
        self._learn_models(self._settings.snapshot)
        self._configuration.subscribe(self._learn_models)

    def _learn_models(self, snapshot: Snapshot) -> None:
        """With several providers, know their lists before bare model names arrive."""
        if len(snapshot.providers) > 1:
            for provider in snapshot.providers.values():
                self._catalog.models(provider, provider.auth.credential)

    def stopService(self) -> Deferred[None]:
        """Drain, then let everything go; fires when nothing is left."""
        return Deferred.fromCoroutine(self._drain())

    async def _drain(self) -> None:
        self._phase = Phase.DRAINING
        deadline = self._configuration.snapshot.server_timeouts.drain
        self._log.info(
            "draining: {active} running, at most {deadline} s", active=self._gateway.active, deadline=deadline
        )
        await DeferredList([listener.stopService() for listener in self._listeners])
        closed = self._site.connections.drain()
        await self._gateway.drain(deadline)
        await self._last_writes(closed)
        await DeferredList([self._upstream.close(), self._echo.stop()])
        if self._sentry is not None:
            await self._sentry.close()
        self._threads.stop()
        self._log.info("stopped")
        await maybeDeferred(MultiService.stopService, self)

    async def _last_writes(self, closed: Deferred[None]) -> None:
        """Give clients a moment to take what is written, then close on them."""
        timer = self._reactor.callLater(_LAST_WRITES, self._site.connections.abort)
        await closed
        if timer.active():
            timer.cancel()


def _calm_garbage_collector() -> None:
    """What stands now stays: it need not be looked through again and again while requests come and go."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _raise_descriptor_limit() -> None:
    """Each stream holds two descriptors; the usual soft limit of 1024 is soon reached."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
