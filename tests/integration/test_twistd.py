"""Starting: the real ``twistd relay``, its options, its errors and where it writes."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from relay.version import VERSION
from tests.integration.twistd import Ended, Twistd, fetch, free_port, run, run_relay, wait_until

OPTIONS = ("--provider", "--transformer-dir", "--config", "--listen", "--port", "--log-format", "--check", "--help")
CHAT = {"model": "echo-1", "messages": [{"role": "user", "content": "one two three"}]}
SECRET = "sk-this-must-not-be-seen-anywhere-0123456789"


class TwistdCase(SynchronousTestCase):
    """A directory for each test, and processes that end with it."""

    def setUp(self) -> None:
        """Make the directory."""
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir(parents=True)

    def twistd(self, *arguments: str, environ: Mapping[str, str] | None = None, **more: object) -> Twistd:
        """A process that is ended after the test; not started yet."""
        server = Twistd(arguments or ("--provider=echo",), directory=self.directory, environ=environ, **more)  # type: ignore[arg-type] # passed on as given
        self.addCleanup(server.stop)
        return server

    def run_twistd(self, *arguments: str, environ: Mapping[str, str] | None = None) -> Ended:
        """Run ``twistd -n relay ARGUMENTS`` to its end."""
        return run(["-n", "relay", *arguments], self.directory, environ)

    def write(self, name: str, value: object) -> Path:
        """Write a JSON file into the directory."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
        return path

    def assertOneLine(self, ended: Ended, *parts: str) -> None:
        """The command failed with one line on standard error that says all the parts, and nothing else."""
        self.assertNotEqual(ended.status, 0)
        self.assertEqual(len(ended.err.splitlines()), 1, ended.err)
        self.assertEqual(ended.out, "")
        for part in parts:
            self.assertIn(part, ended.err)


class StartTests(TwistdCase):
    """What a newcomer sees first."""

    def test_echoAnswers(self) -> None:
        """``twistd -n relay --provider=echo`` serves without a key."""
        server = self.twistd().start()
        answer = server.post("/v1/chat/completions", CHAT)
        self.assertEqual(answer.status, 200)
        self.assertIn(b"one two three", answer.body)

    def test_defaultPort(self) -> None:
        """Without an option it is to be reached on port 8000 of the loopback address."""
        ended = self.run_twistd("--provider=echo", "--check")
        self.assertIn("tcp:8000:interface=127.0.0.1", ended.out)

    def test_sigtermEndsIt(self) -> None:
        """SIGTERM stops it soon, with nothing on standard error and no pid file left."""
        server = self.twistd().start()
        self.assertTrue((self.directory / "twistd.pid").exists())
        self.assertEqual(server.stop(), -signal.SIGTERM)
        self.assertEqual(server.err, "")
        self.assertFalse((self.directory / "twistd.pid").exists())

    def test_unixSocket(self) -> None:
        """Any endpoint string serves; several at once, too."""
        path = self.directory / "s"
        ports = (free_port(), free_port())
        listen = [f"--listen=tcp:{port}:interface=127.0.0.1" for port in ports]
        server = self.twistd("--provider=echo", f"--listen=unix:{os.path.relpath(path, self.directory)}", *listen)
        server.launch()
        server.port = ports[0]
        wait_until(server.ready, "the first port answers")
        self.assertEqual(fetch(ports[1], "GET", "/health").status, 200)
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        here = Path.cwd()
        os.chdir(self.directory)  # the whole path may be longer than a socket's name can be
        self.addCleanup(os.chdir, here)
        client.connect("s")
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        self.assertTrue(client.makefile("rb").readline().startswith(b"HTTP/1.1 200"))

    def test_help(self) -> None:
        """``--help`` names every option and stays within a terminal's width."""
        ended = self.run_twistd("--help")
        self.assertEqual((ended.status, ended.err), (0, ""))
        for option in OPTIONS:
            self.assertIn(option, ended.out)
        self.assertEqual([line for line in ended.out.splitlines() if len(line) > 80], [])
        self.assertIn("\n  twistd -n relay --provider=echo\n", ended.out)
        check = run_relay(["check", "--help"], self.directory)
        self.assertTrue(check.out.startswith("Usage: relay check [options]\n"), check.out)

    def test_twistdListsIt(self) -> None:
        """``twistd --help`` shows relay and its description among the plugins."""
        ended = run(["--help"], self.directory)
        self.assertIn("A streaming gateway in front of language-model providers.", " ".join(ended.out.split()))

    def test_version(self) -> None:
        """``--version`` tells relay's, not Twisted's; the console script does, too."""
        self.assertEqual(self.run_twistd("--version").out, f"relay {VERSION}\n")
        self.assertEqual(run_relay(["--version"], self.directory).out, f"relay {VERSION}\n")


