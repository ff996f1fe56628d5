"""Tests of the timer wheel, on a clock that only moves when told."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relay.runtime.wheel import Deadline, Watch, Wheel

TICK = 0.25


class WheelTests(SynchronousTestCase):
    """One wheel with ticks of a quarter second."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.1)
        self.wheel = Wheel(self.clock, TICK)
        self.rung: list[str] = []

    def note(self, name: str) -> Callable[[], None]:
        """A callback that writes its name down."""
        return lambda: self.rung.append(name)

    def fires_after(self, seconds: float) -> float:
        """When a deadline fires, looked at every millisecond."""
        begin = self.clock.seconds()
        self.wheel.arm(seconds, self.note("it"))
        while not self.rung:
            self.clock.advance(0.001)
        self.rung.clear()
        return self.clock.seconds() - begin

    def test_neverEarlyAtMostOneTickLate(self) -> None:
        """A deadline fires between its time and one tick after."""
        for seconds in (0.0, 0.001, 0.1, TICK, 0.2501, 1.0, 1.7, 3.999):
            late = self.fires_after(seconds) - seconds
            self.assertTrue(-1e-9 <= late <= TICK + 0.002, f"{seconds}: {late}")

    def test_negativeIsNow(self) -> None:
        """A deadline that has passed already fires with the next tick."""
        self.assertLessEqual(self.fires_after(-5.0), TICK + 0.002)

    def test_noDrift(self) -> None:
        """Deadlines armed one after the other do not move away from the clock's ticks."""
        times: list[float] = []

        def again() -> None:
            times.append(self.clock.seconds())
            if len(times) < 200:
                self.wheel.arm(TICK / 2, again)

        self.wheel.arm(TICK / 2, again)
        for _ in range(20_000):
            self.clock.advance(0.003)
        self.assertEqual(len(times), 200)
        self.assertLess(times[-1] - times[0], 199 * TICK + 0.01)

    def test_firesOnce(self) -> None:
        """A deadline that has fired is over."""
        deadline = self.wheel.arm(1, self.note("it"))
        self.assertTrue(deadline.armed)
        self.clock.pump([0.1] * 100)
        self.assertEqual(self.rung, ["it"])
        self.assertFalse(deadline.armed)

    def test_lateTurnFiresAll(self) -> None:
        """After the loop was held up, everything that is due fires, earliest tick first."""
        for seconds in (3.0, 1.0, 2.0):
            self.wheel.arm(seconds, self.note(str(seconds)))
        self.wheel.arm(100, self.note("later"))
        self.clock.advance(50)
        self.assertEqual(self.rung, ["1.0", "2.0", "3.0"])

    def test_cancel(self) -> None:
        """A cancelled deadline does not fire, and cancelling it again changes nothing."""
        kept, dropped = self.wheel.arm(1, self.note("kept")), self.wheel.arm(1, self.note("dropped"))
        dropped.cancel()
        dropped.cancel()
        self.assertEqual((len(self.wheel), kept.armed, dropped.armed), (1, True, False))
        self.clock.advance(5)
        self.assertEqual(self.rung, ["kept"])

    def test_cancelEverywhereInATick(self) -> None:
        """First, middle and last of the deadlines of one tick can be taken out."""
        for gone in ("a", "b", "c"):
            deadlines = {name: self.wheel.arm(1, self.note(name)) for name in ("a", "b", "c")}
            deadlines[gone].cancel()
            self.clock.advance(5)
            self.assertEqual(sorted(self.rung), sorted({"a", "b", "c"} - {gone}))
            self.rung.clear()

    def test_touch(self) -> None:
        """A touched deadline counts its whole interval anew, however often."""
        deadline = self.wheel.arm(1, self.note("it"))
        for _ in range(50):
            self.clock.advance(0.9)
            deadline.touch()
        self.assertEqual(self.rung, [])
        self.clock.advance(0.99)
        self.assertEqual(self.rung, [])
        self.clock.advance(0.01 + TICK)
        self.assertEqual(self.rung, ["it"])

    def test_touchWhenOver(self) -> None:
        """Touching does not bring back a deadline that has fired or was cancelled."""
        fired, cancelled = self.wheel.arm(1, self.note("it")), self.wheel.arm(1, self.note("it"))
        cancelled.cancel()
        self.clock.advance(2)
        fired.touch()
        cancelled.touch()
        self.clock.advance(10)
        self.assertEqual(self.rung, ["it"])

    def test_armsWhileRinging(self) -> None:
        """A callback may arm another deadline, which fires in its own time and not in this ring."""
        self.wheel.arm(1, lambda: self.wheel.arm(0, self.note("second")))
        self.clock.advance(1 + TICK)
        self.assertEqual(self.rung, [])
        self.clock.advance(TICK)
        self.assertEqual(self.rung, ["second"])

    def test_armsWhileRingingAtTheEdge(self) -> None:
        """That holds, too, where dividing the time by the tick rounds down."""
        clock = Clock()
        wheel = Wheel(clock, 0.1)
        self.assertLess(43 * 0.1 / 0.1, 43)

        def again() -> None:
            self.rung.append("it")
            if len(self.rung) < 5:
                wheel.arm(0, again)

        wheel.arm(4.25, again)
        clock.advance(43 * 0.1)
        self.assertEqual(self.rung, ["it"])

    def test_cancelsOthersWhileRinging(self) -> None:
        """Of two deadlines of one tick that cancel each other, exactly one fires."""
        pair: list[Deadline] = []

        def ring(name: str, other: int) -> None:
            self.rung.append(name)
            pair[other].cancel()

        pair.append(self.wheel.arm(1, lambda: ring("a", 1)))
        pair.append(self.wheel.arm(1, lambda: ring("b", 0)))
        self.clock.advance(5)
        self.assertEqual(len(self.rung), 1)
        self.assertEqual(len(self.wheel), 0)

    def test_cancelsItselfWhileRinging(self) -> None:
        """A callback may cancel its own deadline."""
        own: list[Deadline] = []

        def ring() -> None:
            own[0].cancel()

        own.append(self.wheel.arm(1, ring))
        self.clock.advance(5)
        self.assertEqual(len(self.wheel), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failingCallback(self) -> None:
        """A callback that raises is logged, and the others fire."""

        def fail() -> None:
            raise ValueError("broken")

        self.wheel.arm(1, self.note("before"))
        self.wheel.arm(1, fail)
        self.wheel.arm(1, self.note("after"))
        self.clock.advance(5)
        self.assertEqual(sorted(self.rung), ["after", "before"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_interruptedRing(self) -> None:
        """What is not an error but an end of the program goes through, and leaves the wheel whole."""

        def leave() -> None:
            raise SystemExit

        self.wheel.arm(2, self.note("later"))
        self.wheel.arm(1, leave)
        self.assertRaises(SystemExit, self.clock.advance, 1 + TICK)
        self.clock.advance(2)
        self.assertEqual(self.rung, ["later"])

    def test_oneTimer(self) -> None:
        """However many deadlines there are, the reactor has one timer, for the earliest."""
        for seconds in (50, 5, 500):
            self.wheel.arm(seconds, self.note("it"))
            self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        (call,) = self.clock.getDelayedCalls()
        self.assertTrue(5 <= call.getTime() - self.clock.seconds() <= 5 + TICK)

    def test_noTimerWithoutDeadlines(self) -> None:
        """While no deadline is armed the reactor has nothing to wait for."""
        self.assertEqual(self.clock.getDelayedCalls(), [])
        first, second = self.wheel.arm(1, self.note("it")), self.wheel.arm(2, self.note("it"))
        first.cancel()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        second.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.wheel.arm(1, self.note("again"))
        self.clock.advance(2)
        self.assertEqual((self.rung, self.clock.getDelayedCalls()), (["again"], []))

    def test_memoryOfTheCancelled(self) -> None:
        """A wheel on which thousands of deadlines were armed and cancelled holds nothing of them."""
        long = self.wheel.arm(900, self.note("long"))
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before = tracemalloc.get_traced_memory()[0]
        peak = 0
        for turn in range(300):
            deadlines = [self.wheel.arm(300 + turn % 7, self.rung.clear) for _ in range(100)]
            for deadline in deadlines:
                deadline.cancel()
            del deadlines, deadline
            self.clock.advance(0.1)
            peak = max(peak, tracemalloc.get_traced_memory()[0] - before)
        self.assertLess(peak, 200_000)
        self.assertTrue(long.armed)

    def test_ownersAreLetGo(self) -> None:
        """A cancelled deadline no longer holds its callback."""
        deadline = self.wheel.arm(1, self.note("it"))
        deadline.cancel()
        self.assertNotIn("note", repr(deadline._callback))
        self.assertIsNone(deadline._callback)


class WatchTests(SynchronousTestCase):
    """One deadline after the other."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.1)
        self.wheel = Wheel(self.clock, TICK)
        self.watch = self.wheel.watch()
        self.rung: list[str] = []

    def set(self, seconds: float, name: str = "it") -> None:
        """Set it for so many seconds from now."""
        self.watch.set(self.clock.seconds() + seconds, lambda: self.rung.append(name))

    def test_restsAtFirst(self) -> None:
        """A watch that was never set costs the wheel nothing."""
        self.clock.advance(100)
        self.assertEqual((self.rung, len(self.wheel), self.clock.getDelayedCalls()), ([], 0, []))

    def test_set(self) -> None:
        """It fires once, in time, and can be set again."""
        for _ in range(3):
            self.set(2)
            self.clock.advance(1.99)
            self.assertEqual(self.rung, [])
            self.clock.advance(0.01 + TICK)
            self.assertEqual(self.rung, ["it"])
            self.clock.advance(100)
            self.assertEqual((self.rung, len(self.wheel), self.clock.getDelayedCalls()), (["it"], 0, []))
            self.rung.clear()

    def test_setAnew(self) -> None:
        """Only what was set last counts, be it later or sooner."""
        self.set(5, "first")
        self.set(50, "later")
        self.set(2, "sooner")
        self.clock.advance(2 + TICK)
        self.assertEqual(self.rung, ["sooner"])
        self.clock.advance(100)
        self.assertEqual(self.rung, ["sooner"])

    def test_raised(self) -> None:
        """Raising its time pushes it back, however often."""
        self.set(1)
        for _ in range(50):
            self.clock.advance(0.9)
            self.watch.due = self.clock.seconds() + 1
        self.assertEqual(self.rung, [])
        self.clock.advance(1 + TICK)
        self.assertEqual(self.rung, ["it"])

    def test_rest(self) -> None:
        """At rest it does not fire, and lets its callback go; it leaves the wheel when that comes by."""
        self.set(1)
        self.watch.rest()
        self.assertIsNone(self.watch._callback)
        self.assertEqual(len(self.wheel), 1)
        self.clock.advance(2)
        self.assertEqual((self.rung, len(self.wheel), self.clock.getDelayedCalls()), ([], 0, []))
        self.watch.rest()

    def test_requestAfterRequest(self) -> None:
        """Set and put to rest again and again, it is hung once for each span, and not once each time."""
        self.set(10)
        timers = self.clock.getDelayedCalls()
        for _ in range(90):
            self.watch.rest()
            self.clock.advance(0.1)
            self.set(10)
            self.assertEqual((self.clock.getDelayedCalls(), len(self.wheel)), (timers, 1))
        self.clock.advance(9.9)
        self.assertEqual(self.rung, [])
        self.clock.advance(0.1 + TICK)
        self.assertEqual(self.rung, ["it"])

    def test_cancel(self) -> None:
        """Cancelled, it leaves the wheel at once; it may be set again."""
        for _ in range(2):
            self.set(1)
            self.watch.cancel()
            self.watch.cancel()
            self.assertEqual((len(self.wheel), self.clock.getDelayedCalls()), (0, []))
        self.set(1)
        self.clock.advance(1 + TICK)
        self.assertEqual(self.rung, ["it"])

    def test_setWhileRinging(self) -> None:
        """Its own callback may set it again."""
        self.watch.set(self.clock.seconds() + 1, lambda: self.set(1, "again"))
        self.clock.pump([0.25] * 20)
        self.assertEqual((self.rung, len(self.wheel)), (["again"], 0))

    def test_oneOwnerLessWhileRinging(self) -> None:
        """A callback may cancel a watch that is due with it."""
        other = self.wheel.watch()

        def ring(rival: Watch) -> None:
            self.rung.append("it")
            rival.cancel()

        self.watch.set(self.clock.seconds() + 1, lambda: ring(other))
        other.set(self.clock.seconds() + 1, lambda: ring(self.watch))
        self.clock.advance(5)
        self.assertEqual((self.rung, len(self.wheel)), (["it"], 0))

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["set", "raise", "rest", "cancel", "advance", "advance"]),
                st.floats(min_value=0, max_value=10, allow_nan=False),
            ),
            max_size=60,
        )
    )
    def test_anyScript(self, script: list[tuple[str, float]]) -> None:
        """Whatever is done to it in whatever order, it fires once each time it is set, in time, or never."""
        self.setUp()
        due: list[float] = []

        def ring() -> None:
            self.assertLessEqual(due.pop(), self.clock.seconds())

        for what, value in script:
            now = self.clock.seconds()
            if what == "set":
                due[:] = [now + value]
                self.watch.set(now + value, ring)
            elif what == "raise" and due:
                due[0] += value
                self.watch.due = due[0]
            elif what == "advance":
                self.clock.advance(value)
            elif what == "rest" or what == "cancel":
                due.clear()
                getattr(self.watch, what)()
            self.assertTrue(all(at > self.clock.seconds() - TICK - 1e-6 for at in due), "did not ring in time")
        self.clock.advance(1000)
        self.assertEqual((due, len(self.wheel), self.clock.getDelayedCalls()), ([], 0, []))


class Model:
    """A wheel, and a list of due times beside it that is looked through on every step."""

    def __init__(self, begin: float, tick: float) -> None:
        self.clock = Clock()
        self.clock.rightNow = begin
        self.tick = tick
        self.wheel = Wheel(self.clock, tick)
        self.due: dict[int, float] = {}
        self.intervals: list[float] = []
        self.handles: list[Deadline] = []
        self.wrong: list[int] = []

    def arm(self, seconds: float, follow: bool = False) -> None:
        """Arm one, which arms another when it rings if so asked."""
        number = len(self.handles)

        def ring() -> None:
            if self.clock.seconds() < self.due.pop(number, float("inf")):
                self.wrong.append(number)  # early, twice or although cancelled
            if follow:
                self.arm(seconds / 2)

        self.due[number] = self.clock.seconds() + max(0.0, seconds)
        self.intervals.append(max(0.0, seconds))
        self.handles.append(self.wheel.arm(seconds, ring))

    def cancel(self, number: int) -> None:
        """Cancel one of those that there were."""
        self.handles[number].cancel()
        self.due.pop(number, None)

    def touch(self, number: int) -> None:
        """Touch one of those that there were."""
        self.handles[number].touch()
        if number in self.due:
            self.due[number] = self.clock.seconds() + self.intervals[number]

    def step(self, what: str, value: float) -> None:
        """Do one thing of a script."""
        if what == "advance":
            self.clock.advance(value)
        elif what.startswith("arm"):
            self.arm(value, follow=what == "arm and follow")
        elif self.handles:
            (self.cancel if what == "cancel" else self.touch)(int(value) % len(self.handles))


times = st.floats(min_value=-1, max_value=40, allow_nan=False)
numbers = st.integers(0, 30)
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["arm", "arm and follow"]), times),
        st.tuples(st.sampled_from(["cancel", "touch"]), numbers),
        st.tuples(st.just("advance"), st.floats(min_value=0, max_value=10, allow_nan=False)),
    ),
    max_size=60,
)


class WheelModelTests(SynchronousTestCase):
    """The wheel against the list."""

    @settings(max_examples=300, deadline=None)
    @given(st.floats(min_value=0, max_value=1e6, allow_nan=False), st.sampled_from([0.1, 0.25, 1.0, 0.07]), steps)
    def test_againstAList(self, begin: float, tick: float, script: list[tuple[str, float]]) -> None:
        """Whatever is armed, touched and cancelled in whatever order, each fires once, in time, or never."""
        model = Model(begin, tick)
        for what, value in script:
            model.step(what, value)
            overdue = model.clock.seconds() - tick - 1e-6
            self.assertTrue(all(due > overdue for due in model.due.values()), "did not ring in time")
            self.assertEqual(len(model.wheel), len(model.due))
            self.assertEqual({number for number, handle in enumerate(model.handles) if handle.armed}, set(model.due))
            self.assertEqual(len(model.clock.getDelayedCalls()), 1 if model.due else 0)
        for _ in range(3):  # those that follow others
            model.clock.advance(100)
        self.assertEqual((model.wrong, model.due, model.clock.getDelayedCalls()), ([], {}, []))
