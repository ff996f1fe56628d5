"""How providers look in ``/health``."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from relay.interfaces import IObserver
from relay.telemetry.states import FAILING_AFTER, ProviderStates
from tests.unit.telemetry.records import SUCCESS, failed


class ProviderStatesTests(SynchronousTestCase):
    """`ProviderStates` sums up attempts."""

    def test_interface(self) -> None:
        """It is an observer."""
        verifyObject(IObserver, ProviderStates())

    def test_failuresInARow(self) -> None:
        """Five in a row are ``failing``; one success is ``ok`` again."""
        states = ProviderStates()
        self.assertEqual(states.states(), {})
        for _ in range(FAILING_AFTER):
            self.assertNotEqual(states.states().get("openai"), "failing")
            states.attempt_ended(failed("upstream_unreachable"))
        self.assertEqual(states.states(), {"openai": "failing"})
        states.attempt_ended(failed("client_gone"))
        self.assertEqual(states.states(), {"openai": "failing"})
        states.attempt_ended(SUCCESS)
        self.assertEqual(states.states(), {SUCCESS.provider: "ok"})

    def test_refusalsAreNoFailures(self) -> None:
        """A provider that answers 400 works."""
        states = ProviderStates()
        for _ in range(FAILING_AFTER):
            states.attempt_ended(failed("upstream_refused", 400))
        self.assertEqual(states.states(), {"openai": "ok"})
