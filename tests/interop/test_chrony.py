"""A real chronyd that a clock monitor asks: over UDP and its Unix socket, with offsets, losses and leap seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import SystemRandom
from time import monotonic
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.selectreactor import SelectReactor

from cspd.clock import SystemClock
from cspd.config.connectors import find_connector
from cspd.timekeeping.monitor import ClockMonitor
from cspd.timekeeping.settings import ClockSettings, LeapRule
from cspd.timekeeping.values import BadClock, LeapStatus, Tracking
from tests.support.chrony import Chrony
from tests.support.processes import program, run, wait_until

pytestmark = pytest.mark.interop

ADDRESSES = {"udp": lambda chrony: chrony.address, "unix": lambda chrony: chrony.unix_address}


class ClockOfAnotherDay:
    """Implements :class:`cspd.clock.Clock`."""

    def __init__(self, lead: timedelta) -> None:
        self.lead = lead

    def now(self) -> datetime:
        """The system clock and the lead."""
        return SystemClock().now() + self.lead


class Turning:
    """A reactor that turns while the test waits for something."""

    def __init__(self) -> None:
        self.reactor: Any = SelectReactor()
        self.monitors: list[ClockMonitor] = []

    def until(self, is_so: Callable[[], bool], *, what: str) -> None:
        """Turn until it is so."""

        def turned() -> bool:
            self.reactor.iterate(0)
            return is_so()

        wait_until(turned, what=what)

    def answer(self, address: str) -> Tracking:
        """What chronyd says now."""
        source = find_connector("time-source", "chrony")(
            address, timeout=timedelta(seconds=10), reactor=self.reactor, random=SystemRandom()
        )
        results: list[Any] = []
        Deferred.fromCoroutine(source.tracking()).addBoth(results.append)
        self.until(lambda: bool(results), what="an answer of chronyd")
        assert isinstance(results[0], Tracking), results
        return results[0]

    def monitor(
        self,
        chrony: Chrony,
        address: str | None = None,
        *,
        leap: LeapRule = LeapRule.REFUSE,
        lead: timedelta = timedelta(0),
    ) -> ClockMonitor:
        """A monitor that asks ten times a second, and tolerates half a second."""
        timeout = timedelta(seconds=5)
        source = find_connector("time-source", "chrony")(
            address or chrony.address, timeout=timeout, reactor=self.reactor, random=SystemRandom()
        )
        settings = ClockSettings(
            poll_interval=timedelta(seconds=0.1),
            connect_timeout=timeout,
            max_error=timedelta(seconds=0.5),
            leap=leap,
        )
        clock = ClockOfAnotherDay(lead)
        monitor = ClockMonitor(source, settings, reactor=self.reactor, clock=clock, monotonic=monotonic)
        self.monitors.append(monitor)
        monitor.start()
        return monitor

    def until_good(self, monitor: ClockMonitor) -> None:
        """Turn until the clock is good."""
        self.until(lambda: refusal(monitor) == "", what="a good clock")

    def until_bad(self, monitor: ClockMonitor, reason: str) -> None:
        """Turn until the clock is bad for that reason."""
        self.until(lambda: reason in refusal(monitor), what=f'a clock that is bad because "{reason}"')

    def close(self) -> None:
        """End the monitors, and the reactor."""
        stopped = [monitor.stop() for monitor in self.monitors]
        self.until(lambda: all(each.called for each in stopped), what="the end of the monitors")
        for reader in self.reactor.removeAll():
            reader.connectionLost(None)
        self.reactor.waker.connectionLost(None)


def refusal(monitor: ClockMonitor) -> str:
    """Why the clock is bad; empty if it is good."""
    try:
        monitor.now()
    except BadClock as error:
        return str(error)
    return ""


@pytest.fixture
def turning() -> Iterator[Turning]:
    turning = Turning()
    yield turning
    turning.close()


@pytest.fixture
def chrony(tmp_path: Path) -> Iterator[Chrony]:
    with Chrony(tmp_path) as chrony:
        yield chrony


@pytest.mark.parametrize("way", ADDRESSES)
def test_chronyd_answers_over_udp_and_over_its_unix_socket(chrony: Chrony, turning: Turning, way: str) -> None:
    tracking = turning.answer(ADDRESSES[way](chrony))
    assert abs(tracking.offset) < 0.1
    assert (tracking.stratum, tracking.leap, tracking.reference_id) == (2, LeapStatus.NORMAL, "127.0.0.1")
    assert tracking.reference_time is not None
    assert abs(tracking.reference_time - SystemClock().now()) < timedelta(minutes=5)
    assert [file.name for file in chrony.folder.iterdir() if file.name.startswith("cspd.")] == []


def test_our_offset_is_what_chronyc_calls_fast(chrony: Chrony, turning: Turning) -> None:
    chrony.set_offset(0.8)
    told = run([program("chronyc"), "-h", "127.0.0.1", "-p", str(chrony.port), "tracking"]).stdout
    line = next(line for line in told.splitlines() if line.startswith("System time"))
    assert "seconds fast of NTP time" in line
    assert turning.answer(chrony.address).offset == pytest.approx(float(line.split()[3]), abs=0.01)


@pytest.mark.requirement("R-TSA-050")
@pytest.mark.requirement("R-TSA-051")
@pytest.mark.requirement("R-TSA-053")
def test_drift_beyond_the_limit_and_back(chrony: Chrony, turning: Turning) -> None:
    monitor = turning.monitor(chrony)
    turning.until_good(monitor)
    chrony.set_offset(0.8)
    turning.until_bad(monitor, "s ahead of true time; 0.5 s are allowed")
    chrony.set_offset(0.3)
    turning.until_good(monitor)
    chrony.set_offset(-0.8)
    turning.until_bad(monitor, "s behind true time; 0.5 s are allowed")
    chrony.set_offset(0.0)
    turning.until_good(monitor)


def test_a_chronyd_that_lost_its_server_is_not_trusted_though_it_goes_on_answering(
    chrony: Chrony, turning: Turning
) -> None:
    monitor = turning.monitor(chrony)
    turning.until_good(monitor)
    chrony.lose_server()
    assert chrony.ask("tracking")[0][-1] == "Normal"
    turning.until_bad(monitor, "the time source follows no server now")
    chrony.find_server()
    turning.until_good(monitor)


@pytest.mark.requirement("R-TSA-053")
@pytest.mark.requirement("R-TSA-054")
@pytest.mark.parametrize("way", ADDRESSES)
def test_a_chronyd_that_is_killed_and_comes_back(chrony: Chrony, turning: Turning, way: str) -> None:
    monitor = turning.monitor(chrony, ADDRESSES[way](chrony))
    turning.until_good(monitor)
    chrony.kill()
    turning.until_bad(monitor, f"nobody listens at {ADDRESSES[way](chrony)}: chronyd is not running, or")
    chrony.start()
    turning.until_good(monitor)


def test_a_chronyd_without_any_server_takes_the_clock_for_right_and_is_not_believed(
    tmp_path: Path, turning: Turning
) -> None:
    chrony = Chrony(tmp_path, more="local stratum 1")
    chrony.server.silent = True
    try:
        chrony.launch()
        wait_until(lambda: bool(chrony.ask("tracking")), what="chronyd")
        assert chrony.ask("tracking")[0][0] == "7F7F0101"
        assert turning.answer(chrony.address).reference_id == ""
        turning.until_bad(turning.monitor(chrony), "the time source follows no server now")
    finally:
        chrony.close()


@pytest.mark.parametrize(
    ("indicator", "status", "leap"),
    [(1, "Insert second", LeapStatus.INSERT_SECOND), (2, "Delete second", LeapStatus.DELETE_SECOND)],
)
def test_an_announced_leap_second_is_heard_of(
    tmp_path: Path, turning: Turning, indicator: int, status: str, leap: LeapStatus
) -> None:
    with Chrony(tmp_path, moment=datetime(2026, 12, 31, 12, tzinfo=UTC)) as chrony:
        chrony.announce_leap(indicator, status)
        assert turning.answer(chrony.address).leap is leap
        chrony.announce_leap(0, "Normal")
        assert turning.answer(chrony.address).leap is LeapStatus.NORMAL


@pytest.mark.parametrize("rule", list(LeapRule))
def test_the_last_second_of_a_day_with_a_leap_second(tmp_path: Path, turning: Turning, rule: LeapRule) -> None:
    """chronyd starts minutes before midnight, and our clock is put a second before the neighbourhood when it is up."""
    midnight = datetime(2027, 1, 1, tzinfo=UTC)
    chrony = Chrony(tmp_path, moment=midnight - timedelta(minutes=5))
    chrony.server.leap = 1
    with chrony:
        chrony.announce_leap(1, "Insert second")
        lead = midnight - timedelta(seconds=2) - SystemClock().now()
        monitor = turning.monitor(chrony, leap=rule, lead=lead)
        if rule is LeapRule.REFUSE:
            turning.until_bad(monitor, "a leap second is announced for 2027-01-01T00:00:00Z")
        else:
            turning.until(lambda: refusal(monitor) == "" and monitor.now().near_leap, what="a marked time")
