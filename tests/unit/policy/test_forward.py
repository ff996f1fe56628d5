"""What crosses the gateway in each direction."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.config import Deployment
from relay.exchange import ClientRequest, LimitState, UpstreamRequest
from relay.policy.credentials import Credential
from relay.policy.forward import build, read_head, with_limit
from relay.provider import Auth, AuthScheme, Provider
from relay.secret import Secret
from tests.unit.values import make_endpoint, make_provider, make_request

KEY = Credential(Secret("k-123/+ä"))


def request_for(provider: Provider, request: ClientRequest | None = None, *, stream: bool = False) -> UpstreamRequest:
    """The upstream request for a model called ``up/stream 1``."""
    deployment = Deployment(name="d", provider=provider, model="up/stream 1")
    return build(deployment, request or make_request(), b"{}", KEY, stream=stream)


class BuildTests(SynchronousTestCase):
    """`build` makes the upstream request."""

    def test_eachAuthSchemePutsTheKeyInItsPlace(self) -> None:
        """The scheme decides, whatever style the client used."""
        for scheme, name, value in (
            (AuthScheme.BEARER, b"authorization", "Bearer k-123/+ä"),
            (AuthScheme.X_API_KEY, b"x-api-key", "k-123/+ä"),
            (AuthScheme.API_KEY, b"api-key", "k-123/+ä"),
            (AuthScheme.X_GOOG_API_KEY, b"x-goog-api-key", "k-123/+ä"),
        ):
            headers = dict(request_for(make_provider(scheme=scheme)).headers)
            self.assertEqual(headers[name].decode(), value)

    def test_aKeyInTheQueryIsEncoded(self) -> None:
        """Scheme ``query`` keeps an existing query."""
        path = "/v1/chat/completions"
        provider = make_provider(endpoints={path: make_endpoint(path, target="/x?a=1")})
        provider = make_provider(
            auth=Auth(AuthScheme.QUERY, parameter="key"), endpoints=dict(provider.endpoints), scheme=AuthScheme.NONE
        )
        self.assertEqual(request_for(provider).target, "/x?a=1&key=k-123%2F%2B%C3%A4")

    def test_theModelInAPathIsEncoded(self) -> None:
        """A model name cannot leave its place in the path."""
        path = "/v1/chat/completions"
        provider = make_provider(endpoints={path: make_endpoint(path, target="/models/{model}:run")})
        self.assertEqual(request_for(provider).target, "/models/up%2Fstream%201:run")
        for name, segment in (("..", "%2E%2E"), (".", "%2E"), ("../x", "..%2Fx"), ("a?b#c", "a%3Fb%23c")):
            deployment = Deployment(name="d", provider=provider, model=name)
            sent = build(deployment, make_request(), b"{}", KEY, stream=False)
            self.assertEqual(sent.target, f"/models/{segment}:run")

    def test_theClientsHeadersStayBehind(self) -> None:
        """Its key, cookies, organisation and SDK fields are not the provider's business."""
        sent = (
            (b"authorization", b"Bearer client-key"),
            (b"x-api-key", b"client-key"),
            (b"cookie", b"c=1"),
            (b"openai-organization", b"org"),
            (b"x-stainless-lang", b"python"),
            (b"x-forwarded-for", b"10.0.0.1"),
            (b"host", b"relay"),
            (b"user-agent", b"sdk/1"),
        )
        headers = dict(request_for(make_provider(), make_request(headers=sent)).headers)
        self.assertEqual(sorted(headers), [b"accept", b"authorization", b"content-type", b"user-agent"])
        self.assertEqual(headers[b"user-agent"], b"sdk/1")
        self.assertNotIn(b"client-key", headers[b"authorization"])

    def test_anthropicHeadersGoToAnthropicOnly(self) -> None:
        """Version and betas are opaque; the client's version replaces the file's default."""
        sent = ((b"anthropic-version", b"2026-10-21"), (b"anthropic-beta", b"a,b"))
        path = "/v1/messages"
        served = make_endpoint(path, "anthropic", headers=(("anthropic-version", "2023-06-01"),))
        provider = make_provider(endpoints={path: served})
        messages = dict(request_for(provider, make_request(path, headers=sent)).headers)
        self.assertEqual((messages[b"anthropic-version"], messages[b"anthropic-beta"]), (b"2026-10-21", b"a,b"))
        chat = dict(request_for(provider, make_request(headers=sent)).headers)
        self.assertNotIn(b"anthropic-beta", chat)

    def test_onlyKnownQueriesTravel(self) -> None:
        """``beta=true`` is the Anthropic SDK's; a key in the query is not for the provider."""
        self.assertEqual(
            request_for(make_provider(), make_request(query=b"beta=true&key=secret")).target,
            "/v1/chat/completions?beta=true",
        )

    def test_streamsAskForEvents(self) -> None:
        """Some providers decide by ``Accept``."""
        self.assertEqual(dict(request_for(make_provider(), stream=True).headers)[b"accept"], b"text/event-stream")

    def test_formsKeepTheirBoundary(self) -> None:
        """The content type of a form is the client's, every other body is JSON."""
        form = make_request("/v1/audio/transcriptions", content_type="multipart/form-data; boundary=x")
        headers = dict(request_for(make_provider(), form).headers)
        self.assertEqual(headers[b"content-type"], b"multipart/form-data; boundary=x")
        json = dict(request_for(make_provider(), make_request(content_type="text/plain")).headers)
        self.assertEqual(json[b"content-type"], b"application/json")


