"""Which deployment first: the strategies, as functions of a route, what is known of its health, time and chance.

Deployments of one priority make a tier. Within a tier the strategy decides; all of a lower priority come first. Who is
not available is left out, and who recovers slowly takes part in as many orders as his share says, and stands behind
everybody in the others. Only when nobody is available come those who are left alone, the soonest back first: one
attempt then is better than none.

Strategies that take the first of two drawn at random (`least-busy`, `latency`) do not send everybody to the same best
place before anybody knows how it does there.
See: M. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 1996.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, groupby
from operator import attrgetter

import msgspec

from relay.config import Deployment, Route
from relay.policy.health import Health

Candidates = tuple[Deployment, ...]
Healths = Mapping[str, Health]
Rand = Callable[[], float]
Price = Callable[[Deployment], int]

_SLOTS = 4096
"""Sticky keys fall into as many groups; each has its own order of the deployments."""

_TAILS = 256
"""As many of these orders serve for the others, when the first was chosen otherwise."""

_REDUCED = 16
"""Tiers without some of their members that are kept ready."""

_UNTRIED = 1e6
"""Seconds that an attempt counts while it is not known how long its deployment takes: one at a time is enough."""


def order(route: Route, healths: Healths, now: float, rand: Rand, key: bytes, counter: int, price: Price) -> Candidates:
    """Order a route's deployments once; who does it for every request keeps a `Balance`. See `Balance.order`."""
    return Balance(route).order(healths, now, rand, key, counter, price)


class Balance:
    """What depends on a route only, prepared; it never changes what `order` says, only how fast."""

    __slots__ = ("_names", "_rank", "_tiers")

    def __init__(self, route: Route) -> None:
        serving = sorted((d for d in route.deployments if not d.drained), key=attrgetter("priority"))
        self._tiers = [_Tier(tuple(members)) for _, members in groupby(serving, key=attrgetter("priority"))]
        self._names = tuple(d.name for d in serving)
        self._rank = _STRATEGIES[route.strategy]

    def order(self, healths: Healths, now: float, rand: Rand, key: bytes, counter: int, price: Price) -> Candidates:
        """Order the candidates of one exchange, best first.

        Args:
            healths: name of every deployment of the route → its health.
            now: monotonic seconds.
            rand: gives numbers >= 0 and < 1.
            key: what keeps requests on one deployment, whatever the strategy; b"" for none.
            counter: exchanges of the route so far, for ``round-robin``.
            price: what the exchange would cost, in any unit, for ``cheapest``.

        Returns:
            The available ones; when there are none, the others by the time they are back. Empty only when
            all are drained or forced open.
        """
        rank, slot = (_sticky, zlib.crc32(key) % _SLOTS) if key else (self._rank, -1)
        turn = _Turn(healths, now, rand, slot, counter, price)
        for name in self._names:
            if not healths[name].steady:
                return self._sifted(rank, turn)
        return _ranked(rank, self._tiers, turn)

    def _sifted(self, rank: _Rank, turn: _Turn) -> Candidates:
        """Order them when not everybody is at his best."""
        tiers: list[_Tier] = []
        waiting: list[Deployment] = []
        away: list[Deployment] = []
        for tier in self._tiers:
            out = tuple(_out(tier, turn, waiting, away))
            tiers.append(tier.without(out) if out else tier)
        if ranked := _ranked(rank, tiers, turn):
            return (*ranked, *waiting) if waiting else ranked
        if waiting:
            return tuple(waiting)
        healths = turn.healths
        left = [member for member in away if healths[member.name].forced is None]
        return tuple(sorted(left, key=lambda member: healths[member.name].until))


class _Turn(msgspec.Struct, frozen=True, gc=False):
    """The facts of one exchange; `slot` is its sticky key's, or -1."""

    healths: Healths
    now: float
    rand: Rand
    slot: int
    counter: int
    price: Price


