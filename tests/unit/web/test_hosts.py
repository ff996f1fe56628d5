"""Foreign hosts and origins: what a page in a browser could do to a relay on loopback."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.config import ServerConfig
from relay.errors import Forbidden
from relay.web.hosts import check, host_name, is_loopback

LOOPBACK = (
    "localhost",
    "LOCALHOST",
    "localhost.",
    "localhost:8000",
    "Localhost.:80",
    "a.localhost",
    "127.0.0.1",
    "127.0.0.1:8000",
    "127.8.9.10",
    "[::1]",
    "[::1]:8000",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]:8000",
)
FOREIGN = (
    "",
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "notlocalhost",
    "0.0.0.0",
    "[::]",
    "[::2]",
    "10.0.0.1",
    "169.254.169.254",
    "127.1",
    "2130706433",
    "user@localhost",
    "localhost/x",
    "localhost:80:80",
    "localhost:x",
    "localhost:123456",
    "::1",
    "[::1",
    "[localhost]",
    "localhost evil.example",
    "localhost?",
    "lοcalhost",
)


class HostTests(SynchronousTestCase):
    """The Host field."""

    def test_loopbackNames(self) -> None:
        """Names and addresses that can only mean this machine are let in, with or without port."""
        for host in LOOPBACK:
            check(ServerConfig(), [host], [])

    def test_foreignNames(self) -> None:
        """All others are refused, malformed ones too."""
        for host in FOREIGN:
            error = self.assertRaises(Forbidden, check, ServerConfig(), [host], [])
            self.assertEqual(error.code, "foreign_host", host)

    def test_configuredNames(self) -> None:
        """Names in server.hosts are let in, whatever their case and port."""
        server = ServerConfig(hosts=("Relay.lan",))
        for host in ("relay.lan", "relay.lan:8000", "RELAY.LAN."):
            check(server, [host], [])
        self.assertRaises(Forbidden, check, server, ["a.relay.lan"], [])

    def test_noHost(self) -> None:
        """A client without Host is no browser."""
        check(ServerConfig(), [], [])

    def test_everyHostCounts(self) -> None:
        """A second Host cannot hide behind a good one."""
        self.assertRaises(Forbidden, check, ServerConfig(), ["localhost", "evil.example"], [])

    def test_hostName(self) -> None:
        """Case, brackets, port and the root's dot are taken off."""
        self.assertEqual(host_name("EXAMPLE.com.:80"), "example.com")
        self.assertEqual(host_name("[::1]:80"), "::1")
        self.assertIsNone(host_name("a b"))

    def test_isLoopback(self) -> None:
        """Addresses are read as addresses, not as text."""
        self.assertTrue(is_loopback("127.255.0.1"))
        self.assertFalse(is_loopback("128.0.0.1"))
        self.assertFalse(is_loopback("::ffff:10.0.0.1"))


class OriginTests(SynchronousTestCase):
    """The Origin field."""

    def test_pagesOfThisMachine(self) -> None:
        """Pages served on loopback may call, whatever their port."""
        for origin in ("http://localhost:3000", "https://127.0.0.1", "http://[::1]:8000", "HTTP://LOCALHOST"):
            check(ServerConfig(), [], [origin])

    def test_foreignPages(self) -> None:
        """Any other page is refused; so is one that hides its origin."""
        for origin in (
            "https://evil.example",
            "null",
            "",
            "file://",
            "file://localhost",
            "chrome-extension://abc",
            "localhost",
            "http://localhost.evil.example",
            "http://evil.example/localhost",
        ):
            error = self.assertRaises(Forbidden, check, ServerConfig(), [], [origin])
            self.assertEqual(error.code, "foreign_origin", origin)

    def test_configuredOrigins(self) -> None:
        """Origins in server.corsOrigins may call; the star lets in all, hidden ones too."""
        server = ServerConfig(cors_origins=("https://chat.example/", "app://x"))
        check(server, [], ["https://chat.example"])
        check(server, [], ["app://x"])
        self.assertRaises(Forbidden, check, server, [], ["http://chat.example"])
        self.assertRaises(Forbidden, check, server, [], ["https://chat.example:8443"])
        check(ServerConfig(cors_origins=("*",)), [], ["null"])

    def test_configuredHosts(self) -> None:
        """A page of a configured host is no stranger."""
        check(ServerConfig(hosts=("relay.lan",)), [], ["http://relay.lan:8080"])
