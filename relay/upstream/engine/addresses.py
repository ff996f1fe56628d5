"""Host names and their addresses, kept for a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from typing import Protocol

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from zope.interface import implementer

KEEP = 30.0
"""Seconds for which an answer holds; a failure is not kept."""

LOST = 10.0
"""Seconds after which a question that has not been answered is asked anew; some resolvers lose odd names."""

NAMES = 256
"""Names kept; beyond that, the one looked up first goes."""

Addresses = tuple[str, ...]
"""Literal addresses, the two families taking turns; empty when the name does not resolve."""

Found = Callable[[Addresses], None]


class _Resolving(Protocol):
    """A reactor, as far as it is needed here. The resolver may be exchanged while relay runs."""

    @property
    def nameResolver(self) -> IHostnameResolver: ...


class AddressBook:
    """Looks names up by the reactor's resolver, at most once at a time for each.

    Args:
        reactor: has the resolver.
        seconds: monotonic time.
    """

    def __init__(self, reactor: _Resolving, seconds: Callable[[], float]) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._known: OrderedDict[str, tuple[float, Addresses]] = OrderedDict()
        self._lookups: dict[str, _Lookup] = {}

    def find(self, host: str, found: Found) -> Callable[[], None]:
        """Look a name up.

        Args:
            host: not a literal address.
            found: called with the answer, maybe at once.

        Returns:
            Takes the question back; the lookup itself goes on.
        """
        until, addresses = self._known.get(host, (0.0, ()))
        if addresses and self._seconds() < until:
            found(addresses)
            return _nothing
        lookup, now = self._lookups.get(host), self._seconds()
        if lookup is None or lookup.since + LOST <= now:
            lookup = self._lookups[host] = _Lookup(now, lambda asked, result: self._learn(host, asked, result))
            lookup.waiting.append(found)
            self._reactor.nameResolver.resolveHostName(lookup, host, transportSemantics="TCP")
        else:
            lookup.waiting.append(found)
        return lambda: lookup.forget(found)

    def forget(self, host: str) -> None:
        """None of the addresses was any good: ask anew the next time."""
        self._known.pop(host, None)

    def _learn(self, host: str, lookup: _Lookup, addresses: Addresses) -> None:
        if self._lookups.get(host) is lookup:
            del self._lookups[host]
        if addresses:
            self._known[host] = (self._seconds() + KEEP, addresses)
            self._known.move_to_end(host)
            if len(self._known) > NAMES:
                self._known.popitem(last=False)


@implementer(IResolutionReceiver)
class _Lookup:
    """One question to the resolver, since when it is asked, and who waits for the answer."""

    def __init__(self, since: float, learn: Callable[[_Lookup, Addresses], None]) -> None:
        self.since = since
        self.waiting: list[Found] = []
        self._learn = learn
        self._addresses: dict[str, IAddress] = {}

    def forget(self, found: Found) -> None:
        """Somebody waits no more. Idempotent."""
        if found in self.waiting:
            self.waiting.remove(found)

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """The resolver has begun."""

    def addressResolved(self, address: IAddress) -> None:
        """One address."""
        if isinstance(address, (IPv4Address, IPv6Address)):
            self._addresses[address.host] = address

    def resolutionComplete(self) -> None:
        """That was all."""
        addresses = in_turn(tuple(self._addresses))
        self._learn(self, addresses)
        waiting, self.waiting = self.waiting, []
        for found in waiting:
            found(addresses)


def in_turn(addresses: Sequence[str]) -> Addresses:
    """Order addresses so that the families take turns, beginning with the first one's.

    See: https://www.rfc-editor.org/rfc/rfc8305#section-4
    """
    first = [address for address in addresses if (":" in address) == (":" in addresses[0])]
    second = [address for address in addresses if address not in first]
    return tuple(address for address in chain.from_iterable(zip_longest(first, second)) if address is not None)


def _nothing() -> None:
    """There is nothing to take back."""