class CheckTests(TwistdCase):
    """``--check`` and ``relay check``: validate, tell, exit."""

    def test_check(self) -> None:
        """Both forms tell the same facts, listen nowhere and leave no file behind."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = f"--port={taken.getsockname()[1]}"
            first = self.run_twistd("--provider=echo", port, "--check")
            second = run_relay(["check", "--provider=echo", port], self.directory)
        self.assertEqual((first.status, first.err), (0, ""))
        self.assertEqual(first, second)
        self.assertIn("provider echo", first.out)
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_wrong(self) -> None:
        """A wrong configuration is one line and status 1 in both forms."""
        first = self.run_twistd("--provider=ecko", "--check")
        second = run_relay(["check", "--provider=ecko"], self.directory)
        self.assertOneLine(first, "ecko", "echo")
        self.assertEqual(first, second)

    def test_noKeyIsShown(self) -> None:
        """A key's source is told, never the key."""
        ended = self.run_twistd("--provider=openai", "--check", environ={"OPENAI_API_KEY": SECRET})
        self.assertEqual(ended.status, 0, ended.err)
        self.assertIn("OPENAI_API_KEY", ended.out)
        self.assertNotIn(SECRET, ended.out + ended.err)

    def test_unknownCommand(self) -> None:
        """The console script tells how it is used, with status 2."""
        ended = run_relay(["chekc"], self.directory)
        self.assertEqual((ended.status, ended.out), (2, ""))
        self.assertIn("relay check", ended.err)


class WrongStartTests(TwistdCase):
    """Every mistake is one line on standard error, exit status not 0, and no traceback."""

    def test_unknownProvider(self) -> None:
        """The nearest name and all available ones are listed."""
        ended = self.run_twistd("--provider=opena")
        self.assertOneLine(ended, "opena", "'openai'", "anthropic", "echo", "ollama-local")

    def test_noProvider(self) -> None:
        """Without a provider it says how to name one."""
        self.assertOneLine(self.run_twistd(), "--provider=NAME")

    def test_unknownOption(self) -> None:
        """Not the whole usage, but where to find it."""
        self.assertOneLine(self.run_twistd("--provder=echo"), "provder", "--help")

    def test_strayArgument(self) -> None:
        """A provider's name without its option is understood as what it is."""
        self.assertOneLine(self.run_twistd("echo"), "--provider=echo")

    def test_wrongValues(self) -> None:
        """Options say what they expect."""
        for option, expected in (
            ("--port=http", "65535"),
            ("--port=70000", "65535"),
            ("--log-format=xml", "json or text"),
            ("--listen=tcp:here", "--listen"),
            ("--listen=nonsense", "--listen"),
            ("--config=absent.json", "absent.json"),
            ("--transformer-dir=absent", "absent"),
        ):
            self.assertOneLine(self.run_twistd("--provider=echo", option), expected)

    def test_wrongEnvironment(self) -> None:
        """Variables are checked like options, and named."""
        for name, value in (
            ("LOG_FORMAT", "xml"),
            ("RATE_LIMIT_REQUESTS_PER_MINUTE", "many"),
            ("RATE_LIMIT_BURST", "-1"),
        ):
            self.assertOneLine(self.run_twistd("--provider=echo", environ={name: value}), name)

    def test_brokenProviderFile(self) -> None:
        """File, JSON path and the nearest key are named."""
        broken = {"baseUrl": "http://127.0.0.1:1", "endpoints": {"/v1/chat/completions": {"upstreamPth": "/x"}}}
        self.write("files/mine.json", broken)
        ended = self.run_twistd("--transformer-dir=files", "--provider=mine")
        self.assertOneLine(ended, "mine.json", "/v1/chat/completions", "upstreamPth", "upstreamPath")

    def test_notJSON(self) -> None:
        """A file that is cut off is named with the place."""
        self.write("files/mine.json", '{"baseUrl": "http://127.0.0.1:1"')
        self.assertOneLine(self.run_twistd("--transformer-dir=files", "--provider=mine"), "mine.json")

    def test_brokenConfig(self) -> None:
        """The same for the file that --config names."""
        path = self.write("relay.json", {"providers": ["echo"], "timeouts": {"idel": 3}})
        self.assertOneLine(self.run_twistd(f"--config={path}"), "relay.json", "idel", "idle")

    def test_takenPort(self) -> None:
        """A port that somebody else has is told with its endpoint."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            ended = self.run_twistd("--provider=echo", f"--port={port}")
        self.assertNotEqual(ended.status, 0)
        self.assertEqual(len(ended.err.splitlines()), 1, ended.err)
        self.assertIn(str(port), ended.err)
        self.assertNotIn("Traceback", ended.out)

    def test_takenPortOfADaemon(self) -> None:
        """A daemon that cannot listen tells the shell that started it, through twistd's own message."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            ended = run(["relay", "--provider=echo", f"--port={port}"], self.directory)
        self.assertNotEqual(ended.status, 0)
        self.assertIn(f"cannot listen on 'tcp:{port}", ended.err)
        self.assertNotIn("Traceback", ended.err)
        self.assertFalse((self.directory / "twistd.pid").exists())

    def test_secondInTheSameDirectory(self) -> None:
        """The pid file of a running instance keeps a second one from starting there, and the first serves on."""
        first = self.twistd().start()
        ended = self.run_twistd("--provider=echo", f"--port={free_port()}")
        self.assertNotEqual(ended.status, 0)
        self.assertIn(str(first.process.pid), ended.err)
        self.assertNotIn("Traceback", ended.out + ended.err)
        self.assertTrue(first.ready())

    def test_secondWithItsOwnPidFile(self) -> None:
        """With a pid file of its own it starts."""
        self.twistd().start()
        second = Twistd(directory=self.directory / "second", general=("-n", "--pidfile=other.pid"))
        self.addCleanup(second.stop)
        self.assertTrue(second.start().ready())


