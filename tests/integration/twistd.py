"""A real ``twistd relay`` in a process of its own, for integration tests.

Everything here blocks with a deadline, and needs no reactor: tests that use it are
``SynchronousTestCase``, or call it in a thread.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs

CHECKOUT = Path(__file__).resolve().parent.parent.parent
TWISTD = Path(sysconfig.get_path("scripts")) / "twistd"
RELAY = "import sys; from relay.cli.main import main; sys.exit(main())"

START = 30.0
"""Seconds that a start may take on a loaded machine."""
STOP = 20.0
"""Seconds that a stop without running streams may take."""
PAUSE = 0.02
"""Seconds between two looks at something that is about to happen."""

HTTP = os.environ.get("RELAY_HTTP", "")
"""Which HTTP ends the relay under test takes (``engine`` or ``stock``); "" leaves it the choice."""

_OWN = ("DEFAULT_API_KEY", "RATE_LIMIT_REQUESTS_PER_MINUTE", "RATE_LIMIT_BURST", "LOG_FORMAT")
_OWN_PREFIXES = ("SENTRY_", "OPENAI_", "ANTHROPIC_", "GEMINI_")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child: without settings meant for relay, with the relay under test importable.

    Args:
        extra: variables to set on top.
    """
    mine = {k: v for k, v in os.environ.items() if k not in _OWN and not k.startswith(_OWN_PREFIXES)}
    paths = [str(CHECKOUT)]
    if any(name.startswith("COVERAGE_PROCESS") for name in mine):
        paths.insert(0, str(CHECKOUT / "tests" / "integration" / "measured"))
    return {**mine, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1", **(extra or {})}


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_until(happened: Callable[[], object], what: str, seconds: float = START) -> None:
    """Look until something is so.

    Args:
        happened: whether it is; called again and again.
        what: names it in the failure.
        seconds: deadline.

    Raises:
        AssertionError: it was not so in time.
    """
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        select.select([], [], [], PAUSE)


@attrs.frozen
class Ended:
    """A process that has ended: exit status (negative for a signal) and what it wrote."""

    status: int
    out: str
    err: str


def run(arguments: Sequence[str], directory: Path, environ: Mapping[str, str] | None = None) -> Ended:
    """Run ``twistd ARGUMENTS`` that is expected to end by itself.

    Args:
        arguments: after the program's name.
        directory: working directory.
        environ: variables to set.
    """
    return run_command([sys.executable, str(TWISTD), *arguments], directory, environ)


def run_relay(arguments: Sequence[str], directory: Path, environ: Mapping[str, str] | None = None) -> Ended:
    """Run ``relay ARGUMENTS``, the console script. The arguments are those of `run`."""
    return run_command([sys.executable, "-c", RELAY, *arguments], directory, environ)


def run_command(command: Sequence[str], directory: Path, environ: Mapping[str, str] | None = None) -> Ended:
    """Run a command to its end. The arguments are those of `run`."""
    done = subprocess.run(
        list(command),
        cwd=directory,
        env=environment(environ),
        capture_output=True,
        text=True,
        timeout=START,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@attrs.frozen
class Answer:
    """An HTTP answer read whole; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> object:
        """The body as JSON."""
        value: object = json.loads(self.body)
        return value


def fetch(
    port: int,
    method: str,
    path: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = START,
) -> Answer:
    """One HTTP exchange with 127.0.0.1, on a connection of its own.

    Args:
        port: where relay listens.
        method: HTTP method.
        path: with query.
        body: None, bytes, or something that is sent as JSON.
        headers: added to, or instead of, the ones for JSON.
        timeout: seconds between two pieces of the answer.

    Raises:
        OSError: no connection, or cut off.
    """
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, data, {"content-type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, fields, answer.read())
    finally:
        connection.close()


class Twistd:
    """``twistd -n relay`` as a child process; its output goes to files in its directory.

    Args:
        arguments: options of relay, without ``--port``.
        directory: working directory; is made if it is not there.
        environ: variables to set.
        port: loopback port, or None for a free one.
        general: options of twistd itself; ``-n`` keeps it a child of the test.
    """

    def __init__(
        self,
        arguments: Sequence[str] = ("--provider=echo",),
        *,
        directory: Path,
        environ: Mapping[str, str] | None = None,
        port: int | None = None,
        general: Sequence[str] = ("-n",),
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._any_port = port is None
        self.port = port or free_port()
        self._out = directory / "stdout.txt"
        self._err = directory / "stderr.txt"
        ends = [f"--http={HTTP}"] if HTTP and not any(each.startswith("--http") for each in arguments) else []
        self._before = [sys.executable, str(TWISTD), *general, "relay"]
        self._after = [*ends, *arguments]
        self._environ = environment(environ)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def out(self) -> str:
        """Standard output so far."""
        return self._out.read_text("utf-8")

    @property
    def err(self) -> str:
        """Standard error so far."""
        return self._err.read_text("utf-8")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The child."""
        assert self._process is not None, "not started"
        return self._process

    def start(self) -> Twistd:
        """Start, and wait until ``/ready`` answers 200.

        Raises:
            AssertionError: it ended, or did not answer in time; with its output.
        """
        self.launch()
        try:
            wait_until(lambda: self.process.poll() is not None or self.ready(), "twistd answers")
            if self._any_port and self.process.poll() is not None and "Address already in use" in self.err:
                self.port = free_port()  # somebody else has taken the first one in the meantime
                self.launch()
                wait_until(lambda: self.process.poll() is not None or self.ready(), "twistd answers")
            assert self.process.poll() is None, f"twistd ended with {self.process.returncode}"
        except AssertionError as error:
            self.kill()
            raise AssertionError(f"{error}\n--- out\n{self.out}\n--- err\n{self.err}") from error
        return self

    def launch(self) -> None:
        """Start without waiting."""
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [*self._before, f"--port={self.port}", *self._after],
                cwd=self.directory,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def ready(self) -> bool:
        """Whether ``/ready`` answers 200."""
        try:
            return self.get("/ready").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET a path."""
        return fetch(self.port, "GET", path, headers=headers)

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Answer:
        """POST something as JSON."""
        return fetch(self.port, "POST", path, body, headers)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self, seconds: float = STOP) -> int:
        """Wait for the end; the exit status, negative for a signal."""
        return self.process.wait(seconds)

    def stop(self) -> int:
        """End it with SIGTERM and wait; kills it when it does not end in time. Idempotent."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                return self.wait()
            finally:
                self.kill()
        return self._process.returncode

    def kill(self) -> None:
        """End it at once. Idempotent."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(STOP)
