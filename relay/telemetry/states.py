"""How each provider has been answering lately, in a word, for ``/health``."""

from __future__ import annotations

from collections.abc import Mapping

from zope.interface import implementer

from relay.exchange import AttemptRecord
from relay.interfaces import IObserver, of_no_interest
from relay.telemetry.alerts import is_failure

FAILING_AFTER = 5
"""Failures in a row that make a provider ``failing``."""

_SAYS_NOTHING = frozenset({"client_gone", "draining", "cancelled"})


@implementer(IObserver)
class ProviderStates:
    """Counts each provider's failures in a row.

    The state is ``ok``, ``failing`` after five failures in a row, or, before the first
    attempt, not there. Connections, deadlines, 5xx answers and broken answers count as
    failures; what a provider rightly refuses (4xx) does not.
    """

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}

    exchange_started = staticmethod(of_no_interest)

    def attempt_ended(self, attempt: AttemptRecord) -> None:
        """Count, or begin anew."""
        if attempt.result == "ok":
            self._failures[attempt.provider] = 0
        elif is_failure(attempt):
            self._failures[attempt.provider] = self._failures.get(attempt.provider, 0) + 1
        elif attempt.result not in _SAYS_NOTHING:
            self._failures[attempt.provider] = 0

    exchange_settled = staticmethod(of_no_interest)

    def states(self) -> Mapping[str, str]:
        """Provider → state."""
        return {name: "failing" if count >= FAILING_AFTER else "ok" for name, count in self._failures.items()}
