"""Time sources and clocks under the test's control."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from twisted.internet.task import Clock as ReactorClock

from cspd.timekeeping.monitor import ClockMonitor
from cspd.timekeeping.settings import ClockSettings
from cspd.timekeeping.values import BadClock, LeapStatus, Tracking, TrustedTime
from tests.support.clocks import FrozenClock

SYNCHRONISED = Tracking(
    offset=0.0,
    root_delay=0.002,
    root_dispersion=0.001,
    leap=LeapStatus.NORMAL,
    stratum=2,
    reference_id="192.0.2.1",
    reference_time=datetime(2026, 11, 24, 11, 59, 0, tzinfo=UTC),
)


class FakeSource:
    """Implements :class:`cspd.timekeeping.interfaces.TimeSource` with the answer that the test sets."""

    def __init__(self, answer: Tracking | BaseException | Awaitable[Any] = SYNCHRONISED) -> None:
        self.answer = answer
        """What the next question gets: a value, an exception, or something to wait for first."""
        self.asked = 0

    def change(self, **fields: Any) -> None:
        """Change fields of the present answer."""
        assert isinstance(self.answer, Tracking)
        self.answer = replace(self.answer, **fields)

    async def tracking(self) -> Tracking:
        """The answer."""
        self.asked += 1
        answer = self.answer
        if isinstance(answer, BaseException):
            raise answer
        if not isinstance(answer, Tracking):
            answer = await answer
        assert isinstance(answer, Tracking)
        return answer


class FakeTrustedClock:
    """Implements :class:`cspd.timekeeping.interfaces.TrustedClock`: right unless ``bad`` says why not."""

    def __init__(self, clock: FrozenClock, *, bad: str = "", near_leap: bool = False) -> None:
        self.clock = clock
        self.bad = bad
        self.bad_until_settled = False
        self.near_leap = near_leap

    def now(self) -> TrustedTime:
        """The frozen clock's moment."""
        if self.bad:
            raise BadClock(self.bad)
        return TrustedTime(self.clock.now(), self.near_leap)

    async def settled(self) -> None:
        """It was asked, and ``bad_until_settled`` is over."""
        if self.bad_until_settled:
            self.bad, self.bad_until_settled = "", False


class MonitoredClock:
    """A :class:`ClockMonitor` whose wall clock, monotonic clock and timers move only when told."""

    monotonic: float = 1000.0

    def __init__(self, moment: datetime = datetime(2026, 11, 24, 12, 0, tzinfo=UTC), **settings: Any) -> None:
        self.wall = FrozenClock(moment)
        self.reactor = ReactorClock()
        self.source = FakeSource(replace(SYNCHRONISED, reference_time=moment - timedelta(minutes=1)))
        self.settings = ClockSettings(
            **{"poll_interval": timedelta(seconds=10), "max_error": timedelta(milliseconds=500), **settings}
        )
        self.monitor = ClockMonitor(
            self.source, self.settings, reactor=self.reactor, clock=self.wall, monotonic=lambda: self.monotonic
        )

    def pass_time(self, seconds: float, *, timers: bool = True) -> None:
        """All clocks go on, a second at a time at most; without ``timers`` the reactor's stand still."""
        while seconds > 0:
            step = min(seconds, 1.0)
            self.wall.advance(timedelta(seconds=step))
            self.monotonic += step
            if timers:
                self.reactor.advance(step)
            seconds -= step

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.wall.advance(timedelta(seconds=seconds))

    def poll(self, *, measured: bool = True) -> None:
        """Let a poll interval pass, at whose end the source is asked; it has ``measured`` a second ago, or not anew."""
        interval = self.settings.poll_interval.total_seconds()
        self.pass_time(interval - 1)
        if measured and isinstance(self.source.answer, Tracking):
            self.source.change(reference_time=self.wall.now())
        self.pass_time(1)

    def refusal(self) -> str:
        """Why the clock is bad now; empty if it is good."""
        try:
            self.monitor.now()
        except BadClock as error:
            return str(error) or "no reason"
        return ""
