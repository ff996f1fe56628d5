"""What the command line and the environment decide, checked, before anything is built."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from relay.config import Snapshot
from relay.loader.sources import Sources


@attrs.frozen
class Settings:
    """Everything the assembly needs besides a reactor.

    Attributes:
        sources: where configuration is read from, also at reload.
        snapshot: the first reading.
        listen: endpoint strings.
        engine: whether relay's own HTTP/1.1 ends serve (``--http=engine``) or Twisted's (``stock``).
        lean_poll: whether the engine may take the lean turn of the event loop.
        log_format: ``json`` or ``text``.
        log_file: twistd's ``--logfile`` as given, or None.
        nodaemon: whether twistd stays in the foreground.
        foreign_log: whether twistd was given a log observer of its own (``--syslog``, ``--logger``).
        environ: the environment, for reloads and telemetry.
    """

    sources: Sources
    snapshot: Snapshot
    listen: tuple[str, ...]
    engine: bool
    lean_poll: bool
    log_format: str
    log_file: str | None
    nodaemon: bool
    foreign_log: bool
    environ: Mapping[str, str]