class ExposureTests(TwistdCase):
    """relay does not offer a stored key to the network."""

    def refused(self, arguments: Sequence[str], environ: Mapping[str, str]) -> Ended:
        """The end of a start on all addresses."""
        return self.run_twistd(*arguments, "--listen=tcp:8000", "--check", environ=environ)

    def test_storedKey(self) -> None:
        """A provider's key and an open address do not go together, and the key is not shown."""
        ended = self.refused(["--provider=openai"], {"OPENAI_API_KEY": SECRET})
        self.assertOneLine(ended, "tcp:8000", "clientKeys")
        self.assertNotIn(SECRET, ended.err)

    def test_defaultKey(self) -> None:
        """Neither does DEFAULT_API_KEY."""
        self.assertOneLine(self.refused(["--provider=openai"], {"DEFAULT_API_KEY": SECRET}), "DEFAULT_API_KEY")

    def test_clientKeysAllowIt(self) -> None:
        """With keys of relay's own it may be served to anybody."""
        path = self.write(
            "relay.json", {"providers": ["openai"], "clientKeys": [{"name": "ci", "env": "RELAY_KEY_CI"}]}
        )
        ended = self.refused([f"--config={path}"], {"OPENAI_API_KEY": SECRET, "RELAY_KEY_CI": "k" * 32})
        self.assertEqual((ended.status, ended.err), (0, ""))

    def test_nothingStored(self) -> None:
        """Where clients bring their own keys there is nothing to protect."""
        self.assertEqual(self.refused(["--provider=openai"], {}).status, 0)


class DaemonTests(TwistdCase):
    """``twistd relay`` without ``-n``."""

    def daemon(self, *general: str) -> Twistd:
        """Start a daemon and wait until it answers."""
        server = self.twistd(general=general)
        server.launch()
        self.assertEqual(server.wait(), 0, server.err)
        pid = self.directory / "twistd.pid" if not general else self.directory / "relay.pid"
        self.addCleanup(self.end, pid)
        wait_until(server.ready, "the daemon answers")
        return server

    def end(self, pidfile: Path) -> None:
        """End a daemon that a failed test left behind."""
        if pidfile.exists():
            os.kill(int(pidfile.read_text()), signal.SIGKILL)

    def test_pidAndLogFile(self) -> None:
        """It writes both where it is told, serves, and takes the pid file away on SIGTERM."""
        server = self.daemon("--pidfile=relay.pid", "--logfile=relay.log")
        pid, log = self.directory / "relay.pid", self.directory / "relay.log"
        self.assertEqual(server.post("/v1/chat/completions", CHAT).status, 200)
        os.kill(int(pid.read_text()), signal.SIGTERM)
        wait_until(lambda: not pid.exists(), "the pid file is taken away")
        self.assertIn("/v1/chat/completions", log.read_text("utf-8"))

    def test_defaults(self) -> None:
        """Without options both are in the working directory, under twistd's names."""
        self.daemon()
        log = self.directory / "twistd.log"
        wait_until(lambda: log.exists() and log.read_text("utf-8"), "something is logged")
        pid = self.directory / "twistd.pid"
        os.kill(int(pid.read_text()), signal.SIGTERM)
        wait_until(lambda: not pid.exists(), "the pid file is taken away")


