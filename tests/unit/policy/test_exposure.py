"""relay does not offer a stored key to strangers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.config import ClientKey
from relay.errors import ConfigError
from relay.policy.exposure import check_exposure, is_loopback
from relay.provider import AuthScheme
from relay.secret import Secret
from tests.unit.values import make_provider, make_snapshot

OPEN = ("tcp:8000",)
LOCAL = ("tcp:8000:interface=127.0.0.1",)
DEFAULT = Secret("default-key-1234")


class IsLoopbackTests(SynchronousTestCase):
    """`is_loopback` reads Twisted endpoint strings."""

    def test_loopback(self) -> None:
        """Only this machine can connect."""
        for endpoint in (
            "tcp:8000:interface=127.0.0.1",
            "tcp:port=8000:interface=127.1.2.3",
            r"tcp6:8000:interface=\:\:1",
            "unix:/run/relay.sock",
            "ssl:8443:interface=127.0.0.1:privateKey=k.pem",
        ):
            self.assertTrue(is_loopback(endpoint), endpoint)

    def test_reachable(self) -> None:
        """Others can connect, or relay cannot tell."""
        for endpoint in (
            "tcp:8000",
            "tcp:8000:interface=0.0.0.0",
            r"tcp6:8000:interface=\:\:",
            "tcp:8000:interface=10.0.0.1",
            "tcp:8000:interface=localhost.example",
            "systemd:domain=INET:index=0",
            "tcp:8000:interface=127.0.0.1:interface=0.0.0.0",
        ):
            self.assertFalse(is_loopback(endpoint), endpoint)


class CheckExposureTests(SynchronousTestCase):
    """`check_exposure` refuses, or lets pass."""

    def test_aStoredKeyOnAnOpenAddressIsRefused(self) -> None:
        """The message names the address, the holder and the remedies, never the key."""
        snapshot = make_snapshot(make_provider("p", key="own-key-1234"))
        error = self.assertRaises(ConfigError, check_exposure, snapshot, (*LOCAL, *OPEN))
        self.assertIn("'tcp:8000'", str(error))
        self.assertIn("clientKeys", str(error))
        self.assertNotIn("own-key-1234", str(error))

    def test_theDefaultKeyIsAStoredKey(self) -> None:
        """Unless no provider would be given it."""
        self.assertRaises(ConfigError, check_exposure, make_snapshot(make_provider(), default_key=DEFAULT), OPEN)
        keyless = make_snapshot(make_provider(scheme=AuthScheme.NONE), default_key=DEFAULT)
        check_exposure(keyless, OPEN)

    def test_theRestMayListen(self) -> None:
        """Loopback, configured client keys, or nothing to give away."""
        provider = make_provider("p", key="own-key-1234")
        check_exposure(make_snapshot(provider), LOCAL)
        keyed = make_snapshot(provider, client_keys=(ClientKey("ci", Secret("ci-key-1234")),))
        check_exposure(keyed, OPEN)
        check_exposure(make_snapshot(make_provider()), OPEN)