class _Tier:
    """Deployments of one priority.

    Attributes:
        members: in the order of the file.
        names: theirs.
        weights: running sums of their weights.
    """

    __slots__ = ("_permutations", "_reduced", "_staying", "_tails", "_whole", "members", "names", "weights")

    def __init__(self, members: Candidates, whole: _Tier | None = None) -> None:
        self.members = members
        self.names = tuple(member.name for member in members)
        self.weights = tuple(accumulate(member.weight for member in members))
        self._staying = frozenset(self.names)
        self._whole = whole
        self._reduced: dict[tuple[str, ...], _Tier] = {}
        self._permutations: dict[int, Candidates] = {}
        self._tails: dict[int, tuple[Candidates, tuple[int, ...]]] = {}

    def without(self, names: tuple[str, ...]) -> _Tier:
        """The tier of the others, which keep their places among each other in every permutation."""
        found = self._reduced.get(names)
        if found is None:
            if len(self._reduced) >= _REDUCED:
                self._reduced.clear()
            found = _Tier(tuple(member for member in self.members if member.name not in names), self)
            self._reduced[names] = found
        return found

    def permutation(self, slot: int) -> Candidates:
        """One of `_SLOTS` orders in which a member is before another as often as their weights say.

        It is a rendezvous: each member has a number of its own for the slot, so that who leaves or comes changes
        nothing among the others.
        See: Schindelhauer, Schomaker, Weighted Distributed Hash Tables, 2005 (logarithmic method).
        """
        if self._whole is not None:
            staying = self._staying
            return tuple([member for member in self._whole.permutation(slot) if member.name in staying])
        found = self._permutations.get(slot)
        if found is None:
            score = {member.name: -math.log(_number(member.name, slot)) / member.weight for member in self.members}
            found = tuple(sorted(self.members, key=lambda member: score[member.name]))
            self._permutations[slot] = found
        return found

    def led(self, first: int, rand: Rand) -> Candidates:
        """The member at this index, then the others by their weights and chance."""
        tail = int(rand() * _TAILS)
        found = self._tails.get(tail)
        if found is None:
            others = self.permutation(tail)
            place = {id(member): place for place, member in enumerate(others)}
            found = self._tails[tail] = (others, tuple(place[id(member)] for member in self.members))
        others, places = found
        return (self.members[first], *others[: places[first]], *others[places[first] + 1 :])


def _number(name: str, slot: int) -> float:
    """A number above 0 and below 1 that belongs to a deployment and a slot."""
    digest = hashlib.blake2b(b"%d/%b" % (slot, name.encode()), digest_size=6).digest()
    return (int.from_bytes(digest, "big") + 0.5) / 2.0**48


def _ranked(rank: _Rank, tiers: Sequence[_Tier], turn: _Turn) -> Candidates:
    if len(tiers) == 1:
        return rank(tiers[0], turn)
    return tuple(member for tier in tiers for member in rank(tier, turn))


def _out(tier: _Tier, turn: _Turn, waiting: list[Deployment], away: list[Deployment]) -> Iterator[str]:
    """Names of those that take no part this time; they are added to those who wait or to those who are away."""
    healths = turn.healths
    for place in [place for place, name in enumerate(tier.names) if not healths[name].steady]:
        member = tier.members[place]
        health = healths[member.name]
        if not health.available(turn.now):
            away.append(member)
            yield member.name
        elif (share := health.share(turn.now)) < 1.0 and _chance(member, turn) >= share:
            waiting.append(member)
            yield member.name


def _chance(member: Deployment, turn: _Turn) -> float:
    """A number below 1 to be compared with a share: the slot's own, so that a sticky key moves only once."""
    return turn.rand() if turn.slot < 0 else _number(member.name, turn.slot + _SLOTS)


def _sticky(tier: _Tier, turn: _Turn) -> Candidates:
    return tier.permutation(turn.slot)


def _weighted(tier: _Tier, turn: _Turn) -> Candidates:
    members, weights = tier.members, tier.weights
    if len(members) < 2:
        return members
    return tier.led(bisect_right(weights, turn.rand() * weights[-1], 0, len(members) - 1), turn.rand)


def _ordered(tier: _Tier, _: _Turn) -> Candidates:
    return tier.members


def _round_robin(tier: _Tier, turn: _Turn) -> Candidates:
    members = tier.members
    start = turn.counter % len(members) if members else 0
    return members[start:] + members[:start]


def _least_busy(tier: _Tier, turn: _Turn) -> Candidates:
    return _better_of_two(tier, turn, lambda member, health: (health.busy + 1) / member.weight)


def _latency(tier: _Tier, turn: _Turn) -> Candidates:
    def load(_: Deployment, health: Health) -> float:
        mean = health.ewma(turn.now)
        return mean * (health.busy + 1) if mean else health.busy * _UNTRIED

    return _better_of_two(tier, turn, load)


def _better_of_two(tier: _Tier, turn: _Turn, load: Callable[[Deployment, Health], float]) -> Candidates:
    members, healths, rand = tier.members, turn.healths, turn.rand
    count = len(members)
    if count < 2:
        return members
    one = int(rand() * count)
    other = int(rand() * (count - 1))
    other += other >= one
    first, second = members[one], members[other]
    better = load(second, healths[second.name]) < load(first, healths[first.name])
    return tier.led(other if better else one, rand)


def _cheapest(tier: _Tier, turn: _Turn) -> Candidates:
    return tuple(sorted(tier.members, key=lambda member: (turn.price(member), turn.healths[member.name].busy)))


_Rank = Callable[[_Tier, _Turn], Candidates]

_STRATEGIES: Mapping[str, _Rank] = {
    "weighted": _weighted,
    "round-robin": _round_robin,
    "least-busy": _least_busy,
    "latency": _latency,
    "cheapest": _cheapest,
    "ordered": _ordered,
}