class LogTests(TwistdCase):
    """What is logged, in which form."""

    def exchange(self, *arguments: str, environ: Mapping[str, str] | None = None) -> str:
        """Standard output of a server that had one exchange."""
        server = self.twistd("--provider=echo", *arguments, environ=environ).start()
        self.assertEqual(server.post("/v1/chat/completions", CHAT, {"x-request-id": "seen-1"}).status, 200)
        server.stop()
        self.assertEqual(server.err, "")
        return server.out

    def test_json(self) -> None:
        """With --log-format=json every line of standard output is a JSON object, from the first to the last."""
        lines = [json.loads(line) for line in self.exchange("--log-format=json").splitlines()]
        exchanges = [line for line in lines if line["event"] == "exchange" and line["request_id"] == "seen-1"]
        self.assertEqual(len(exchanges), 1)
        self.assertEqual(exchanges[0]["outcome"], "complete")
        self.assertEqual((exchanges[0]["input_tokens"], exchanges[0]["output_tokens"]), (3, 3))
        self.assertTrue(any(line["event"] == "log" for line in lines))

    def test_jsonByEnvironment(self) -> None:
        """LOG_FORMAT does the same, as it did for the predecessor; the option wins over it."""
        environ = {"LOG_FORMAT": "json"}
        self.assertTrue(all(json.loads(line) for line in self.exchange(environ=environ).splitlines()))

    def test_optionOverEnvironment(self) -> None:
        """The option wins over the variable."""
        text = self.exchange("--log-format=text", environ={"LOG_FORMAT": "json"})
        self.assertFalse(any(line.startswith("{") for line in text.splitlines()))

    def test_text(self) -> None:
        """People get one line an exchange."""
        lines = [line for line in self.exchange().splitlines() if "seen-1" in line]
        self.assertEqual(len(lines), 1)
        self.assertIn("/v1/chat/completions 200 complete", lines[0])

    def test_noPromptAndNoKey(self) -> None:
        """Neither what was said, nor a key, is anywhere in the output."""
        upstream = self.write("files/gone.json", {"baseUrl": "http://127.0.0.1:1", "auth": {"env": "GONE_KEY"}})
        server = self.twistd(
            "--provider=echo",
            "--provider=gone",
            f"--transformer-dir={upstream.parent}",
            "--log-format=json",
            environ={"GONE_KEY": SECRET, "DEFAULT_API_KEY": SECRET + "-default"},
        ).start()
        prompt = {"model": "echo-1", "messages": [{"role": "user", "content": "the-prompt-itself"}]}
        key = {"authorization": f"Bearer {SECRET}-client"}
        self.assertEqual(server.post("/v1/chat/completions", prompt, key).status, 200)
        refused = server.post("/v1/chat/completions", {**prompt, "model": "gone/x"}, key)
        self.assertEqual(refused.status, 502)
        health = server.get("/health", key)
        metrics = server.get("/metrics", key)
        server.stop()
        everything = server.out + server.err + (refused.body + health.body + metrics.body).decode()
        self.assertNotIn(SECRET, everything)
        self.assertNotIn("the-prompt-itself", everything)
        self.assertIn('"provider":"gone"', everything)


class EnvironmentTests(TwistdCase):
    """Variables that the predecessor's users know."""

    def test_rateLimit(self) -> None:
        """RATE_LIMIT_REQUESTS_PER_MINUTE and RATE_LIMIT_BURST bound an endpoint."""
        environ = {"RATE_LIMIT_REQUESTS_PER_MINUTE": "1", "RATE_LIMIT_BURST": "2"}
        server = self.twistd(environ=environ).start()
        answers = [server.post("/v1/chat/completions", CHAT) for _ in range(3)]
        self.assertEqual([answer.status for answer in answers], [200, 200, 429])
        self.assertTrue(1 <= int(answers[2].headers["retry-after"]) <= 60)
        self.assertEqual(server.get("/health").status, 200)

    def test_rateLimitIsOff(self) -> None:
        """0 means unlimited."""
        server = self.twistd(environ={"RATE_LIMIT_REQUESTS_PER_MINUTE": "0", "RATE_LIMIT_BURST": "1"}).start()
        self.assertEqual({server.post("/v1/chat/completions", CHAT).status for _ in range(5)}, {200})
