"""Where keys come from, and that they stay hidden."""

from __future__ import annotations

import json

from relay.provider import AuthScheme, TokenSource
from tests.unit.loader.folder import FolderTestCase
from tests.unit.policy.test_assertion import PEM

_KEY = "sk-live-4f9a1c77de02b8"


class ProviderKeyTests(FolderTestCase):
    """``auth``."""

    def test_environment(self) -> None:
        """The variable's value is the key; blanks around it do not count."""
        auth = self.provider({"K": f" {_KEY}\n"}, auth={"scheme": "x-api-key", "env": "K"}).auth
        assert auth.credential is not None
        self.assertEqual((auth.scheme, auth.credential.reveal()), (AuthScheme.X_API_KEY, _KEY))
        self.assertEqual(auth.source, "environment variable K")

    def test_notSet(self) -> None:
        """A variable that is unset or blank leaves no key, and its name for messages."""
        for environ in ({}, {"K": ""}, {"K": " "}):
            auth = self.provider(environ, auth={"env": "K"}).auth
            self.assertEqual((auth.credential, auth.source), (None, "environment variable K"))

    def test_file(self) -> None:
        """A key file is found beside the file that names it, and is watched."""
        self.write("keys/k.txt", f"{_KEY}\n")
        self.write("p.json", {"baseUrl": "x", "auth": {"scheme": "query", "parameter": "k", "file": "keys/k.txt"}})
        snapshot = self.load("p")
        auth = snapshot.first.auth
        assert auth.credential is not None
        self.assertEqual((auth.credential.reveal(), auth.parameter), (_KEY, "k"))
        self.assertEqual(auth.source, f"file {self.folder / 'keys' / 'k.txt'}")
        self.assertIn(str(self.folder / "keys" / "k.txt"), snapshot.files)

    def test_several(self) -> None:
        """Several keys come in their order, from variables and files; each knows its source."""
        self.write("k.txt", "content-of-k\n")
        auth = {"scheme": "x-api-key", "keys": [{"env": "K"}, {"file": "k.txt"}, {"env": "L"}]}
        provider = self.provider({"K": _KEY, "L": " key-of-l "}, auth=auth)
        self.assertEqual(
            [(key.secret.reveal(), key.source) for key in provider.credentials],
            [
                (_KEY, "environment variable K"),
                ("content-of-k", f"file {self.folder / 'k.txt'}"),
                ("key-of-l", "environment variable L"),
            ],
        )
        self.assertIs(provider.auth.scheme, AuthScheme.X_API_KEY)
        self.assertIs(provider.auth.credential, provider.credentials[0].secret)

    def test_severalNotSet(self) -> None:
        """Keys that are not set are left out and told of; where none is set, that is as with one."""
        auth = {"keys": [{"env": "K"}, {"env": "L"}, {"env": "M"}]}
        self.write("p.json", {"baseUrl": "x", "auth": auth})
        snapshot = self.load("p", environ={"L": _KEY})
        self.assertEqual([key.source for key in snapshot.first.credentials], ["environment variable L"])
        self.assertEqual(snapshot.first.auth.source, "environment variable L")
        self.assertEqual(
            [warning.partition(": ")[2] for warning in snapshot.warnings],
            [f"$.auth.keys: environment variable {name} is not set; the other keys serve" for name in "KM"],
        )
        snapshot = self.load("p")
        self.assertEqual((snapshot.first.credentials, snapshot.warnings), ((), ()))
        self.assertEqual(snapshot.first.auth.source, "environment variable K")

    def test_severalReplaceOne(self) -> None:
        """An entry's keys replace the one of its file, and one replaces several."""
        self.write("p.json", {"baseUrl": "x", "auth": {"scheme": "api-key", "env": "K"}})
        self.write("q.json", {"baseUrl": "x", "auth": {"keys": [{"env": "K"}, {"env": "L"}]}})
        entries = [{"file": "p", "auth": {"keys": [{"env": "L"}, {"env": "K"}]}}, {"file": "q", "auth": {"env": "L"}}]
        providers = self.load(config={"providers": entries}, environ={"K": _KEY, "L": "key-of-l"}).providers
        self.assertEqual([key.secret.reveal() for key in providers["p"].credentials], ["key-of-l", _KEY])
        self.assertEqual([key.secret.reveal() for key in providers["q"].credentials], ["key-of-l"])
        self.assertIs(providers["p"].auth.scheme, AuthScheme.API_KEY)

    def test_severalAreSecrets(self) -> None:
        """The redactor gets every one of them."""
        self.write("p.json", {"baseUrl": "x", "auth": {"keys": [{"env": "K"}, {"env": "L"}]}})
        secrets = self.load("p", environ={"K": _KEY, "L": "key-of-l"}).secrets()
        self.assertEqual([secret.reveal() for secret in secrets], [_KEY, "key-of-l"])

    def test_badFiles(self) -> None:
        """An empty key file, and one that holds no key, are errors that do not show it."""
        self.write("p.json", {"baseUrl": "x", "auth": {"file": "k.txt"}})
        for content, says in (
            (" \n", "is empty"),
            (f"{_KEY}\n{_KEY}", "holds a blank, a control character"),
            (f"{_KEY}ü", "holds a blank, a control character"),
            ("k" * 70_000, "larger than 65536 bytes"),
        ):
            self.write("k.txt", content)
            line = self.refused("p")
            self.assertIn("p.json: $.auth.file: ", line)
            self.assertIn(says, line)
            self.assertNotIn(_KEY, line)
        (self.folder / "k.txt").write_bytes(b"\xff\xfe")
        self.assertIn("holds a blank, a control character", self.refused("p"))

    def test_signature(self) -> None:
        """AWS's usual variables hold the parts of a key that signs; blanks do not count, the session may be missing."""
        environ = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": f" {_KEY} ", "AWS_REGION": "eu-west-1"}
        auth = {"scheme": "sigv4", "region": "${REGION}"}
        variables = {"REGION": {"env": "AWS_REGION"}}
        found = self.provider(environ, auth=auth, vars=variables).auth
        assert found.credential is not None
        assert found.signature is not None
        self.assertEqual(
            (found.credential.reveal(), found.signature.key_id.reveal(), found.signature.token),
            (_KEY, "AKIDEXAMPLE", None),
        )
        self.assertEqual((found.signature.region, found.signature.service), ("eu-west-1", "bedrock"))
        with_session = self.provider({**environ, "AWS_SESSION_TOKEN": "session-1"}, auth=auth, vars=variables).auth
        self.assertEqual([s.reveal() for s in with_session.secrets()], [_KEY, "AKIDEXAMPLE", "session-1"])

    def test_signatureFromFiles(self) -> None:
        """Each part may lie in a file of its own; an entry's source replaces the file's."""
        for name in ("id", "secret", "session"):
            self.write(name, f"content-of-{name}")
        auth = {
            "scheme": "sigv4",
            "region": "us-east-1",
            "service": "sagemaker",
            "file": "secret",
            "accessKeyId": {"file": "id"},
            "sessionToken": {"env": "S"},
        }
        self.write("p.json", {"baseUrl": "x", "auth": auth})
        entry = {"file": "p", "auth": {"sessionToken": {"file": "session"}}}
        signature = self.load(config={"providers": [entry]}).first.auth.signature
        assert signature is not None
        assert signature.token is not None
        self.assertEqual((signature.key_id.reveal(), signature.token.reveal()), ("content-of-id", "content-of-session"))
        self.assertEqual(signature.service, "sagemaker")

    def test_signatureNotSet(self) -> None:
        """Neither half of a key is no error; the provider then has no credential."""
        auth = self.provider({}, auth={"scheme": "sigv4", "region": "us-east-1"}).auth
        self.assertEqual((auth.credential, auth.signature), (None, None))
        self.assertEqual(auth.source, "environment variable AWS_SECRET_ACCESS_KEY")

    def test_serviceAccount(self) -> None:
        """A service account comes from a file, from a path in a variable, or from the variable's own text."""
        account = {
            "type": "service_account",
            "client_email": "me@x.iam.gserviceaccount.com",
            "private_key": PEM.reveal(),
            "private_key_id": "k1",
            "project_id": "x",
        }
        path = self.write("account.json", account)
        for environ, named in (
            ({}, {"file": "account.json"}),
            ({"GOOGLE_APPLICATION_CREDENTIALS": path}, {}),
            ({"MINE": json.dumps(account)}, {"env": "MINE"}),
        ):
            auth = self.provider(environ, auth={"scheme": "gcp", **named}).auth
            assert auth.credential is not None
            self.assertEqual(auth.credential.reveal(), PEM.reveal())
            tokens = TokenSource("https://oauth2.googleapis.com/token", "me@x.iam.gserviceaccount.com", "k1")
            self.assertEqual(auth.tokens, tokens)
        self.assertNotIn(PEM.reveal()[30:60], repr(auth))

    def test_metadataServer(self) -> None:
        """Without a credential, tokens are the machine's own; the server's host can be named."""
        path = "/computeMetadata/v1/instance/service-accounts/default/token"
        for environ, host in (
            ({}, "metadata.google.internal"),
            ({"GCE_METADATA_HOST": "127.0.0.1:8080"}, "127.0.0.1:8080"),
            ({"GCE_METADATA_HOST": "evil/?"}, "metadata.google.internal"),
        ):
            auth = self.provider(environ, auth={"scheme": "gcp"}).auth
            self.assertEqual((auth.credential, auth.tokens), (None, TokenSource(f"http://{host}{path}")))

    def test_hidden(self) -> None:
        """Neither the snapshot's text nor its parts' shows a key; the redactor is told of all."""
        self.write("p.json", {"baseUrl": "x", "auth": {"env": "A"}})
        self.write("q.json", {"baseUrl": "x", "headers": {"Authorization": "Bearer header-key-1"}})
        snapshot = self.load(
            "p",
            "q",
            config={"clientKeys": [{"name": "ci", "env": "C"}]},
            environ={"A": _KEY, "C": "client-key-1", "DEFAULT_API_KEY": "default-key-1"},
        )
        shown = repr((snapshot.providers["p"], snapshot.client_keys, snapshot.default_key))
        for key in (_KEY, "client-key-1", "default-key-1"):
            self.assertNotIn(key, shown)
        self.assertEqual(
            {secret.reveal() for secret in snapshot.secrets()}, {_KEY, "client-key-1", "default-key-1", "header-key-1"}
        )


