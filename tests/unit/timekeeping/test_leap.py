"""The neighbourhood of a leap second, as the system clock of Linux goes through it: 23:59:59 comes twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cspd.timekeeping.leap import announced
from cspd.timekeeping.settings import LeapRule
from cspd.timekeeping.values import LeapStatus
from tests.support.timekeeping import MonitoredClock

MIDNIGHT = datetime(2027, 1, 1, tzinfo=UTC)


def before_midnight(seconds: float, status: LeapStatus = LeapStatus.INSERT_SECOND, **settings: Any) -> MonitoredClock:
    """A good clock, that many seconds before a midnight for which a leap second is announced."""
    house = MonitoredClock(MIDNIGHT - timedelta(seconds=seconds), **settings)
    house.source.change(leap=status)
    house.monitor.start()
    return house


@pytest.mark.parametrize("leap", [LeapStatus.NORMAL, LeapStatus.NOT_SYNCHRONISED])
def test_no_leap_second_is_announced_by_these(leap: LeapStatus) -> None:
    assert announced(leap, MIDNIGHT) is None


@pytest.mark.parametrize(
    ("moment", "midnight"),
    [
        (MIDNIGHT - timedelta(days=1), MIDNIGHT),
        (MIDNIGHT - timedelta(microseconds=1), MIDNIGHT),
        (MIDNIGHT, MIDNIGHT + timedelta(days=1)),
    ],
)
def test_it_lies_at_the_end_of_the_present_day(moment: datetime, midnight: datetime) -> None:
    found = announced(LeapStatus.INSERT_SECOND, moment)
    assert found is not None
    assert (found.midnight, found.inserted) == (midnight, True)


@pytest.mark.parametrize("leap", [LeapStatus.INSERT_SECOND, LeapStatus.DELETE_SECOND])
def test_no_time_is_given_in_the_last_second_of_the_day(leap: LeapStatus) -> None:
    house = before_midnight(5, leap)
    house.pass_time(3.999999)
    assert house.refusal() == ""
    house.pass_time(0.000001)
    assert house.refusal() == "a leap second is announced for 2027-01-01T00:00:00Z"


@pytest.mark.parametrize("leap", [LeapStatus.INSERT_SECOND, LeapStatus.DELETE_SECOND])
def test_or_it_is_marked(leap: LeapStatus) -> None:
    house = before_midnight(5, leap, leap=LeapRule.MARK)
    house.pass_time(3.5)
    assert not house.monitor.now().near_leap
    house.pass_time(0.5)
    assert house.monitor.now().near_leap


def test_without_an_announcement_midnight_is_like_any_moment() -> None:
    house = before_midnight(5, LeapStatus.NORMAL)
    for _ in range(8):
        house.pass_time(1)
        assert house.monitor.now().moment == house.wall.now()


@pytest.mark.parametrize("rule", list(LeapRule))
@pytest.mark.parametrize(("leap", "step"), [(LeapStatus.INSERT_SECOND, -1), (LeapStatus.DELETE_SECOND, 1)])
def test_a_leap_second_from_its_beginning_to_its_end(rule: LeapRule, leap: LeapStatus, step: int) -> None:
    """A poll 5 s before midnight, then every 10 s: the next comes after it, and finds all in order."""
    house = before_midnight(5, leap, leap=rule)
    house.pass_time(4 if leap is LeapStatus.DELETE_SECOND else 5)
    house.step(step)  # 00:00:00 -> 23:59:59, or 23:59:59 -> 00:00:00
    if rule is LeapRule.MARK:
        assert house.monitor.now().near_leap
    else:
        assert "is announced" in house.refusal()
    house.source.change(leap=LeapStatus.NORMAL)
    house.pass_time(2)
    assert house.refusal() == "a leap second has passed, and the time source has not been asked since"
    house.pass_time(4)
    assert house.refusal() == ""
    assert not house.monitor.now().near_leap
    assert house.monitor.state().steps == 0


def test_another_step_at_the_same_time_is_still_one() -> None:
    house = before_midnight(5, leap=LeapRule.MARK)
    house.pass_time(4.5)
    house.step(-2.5)
    assert "stepped by -2.5" in house.refusal()


def test_a_step_behind_a_leap_second_is_noticed_at_the_next_poll() -> None:
    house = before_midnight(5)
    house.pass_time(5)
    house.step(-3)
    house.source.change(leap=LeapStatus.NORMAL)
    house.poll(measured=False)
    assert "has not measured it since" in house.refusal()
    assert house.monitor.state().steps == 1


@pytest.mark.parametrize("rule", list(LeapRule))
def test_a_source_that_is_amid_its_leap_second_does_not_end_the_trust(rule: LeapRule) -> None:
    """chronyd says "not synchronised" for about two seconds round midnight."""
    house = before_midnight(10.5, leap=rule)
    house.pass_time(9)
    house.source.change(leap=LeapStatus.NOT_SYNCHRONISED)
    house.pass_time(1)  # the poll, half a second before midnight
    assert house.source.asked == 2
    if rule is LeapRule.MARK:
        assert house.monitor.now().near_leap
    else:
        assert "is announced" in house.refusal()


def test_a_poll_in_the_second_that_comes_twice_takes_it_for_no_step() -> None:
    house = before_midnight(9.5, leap=LeapRule.MARK)
    house.pass_time(9.5)
    house.step(-1)
    house.source.change(leap=LeapStatus.NORMAL)
    house.pass_time(0.5)  # the poll, at 23:59:59.5 for the second time
    assert house.source.asked == 2
    assert house.monitor.now().near_leap
    house.pass_time(2)
    assert "a leap second has passed" in house.refusal()
    house.poll()
    assert house.refusal() == ""
    assert house.monitor.state().steps == 0


def test_a_source_that_is_not_synchronised_at_any_other_time_ends_it() -> None:
    house = before_midnight(60, leap=LeapRule.MARK)
    house.source.change(leap=LeapStatus.NOT_SYNCHRONISED)
    house.poll()
    assert "not synchronised" in house.refusal()


def test_a_clock_that_is_slewed_over_the_leap_second_has_the_offset_that_the_source_says() -> None:
    """``leapsecmode slew`` of chrony: no step, but up to a second of offset until it is worked off."""
    house = before_midnight(5)
    house.pass_time(9)
    house.source.change(leap=LeapStatus.NORMAL, offset=0.9)
    house.pass_time(1)
    assert "0.900000 s ahead" in house.refusal()
    house.source.change(offset=0.1)
    house.poll()
    assert house.refusal() == ""
    assert house.monitor.state().steps == 0
