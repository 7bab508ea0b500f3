"""The machine's clock as its own judge: trusted without anybody, but not through a step."""

from __future__ import annotations

from datetime import timedelta

from plugins.system_clock import SystemTimeSource
from tests.support.timekeeping import MonitoredClock


def test_it_vouches_for_itself_and_steps_are_noticed_until_it_was_asked_twice() -> None:
    house = MonitoredClock()
    house.monitor._source = SystemTimeSource(house.wall)
    house.monitor.start()
    assert house.refusal() == ""
    house.poll()
    house.wall.advance(timedelta(hours=-1))
    assert "step" in house.refusal()
    house.poll()
    assert "step" in house.refusal(), "what was measured before the step does not count"
    house.poll()
    assert house.refusal() == ""