class HeaderKeyTests(FolderTestCase):
    """A key in a header, as the predecessor's users have it."""

    def test_warned(self) -> None:
        """It is accepted, sent, and warned of, without being shown."""
        self.write("p.json", {"baseUrl": "x", "headers": {"Authorization": f"Bearer {_KEY}"}})
        snapshot = self.load("p")
        self.assertEqual(snapshot.first.headers, (("authorization", f"Bearer {_KEY}"),))
        self.assertIn("p.json: $.headers.Authorization: a key in a file", snapshot.warnings[0])
        self.assertNotIn(_KEY, snapshot.warnings[0])

    def test_fromVariable(self) -> None:
        """A key that a header takes from the environment is no secret in a file."""
        self.write("p.json", {"baseUrl": "x", "vars": {"K": {"env": "K"}}, "headers": {"api-key": "${K}"}})
        snapshot = self.load("p", environ={"K": _KEY})
        self.assertEqual(snapshot.first.headers, (("api-key", _KEY),))
        self.assertEqual(snapshot.warnings, ())

    def test_atAnEndpoint(self) -> None:
        """The same holds for an endpoint's headers; beside ``auth.env`` it is refused."""
        endpoints = {"/rerank": {"headers": {"X-Api-Key": _KEY}}}
        self.write("p.json", {"baseUrl": "x", "endpoints": endpoints})
        self.assertIn(
            '$.endpoints["/rerank"].headers.X-Api-Key: a key in'.replace(".X-Api-Key", '["X-Api-Key"]'),
            self.load("p").warnings[0],
        )
        self.write("p.json", {"baseUrl": "x", "endpoints": endpoints, "auth": {"env": "K"}})
        self.assertIn('$.endpoints["/rerank"].headers["X-Api-Key"]: expected one credential', self.refused("p"))


