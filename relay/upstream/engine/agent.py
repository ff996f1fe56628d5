"""treq over the engine's connections: for every call that is not an exchange on the hot path."""

from __future__ import annotations

from treq.client import HTTPClient
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.web.client import URI, Agent
from twisted.web.error import SchemeNotSupported
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from zope.interface import implementer

from relay.upstream.engine.pool import Pool
from relay.upstream.sending import no_cookies


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class _Anywhere:
    """An agent's endpoints, where the pool knows by itself how to connect."""

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """Check the scheme."""
        if uri.scheme not in (b"http", b"https"):
            raise SchemeNotSupported(f"The scheme {uri.scheme!r} is not one that can be connected to.")
        return self

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """The pool never asks for this."""
        return fail(RuntimeError("The engine's pool makes its own connections."))


def make_agent(reactor: IReactorTime, pool: Pool) -> IAgent:
    """Make an agent over a pool of the engine's. It bounds connecting; the rest is up to who asks."""
    agent: IAgent = Agent.usingEndpointFactory(reactor, _Anywhere(), pool)
    return agent


def make_client(reactor: IReactorTime, pool: Pool) -> HTTPClient:
    """Make a treq client over a pool of the engine's; it keeps no cookies."""
    return HTTPClient(make_agent(reactor, pool), no_cookies())
