"""Whose key is read, and whose key goes upstream."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.errors import Unauthenticated, UpstreamCredential
from relay.policy.credentials import client_credential, has_own_credential, upstream_credential
from relay.provider import SIGNED_SCHEMES, AuthScheme, Provider
from relay.secret import Secret
from tests.unit.values import make_provider

CLIENT = Secret("client-key-1234")
DEFAULT = Secret("default-key-1234")


class ClientCredentialTests(SynchronousTestCase):
    """`client_credential` reads every style that SDKs use."""

    def read(self, *headers: tuple[bytes, bytes]) -> str | None:
        found = client_credential(headers)
        return found.reveal() if found else None

    def test_everyStyleIsRead(self) -> None:
        """Bearer, x-api-key, api-key and x-goog-api-key are the same thing."""
        styles = (
            (b"authorization", b"Bearer k-1"),
            (b"authorization", b"bearer   k-1 "),
            (b"authorization", b"k-1"),
            (b"x-api-key", b"k-1"),
            (b"api-key", b" k-1 "),
            (b"x-goog-api-key", b"k-1"),
        )
        self.assertEqual([self.read(style) for style in styles], ["k-1"] * len(styles))

    def test_noKeyIsNone(self) -> None:
        """Absent and empty are the same."""
        self.assertIsNone(self.read())
        self.assertIsNone(self.read((b"authorization", b"Bearer "), (b"x-api-key", b"")))

    def test_theSameKeyTwiceIsOneKey(self) -> None:
        """Claude Code sends both styles; equal keys do not disagree."""
        self.assertEqual(self.read((b"authorization", b"Bearer k"), (b"x-api-key", b"k")), "k")

    def test_keysThatDisagreeAreRefused(self) -> None:
        """Which one counts must not be a guess."""
        error = self.assertRaises(Unauthenticated, self.read, (b"authorization", b"Bearer a"), (b"x-api-key", b"b"))
        self.assertEqual(error.code, "conflicting_api_keys")
        self.assertRaises(Unauthenticated, self.read, (b"x-api-key", b"a"), (b"x-api-key", b"b"))

    def test_keysOutsideTheFields(self) -> None:
        """A key that came elsewhere counts as one in a field does: alone, twice, empty, or disagreeing."""
        field = (b"x-goog-api-key", b"k")
        for headers, others, expected in (((), ("k",), "k"), ((field,), ("k", " k "), "k"), ((field,), ("",), "k")):
            found = client_credential(headers, *others)
            self.assertEqual(found and found.reveal(), expected)
        self.assertIsNone(client_credential((), ""))
        for headers, others in (((field,), ("other",)), ((), ("k", "other")), ((), ("k\x01",))):
            self.assertRaises(Unauthenticated, client_credential, headers, *others)

    def test_keysAreASCII(self) -> None:
        """What cannot be a key is not passed on in another encoding."""
        for key in ("schlüssel".encode(), b"k\x01"):
            error = self.assertRaises(Unauthenticated, self.read, (b"x-api-key", key))
            self.assertNotIn("sch", str(error))

    def test_otherSchemesAreRefused(self) -> None:
        """Basic credentials are no key."""
        error = self.assertRaises(Unauthenticated, self.read, (b"authorization", b"Basic dXNlcjpwYXNz"))
        self.assertNotIn("dXNlcjpwYXNz", str(error))


class UpstreamCredentialTests(SynchronousTestCase):
    """`upstream_credential` follows design §7.2, cases a to e."""

    def choose(
        self,
        provider: Provider,
        *,
        first: bool = True,
        required: bool = False,
        client: Secret | None = CLIENT,
        default: Secret | None = DEFAULT,
    ) -> tuple[str | None, bool]:
        chosen = upstream_credential(provider, first=first, keys_required=required, client=client, default=default)
        return (chosen.secret.reveal() if chosen.secret else None), chosen.own

    def test_withClientKeysTheClientsKeyNeverTravels(self) -> None:
        """Case a: the provider's credential, else the default."""
        self.assertEqual(self.choose(make_provider(key="own-key-12"), required=True), ("own-key-12", True))
        self.assertEqual(self.choose(make_provider(), required=True), (DEFAULT.reveal(), True))

    def test_withClientKeysAndNoProviderKeyTheOperatorIsAtFault(self) -> None:
        """A 401 would tell the client that its good key is bad."""
        error = self.assertRaises(UpstreamCredential, self.choose, make_provider(), required=True, default=None)
        self.assertEqual((error.http_status, error.should_retry), (502, False))
        self.assertIn("TEST_KEY", str(error))

    def test_theProvidersOwnKeyComesFirst(self) -> None:
        """Case b."""
        self.assertEqual(self.choose(make_provider(key="own-key-12")), ("own-key-12", True))

    def test_theClientsKeyGoesToTheFirstProviderOnly(self) -> None:
        """Case c: a second provider must not see a key that was meant for the first."""
        self.assertEqual(self.choose(make_provider()), (CLIENT.reveal(), False))
        self.assertEqual(self.choose(make_provider(), first=False), (DEFAULT.reveal(), True))
        self.assertRaises(UpstreamCredential, self.choose, make_provider(), first=False, default=None)

    def test_theDefaultIsLast(self) -> None:
        """Case d."""
        self.assertEqual(self.choose(make_provider(), client=None), (DEFAULT.reveal(), True))

    def test_withoutAnyKeyTheAnswerSaysWhatToSet(self) -> None:
        """Case e."""
        error = self.assertRaises(Unauthenticated, self.choose, make_provider(), client=None, default=None)
        self.assertIn("TEST_KEY", str(error))
        self.assertIn("DEFAULT_API_KEY", str(error))

    def test_aProviderWithoutAuthGetsNoKey(self) -> None:
        """Nothing is sent where nothing is wanted; a 401 of its is not relay's credential refused."""
        self.assertEqual(self.choose(make_provider(scheme=AuthScheme.NONE)), (None, False))

    def test_aConfiguredHeaderIsTheCredential(self) -> None:
        """As with the predecessor, a file may carry its own Authorization header."""
        provider = make_provider(headers=(("authorization", "Bearer in-the-file"),))
        self.assertEqual(self.choose(provider), (None, True))
        self.assertTrue(has_own_credential(provider))
        self.assertFalse(has_own_credential(make_provider()))


class SignedSchemesTests(SynchronousTestCase):
    """Schemes whose requests are signed take nobody's key but the provider's own."""

    def choose(self, provider: Provider) -> Secret | None:
        """The key that signs, with a client's and a default key at hand."""
        return upstream_credential(provider, first=True, keys_required=False, client=CLIENT, default=DEFAULT).secret

    def test_ownKey(self) -> None:
        """The provider's own key signs, not the client's."""
        for scheme in SIGNED_SCHEMES:
            found = self.choose(make_provider("p", key="own-key", scheme=scheme))
            assert found is not None
            self.assertEqual(found.reveal(), "own-key")

    def test_noAWSKey(self) -> None:
        """Without a key for AWS nothing is sent, and only the operator can mend it."""
        provider = make_provider("p", scheme=AuthScheme.SIGV4)
        error = self.assertRaises(UpstreamCredential, self.choose, provider)
        self.assertEqual((error.code, error.should_retry), ("no_provider_key", False))
        self.assertFalse(has_own_credential(provider))

    def test_machinesAccount(self) -> None:
        """Without a service account the machine's own is used: a credential that strangers must not be offered."""
        provider = make_provider("p", scheme=AuthScheme.GCP)
        self.assertIsNone(self.choose(provider))
        self.assertTrue(has_own_credential(provider))