class ClientKeyTests(FolderTestCase):
    """``clientKeys`` and ``DEFAULT_API_KEY``."""

    def test_sources(self) -> None:
        """Keys come from the environment or from files beside the config file."""
        self.write("good.json", {"baseUrl": "x"})
        self.write("ci.key", "client-key-2\n")
        snapshot = self.load(
            "good",
            config={"clientKeys": [{"name": "a", "env": "K"}, {"name": "ci", "file": "ci.key"}]},
            environ={"K": "client-key-1", "DEFAULT_API_KEY": "default-key"},
        )
        self.assertEqual(
            [(key.name, key.secret.reveal()) for key in snapshot.client_keys],
            [("a", "client-key-1"), ("ci", "client-key-2")],
        )
        self.assertEqual(snapshot.default_key and snapshot.default_key.reveal(), "default-key")

    def test_defaultKeyBlank(self) -> None:
        """A blank ``DEFAULT_API_KEY`` is none."""
        self.write("good.json", {"baseUrl": "x"})
        self.assertIsNone(self.load("good", environ={"DEFAULT_API_KEY": " "}).default_key)

    def test_providerWithoutAnyKey(self) -> None:
        """Where clients' keys stay here, a provider without a key is warned of."""
        self.write("good.json", {"baseUrl": "x", "auth": {"env": "P"}})
        self.write("open.json", {"baseUrl": "x", "auth": {"scheme": "none"}})
        config = {"clientKeys": [{"name": "a", "env": "K"}]}
        environ = {"K": "client-key-1"}
        warnings = self.load("good", "open", config=config, environ=environ).warnings
        self.assertEqual(warnings, ("provider 'good' has no key: set environment variable P or DEFAULT_API_KEY",))
        for more in ({"P": "provider-key"}, {"DEFAULT_API_KEY": "default-key"}):
            self.assertEqual(self.load("good", "open", config=config, environ={**environ, **more}).warnings, ())