class AnswerHeaderTests(SynchronousTestCase):
    """`read_head` keeps an allow-list."""

    def test_limitsAndHintsPass(self) -> None:
        """What SDKs read comes through; the provider's id under a name of its own."""
        headers = (
            (b"content-type", b"application/json"),
            (b"retry-after", b"3"),
            (b"x-ratelimit-remaining-tokens", b"9"),
            (b"anthropic-ratelimit-requests-limit", b"50"),
            (b"x-request-id", b"req_up"),
        )
        self.assertEqual(read_head(headers).kept, (*headers[:4], (b"x-upstream-request-id", b"req_up")))

    def test_theRestStaysBehind(self) -> None:
        """Cookies, framing, redirects, organisations, and fields that a front proxy obeys."""
        names = (b"set-cookie", b"content-length", b"transfer-encoding", b"location", b"x-accel-redirect")
        more = (b"openai-organization", b"connection", b"server", b"strict-transport-security", b"content-encoding")
        self.assertEqual(read_head(tuple((name, b"x") for name in (*names, *more))).kept, ())

    def test_idsAreBoundedAndPrintable(self) -> None:
        """A provider cannot forge log lines."""
        self.assertEqual(read_head(((b"request-id", b"a" * 129), (b"apim-request-id", b"ok"))).id, "ok")
        self.assertEqual(read_head(((b"request-id", b"a\tb"),)).id, "")
        self.assertEqual(read_head(()).id, "")

    def test_relaysOwnLimitReplacesTheProviders(self) -> None:
        """With a limit of its own, relay reports that one."""
        headers = ((b"x-ratelimit-limit-requests", b"999"), (b"x-ratelimit-limit-tokens", b"5"))
        self.assertEqual(
            with_limit(headers, LimitState(10, 9, 1.5)),
            (
                (b"x-ratelimit-limit-tokens", b"5"),
                (b"x-ratelimit-limit-requests", b"10"),
                (b"x-ratelimit-remaining-requests", b"9"),
                (b"x-ratelimit-reset-requests", b"1.500s"),
            ),
        )
        self.assertEqual(with_limit(headers, None), headers)

    def test_mediaTypesAreCompared(self) -> None:
        """Parameters and case do not matter."""
        self.assertEqual(
            read_head(((b"content-type", b"Text/Event-Stream; charset=utf-8"),)).media, "text/event-stream"
        )
        self.assertEqual(read_head(()).media, "")
